#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/upstream_int.h"

#define FIELD_OVERHEAD 32u /* of a field in a header list (RFC 9113 6.5.2) */

static struct upstream *
user_of(nghttp2_session *h2, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(h2, stream);
}

/* Found in the middle of a frame: uc2_settle() ends the exchange. */
static int
broken(struct upstream *u, const char *why)
{
	if (!u->broken)
		strlcpy(u->why, why, sizeof(u->why));
	u->broken = true;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* ---- control frames ---------------------------------------------------- */

/* False when the peer sends more of what says nothing than anyone needs. */
static bool
bear(struct upstream_conn *c)
{
	uint64_t now, off;

	if (++c->noise <= UPSTREAM_NOISE_MAX)
		return true;
	now = ev_now_ms();
	off = (now - c->noise_at) * UPSTREAM_NOISE_PER_S / 1000;
	c->noise_at = now;
	c->noise -= off < c->noise ? off : c->noise;
	return c->noise <= UPSTREAM_NOISE_MAX;
}

static void
forgive(struct upstream_conn *c, uint64_t n)
{
	c->noise -= n < c->noise ? n : c->noise;
}

static int
on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *hd, void *arg)
{
	struct upstream_conn *c = arg;

	(void)h2;
	if (c->state != UC_OPEN)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION)
		return 0;
	if (bear(c))
		return 0;
	c->flooded = true;
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int
on_frame_send(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct upstream_conn *c = arg;

	(void)h2;
	/* Each may be answered by updates of two windows. */
	if (f->hd.type == NGHTTP2_DATA)
		forgive(c, 4);
	return 0;
}

/* ---- heads ------------------------------------------------------------- */

static int
on_begin_headers(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct upstream *u = user_of(h2, f->hd.stream_id);

	(void)arg;
	/* Also what was promised: nothing is to be pushed. */
	if (u == NULL || f->hd.type != NGHTTP2_HEADERS)
		return f->hd.type == NGHTTP2_HEADERS
			   ? 0
			   : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	fields_free(&u->fields);
	u->head_bytes = 0;
	u->have_length = false;
	u->got_bytes = true;
	return 0;
}

static int
on_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name,
    size_t nlen, const uint8_t *value, size_t vlen, uint8_t flags, void *arg)
{
	struct upstream *u = user_of(h2, f->hd.stream_id);
	const char *n = (const char *)name, *v = (const char *)value;
	uint64_t status;

	(void)flags;
	(void)arg;
	if (u == NULL || u->broken)
		return 0;
	u->head_bytes += nlen + vlen + FIELD_OVERHEAD;
	if (u->head_bytes > (u->headed ? HTTP_TRAILERS_MAX : HTTP_HEAD_MAX))
		return broken(u, "the server's header section is too large");
	/* The library has checked that it is three digits, and there once. */
	if (nlen > 0 && n[0] == ':') {
		u->status = 0;
		if (nlen == 7 && memcmp(n, ":status", 7) == 0 &&
		    str_to_u64(v, 100, 999, &status) == 0)
			u->status = (unsigned int)status;
		return 0;
	}
	if (nlen > WIRE_NAME_MAX || vlen > WIRE_VALUE_MAX ||
	    u->fields.n >= WIRE_FIELDS_MAX)
		return broken(u, "the server's header section is too large");
	if (!http_is_token(n, nlen) || !wire_is_value(v, vlen))
		return broken(u, "the server sent a malformed header field");
	if (nlen == 14 && memcmp(n, "content-length", 14) == 0) {
		u->have_length = str_to_u64(v, 0, INT64_MAX, &u->length) == 0;
		return 0;
	}
	fields_add(&u->fields, n, nlen, v, vlen);
	return 0;
}

/* What the library would leave out in silence. */
static int
on_invalid_header(nghttp2_session *h2, const nghttp2_frame *f,
    const uint8_t *name, size_t nlen, const uint8_t *value, size_t vlen,
    uint8_t flags, void *arg)
{
	struct upstream *u = user_of(h2, f->hd.stream_id);

	(void)name;
	(void)nlen;
	(void)value;
	(void)vlen;
	(void)flags;
	(void)arg;
	if (u == NULL)
		return 0;
	return broken(u, "the server sent a malformed header field");
}

static void
give_head(struct upstream *u, bool end)
{
	struct rsp_head h = { .status = (uint16_t)u->status,
		.fields = u->fields };
	bool none = u->to_head || u->status == 304;

	memset(&u->fields, 0, sizeof(u->fields));
	h.reason = xstrdup("");
	if (u->status == 204)
		h.kind = BODY_NONE;
	else if (u->have_length)
		h.kind = BODY_LENGTH;
	else
		h.kind = end || none ? BODY_NONE : BODY_STREAM;
	h.length = h.kind == BODY_LENGTH ? u->length : 0;
	fields_strip_hop(&h.fields);
	u->headed = true;
	u->ops->head(u->arg, &h);
	rsp_head_free(&h);
}

static int
take_headers(struct upstream *u, bool end)
{
	if (u->headed) {
		for (size_t i = 0; i < u->fields.n; i++)
			if (!wire_is_trailer(u->fields.f[i].name))
				return broken(u, "forbidden trailer field");
		return 0;
	}
	if (u->status / 100 == 1) {
		fields_free(&u->fields);
		return up_interim(u) ? 0 : broken(u, u->why);
	}
	if (u->status == 0)
		return broken(u, "the server's response has no status");
	give_head(u, end);
	return 0;
}

static int
on_frame_recv(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct upstream_conn *c = arg;
	struct upstream *u;
	bool end = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

	if (f->hd.type == NGHTTP2_GOAWAY)
		c->draining = true;
	if (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA)
		return 0;
	u = user_of(h2, f->hd.stream_id);
	if (u == NULL || u->broken)
		return 0;
	up_alive(u);
	if (f->hd.type == NGHTTP2_HEADERS && take_headers(u, end) != 0)
		return 0;
	if (c->state != UC_OPEN)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	if (end && u->state == UP_OPEN)
		u->complete = true;
	return 0;
}

/* ---- bodies ------------------------------------------------------------ */

static int
on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *p,
    size_t n, void *arg)
{
	struct upstream_conn *c = arg;
	struct upstream *u = user_of(h2, stream);
	size_t used;

	(void)flags;
	forgive(c, 1);
	/* One slow user holds up its own stream only. */
	(void)nghttp2_session_consume_connection(h2, n);
	if (u == NULL || u->broken)
		return 0;
	u->data_bytes += n;
	if (!u->blocked && buf_len(&u->rx) == 0) {
		used = u->ops->data(u->arg, p, n);
		if (c->state != UC_OPEN)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		if (u->state != UP_OPEN)
			return 0;
		(void)nghttp2_session_consume_stream(h2, stream, used);
		u->blocked = used < n;
		p += used;
		n -= used;
	}
	/* Not consumed, so never more than the window of a stream. */
	buf_put(&u->rx, p, n);
	return 0;
}

void
uc2_deliver(struct upstream *u)
{
	while (buf_len(&u->rx) > 0 && !u->blocked) {
		size_t n = buf_len(&u->rx), used;

		if (n > WIRE_PIECE)
			n = WIRE_PIECE;
		used = u->ops->data(u->arg, buf_head(&u->rx), n);
		if (u->state != UP_OPEN)
			return;
		buf_consume(&u->rx, used);
		if (u->conn != NULL && u->stream > 0)
			(void)nghttp2_session_consume_stream(
			    u->conn->h2, u->stream, used);
		u->blocked = used < n;
	}
	if (buf_len(&u->rx) > 0)
		return;
	up_wipe(&u->rx);
	if (u->complete && !u->told)
		up_done(u, &u->fields);
}

/* ---- ends -------------------------------------------------------------- */

/*
 * A reset without an error says that the response is complete (RFC 9113
 * section 8.1).  node sends it in place of the empty frame that would end the
 * stream, when both are due at the same time.
 */
static bool
may_be_whole(const struct upstream *u)
{
	return u->headed && !u->broken && u->state == UP_OPEN &&
	       (!u->have_length || u->to_head || u->data_bytes == u->length);
}

static int
on_stream_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *arg)
{
	struct upstream_conn *c = arg;
	struct upstream *u = user_of(h2, stream);
	char why[96];

	if (u == NULL)
		return 0;
	u->stream = 0;
	if (u->complete)
		return 0;
	if (code == NGHTTP2_NO_ERROR && may_be_whole(u)) {
		u->complete = true;
		return 0;
	}
	if (code == NGHTTP2_HTTP_1_1_REQUIRED)
		note_origin(&c->pool->h1_only, c->host, c->port);
	u->refused =
	    code == NGHTTP2_REFUSED_STREAM || code == NGHTTP2_HTTP_1_1_REQUIRED;
	snprintf(why, sizeof(why), "the server ended the stream: %s",
	    nghttp2_http2_strerror(code));
	(void)broken(u, why);
	return 0;
}

static int
on_invalid_frame(
    nghttp2_session *h2, const nghttp2_frame *f, int code, void *arg)
{
	struct upstream_conn *c = arg;
	struct upstream *u =
	    f->hd.stream_id == 0 ? NULL : user_of(h2, f->hd.stream_id);

	strlcpy(c->why, nghttp2_strerror(code), sizeof(c->why));
	if (u != NULL && !u->broken)
		(void)broken(u, "the server's HTTP/2 message is malformed");
	return 0;
}

bool
uc2_settle(struct upstream_conn *c)
{
	struct upstream *u;

	while (c->state == UC_OPEN) {
		for (u = c->users; u != NULL; u = u->next)
			if (u->broken ||
			    (u->complete && !u->told && !u->blocked))
				break;
		if (u == NULL)
			return true;
		if (u->broken) {
			char why[sizeof(u->why)];

			strlcpy(why, u->why, sizeof(why));
			up_fail(u, UPSTREAM_BROKEN, why);
		} else {
			uc2_deliver(u);
		}
	}
	return false;
}

/* The session has ended itself. */
void
uc2_over(struct upstream_conn *c)
{
	char why[160];

	snprintf(why, sizeof(why), "the HTTP/2 connection ended%s%s",
	    c->why[0] != '\0' ? ": " : "", c->why);
	uc_fail(c, UPSTREAM_BROKEN, why);
}

bool
uc2_input(struct upstream_conn *c)
{
	ssize_t n;

	if (c->state != UC_OPEN)
		return false;
	if (buf_len(&c->in) == 0)
		return true;
	n = nghttp2_session_mem_recv(c->h2, buf_head(&c->in), buf_len(&c->in));
	if (c->state != UC_OPEN)
		return false;
	/* An origin may repeat a secret. */
	explicit_bzero(c->in.data, c->in.len);
	buf_clear(&c->in);
	if (c->flooded)
		strlcpy(c->why, "a flood of control frames", sizeof(c->why));
	else if (n < 0)
		strlcpy(c->why, nghttp2_strerror((int)n), sizeof(c->why));
	/* What came before it counts. */
	if (!uc2_settle(c))
		return false;
	if (n < 0) {
		uc2_over(c);
		return false;
	}
	return true;
}

void
uc2_eof(struct upstream_conn *c)
{
	uc_fail(c, UPSTREAM_BROKEN, "the server closed the HTTP/2 connection");
}

void
uc2_set_callbacks(nghttp2_session_callbacks *cbs)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(
	    cbs, on_begin_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(
	    cbs, on_frame_send);
	nghttp2_session_callbacks_set_on_begin_headers_callback(
	    cbs, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cbs, on_header);
	nghttp2_session_callbacks_set_on_invalid_header_callback(
	    cbs, on_invalid_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(
	    cbs, on_frame_recv);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
	    cbs, on_invalid_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cbs, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(
	    cbs, on_stream_close);
}
