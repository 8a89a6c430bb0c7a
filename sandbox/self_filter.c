#include "sandbox/self_filter.h"

#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/buf.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define S(name) SCMP_SYS(name)

/* What libc, the event loop and the channels need in every role. */
static const int common[] = {
	/* memory */
	S(brk),
	S(madvise),
	S(mlock),
	S(mlock2),
	S(mremap),
	S(munlock),
	S(munmap),
	/* threads, signals, time */
	S(clock_getres),
	S(clock_gettime),
	S(clock_nanosleep),
	S(exit),
	S(exit_group),
	S(futex),
	S(getcpu),
	S(getegid),
	S(geteuid),
	S(getgid),
	S(getpid),
	S(getppid),
	S(getrandom),
	S(gettid),
	S(gettimeofday),
	S(getuid),
	S(nanosleep),
	S(restart_syscall),
	S(rseq),
	S(rt_sigaction),
	S(rt_sigprocmask),
	S(rt_sigreturn),
	S(sched_getaffinity),
	S(sched_yield),
	S(set_robust_list),
	S(sigaltstack),
	S(signalfd4),
	S(sysinfo),
	S(time),
	S(uname),
	/* descriptors already there */
	S(close),
	S(close_range),
	S(fcntl),
	S(fstat),
	S(getsockopt),
	S(lseek),
	S(read),
	S(readv),
	S(recvmsg),
	S(sendmsg),
	S(shutdown),
	S(write),
	S(writev),
	/* waiting */
	S(epoll_create1),
	S(epoll_ctl),
	S(epoll_pwait),
	S(epoll_pwait2),
	S(epoll_wait),
	S(eventfd2),
	S(poll),
	S(ppoll),
	S(timerfd_create),
	S(timerfd_gettime),
	S(timerfd_settime),
};

static const int control[] = {
	S(accept4),
	S(getpeername),
	S(getsockname),
	S(recvfrom),
	S(sendto),
	S(setsockopt),
	S(memfd_create),
	/* SQLite, inside the root */
	S(openat),
	S(open),
	S(creat),
	S(access),
	S(faccessat),
	S(faccessat2),
	S(newfstatat),
	S(stat),
	S(lstat),
	S(statx),
	S(readlink),
	S(readlinkat),
	S(getcwd),
	S(getdents64),
	S(unlink),
	S(unlinkat),
	S(mkdir),
	S(mkdirat),
	S(rename),
	S(renameat),
	S(renameat2),
	S(ftruncate),
	S(fallocate),
	S(fsync),
	S(fdatasync),
	S(pread64),
	S(pwrite64),
	S(preadv),
	S(pwritev),
	S(flock),
	S(fchmod),
	S(fstatfs),
	S(utimensat),
};

static const int keyd[] = {
	S(pread64),
	S(pwrite64),
	S(ftruncate),
	S(fsync),
	S(fdatasync),
	S(flock),
	S(mlockall),
	S(memfd_create),
};

static const int audit[] = {
	S(openat),
	S(open),
	S(newfstatat),
	S(stat),
	S(lstat),
	S(statx),
	S(getdents64),
	S(unlinkat),
	S(unlink),
	S(renameat),
	S(renameat2),
	S(rename),
	S(linkat),
	S(link),
	S(fchmod),
	S(pread64),
	S(pwrite64),
	S(ftruncate),
	S(fallocate),
	S(fsync),
	S(fdatasync),
	S(flock),
	S(fstatfs),
	S(statfs),
};

static const int dns[] = {
	S(connect),
	S(getsockname),
	S(getpeername),
	S(setsockopt),
	S(sendto),
	S(sendmmsg),
	S(recvfrom),
	S(recvmmsg),
	S(newfstatat),
	S(stat),
	S(lstat),
	S(statx),
	S(access),
	S(faccessat),
	S(faccessat2),
	S(readlink),
	S(readlinkat),
	S(pread64),
	S(getdents64),
	S(getcwd),
	S(membarrier),
	S(sched_getparam),
	S(sched_getscheduler),
	S(sched_setscheduler),
};

static const int shim[] = {
	S(ptrace),
	S(wait4),
	S(waitid),
	S(process_vm_readv),
	S(kill),
	S(tgkill),
	S(pidfd_open),
	S(pidfd_send_signal),
	S(newfstatat),
	S(stat),
	S(lstat),
	S(statx),
	S(readlink),
	S(readlinkat),
	S(getdents64),
	S(pread64),
	S(fstatfs),
	S(recvfrom),
	S(sendto),
	S(fsync),
	S(fdatasync),
};

static const int front[] = {
	S(accept4),
	S(getpeername),
	S(getsockname),
	S(setsockopt),
	S(recvfrom),
	S(sendto),
	S(recvmmsg),
	S(sendmmsg),
	S(pread64),
};

static const int back[] = {
	S(connect),
	S(getpeername),
	S(getsockname),
	S(setsockopt),
	S(recvfrom),
	S(sendto),
	S(pread64),
	S(memfd_create),
};

static const int stage[] = {
	S(openat),
	S(openat2),
	S(newfstatat),
	S(stat),
	S(lstat),
	S(statx),
	S(getdents64),
	S(readlink),
	S(readlinkat),
	S(pread64),
	S(pwrite64),
	S(ftruncate),
	S(copy_file_range),
	S(symlinkat),
	S(mkdirat),
	S(unlinkat),
	S(renameat),
	S(renameat2),
	S(fchmod),
	S(fchmodat),
	S(utimensat),
	S(fgetxattr),
	S(flistxattr),
	S(fsetxattr),
	S(name_to_handle_at),
	S(flock),
	S(fsync),
	S(syncfs),
};

struct set {
	const int *call;
	size_t n;
};

#define SET(a)                                                                 \
	{                                                                      \
		a, nitems(a)                                                   \
	}

static const struct set sets[ROLE_MAX] = {
	[ROLE_CONTROL] = SET(control),
	[ROLE_KEYD] = SET(keyd),
	[ROLE_AUDIT] = SET(audit),
	[ROLE_DNS] = SET(dns),
	[ROLE_SHIM] = SET(shim),
	[ROLE_FRONT] = SET(front),
	[ROLE_BACK] = SET(back),
	[ROLE_STAGE] = SET(stage),
};

/*
 * Files that libc and libcrypto look for by themselves (time zone, locale,
 * overcommit setting of malloc) in roles that have no file system: a refusal
 * is the same to them as a missing file.
 */
static const int lookups[] = {
	S(openat),
	S(open),
	S(access),
	S(faccessat),
	S(faccessat2),
	S(stat),
	S(lstat),
	S(statx),
	S(readlink),
	S(readlinkat),
};

/*
 * Never needed below the parent either, jails included, so that no later
 * mistake in a child can reach them.
 */
static const int parent_denied[] = {
	S(acct),
	S(add_key),
	S(clock_adjtime),
	S(clock_settime),
	S(adjtimex),
	S(delete_module),
	S(finit_module),
	S(init_module),
	S(ioperm),
	S(iopl),
	S(io_uring_enter),
	S(io_uring_register),
	S(io_uring_setup),
	S(kexec_file_load),
	S(kexec_load),
	S(lookup_dcookie),
	S(nfsservctl),
	S(open_by_handle_at),
	S(quotactl),
	S(quotactl_fd),
	S(reboot),
	S(request_key),
	S(settimeofday),
	S(swapoff),
	S(swapon),
	S(syslog),
	S(userfaultfd),
	S(vhangup),
};

static void
check(int rc, const char *what)
{
	if (rc == 0)
		return;
	errno = -rc;
	fatal("seccomp: %s", what);
}

/* One rule with at most one condition on an argument (the rest are 32 bit). */
static void
rule(scmp_filter_ctx f, uint32_t action, int call, unsigned int n,
    struct scmp_arg_cmp a)
{
	char *name;
	int rc = seccomp_rule_add(f, action, call, n, a);

	/* A pseudo number: the call does not exist on this machine. */
	if (rc == 0 || (rc == -EDOM && call < 0))
		return;
	name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
	errno = -rc;
	fatal("seccomp: rule for %s", name == NULL ? "?" : name);
}

static void
always(scmp_filter_ctx f, uint32_t action, int call)
{
	rule(f, action, call, 0, SCMP_A0(SCMP_CMP_EQ, 0));
}

static void
allow_set(scmp_filter_ctx f, const int *call, size_t n)
{
	for (size_t i = 0; i < n; i++)
		always(f, SCMP_ACT_ALLOW, call[i]);
}

/* Executable memory only for the role whose libc loads plug-ins (NSS). */
static void
add_memory(scmp_filter_ctx f, enum role role)
{
	static const int calls[] = { S(mmap), S(mprotect) };

	for (size_t i = 0; i < nitems(calls); i++) {
		if (role == ROLE_DNS) {
			always(f, SCMP_ACT_ALLOW, calls[i]);
			continue;
		}
		rule(f, SCMP_ACT_ALLOW, calls[i], 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		rule(f, SCMP_ACT_ERRNO(EPERM), calls[i], 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	}
}

static void
add_prctl(scmp_filter_ctx f)
{
	static const unsigned int ok[] = { PR_SET_NAME, PR_GET_NAME,
		PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS, PR_GET_DUMPABLE,
		PR_CAPBSET_READ };

	for (size_t i = 0; i < nitems(ok); i++)
		rule(f, SCMP_ACT_ALLOW, S(prctl), 1,
		    SCMP_A0(SCMP_CMP_EQ, ok[i]));
}

/* Reading limits: the new value (third argument) must be NULL. */
static void
add_own(scmp_filter_ctx f)
{
	pid_t pid = getpid();

	rule(f, SCMP_ACT_ALLOW, S(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
	always(f, SCMP_ACT_ALLOW, S(getrlimit));
	always(f, SCMP_ACT_ALLOW, S(capget));
	/* abort(3) and raise(3) */
	rule(f, SCMP_ACT_ALLOW, S(tgkill), 1,
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)pid));
	rule(f, SCMP_ACT_ALLOW, S(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));
	rule(f, SCMP_ACT_ALLOW, S(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO));
	/* stdio asks whether a stream is a terminal */
	rule(f, SCMP_ACT_ALLOW, S(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TCGETS));
}

static void
add_open_read(scmp_filter_ctx f)
{
	const scmp_datum_t mask = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND |
				  (O_TMPFILE & ~O_DIRECTORY);

	rule(f, SCMP_ACT_ALLOW, S(openat), 1,
	    SCMP_A2(SCMP_CMP_MASKED_EQ, mask, O_RDONLY));
	rule(f, SCMP_ACT_ALLOW, S(open), 1,
	    SCMP_A1(SCMP_CMP_MASKED_EQ, mask, O_RDONLY));
}

static void
add_socket(scmp_filter_ctx f)
{
	rule(f, SCMP_ACT_ALLOW, S(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET));
	rule(f, SCMP_ACT_ALLOW, S(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_INET6));
}

static void
add_dns(scmp_filter_ctx f)
{
	add_open_read(f);
	add_socket(f);
	/* libc looks for nscd, for nss_resolve and for a list of interfaces. */
	rule(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), S(socket), 1,
	    SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	rule(f, SCMP_ACT_ERRNO(EAFNOSUPPORT), S(socket), 1,
	    SCMP_A0(SCMP_CMP_EQ, AF_NETLINK));
	rule(f, SCMP_ACT_ALLOW, S(clone), 1,
	    SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM,
		CLONE_THREAD | CLONE_VM));
	/* Its flags are behind a pointer; libc falls back to clone. */
	always(f, SCMP_ACT_ERRNO(ENOSYS), S(clone3));
	always(f, SCMP_ACT_ERRNO(EPERM), S(bind));
}

static void
add_shim(scmp_filter_ctx f)
{
	static const unsigned long calls[] = { TIOCSWINSZ, TIOCGWINSZ,
		TIOCGPGRP, TIOCSIG, TIOCGPTN, TCSETS, TCSETSW, TCSETSF,
		SECCOMP_IOCTL_NOTIF_RECV, SECCOMP_IOCTL_NOTIF_ID_VALID,
		SECCOMP_IOCTL_NOTIF_SEND };

	add_open_read(f);
	for (size_t i = 0; i < nitems(calls); i++)
		rule(f, SCMP_ACT_ALLOW, S(ioctl), 1,
		    SCMP_A1(SCMP_CMP_EQ, calls[i]));
}

static void
add_no_files(scmp_filter_ctx f)
{
	for (size_t i = 0; i < nitems(lookups); i++)
		always(f, SCMP_ACT_ERRNO(EACCES), lookups[i]);
	/* fstat(3) is newfstatat(fd, "", ..., AT_EMPTY_PATH) in libc. */
	rule(f, SCMP_ACT_ALLOW, S(newfstatat), 1,
	    SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	rule(f, SCMP_ACT_ERRNO(EACCES), S(newfstatat), 1,
	    SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
}

#ifdef BRIG_DEBUG_FILTER
static void
on_sigsys(int signo, siginfo_t *si, void *ctx)
{
	char *name =
	    seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, si->si_syscall);

	dprintf(2, "brig: filter refuses %s (%d)\n", name == NULL ? "?" : name,
	    si->si_syscall);
	_exit(128 + SIGSYS);
}

static uint32_t
kill_action(void)
{
	struct sigaction sa = { .sa_flags = SA_SIGINFO };

	if (getenv("BRIG_SECCOMP_LOG") == NULL)
		return SCMP_ACT_KILL_PROCESS;
	sa.sa_sigaction = on_sigsys;
	if (sigaction(SIGSYS, &sa, NULL) != 0)
		fatal("sigaction");
	return SCMP_ACT_TRAP;
}
#else
static uint32_t
kill_action(void)
{
	return SCMP_ACT_KILL_PROCESS;
}
#endif

static void
attributes(scmp_filter_ctx f)
{
	check(
	    seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
	    "foreign architectures");
	check(seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, 0), "no_new_privs");
	/* A binary tree: channels make many calls. */
	check(seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimise");
}

static void
took(void)
{
	if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) != 2)
		fatalx("seccomp filter did not take");
}

static void
load(scmp_filter_ctx f)
{
	attributes(f);
	check(seccomp_load(f), "load");
	seccomp_release(f);
	took();
}

static void
filter_parent(void)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

	if (f == NULL)
		fatalx("seccomp_init failed");
	for (size_t i = 0; i < nitems(parent_denied); i++)
		always(f, SCMP_ACT_ERRNO(EPERM), parent_denied[i]);
	load(f);
}

static scmp_filter_ctx
filter_child(enum role role)
{
	scmp_filter_ctx f = seccomp_init(kill_action());

	if (f == NULL)
		fatalx("seccomp_init failed");
	allow_set(f, common, nitems(common));
	allow_set(f, sets[role].call, sets[role].n);
	add_memory(f, role);
	add_prctl(f);
	add_own(f);
	switch (role) {
	case ROLE_DNS:
		add_dns(f);
		break;
	case ROLE_SHIM:
		add_shim(f);
		break;
	case ROLE_STAGE:
		rule(f, SCMP_ACT_ALLOW, S(ioctl), 1,
		    SCMP_A1(SCMP_CMP_EQ, FICLONE));
		break;
	case ROLE_BACK:
		add_socket(f);
		add_no_files(f);
		break;
	case ROLE_KEYD:
	case ROLE_FRONT:
		add_no_files(f);
		break;
	case ROLE_CONTROL:
	case ROLE_AUDIT:
	case ROLE_PARENT:
	case ROLE_NONE:
	case ROLE_MAX:
		break;
	}
	return f;
}

void
self_filter_make(enum role role, struct sock_fprog *prog)
{
	cleanup_fd int fd = memfd_create("brig-filter", MFD_CLOEXEC);
	scmp_filter_ctx f = filter_child(role);
	struct buf b;
	size_t n;

	buf_init(&b, 0);
	attributes(f);
	if (fd < 0)
		fatal("memfd");
	check(seccomp_export_bpf(f, fd), "export");
	seccomp_release(f);
	if (fd_pread_all(fd, &b, BPF_MAXINSNS * sizeof(struct sock_filter)) < 0)
		fatal("seccomp filter");
	n = buf_len(&b) / sizeof(struct sock_filter);
	prog->len = (unsigned short)n;
	prog->filter = xcalloc(n, sizeof(struct sock_filter));
	memcpy(prog->filter, buf_head(&b), n * sizeof(struct sock_filter));
	buf_free(&b);
}

void
self_filter_install(const struct sock_fprog *prog)
{
#ifdef BRIG_SANITIZE
	(void)prog;
	(void)took;
#else
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prog, 0, 0) != 0)
		fatal("seccomp filter");
	took();
#endif
}

void
self_filter(enum role role)
{
#ifdef BRIG_SANITIZE
	log_info("role=%s: no system call filter in a sanitizer build",
	    role_name(role));
	(void)filter_parent;
	(void)filter_child;
	(void)load;
#else
	if (role == ROLE_PARENT)
		filter_parent();
	else if (sets[role].n != 0)
		load(filter_child(role));
	else
		fatalx("no filter for role %d", (int)role);
#endif
}
