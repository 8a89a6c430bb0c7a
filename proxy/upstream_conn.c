#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "proxy/upstream_int.h"

#define READ_SIZE WIRE_PIECE
/* A response that is no larger needs no buffer, to be wiped, that is. */
#define READ_SMALL 4096u

void
up_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
	buf_init(b, 0);
}

/* Growing by realloc would leave copies of a secret behind. */
void
up_reserve(struct buf *b, size_t n)
{
	struct buf bigger;

	if (b->cap - b->len >= n)
		return;
	buf_init(&bigger, 0);
	(void)buf_reserve(&bigger, buf_len(b) + n);
	buf_put(&bigger, buf_head(b), buf_len(b));
	up_wipe(b);
	*b = bigger;
}

void
uc_watch(struct upstream_conn *c, unsigned int want)
{
	if (c->io == NULL)
		c->io = ev_io_new(c->pool->ev, c->fd, want, uc_on_io, c);
	else
		ev_io_set(c->io, want);
}

static void
all_alive(struct upstream_conn *c)
{
	/* A stream of HTTP/2 is as alive as its own frames are. */
	if (c->h2 == NULL && c->users != NULL)
		up_alive(c->users);
}

/* 0: all is out; 1: would block; -1: failed. */
static int
write_some(struct upstream_conn *c)
{
	size_t all = buf_len(&c->out);
	ssize_t n =
	    all == 0 ? 0
		     : tls_send(c->tls, c->fd, buf_head(&c->out), all, false);

	if (n < 0)
		return -1;
	if (n > 0) {
		explicit_bzero(buf_head(&c->out), (size_t)n);
		buf_consume(&c->out, (size_t)n);
		all_alive(c);
	}
	if ((size_t)n < all)
		return 1;
	up_wipe(&c->out);
	return 0;
}

/* Tell users that have room again. */
static void
tell_writable(struct upstream_conn *c)
{
	struct upstream *u;

	for (;;) {
		for (u = c->users; u != NULL; u = u->next)
			if (u->was_high &&
			    upstream_queued(u) < UPSTREAM_OUT_HIGH)
				break;
		if (u == NULL)
			return;
		u->was_high = false;
		u->ops->writable(u->arg);
		if (c->state != UC_OPEN)
			return;
	}
}

/* As write_some(), with all that the users have; c may be dead after it. */
static int
send_all(struct upstream_conn *c)
{
	int w;

	for (;;) {
		if (c->h2 != NULL && !uc2_fill(c))
			return -1;
		bool some = buf_len(&c->out) > 0;
		w = write_some(c);
		if (w != 0 || c->state != UC_OPEN)
			return w;
		tell_writable(c);
		if (c->state != UC_OPEN ||
		    (c->h2 == NULL ? buf_len(&c->out) == 0 : !some))
			return 0;
	}
}

enum got {
	GOT_BYTES,
	GOT_NOTHING, /* would block */
	GOT_EOF,
	GOT_ERROR,
};

/* A record holds at most 16 KiB: as many as are there. */
static enum got
read_tls(struct upstream_conn *c, uint8_t *p, size_t want, size_t *got)
{
	enum tls_io io;
	size_t n;

	do {
		io = tls_read(c->tls, p + *got, want - *got, &n);
		*got += n;
	} while (io == TLS_OK && *got < want && tls_pending(c->tls));
	c->readable = io == TLS_OK && tls_pending(c->tls);
	switch (io) {
	case TLS_OK:
		break;
	case TLS_WANT_WRITE:
		c->want_write = true;
		break;
	case TLS_WANT_READ:
		break;
	case TLS_EOF:
	case TLS_ERROR:
	case TLS_WANT_LEAF:
		/* No event may tell of it again. */
		c->readable = *got > 0;
		if (*got == 0)
			return io == TLS_EOF ? GOT_EOF : GOT_ERROR;
		break;
	}
	return *got > 0 ? GOT_BYTES : GOT_NOTHING;
}

static enum got
read_some(struct upstream_conn *c)
{
	size_t want = c->bulk || c->h2 != NULL ? READ_SIZE : READ_SMALL;
	uint8_t *p = buf_reserve(&c->in, want);
	enum got r = GOT_BYTES;
	size_t got = 0;
	ssize_t n;

	if (c->tls != NULL) {
		r = read_tls(c, p, want, &got);
	} else {
		do
			n = recv(c->fd, p, want, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			r = errno == EAGAIN ? GOT_NOTHING : GOT_ERROR;
		else if (n == 0)
			r = GOT_EOF;
		else
			got = (size_t)n;
		c->readable = r == GOT_BYTES && got == want;
	}
	if (got == want && !c->bulk) {
		c->bulk = true;
		/* With an end, that is. */
		if (c->tls != NULL && c->h2 == NULL && c->users != NULL &&
		    !c->users->upgrade)
			tls_bulk(c->tls, true);
	}
	if (r == GOT_BYTES) {
		buf_commit(&c->in, got);
		if (c->h2 == NULL && c->users != NULL)
			c->users->got_bytes = true;
		all_alive(c);
	}
	return r;
}

/* Use what has been read: false when no more of it can be used. */
static bool
use_input(struct upstream_conn *c)
{
	return c->h2 != NULL ? uc2_input(c) : uc1_parse(c);
}

/* Is more wanted from the origin? */
static bool
wants_input(const struct upstream_conn *c)
{
	const struct upstream *u = c->users;

	if (c->state != UC_OPEN)
		return false;
	return c->h2 != NULL || u == NULL || (!u->blocked && !u->complete);
}

static void
read_all(struct upstream_conn *c)
{
	while (use_input(c) && wants_input(c) && c->readable) {
		enum got r = read_some(c);

		if (r == GOT_BYTES)
			continue;
		if (r == GOT_NOTHING)
			return;
		if (c->h2 != NULL)
			uc2_eof(c);
		else
			uc1_eof(c, r == GOT_EOF);
		return;
	}
}

/* The last bytes of a connection that is nobody's. */
static void
linger(struct upstream_conn *c)
{
	switch (write_some(c)) {
	case 1:
		uc_watch(c, EV_WRITE);
		return;
	case 0:
		if (c->tls != NULL)
			tls_close(c->tls);
		break;
	default:
		break;
	}
	uc_destroy(c);
}

/* A half of a WebSocket is closed when its last byte is out. */
static void
close_half(struct upstream_conn *c)
{
	const struct upstream *u = c->users;

	if (u == NULL || !u->raw || !u->ended || c->half_closed)
		return;
	c->half_closed = true;
	if (c->tls != NULL)
		tls_close(c->tls);
	else
		(void)shutdown(c->fd, SHUT_WR);
}

void
uc_pump(struct upstream_conn *c)
{
	unsigned int want = 0;
	int w, before;

	if (c->state == UC_LINGER) {
		linger(c);
		return;
	}
	if (c->state != UC_OPEN || c->in_pump)
		return;
	c->in_pump = true;
	c->want_write = false;
	w = before = send_all(c);
	/* A server may answer and close before it has read everything. */
	if (c->state == UC_OPEN)
		read_all(c);
	/* What the answer has called for. */
	if (c->state == UC_OPEN && before == 0)
		w = send_all(c);
	c->in_pump = false;
	if (c->state == UC_LINGER) {
		linger(c);
		return;
	}
	if (c->state != UC_OPEN)
		return;
	if (w < 0) {
		uc_fail(c, UPSTREAM_BROKEN, "the server closed the connection");
		return;
	}
	if (w == 0)
		close_half(c);
	if (c->h2 != NULL && w == 0 && uc2_is_over(c)) {
		if (c->tls != NULL)
			tls_close(c->tls);
		uc2_over(c);
		return;
	}
	/* Who takes no more for a moment need not be looked away from before
	 * there is more. */
	if (wants_input(c) || (c->h2 == NULL && !c->readable))
		want |= EV_READ;
	if (buf_len(&c->out) > 0 || c->want_write)
		want |= EV_WRITE;
	uc_watch(c, want);
}

void
uc_pump_later(void *arg)
{
	struct upstream_conn *c = arg;

	c->pump_due = false;
	uc_pump(c);
}

void
uc_pump_soon(struct upstream_conn *c)
{
	if (c->in_pump || c->pump_due ||
	    (c->state != UC_OPEN && c->state != UC_LINGER))
		return;
	c->pump_due = true;
	ev_defer(c->pool->ev, uc_pump_later, c);
}

void
uc_on_io(int fd, unsigned int events, void *arg)
{
	struct upstream_conn *c = arg;
	const struct upstream *u = c->users;

	(void)fd;
	if (c->state == UC_OPEN && c->h2 == NULL) {
		/* Closed by the server, or bytes out of turn. */
		if (u == NULL || u->state == UP_WAIT) {
			uc_fail(c, UPSTREAM_BROKEN, "closed while unused");
			return;
		}
		/* A hang-up is reported again and again: look away. */
		if ((events & EV_HANGUP) != 0 && !wants_input(c) &&
		    buf_len(&c->out) == 0) {
			ev_io_free(c->io);
			c->io = NULL;
			return;
		}
	}
	if (events & (EV_READ | EV_HANGUP))
		c->readable = true;
	uc_pump(c);
}
