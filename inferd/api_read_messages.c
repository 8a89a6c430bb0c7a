/*
 * Anthropic's messages: the conversation.  A message of a user may hold
 * results of calls, each of which is a message here.
 */
#include "inferd/api_int.h"

/* A document with text in it. */
static int
read_document(struct reader *r, uint32_t node)
{
	uint32_t source;

	if (history_field(r, node, "title") < 0 ||
	    api_get_node(r, node, "source", JSON_OBJECT, &source) < 0)
		return -1;
	if (source == 0 || !api_type_is(r, source, "text"))
		return api_bad(
		    r, "source", "documents are not supported but as text");
	return history_field(r, source, "data");
}

/* Parts that only name something. */
static int
read_other(struct reader *r, uint32_t node)
{
	if (api_type_is(r, node, "document"))
		return read_document(r, node);
	if (api_type_is(r, node, "tool_reference"))
		return history_field(r, node, "tool_name");
	return history_part_bad(r, node);
}

static int
read_result_content(struct reader *r, uint32_t node)
{
	struct chat_text text;
	uint32_t i;
	size_t k = 0, at;
	int rc;

	if (r->t.node[node].type != JSON_ARRAY)
		return history_content(r, node, "content");
	for (i = json_tree_first(&r->t, node); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, "content", k++);
		if ((rc = history_part(r, i, &text)) < 0 ||
		    (rc == 0 && read_other(r, i) < 0))
			return -1;
		if (rc == 1)
			history_text(r, text);
		api_leave(r, at);
	}
	return 0;
}

static int
read_result(struct reader *r, uint32_t node)
{
	struct chat_text id = { NULL, 0 };
	bool failed = false;
	uint32_t content;

	if (api_get_text(r, node, "tool_use_id", &id) < 0 ||
	    history_result(r, id, "tool_use_id") < 0 ||
	    api_get_bool(r, node, "is_error", &failed) < 0)
		return -1;
	content = api_field(r, node, "content");
	return content == 0 ? 0 : read_result_content(r, content);
}

static int
read_user_part(struct reader *r, uint32_t node)
{
	struct chat_text text;
	int rc;

	if (api_type_is(r, node, "tool_result"))
		return read_result(r, node);
	if (history_begin(r, CHAT_USER, true) < 0)
		return -1;
	r->gap = false;
	if ((rc = history_part(r, node, &text)) < 0)
		return -1;
	if (rc == 0)
		return read_other(r, node);
	history_text(r, text);
	return 0;
}

static int
read_call(struct reader *r, uint32_t node)
{
	struct chat_call call = { .args = { "{}", 2 } };
	uint32_t input = api_field(r, node, "input");

	if (api_get_text(r, node, "id", &call.id) < 0 ||
	    api_get_text(r, node, "name", &call.name) < 0)
		return -1;
	if (call.name.n == 0 || call.name.n > API_NAME_MAX)
		return api_bad(r, "name",
		    "the name of a call has between 1 and %u bytes",
		    API_NAME_MAX);
	if (input != 0)
		call.args = r->t.node[input].type == JSON_STR
				? api_text(r, input)
				: api_raw(r, input);
	return history_call(r, &call);
}

static int
read_assistant_part(struct reader *r, uint32_t node)
{
	struct chat_text text = { NULL, 0 };
	int rc;

	if ((rc = history_part(r, node, &text)) < 0)
		return -1;
	if (rc == 1) {
		history_text(r, text);
		return 0;
	}
	if (api_type_is(r, node, "tool_use"))
		return read_call(r, node);
	if (api_type_is(r, node, "thinking")) {
		if (api_get_text(r, node, "thinking", &text) < 0)
			return -1;
		history_thinking(r, text);
		return 0;
	}
	if (api_type_is(r, node, "redacted_thinking"))
		return 0;
	return history_part_bad(r, node);
}

/* In order; a message of a user may become several, or none. */
static int
read_parts(struct reader *r, uint32_t content, bool assistant)
{
	uint32_t i;
	size_t k = 0, at;

	for (i = json_tree_first(&r->t, content); i != 0;
	     i = r->t.node[i].next) {
		at = api_enter_at(r, "content", k++);
		if ((assistant ? read_assistant_part(r, i)
			       : read_user_part(r, i)) < 0)
			return -1;
		api_leave(r, at);
	}
	return 0;
}

static int
read_message(struct reader *r, uint32_t node)
{
	enum chat_role role;
	uint32_t content;
	bool parts;

	if (history_role(r, node, &role) < 0)
		return -1;
	content = api_field(r, node, "content");
	if (content == 0)
		return api_bad(r, "content", "there is no content");
	parts = r->t.node[content].type == JSON_ARRAY && role != CHAT_SYSTEM;
	/* What begins with a result is no message of its own. */
	if (!parts || role != CHAT_USER ||
	    json_tree_first(&r->t, content) == 0 ||
	    !api_type_is(r, json_tree_first(&r->t, content), "tool_result")) {
		if (history_begin(r, role, false) < 0)
			return -1;
	}
	return parts ? read_parts(r, content, role == CHAT_ASSISTANT)
		     : history_content(r, content, "content");
}

/* A string, or parts, of which some may be cached. */
static int
read_system(struct reader *r)
{
	uint32_t node = api_field(r, 0, "system");

	if (node == 0)
		return 0;
	return history_begin(r, CHAT_SYSTEM, false) < 0
		   ? -1
		   : history_content(r, node, "system");
}

/* Nothing is kept here that a request could go on from. */
static int
refuse_thread(struct reader *r)
{
	uint32_t node = api_field(r, 0, "thread");

	if (node == 0)
		return 0;
	api_bad(
	    r, "thread", "conversations are not held here: send all messages");
	r->err->type =
	    api_type_is(r, node, "continue") ? API_NO_THREAD : API_NO_THREADS;
	return -1;
}

int
api_read_messages(struct reader *r)
{
	uint32_t messages, i;
	size_t k = 0, at;

	if (refuse_thread(r) < 0 || api_read_tools(r) < 0 ||
	    api_read_tool_choice(r) < 0 || read_system(r) < 0)
		return -1;
	if (api_get_node(r, 0, "messages", JSON_ARRAY, &messages) < 0)
		return -1;
	if (messages == 0 || json_tree_first(&r->t, messages) == 0)
		return api_bad(r, "messages", "there are no messages");
	for (i = json_tree_first(&r->t, messages); i != 0;
	     i = r->t.node[i].next) {
		at = api_enter_at(r, "messages", k++);
		if (read_message(r, i) < 0)
			return -1;
		api_leave(r, at);
	}
	return history_end(r);
}
