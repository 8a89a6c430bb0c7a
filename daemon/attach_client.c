#include "daemon/attach_client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/attach.h"
#include "base/ev.h"
#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"

#define QUEUE_HIGH (256u * 1024) /* stop reading input above it */
#define READ_SIZE 16384u
#define CTRL_C 3
/*
 * What a terminal answers to the replay of what the job has printed is not
 * typed by anybody: it is dropped, up to this long after the replay.
 */
#define ANSWERS_MS 100
#define DETACH_MS 2000 /* for the shim to take note */

static const int forwarded[] = { SIGINT, SIGTERM, SIGQUIT, SIGHUP };

struct attach {
	const struct attach_io *io;
	struct attach_end *end;
	struct error *err;
	int sigfd;
	sigset_t old_mask;
	bool raw;
	bool in_open;
	bool out_broken;
	bool done;
	bool tty;
	bool live;           /* not replayed: printed now */
	bool asked;          /* the replay may ask the terminal something */
	uint64_t deaf_until; /* ms; input is dropped before */
	uint64_t leave_by;   /* ms; 0: not leaving */
	struct detach_keys keys;
	struct buf rx, tx;
};

/* For exit() from anywhere while the terminal is raw. */
static int raw_fd = -1;
static struct termios raw_was;

static void
raw_restore(void)
{
	/*
	 * What was typed for the job, or the terminal answered to its bytes,
	 * is not for the user's shell.
	 */
	if (raw_fd >= 0)
		tcsetattr(raw_fd, TCSAFLUSH, &raw_was);
	raw_fd = -1;
}

static int
raw_begin(struct attach *a)
{
	static bool registered;
	struct termios t;

	if (!a->tty || a->raw || isatty(a->io->in) != 1)
		return 0;
	if (tcgetattr(a->io->in, &raw_was) < 0)
		return error_set(a->err, errno, "terminal");
	if (!registered && atexit(raw_restore) == 0)
		registered = true;
	t = raw_was;
	cfmakeraw(&t);
	raw_fd = a->io->in;
	if (tcsetattr(a->io->in, TCSADRAIN, &t) < 0)
		return error_set(a->err, errno, "terminal");
	a->raw = true;
	return 0;
}

static int
signals_begin(struct attach *a)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < nitems(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigaddset(&set, SIGWINCH);
	/* Blocked, they cannot end the program with the terminal raw. */
	if (sigprocmask(SIG_BLOCK, &set, &a->old_mask) < 0)
		return error_set(a->err, errno, "signals");
	a->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->sigfd < 0)
		return error_set(a->err, errno, "signals");
	return 0;
}

static void
put_winsize(struct attach *a)
{
	struct winsize ws;
	uint8_t p[4];

	if (!a->tty || a->io->read_only ||
	    ioctl(a->io->out, TIOCGWINSZ, &ws) < 0 || ws.ws_row == 0 ||
	    ws.ws_col == 0)
		return;
	p[0] = (uint8_t)ws.ws_row;
	p[1] = (uint8_t)(ws.ws_row >> 8);
	p[2] = (uint8_t)ws.ws_col;
	p[3] = (uint8_t)(ws.ws_col >> 8);
	attach_put(&a->tx, ATTACH_WINSIZE, p, sizeof(p));
}

static void
put_signal(struct attach *a, int signo)
{
	uint8_t p = (uint8_t)signo;

	attach_put(&a->tx, ATTACH_SIGNAL, &p, 1);
}

/* The user goes; the shim closes the socket when it knows. */
static void
leave(struct attach *a)
{
	if (a->leave_by != 0)
		return;
	attach_put(&a->tx, ATTACH_DETACH, NULL, 0);
	a->leave_by = ev_now_ms() + DETACH_MS;
	a->in_open = false;
	a->end->detached = true;
}

static void
read_signals(struct attach *a)
{
	struct signalfd_siginfo si;

	while (read(a->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGWINCH)
			put_winsize(a);
		else if (!a->io->watch)
			put_signal(a, (int)si.ssi_signo);
		else {
			leave(a);
			a->end->signo = (int)si.ssi_signo;
		}
	}
}

static void
typed(struct attach *a, const uint8_t *p, size_t n)
{
	cleanup_buf struct buf out = { 0 };

	if (!a->live || ev_now_ms() < a->deaf_until)
		return;
	if (a->io->read_only && memchr(p, CTRL_C, n) != NULL) {
		leave(a);
		return;
	}
	if (!a->raw)
		buf_put(&out, p, n);
	else if (detach_keys_feed(&a->keys, p, n, &out)) {
		leave(a);
		return;
	}
	/* Bytes held back before can be as many as the keys. */
	while (!a->io->read_only && buf_len(&out) > 0) {
		size_t k =
		    buf_len(&out) < ATTACH_MAX ? buf_len(&out) : ATTACH_MAX;

		attach_put(&a->tx, ATTACH_STDIN, buf_head(&out), k);
		buf_consume(&out, k);
	}
}

static void
read_input(struct attach *a)
{
	uint8_t p[READ_SIZE];
	ssize_t n = read(a->io->in, p, sizeof(p));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n > 0) {
		typed(a, p, (size_t)n);
		return;
	}
	/* A terminal that is gone ends like a file. */
	if (!a->io->watch)
		attach_put(&a->tx, ATTACH_STDIN_EOF, NULL, 0);
	a->in_open = false;
}

/*
 * Whoever read our output has left: tell the job as a pipe would, and let it
 * finish in its own time.  One who only watches goes.
 */
static void
write_output(struct attach *a, int fd, const void *p, size_t n)
{
	if (a->out_broken || fd_write_all(fd, p, n) == 0)
		return;
	a->out_broken = true;
	if (a->io->watch) {
		leave(a);
		a->end->signo = SIGPIPE;
	} else {
		put_signal(a, SIGHUP);
	}
}

static void
notice(const struct attach *a, const uint8_t *p, size_t n)
{
	cleanup_free char *safe =
	    str_escape_again(n == 0 ? "" : (const char *)p, n);

	dprintf(a->io->err, a->raw ? "\rbrig: %s\r\n" : "brig: %s\n", safe);
}

static int
exit_frame(struct attach *a, const uint8_t *p, size_t n)
{
	static const char *const kinds[] = { "code", "signal", "brig" };
	cleanup_free char *detail = NULL;
	struct cur c;
	uint8_t kind;

	cur_init(&c, p, n);
	kind = cur_u8(&c);
	a->end->code = cur_u32(&c);
	detail = cur_str(&c, P_TEXT_MAX);
	if (cur_end(&c) < 0 || kind >= nitems(kinds) || detail == NULL)
		return error_set(a->err, 0, "the job's end is not readable");
	a->end->known = true;
	a->end->kind = kinds[kind];
	strlcpy(a->end->detail, detail, sizeof(a->end->detail));
	a->done = true;
	return 0;
}

/* The first frame for one who came to a running job. */
static int
hello(struct attach *a, const uint8_t *p, size_t n)
{
	struct cur c;

	cur_init(&c, p, n);
	a->tty = cur_bool(&c);
	(void)cur_bool(&c); /* read-only, as we asked */
	(void)cur_u16(&c);
	(void)cur_u16(&c);
	if (cur_end(&c) < 0 || !a->io->watch || a->end->hello)
		return error_set(a->err, 0, "a bad frame from the job");
	a->end->hello = true;
	/* The input of a job without a terminal is not ours. */
	if (!a->tty)
		a->in_open = false;
	return raw_begin(a);
}

/* Terminals answer to ENQ and to sequences of ESC or a C1 control. */
static bool
may_ask(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == 0x05 || p[i] == 0x1b ||
		    (p[i] >= 0x80 && p[i] < 0xa0))
			return true;
	return false;
}

static void
replay_done(struct attach *a)
{
	if (a->live)
		return;
	if (a->raw && a->asked) {
		/* The terminal has them only now. */
		tcdrain(a->io->out);
		a->deaf_until = ev_now_ms() + ANSWERS_MS;
	}
	a->live = true;
	put_winsize(a);
}

static int
frame(struct attach *a, enum attach_type type, const uint8_t *p, size_t n)
{
	switch (type) {
	case ATTACH_STDOUT:
		a->asked = a->asked || (!a->live && may_ask(p, n));
		write_output(a, a->io->out, p, n);
		return 0;
	case ATTACH_STDERR:
		write_output(a, a->io->err, p, n);
		return 0;
	case ATTACH_NOTICE:
		notice(a, p, n);
		return 0;
	case ATTACH_EXIT:
		return exit_frame(a, p, n);
	case ATTACH_HELLO:
		return hello(a, p, n);
	case ATTACH_LIVE:
		replay_done(a);
		return 0;
	case ATTACH_BYE:
		n = n < sizeof(a->end->bye) ? n : sizeof(a->end->bye) - 1;
		memcpy(a->end->bye, p, n);
		a->end->bye[n] = '\0';
		a->done = true;
		return 0;
	case ATTACH_STDIN:
	case ATTACH_STDIN_EOF:
	case ATTACH_WINSIZE:
	case ATTACH_SIGNAL:
	case ATTACH_DETACH:
		break;
	}
	return error_set(a->err, 0, "a frame of type %d from the job", type);
}

static int
read_frames(struct attach *a)
{
	uint8_t *dst = buf_reserve(&a->rx, READ_SIZE);
	enum attach_type type;
	const uint8_t *p;
	ssize_t k;
	size_t n;
	int rv;

	k = recv(a->io->sock, dst, READ_SIZE, MSG_DONTWAIT);
	if (k < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (k <= 0) {
		a->done = true; /* without ATTACH_EXIT */
		return 0;
	}
	buf_commit(&a->rx, (size_t)k);
	while (!a->done && (rv = attach_peek(&a->rx, &type, &p, &n)) != 0) {
		if (rv < 0)
			return error_set(a->err, 0, "a bad frame from the job");
		if (frame(a, type, p, n) < 0)
			return -1;
		buf_consume(&a->rx, ATTACH_HEADER + n);
	}
	return 0;
}

static void
write_frames(struct attach *a)
{
	ssize_t n = send(a->io->sock, buf_head(&a->tx), buf_len(&a->tx),
	    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		buf_consume(&a->tx, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		buf_clear(&a->tx); /* the end is read from the socket */
}

static int
attach_loop(struct attach *a)
{
	enum {
		SOCK,
		SIGNALS,
		INPUT
	};

	while (!a->done) {
		struct pollfd pf[] = {
			[SOCK] = { a->io->sock, POLLIN, 0 },
			[SIGNALS] = { a->sigfd, POLLIN, 0 },
			[INPUT] = { -1, POLLIN, 0 },
		};

		int wait = -1;

		if (buf_len(&a->tx) > 0)
			pf[SOCK].events |= POLLOUT;
		if (a->in_open && buf_len(&a->tx) < QUEUE_HIGH)
			pf[INPUT].fd = a->io->in;
		if (a->leave_by != 0) {
			uint64_t now = ev_now_ms();

			if (now >= a->leave_by)
				return 0;
			wait = (int)(a->leave_by - now);
		}
		if (poll(pf, nitems(pf), wait) < 0) {
			if (errno == EINTR)
				continue;
			return error_set(a->err, errno, "poll");
		}
		if (pf[SIGNALS].revents != 0)
			read_signals(a);
		if (pf[INPUT].revents != 0)
			read_input(a);
		if (buf_len(&a->tx) > 0)
			write_frames(a);
		if ((pf[SOCK].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
		    read_frames(a) < 0)
			return -1;
	}
	return 0;
}

int
attach_run(
    const struct attach_io *io, struct attach_end *end, struct error *err)
{
	struct attach a = {
		.io = io,
		.end = end,
		.err = err,
		.sigfd = -1,
		.in_open = true,
		.tty = io->tty,
		.live = !io->watch,
		.keys = io->keys,
	};
	struct sigaction ign = { .sa_handler = SIG_IGN }, old_pipe;
	int rv;

	memset(end, 0, sizeof(*end));
	buf_init(&a.rx, 0);
	buf_init(&a.tx, 0);
	sigemptyset(&a.old_mask);
	sigaction(SIGPIPE, &ign, &old_pipe);
	rv = signals_begin(&a);
	if (rv == 0)
		rv = raw_begin(&a);
	if (rv == 0) {
		put_winsize(&a);
		rv = attach_loop(&a);
	}
	if (a.raw)
		raw_restore();
	fd_close(&a.sigfd);
	sigprocmask(SIG_SETMASK, &a.old_mask, NULL);
	sigaction(SIGPIPE, &old_pipe, NULL);
	buf_free(&a.rx);
	buf_free(&a.tx);
	return rv;
}
