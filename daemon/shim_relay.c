#include "daemon/shim_relay.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attach.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/shim_client.h"

#define CLIENT_HIGH (256u * 1024)    /* stop reading the job's output */
#define INPUT_HIGH (64u * 1024)      /* stop reading the client */
#define DRAIN_MAX (8u * 1024 * 1024) /* read at the end, per stream */
#define TTY_RETRY_MS 200
#define REDRAW_MS 50
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
	uid_t uid;

	struct sclient *clients;
	struct sclient *first; /* in clients; NULL once it is gone */
	size_t nclients;
	bool attended; /* as last told */

	int in;
	struct ev_io *in_io;
	struct buf input;
	bool input_ends; /* close in when input is empty */
	uint16_t rows, cols;
	uint64_t sizes; /* told by clients */
	struct ev_timer *redraw;

	struct source src[2];
	struct ring ring;
	struct outlog log;

	bool updating, again;
	bool finishing, finished;
	bool first_done; /* the linger is that of the others */
	struct buf exit; /* body of ATTACH_EXIT */
	struct ev_timer *linger;
};

static void update(struct relay *r);

/* ---- the clients ------------------------------------------------------- */

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

/* It went away by itself or broke the protocol; freed by sweep(). */
static void
client_gone(struct relay *r, struct sclient *c, const char *why)
{
	if (c->fd < 0)
		return;
	log_info("client uid=%u detached: %s", c->uid, why);
	sclient_close(c);
	if (c != r->first)
		return;
	r->first = NULL;
	/* Nobody will ever type again. */
	r->input_ends = true;
	if (!r->finishing)
		r->ops->on_client_gone(r->arg);
}

/* It said good-bye: the job stays as it is. */
static void
client_detached(struct relay *r, struct sclient *c)
{
	if (c == r->first) {
		r->first = NULL;
		r->input_ends = true;
	}
	log_info("client uid=%u detached", c->uid);
	sclient_close(c);
}

static void
sweep(struct relay *r)
{
	struct sclient **pp = &r->clients, *c;

	while ((c = *pp) != NULL) {
		if (c->fd >= 0) {
			pp = &c->next;
			continue;
		}
		*pp = c->next;
		r->nclients--;
		sclient_free(c);
	}
}

static void
on_client_late(void *arg)
{
	struct sclient *c = arg;
	struct relay *r = c->owner;

	client_gone(r, c, "did not read");
	update(r);
}

/* ---- out of the job ---------------------------------------------------- */

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
	struct relay *r = s->r;
	uint8_t b[ATTACH_MAX];
	ssize_t n = read(s->fd, b, sizeof(b));
	bool cut;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	cut = r->log.full;
	outlog_put(&r->log, b, (size_t)n);
	if (r->log.full && !cut)
		r->ops->on_output_cut(&r->log, r->arg);
	ring_put(&r->ring, (uint8_t)s->type, b, (size_t)n);
	for (struct sclient *c = r->clients; c != NULL; c = c->next)
		sclient_pump(c, &r->ring);
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

	(void)fd;
	(void)events;
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
apply_size(struct relay *r, uint16_t rows, uint16_t cols)
{
	struct winsize ws = { .ws_row = rows, .ws_col = cols };

	if (r->src[0].fd >= 0 && ioctl(r->src[0].fd, TIOCSWINSZ, &ws) != 0)
		log_warn("window size");
}

static void
on_redraw(void *arg)
{
	struct relay *r = arg;

	apply_size(r, r->rows, r->cols);
}

static void
set_size(struct relay *r, uint16_t rows, uint16_t cols)
{
	const bool same = rows == r->rows && cols == r->cols;

	ev_timer_clear(r->redraw);
	r->rows = rows;
	r->cols = cols;
	apply_size(r, rows, cols);
	if (!same)
		outlog_size(&r->log, rows, cols);
}

/* The terminal is as large as that of whoever said so last. */
static void
window_size(struct relay *r, struct sclient *c, uint16_t rows, uint16_t cols)
{
	const bool same = rows == r->rows && cols == r->cols;
	const bool new = c->sized == 0 && c != r->first;

	if (!r->tty)
		return;
	c->sized = ++r->sizes;
	c->rows = rows;
	c->cols = cols;
	/*
	 * One who has just come sees remains of what was on the screen: a
	 * program paints it again when the size changes, and only then.
	 */
	if (same && new &&rows > 1) {
		apply_size(r, (uint16_t)(rows - 1), cols);
		ev_timer_set(r->redraw, REDRAW_MS);
		return;
	}
	set_size(r, rows, cols);
}

/* When that one has left it is that of the last but one. */
static void
size_of_who_is_here(struct relay *r)
{
	const struct sclient *last = NULL;

	for (const struct sclient *c = r->clients; c != NULL; c = c->next)
		if (c->sized > (last == NULL ? 0 : last->sized) && !c->leaving)
			last = c;
	if (last != NULL && (last->rows != r->rows || last->cols != r->cols))
		set_size(r, last->rows, last->cols);
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

/*
 * The input of a job without a terminal is that of the client that started
 * it.  Typing into a full terminal is lost, as on any; but what the first
 * client sends waits.
 */
static void
typed(struct relay *r, const struct sclient *c, const uint8_t *p, size_t n)
{
	if (r->in < 0 || (c != r->first && !r->tty) ||
	    (c == r->first && r->input_ends))
		return;
	if (c == r->first || buf_len(&r->input) < INPUT_HIGH)
		buf_put(&r->input, p, n);
}

/* NULL, or what is wrong with the frame. */
static const char *
client_frame(struct relay *r, struct sclient *c, enum attach_type type,
    const uint8_t *p, size_t n)
{
	uint16_t rows, cols;
	struct cur cur;
	uint8_t signo;

	cur_init(&cur, p, n);
	if (c->read_only && type != ATTACH_DETACH)
		return "frame of one who only watches";
	switch (type) {
	case ATTACH_STDIN:
		typed(r, c, p, n);
		return NULL;
	case ATTACH_STDIN_EOF:
		if (r->tty)
			typed(r, c, (const uint8_t *)TTY_EOF, 1);
		else if (c == r->first)
			r->input_ends = true;
		return n == 0 ? NULL : "end of input with bytes";
	case ATTACH_WINSIZE:
		rows = cur_u16(&cur);
		cols = cur_u16(&cur);
		if (cur_end(&cur) != 0)
			return "bad window size";
		window_size(r, c, rows, cols);
		return NULL;
	case ATTACH_SIGNAL:
		signo = cur_u8(&cur);
		if (cur_end(&cur) != 0 || !may_signal(signo))
			return "bad signal";
		r->ops->on_signal(signo, r->arg);
		return NULL;
	case ATTACH_DETACH:
		if (n != 0)
			return "detach with bytes";
		client_detached(r, c);
		return NULL;
	case ATTACH_STDOUT:
	case ATTACH_STDERR:
	case ATTACH_NOTICE:
	case ATTACH_EXIT:
	case ATTACH_HELLO:
	case ATTACH_LIVE:
	case ATTACH_BYE:
		break;
	}
	return "frame in the wrong direction";
}

/* Its frames have to wait for the job to take its input. */
static bool
client_waits(const struct relay *r, const struct sclient *c)
{
	return c == r->first && buf_len(&r->input) >= INPUT_HIGH;
}

static void
client_frames(struct relay *r, struct sclient *c, bool all)
{
	enum attach_type type;
	const uint8_t *p;
	const char *why;
	size_t n;
	int rc;

	while (c->fd >= 0 && !c->leaving && !r->finishing &&
	       (all || !client_waits(r, c))) {
		rc = attach_peek(&c->rx, &type, &p, &n);
		if (rc == 0)
			return;
		why = rc < 0 ? "bad frame" : client_frame(r, c, type, p, n);
		if (why != NULL) {
			client_gone(r, c, why);
			return;
		}
		if (c->fd >= 0)
			buf_consume(&c->rx, ATTACH_HEADER + n);
	}
}

static void
on_client(int fd, unsigned int events, void *arg)
{
	struct sclient *c = arg;
	struct relay *r = c->owner;
	const char *why = NULL;

	(void)fd;
	if (events & EV_WRITE)
		why = sclient_flush(c);
	if (why == NULL && (events & (EV_READ | EV_HANGUP)))
		why = sclient_read(c);
	if (why != NULL) {
		/* It may have said good-bye behind a lot of input. */
		client_frames(r, c, true);
		client_gone(r, c, why);
	}
	/* What one who leaves has to say is not heard any more. */
	if (c->fd >= 0 && (c->leaving || r->finishing))
		buf_clear(&c->rx);
	update(r);
}

static void
on_input(int fd, unsigned int events, void *arg)
{
	struct relay *r = arg;

	(void)fd;
	input_flush(r);
	/* A pipe whose readers are gone reports nothing but that. */
	if (!r->tty && (events & EV_HANGUP) && r->in >= 0)
		input_close(r);
	update(r);
}

/* ---- what to wait for -------------------------------------------------- */

static void
move_client(struct relay *r, struct sclient *c)
{
	const char *why;

	client_frames(r, c, false);
	input_flush(r);
	client_frames(r, c, false);
	/* Until it reads no more or there is no more for it. */
	do {
		sclient_pump(c, &r->ring);
		why = sclient_flush(c);
	} while (why == NULL && c->fd >= 0 && !c->leaving &&
		 buf_len(&c->tx) == 0 && !sclient_at_end(c, &r->ring));
	if (why == NULL && c->fd >= 0 && r->finishing && !c->leaving &&
	    sclient_at_end(c, &r->ring)) {
		attach_put(
		    &c->tx, ATTACH_EXIT, buf_head(&r->exit), buf_len(&r->exit));
		c->leaving = true;
		why = sclient_flush(c);
	}
	if (why != NULL)
		client_gone(r, c, why);
	/* Told to leave, and has read it. */
	if (c->fd >= 0 && c->leaving && !r->finishing && buf_len(&c->tx) == 0)
		client_gone(r, c, "sent away");
}

static void
watch_client(struct relay *r, struct sclient *c)
{
	unsigned int ev = buf_len(&c->tx) > 0 ? EV_WRITE : 0;

	if (!client_waits(r, c))
		ev |= EV_READ;
	ev_io_set(c->io, ev);
}

/* The job is over: everybody gets the rest, within limits. */
static void
deliver(struct relay *r)
{
	bool first_left = false, left = false;

	for (struct sclient *c = r->clients; c != NULL; c = c->next) {
		if (c->leaving && buf_len(&c->tx) == 0)
			continue;
		left = true;
		first_left = first_left || c == r->first;
	}
	if (!left) {
		finished(r);
		return;
	}
	if (!first_left && !r->first_done) {
		r->first_done = true;
		ev_timer_set(r->linger, RELAY_WATCH_LINGER_MS);
	}
}

static void
watch_streams(struct relay *r)
{
	bool room = r->first == NULL || buf_len(&r->first->tx) < CLIENT_HIGH;

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
}

/* Move what can be moved, then wait for exactly what would help. */
static void
update(struct relay *r)
{
	bool attended;

	/* From inside a handler that it called: once more, then. */
	r->again = true;
	if (r->updating)
		return;
	r->updating = true;
	while (r->again) {
		r->again = false;
		input_flush(r);
		for (struct sclient *c = r->clients; c != NULL; c = c->next)
			move_client(r, c);
	}
	input_flush(r);
	sweep(r);
	if (r->tty && !r->finishing)
		size_of_who_is_here(r);
	for (struct sclient *c = r->clients; c != NULL; c = c->next)
		watch_client(r, c);
	r->updating = false;
	attended = relay_attached(r);
	if (attended != r->attended) {
		r->attended = attended;
		r->ops->on_attended(r->arg);
	}
	if (r->finishing)
		deliver(r);
	else
		watch_streams(r);
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

static struct sclient *
add_client(struct relay *r, int fd, uid_t uid)
{
	struct sclient *c =
	    sclient_new(r->ev, fd, on_client, on_client_late, r);

	c->uid = uid;
	c->next = r->clients;
	r->clients = c;
	r->nclients++;
	return c;
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
	r->uid = c->uid;
	r->in = c->in_fd;
	r->rows = c->rows;
	r->cols = c->cols;
	outlog_init(&r->log, c->log_fd, c->timing_fd, c->log_limit,
	    c->tty ? c->rows : 0, c->cols);
	buf_init(&r->input, 0);
	buf_init(&r->exit, 0);
	r->linger = ev_timer_new(ev, finished, r);
	r->redraw = ev_timer_new(ev, on_redraw, r);
	source_init(r, &r->src[0], c->out_fd, ATTACH_STDOUT);
	source_init(r, &r->src[1], c->err_fd, ATTACH_STDERR);
	if (c->client_fd >= 0) {
		r->first = add_client(r, c->client_fd, c->uid);
		r->first->first = true;
		r->first->rows = c->rows;
		r->first->cols = c->cols;
		r->first->sized = ++r->sizes;
		r->first->live_told = true;
		r->attended = true;
	}
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
	for (struct sclient *c = r->clients; c != NULL; c = c->next)
		sclient_close(c);
	sweep(r);
	outlog_end(&r->log);
	ring_free(&r->ring);
	ev_timer_free(r->linger);
	ev_timer_free(r->redraw);
	buf_free(&r->input);
	buf_free(&r->exit);
	free(r);
}

void
relay_attach(struct relay *r, int fd, uid_t uid, bool read_only)
{
	cleanup_free char *text = NULL;
	cleanup_buf struct buf b = { 0 };
	struct sclient *c;

	/* It is told how the job ended by others; the margin is for byes. */
	if (r->finishing || r->nclients >= 2 * RELAY_WATCHERS_MAX) {
		close(fd);
		return;
	}
	if (uid != r->uid) {
		text = xasprintf("uid %u is attached to this job%s", uid,
		    read_only ? ", read-only" : "");
		relay_notice(r, text);
	}
	log_info(
	    "client uid=%u attached%s", uid, read_only ? ", read-only" : "");
	c = add_client(r, fd, uid);
	c->read_only = read_only;
	c->at = r->ring.tail;
	c->live = r->ring.head;
	buf_put_u8(&b, r->tty);
	buf_put_u8(&b, read_only);
	buf_put_u16(&b, r->rows);
	buf_put_u16(&b, r->cols);
	sclient_put(c, ATTACH_HELLO, buf_head(&b), buf_len(&b));
	if (r->nclients - (r->first != NULL) > RELAY_WATCHERS_MAX)
		sclient_bye(c, "16 are attached to this job already");
	update(r);
}

bool
relay_attached(const struct relay *r)
{
	if (r == NULL)
		return false;
	for (const struct sclient *c = r->clients; c != NULL; c = c->next)
		if (c->fd >= 0 && !c->read_only && !c->leaving)
			return true;
	return false;
}

void
relay_notice(struct relay *r, const char *text)
{
	for (struct sclient *c = r->clients; c != NULL; c = c->next)
		sclient_put(c, ATTACH_NOTICE, text, strlen(text));
	update(r);
}

void
relay_finish(
    struct relay *r, enum exit_kind kind, uint32_t code, const char *detail)
{
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
	outlog_end(&r->log);
	r->ops->on_output_end(&r->log, r->arg);
	input_close(r);
	ev_timer_clear(r->redraw);
	r->finishing = true;
	buf_put_u8(&r->exit, (uint8_t)kind);
	buf_put_u32(&r->exit, code);
	buf_put_str(&r->exit, detail);
	ev_timer_set(r->linger, RELAY_LINGER_MS);
	update(r);
}
