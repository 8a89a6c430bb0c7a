#include "daemon/shim_relay.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attach.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define CLIENT_HIGH (256u * 1024)    /* stop reading the job's output */
#define INPUT_HIGH (64u * 1024)      /* stop reading the client */
#define DRAIN_MAX (8u * 1024 * 1024) /* read at the end, per stream */
#define TTY_RETRY_MS 200
#define TTY_EOF "\x04"

/* One stream out of the job. */
struct source {
	struct relay *r;
	int fd;
	struct ev_io *io;
	enum attach_type type;
	struct ev_timer *retry; /* terminal with no process on it */
};

struct relay {
	struct ev *ev;
	const struct relay_ops *ops;
	void *arg;
	bool tty;

	int client;
	struct ev_io *client_io;
	struct buf from_client;
	struct buf to_client;

	int in;
	struct ev_io *in_io;
	struct buf input;
	bool input_ends; /* close in when input is empty */

	struct source src[2];

	int log;
	uint64_t log_left;
	bool log_limited;

	bool finishing, finished;
	struct ev_timer *linger;
};

static void update(struct relay *r);

/* ---- to the client ----------------------------------------------------- */

static void
finished(void *arg)
{
	struct relay *r = arg;

	if (r->finished)
		return;
	r->finished = true;
	ev_timer_clear(r->linger);
	r->ops->on_finished(r->arg);
}

static void
client_close(struct relay *r)
{
	if (r->client < 0)
		return;
	ev_io_free(r->client_io);
	r->client_io = NULL;
	fd_close(&r->client);
	buf_free(&r->to_client);
	buf_free(&r->from_client);
}

/* The client went away by itself or broke the protocol. */
static void
client_gone(struct relay *r, const char *why)
{
	if (r->client < 0)
		return;
	log_info("client detached: %s", why);
	client_close(r);
	if (r->finishing) {
		finished(r);
		return;
	}
	/* Nobody will ever type again. */
	r->input_ends = true;
	update(r);
	r->ops->on_client_gone(r->arg);
}

static void
client_flush(struct relay *r)
{
	while (r->client >= 0 && buf_len(&r->to_client) > 0) {
		ssize_t n = send(r->client, buf_head(&r->to_client),
		    buf_len(&r->to_client), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			client_gone(r, strerror(errno));
			return;
		}
		buf_consume(&r->to_client, (size_t)n);
	}
}

static void
to_client(struct relay *r, enum attach_type type, const void *p, size_t n)
{
	if (r->client >= 0)
		attach_put(&r->to_client, type, p, n);
}

/* ---- out of the job ---------------------------------------------------- */

static void
log_output(struct relay *r, const uint8_t *p, size_t n)
{
	char mark[96];
	size_t k = n;

	if (r->log < 0)
		return;
	if (r->log_limited && k > r->log_left)
		k = (size_t)r->log_left;
	if (k > 0 && fd_write_all(r->log, p, k) != 0) {
		log_warn("output log");
		fd_close(&r->log);
		return;
	}
	r->log_left -= r->log_limited ? k : 0;
	if (k == n)
		return;
	snprintf(mark, sizeof(mark),
	    "\n[brig: output limit reached, the rest is not kept]\n");
	if (fd_write_all(r->log, mark, strlen(mark)) != 0)
		log_warn("output log");
	fd_close(&r->log);
}

static void
source_close(struct source *s)
{
	if (s->fd < 0)
		return;
	ev_io_free(s->io);
	s->io = NULL;
	/* The terminal is one descriptor for both directions. */
	if (s->r->tty && s->r->in == s->fd) {
		ev_io_free(s->r->in_io);
		s->r->in_io = NULL;
		s->r->in = -1;
	}
	fd_close(&s->fd);
}

/* One read: 1 got bytes, 0 none now, -1 the end. */
static int
source_read(struct source *s)
{
	uint8_t b[ATTACH_MAX];
	ssize_t n = read(s->fd, b, sizeof(b));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	log_output(s->r, b, (size_t)n);
	to_client(s->r, s->type, b, (size_t)n);
	return 1;
}

static void on_source(int fd, unsigned int events, void *arg);

static void
source_watch(void *arg)
{
	struct source *s = arg;

	if (s->fd >= 0 && s->io == NULL && !s->r->finishing)
		s->io = ev_io_new(s->r->ev, s->fd, EV_READ, on_source, s);
	update(s->r);
}

static void
on_source(int fd, unsigned int events, void *arg)
{
	struct source *s = arg;

	if (source_read(s) < 0) {
		if (s->r->tty) {
			/*
			 * No process has the terminal open; a later one may
			 * open it, and until then it reports a hang-up.
			 */
			ev_io_free(s->io);
			s->io = NULL;
			ev_timer_set(s->retry, TTY_RETRY_MS);
		} else
			source_close(s);
	}
	update(s->r);
}

/* ---- into the job ------------------------------------------------------ */

static void
input_close(struct relay *r)
{
	if (r->in < 0)
		return;
	ev_io_free(r->in_io);
	r->in_io = NULL;
	/* The terminal stays: its end of file is a character. */
	if (!r->tty)
		close(r->in);
	r->in = -1;
	buf_free(&r->input);
}

static void
input_flush(struct relay *r)
{
	while (r->in >= 0 && buf_len(&r->input) > 0) {
		ssize_t n =
		    write(r->in, buf_head(&r->input), buf_len(&r->input));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			input_close(r);
			return;
		}
		buf_consume(&r->input, (size_t)n);
	}
	if (r->input_ends && !r->tty)
		input_close(r);
}

static void
window_size(struct relay *r, struct cur *c)
{
	struct winsize ws = { 0 };

	ws.ws_row = cur_u16(c);
	ws.ws_col = cur_u16(c);
	if (r->tty && r->src[0].fd >= 0 && cur_end(c) == 0 &&
	    ioctl(r->src[0].fd, TIOCSWINSZ, &ws) != 0)
		log_warn("window size");
}

static bool
may_signal(unsigned int signo)
{
	static const int ok[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGKILL,
		SIGUSR1, SIGUSR2, SIGCONT, SIGTSTP, SIGWINCH };

	for (size_t i = 0; i < nitems(ok); i++)
		if ((unsigned int)ok[i] == signo)
			return true;
	return false;
}

/* NULL, or what is wrong with the frame. */
static const char *
client_frame(struct relay *r, enum attach_type type, const uint8_t *p, size_t n)
{
	struct cur c;
	uint8_t signo;

	cur_init(&c, p, n);
	switch (type) {
	case ATTACH_STDIN:
		if (r->in >= 0 && !r->input_ends)
			buf_put(&r->input, p, n);
		return NULL;
	case ATTACH_STDIN_EOF:
		if (r->tty && r->in >= 0)
			buf_put(&r->input, TTY_EOF, 1);
		else
			r->input_ends = true;
		return n == 0 ? NULL : "end of input with bytes";
	case ATTACH_WINSIZE:
		window_size(r, &c);
		return cur_end(&c) == 0 ? NULL : "bad window size";
	case ATTACH_SIGNAL:
		signo = cur_u8(&c);
		if (cur_end(&c) != 0 || !may_signal(signo))
			return "bad signal";
		r->ops->on_signal(signo, r->arg);
		return NULL;
	case ATTACH_STDOUT:
	case ATTACH_STDERR:
	case ATTACH_NOTICE:
	case ATTACH_EXIT:
		break;
	}
	return "frame in the wrong direction";
}

static void
client_frames(struct relay *r)
{
	enum attach_type type;
	const uint8_t *p;
	const char *why;
	size_t n;
	int rc;

	while (r->client >= 0 && buf_len(&r->input) < INPUT_HIGH) {
		rc = attach_peek(&r->from_client, &type, &p, &n);
		if (rc == 0)
			return;
		why = rc < 0 ? "bad frame" : client_frame(r, type, p, n);
		if (why != NULL) {
			client_gone(r, why);
			return;
		}
		if (r->client >= 0)
			buf_consume(&r->from_client, ATTACH_HEADER + n);
	}
}

static void
client_read(struct relay *r)
{
	uint8_t *p = buf_reserve(&r->from_client, ATTACH_MAX);
	ssize_t n = recv(r->client, p, ATTACH_MAX, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_gone(r, n == 0 ? "closed" : strerror(errno));
		return;
	}
	buf_commit(&r->from_client, (size_t)n);
}

static void
on_client(int fd, unsigned int events, void *arg)
{
	struct relay *r = arg;

	if (events & EV_WRITE)
		client_flush(r);
	if (r->client >= 0 && (events & (EV_READ | EV_HANGUP)))
		client_read(r);
	update(r);
}

static void
on_input(int fd, unsigned int events, void *arg)
{
	struct relay *r = arg;

	input_flush(r);
	/* A pipe whose readers are gone reports nothing but that. */
	if (!r->tty && (events & EV_HANGUP) && r->in >= 0)
		input_close(r);
	update(r);
}

/* Move what can be moved, then wait for exactly what would help. */
static void
update(struct relay *r)
{
	bool room;

	client_frames(r);
	input_flush(r);
	client_frames(r);
	client_flush(r);
	if (r->finishing) {
		if (r->client < 0 || buf_len(&r->to_client) == 0)
			finished(r);
		else
			ev_io_set(r->client_io, EV_WRITE);
		return;
	}
	room = r->client < 0 || buf_len(&r->to_client) < CLIENT_HIGH;
	for (size_t i = 0; i < nitems(r->src); i++) {
		struct source *s = &r->src[i];
		unsigned int ev = room ? EV_READ : 0;

		if (s->io == NULL)
			continue;
		if (r->tty && r->in >= 0 && buf_len(&r->input) > 0)
			ev |= EV_WRITE;
		ev_io_set(s->io, ev);
	}
	if (r->in_io != NULL)
		ev_io_set(r->in_io, buf_len(&r->input) > 0 ? EV_WRITE : 0);
	if (r->client_io != NULL)
		ev_io_set(r->client_io,
		    (buf_len(&r->input) < INPUT_HIGH ? EV_READ : 0) |
			(buf_len(&r->to_client) > 0 ? EV_WRITE : 0));
}

/* ---- life -------------------------------------------------------------- */

static void
source_init(struct relay *r, struct source *s, int fd, enum attach_type type)
{
	s->r = r;
	s->fd = fd;
	s->type = type;
	s->retry = ev_timer_new(r->ev, source_watch, s);
}

struct relay *
relay_new(struct ev *ev, const struct relay_conf *c,
    const struct relay_ops *ops, void *arg)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	r->ev = ev;
	r->ops = ops;
	r->arg = arg;
	r->tty = c->tty;
	r->client = c->client_fd;
	r->in = c->in_fd;
	r->log = c->log_fd;
	r->log_left = c->log_limit;
	r->log_limited = c->log_limit != 0;
	buf_init(&r->from_client, 0);
	buf_init(&r->to_client, 0);
	buf_init(&r->input, 0);
	r->linger = ev_timer_new(ev, finished, r);
	source_init(r, &r->src[0], c->out_fd, ATTACH_STDOUT);
	source_init(r, &r->src[1], c->err_fd, ATTACH_STDERR);
	if (r->client >= 0)
		r->client_io = ev_io_new(ev, r->client, 0, on_client, r);
	/* A terminal's input shares the watcher of its output. */
	if (r->in >= 0 && !r->tty)
		r->in_io = ev_io_new(ev, r->in, 0, on_input, r);
	for (size_t i = 0; i < nitems(r->src); i++)
		source_watch(&r->src[i]);
	return r;
}

void
relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < nitems(r->src); i++) {
		ev_timer_free(r->src[i].retry);
		source_close(&r->src[i]);
	}
	input_close(r);
	client_close(r);
	fd_close(&r->log);
	ev_timer_free(r->linger);
	buf_free(&r->input);
	buf_free(&r->from_client);
	buf_free(&r->to_client);
	free(r);
}

bool
relay_attached(const struct relay *r)
{
	return r != NULL && r->client >= 0;
}

void
relay_notice(struct relay *r, const char *text)
{
	size_t n = strlen(text);

	to_client(r, ATTACH_NOTICE, text, n < ATTACH_MAX ? n : ATTACH_MAX);
	update(r);
}

void
relay_finish(
    struct relay *r, enum exit_kind kind, uint32_t code, const char *detail)
{
	struct buf b;

	if (r->finishing)
		return;
	for (size_t i = 0; i < nitems(r->src); i++) {
		struct source *s = &r->src[i];

		/* The writers are dead: what is there is all there is. */
		for (size_t n = 0; s->fd >= 0 && n < DRAIN_MAX / ATTACH_MAX &&
				   source_read(s) == 1;
		     n++)
			continue;
		source_close(s);
	}
	input_close(r);
	r->finishing = true;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)kind);
	buf_put_u32(&b, code);
	buf_put_str(&b, detail);
	to_client(r, ATTACH_EXIT, buf_head(&b), buf_len(&b));
	buf_free(&b);
	ev_timer_set(r->linger, RELAY_LINGER_MS);
	update(r);
}
