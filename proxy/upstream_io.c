#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "proxy/upstream_int.h"

#define READ_SIZE 16384u

void
upstream_wipe(struct buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->cap);
	buf_free(b);
	buf_init(b, 0);
}

static void
watch(struct upstream *u, unsigned int want)
{
	if (u->io == NULL)
		u->io = ev_io_new(u->pool->ev, u->fd, want, upstream_on_io, u);
	else
		ev_io_set(u->io, want);
}

/* Growing by realloc would leave copies of a secret behind. */
void
upstream_reserve(struct upstream *u, size_t n)
{
	struct buf bigger;

	if (u->out.cap - u->out.len >= n)
		return;
	buf_init(&bigger, 0);
	(void)buf_reserve(&bigger, buf_len(&u->out) + n);
	buf_put(&bigger, buf_head(&u->out), buf_len(&u->out));
	upstream_wipe(&u->out);
	u->out = bigger;
}

void
upstream_wrote(struct upstream *u)
{
	if (buf_len(&u->out) >= UPSTREAM_OUT_HIGH)
		u->was_high = true;
	if (u->state == UP_READY && !u->in_pump && !u->pump_due) {
		u->pump_due = true;
		ev_defer(u->pool->ev, upstream_pump_later, u);
	}
}

/* 0: more can follow; 1: would block; -1: failed, u is dead. */
static int
write_some(struct upstream *u)
{
	while (buf_len(&u->out) > 0) {
		size_t put = 0;
		ssize_t n;

		if (u->tls != NULL) {
			switch (tls_write(u->tls, buf_head(&u->out),
			    buf_len(&u->out), &put)) {
			case TLS_OK:
				break;
			case TLS_WANT_READ:
			case TLS_WANT_WRITE:
				return 1;
			case TLS_ERROR:
			case TLS_WANT_LEAF:
			case TLS_EOF:
				return -1;
			}
		} else {
			n = send(u->fd, buf_head(&u->out), buf_len(&u->out),
			    MSG_NOSIGNAL);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0 && (errno == EAGAIN))
				return 1;
			if (n < 0)
				return -1;
			put = (size_t)n;
		}
		explicit_bzero(buf_head(&u->out), put);
		buf_consume(&u->out, put);
		ev_timer_set(u->timer, UPSTREAM_IDLE_MS);
	}
	upstream_wipe(&u->out);
	return 0;
}

enum got {
	GOT_BYTES,
	GOT_NOTHING, /* would block */
	GOT_EOF,
	GOT_ERROR,
};

static enum got
read_tls(struct upstream *u, uint8_t *p, size_t *got)
{
	switch (tls_read(u->tls, p, READ_SIZE, got)) {
	case TLS_OK:
		return GOT_BYTES;
	case TLS_WANT_WRITE:
		u->want_write = true;
		return GOT_NOTHING;
	case TLS_WANT_READ:
		return GOT_NOTHING;
	case TLS_EOF:
		return GOT_EOF;
	case TLS_ERROR:
	case TLS_WANT_LEAF:
		return GOT_ERROR;
	}
	return GOT_ERROR;
}

static enum got
read_some(struct upstream *u)
{
	uint8_t *p = buf_reserve(&u->in, READ_SIZE);
	enum got r = GOT_BYTES;
	size_t got = 0;
	ssize_t n;

	if (u->tls != NULL) {
		r = read_tls(u, p, &got);
	} else {
		do
			n = recv(u->fd, p, READ_SIZE, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			r = errno == EAGAIN ? GOT_NOTHING : GOT_ERROR;
		else if (n == 0)
			r = GOT_EOF;
		else
			got = (size_t)n;
	}
	u->readable = r == GOT_BYTES &&
		      (u->tls != NULL ? tls_pending(u->tls) : got == READ_SIZE);
	if (r == GOT_BYTES) {
		buf_commit(&u->in, got);
		u->got_bytes = true;
		ev_timer_set(u->timer, UPSTREAM_IDLE_MS);
	}
	return r;
}

static void
read_all(struct upstream *u)
{
	while (h1_parse(u) && !u->blocked && u->readable) {
		switch (read_some(u)) {
		case GOT_BYTES:
			break;
		case GOT_NOTHING:
			return;
		case GOT_EOF:
			h1_eof(u, true);
			return;
		case GOT_ERROR:
			h1_eof(u, false);
			return;
		}
	}
}

void
upstream_pump(struct upstream *u)
{
	unsigned int want = 0;
	int w;

	if (u->state != UP_READY || u->in_pump)
		return;
	u->in_pump = true;
	u->want_write = false;
	w = write_some(u);
	while (w == 0 && u->was_high) {
		u->was_high = false;
		u->ops->writable(u->arg);
		if (u->state == UP_READY)
			w = write_some(u);
	}
	/* A server may answer and close before it has read everything. */
	if (u->state == UP_READY)
		read_all(u);
	u->in_pump = false;
	if (u->state != UP_READY)
		return;
	if (w < 0) {
		upstream_fail(
		    u, UPSTREAM_BROKEN, "the server closed the connection");
		return;
	}
	if (!u->blocked)
		want |= EV_READ;
	if (buf_len(&u->out) > 0 || u->want_write)
		want |= EV_WRITE;
	watch(u, want);
}

void
upstream_pump_later(void *arg)
{
	struct upstream *u = arg;

	u->pump_due = false;
	upstream_pump(u);
}

void
upstream_resume(struct upstream *u)
{
	if (u->state != UP_READY || !u->blocked)
		return;
	u->blocked = false;
	upstream_pump(u);
}

static void
handshake(struct upstream *u)
{
	struct tls_client *client;
	struct error err = { 0 };

	if (u->tls == NULL) {
		if (u->roots == NULL) {
			upstream_fail(u, UPSTREAM_TLS,
			    "no trusted certificate authorities are known");
			return;
		}
		client = roots_client(u->roots, &err);
		if (client != NULL)
			u->tls = tls_connect_new(client, u->fd,
			    &(struct tls_target){
				.host = u->host, .port = u->port },
			    &err);
		if (u->tls == NULL) {
			upstream_fail(u, UPSTREAM_TLS, err.msg);
			return;
		}
	}
	switch (tls_handshake(u->tls)) {
	case TLS_OK:
		ev_io_set(u->io, EV_READ);
		upstream_is_ready(u);
		return;
	case TLS_WANT_READ:
		ev_io_set(u->io, EV_READ);
		return;
	case TLS_WANT_WRITE:
		ev_io_set(u->io, EV_WRITE);
		return;
	case TLS_ERROR:
	case TLS_WANT_LEAF:
	case TLS_EOF:
		upstream_fail(u, UPSTREAM_TLS, tls_why(u->tls));
		return;
	}
}

static void
connected(struct upstream *u)
{
	socklen_t len = sizeof(int);
	int e = 0;

	if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e != 0) {
		strlcpy(u->why, strerror(e), sizeof(u->why));
		u->at++;
		upstream_next_addr(u);
		return;
	}
	if (!u->is_tls) {
		upstream_is_ready(u);
		return;
	}
	u->state = UP_HANDSHAKE;
	ev_timer_set(u->timer, UPSTREAM_TLS_MS);
	handshake(u);
}

void
upstream_on_io(int fd, unsigned int events, void *arg)
{
	struct upstream *u = arg;

	(void)fd;
	/* A hang-up is reported again and again: look away until resumed. */
	if (u->state == UP_READY && u->blocked && (events & EV_HANGUP) != 0) {
		ev_io_free(u->io);
		u->io = NULL;
		return;
	}
	switch (u->state) {
	case UP_CONNECT:
		connected(u);
		return;
	case UP_HANDSHAKE:
		handshake(u);
		return;
	case UP_READY:
		if (events & (EV_READ | EV_HANGUP))
			u->readable = true;
		upstream_pump(u);
		return;
	case UP_KEPT:
		/* Closed by the server, or bytes out of turn. */
		upstream_fail(u, UPSTREAM_BROKEN, "closed while unused");
		return;
	case UP_DEAD:
		return;
	}
}
