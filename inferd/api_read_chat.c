/*
 * OpenAI's chat completions: the conversation.
 */
#include "inferd/api_int.h"

/* Arguments are JSON in a string; some clients leave the string away. */
static struct chat_text
arguments(struct reader *r, uint32_t node)
{
	struct chat_text t = { "{}", 2 };

	if (node == 0)
		return t;
	if (r->t.node[node].type != JSON_STR)
		return api_raw(r, node);
	/* None at all is how some say that there are none. */
	if (r->t.node[node].n > 0)
		t = api_text(r, node);
	return t;
}

static int
read_call(struct reader *r, uint32_t node)
{
	struct chat_call call = { 0 };
	uint32_t type, inner;
	bool custom;
	size_t at;

	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "", "a call must be an object");
	if (api_get_node(r, node, "type", JSON_STR, &type) < 0 ||
	    api_get_text(r, node, "id", &call.id) < 0)
		return -1;
	custom = type != 0 && json_tree_is(&r->t, type, "custom");
	if (api_get_node(r, node, custom ? "custom" : "function", JSON_OBJECT,
		&inner) < 0)
		return -1;
	if (inner == 0)
		return api_bad(r, "function", "there is no function");
	at = api_enter(r, custom ? "custom" : "function");
	if (api_get_text(r, inner, "name", &call.name) < 0)
		return -1;
	if (call.name.n == 0 || call.name.n > API_NAME_MAX)
		return api_bad(r, "name",
		    "the name of a call has between 1 and %u bytes",
		    API_NAME_MAX);
	if (custom) {
		struct chat_text input = { NULL, 0 };

		if (api_get_text(r, inner, "input", &input) < 0)
			return -1;
		call.args = tool_custom_args(r, input);
	} else {
		call.args = arguments(r, api_field(r, inner, "arguments"));
	}
	api_leave(r, at);
	return history_call(r, &call);
}

static int
read_assistant(struct reader *r, uint32_t node)
{
	struct chat_text text = { NULL, 0 };
	uint32_t content, calls, i;
	size_t k = 0, at;
	int rc;

	/* Names of the same by different servers. */
	if ((rc = api_get_text(r, node, "reasoning_content", &text)) < 0 ||
	    (rc == 0 && api_get_text(r, node, "reasoning", &text) < 0))
		return -1;
	history_thinking(r, text);
	content = api_field(r, node, "content");
	if (content != 0 && history_content(r, content, "content") < 0)
		return -1;
	if (history_field(r, node, "refusal") < 0 ||
	    api_get_node(r, node, "tool_calls", JSON_ARRAY, &calls) < 0)
		return -1;
	if (calls == 0)
		return 0;
	for (i = json_tree_first(&r->t, calls); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, "tool_calls", k++);
		if (read_call(r, i) < 0)
			return -1;
		api_leave(r, at);
	}
	return 0;
}

static int
read_message(struct reader *r, uint32_t node)
{
	struct chat_text id = { NULL, 0 };
	enum chat_role role;
	uint32_t content;

	if (history_role(r, node, &role) < 0)
		return -1;
	if (role == CHAT_TOOL) {
		if (api_get_text(r, node, "tool_call_id", &id) < 0 ||
		    history_result(r, id, "tool_call_id") < 0)
			return -1;
	} else if (history_begin(r, role, false) < 0) {
		return -1;
	}
	if (role == CHAT_ASSISTANT)
		return read_assistant(r, node);
	content = api_field(r, node, "content");
	if (content == 0)
		return api_bad(r, "content", "there is no content");
	return history_content(r, content, "content");
}

int
api_read_chat(struct reader *r)
{
	uint32_t messages, i;
	size_t k = 0, at;

	if (api_read_tools(r) < 0 || api_read_tool_choice(r) < 0)
		return -1;
	if (api_get_node(r, 0, "messages", JSON_ARRAY, &messages) < 0)
		return -1;
	if (messages == 0)
		return api_bad(r, "messages", "there are no messages");
	for (i = json_tree_first(&r->t, messages); i != 0;
	     i = r->t.node[i].next) {
		at = api_enter_at(r, "messages", k++);
		if (read_message(r, i) < 0)
			return -1;
		api_leave(r, at);
	}
	at = api_enter(r, "messages");
	if (history_end(r) < 0)
		return -1;
	api_leave(r, at);
	return 0;
}
