#include "daemon/cli_prompt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/secret.h"

static volatile sig_atomic_t got_signal;

static void
on_signal(int signo)
{
	got_signal = signo;
}

/* Up to max bytes until end of file, or of the line when it is a terminal. */
static ssize_t
read_value(int fd, uint8_t *p, size_t max, bool line)
{
	size_t len = 0;

	while (len < max) {
		ssize_t n = read(fd, p + len, max - len);

		if (n < 0 && errno == EINTR && got_signal == 0)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
		if (line && p[len - 1] == '\n')
			break;
	}
	return (ssize_t)len;
}

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

/*
 * With the echo off.  A signal that would end the program waits until the
 * terminal is as it was.
 */
static ssize_t
read_noecho(int fd, const char *prompt, uint8_t *p, size_t max)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct sigaction old[nitems(signals)];
	struct termios was, quiet;
	ssize_t n;
	int code;

	if (tcgetattr(fd, &was) < 0)
		return -1;
	got_signal = 0;
	for (size_t i = 0; i < nitems(signals); i++)
		sigaction(signals[i], &sa, &old[i]);
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	fputs(prompt, stderr);
	fflush(stderr);
	n = tcsetattr(fd, TCSAFLUSH, &quiet) < 0 ? -1
						 : read_value(fd, p, max, true);
	code = errno;
	tcsetattr(fd, TCSAFLUSH, &was);
	fputc('\n', stderr);
	for (size_t i = 0; i < nitems(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	if (got_signal != 0)
		raise(got_signal);
	errno = code;
	return n;
}

int
cli_read_secret(int in, const char *prompt, bool lines, struct error *err)
{
	cleanup_secret struct secret *s = secret_alloc(SECRET_MAX);
	bool tty = isatty(in) == 1;
	uint8_t *p, more;
	ssize_t n;
	int fd;

	if (s == NULL)
		return error_set(err, errno, "memory for the value");
	p = secret_data(s);
	n = tty ? read_noecho(in, prompt, p, SECRET_MAX)
		: read_value(in, p, SECRET_MAX, false);
	if (n < 0)
		return error_set(err, errno, "read the value");
	if ((size_t)n == SECRET_MAX && !tty && read(in, &more, 1) != 0)
		return error_set(err, 0,
		    "the value is too long: at most %u "
		    "bytes",
		    SECRET_MAX);
	if (n > 0 && p[n - 1] == '\n')
		n--;
	if (n == 0)
		return error_set(err, 0,
		    "the value is empty: type it, or "
		    "pipe it in");
	for (ssize_t i = 0; i < n; i++) {
		if (lines && (p[i] == '\n' || p[i] == '\r'))
			continue;
		if (p[i] < 0x20 || p[i] == 0x7f)
			return error_set(err, 0,
			    "the value has a control "
			    "character at byte %zd: a header cannot carry it",
			    i + 1);
	}
	fd = fd_memfd("secret", p, (size_t)n);
	if (fd < 0)
		return error_set(err, errno, "memfd for the value");
	return fd;
}
