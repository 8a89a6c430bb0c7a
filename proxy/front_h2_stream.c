#include "proxy/front_h2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/front_grpc.h"

/* Fields of a response: those of the origin and :status, Content-Length. */
#define NV_MAX (WIRE_FIELDS_MAX + 2)

static struct h2_stream *
stream_of(struct exchange *ex)
{
	return (struct h2_stream *)ex;
}

static nghttp2_session *
session_of(const struct h2_stream *st)
{
	return st->ex.c->h2->s;
}

static void
request_free(struct h2_stream *st)
{
	free(st->method);
	free(st->scheme);
	free(st->authority);
	free(st->path);
	free(st->protocol);
	st->method = st->scheme = st->authority = st->path = st->protocol =
	    NULL;
	fields_free(&st->fields);
	buf_free(&st->cookie);
}

struct h2_stream *
h2_stream_new(struct conn *c, int32_t id)
{
	struct h2_stream *st = xcalloc(1, sizeof(*st));

	st->ex.c = c;
	st->id = id;
	st->moved = ev_now_ms();
	st->next = c->h2->streams;
	if (st->next != NULL)
		st->next->prev = st;
	c->h2->streams = st;
	return st;
}

void
h2_stream_free(struct conn *c, struct h2_stream *st)
{
	exchange_abort(&st->ex, "the agent gave the request up");
	if (st->prev != NULL)
		st->prev->next = st->next;
	else
		c->h2->streams = st->next;
	if (st->next != NULL)
		st->next->prev = st->prev;
	request_free(st);
	rsp_head_free(&st->late);
	fields_free(&st->trailers);
	c->waiting -= buf_len(&st->out);
	buf_free(&st->out);
	free(st);
}

/* ---- what the agent is told -------------------------------------------- */

static void
put_nv(nghttp2_nv *nva, size_t *n, const char *name, const char *value)
{
	nva[(*n)++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

static void
put_body(struct h2_stream *st, const void *p, size_t n)
{
	if (buf_len(&st->out) == 0)
		st->moved = ev_now_ms();
	buf_put(&st->out, p, n);
	st->ex.c->waiting += n;
}

static void
reset(struct h2_stream *st, uint32_t code)
{
	nghttp2_submit_rst_stream(
	    session_of(st), NGHTTP2_FLAG_NONE, st->id, code);
	conn_schedule(st->ex.c);
}

static ssize_t
read_data(nghttp2_session *s, int32_t id, uint8_t *to, size_t max,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *st = nghttp2_session_get_stream_user_data(s, id);
	size_t n;

	if (st == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = buf_len(&st->out);
	if (n == 0 && !st->ended) {
		st->waits = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > max)
		n = max;
	if (n > 0)
		*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n < buf_len(&st->out) || !st->ended)
		return (ssize_t)n;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (st->trailers.n > 0) {
		nghttp2_nv nva[NV_MAX];
		size_t k = 0;

		for (size_t i = 0; i < st->trailers.n; i++)
			put_nv(nva, &k, st->trailers.f[i].name,
			    st->trailers.f[i].value);
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(s, id, nva, k) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

static void
resume(struct h2_stream *st)
{
	if (st->waits) {
		st->waits = false;
		nghttp2_session_resume_data(session_of(st), st->id);
	}
	conn_schedule(st->ex.c);
}

/* The head of the response; body says if DATA frames or trailers follow. */
static void
submit(struct h2_stream *st, const struct rsp_head *h, bool body)
{
	static const nghttp2_data_provider data = { .read_callback =
							read_data };
	nghttp2_nv nva[NV_MAX];
	char status[8], length[24];
	size_t n = 0;

	snprintf(status, sizeof(status), "%u", h->status);
	put_nv(nva, &n, ":status", status);
	for (size_t i = 0; i < h->fields.n; i++)
		put_nv(nva, &n, h->fields.f[i].name, h->fields.f[i].value);
	if (h->kind == BODY_LENGTH && h->status != 204) {
		snprintf(length, sizeof(length), "%llu",
		    (unsigned long long)h->length);
		put_nv(nva, &n, "content-length", length);
	}
	st->started = true;
	st->moved = ev_now_ms();
	if (nghttp2_submit_response(
		session_of(st), st->id, nva, n, body ? &data : NULL) != 0)
		reset(st, NGHTTP2_INTERNAL_ERROR);
	conn_schedule(st->ex.c);
}

/* json ends with a newline. */
static void
answer(struct h2_stream *st, unsigned int status, const char *json, size_t n)
{
	struct rsp_head h = {
		.status = (uint16_t)status, .kind = BODY_LENGTH, .length = n
	};
	bool body = !st->ex.head && !st->grpc && n > 0;

	st->ended = true;
	st->ex.tunnel = false;
	if (st->started) {
		reset(st, NGHTTP2_INTERNAL_ERROR);
		return;
	}
	if (st->grpc) {
		grpc_refusal(&h.fields, status, json, n > 0 ? n - 1 : 0);
		h.status = 200;
		h.kind = BODY_NONE;
	} else
		answer_fields(&h.fields, status);
	if (body)
		put_body(st, json, n);
	submit(st, &h, body);
	fields_free(&h.fields);
}

static void
refuse(struct h2_stream *st, const struct refusal *r)
{
	cleanup_buf struct buf b = { 0 };

	exchange_abort(&st->ex, r->reason);
	refusal_body(&b, r);
	answer(st, r->status, (const char *)buf_head(&b), buf_len(&b));
}

static void
refuse_bad(struct h2_stream *st, unsigned int status, const char *why)
{
	conn_event(st->ex.c, FRONT_BAD_HTTP, why);
	refuse(st,
	    &(struct refusal){ status, "bad_request", why,
		"Send the request as RFC 9113 defines it; this proxy refuses "
		"what could be read in two ways." });
}

/* ---- what the agent says ----------------------------------------------- */

static void
pseudo(struct h2_stream *st, const char *name, size_t nlen, const char *value,
    size_t vlen)
{
	const struct {
		const char *name;
		char **to;
	} all[] = { { ":method", &st->method }, { ":scheme", &st->scheme },
		{ ":authority", &st->authority }, { ":path", &st->path },
		{ ":protocol", &st->protocol } };

	for (size_t i = 0; i < nitems(all); i++)
		if (nlen == strlen(all[i].name) &&
		    memcmp(name, all[i].name, nlen) == 0 && *all[i].to == NULL)
			*all[i].to = xstrndup(value, vlen);
}

void
h2_stream_field(struct h2_stream *st, const char *name, size_t nlen,
    const char *value, size_t vlen)
{
	if (st->ended)
		return;
	/* RFC 9113 section 6.5.2 counts so. */
	st->head_bytes += nlen + vlen + 32;
	if (st->too_large || st->head_bytes > FRONT_H2_HEAD_MAX ||
	    st->fields.n >= WIRE_FIELDS_MAX) {
		st->too_large = true;
		return;
	}
	if (name[0] == ':') {
		pseudo(st, name, nlen, value, vlen);
	} else if (nlen == 6 && memcmp(name, "cookie", 6) == 0) {
		/* Of an empty crumb a blank at the end would be left. */
		if (buf_len(&st->cookie) > 0 && vlen > 0)
			buf_put(&st->cookie, "; ", 2);
		buf_put(&st->cookie, value, vlen);
	} else {
		fields_add(&st->fields, name, nlen, value, vlen);
	}
}

/* NULL, or why the pseudo-fields and Host cannot be taken. */
static const char *
check_head(struct h2_stream *st)
{
	size_t hosts;
	const char *host = fields_get(&st->fields, "host", &hosts);

	if (st->method == NULL || st->scheme == NULL || st->path == NULL ||
	    !http_is_token(st->method, strlen(st->method)) ||
	    strlen(st->method) > WIRE_METHOD_MAX)
		return "the method, scheme or path is missing or malformed";
	if ((strcmp(st->scheme, "https") == 0) != (st->ex.c->tls != NULL))
		return "the scheme of the target is not that of the connection";
	if (hosts > 1)
		return "more than one Host field";
	if (st->authority == NULL && host != NULL)
		st->authority = xstrdup(host);
	if (st->authority == NULL || !wire_is_authority(st->authority))
		return "the authority is missing or malformed";
	if (host != NULL && strcasecmp(host, st->authority) != 0)
		return "the authority of the target is not that of Host";
	if (!wire_is_target(st->path) || strlen(st->path) > P_URL_MAX)
		return "the path has a character that must be "
		       "percent-encoded, or is too long";
	if (strcmp(st->path, "*") == 0 && strcmp(st->method, "OPTIONS") != 0)
		return "request target does not suit the method";
	return NULL;
}

/* How the body is framed; NULL, or what is wrong. */
static const char *
check_framing(struct h2_stream *st, bool end, struct req_head *h)
{
	size_t lengths, expects;
	const char *length =
	    fields_get(&st->fields, "content-length", &lengths);
	const char *expect = fields_get(&st->fields, "expect", &expects);

	h->kind = end ? BODY_NONE : BODY_STREAM;
	if (lengths > 1)
		return "more than one Content-Length";
	if (length != NULL) {
		if (str_to_u64(length, 0, INT64_MAX, &h->length) < 0)
			return "malformed Content-Length";
		h->kind = BODY_LENGTH;
	}
	if (end && h->length > 0)
		return "a Content-Length without a body";
	if (expects > 0) {
		if (expects > 1 || strcasecmp(expect, "100-continue") != 0)
			return "unknown expectation";
		h->expect_continue = !end;
	}
	return NULL;
}

/* RFC 8441: a request to become a WebSocket, in the one form back knows. */
static const struct refusal *
begin_ws(struct h2_stream *st, bool end, struct req_head *h)
{
	static const struct refusal bad = { 400, "bad_request",
		"malformed WebSocket handshake",
		"Send it as RFC 8441 section 5 defines it." };
	static char method[] = "GET", protocol[] = WIRE_WEBSOCKET;

	if (strcmp(st->protocol, protocol) != 0)
		return &refusal_upgrade;
	if (end || h->kind != BODY_STREAM || strcmp(st->method, "CONNECT") != 0)
		return &bad;
	h->method = method;
	h->protocol = protocol;
	st->ex.tunnel = true;
	return ws_version(&st->fields);
}

void
h2_stream_head(struct h2_stream *st, bool end)
{
	static char none[] = "";
	struct req_head h = { .protocol = none };
	const struct refusal *no = NULL;
	const char *why;

	st->head_done = true;
	st->ex.c->used = true;
	st->grpc = grpc_is_call(&st->fields);
	if (st->too_large) {
		refuse_bad(st, 431, "header section is too large");
		return;
	}
	st->ex.head = st->method != NULL && strcmp(st->method, "HEAD") == 0;
	if (st->method != NULL && strcmp(st->method, "CONNECT") == 0 &&
	    st->protocol == NULL) {
		refuse(st, &refusal_connect);
		return;
	}
	why = check_head(st);
	if (why == NULL)
		why = check_framing(st, end, &h);
	if (why != NULL) {
		refuse_bad(st, 400, why);
		return;
	}
	if (buf_len(&st->cookie) > 0)
		fields_add(&st->fields, "cookie", 6,
		    (const char *)buf_head(&st->cookie), buf_len(&st->cookie));
	h.method = st->method;
	if (st->protocol != NULL)
		no = begin_ws(st, end, &h);
	if (no != NULL) {
		refuse(st, no);
		return;
	}
	h.authority = st->authority;
	h.target = st->path;
	h.fields = st->fields;
	memset(&st->fields, 0, sizeof(st->fields));
	no = request_begin(&st->ex, &h);
	fields_free(&h.fields);
	request_free(st);
	if (no != NULL)
		refuse(st, no);
	else if (end)
		h2_stream_end(st);
	st->head_bytes = 0;
}

void
h2_stream_trailers(struct h2_stream *st)
{
	const struct refusal *no;

	if (st->ex.serial == 0 || st->ex.req_done)
		return;
	if (st->too_large) {
		refuse_bad(st, 431, "trailers are too large");
		return;
	}
	for (size_t i = 0; i < st->fields.n; i++)
		if (!wire_is_trailer(st->fields.f[i].name)) {
			refuse_bad(st, 400, "forbidden trailer field");
			return;
		}
	no = request_end(&st->ex, &st->fields);
	fields_free(&st->fields);
	if (no != NULL)
		refuse(st, no);
}

void
h2_stream_data(struct h2_stream *st, const uint8_t *p, size_t n)
{
	if (st->ex.serial == 0 || st->ex.req_done)
		return;
	/* The window is never more than the credit. */
	if (n > st->ex.tx_credit) {
		exchange_abort(&st->ex, "too much data");
		reset(st, NGHTTP2_FLOW_CONTROL_ERROR);
		return;
	}
	st->owed += n;
	st->moved = ev_now_ms();
	exchange_send_body(&st->ex, p, n);
}

void
h2_stream_end(struct h2_stream *st)
{
	static const struct fields none;

	if (st->ex.serial != 0 && !st->ex.req_done)
		request_end(&st->ex, &none);
	st->ex.req_done = true;
	/* The other half of a tunnel has ended before. */
	if (st->ended)
		exchange_end(&st->ex);
}

void
h2_stream_stalled(struct h2_stream *st)
{
	exchange_abort(&st->ex, "the agent neither sends nor reads");
	reset(st, st->answered ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
}

/* ---- what back says ---------------------------------------------------- */

void
h2_on_continue(struct exchange *ex)
{
	struct h2_stream *st = stream_of(ex);
	nghttp2_nv nv;
	size_t n = 0;

	put_nv(&nv, &n, ":status", "100");
	st->moved = ev_now_ms();
	nghttp2_submit_headers(
	    session_of(st), NGHTTP2_FLAG_NONE, st->id, NULL, &nv, n, NULL);
	conn_schedule(ex->c);
}

void
h2_on_head(struct exchange *ex, struct rsp_head *h)
{
	struct h2_stream *st = stream_of(ex);

	if (h->status == 101)
		h->status = 200;
	if (ex->kind != BODY_NONE) {
		submit(st, h, true);
		return;
	}
	/*
	 * Its head ends the stream, which may be the end of the exchange: told
	 * when back has ended it, too.
	 */
	st->late = *h;
	memset(h, 0, sizeof(*h));
}

void
h2_on_body(struct exchange *ex, const uint8_t *p, size_t n)
{
	struct h2_stream *st = stream_of(ex);

	put_body(st, p, n);
	resume(st);
}

void
h2_on_end(struct exchange *ex, const struct fields *trailers)
{
	struct h2_stream *st = stream_of(ex);

	for (size_t i = 0; i < trailers->n; i++)
		fields_add(&st->trailers, trailers->f[i].name,
		    strlen(trailers->f[i].name), trailers->f[i].value,
		    strlen(trailers->f[i].value));
	if (!ex->tunnel || ex->req_done)
		exchange_end(ex);
	st->ended = true;
	if (st->started)
		resume(st);
	else
		submit(st, &st->late, st->trailers.n > 0);
}

void
h2_on_deny(struct exchange *ex, unsigned int status, const char *json, size_t n,
    bool close)
{
	answer(stream_of(ex), status, json, n);
}

void
h2_on_fail(struct exchange *ex, const struct refusal *r)
{
	refuse(stream_of(ex), r);
}

void
h2_on_credit(struct exchange *ex, size_t n)
{
	struct h2_stream *st = stream_of(ex);
	size_t k = n < st->owed ? n : st->owed;

	if (k == 0 || ex->req_done)
		return;
	st->owed -= k;
	st->moved = ev_now_ms();
	if (nghttp2_session_consume_stream(session_of(st), st->id, k) != 0)
		reset(st, NGHTTP2_INTERNAL_ERROR);
	conn_schedule(ex->c);
}
