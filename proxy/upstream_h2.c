#include <malloc.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/str.h"
#include "proxy/upstream_int.h"

#define PSEUDO_MAX 6u /* four, te and content-length */
#define SEND_HEAD_MAX (128u * 1024)
#define FILL_SIZE (16u * 1024 + 64) /* one full frame */

/* ---- memory ------------------------------------------------------------ */

/* Heads with secrets pass through the library's buffers. */
static void
lib_free(void *p, void *arg)
{
	(void)arg;
	if (p != NULL)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *
lib_malloc(size_t n, void *arg)
{
	(void)arg;
	return xmalloc(n > 0 ? n : 1);
}

static void *
lib_calloc(size_t n, size_t size, void *arg)
{
	(void)arg;
	return xcalloc(n > 0 ? n : 1, size > 0 ? size : 1);
}

static void *
lib_realloc(void *p, size_t n, void *arg)
{
	size_t have = p != NULL ? malloc_usable_size(p) : 0;
	void *q;

	if (n <= have && n > 0)
		return p;
	q = lib_malloc(n, arg);
	if (p != NULL)
		memcpy(q, p, have < n ? have : n);
	lib_free(p, arg);
	return q;
}

/* ---- the session ------------------------------------------------------- */

static nghttp2_option *
make_options(void)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o) != 0)
		fatalx("no memory for HTTP/2");
	/* A window opens again only as the user takes what came. */
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_peer_max_concurrent_streams(o, UPSTREAM_STREAMS_MAX);
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
	nghttp2_option_set_max_send_header_block_length(o, SEND_HEAD_MAX);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_outbound_ack(o, UPSTREAM_ACKS_MAX);
	nghttp2_option_set_max_settings(o, UPSTREAM_SETTINGS_MAX);
#ifdef HAVE_NGHTTP2_OPTION_SET_MAX_CONTINUATIONS
	nghttp2_option_set_max_continuations(o, UPSTREAM_CONTINUATIONS_MAX);
#endif
	return o;
}

void
uc2_open(struct upstream_conn *c)
{
	static nghttp2_mem mem = { NULL, lib_malloc, lib_free, lib_calloc,
		lib_realloc };
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
		    UPSTREAM_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX },
	};
	nghttp2_option *o = make_options();
	nghttp2_session_callbacks *cbs;

	if (nghttp2_session_callbacks_new(&cbs) != 0)
		fatalx("no memory for HTTP/2");
	uc2_set_callbacks(cbs);
	if (nghttp2_session_client_new3(&c->h2, cbs, c, o, &mem) != 0 ||
	    nghttp2_submit_settings(
		c->h2, NGHTTP2_FLAG_NONE, settings, nitems(settings)) != 0 ||
	    nghttp2_session_set_local_window_size(
		c->h2, NGHTTP2_FLAG_NONE, 0, UPSTREAM_CONN_WINDOW) != 0)
		fatalx("no memory for HTTP/2");
	nghttp2_session_callbacks_del(cbs);
	nghttp2_option_del(o);
	c->noise_at = ev_now_ms();
}

static void
on_free(void *arg)
{
	struct upstream_conn *c = arg;

	nghttp2_session_del(c->h2);
	free(c);
}

void
uc2_free(struct upstream_conn *c)
{
	/* The library may be up the stack. */
	ev_defer(c->pool->ev, on_free, c);
}

bool
uc2_has_room(const struct upstream_conn *c)
{
	uint32_t max = nghttp2_session_get_remote_settings(
	    c->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	if (max > UPSTREAM_STREAMS_MAX)
		max = UPSTREAM_STREAMS_MAX;
	return !c->draining && c->nusers < max &&
	       nghttp2_session_check_request_allowed(c->h2) != 0;
}

bool
uc2_is_over(const struct upstream_conn *c)
{
	if (nghttp2_session_want_write(c->h2) != 0)
		return false;
	return nghttp2_session_want_read(c->h2) == 0 ||
	       (c->draining && c->users == NULL);
}

bool
uc2_goodbye(struct upstream_conn *c)
{
	return nghttp2_session_terminate_session(c->h2, NGHTTP2_NO_ERROR) ==
		   0 &&
	       uc2_fill(c);
}

bool
uc2_fill(struct upstream_conn *c)
{
	const uint8_t *p;
	ssize_t n;

	while (buf_len(&c->out) < UPSTREAM_OUT_HIGH) {
		n = nghttp2_session_mem_send(c->h2, &p);
		if (n == 0)
			break;
		if (n < 0) {
			uc_fail(c, UPSTREAM_BROKEN, nghttp2_strerror((int)n));
			return false;
		}
		up_reserve(
		    &c->out, (size_t)n > FILL_SIZE ? (size_t)n : FILL_SIZE);
		buf_put(&c->out, p, (size_t)n);
		/* The library keeps this memory for the next frame. */
		explicit_bzero((void *)(uintptr_t)p, (size_t)n);
	}
	return uc2_settle(c);
}

/* ---- request ----------------------------------------------------------- */

static nghttp2_nv
pair(const char *name, const char *value, bool secret)
{
	nghttp2_nv nv = { (uint8_t *)(uintptr_t)name,
		(uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
		secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE };

	return nv;
}

/* Never more of out than the peer's window takes. */
static ssize_t
on_read(nghttp2_session *h2, int32_t stream, uint8_t *p, size_t n,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct upstream *u = nghttp2_session_get_stream_user_data(h2, stream);
	nghttp2_nv nva[WIRE_FIELDS_MAX];
	size_t k = 0;

	(void)source;
	(void)arg;
	if (u == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (n > buf_len(&u->out))
		n = buf_len(&u->out);
	if (n == 0 && !u->ended) {
		u->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n > 0) {
		memcpy(p, buf_head(&u->out), n);
		explicit_bzero(buf_head(&u->out), n);
		buf_consume(&u->out, n);
		up_alive(u);
	}
	if (buf_len(&u->out) > 0 || !u->ended)
		return (ssize_t)n;
	up_wipe(&u->out);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	for (; k < u->trailers.n && k < nitems(nva); k++) {
		const struct field *f = &u->trailers.f[k];

		nva[k] = pair(f->name, f->value, f->secret);
	}
	if (k > 0) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(h2, stream, nva, k) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

/* TE ends at each hop, but gRPC needs it to be said on this one, too. */
static bool
is_grpc(const struct fields *fs)
{
	const char *type = fields_get(fs, "Content-Type", NULL);

	return type != NULL && strncasecmp(type, "application/grpc", 16) == 0;
}

void
uc2_head(struct upstream *u, const struct req_head *h, const char *hostport)
{
	struct upstream_conn *c = u->conn;
	nghttp2_data_provider body = { { 0 }, on_read };
	bool has_body =
	    h->kind == BODY_STREAM || (h->kind == BODY_LENGTH && h->length > 0);
	nghttp2_nv *nva =
	    xreallocarray(NULL, h->fields.n + PSEUDO_MAX, sizeof(*nva));
	char length[24];
	size_t n = 0;

	nva[n++] = pair(":method", h->method, false);
	nva[n++] = pair(":scheme", "https", false);
	nva[n++] = pair(":authority", hostport, false);
	/* A query may hold a secret. */
	nva[n++] = pair(":path", h->target, true);
	for (size_t i = 0; i < h->fields.n; i++) {
		const struct field *f = &h->fields.f[i];

		nva[n++] = pair(f->name, f->value, f->secret);
	}
	if (is_grpc(&h->fields))
		nva[n++] = pair("te", "trailers", false);
	if (h->kind == BODY_LENGTH) {
		snprintf(length, sizeof(length), "%llu",
		    (unsigned long long)h->length);
		nva[n++] = pair("content-length", length, false);
	}
	u->to_head = strcmp(h->method, "HEAD") == 0;
	u->stream = nghttp2_submit_request(
	    c->h2, NULL, nva, n, has_body ? &body : NULL, u);
	free(nva);
	if (u->stream < 0) {
		u->stream = 0;
		u->refused = true;
		up_fail_later(u, "the server takes no more requests");
		return;
	}
	uc_pump_soon(c);
}

static void
resume_sending(struct upstream *u)
{
	if (u->stream > 0 && u->deferred) {
		u->deferred = false;
		(void)nghttp2_session_resume_data(u->conn->h2, u->stream);
	}
	uc_pump_soon(u->conn);
}

void
uc2_body(struct upstream *u, const void *p, size_t n)
{
	up_reserve(&u->out, n);
	buf_put(&u->out, p, n);
	resume_sending(u);
}

void
uc2_end(struct upstream *u, const struct fields *trailers)
{
	for (size_t i = 0; i < trailers->n; i++) {
		const struct field *f = &trailers->f[i];

		fields_add(&u->trailers, f->name, strlen(f->name), f->value,
		    strlen(f->value));
	}
	resume_sending(u);
}

void
uc2_release(struct upstream *u)
{
	struct nghttp2_session *h2 = u->conn->h2;
	int32_t stream = u->stream;

	u->stream = 0;
	if (stream == 0)
		return;
	(void)nghttp2_session_set_stream_user_data(h2, stream, NULL);
	/* Over in both directions: it closes by itself. */
	if (u->complete &&
	    nghttp2_session_get_stream_local_close(h2, stream) == 1)
		return;
	(void)nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, stream,
	    u->complete ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
	uc_pump_soon(u->conn);
}

void
uc2_resume(struct upstream *u)
{
	struct upstream_conn *c = u->conn;

	uc2_deliver(u);
	if (c != NULL)
		uc_pump_soon(c);
}
