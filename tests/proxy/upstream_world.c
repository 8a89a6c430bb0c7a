#include "tests/proxy/upstream_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/dial.h"

#define KEEP_BODY 65536u
#define MIB (1024u * 1024)

/* ---- dials ------------------------------------------------------------- */

struct dial {
	const struct dial_ops *ops;
	void *arg;
	bool over;
};

static struct uw *the;

static struct origin *origin_new(struct uw *w, int fd);

static void
on_dial(void *arg)
{
	struct dial *dl = arg;
	struct uw *w = the;
	int fds[2];

	if (dl->over) {
		free(dl);
		return;
	}
	if (w->slow_dial) {
		w->waiting = dl;
		return;
	}
	dl->over = true;
	if (w->no_dial) {
		dl->ops->failed(dl->arg, UPSTREAM_UNREACHABLE, "no dial");
	} else if (socketpair(AF_UNIX,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		       fds) < 0) {
		abort();
	} else {
		(void)origin_new(w, fds[1]);
		dl->ops->done(dl->arg, fds[0], NULL, w->h2);
	}
	free(dl);
}

struct dial *
dial_start(struct dialer *d, const struct dial_opts *o,
    const struct dial_ops *ops, void *arg)
{
	struct dial *dl = xcalloc(1, sizeof(*dl));

	(void)d;
	dl->ops = ops;
	dl->arg = arg;
	the->dials++;
	the->offered_h2 = o->offer_h2;
	ev_defer(the->ev, on_dial, dl);
	return dl;
}

void
dial_cancel(struct dial *dl)
{
	if (dl == NULL)
		return;
	if (dl == the->waiting) {
		the->waiting = NULL;
		free(dl);
		return;
	}
	dl->over = true;
}

void
dial_proxy_auth(const struct dial_proxy *p, struct buf *b)
{
	(void)p;
	buf_printf(b, "Basic cHJveHk=");
}

void
uw_dialled(struct uw *w)
{
	w->slow_dial = false;
	if (w->waiting != NULL)
		on_dial(steal_ptr(&w->waiting));
}

/* ---- the origin -------------------------------------------------------- */

static ssize_t
on_read(nghttp2_session *h2, int32_t id, uint8_t *p, size_t n, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	static const nghttp2_nv t[] = { { (uint8_t *)(uintptr_t) "x-sum",
	    (uint8_t *)(uintptr_t) "42", 5, 2, 0 } };
	struct seen *s = source->ptr;
	size_t k = buf_len(&s->out);

	(void)arg;
	if (k > 0) {
		n = k < n ? k : n;
		memcpy(p, buf_head(&s->out), n);
		buf_consume(&s->out, n);
	} else {
		n = s->more < n ? s->more : n;
		memset(p, 0, n);
		s->more -= n;
	}
	s->o->sent_data += n;
	if (buf_len(&s->out) > 0 || s->more > 0)
		return (ssize_t)n;
	if (s->quits && n == 0)
		(void)nghttp2_submit_rst_stream(h2, 0, s->id, NGHTTP2_NO_ERROR);
	if (s->hold || s->quits)
		return n > 0 ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (s->trailers) {
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
		(void)nghttp2_submit_trailer(h2, id, t, 1);
	}
	return (ssize_t)n;
}

static void
respond(nghttp2_session *h2, struct seen *s, const char *status,
    const char *name, const char *value)
{
	nghttp2_data_provider body = { { .ptr = s }, on_read };
	nghttp2_nv nva[2] = { { (uint8_t *)(uintptr_t) ":status",
	    (uint8_t *)(uintptr_t)status, 7, 3, 0 } };
	size_t n = 1;

	if (name != NULL)
		nva[n++] = (nghttp2_nv){ (uint8_t *)(uintptr_t)name,
			(uint8_t *)(uintptr_t)value, strlen(name),
			strlen(value), 0 };
	if (nghttp2_submit_response(h2, s->id, nva, n,
		buf_len(&s->out) + s->more > 0 || s->hold || s->trailers
		    ? &body
		    : NULL) != 0)
		abort();
}

static void
answer(nghttp2_session *h2, struct seen *s)
{
	static const nghttp2_nv early[] = { { (uint8_t *)(uintptr_t) ":status",
	    (uint8_t *)(uintptr_t) "103", 7, 3, 0 } };
	const char *p = s->path;

	if (str_starts(p, "/never"))
		return;
	if (str_starts(p, "/refuse")) {
		(void)nghttp2_submit_rst_stream(
		    h2, 0, s->id, NGHTTP2_REFUSED_STREAM);
		return;
	}
	if (str_starts(p, "/reset")) {
		(void)nghttp2_submit_rst_stream(
		    h2, 0, s->id, NGHTTP2_ENHANCE_YOUR_CALM);
		return;
	}
	if (str_starts(p, "/oldfashioned")) {
		(void)nghttp2_submit_rst_stream(
		    h2, 0, s->id, NGHTTP2_HTTP_1_1_REQUIRED);
		return;
	}
	if (str_starts(p, "/goaway")) {
		(void)nghttp2_submit_goaway(
		    h2, 0, s->id - 2 > 0 ? s->id - 2 : 0, 0, NULL, 0);
		return;
	}
	for (int i = 0; str_starts(p, "/early") && i < 3; i++)
		(void)nghttp2_submit_headers(
		    h2, 0, s->id, NULL, early, 1, NULL);
	for (int i = 0; str_starts(p, "/manyearly") && i < 40; i++)
		(void)nghttp2_submit_headers(
		    h2, 0, s->id, NULL, early, 1, NULL);
	if (str_starts(p, "/empty")) {
		respond(h2, s, "200", "grpc-status", "0");
		return;
	}
	if (str_starts(p, "/none")) {
		respond(h2, s, "204", NULL, NULL);
		return;
	}
	if (str_starts(p, "/big"))
		s->more = 8 * MIB;
	else if (str_starts(p, "/echo"))
		buf_put(&s->out, buf_head(&s->body), buf_len(&s->body));
	else if (strstr(p, "short") != NULL)
		buf_printf(&s->out, "hell");
	else
		buf_printf(&s->out, "hello");
	s->quits = str_starts(p, "/quits");
	s->trailers = strstr(p, "trailers") != NULL;
	s->hold = strstr(p, "hold") != NULL;
	respond(h2, s, "200",
	    strstr(p, "length") != NULL ? "content-length" : "x-a", "5");
}

static int
on_begin(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct origin *o = arg;
	struct seen *s;

	s = nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
	if (s != NULL) {
		buf_printf(&s->fields, "--\n");
		return 0;
	}
	s = xcalloc(1, sizeof(*s));
	s->o = o;
	s->id = f->hd.stream_id;
	s->next = o->seen;
	o->seen = s;
	(void)nghttp2_session_set_stream_user_data(h2, s->id, s);
	return 0;
}

static int
on_header(nghttp2_session *h2, const nghttp2_frame *f, const uint8_t *name,
    size_t nlen, const uint8_t *value, size_t vlen, uint8_t flags, void *arg)
{
	struct seen *s =
	    nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
	const char *n = (const char *)name, *v = (const char *)value;

	(void)arg;
	if (strcmp(n, ":path") == 0) {
		s->path = xstrdup(v);
		s->secret_path = (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
	} else if (strcmp(n, ":method") == 0) {
		s->method = xstrdup(v);
	} else if (strcmp(n, ":authority") == 0) {
		s->authority = xstrdup(v);
	} else if (strcmp(n, "x-key") == 0) {
		s->flags = flags;
	}
	buf_printf(&s->fields, "%.*s: %.*s\n", (int)nlen, n, (int)vlen, v);
	return 0;
}

static int
on_frame(nghttp2_session *h2, const nghttp2_frame *f, void *arg)
{
	struct seen *s =
	    f->hd.stream_id == 0
		? NULL
		: nghttp2_session_get_stream_user_data(h2, f->hd.stream_id);
	bool end = (f->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
	struct origin *o = arg;

	o->goaway |= f->hd.type == NGHTTP2_GOAWAY;
	if (s == NULL ||
	    (f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA))
		return 0;
	s->ended = end;
	if (end ||
	    (f->hd.type == NGHTTP2_HEADERS && str_starts(s->path, "/now")))
		answer(h2, s);
	return 0;
}

static int
on_chunk(nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *p,
    size_t n, void *arg)
{
	struct seen *s = nghttp2_session_get_stream_user_data(h2, id);

	(void)flags;
	(void)arg;
	if (s == NULL)
		return 0;
	s->bytes += n;
	if (buf_len(&s->body) + n <= KEEP_BODY)
		buf_put(&s->body, p, n);
	/* Its windows stay shut. */
	if (!str_starts(s->path, "/shut")) {
		(void)nghttp2_session_consume(h2, id, n);
	}
	return 0;
}

static int
on_close(nghttp2_session *h2, int32_t id, uint32_t code, void *arg)
{
	struct seen *s = nghttp2_session_get_stream_user_data(h2, id);

	(void)arg;
	if (s == NULL)
		return 0;
	s->closed = true;
	s->code = code;
	return 0;
}

static void
server_start(struct origin *o)
{
	nghttp2_settings_entry set[2] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, o->w->streams },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, o->w->window },
	};
	nghttp2_session_callbacks *cbs;
	nghttp2_option *opt;

	if (nghttp2_session_callbacks_new(&cbs) != 0 ||
	    nghttp2_option_new(&opt) != 0)
		abort();
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cbs, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(cbs, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cbs, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
	    cbs, on_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(cbs, on_close);
	if (nghttp2_session_server_new2(&o->h2, cbs, o, opt) != 0 ||
	    nghttp2_submit_settings(o->h2, 0, set, o->w->window > 0 ? 2 : 1) !=
		0)
		abort();
	nghttp2_session_callbacks_del(cbs);
	nghttp2_option_del(opt);
}

void
origin_pump(struct origin *o)
{
	const uint8_t *p;
	ssize_t n;

	if (o->fd < 0)
		return;
	while (o->h2 != NULL && buf_len(&o->out) < 65536 &&
	       (n = nghttp2_session_mem_send(o->h2, &p)) > 0)
		buf_put(&o->out, p, (size_t)n);
	if (buf_len(&o->out) > 0) {
		size_t k = buf_len(&o->out);

		if (o->w->chunk > 0 && k > o->w->chunk)
			k = o->w->chunk;
		n = send(o->fd, buf_head(&o->out), k, MSG_NOSIGNAL);
		if (n > 0)
			buf_consume(&o->out, (size_t)n);
		else if (errno != EAGAIN)
			buf_clear(&o->out);
	}
	ev_io_set(o->io,
	    (o->deaf || o->eof ? 0 : EV_READ) |
		(buf_len(&o->out) > 0 ||
			    (o->h2 != NULL && nghttp2_session_want_write(o->h2))
			? EV_WRITE
			: 0));
}

void
origin_close(struct origin *o)
{
	ev_io_free(o->io);
	o->io = NULL;
	fd_close(&o->fd);
}

static void
on_io(int fd, unsigned int events, void *arg)
{
	struct origin *o = arg;
	uint8_t bytes[4096];
	size_t most = o->w->chunk > 0 && o->w->chunk < sizeof(bytes)
			  ? o->w->chunk
			  : sizeof(bytes);
	ssize_t n;

	if ((events & (EV_READ | EV_HANGUP)) && !o->deaf) {
		n = recv(fd, bytes, most, 0);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			o->eof = true;
			if (events & EV_HANGUP)
				origin_close(o);
		} else if (n > 0 && o->h2 != NULL) {
			if (nghttp2_session_mem_recv(o->h2, bytes, (size_t)n) <
			    0)
				o->eof = true;
		} else if (n > 0) {
			buf_put(&o->in, bytes, (size_t)n);
		}
	}
	origin_pump(o);
}

static struct origin *
origin_new(struct uw *w, int fd)
{
	struct origin *o = xcalloc(1, sizeof(*o));

	o->w = w;
	o->fd = fd;
	o->next = w->origins;
	w->origins = o;
	if (w->h2)
		server_start(o);
	o->io = ev_io_new(w->ev, fd, EV_READ, on_io, o);
	origin_pump(o);
	return o;
}

void
origin_say(struct uw *w, const void *p, size_t n)
{
	buf_put(&w->origins->out, p, n);
	origin_pump(w->origins);
}

struct seen *
origin_seen(struct uw *w, const char *path)
{
	for (struct origin *o = w->origins; o != NULL; o = o->next)
		for (struct seen *s = o->seen; s != NULL; s = s->next)
			if (s->path != NULL && strcmp(s->path, path) == 0)
				return s;
	return NULL;
}

bool
seen_has(const struct seen *s, const char *line)
{
	return buf_len(&s->fields) > 0 &&
	       memmem(buf_head(&s->fields), buf_len(&s->fields), line,
		   strlen(line)) != NULL;
}

/* ---- the user ---------------------------------------------------------- */

static void
push(struct use *s)
{
	while (buf_len(&s->to_send) > 0 &&
	       upstream_queued(s->u) < UPSTREAM_OUT_HIGH) {
		size_t n = buf_len(&s->to_send);

		n = n < 16384 ? n : 16384;
		upstream_body(s->u, buf_head(&s->to_send), n);
		buf_consume(&s->to_send, n);
	}
	if (upstream_queued(s->u) > s->most_queued)
		s->most_queued = upstream_queued(s->u);
	if (buf_len(&s->to_send) == 0 && s->end && !s->ended) {
		s->ended = true;
		upstream_end(s->u, &s->req_trailers);
	}
}

static void
drop(struct use *s)
{
	upstream_release(s->u, false);
	s->u = NULL;
}

static void
on_ready(void *arg)
{
	struct use *s = arg;
	char hostport[] = "good.example";

	s->ready++;
	if (s->drop_in_ready) {
		drop(s);
		return;
	}
	upstream_head(s->u, &s->head, hostport);
	push(s);
}

static void
on_writable(void *arg)
{
	push(arg);
}

static void
on_head(void *arg, struct rsp_head *h)
{
	struct use *s = arg;

	s->heads++;
	s->status = h->status;
	s->kind = h->kind;
	s->length = h->length;
	s->fields = h->fields;
	memset(&h->fields, 0, sizeof(h->fields));
	if (s->drop_in_head)
		drop(s);
}

static size_t
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct use *s = arg;

	if (n > s->take)
		n = s->take;
	s->take -= n;
	buf_put(&s->body, p, n);
	if (s->drop_in_data)
		drop(s);
	return n;
}

static void
on_done(void *arg, struct fields *t)
{
	struct use *s = arg;

	s->dones++;
	s->trailers = *t;
	memset(t, 0, sizeof(*t));
	if (s->hold)
		return;
	upstream_release(s->u, s->ended);
	s->u = NULL;
}

static const struct upstream_ops ops;

static void
start(struct use *s, bool reuse)
{
	struct upstream_want want = { .tls = true,
		.h1_only =
		    s->head.protocol != NULL && s->head.protocol[0] != '\0',
		.host = "good.example",
		.port = 443 };
	struct netaddr a = { .family = 4, .addr = { 127, 0, 0, 1 } };

	s->u = NULL;
	if (reuse)
		s->u = upstream_reuse(s->w->pool, &want, &ops, s);
	if (s->u == NULL)
		s->u = upstream_dial(s->w->pool, &want, &a, 1, &ops, s);
}

static void
on_again(void *arg)
{
	struct use *s = arg;

	s->redials++;
	start(s, false);
}

static void
on_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct use *s = arg;

	s->fails++;
	s->how = how;
	strlcpy(s->why, why, sizeof(s->why));
	s->refused = upstream_is_refused(s->u);
	s->stale = upstream_is_stale(s->u);
	s->u = NULL;
}

static const struct upstream_ops ops = { on_ready, on_writable, on_head,
	on_data, on_done, on_again, on_failed };

void
use_init(struct use *s, struct uw *w, const char *method, const char *target,
    enum body_kind kind, uint64_t length)
{
	memset(s, 0, sizeof(*s));
	s->w = w;
	s->take = SIZE_MAX;
	s->head.method = xstrdup(method);
	s->head.target = xstrdup(target);
	s->head.protocol = xstrdup("");
	s->head.kind = kind;
	s->head.length = length;
	s->end = kind == BODY_NONE;
}

void
use_start(struct use *s)
{
	start(s, true);
}

void
use_send(struct use *s, const void *p, size_t n)
{
	buf_put(&s->to_send, p, n);
	if (s->ready > 0 && s->u != NULL)
		push(s);
}

void
use_end(struct use *s)
{
	s->end = true;
	if (s->ready > 0 && s->u != NULL)
		push(s);
}

void
use_free(struct use *s)
{
	upstream_release(s->u, false);
	s->u = NULL;
	req_head_free(&s->head);
	fields_free(&s->fields);
	fields_free(&s->trailers);
	fields_free(&s->req_trailers);
	buf_free(&s->body);
	buf_free(&s->to_send);
}

bool
use_finish(struct use *s)
{
	for (int i = 0; i < 200000 && s->dones + s->fails == 0; i++)
		ev_once(s->w->ev, 1);
	return s->dones + s->fails == 1;
}

/* ---- set-up ------------------------------------------------------------ */

void
uw_run(struct uw *w, unsigned int rounds)
{
	while (rounds-- > 0)
		ev_once(w->ev, 0);
}

void
uw_start(struct uw *w, bool h2)
{
	memset(w, 0, sizeof(*w));
	the = w;
	w->h2 = h2;
	w->streams = 100;
	w->ev = ev_new();
	w->pool = upstream_pool_new(w->ev);
}

void
uw_end(struct uw *w)
{
	struct origin *o;
	struct seen *s;

	upstream_pool_free(w->pool);
	uw_run(w, 3);
	while ((o = w->origins) != NULL) {
		w->origins = o->next;
		if (o->fd >= 0)
			origin_close(o);
		nghttp2_session_del(o->h2);
		while ((s = o->seen) != NULL) {
			o->seen = s->next;
			free(s->path);
			free(s->method);
			free(s->authority);
			buf_free(&s->fields);
			buf_free(&s->body);
			buf_free(&s->out);
			free(s);
		}
		buf_free(&o->in);
		buf_free(&o->out);
		free(o);
	}
	ev_once(w->ev, 0);
	ev_free(w->ev);
}
