/*
 * Exec mediation by ptrace, run by the shim: every process of the job stops
 * after each execve(2) has committed and before the new image runs an
 * instruction.  What is read there (executable, arguments, environment) is
 * what will run: the old threads are gone and the memory is new, so there is
 * nothing left to race with.
 *
 * Two ways to be there in time.  With a listener (trace_notify.h) a thread is
 * attached to when it asks for an exec, and let go with the verdict: forks,
 * threads, signals, stops and waits are not ours to see and behave as they do
 * anywhere.  Without one, the first process is traced and everything that
 * descends from it, all along; a process escapes that only by
 * clone(CLONE_UNTRACED) or by being traced already, and the jail's system
 * call filter must refuse both.
 *
 * Never blocks: driven by SIGCHLD and the listener in the event loop.  All
 * calls from the one thread that made the trace.  Tracees die with the tracer
 * (EXITKILL), and no exec succeeds without the listener.
 */
#ifndef BRIG_SANDBOX_TRACE_H
#define BRIG_SANDBOX_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/ev.h"

#define TRACE_ARGV_MAX (2u * 1024 * 1024)  /* bytes of arguments judged */
#define TRACE_STACK_MAX (8u * 1024 * 1024) /* bytes of the new stack */
#define TRACE_MESSAGE_MAX 512u             /* longer ones are cut */
#define TRACE_DENIED_STATUS 126

struct trace;

enum trace_verdict {
	TRACE_DENY,    /* 0: fails closed */
	TRACE_PENDING, /* stays stopped until trace_resume() */
	TRACE_ALLOW,
};

/* One committed exec; everything is borrowed until the callback returns. */
struct trace_exec {
	pid_t pid;
	dev_t dev; /* identity of the file that was executed */
	ino_t ino;
	const char *path;        /* its path as the jail sees it; NULL if it
				  * has none (memfd, deleted) */
	const char *exe;         /* what the kernel calls it, for records */
	const char *cwd;         /* "" if unknown */
	const char *execfn;      /* the name given to execve(2); that of the
				  * script for a #! script.  "" if unknown */
	const char *const *argv; /* NULL-terminated */
	size_t argc;
	const char *const *envp; /* NULL-terminated */
	size_t envc;
};

struct trace_ops {
	/*
	 * Judge one exec.  On TRACE_DENY the message, one line without line
	 * feed, is printed on the denied process's standard error.
	 */
	enum trace_verdict (*on_exec)(
	    const struct trace_exec *x, char *message, size_t size, void *arg);
	/* An exec that cannot be judged (why) has been denied. */
	void (*on_unreadable)(pid_t pid, const char *why, void *arg);
	/* A pending process is gone (killed); not called after a resume. */
	void (*on_gone)(pid_t pid, void *arg);
	/* A child or tracee was reaped, with its wait status. */
	void (*on_reaped)(pid_t pid, int status, void *arg);
};

/*
 * Takes SIGCHLD in ev.  proc_fd: /proc of the caller's pid namespace, O_PATH,
 * borrowed; the caller's root may have changed since it was opened.
 */
struct trace *trace_new(
    struct ev *ev, int proc_fd, const struct trace_ops *ops, void *arg);
void trace_free(struct trace *t); /* does not detach */

/*
 * Attach to whoever asks here.  fd: a listener of trace_notify_install(),
 * borrowed.  Before trace_seize().
 */
void trace_listen(struct trace *t, int fd);

/*
 * Seize pid, which runs on: until its next exec where there is a listener,
 * else for ever and with all that descends from it.
 */
int trace_seize(struct trace *t, pid_t pid, struct error *err);

/*
 * Decide a pending exec: TRACE_ALLOW, or TRACE_DENY with a message.  0, or -1
 * when no such exec is pending.
 */
int trace_resume(struct trace *t, pid_t pid, enum trace_verdict verdict,
    const char *message);

#endif
