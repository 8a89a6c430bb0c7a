/*
 * Attaching to a process, and waiting for those attached to.
 *
 * PTRACE_SEIZE sleeps while a thread of the same process is in the middle of
 * an exec, and that exec sleeps until the tracer has waited for every dead
 * thread of the process that it is attached to: each for the other, for ever,
 * when a process wants it so.  Here dead threads are waited for during the
 * attachment, too.
 *
 * For one thread of one process, in which SIGCHLD is blocked.
 */
#ifndef BRIG_SANDBOX_TRACE_WAIT_H
#define BRIG_SANDBOX_TRACE_WAIT_H

#include <stdbool.h>
#include <sys/types.h>

/* Between these SIGCHLD is ours to handle. */
void trace_wait_start(void); /* fatal() on failure */
void trace_wait_stop(void);

/*
 * PTRACE_SEIZE with these options.  0, or -1 with errno.  *more is set when
 * trace_wait_next() has something to tell of which no signal will come.
 */
int trace_wait_seize(pid_t pid, unsigned long options, bool *more);

/* As waitpid(-1, status, __WALL | WNOHANG). */
pid_t trace_wait_next(int *status);

#endif
