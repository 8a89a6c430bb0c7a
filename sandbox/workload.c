/*
 * The workload between fork and execve: from here on nothing is privileged,
 * and the last steps take away the rest.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "sandbox/build.h"
#include "sandbox/landlock.h"
#include "sandbox/privs.h"
#include "sandbox/sys.h"
#include "sandbox/trace_notify.h"

#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127

static int
terminal(int tty, struct error *err)
{
	if (ioctl(tty, TIOCSCTTY, 0) < 0)
		return error_set(err, errno, "stdio: controlling terminal");
	return 0;
}

/* 0-2 as given; returns without any of them sharing a number we still need. */
static int
stdio(const struct build *b, int tty, struct error *err)
{
	int from[3], i;

	for (i = 0; i < 3; i++) {
		from[i] = tty >= 0 ? tty : b->c->stdio[i];
		if (from[i] < 0)
			from[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		/* Out of the way of the numbers that are filled below. */
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return error_set(err, errno, "stdio: descriptor %d", i);
	}
	for (i = 0; i < 3; i++)
		if (dup2(from[i], i) < 0)
			return error_set(err, errno, "stdio: dup");
	return 0;
}

/* What we still need goes above 15, out of the way of 0-2. */
static int
raise_fds(struct build *b, int *ruleset, struct error *err)
{
	int *keep[] = { &b->ctl, &b->go, ruleset };
	int i, n = *ruleset >= 0 ? 3 : 2;

	for (i = 0; i < n; i++) {
		*keep[i] = fcntl(*keep[i], F_DUPFD_CLOEXEC, 16);
		if (*keep[i] < 0)
			return error_set(err, errno, "fds: dup");
	}
	return 0;
}

/* Then ctl and go become 3 and 4, CLOEXEC; nothing else stays open. */
static int
last_fds(struct build *b, int *ruleset, struct error *err)
{
	int *keep[] = { &b->ctl, &b->go, ruleset };
	int i, n = *ruleset >= 0 ? 3 : 2;

	for (i = 0; i < n; i++) {
		if (dup3(*keep[i], 3 + i, O_CLOEXEC) < 0)
			return error_set(err, errno, "fds: dup");
		*keep[i] = 3 + i;
	}
	fd_close_from(3 + n);
	return 0;
}

static void
send_failure(
    struct build *b, enum ctl_type type, int code, const struct error *err)
{
	struct ctl_msg m = { .type = type, .code = code, .error = *err };

	(void)ctl_send(b->ctl, &m, NULL, 0);
}

/* *listener: for the caller alone; -1 if there is none. */
static int
prepare(
    struct build *b, int *ruleset, int tty, int *listener, struct error *err)
{
	const struct jail_config *c = b->c;

	if (setsid() < 0)
		return error_set(err, errno, "stdio: setsid");
	if (tty >= 0 && terminal(tty, err) < 0)
		return -1;
	if (raise_fds(b, ruleset, err) < 0 || stdio(b, tty, err) < 0 ||
	    last_fds(b, ruleset, err) < 0)
		return -1;
	if (chdir(JAIL_WORKSPACE) < 0)
		return error_set(err, errno, "workspace: chdir");
	privs_reset_signals();
	if (privs_plain(err) < 0 || privs_limits(c, err) < 0)
		return -1;
	if (*ruleset >= 0 &&
	    landlock_enforce(*ruleset, b->landlock_abi, err) < 0)
		return -1;
	fd_close(ruleset);
	/* Before the filters that may refuse it to the job. */
	if (c->listen)
		*listener = trace_notify_install(NULL);
	return filter_install_job(c->filter, c->memfd_exec, err);
}

/*
 * As execvp(3), but looks whether a file is there before it asks for its
 * execution: every such question goes to the shim and back.  Returns with
 * errno.
 */
static void
run(char *const *argv)
{
	const char *dir = getenv("PATH"), *end;
	char path[PATH_MAX];
	int why = ENOENT;

	if (strchr(argv[0], '/') != NULL || dir == NULL) {
		(void)execvp(argv[0], argv);
		return;
	}
	for (;; dir = end + 1) {
		end = strchrnul(dir, ':');
		/* "" is the working directory. */
		if (snprintf(path, sizeof(path), "%.*s%s%s", (int)(end - dir),
			dir, end == dir ? "./" : "/",
			argv[0]) < (int)sizeof(path) &&
		    access(path, F_OK) == 0) {
			(void)execvp(path, argv);
			if (errno != EACCES && errno != ENOENT &&
			    errno != ENOTDIR)
				return;
			if (errno == EACCES)
				why = EACCES;
		}
		if (*end == '\0')
			break;
	}
	errno = why;
}

void
workload_main(struct build *b, int ruleset, int tty)
{
	struct ctl_msg m = { .type = CTL_READY };
	char *const *argv = b->c->argv;
	struct error err = { 0 };
	int code, listener = -1;
	char go;

	if (prepare(b, &ruleset, tty, &listener, &err) < 0) {
		send_failure(b, CTL_ERROR, 0, &err);
		_exit(EXIT_CANNOT_RUN);
	}
	if (ctl_send(b->ctl, &m, &listener, listener >= 0 ? 1 : 0) < 0)
		_exit(EXIT_CANNOT_RUN);
	fd_close(&listener);
	if (read(b->go, &go, 1) != 1)
		_exit(EXIT_CANNOT_RUN);
	environ = b->env;
	run(argv);
	code = errno == ENOENT || errno == ENOTDIR ? EXIT_NOT_FOUND
						   : EXIT_CANNOT_RUN;
	(void)error_set(&err, errno, "execve: %s", argv[0]);
	send_failure(b, CTL_EXEC_FAILED, code, &err);
	_exit(code);
}
