/*
 * Requests of agents in each protocol: read, rendered for every family and
 * answered with their own bytes, of which every body and every event is JSON.
 * The first byte chooses the protocol, the second how the answer ends.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/api.h"
#include "inferd/json_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned int sum;

static void
want_json(const char *p, size_t n)
{
	struct json_tree t;

	if (json_tree_read(&t, p, n, NULL) < 0)
		abort();
	json_tree_free(&t);
}

/* Every byte is there. */
static void
touch(struct chat_text t)
{
	size_t i;

	for (i = 0; i < t.n; i++)
		sum += (uint8_t)t.p[i];
}

static void
want_events(const char *p, size_t n)
{
	static const char data[] = "data: ", done[] = "[DONE]";
	const char *end = p + n, *eol;

	while (p < end) {
		eol = memchr(p, '\n', (size_t)(end - p));
		if (eol == NULL)
			abort();
		if ((size_t)(eol - p) > strlen(data) &&
		    memcmp(p, data, strlen(data)) == 0 &&
		    memcmp(p + strlen(data), done, strlen(done)) != 0)
			want_json(
			    p + strlen(data), (size_t)(eol - p) - strlen(data));
		p = eol + 1;
	}
	if (n < 2 || end[-1] != '\n' || end[-2] != '\n')
		abort();
}

static void
look(const struct api_request *q)
{
	size_t i, k;

	if (strlen(q->model) > API_BODY_MAX)
		abort();
	for (i = 0; i < q->chat.nmessages; i++) {
		const struct chat_message *m = &q->chat.messages[i];

		touch(m->text);
		touch(m->thinking);
		touch(m->call_id);
		for (k = 0; k < m->ncalls; k++) {
			touch(m->calls[k].id);
			touch(m->calls[k].name);
			touch(m->calls[k].args);
			if (m->calls[k].name.n == 0)
				abort();
		}
	}
	for (i = 0; i < q->chat.ntools; i++) {
		touch(q->chat.tools[i].name);
		touch(q->chat.tools[i].description);
		touch(q->tool[i].name);
		touch(q->tool[i].space);
		if (q->chat.tools[i].schema.n > 0)
			want_json(q->chat.tools[i].schema.p,
			    q->chat.tools[i].schema.n);
	}
	for (i = 0; i < q->nstop; i++)
		touch(q->stop[i]);
	touch(q->tool_name);
	touch(q->prompt);
	if (q->schema.n > 0)
		want_json(q->schema.p, q->schema.n);
}

static void
render(const struct api_request *q)
{
	struct error err;
	int f;

	for (f = CHAT_NONE + 1; f < CHAT_FAMILIES; f++) {
		cleanup_prompt struct prompt p = { 0 };

		if (template_render((enum chat_family)f, &q->chat, &p, &err) <
		    0)
			err.msg[0] = '\0';
	}
}

static void
say(struct api_reply *a, enum gen_event_type type, const char *p, size_t n,
    uint8_t how, struct buf *out)
{
	struct gen_event e = { .type = type,
		.p = p,
		.n = n,
		.call_id = "call_x",
		.all = how,
		.eta_ms = how,
		.queue_position = how & 1,
		.stop = how & 2 ? "stop" : NULL,
		.finish = (enum gen_finish)(GEN_STOP + how % GEN_DEADLINE),
		.usage = { .prompt = how, .cached = 200, .sampled = 3 } };

	api_reply_event(a, &e, out);
}

static void
answer(const struct api_request *q, const char *p, size_t n, uint8_t how)
{
	cleanup_buf struct buf out = { 0 };
	struct api_reply *a = api_reply_new(q, "id", q->model, how);
	struct chat_text name = q->chat.ntools > 0
				    ? q->chat.tools[how % q->chat.ntools].name
				    : (struct chat_text){ p, n < 8 ? n : 8 };
	size_t half = n / 2;

	if (how & 4)
		say(a, GEN_PROGRESS, NULL, 0, how, &out);
	if (how & 8)
		say(a, GEN_THINKING, p, half, how, &out);
	if (how & 16) {
		say(a, GEN_TEXT, p, half, how, &out);
		say(a, GEN_TEXT, p + half, n - half, how, &out);
	}
	if (how & 32) {
		say(a, GEN_CALL_BEGIN, name.p, name.n, how, &out);
		say(a, GEN_CALL_ARGS, p, half, how, &out);
		say(a, GEN_CALL_ARGS, p + half, n - half, how, &out);
		say(a, GEN_CALL_END, NULL, 0, how, &out);
	}
	if (how & 64)
		say(a, GEN_TEXT, p, n, how, &out);
	say(a, GEN_END, p, n, how, &out);
	api_reply_free(a);
	if (q->kind == API_COUNT_TOKENS)
		return;
	if (q->stream)
		want_events((const char *)buf_head(&out), buf_len(&out));
	else
		want_json((const char *)buf_head(&out), buf_len(&out));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *body = (const char *)data + 2;
	cleanup_buf struct buf b = { 0 };
	struct api_request q;
	struct api_error err;
	enum api_kind kind;

	if (size < 2)
		return 0;
	kind = (enum api_kind)(data[0] % (API_OTHER + 1));
	if (api_read(kind, body, size - 2, &q, &err) < 0) {
		if (err.status != 400 || err.message[0] == '\0')
			abort();
		api_error_body(kind, &err, &b);
		want_json((const char *)buf_head(&b), buf_len(&b));
	} else {
		look(&q);
		render(&q);
		answer(&q, body, size - 2, data[1]);
	}
	api_request_free(&q);
	return 0;
}
