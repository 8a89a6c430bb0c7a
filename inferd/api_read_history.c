/*
 * The conversation of a request, put together message by message; what one
 * protocol says in several items is one message here.
 */
#include "inferd/api_int.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

static int
by_id(const void *a, const void *b)
{
	struct chat_text x = ((const struct chat_call *)a)->id;
	struct chat_text y = ((const struct chat_call *)b)->id;
	size_t n = x.n < y.n ? x.n : y.n;
	int order = n == 0 ? 0 : memcmp(x.p, y.p, n);

	return order != 0 ? order : (x.n > y.n) - (x.n < y.n);
}

static void
keep_node(void *call)
{
}

void
history_free(struct reader *r)
{
	tdestroy(r->called, keep_node);
	r->called = NULL;
}

static void
close_message(struct reader *r)
{
	struct chat_message *m;
	struct chat_call *calls = NULL;
	size_t i;

	if (!r->open)
		return;
	r->open = false;
	if (r->nmessages == r->messages_cap) {
		r->messages_cap =
		    r->messages_cap == 0 ? 64 : r->messages_cap * 2;
		r->message = xreallocarray(
		    r->message, r->messages_cap, sizeof(*r->message));
	}
	if (r->ncalls > 0) {
		calls = api_take(r, r->ncalls * sizeof(*calls));
		memcpy(calls, r->call, r->ncalls * sizeof(*calls));
	}
	m = &r->message[r->nmessages++];
	*m = (struct chat_message){ .role = r->role,
		.calls = calls,
		.ncalls = r->ncalls,
		.call_id = r->call_id };
	for (i = 0; i < r->ncalls; i++)
		if (tsearch(&calls[i], &r->called, by_id) == NULL)
			fatal("out of memory");
	m->text = join_end(r, &r->text);
	m->thinking = join_end(r, &r->thinking);
	r->all_calls += r->ncalls;
	r->ncalls = 0;
	r->call_id = (struct chat_text){ NULL, 0 };
}

int
history_begin(struct reader *r, enum chat_role role, bool goes_on)
{
	/* Some templates have a place for one, and only at the beginning. */
	if (role == CHAT_SYSTEM && r->nmessages == 0)
		goes_on = true;
	if (r->open && r->role == role && goes_on) {
		r->gap = true;
		return 0;
	}
	close_message(r);
	if (r->nmessages == API_MESSAGES_MAX)
		return api_bad(
		    r, "", "there are more than %u messages", API_MESSAGES_MAX);
	r->open = true;
	r->gap = false;
	r->role = role;
	return 0;
}

void
history_text(struct reader *r, struct chat_text t)
{
	if (t.n == 0)
		return;
	join_add(&r->text, t, r->gap ? "\n\n" : "\n");
	r->gap = false;
}

void
history_thinking(struct reader *r, struct chat_text t)
{
	join_add(&r->thinking, t, "\n");
}

int
history_field(struct reader *r, uint32_t object, const char *name)
{
	struct chat_text text = { NULL, 0 };

	if (api_get_text(r, object, name, &text) < 0)
		return -1;
	history_text(r, text);
	return 0;
}

int
history_call(struct reader *r, const struct chat_call *call)
{
	if (r->all_calls + r->ncalls == API_MESSAGES_MAX)
		return api_bad(r, "", "there are more than %u calls of tools",
		    API_MESSAGES_MAX);
	if (r->ncalls == r->calls_cap) {
		r->calls_cap = r->calls_cap == 0 ? 16 : r->calls_cap * 2;
		r->call =
		    xreallocarray(r->call, r->calls_cap, sizeof(*r->call));
	}
	r->call[r->ncalls++] = *call;
	return 0;
}

int
history_result(struct reader *r, struct chat_text id, const char *field)
{
	const struct chat_call wanted = { .id = id };
	cleanup_free char *shown = NULL;

	if (history_begin(r, CHAT_TOOL, false) < 0)
		return -1;
	if (id.n == 0)
		return api_bad(
		    r, field, "there is no id of the call that it answers");
	if (tfind(&wanted, &r->called, by_id) == NULL) {
		shown = str_escape(id.p, id.n < 64 ? id.n : 64);
		return api_bad(
		    r, field, "no message before it holds a call '%s'", shown);
	}
	r->call_id = id;
	return 0;
}

int
history_end(struct reader *r)
{
	close_message(r);
	if (r->nmessages == 0)
		return api_bad(r, "", "there are no messages");
	return 0;
}

static bool
is_one_of(const struct reader *r, uint32_t node, const char *const *words)
{
	for (; *words != NULL; words++)
		if (json_tree_is(&r->t, node, *words))
			return true;
	return false;
}

/*
 * What a user sends is refused: he can do without.  What a tool answered stands
 * in the history of its session for good, and the model is told instead.
 */
static int
no_text(struct reader *r, const char *refusal, const char *instead,
    struct chat_text *out)
{
	if (r->role != CHAT_TOOL)
		return api_bad(r, "type", "%s", refusal);
	*out = (struct chat_text){ instead, strlen(instead) };
	return 1;
}

int
history_part(struct reader *r, uint32_t part, struct chat_text *out)
{
	static const char *const text[] = { "text", "input_text", "output_text",
		"summary_text", "reasoning_text", NULL };
	static const char *const images[] = { "image_url", "input_image",
		"image", "computer_screenshot", NULL };
	static const char *const sounds[] = { "input_audio", "audio",
		"input_video", "video_url", NULL };
	static const char *const files[] = { "file", "input_file",
		"container_upload", NULL };
	uint32_t type;
	int rc;

	if (r->t.node[part].type != JSON_OBJECT)
		return api_bad(r, "", "a part of a message must be an object");
	if (api_get_node(r, part, "type", JSON_STR, &type) < 0)
		return -1;
	if (type == 0 || is_one_of(r, type, text)) {
		rc = api_get_text(r, part, "text", out);
		return rc == 0 ? api_bad(r, "text", "there is no text") : rc;
	}
	if (json_tree_is(&r->t, type, "refusal")) {
		rc = api_get_text(r, part, "refusal", out);
		return rc == 0 ? api_bad(r, "refusal", "there is no text") : rc;
	}
	if (is_one_of(r, type, images))
		return no_text(r,
		    "images are not supported: the model reads text only",
		    "[An image, which cannot be shown: text only.]", out);
	if (is_one_of(r, type, sounds))
		return no_text(r,
		    "audio and video are not supported: the model reads text "
		    "only",
		    "[Sound or video, which cannot be told: text only.]", out);
	if (is_one_of(r, type, files))
		return no_text(r, "files are not supported: send their text",
		    "[A file, which cannot be shown: text only.]", out);
	return 0;
}

int
history_part_bad(struct reader *r, uint32_t part)
{
	cleanup_free char *shown = api_show(r, api_field(r, part, "type"));

	return api_bad(
	    r, "type", "'%s' is no type of part that is known here", shown);
}

int
history_content(struct reader *r, uint32_t node, const char *field)
{
	struct chat_text text;
	uint32_t i;
	size_t k = 0, at;
	int rc;

	if (r->t.node[node].type == JSON_STR) {
		history_text(r, api_text(r, node));
		return 0;
	}
	if (r->t.node[node].type != JSON_ARRAY)
		return api_bad(r, field,
		    "%s must be a string or an array of parts", field);
	for (i = json_tree_first(&r->t, node); i != 0; i = r->t.node[i].next) {
		at = api_enter_at(r, field, k++);
		if ((rc = history_part(r, i, &text)) < 0)
			return -1;
		if (rc == 0)
			return history_part_bad(r, i);
		history_text(r, text);
		api_leave(r, at);
	}
	return 0;
}

int
history_role(struct reader *r, uint32_t message, enum chat_role *role)
{
	static const struct {
		const char *word;
		enum chat_role role;
		bool chat, responses, messages; /* where it is known */
	} roles[] = {
		{ "system", CHAT_SYSTEM, true, true, true },
		{ "developer", CHAT_SYSTEM, true, true, false },
		{ "user", CHAT_USER, true, true, true },
		{ "assistant", CHAT_ASSISTANT, true, true, true },
		{ "tool", CHAT_TOOL, true, false, false },
	};
	cleanup_buf struct buf known = { 0 };
	cleanup_free char *shown = NULL;
	uint32_t node;
	size_t i;

	if (r->t.node[message].type != JSON_OBJECT)
		return api_bad(r, "", "a message must be an object");
	if (api_get_node(r, message, "role", JSON_STR, &node) < 0)
		return -1;
	if (node == 0)
		return api_bad(r, "role", "there is no role");
	for (i = 0; i < nitems(roles); i++) {
		if (!(r->out->kind == API_CHAT          ? roles[i].chat
			: r->out->kind == API_RESPONSES ? roles[i].responses
							: roles[i].messages))
			continue;
		*role = roles[i].role;
		if (json_tree_is(&r->t, node, roles[i].word))
			return 0;
		buf_printf(&known, "%s%s", buf_len(&known) > 0 ? ", " : "",
		    roles[i].word);
	}
	buf_put_u8(&known, 0);
	shown = api_show(r, node);
	return api_bad(r, "role", "'%s' is none of %s", shown,
	    (const char *)buf_head(&known));
}
