#include "tests/inferd/api_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"

static char *
quoted(const char *json)
{
	char *s = xstrdup(json), *p;

	for (p = s; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	return s;
}

static void
put(struct buf *b, const char *before, struct chat_text t, const char *behind)
{
	buf_put(b, before, strlen(before));
	if (t.n > 0)
		buf_put(b, t.p, t.n);
	buf_put(b, behind, strlen(behind));
}

static void
show_message(const struct chat_message *m, struct buf *b)
{
	size_t i;

	buf_printf(b, "%s%c:", buf_len(b) > 0 ? " | " : "", "SUAT"[m->role]);
	if (m->call_id.n > 0)
		put(b, "<", m->call_id, " ");
	if (m->thinking.n > 0)
		put(b, "?", m->thinking, " ");
	put(b, "", m->text, "");
	for (i = 0; i < m->ncalls; i++) {
		put(b, "(", m->calls[i].id, " ");
		put(b, "", m->calls[i].name, " ");
		put(b, "", m->calls[i].args, ")");
	}
}

static void
show_tool(const struct api_request *q, size_t i, struct buf *b)
{
	const struct chat_tool *t = &q->chat.tools[i];

	put(b, i > 0 ? "; " : " # ", t->name, "");
	if (q->tool[i].space.n > 0) {
		put(b, "=", q->tool[i].space, "");
		put(b, "/", q->tool[i].name, "");
	}
	if (t->description.n > 0)
		put(b, " ~", t->description, "");
	if (t->schema.n > 0)
		put(b, " ", t->schema, "");
	buf_printf(b, "%s%s", q->tool[i].strict ? " strict" : "",
	    q->tool[i].custom ? " custom" : "");
}

char *
api_run(enum api_kind kind, const char *json)
{
	cleanup_free char *body = quoted(json);
	cleanup_buf struct buf b = { 0 };
	struct api_request q;
	struct api_error err;
	size_t i;

	if (api_read(kind, body, strlen(body), &q, &err) < 0) {
		assert_int_not_equal(err.status, 0);
		buf_printf(&b, "%d %s: %s", err.status, err.param, err.message);
	} else {
		assert_int_equal(err.status, 0);
		for (i = 0; i < q.chat.nmessages; i++)
			show_message(&q.chat.messages[i], &b);
		for (i = 0; i < q.chat.ntools; i++)
			show_tool(&q, i, &b);
	}
	api_request_free(&q);
	buf_put_u8(&b, 0);
	return xstrdup((const char *)buf_head(&b));
}

void
api_run_request(enum api_kind kind, const char *json, struct api_request *out)
{
	cleanup_free char *body = quoted(json);
	struct api_error err;

	if (api_read(kind, body, strlen(body), out, &err) < 0)
		fail_msg("%s: %s", err.param, err.message);
}
