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
#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"

#define QUEUE_HIGH (256u * 1024) /* stop reading input above it */
#define READ_SIZE 16384u

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
	struct buf rx, tx;
};

/* For exit() from anywhere while the terminal is raw. */
static int raw_fd = -1;
static struct termios raw_was;

static void
raw_restore(void)
{
	if (raw_fd >= 0)
		tcsetattr(raw_fd, TCSADRAIN, &raw_was);
	raw_fd = -1;
}

static int
raw_begin(struct attach *a)
{
	static bool registered;
	struct termios t;

	if (!a->io->tty || isatty(a->io->in) != 1)
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

	if (!a->io->tty || ioctl(a->io->out, TIOCGWINSZ, &ws) < 0)
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

static void
read_signals(struct attach *a)
{
	struct signalfd_siginfo si;

	while (read(a->sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGWINCH)
			put_winsize(a);
		else
			put_signal(a, (int)si.ssi_signo);
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
		attach_put(&a->tx, ATTACH_STDIN, p, (size_t)n);
		return;
	}
	/* A terminal that is gone ends like a file. */
	attach_put(&a->tx, ATTACH_STDIN_EOF, NULL, 0);
	a->in_open = false;
}

/*
 * Whoever read our output has left: tell the job as a pipe would, and let it
 * finish in its own time.
 */
static void
write_output(struct attach *a, int fd, const void *p, size_t n)
{
	if (a->out_broken || fd_write_all(fd, p, n) == 0)
		return;
	a->out_broken = true;
	put_signal(a, SIGHUP);
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

static int
frame(struct attach *a, enum attach_type type, const uint8_t *p, size_t n)
{
	switch (type) {
	case ATTACH_STDOUT:
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
	case ATTACH_STDIN:
	case ATTACH_STDIN_EOF:
	case ATTACH_WINSIZE:
	case ATTACH_SIGNAL:
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

		if (buf_len(&a->tx) > 0)
			pf[SOCK].events |= POLLOUT;
		if (a->in_open && buf_len(&a->tx) < QUEUE_HIGH)
			pf[INPUT].fd = a->io->in;
		if (poll(pf, nitems(pf), -1) < 0) {
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
		.io = io, .end = end, .err = err, .sigfd = -1, .in_open = true
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
