#include "sandbox/trace_notify.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/compat.h"

/* Linux 5.19: once we have the question, signals wait for the answer. */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* Linux 6.6: asker and answerer take turns on one processor. */
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

int
trace_notify_install(struct error *err)
{
	static const struct sock_filter insn[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TRACE_ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    offsetof(struct seccomp_data, nr)),
#if defined(__x86_64__)
		/* x32 has numbers of its own for both. */
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = nitems(insn) };
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long fd;

	/* It is only read. */
	memcpy(&prog.filter, &(const struct sock_filter *){ insn },
	    sizeof(prog.filter));
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	if (fd < 0 && errno == EINVAL)
		fd =
		    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
	if (fd < 0)
		return error_set(err, errno, "filter: listener for execve");
	/* Speed only; not known to older kernels. */
	(void)ioctl((int)fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
	    SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	return (int)fd;
}

int
trace_notify_next(int fd, struct trace_notice *n)
{
	struct seccomp_notif req;

	memset(&req, 0, sizeof(req));
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &req) != 0)
		return errno == ENOENT || errno == EINTR ? 0 : -1;
	n->id = req.id;
	n->pid = (pid_t)req.pid;
	return 1;
}

/* The lock of the listener is waited for, and signals end that. */
static int
ask(int fd, unsigned long request, void *arg)
{
	int rc;

	do
		rc = ioctl(fd, request, arg);
	while (rc != 0 && errno == EINTR);
	return rc;
}

bool
trace_notify_valid(int fd, const struct trace_notice *n)
{
	uint64_t id = n->id;

	return ask(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

int
trace_notify_answer(int fd, const struct trace_notice *n, int error)
{
	struct seccomp_notif_resp resp = { .id = n->id,
		.error = -error,
		.flags = error == 0 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0 };

	return ask(fd, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}
