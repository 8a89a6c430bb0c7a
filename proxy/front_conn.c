#include "proxy/front.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define READ_HEAD 8192u /* asked for in one read before a head is known */
#define READ_BODY 65536u
#define READS_PER_ROUND 8
#define DIRECT_MIN 4096u

static void conn_work(void *arg);
static int write_some(struct conn *c);
static void on_io(int fd, unsigned int events, void *arg);
static void on_timer(void *arg);

struct conn *
conn_new(struct front *f, int fd, const char *addr, const char *dst,
    uint32_t index, uint16_t port)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	c->f = f;
	c->fd = fd;
	c->addr = xstrdup(addr);
	c->dst = dst == NULL ? NULL : xstrdup(dst);
	c->index = index;
	c->port = port;
	c->state = CONN_SNIFF;
	http_parser_init(&c->req, false);
	c->io = ev_io_new(f->ev, fd, EV_READ, on_io, c);
	c->timer = ev_timer_new(f->ev, on_timer, c);
	c->timer_kind = raw_may_wait(c) ? TIMER_QUIET : TIMER_HEAD;
	ev_timer_set(c->timer,
	    c->timer_kind == TIMER_QUIET ? FRONT_RAW_WAIT_MS : FRONT_HEAD_MS);
	c->next = f->conns;
	if (c->next != NULL)
		c->next->prev = c;
	f->conns = c;
	f->nconns++;
	if (f->nconns > f->peak && f->nconns > FRONT_TRIM_MIN)
		f->peak = f->nconns;
	return c;
}

void
conn_event(const struct conn *c, enum front_event kind, const char *text)
{
	front_event(c->f, kind, c->dst == NULL ? c->addr : c->dst, c->port,
	    text, strlen(text));
}

static void
idle_add(struct conn *c)
{
	struct front *f = c->f;

	c->idle_prev = f->idle_last;
	if (f->idle_last != NULL)
		f->idle_last->idle_next = c;
	else
		f->idle_first = c;
	f->idle_last = c;
}

static void
idle_drop(struct conn *c)
{
	struct front *f = c->f;

	if (c->idle_prev == NULL && f->idle_first != c)
		return;
	if (c->idle_prev != NULL)
		c->idle_prev->idle_next = c->idle_next;
	else
		f->idle_first = c->idle_next;
	if (c->idle_next != NULL)
		c->idle_next->idle_prev = c->idle_prev;
	else
		f->idle_last = c->idle_prev;
	c->idle_next = c->idle_prev = NULL;
}

/* Close it with a word, if its protocol has one. */
static void
part(struct conn *c)
{
	if (c->state == CONN_OPEN && c->proto->goodbye != NULL) {
		c->proto->goodbye(c);
		c->proto->fill(c);
		(void)write_some(c);
	}
	conn_close(c);
}

bool
conn_close_idle(struct front *f)
{
	if (f->idle_first == NULL)
		return false;
	part(f->idle_first);
	return true;
}

void
conn_held(struct conn *c)
{
	size_t now = c->state == CONN_DEAD ? 0 : buf_len(&c->out) + c->waiting;

	c->f->held = c->f->held - c->held + now;
	c->held = now;
}

void
conn_relieve(struct front *f)
{
	struct conn *most = f->conns;

	if (f->held <= FRONT_HELD_MAX || most == NULL)
		return;
	for (struct conn *c = most->next; c != NULL; c = c->next)
		if (c->held > most->held)
			most = c;
	conn_event(most, FRONT_LIMIT, "too much waits to be read by the job");
	conn_reset(most);
}

/* Most connections are gone: give the pages back that lie between the rest. */
static void
trim(void *arg)
{
	struct front *f = arg;

	f->peak = f->nconns > FRONT_TRIM_MIN ? f->nconns : 0;
	malloc_trim(0);
}

/* What goes at once; the struct itself stays until the round's end. */
void
conn_close(struct conn *c)
{
	struct front *f = c->f;

	if (c->state == CONN_DEAD)
		return;
	if (c->proto != NULL)
		c->proto->end(c);
	c->state = CONN_DEAD;
	conn_held(c);
	idle_drop(c);
	ev_undefer(f->ev, conn_work, c);
	ev_timer_free(c->timer);
	ev_io_free(c->io);
	tls_free(c->tls);
	fd_close(&c->fd);
	buf_free(&c->in);
	buf_free(&c->out);
	http_parser_free(&c->req);
	free(c->ws_accept);
	free(c->addr);
	free(c->dst);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		f->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	f->nconns--;
	ev_defer(f->ev, free, c);
	if (f->nconns < f->peak / 4) {
		f->peak = 0;
		ev_defer(f->ev, trim, f);
	}
}

void
conn_reset(struct conn *c)
{
	/* A RST, so that a body that ends with the connection is seen cut. */
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (c->state != CONN_DEAD)
		setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_close(c);
}

void
conn_schedule(struct conn *c)
{
	if (c->work_due || c->state == CONN_DEAD)
		return;
	c->work_due = true;
	ev_defer(c->f->ev, conn_work, c);
}

void
conn_opened(struct conn *c, const struct front_proto *proto)
{
	c->state = CONN_OPEN;
	c->proto = proto;
	c->readable = true;
	conn_schedule(c);
}

void
conn_sniff_again(struct conn *c)
{
	c->state = CONN_SNIFF;
	c->proto = NULL;
	c->timer_kind = TIMER_HEAD;
	ev_timer_set(c->timer, FRONT_HEAD_MS);
	ev_io_set(c->io, EV_READ);
}

void
conn_finish(struct conn *c)
{
	c->closing = true;
	conn_schedule(c);
}

void
conn_goodbye(struct front *f)
{
	struct conn *next;

	for (struct conn *c = f->conns; c != NULL; c = next) {
		next = c->next;
		part(c);
	}
}

/* ---- timers ------------------------------------------------------------ */

static enum conn_timer
timer_wanted(const struct conn *c)
{
	switch (c->state) {
	case CONN_DEAD:
		return TIMER_NONE;
	case CONN_SNIFF:
	case CONN_HANDSHAKE:
	case CONN_MINT:
		return TIMER_HEAD;
	case CONN_LINGER:
		return TIMER_LINGER;
	case CONN_OPEN:
		break;
	}
	return buf_len(&c->out) > 0 ? TIMER_WRITE : c->proto->timer(c);
}

static void
arm_timer(struct conn *c)
{
	static const uint32_t ms[] = {
		[TIMER_HEAD] = FRONT_HEAD_MS,
		[TIMER_QUIET] = FRONT_RAW_WAIT_MS,
		[TIMER_IDLE] = FRONT_IDLE_MS,
		[TIMER_BODY] = FRONT_STALL_MS,
		[TIMER_WRITE] = FRONT_STALL_MS,
		[TIMER_LINGER] = FRONT_LINGER_MS,
	};
	enum conn_timer want = timer_wanted(c);
	bool again = c->progress && (want == TIMER_BODY || want == TIMER_WRITE);

	c->progress = false;
	if (want == c->timer_kind && !again)
		return;
	idle_drop(c);
	c->timer_kind = want;
	if (want == TIMER_NONE) {
		ev_timer_clear(c->timer);
		return;
	}
	if (want == TIMER_IDLE)
		idle_add(c);
	ev_timer_set(c->timer, ms[want]);
}

/* A request that comes in the very moment in which it is given up. */
static bool
is_used_after_all(struct conn *c)
{
	uint8_t first;

	if (c->timer_kind != TIMER_IDLE ||
	    recv(c->fd, &first, 1, MSG_PEEK) <= 0)
		return false;
	idle_drop(c);
	c->timer_kind = TIMER_NONE;
	c->readable = true;
	conn_schedule(c);
	return true;
}

static void
on_timer(void *arg)
{
	struct conn *c = arg;

	if (is_used_after_all(c))
		return;
	if (c->timer_kind == TIMER_QUIET) {
		c->timer_kind = TIMER_HEAD;
		ev_timer_set(c->timer, FRONT_HEAD_MS);
		if (c->state == CONN_SNIFF ||
		    (c->state == CONN_OPEN && raw_undecided(c)))
			raw_quiet(c);
		return;
	}
	if (c->state == CONN_OPEN && buf_len(&c->out) == 0 &&
	    c->proto->expired(c))
		return;
	if (c->state == CONN_HANDSHAKE || c->state == CONN_MINT)
		conn_event(c, FRONT_TLS, "TLS handshake took too long");
	if (c->state == CONN_SNIFF)
		conn_event(c, FRONT_NOT_HTTP,
		    "agent waits for the server to speak first");
	if (c->timer_kind == TIMER_WRITE || c->timer_kind == TIMER_BODY)
		conn_reset(c);
	else
		conn_close(c);
}

/* ---- bytes ------------------------------------------------------------- */

#define READ_EOF (-1)
#define READ_BROKEN (-2)

/* > 0 bytes came, 0 none for now, or the agent closed, or the session broke. */
static ssize_t
read_some(struct conn *c, size_t want)
{
	uint8_t *p = buf_reserve(&c->in, want);
	size_t got = 0;
	ssize_t n;

	if (c->tls == NULL) {
		do
			n = recv(c->fd, p, want, 0);
		while (n < 0 && errno == EINTR);
		if (n < 0 && errno == EAGAIN) {
			c->readable = false;
			return 0;
		}
		if (n <= 0)
			return n == 0 ? READ_EOF : READ_BROKEN;
		/* Level-triggered: what is left will be told again. */
		c->readable = (size_t)n == want;
		buf_commit(&c->in, (size_t)n);
		return n;
	}
	switch (tls_read(c->tls, p, want, &got)) {
	case TLS_OK:
		c->readable = tls_pending(c->tls);
		buf_commit(&c->in, got);
		return (ssize_t)got;
	case TLS_WANT_READ:
	case TLS_WANT_WRITE:
		c->readable = false;
		return 0;
	case TLS_EOF:
		return READ_EOF;
	case TLS_WANT_LEAF:
	case TLS_ERROR:
		break;
	}
	return READ_BROKEN;
}

/* Write what the socket takes; -1 when the connection is broken. */
static int
write_some(struct conn *c)
{
	size_t all = buf_len(&c->out);
	ssize_t n;

	if (all == 0) {
		if (c->tls != NULL)
			tls_push(c->tls);
		return 0;
	}
	n = tls_send(c->tls, c->fd, buf_head(&c->out), all, false);
	if (n > 0) {
		buf_consume(&c->out, (size_t)n);
		c->progress = true;
	}
	return n < 0 ? -1 : 0;
}

void
conn_put(struct conn *c, const void *p, size_t n)
{
	struct cur rest;
	ssize_t k = 0;

	cur_init(&rest, p, n);
	/* Small pieces are worth collecting until the round's end. */
	if (n >= DIRECT_MIN && buf_len(&c->out) == 0)
		k = tls_send(c->tls, c->fd, p, n, true);
	if (k > 0) {
		cur_bytes(&rest, (size_t)k);
		c->progress = true;
	}
	/* A broken connection shows again when the rest is written. */
	buf_put(&c->out, rest.p, rest.left);
	conn_schedule(c);
}

/* ---- the end of a connection ------------------------------------------- */

static void
linger(struct conn *c)
{
	bool owes = c->owes || buf_len(&c->in) > 0;

	if (c->tls != NULL)
		tls_close(c->tls);
	shutdown(c->fd, SHUT_WR);
	if (!owes) {
		conn_close(c);
		return;
	}
	/*
	 * Bytes still on their way would turn a close into a RST that takes
	 * the answer with it (RFC 9112 section 9.6).
	 */
	c->state = CONN_LINGER;
	buf_free(&c->in);
	ev_io_set(c->io, EV_READ);
	arm_timer(c);
}

static void
drop_input(struct conn *c)
{
	uint8_t waste[4096];
	ssize_t n;

	for (int i = 0; i < READS_PER_ROUND; i++) {
		n = recv(c->fd, waste, sizeof(waste), 0);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0 || (c->lingered += (size_t)n) > FRONT_LINGER_MAX) {
			conn_close(c);
			return;
		}
	}
}

/* ---- the work of a round ----------------------------------------------- */

static void
update_events(struct conn *c)
{
	unsigned int events = 0;

	if (!c->closing && c->proto->wants_input(c))
		events |= EV_READ;
	if (buf_len(&c->out) > 0)
		events |= EV_WRITE;
	ev_io_set(c->io, events);
}

static void
conn_input(struct conn *c)
{
	for (int i = 0; i < READS_PER_ROUND; i++) {
		ssize_t n;

		if (buf_len(&c->in) > 0 || c->ex != NULL) {
			bool more = c->proto->advance(c);
			if (c->state != CONN_OPEN || c->closing || !more)
				return;
		}
		if (!c->readable)
			return;
		n = read_some(c, c->nexchanges == 0 ? READ_HEAD : READ_BODY);
		if (n == READ_BROKEN) {
			conn_close(c);
			return;
		}
		if (n < 0) {
			c->proto->eof(c);
			return;
		}
		if (n == 0)
			return;
		c->progress = true;
	}
	/* Others first; OpenSSL may hold bytes no event will tell about. */
	if (c->tls != NULL && tls_pending(c->tls))
		conn_schedule(c);
	else if (buf_len(&c->in) > 0)
		c->proto->advance(c);
}

static void
conn_work(void *arg)
{
	struct conn *c = arg;

	c->work_due = false;
	if (c->state != CONN_OPEN)
		return;
	if (!c->closing)
		conn_input(c);
	if (c->state != CONN_OPEN)
		return;
	do {
		if (write_some(c) < 0) {
			conn_close(c);
			return;
		}
	} while (buf_len(&c->out) == 0 && c->proto->fill(c));
	c->proto->wrote(c);
	if (c->closing && buf_len(&c->out) == 0) {
		linger(c);
		return;
	}
	/* An idle connection or tunnel holds no buffer; a busy connection
	 * keeps its pages. */
	if ((c->nexchanges == 0 || c->raw != NULL) && buf_len(&c->out) == 0)
		buf_free(&c->out);
	if ((c->nexchanges == 0 || c->raw != NULL) && buf_len(&c->in) == 0)
		buf_free(&c->in);
	conn_held(c);
	update_events(c);
	arm_timer(c);
}

/*
 * TLS or not?  The bytes stay in the socket for whoever is chosen.  A first
 * byte is enough: 0x16 begins a TLS record and no HTTP method.
 */
static void
sniff(struct conn *c)
{
	uint8_t first;
	ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		/* A port probe, or a second address tried to be quicker. */
		if (c->index == 0)
			conn_event(c, FRONT_NOT_HTTP, "closed without a byte");
		conn_close(c);
	} else if (first == 0x16) {
		c->state = CONN_HANDSHAKE;
		conn_handshake(c);
	} else {
		conn_opened(c, &front_http);
	}
}

static void
on_io(int fd, unsigned int events, void *arg)
{
	struct conn *c = arg;

	switch (c->state) {
	case CONN_SNIFF:
		sniff(c);
		break;
	case CONN_HANDSHAKE:
		conn_handshake(c);
		break;
	case CONN_MINT:
		if (events & EV_HANGUP)
			conn_close(c);
		break;
	case CONN_OPEN:
		if ((events & EV_HANGUP) && !(events & EV_READ)) {
			conn_close(c);
			break;
		}
		if (events & EV_READ)
			c->readable = true;
		conn_schedule(c);
		break;
	case CONN_LINGER:
		drop_input(c);
		break;
	case CONN_DEAD:
		break;
	}
}
