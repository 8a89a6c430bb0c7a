#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/back_pg.h"
#include "proxy/back_ssh.h"
#include "proxy/pgwire.h"

#define READ_SIZE 16384u
#define READS_PER_ROUND 16

enum got {
	GOT_BYTES,
	GOT_NOTHING, /* would block */
	GOT_EOF,
	GOT_ERROR,
};

static void on_io(int fd, unsigned int events, void *arg);
static void work(void *arg);

/* ---- towards front ------------------------------------------------------ */

void
raw_send(struct raw *r, const uint8_t *p, size_t n)
{
	struct exchange *x = r->x;
	struct back *b = x->back;
	size_t k;

	x->rsp_bytes += n;
	x->rsp_credit -= n < x->rsp_credit ? n : x->rsp_credit;
	for (; n > 0; p += k, n -= k) {
		k = n < WIRE_BODY_CHUNK ? n : WIRE_BODY_CHUNK;
		if (b->front != NULL)
			chan_send_bytes(
			    b->front->chan, M_RSP_BODY, b->job, x->id, p, k);
	}
}

void
raw_opened(struct raw *r)
{
	struct exchange *x = r->x;
	cleanup_buf struct buf body = { 0 };
	struct rsp_head h = { .status = 200, .kind = BODY_STREAM };

	h.reason = xstrdup("");
	if (rsp_head_put(&body, &h) == 0)
		xch_tell(x, M_RSP_HEAD, &body);
	rsp_head_free(&h);
	x->rsp_started = true;
	x->status = 200;
	x->state = X_OPEN;
}

void
raw_fail(struct raw *r, const char *why)
{
	xch_abort(r->x, why);
}

void
raw_end(struct raw *r, const char *why)
{
	struct exchange *x = r->x;
	cleanup_buf struct buf body = { 0 };

	buf_put_u32(&body, 0);
	xch_tell(x, M_RSP_END, &body);
	record_outcome(x, why);
	xch_end(x, false);
}

/* What was taken may be sent again. */
static void
grant(struct exchange *x, size_t n)
{
	cleanup_buf struct buf body = { 0 };

	x->req_sent += n;
	x->req_taken += (uint32_t)n;
	if (x->req_taken < WIRE_WINDOW / 4 || x->req_ended)
		return;
	buf_put_u32(&body, x->req_taken);
	x->req_credit += x->req_taken;
	x->req_taken = 0;
	xch_tell(x, M_RSP_WINDOW, &body);
}

void
raw_took(struct raw *r, size_t n)
{
	buf_consume(&r->x->req, n);
	grant(r->x, n);
}

static size_t
room(const struct exchange *x)
{
	const struct peer *f = x->back->front;

	if (f == NULL || chan_queued(f->chan) > MSG_QUEUE_HIGH)
		return 0;
	return x->rsp_credit < READ_SIZE ? (size_t)x->rsp_credit : READ_SIZE;
}

/* ---- the agent's bytes -------------------------------------------------- */

bool
raw_look(struct exchange *x, const uint8_t *p, size_t n)
{
	static const char why[] =
	    "a credential's placeholder stands in a connection that is not "
	    "HTTP, where it is not replaced";
	const struct binding *b =
	    bindings_seek(&x->back->bindings, &x->stub_tail, p, n);

	if (b == NULL)
		return true;
	raw_record_leak(x, b->name, why);
	if (x->state >= X_CONNECT)
		xch_abort(x, why);
	else
		xch_refuse(x, 403, "credential_leak", why,
		    "send the credential only where it is meant to go");
	return false;
}

/* ---- the server --------------------------------------------------------- */

/* 1: all written; 0: not all; -1: broken. */
static int
write_buf(struct raw *r, struct buf *b, bool agents)
{
	while (buf_len(b) > 0) {
		size_t n = buf_len(b) < READ_SIZE ? buf_len(b) : READ_SIZE;
		ssize_t k = tls_send(r->tls, r->fd, buf_head(b), n, false);

		if (k <= 0)
			return (int)k;
		/* A login holds what a password is made into. */
		if (!agents)
			explicit_bzero(buf_head(b), (size_t)k);
		buf_consume(b, (size_t)k);
		if (agents)
			grant(r->x, (size_t)k);
		if (r->pg == NULL)
			ev_timer_set(r->idle, RAW_IDLE_MS);
	}
	buf_free(b);
	buf_init(b, 0);
	return 1;
}

static int
write_all(struct raw *r)
{
	struct exchange *x = r->x;
	int rc = write_buf(r, &r->out, false);

	if (rc == 1 && r->pg == NULL)
		rc = write_buf(r, &x->req, true);
	if (rc != 1 || r->pg != NULL)
		return rc;
	if (x->req_ended && !x->end_sent) {
		x->end_sent = true;
		if (r->tls != NULL)
			tls_close(r->tls);
		shutdown(r->fd, SHUT_WR);
	}
	return 1;
}

static enum got
read_tls(struct raw *r, uint8_t *p, size_t n, size_t *got)
{
	switch (tls_read(r->tls, p, n, got)) {
	case TLS_OK:
		return GOT_BYTES;
	case TLS_WANT_WRITE:
		r->want_write = true;
		return GOT_NOTHING;
	case TLS_WANT_READ:
		return GOT_NOTHING;
	case TLS_EOF:
		return GOT_EOF;
	case TLS_ERROR:
	case TLS_WANT_LEAF:
		break;
	}
	return GOT_ERROR;
}

static enum got
read_some(struct raw *r, uint8_t *p, size_t n, size_t *got)
{
	enum got rc = GOT_BYTES;
	ssize_t k;

	if (r->tls != NULL) {
		rc = read_tls(r, p, n, got);
		r->readable = rc == GOT_BYTES;
		return rc;
	}
	do
		k = recv(r->fd, p, n, 0);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		rc = errno == EAGAIN ? GOT_NOTHING : GOT_ERROR;
	else if (k == 0)
		rc = GOT_EOF;
	*got = k < 0 ? 0 : (size_t)k;
	r->readable = rc == GOT_BYTES && (*got == n || r->hung);
	return rc;
}

int
raw_read(struct raw *r, size_t n)
{
	while (r->readable && (n == 0 || buf_len(&r->in) < n)) {
		size_t want = n > 0 ? n : READ_SIZE, got = 0;
		uint8_t *p;

		/* More than a login holds is seen to be malformed. */
		if (buf_len(&r->in) > 2 * PG_MESSAGE_MAX)
			return 0;
		p = buf_reserve(&r->in, want);
		switch (read_some(r, p, want, &got)) {
		case GOT_BYTES:
			buf_commit(&r->in, got);
			break;
		case GOT_NOTHING:
			return r->hung ? -1 : 0;
		case GOT_EOF:
		case GOT_ERROR:
			return -1;
		}
	}
	return 0;
}

static void
server_ended(struct raw *r)
{
	cleanup_buf struct buf body = { 0 };

	r->server_end = true;
	r->readable = false;
	buf_put_u32(&body, 0);
	xch_tell(r->x, M_RSP_END, &body);
}

/* False when it is broken. */
static bool
read_all(struct raw *r)
{
	uint8_t piece[READ_SIZE];

	for (int i = 0; i < READS_PER_ROUND && r->readable; i++) {
		size_t n = room(r->x), got = 0;

		if (n == 0)
			return true;
		switch (read_some(r, piece, n, &got)) {
		case GOT_BYTES:
			ev_timer_set(r->idle, RAW_IDLE_MS);
			raw_send(r, piece, got);
			break;
		case GOT_NOTHING:
			return !r->hung;
		case GOT_EOF:
			server_ended(r);
			return true;
		case GOT_ERROR:
			return false;
		}
	}
	/* Others first. */
	if (r->readable)
		raw_schedule(r);
	return true;
}

/* ---- the work of a round ------------------------------------------------ */

/* Both sides have said all, or the server takes nothing any more. */
static void
finish(struct raw *r)
{
	struct exchange *x = r->x;
	cleanup_buf struct buf why = { 0 };

	record_outcome(x, NULL);
	if (!x->req_ended) {
		buf_put_str(&why, "the server has closed the connection");
		xch_tell(x, M_RSP_ABORT, &why);
	}
	xch_end(x, false);
}

static void
update_events(struct raw *r)
{
	struct exchange *x = r->x;
	unsigned int events = 0;

	if (r->hung)
		return;
	if (!r->server_end && room(x) > 0)
		events |= EV_READ;
	if (buf_len(&r->out) > 0 || r->want_write ||
	    (r->pg == NULL && buf_len(&x->req) > 0))
		events |= EV_WRITE;
	ev_io_set(r->io, events);
}

/* The descriptor would tell again and again what is known now. */
static void
hang_up(struct raw *r)
{
	ev_io_free(r->io);
	r->io = NULL;
	r->hung = true;
	r->readable = true;
}

static void
work(void *arg)
{
	struct raw *r = arg;

	r->work_due = false;
	r->want_write = false;
	if (r->ssh != NULL) {
		(void)ssh_work(r);
		return;
	}
	if (r->pg != NULL && !pg_work(r->pg))
		return;
	if (r->pg != NULL) {
		if (write_all(r) < 0)
			raw_fail(r, "the server broke the connection");
		else
			update_events(r);
		return;
	}
	/* What it has said before it went is still to be read. */
	if (!r->hung && write_all(r) < 0)
		hang_up(r);
	if (!r->server_end && !read_all(r)) {
		raw_fail(r, "the server broke the connection");
		return;
	}
	if (r->server_end && (r->x->end_sent || r->hung)) {
		finish(r);
		return;
	}
	update_events(r);
}

void
raw_schedule(struct raw *r)
{
	if (r->work_due || (r->fd < 0 && r->ssh == NULL))
		return;
	r->work_due = true;
	ev_defer(r->x->back->ev, work, r);
}

static void
on_io(int fd, unsigned int events, void *arg)
{
	struct raw *r = arg;

	(void)fd;
	if (events & EV_HANGUP)
		hang_up(r);
	if (events & EV_READ)
		r->readable = true;
	raw_schedule(r);
}

static void
on_idle(void *arg)
{
	struct raw *r = arg;

	if (r->ssh != NULL)
		ssh_timed_out(r);
	else
		raw_fail(r, r->pg != NULL
				? "the login took too long"
				: "nothing has been said for an hour");
}

/* ---- dialling ----------------------------------------------------------- */

static void
on_connected(void *arg, int fd, struct tls *t, bool h2)
{
	struct raw *r = arg;
	struct back *b = r->x->back;
	static const int one = 1;

	(void)h2;
	r->dial = NULL;
	r->fd = fd;
	r->tls = t;
	r->since = ev_now_ms();
	/* One who sleeps for long must still be told that a peer is gone. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	r->io = ev_io_new(b->ev, fd, EV_READ, on_io, r);
	r->idle = ev_timer_new(b->ev, on_idle, r);
	r->readable = true;
	raw_opened(r);
	r->pg = pg_new(r);
	ev_timer_set(r->idle, r->pg != NULL ? RAW_LOGIN_MS : RAW_IDLE_MS);
	raw_schedule(r);
}

static void
on_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct raw *r = arg;

	(void)how;
	r->dial = NULL;
	xch_fail(r->x, 502, "upstream_unreachable", why,
	    "check the host name and port, or try again later");
}

void
raw_open_agent(struct raw *r)
{
	r->ssh = ssh_new();
	r->idle = ev_timer_new(r->x->back->ev, on_idle, r);
	raw_opened(r);
}

void
raw_dial(struct exchange *x)
{
	static const struct dial_ops ops = { on_connected, on_failed };
	struct raw *r = x->raw;
	/* PostgreSQL asks for TLS in words of its own. */
	bool is_pg = strcmp(x->head.protocol, RAW_POSTGRES) == 0;
	struct dial_opts o = { .tls = x->head.tls && !is_pg,
		.host = x->host,
		.port = x->head.port,
		.addrs = x->addrs,
		.naddrs = x->naddrs,
		.raw = true };

	xch_way(x, &o.proxy, &o.identity);
	ev_timer_clear(x->timer);
	x->state = X_CONNECT;
	r->dial = dial_start(upstream_pool_dialer(x->back->pool), &o, &ops, r);
}

static void
on_freed(void *arg)
{
	free(arg);
}

void
raw_free(struct raw *r)
{
	struct ev *ev;

	if (r == NULL)
		return;
	ev = r->x->back->ev;
	ev_undefer(ev, work, r);
	dial_cancel(r->dial);
	pg_free(r->pg);
	ssh_free(r->ssh);
	ev_io_free(r->io);
	ev_timer_free(r->idle);
	tls_free(r->tls);
	fd_close(&r->fd);
	buf_free(&r->in);
	if (r->out.data != NULL)
		explicit_bzero(r->out.data, r->out.cap);
	buf_free(&r->out);
	/* Its own handler may be up the stack. */
	ev_defer(ev, on_freed, r);
}
