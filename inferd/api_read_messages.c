/*
 * Anthropic's messages: the conversation.  A message of a user may hold
 * results of calls, each of which is a message here.
 */
#include "inferd/api_int.h"

#include <string.h>

#include "base/str.h"

static bool
type_is(const struct reader *r, uint32_t node, const char *name)
{
	uint32_t type = api_field(r, node, "type");

	return type != 0 && json_tree_is(&r->t, type, name);
}

/* A document with text in it. */
static int
read_document(struct reader *r, uint32_t node)
{
	struct chat_text text = { NULL, 0 };
	uint32_t source;

	if (api_get_text(r, node, "title", &text) < 0 ||
	    api_get_node(r, node, "source", JSON_OBJECT, &source) < 0)
		return -1;
	history_text(r, text);
	if (source == 0 || !type_is(r, source, "text"))
		return api_bad(
		    r, "source", "documents are not supported but as text");
	if (api_get_text(r, source, "data", &text) < 0)
		return -1;
	history_text(r, text);
	return 0;
}

/* Parts that only name something. */
static int
read_other(struct reader *r, uint32_t node)
{
	struct chat_text text = { NULL, 0 };

	if (type_is(r, node, "document"))
		return read_document(r, node);
	if (type_is(r, node, "tool_reference")) {
		if (api_get_text(r, node, "tool_name", &text) < 0)
			return -1;
		history_text(r, text);
		return 0;
	}
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
		return history_content(r, node);
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

	if ((rc = history_part(r, node, &text)) < 0)
		return -1;
	if (rc == 0 && type_is(r, node, "tool_result"))
		return read_result(r, node);
	if (history_begin(r, CHAT_USER, true) < 0)
		return -1;
	r->gap = false;
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
	if (type_is(r, node, "tool_use"))
		return read_call(r, node);
	if (type_is(r, node, "thinking")) {
		if (api_get_text(r, node, "thinking", &text) < 0)
			return -1;
		history_thinking(r, text);
		return 0;
	}
	if (type_is(r, node, "redacted_thinking"))
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
	cleanup_free char *shown = NULL;
	uint32_t role, content;
	enum chat_role who;

	if (r->t.node[node].type != JSON_OBJECT)
		return api_bad(r, "", "a message must be an object");
	if (api_get_node(r, node, "role", JSON_STR, &role) < 0)
		return -1;
	if (role == 0)
		return api_bad(r, "role", "there is no role");
	content = api_field(r, node, "content");
	if (content == 0)
		return api_bad(r, "content", "there is no content");
	if (json_tree_is(&r->t, role, "user")) {
		who = CHAT_USER;
	} else if (json_tree_is(&r->t, role, "assistant")) {
		who = CHAT_ASSISTANT;
	} else if (json_tree_is(&r->t, role, "system")) {
		who = CHAT_SYSTEM;
	} else {
		shown = api_show(r, role);
		return api_bad(r, "role",
		    "'%s' is none of user, assistant, system", shown);
	}
	if (r->t.node[content].type == JSON_ARRAY && who == CHAT_USER) {
		/* The first part says what it is. */
		if (json_tree_first(&r->t, content) == 0 ||
		    !type_is(
			r, json_tree_first(&r->t, content), "tool_result")) {
			if (history_begin(r, who, false) < 0)
				return -1;
		}
		return read_parts(r, content, false);
	}
	if (history_begin(r, who, false) < 0)
		return -1;
	return r->t.node[content].type == JSON_ARRAY && who == CHAT_ASSISTANT
		   ? read_parts(r, content, true)
		   : history_content(r, content);
}

/* A string, or parts: text, of which the parts that may be cached are none of
 * our concern. */
static int
read_system(struct reader *r)
{
	uint32_t node = api_field(r, 0, "system"), i;
	struct chat_text text;
	size_t k = 0, at;
	int rc;

	if (node == 0)
		return 0;
	if (r->t.node[node].type != JSON_STR &&
	    r->t.node[node].type != JSON_ARRAY)
		return api_bad(r, "system",
		    "system must be a string or an array of parts");
	if (history_begin(r, CHAT_SYSTEM, false) < 0)
		return -1;
	if (r->t.node[node].type == JSON_STR) {
		history_text(r, api_text(r, node));
		return 0;
	}
	for (i = json_tree_first(&r->t, node); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, "system", k++);
		if ((rc = history_part(r, i, &text)) < 0)
			return -1;
		if (rc == 0)
			return history_part_bad(r, i);
		history_text(r, text);
		api_leave(r, at);
	}
	return 0;
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
	    type_is(r, node, "continue") ? API_NO_THREAD : API_NO_THREADS;
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
