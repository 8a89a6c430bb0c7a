/*
 * execve(2) and execveat(2) as questions: a filter of the workload, and of
 * all that descends from it, suspends the caller and tells the holder of the
 * listening descriptor (seccomp_unotify(2)).
 *
 * The answer here is "go on" and nothing else: what the call's arguments
 * point to can change at any time, so nothing is decided on them.  It is the
 * moment for the tracer to attach to the one thread that is about to exec.
 * No later filter can take the question away: of several, the strictest
 * answer counts, and only refusals are stricter.
 */
#ifndef BRIG_SANDBOX_TRACE_NOTIFY_H
#define BRIG_SANDBOX_TRACE_NOTIFY_H

#include <linux/audit.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* What this program, and whatever it traces, is compiled for. */
#if defined(__x86_64__)
#define TRACE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define TRACE_ARCH AUDIT_ARCH_AARCH64
#else
#error "exec mediation is not written for this machine"
#endif

struct trace_notice {
	uint64_t id;
	pid_t pid; /* thread id, in the pid namespace of the reader */
};

/*
 * Filter the calling process, in which no_new_privs is set.  The listening
 * descriptor, CLOEXEC, or -1: EBUSY where we run below somebody else's
 * listener.  When its last copy is closed, every exec fails with ENOSYS.
 */
int trace_notify_install(struct error *err);

/*
 * The next question, of a descriptor that polls readable.  1, 0 when the
 * asking process is gone meanwhile, -1 with errno.
 */
int trace_notify_next(int fd, struct trace_notice *n);
/* Is the process that asked still the one, and still waiting? */
bool trace_notify_valid(int fd, const struct trace_notice *n);
/*
 * Let the call go on (error 0) or fail with an errno.  0, or -1 when nobody
 * waits any more.
 */
int trace_notify_answer(int fd, const struct trace_notice *n, int error);

#endif
