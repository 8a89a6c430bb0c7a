#include "base/msg.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define FLAG_FD 1u
#define READ_SIZE 65536u /* bytes asked for in one recvmsg */
#define READ_ROUNDS 4    /* reads before others get their turn */
#define FDS_MAX 16u      /* received and not yet claimed */
#define DIRECT_MIN 8192u /* bytes worth a system call of their own */
#define SPARES_MAX 4u
#define SPARE_CAP 4096u

struct out_fd {
	size_t at; /* stream position of the message that carries it */
	int fd;
};

struct chan {
	struct ev *ev;
	struct ev_io *io;
	int fd;
	char *peer;
	const struct msg_rule *rules;
	unsigned int *flags; /* of each rule, as they are now */
	size_t nrules;
	chan_end_fn *on_end;
	void *ctx;

	struct buf in;
	int in_fds[FDS_MAX];
	size_t in_nfds;

	struct buf out;
	size_t out_pos; /* stream position of the head of out */
	struct out_fd *out_fds;
	size_t out_nfds, out_fds_cap;

	bool bulk; /* the last read brought much */
	bool dead;
	bool freed;
	bool paused;
	bool high; /* the queue was above MSG_QUEUE_HIGH */
	bool flush_due;
	uint16_t waiting; /* chan_wait() */
	bool waited;
	ev_fn *drain;
	void *drain_arg;
};

static void on_io(int fd, unsigned int events, void *arg);
static void flush_deferred(void *arg);

/*
 * Idle channels hold no buffers, so that busy ones would get some anew, and
 * have them grow, for each message.  A few are kept for whoever is next.
 * None of them has held a secret.
 */
static uint8_t *spares[SPARES_MAX];
static size_t nspares;

static void
spare_take(struct buf *b)
{
	if (b->data != NULL || b->wipe)
		return;
	if (nspares == 0) {
		(void)buf_reserve(b, SPARE_CAP);
		return;
	}
	b->data = spares[--nspares];
	b->cap = SPARE_CAP;
}

static void
spare_give(struct buf *b)
{
	if (b->cap == SPARE_CAP && !b->wipe && nspares < SPARES_MAX) {
		spares[nspares++] = b->data;
		b->data = NULL;
		b->cap = 0;
	}
	buf_free(b);
}

struct chan *
chan_new(struct ev *ev, int fd, const char *peer, const struct msg_rule *rules,
    size_t nrules, chan_end_fn *on_end, void *ctx)
{
	struct chan *c = xcalloc(1, sizeof(*c));

	if (fd_nonblock(fd) < 0 || fd_cloexec(fd, true) < 0)
		fatal("channel to %s", peer);
	c->ev = ev;
	c->fd = fd;
	c->peer = xstrdup(peer);
	c->rules = rules;
	c->nrules = nrules;
	c->flags = xcalloc(nrules, sizeof(*c->flags));
	buf_init(&c->in, 0);
	for (size_t i = 0; i < nrules; i++) {
		c->flags[i] = rules[i].flags;
		/* Before it is handled a body may be moved, or come in bits. */
		if (rules[i].flags & MSG_WIPE)
			c->in.wipe = true;
	}
	c->on_end = on_end;
	c->ctx = ctx;
	buf_init(&c->out, 0);
	c->io = ev_io_new(ev, fd, EV_READ, on_io, c);
	return c;
}

void
chan_set_ctx(struct chan *c, void *ctx)
{
	c->ctx = ctx;
}

/* The descriptor and the queues go at once; the struct at the round's end. */
static void
shut(struct chan *c)
{
	if (c->dead)
		return;
	c->dead = true;
	ev_io_free(c->io);
	c->io = NULL;
	fd_close(&c->fd);
	for (size_t i = 0; i < c->in_nfds; i++)
		close(c->in_fds[i]);
	c->in_nfds = 0;
	for (size_t i = 0; i < c->out_nfds; i++)
		close(c->out_fds[i].fd);
	c->out_nfds = 0;
	buf_free(&c->out);
	c->out_pos = 0;
}

static void
release(void *arg)
{
	struct chan *c = arg;

	buf_free(&c->in);
	free(c->out_fds);
	free(c->flags);
	free(c->peer);
	free(c);
}

void
chan_free(struct chan *c)
{
	if (c == NULL || c->freed)
		return;
	c->freed = true;
	shut(c);
	if (c->flush_due)
		ev_undefer(c->ev, flush_deferred, c);
	ev_defer(c->ev, release, c);
}

const char *
chan_peer(const struct chan *c)
{
	return c->peer;
}

bool
chan_alive(const struct chan *c)
{
	return c != NULL && !c->dead;
}

static void
end(struct chan *c, enum chan_end how, const char *why)
{
	if (c->dead)
		return;
	shut(c);
	c->on_end(c, how, why, c->ctx);
}

/* ---- receiving --------------------------------------------------------- */

static const struct msg_rule *
find_rule(const struct msg_rule *rules, size_t n, uint16_t type)
{
	for (size_t i = 0; i < n; i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

void
chan_permit(struct chan *c, uint16_t type, bool allowed)
{
	const struct msg_rule *r = find_rule(c->rules, c->nrules, type);
	unsigned int *f;

	if (r == NULL)
		fatalx("chan_permit: no rule for %u", type);
	f = &c->flags[r - c->rules];
	*f = allowed ? *f | MSG_ALLOWED : *f & ~MSG_ALLOWED;
}

/* What is wrong with the message, or NULL once it has been handled. */
static const char *
dispatch(struct chan *c, struct msg *m, bool has_fd)
{
	const struct msg_rule *r = find_rule(c->rules, c->nrules, m->type);
	unsigned int *f;

	if (r == NULL)
		return "unknown message type";
	f = &c->flags[r - c->rules];
	if (!(*f & MSG_ALLOWED))
		return "message not permitted now";
	if (has_fd != ((*f & MSG_FD) != 0))
		return has_fd ? "unwanted descriptor" : "descriptor missing";
	if (*f & MSG_ONCE)
		*f &= ~MSG_ALLOWED;
	if (r->fn(c, m, c->ctx) < 0)
		return "malformed message";
	return NULL;
}

/* One message from c->in; false when there is none complete (or no channel). */
static bool
next_message(struct chan *c)
{
	const struct msg_rule *r;
	const char *why;
	struct msg m;
	struct cur h;
	uint16_t flags;
	uint32_t len;
	char text[96];

	if (c->dead || c->paused || buf_len(&c->in) < MSG_HEADER_SIZE)
		return false;
	cur_init(&h, buf_head(&c->in), MSG_HEADER_SIZE);
	m.type = cur_u16(&h);
	flags = cur_u16(&h);
	len = cur_u32(&h);
	m.job = cur_u32(&h);
	m.serial = cur_u32(&h);
	m.fd = -1;
	if (len > MSG_BODY_MAX || flags > FLAG_FD) {
		end(c, CHAN_FAULT, "bad message header");
		return false;
	}
	if (buf_len(&c->in) < MSG_HEADER_SIZE + len)
		return false;
	if (flags & FLAG_FD) {
		if (c->in_nfds == 0) {
			end(c, CHAN_FAULT, "descriptor announced, not sent");
			return false;
		}
		m.fd = c->in_fds[0];
		c->in_nfds--;
		memmove(c->in_fds, c->in_fds + 1,
		    c->in_nfds * sizeof(c->in_fds[0]));
	}
	cur_init(&m.body, buf_head(&c->in) + MSG_HEADER_SIZE, len);
	why = dispatch(c, &m, (flags & FLAG_FD) != 0);
	if (m.fd >= 0)
		close(m.fd);
	r = find_rule(c->rules, c->nrules, m.type);
	if (r != NULL && (r->flags & MSG_WIPE))
		explicit_bzero(buf_head(&c->in) + MSG_HEADER_SIZE, len);
	if (c->freed)
		return false;
	if (why != NULL) {
		snprintf(text, sizeof(text), "%s (type %u, %u bytes)", why,
		    m.type, len);
		end(c, CHAN_FAULT, text);
		return false;
	}
	if (m.type == c->waiting)
		c->waited = true;
	if (c->dead)
		return false;
	buf_consume(&c->in, MSG_HEADER_SIZE + len);
	return true;
}

static void
drain_in(struct chan *c)
{
	while (next_message(c))
		continue;
	/* A channel that is idle, or brings little, holds no buffer. */
	if (!c->freed && !c->dead && !c->bulk && buf_len(&c->in) == 0)
		spare_give(&c->in);
}

/*
 * Most reads bring a message or two.  They are taken from here, so that no
 * buffer for what could have come is made, and wiped, for each.
 */
static uint8_t small_reads[READ_SIZE];

/* One recvmsg: 1 read something, 0 nothing there, -1 the channel ended. */
static int
receive(struct chan *c)
{
	int fds[FD_PASS_MAX];
	size_t nfds;
	bool direct = c->bulk || buf_len(&c->in) > 0;
	uint8_t *p = direct ? buf_reserve(&c->in, READ_SIZE) : small_reads;
	ssize_t n = fd_recvmsg(c->fd, p, READ_SIZE, fds, FD_PASS_MAX, &nfds);

	for (size_t i = 0; i < nfds; i++) {
		if (c->in_nfds == FDS_MAX) {
			for (; i < nfds; i++)
				close(fds[i]);
			end(c, CHAN_FAULT, "too many descriptors");
			return -1;
		}
		c->in_fds[c->in_nfds++] = fds[i];
	}
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0) {
		end(c, CHAN_EOF, n < 0 ? strerror(errno) : "closed");
		return -1;
	}
	if (direct) {
		buf_commit(&c->in, (size_t)n);
	} else {
		spare_take(&c->in);
		buf_put(&c->in, p, (size_t)n);
		if (c->in.wipe)
			explicit_bzero(p, (size_t)n);
	}
	c->bulk = n >= (ssize_t)DIRECT_MIN;
	return n == READ_SIZE ? 2 : 1;
}

/* ---- sending ----------------------------------------------------------- */

/* Write what can be written; false when the socket is full or gone. */
static bool
write_some(struct chan *c)
{
	while (buf_len(&c->out) > 0) {
		size_t n = buf_len(&c->out);
		bool with_fd = false;
		ssize_t k;

		if (c->out_nfds > 0) {
			size_t ahead = c->out_fds[0].at - c->out_pos;

			if (ahead > 0)
				n = ahead < n ? ahead : n;
			else {
				with_fd = true;
				if (c->out_nfds > 1 &&
				    c->out_fds[1].at - c->out_pos < n)
					n = c->out_fds[1].at - c->out_pos;
			}
		}
		k = fd_sendmsg(c->fd, buf_head(&c->out), n,
		    with_fd ? &c->out_fds[0].fd : NULL, with_fd ? 1 : 0);
		if (k < 0)
			/* EPIPE and the like show up as end of file as well,
			 * after what the peer still had to say. */
			return false;
		if (with_fd) {
			close(c->out_fds[0].fd);
			c->out_nfds--;
			memmove(c->out_fds, c->out_fds + 1,
			    c->out_nfds * sizeof(c->out_fds[0]));
		}
		buf_consume(&c->out, (size_t)k);
		c->out_pos += (size_t)k;
	}
	spare_give(&c->out);
	return true;
}

static void
update_io(struct chan *c)
{
	if (c->dead)
		return;
	ev_io_set(
	    c->io, (c->paused ? 0u : EV_READ) |
		       (buf_len(&c->out) > 0 && !c->flush_due ? EV_WRITE : 0u));
}

static void
flush_out(struct chan *c)
{
	if (c->dead)
		return;
	write_some(c);
	update_io(c);
	if (c->high && buf_len(&c->out) < MSG_QUEUE_HIGH) {
		c->high = false;
		if (c->drain != NULL)
			c->drain(c->drain_arg);
	}
}

static void
flush_deferred(void *arg)
{
	struct chan *c = arg;

	c->flush_due = false;
	flush_out(c);
}

void
chan_send_bytes(struct chan *c, uint16_t type, uint32_t job, uint32_t serial,
    const void *p, size_t n)
{
	chan_send_two(c, type, job, serial, p, n, NULL, 0);
}

static void
put_header(struct buf *b, uint16_t type, bool with_fd, uint32_t job,
    uint32_t serial, size_t n)
{
	buf_put_u16(b, type);
	buf_put_u16(b, with_fd ? FLAG_FD : 0);
	buf_put_u32(b, (uint32_t)n);
	buf_put_u32(b, job);
	buf_put_u32(b, serial);
}

/* Something has been queued. */
static void
queued(struct chan *c)
{
	if (buf_len(&c->out) > MSG_QUEUE_MAX) {
		end(c, CHAN_FAULT, "peer does not read");
		return;
	}
	if (buf_len(&c->out) >= MSG_QUEUE_HIGH)
		c->high = true;
	if (!c->flush_due && !(ev_io_get(c->io) & EV_WRITE)) {
		c->flush_due = true;
		ev_defer(c->ev, flush_deferred, c);
	}
}

void
chan_send(struct chan *c, uint16_t type, uint32_t job, uint32_t serial,
    const struct buf *body, int fd)
{
	size_t n = body == NULL ? 0 : buf_len(body);

	if (n > MSG_BODY_MAX || (body != NULL && buf_failed(body)))
		fatalx("message %u to %s: %zu bytes", type, c->peer, n);
	if (c->dead) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (fd >= 0) {
		if (c->out_nfds == c->out_fds_cap) {
			c->out_fds_cap = c->out_fds_cap * 2 + 4;
			c->out_fds = xreallocarray(
			    c->out_fds, c->out_fds_cap, sizeof(*c->out_fds));
		}
		c->out_fds[c->out_nfds].at = c->out_pos + buf_len(&c->out);
		c->out_fds[c->out_nfds++].fd = fd;
	}
	if (body != NULL && body->wipe)
		c->out.wipe = true;
	spare_take(&c->out);
	put_header(&c->out, type, fd >= 0, job, serial, n);
	if (n > 0)
		buf_put(&c->out, buf_head(body), n);
	queued(c);
}

/* Write now what need not be queued; what is left of the parts is queued. */
static void
send_parts(struct chan *c, const struct fd_part *part, size_t n)
{
	ssize_t k = fd_sendv(c->fd, part, n);
	size_t done = k < 0 ? 0 : (size_t)k;

	c->out_pos += done;
	for (size_t i = 0; i < n; i++) {
		struct cur left;
		size_t skip = done < part[i].n ? done : part[i].n;

		cur_init(&left, part[i].p, part[i].n);
		(void)cur_bytes(&left, skip);
		buf_put(&c->out, left.p, left.left);
		done -= skip;
	}
	if (buf_len(&c->out) > 0)
		update_io(c);
}

void
chan_send_two(struct chan *c, uint16_t type, uint32_t job, uint32_t serial,
    const void *p, size_t n, const void *q, size_t m)
{
	cleanup_buf struct buf head = { 0 };
	struct fd_part part[] = { { NULL, MSG_HEADER_SIZE }, { p, n },
		{ q, m } };

	if (n > MSG_BODY_MAX || m > MSG_BODY_MAX - n)
		fatalx("message %u to %s: %zu bytes", type, c->peer, n + m);
	if (c->dead)
		return;
	if (n + m >= DIRECT_MIN && buf_len(&c->out) == 0) {
		put_header(&head, type, false, job, serial, n + m);
		part[0].p = buf_head(&head);
		send_parts(c, part, nitems(part));
		return;
	}
	spare_take(&c->out);
	put_header(&c->out, type, false, job, serial, n + m);
	buf_put(&c->out, p, n);
	buf_put(&c->out, q, m);
	queued(c);
}

size_t
chan_queued(const struct chan *c)
{
	return c->dead ? 0 : buf_len(&c->out);
}

void
chan_on_drain(struct chan *c, ev_fn *fn, void *arg)
{
	c->drain = fn;
	c->drain_arg = arg;
}

static void
resume(void *arg)
{
	struct chan *c = arg;

	if (!c->freed)
		drain_in(c);
}

void
chan_pause(struct chan *c, bool paused)
{
	if (c->dead || c->paused == paused)
		return;
	c->paused = paused;
	update_io(c);
	/* Messages may already be here, and no event will tell. */
	if (!paused && buf_len(&c->in) > 0) {
		ev_undefer(c->ev, resume, c);
		ev_defer(c->ev, resume, c);
	}
}

static void
on_io(int fd, unsigned int events, void *arg)
{
	struct chan *c = arg;
	int more;

	(void)fd;
	if (events & EV_WRITE) {
		flush_out(c);
		if (c->dead)
			return;
	}
	if (!(events & (EV_READ | EV_HANGUP)) ||
	    (c->paused && !(events & EV_HANGUP)))
		return;
	if (c->paused && buf_len(&c->in) > MSG_QUEUE_MAX) {
		end(c, CHAN_EOF, "closed while paused");
		return;
	}
	for (int i = 0; i < READ_ROUNDS; i++) {
		more = receive(c);
		if (more < 0)
			return;
		drain_in(c);
		if (c->dead || c->freed || more < 2)
			return;
	}
}

/* ---- start-up and shutdown helpers ------------------------------------- */

static bool
poll_one(int fd, short events, uint64_t until)
{
	struct pollfd pf = { .fd = fd, .events = events };
	uint64_t now = ev_now_ms();
	int n;

	do {
		n = poll(&pf, 1, now >= until ? 0 : (int)(until - now));
		now = ev_now_ms();
	} while (n < 0 && errno == EINTR && now < until);
	return n > 0;
}

int
chan_flush(struct chan *c, int ms)
{
	uint64_t until = ev_now_ms() + (uint64_t)ms;

	while (!c->dead && buf_len(&c->out) > 0) {
		if (write_some(c))
			break;
		if (errno != EAGAIN)
			return -1;
		if (!poll_one(c->fd, POLLOUT, until))
			return -1;
	}
	return c->dead ? -1 : 0;
}

int
chan_wait(struct chan *c, uint16_t type, int ms)
{
	uint64_t until = ev_now_ms() + (uint64_t)ms;

	if (chan_flush(c, ms) < 0)
		return -1;
	c->waiting = type;
	c->waited = false;
	while (!c->dead && !c->waited) {
		/* Message by message: what follows may need its own set-up. */
		if (next_message(c))
			continue;
		if (c->dead || !poll_one(c->fd, POLLIN, until))
			break;
		if (receive(c) < 0)
			break;
	}
	c->waiting = 0;
	if (!c->dead && buf_len(&c->in) > 0) {
		ev_undefer(c->ev, resume, c);
		ev_defer(c->ev, resume, c);
	}
	return c->waited && !c->dead ? 0 : -1;
}

void
chan_last_words(struct chan *c)
{
	do {
		drain_in(c);
	} while (!c->dead && !c->paused && receive(c) > 0);
}
