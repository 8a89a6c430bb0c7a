/*
 * OpenAI's responses: the conversation, as items.  What an assistant said,
 * thought and called in one turn is one message here.
 */
#include "inferd/api_int.h"

#include <string.h>

#include "base/str.h"

/* Nothing is kept here that a request could go on from. */
static int
refuse_stored(struct reader *r)
{
	static const char *const fields[] = { "previous_response_id",
		"conversation", "prompt" };
	bool background = false;
	size_t i;

	for (i = 0; i < nitems(fields); i++)
		if (api_field(r, 0, fields[i]) != 0)
			return api_bad(r, fields[i],
			    "%s is not supported: nothing is stored here; "
			    "send the whole input",
			    fields[i]);
	if (api_get_bool(r, 0, "background", &background) < 0)
		return -1;
	return background ? api_bad(r, "background",
				"answers in the background are not supported")
			  : 0;
}

static int
read_message(struct reader *r, uint32_t node)
{
	enum chat_role role;
	uint32_t content;

	if (history_role(r, node, &role) < 0)
		return -1;
	content = api_field(r, node, "content");
	if (content == 0)
		return api_bad(r, "content", "there is no content");
	if (history_begin(r, role, role == CHAT_ASSISTANT) < 0)
		return -1;
	return history_content(r, content, "content");
}

static int
read_call(struct reader *r, uint32_t node, bool custom)
{
	struct chat_text name = { NULL, 0 }, space = { NULL, 0 };
	struct chat_text args = { NULL, 0 };
	struct chat_call call = { .args = { "{}", 2 } };

	if (api_get_text(r, node, "call_id", &call.id) < 0 ||
	    api_get_text(r, node, "name", &name) < 0 ||
	    api_get_text(r, node, "namespace", &space) < 0 ||
	    api_get_text(r, node, custom ? "input" : "arguments", &args) < 0)
		return -1;
	call.name = tool_name(r, space, name);
	if (name.n == 0 || call.name.n > API_NAME_MAX)
		return api_bad(r, "name",
		    "the name of a call has between 1 and %u bytes",
		    API_NAME_MAX);
	if (custom)
		call.args = tool_custom_args(r, args);
	else if (args.n > 0)
		call.args = args;
	return history_begin(r, CHAT_ASSISTANT, true) < 0
		   ? -1
		   : history_call(r, &call);
}

static int
read_output(struct reader *r, uint32_t node)
{
	struct chat_text id = { NULL, 0 };
	uint32_t output;

	if (api_get_text(r, node, "call_id", &id) < 0 ||
	    history_result(r, id, "call_id") < 0)
		return -1;
	output = api_field(r, node, "output");
	if (output == 0)
		return api_bad(r, "output", "there is no output");
	return history_content(r, output, "output");
}

/* Thoughts as they are, else what sums them up. */
static int
read_reasoning(struct reader *r, uint32_t node)
{
	static const char *const names[] = { "content", "summary" };
	struct chat_text text;
	uint32_t list = 0, i;
	size_t k = 0, n, at;

	for (n = 0; n < nitems(names); n++) {
		if (api_get_node(r, node, names[n], JSON_ARRAY, &list) < 0)
			return -1;
		if (list != 0 && json_tree_first(&r->t, list) != 0)
			break;
	}
	if (list == 0 || n == nitems(names))
		return 0;
	if (history_begin(r, CHAT_ASSISTANT, true) < 0)
		return -1;
	for (i = json_tree_first(&r->t, list); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, names[n], k++);
		switch (history_part(r, i, &text)) {
		case 0:
			return history_part_bad(r, i);
		case 1:
			history_thinking(r, text);
			break;
		default:
			return -1;
		}
		api_leave(r, at);
	}
	return 0;
}

static int
read_item(struct reader *r, uint32_t node)
{
	cleanup_free char *shown = NULL;
	uint32_t type;

	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "", "an item must be an object");
	if (api_get_node(r, node, "type", JSON_STR, &type) < 0)
		return -1;
	if (type == 0 || json_tree_is(&r->t, type, "message"))
		return read_message(r, node);
	if (json_tree_is(&r->t, type, "function_call"))
		return read_call(r, node, false);
	if (json_tree_is(&r->t, type, "custom_tool_call"))
		return read_call(r, node, true);
	if (json_tree_is(&r->t, type, "function_call_output") ||
	    json_tree_is(&r->t, type, "custom_tool_call_output"))
		return read_output(r, node);
	if (json_tree_is(&r->t, type, "reasoning"))
		return read_reasoning(r, node);
	if (json_tree_is(&r->t, type, "item_reference"))
		return api_bad(r, "type",
		    "references to items are not supported: nothing is stored "
		    "here; send the item itself");
	shown = api_show(r, type);
	return api_bad(
	    r, "type", "'%s' is no type of item that is known here", shown);
}

static int
read_input(struct reader *r)
{
	uint32_t input = api_field(r, 0, "input"), i;
	size_t k = 0, at;

	if (input == 0)
		return api_bad(r, "input", "there is no input");
	if (r->t.node[input].type == JSON_STR) {
		if (history_begin(r, CHAT_USER, false) < 0)
			return -1;
		history_text(r, api_text(r, input));
		return 0;
	}
	if (r->t.node[input].type != JSON_ARRAY)
		return api_bad(
		    r, "input", "input must be a string or an array of items");
	if (json_tree_first(&r->t, input) == 0)
		return api_bad(r, "input", "there are no items");
	for (i = json_tree_first(&r->t, input); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, "input", k++);
		if (read_item(r, i) < 0)
			return -1;
		api_leave(r, at);
	}
	return 0;
}

int
api_read_responses(struct reader *r)
{
	struct chat_text text = { NULL, 0 };
	size_t at;

	if (refuse_stored(r) < 0 || api_read_tools(r) < 0 ||
	    api_read_tool_choice(r) < 0 ||
	    api_get_text(r, 0, "instructions", &text) < 0)
		return -1;
	if (text.n > 0) {
		if (history_begin(r, CHAT_SYSTEM, false) < 0)
			return -1;
		history_text(r, text);
	}
	if (read_input(r) < 0)
		return -1;
	at = api_enter(r, "input");
	if (history_end(r) < 0)
		return -1;
	api_leave(r, at);
	return 0;
}
