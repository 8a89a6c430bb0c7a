#include "sandbox/trace_wait.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/str.h"

struct change {
	pid_t pid;
	int status;
};

/* What was waited for while attaching: first to n. */
static struct change *queue;
static size_t first, n, cap;
static volatile sig_atomic_t handled;

/* Once it has been waited for, its number may be that of another process. */
static void
forget(pid_t pid)
{
	for (size_t i = first; i < n; i++)
		if (queue[i].pid == pid)
			queue[i].pid = 0;
}

/*
 * SIGCHLD is unblocked around one system call and nowhere else, so that this
 * interrupts nothing of ours: memory can be had.
 */
static void
on_sigchld(int signo)
{
	int saved = errno;

	(void)signo;
	handled = 1;
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL | WNOHANG);

		if (pid <= 0)
			break;
		if (!WIFSTOPPED(status))
			forget(pid);
		if (n == cap) {
			cap = cap * 2 + 16;
			queue = xreallocarray(queue, cap, sizeof(*queue));
		}
		queue[n++] = (struct change){ pid, status };
	}
	errno = saved;
}

static void
handle(void (*fn)(int))
{
	struct sigaction sa = { .sa_flags = SA_RESTART };

	sa.sa_handler = fn;
	if (sigaction(SIGCHLD, &sa, NULL) != 0)
		fatal("sigaction");
}

void
trace_wait_start(void)
{
	handle(on_sigchld);
}

void
trace_wait_stop(void)
{
	handle(SIG_DFL);
	free(queue);
	queue = NULL;
	first = n = cap = 0;
}

int
trace_wait_seize(pid_t pid, unsigned long options, bool *more)
{
	sigset_t set;
	int rc, saved;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	handled = 0;
	if (sigprocmask(SIG_UNBLOCK, &set, NULL) != 0)
		fatal("sigprocmask");
	rc = (int)ptrace(PTRACE_SEIZE, pid, NULL, (void *)(uintptr_t)options);
	saved = errno;
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		fatal("sigprocmask");
	*more = handled != 0;
	errno = saved;
	return rc;
}

pid_t
trace_wait_next(int *status)
{
	while (first < n) {
		struct change c = queue[first++];

		if (first == n)
			first = n = 0;
		if (c.pid == 0)
			continue;
		*status = c.status;
		return c.pid;
	}
	return waitpid(-1, status, __WALL | WNOHANG);
}
