/*
 * Stops of traced threads, and when one may be let go.
 *
 * ptrace(2) names a thread by number, and a thread that execs kills its group
 * and takes the number of the leader.  A stop of the leader that was waited
 * for before is then no word about who has that number: to let go of it could
 * let go of a new program before it has been judged.  So a leader's stop is
 * kept until it is sure that no other thread of the group execs before it has
 * been let go of: those attached to are stopped first, the others would ask us.
 *
 * Run by the shim.  All calls from the tracer's thread.
 */
#ifndef BRIG_SANDBOX_TRACE_GROUP_H
#define BRIG_SANDBOX_TRACE_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

struct trace_group;

/* proc_fd: /proc of the caller's pid namespace, borrowed. */
struct trace_group *trace_group_new(int proc_fd);
void trace_group_free(struct trace_group *g);

/* pid, a tracee, stopped with this wait status; no stop of an exec. */
void trace_group_stopped(struct trace_group *g, pid_t pid, int status);

/*
 * pid has a new program or is gone: what was kept of it is void, and who
 * waited for it may go.
 */
void trace_group_void(struct trace_group *g, pid_t pid);

/* The next stop to let go of, at once; false when there is none. */
bool trace_group_next(struct trace_group *g, pid_t *pid, int *status);

/* Are we the tracer of this thread?  The kernel's own word. */
bool trace_group_has(const struct trace_group *g, pid_t pid);

#endif
