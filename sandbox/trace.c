#include "sandbox/trace.h"

#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/trace_group.h"
#include "sandbox/trace_image.h"
#include "sandbox/trace_notify.h"
#include "sandbox/trace_stub.h"
#include "sandbox/trace_wait.h"

#define PAGE 4096u
#define FIRST_PAGES 4u  /* enough for most: programs with few variables */
#define READ_PAGES 512u /* of one process_vm_readv */
#define KEEP_MAX 65536u /* of memory for the next stack */
#define ROUND_MAX 256   /* stops handled before others get their turn */

#define ON_EXEC (PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define TREE                                                                   \
	(ON_EXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |                  \
	    PTRACE_O_TRACECLONE)

struct pending {
	pid_t pid;
	struct pending *next;
};

struct trace {
	struct ev *ev;
	struct ev_timer *again;
	struct ev_io *notices; /* NULL: none, or nobody is left to ask */
	bool asked;            /* else every process is traced all along */
	/*
	 * Seized before its first exec, or 0.  Until then its memory is not of
	 * the jail's user namespace, and who lets go of it gets it no more.
	 */
	pid_t first;
	int proc_fd;
	struct trace_group *group;
	const struct trace_ops *ops;
	void *arg;
	struct pending *pending;
	struct buf stack; /* memory for the next one */
};

/* ---- reading the new image --------------------------------------------- */

struct regs {
	uint64_t pc, sp;
};

static int
read_regs(pid_t pid, struct regs *r)
{
	struct __ptrace_syscall_info si;

	memset(&si, 0, sizeof(si));
	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(si), &si) < 0)
		return -1;
	/* The new image's: a 32-bit one has a stack of another layout. */
	if (si.arch != TRACE_ARCH) {
		errno = ENOEXEC;
		return -1;
	}
	r->pc = si.instruction_pointer;
	r->sp = si.stack_pointer;
	return 0;
}

/*
 * Everything from the stack pointer to the end of the stack's mapping.  One
 * remote vector per page: a transfer never splits a vector, and the mapping
 * ends at a page.
 */
static int
read_stack(pid_t pid, uint64_t sp, struct buf *b)
{
	struct iovec remote[READ_PAGES];
	uint64_t at = sp;
	size_t pages = FIRST_PAGES;

	for (;;) {
		struct iovec local;
		size_t want = 0;
		ssize_t n;

		for (size_t i = 0; i < pages; i++) {
			size_t len = PAGE - (size_t)(at % PAGE);

			remote[i].iov_base = (void *)(uintptr_t)at;
			remote[i].iov_len = len;
			at += len;
			want += len;
		}
		local.iov_base = buf_reserve(b, want);
		local.iov_len = want;
		if (local.iov_base == NULL) {
			errno = E2BIG;
			return -1;
		}
		n = process_vm_readv(pid, &local, 1, remote, pages, 0);
		if (n < 0)
			return buf_len(b) > 0 && errno == EFAULT ? 0 : -1;
		buf_commit(b, (size_t)n);
		if ((size_t)n < want)
			return 0;
		pages = READ_PAGES;
	}
}

/* A link of /proc/PID; "" if it cannot be read or is too long. */
static void
read_link(
    const struct trace *t, pid_t pid, const char *name, char *out, size_t size)
{
	char path[48];
	ssize_t n;

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	n = readlinkat(t->proc_fd, path, out, size - 1);
	if (n < 0 || (size_t)n >= size - 1)
		n = 0;
	out[n] = '\0';
}

/*
 * dev, ino and path of what was executed.  A memfd, and a file that has been
 * removed, have no name that a rule could mean.
 */
static int
read_exe(const struct trace *t, struct trace_exec *x, char *exe, size_t size)
{
	char path[48];
	struct stat sb;

	snprintf(path, sizeof(path), "%d/exe", (int)x->pid);
	if (fstatat(t->proc_fd, path, &sb, 0) != 0)
		return -1;
	read_link(t, x->pid, "exe", exe, size);
	x->dev = sb.st_dev;
	x->ino = sb.st_ino;
	x->exe = exe;
	if (exe[0] == '/' && sb.st_nlink > 0 && !str_ends(exe, " (deleted)"))
		x->path = exe;
	return 0;
}

/* ---- verdicts ---------------------------------------------------------- */

/* Text pages are not writable to process_vm_writev; POKETEXT copies them. */
static int
poke(pid_t pid, uint64_t addr, const struct buf *b)
{
	const uint8_t *p = buf_head(b);
	size_t n = buf_len(b);

	for (size_t i = 0; i < n; i += sizeof(long)) {
		size_t k = n - i < sizeof(long) ? n - i : sizeof(long);
		long word = 0;

		memcpy(&word, &p[i], k);
		if (ptrace(PTRACE_POKETEXT, pid, (void *)(uintptr_t)(addr + i),
			(void *)word) != 0)
			return -1;
	}
	return 0;
}

static int
poke_stub(pid_t pid, uint64_t pc, const char *text, size_t n)
{
	struct buf b;
	int rc;

	buf_init(&b, 0);
	trace_stub_put(&b, text, n, TRACE_DENIED_STATUS);
	rc = poke(pid, pc, &b);
	buf_free(&b);
	return rc;
}

/* Watched also from one question to the next. */
static bool
stays(const struct trace *t, pid_t pid)
{
	return !t->asked || pid == t->first;
}

/*
 * From any stop.  With a listener there is nothing more to see of this process
 * until it asks again: outside of an exec it is on its way back to its own
 * code, so no judgement can be lost.
 */
static void
cont(const struct trace *t, pid_t pid, int sig)
{
	/* ESRCH: killed meanwhile; waitpid will tell. */
	if (ptrace(stays(t, pid) ? PTRACE_CONT : PTRACE_DETACH, pid, NULL,
		(void *)(intptr_t)sig) != 0 &&
	    errno != ESRCH) {
		log_warn("continue pid %d", (int)pid);
		kill(pid, SIGKILL);
	}
}

/*
 * Let the new image say why and leave, in place of its first instruction.
 * Where that cannot be written (entry at the end of a mapping, a 32-bit
 * image) it is killed.
 */
static void
deny(const struct trace *t, pid_t pid, const char *message)
{
	char text[TRACE_MESSAGE_MAX + 2];
	struct regs r;
	size_t n;

	n = (size_t)snprintf(
	    text, sizeof(text), "%.*s\n", (int)TRACE_MESSAGE_MAX, message);
	if (read_regs(pid, &r) == 0 && (poke_stub(pid, r.pc, text, n) == 0 ||
					   poke_stub(pid, r.pc, "", 0) == 0)) {
		cont(t, pid, 0);
		return;
	}
	kill(pid, SIGKILL);
}

static void
hold(struct trace *t, pid_t pid)
{
	struct pending *p = xcalloc(1, sizeof(*p));

	p->pid = pid;
	p->next = t->pending;
	t->pending = p;
}

static bool
unhold(struct trace *t, pid_t pid)
{
	for (struct pending **pp = &t->pending; *pp != NULL;
	     pp = &(*pp)->next) {
		struct pending *p = *pp;

		if (p->pid != pid)
			continue;
		*pp = p->next;
		free(p);
		return true;
	}
	return false;
}

int
trace_resume(
    struct trace *t, pid_t pid, enum trace_verdict verdict, const char *message)
{
	if (!unhold(t, pid))
		return -1;
	switch (verdict) {
	case TRACE_ALLOW:
		cont(t, pid, 0);
		return 0;
	case TRACE_DENY:
	case TRACE_PENDING:
		break;
	}
	deny(t, pid, message);
	return 0;
}

/* ---- stops ------------------------------------------------------------- */

static void
unreadable(struct trace *t, pid_t pid, const char *why)
{
	char message[TRACE_MESSAGE_MAX];
	struct regs r;

	/*
	 * Killed at this very moment: nobody to deny.  What cannot be read
	 * then says so with errors of its own.
	 */
	if (errno == ESRCH || (read_regs(pid, &r) != 0 && errno == ESRCH))
		return;
	t->ops->on_unreadable(pid, why, t->arg);
	snprintf(message, sizeof(message), "brig: denied: %s", why);
	deny(t, pid, message);
}

/* b: for the stack. */
static void
judge(struct trace *t, pid_t pid, struct buf *b)
{
	char exe[PATH_MAX], cwd[PATH_MAX], message[TRACE_MESSAGE_MAX];
	struct trace_exec x = { .pid = pid };
	struct trace_image im;
	struct regs r;
	const char *why;

	message[0] = '\0';
	if (read_regs(pid, &r) != 0) {
		unreadable(t, pid,
		    errno == ENOEXEC ? "not a program for this machine"
				     : "its registers cannot be read");
		return;
	}
	if (read_stack(pid, r.sp, b) != 0) {
		unreadable(t, pid, "its stack cannot be read");
		return;
	}
	if (read_exe(t, &x, exe, sizeof(exe)) != 0) {
		unreadable(t, pid, "its executable cannot be read");
		return;
	}
	errno = 0;
	why = trace_image_parse(&im, buf_head(b), buf_len(b), r.sp);
	if (why != NULL) {
		unreadable(t, pid, why);
		return;
	}
	if (im.argv_bytes > TRACE_ARGV_MAX) {
		trace_image_free(&im);
		unreadable(t, pid, "its argument list is too long to judge");
		return;
	}
	read_link(t, pid, "cwd", cwd, sizeof(cwd));
	x.cwd = cwd;
	x.execfn = im.execfn;
	x.argv = im.argv;
	x.argc = im.argc;
	x.envp = im.envp;
	x.envc = im.envc;
	switch (t->ops->on_exec(&x, message, sizeof(message), t->arg)) {
	case TRACE_ALLOW:
		cont(t, pid, 0);
		break;
	case TRACE_PENDING:
		hold(t, pid);
		break;
	case TRACE_DENY:
		deny(t, pid, message);
		break;
	}
	trace_image_free(&im);
}

static void
on_exec(struct trace *t, pid_t pid)
{
	judge(t, pid, &t->stack);
	if (t->stack.cap > KEEP_MAX)
		buf_free(&t->stack);
	else
		buf_clear(&t->stack);
}

/* Outside of an exec. */
static void
let_go(const struct trace *t, pid_t pid, int status)
{
	int sig = WSTOPSIG(status);

	switch (status >> 16) {
	case PTRACE_EVENT_STOP:
		/*
		 * A group stop lasts until SIGCONT and must not be undone by
		 * us, or job control inside the jail would break; SIGTRAP is
		 * the first stop of a new tracee.
		 */
		if (stays(t, pid) && (sig == SIGSTOP || sig == SIGTSTP ||
					 sig == SIGTTIN || sig == SIGTTOU)) {
			if (ptrace(PTRACE_LISTEN, pid, NULL, NULL) != 0 &&
			    errno != ESRCH)
				log_warn("listen to pid %d", (int)pid);
		} else
			cont(t, pid, 0);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		cont(t, pid, 0);
		break;
	default:
		cont(t, pid, sig);
		break;
	}
}

static void
on_change(struct trace *t, pid_t pid, int status)
{
	if (WIFSTOPPED(status) && status >> 16 != PTRACE_EVENT_EXEC) {
		trace_group_stopped(t->group, pid, status);
		return;
	}
	trace_group_void(t->group, pid);
	if (pid == t->first)
		t->first = 0;
	if (WIFSTOPPED(status)) {
		on_exec(t, pid);
		return;
	}
	if (unhold(t, pid))
		t->ops->on_gone(pid, t->arg);
	t->ops->on_reaped(pid, status, t->arg);
}

static void
reap(void *arg)
{
	struct trace *t = arg;

	for (int i = 0; i < ROUND_MAX; i++) {
		int status;
		pid_t pid = trace_wait_next(&status);

		if (pid <= 0) {
			if (pid < 0 && errno == EINTR)
				continue;
			return;
		}
		on_change(t, pid, status);
		while (trace_group_next(t->group, &pid, &status))
			let_go(t, pid, status);
	}
	/* SIGCHLD does not queue: come back for what is left. */
	ev_timer_set(t->again, 0);
}

static void
on_sigchld(int signo, void *arg)
{
	(void)signo;
	reap(arg);
}

struct trace *
trace_new(struct ev *ev, int proc_fd, const struct trace_ops *ops, void *arg)
{
	struct trace *t = xcalloc(1, sizeof(*t));

	t->ev = ev;
	t->proc_fd = proc_fd;
	t->group = trace_group_new(proc_fd);
	t->ops = ops;
	t->arg = arg;
	buf_init(&t->stack, TRACE_STACK_MAX + READ_PAGES * PAGE);
	t->again = ev_timer_new(ev, reap, t);
	ev_signal(ev, SIGCHLD, on_sigchld, t);
	/* What changed before the signal was taken. */
	ev_timer_set(t->again, 0);
	return t;
}

void
trace_free(struct trace *t)
{
	if (t == NULL)
		return;
	while (t->pending != NULL)
		unhold(t, t->pending->pid);
	ev_timer_free(t->again);
	if (t->asked)
		trace_wait_stop();
	ev_io_free(t->notices);
	trace_group_free(t->group);
	buf_free(&t->stack);
	free(t);
}

/* ---- questions --------------------------------------------------------- */

/* And let its call go on.  True if there is something to reap. */
static bool
attach(struct trace *t, int fd, const struct trace_notice *n)
{
	bool more = false;
	int error = 0;

	if (trace_wait_seize(n->pid, ON_EXEC, &more) != 0)
		error = errno;
	/* Its last exec failed: attached to since then. */
	if (error == EPERM && trace_group_has(t->group, n->pid))
		error = 0;
	if (error != 0) {
		/* Not there to be judged: somebody else is its tracer. */
		if (trace_notify_valid(fd, n))
			t->ops->on_unreadable(
			    n->pid, "it cannot be attached to", t->arg);
		(void)trace_notify_answer(fd, n, EPERM);
		return more;
	}
	/*
	 * Nobody to answer: it died, and we are attached to another process
	 * with its number; or a signal took it away, and it will ask again.
	 */
	if (trace_notify_answer(fd, n, 0) != 0)
		(void)ptrace(PTRACE_INTERRUPT, n->pid, NULL, NULL);
	return more;
}

static void
on_notice(int fd, unsigned int events, void *arg)
{
	struct trace *t = arg;
	struct trace_notice n;
	int rc;

	if (!(events & EV_READ)) {
		/* Nobody is left that could ask, and a hang-up that is not
		 * waited for is reported all the same. */
		ev_io_free(t->notices);
		t->notices = NULL;
		return;
	}
	rc = trace_notify_next(fd, &n);
	if (rc <= 0) {
		if (rc < 0)
			log_warn("listener for execve");
		return;
	}
	/* At once, since what has been waited for has no number any more. */
	if (attach(t, fd, &n))
		reap(t);
}

void
trace_listen(struct trace *t, int fd)
{
	t->asked = true;
	trace_wait_start();
	t->notices = ev_io_new(t->ev, fd, EV_READ, on_notice, t);
}

int
trace_seize(struct trace *t, pid_t pid, struct error *err)
{
	const uintptr_t options = t->asked ? ON_EXEC : TREE;

	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)options) != 0)
		return error_set(err, errno, "trace pid %d", (int)pid);
	t->first = pid;
	return 0;
}
