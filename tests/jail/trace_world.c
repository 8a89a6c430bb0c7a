#include "tests/jail/trace_world.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/trace_notify.h"

bool listening;

int
attach_to_who_asks(void **state)
{
	listening = true;
	return 0;
}

int
attach_all_along(void **state)
{
	listening = false;
	return 0;
}

static enum trace_verdict
judge(const struct trace_exec *x, char *message, size_t size, void *arg)
{
	struct world *w = arg;

	w->execs++;
	w->last_nameless = x->path == NULL;
	snprintf(w->last_execfn, sizeof(w->last_execfn), "%s", x->execfn);
	snprintf(w->last_path, sizeof(w->last_path), "%s",
	    x->path == NULL ? "" : x->path);
	if (w->deny_arg != NULL)
		for (size_t i = 0; i < x->argc; i++)
			if (strcmp(x->argv[i], w->deny_arg) == 0) {
				w->denied++;
				snprintf(message, size, "no %s", w->deny_arg);
				return TRACE_DENY;
			}
	if (x->dev != w->dev || x->ino != w->ino)
		return TRACE_ALLOW;
	if (w->ask) {
		w->pending = x->pid;
		return TRACE_PENDING;
	}
	w->denied++;
	snprintf(
	    message, size, "brig: denied by policy (t:1): no %s", x->argv[0]);
	return TRACE_DENY;
}

static void
unreadable(pid_t pid, const char *why, void *arg)
{
	((struct world *)arg)->unreadable++;
}

static void
gone(pid_t pid, void *arg)
{
	struct world *w = arg;

	assert_int_equal(pid, w->pending);
	w->gone++;
}

static void
reaped(pid_t pid, int status, void *arg)
{
	struct world *w = arg;

	if (pid != w->pid)
		return;
	w->status = status;
	w->done = true;
}

static const struct trace_ops ops = { judge, unreadable, gone, reaped };

void
world_new(struct world *w)
{
	struct stat sb;

	memset(w, 0, sizeof(*w));
	assert_int_equal(stat("/bin/date", &sb), 0);
	w->dev = sb.st_dev;
	w->ino = sb.st_ino;
	w->listener = -1;
	w->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(w->proc_fd >= 0);
	w->ev = ev_new();
	w->t = trace_new(w->ev, w->proc_fd, &ops, w);
}

void
world_free(struct world *w)
{
	trace_free(w->t);
	ev_free(w->ev);
	if (w->listener >= 0)
		close(w->listener);
	close(w->proc_fd);
}

/* Body of a child of this program. */
static void child(int out, int go, char *const *argv, void (*fn)(void))
    __attribute__((noreturn));

static void
child(int out, int go, char *const *argv, void (*fn)(void))
{
	struct error err = { 0 };
	sigset_t none;
	int listener;
	char byte = 'n';

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(out, 1);
	dup2(out, 2);
	if (go >= 0 && listening) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
			_exit(78);
		listener = trace_notify_install(&err);
		if (listener < 0 || fd_sendmsg(go, &byte, 1, &listener, 1) != 1)
			_exit(79);
		close(listener);
	}
	if (go >= 0 && read(go, &byte, 1) != 1)
		_exit(80);
	if (fn != NULL)
		fn();
	else
		execvp(argv[0], argv);
	_exit(81);
}

int
start(struct world *w, char *const *argv, void (*fn)(void))
{
	struct error err = { 0 };
	int go[2], out;
	size_t nfds = 1;
	char byte;

	out = memfd_create("out", MFD_CLOEXEC);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, go), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		close(go[1]);
		child(out, go[0], argv, fn);
	}
	close(go[0]);
	if (listening) {
		assert_int_equal(
		    fd_recvmsg(go[1], &byte, 1, &w->listener, 1, &nfds), 1);
		assert_true(nfds == 1 && w->listener >= 0);
		trace_listen(w->t, w->listener);
	}
	assert_int_equal(trace_seize(w->t, w->pid, &err), 0);
	assert_int_equal(write(go[1], "g", 1), 1);
	close(go[1]);
	return out;
}

void
spin(struct world *w, const bool *until)
{
	uint64_t end = ev_now_ms() + LIMIT_MS;

	while (!*until && ev_now_ms() < end)
		ev_once(w->ev, 100);
	assert_true(*until);
}

char *
output(int fd)
{
	struct buf b;
	char *s;

	buf_init(&b, 0);
	assert_int_equal(fd_pread_all(fd, &b, 1 << 20), 0);
	s = xstrndup(buf_len(&b) == 0 ? "" : (char *)buf_head(&b), buf_len(&b));
	buf_free(&b);
	return s;
}

char *
run(struct world *w, char *const *argv, void (*fn)(void))
{
	int out = start(w, argv, fn);
	char *s;

	spin(w, &w->done);
	s = output(out);
	close(out);
	return s;
}

char *
shell(struct world *w, const char *script)
{
	char *argv[] = { xstrdup("sh"), xstrdup("-c"), xstrdup(script), NULL };
	char *s = run(w, argv, NULL);

	for (size_t i = 0; argv[i] != NULL; i++)
		free(argv[i]);
	return s;
}

char *
run_plain(void (*fn)(void))
{
	int out = memfd_create("out", MFD_CLOEXEC);
	pid_t pid = fork();
	char *s;

	assert_true(pid >= 0);
	if (pid == 0)
		child(out, -1, NULL, fn);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	s = output(out);
	close(out);
	return s;
}
