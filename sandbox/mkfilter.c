/*
 * Build-time program: writes the system call filters of a jail, as plain BPF
 * for this architecture, to standard output.  Generating them takes libseccomp
 * longer than the kernel takes to build a jail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compat.h"

#define INSNS_MAX 4096u

/* Arguments are compared in 32 bits, as the kernel reads them: a comparison
 * of all 64 would miss TIOCSTI with a high bit set (CVE-2019-7303). */
#define ARG32(n, v) SCMP_CMP(n, SCMP_CMP_MASKED_EQ, 0xffffffffu, v)
#define ARG_BITS(n, v) SCMP_CMP(n, SCMP_CMP_MASKED_EQ, v, v)
#define SOCKET_TYPE(t) SCMP_CMP(1, SCMP_CMP_MASKED_EQ, 0xf, t)

static const char *const allowed[] = {
	/* files */
	"access",
	"chdir",
	"chmod",
	"chown",
	"close",
	"close_range",
	"copy_file_range",
	"creat",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchdir",
	"fchmod",
	"fchmodat",
	"fchmodat2",
	"fchown",
	"fchownat",
	"fcntl",
	"fdatasync",
	"fgetxattr",
	"flistxattr",
	"flock",
	"fremovexattr",
	"fsetxattr",
	"fstat",
	"fstatfs",
	"fsync",
	"ftruncate",
	"futimesat",
	"getcwd",
	"getdents",
	"getdents64",
	"getxattr",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"ioctl",
	"lchown",
	"lgetxattr",
	"link",
	"linkat",
	"listxattr",
	"llistxattr",
	"lremovexattr",
	"lseek",
	"lsetxattr",
	"lstat",
	"mkdir",
	"mkdirat",
	"mknod",
	"mknodat",
	"newfstatat",
	"open",
	"openat",
	"pipe",
	"pipe2",
	"pread64",
	"preadv",
	"preadv2",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readahead",
	"readlink",
	"readlinkat",
	"readv",
	"removexattr",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"sendfile",
	"setxattr",
	"splice",
	"stat",
	"statfs",
	"statx",
	"symlink",
	"symlinkat",
	"sync",
	"sync_file_range",
	"syncfs",
	"tee",
	"truncate",
	"umask",
	"unlink",
	"unlinkat",
	"utime",
	"utimensat",
	"utimes",
	"vmsplice",
	"write",
	"writev",
	"cachestat",
	"getxattrat",
	"setxattrat",
	"listxattrat",
	"removexattrat",
	/* waiting */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"poll",
	"ppoll",
	"pselect6",
	"select",
	"signalfd",
	"signalfd4",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	/* memory */
	"brk",
	"get_mempolicy",
	"madvise",
	"map_shadow_stack",
	"mbind",
	"membarrier",
	"memfd_create",
	"mincore",
	"mlock",
	"mlock2",
	"mlockall",
	"mmap",
	"mprotect",
	"mremap",
	"mseal",
	"msync",
	"munlock",
	"munlockall",
	"munmap",
	"pkey_alloc",
	"pkey_free",
	"pkey_mprotect",
	"remap_file_pages",
	"set_mempolicy",
	/* processes */
	"alarm",
	"arch_prctl",
	"capget",
	"capset",
	"clone",
	"execve",
	"execveat",
	"exit",
	"exit_group",
	"fork",
	"futex",
	"futex_requeue",
	"futex_wait",
	"futex_waitv",
	"futex_wake",
	"get_robust_list",
	"get_thread_area",
	"getcpu",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getitimer",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getpriority",
	"getresgid",
	"getresuid",
	"getrlimit",
	"getrusage",
	"getsid",
	"gettid",
	"getuid",
	"ioprio_get",
	"ioprio_set",
	"kill",
	"landlock_add_rule",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"pause",
	"pidfd_open",
	"pidfd_send_signal",
	"prctl",
	"prlimit64",
	"restart_syscall",
	"rseq",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigqueueinfo",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_tgsigqueueinfo",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_getscheduler",
	"sched_rr_get_interval",
	"sched_setaffinity",
	"sched_setattr",
	"sched_setparam",
	"sched_setscheduler",
	"sched_yield",
	"seccomp",
	"set_robust_list",
	"set_thread_area",
	"set_tid_address",
	"setfsgid",
	"setfsuid",
	"setgid",
	"setgroups",
	"setitimer",
	"setpgid",
	"setpriority",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setrlimit",
	"setsid",
	"setuid",
	"sigaltstack",
	"tgkill",
	"tkill",
	"vfork",
	"wait4",
	"waitid",
	/* time */
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"gettimeofday",
	"nanosleep",
	"time",
	"timer_create",
	"timer_delete",
	"timer_getoverrun",
	"timer_gettime",
	"timer_settime",
	"times",
	/* sockets; socket(2) itself: see allow_sockets() */
	"accept",
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shutdown",
	/* SysV and POSIX queues, in an IPC namespace of the jail's own */
	"mq_getsetattr",
	"mq_notify",
	"mq_open",
	"mq_timedreceive",
	"mq_timedsend",
	"mq_unlink",
	"msgctl",
	"msgget",
	"msgrcv",
	"msgsnd",
	"semctl",
	"semget",
	"semop",
	"semtimedop",
	"shmat",
	"shmctl",
	"shmdt",
	"shmget",
	/* the rest */
	"getrandom",
	"sysinfo",
	"uname",
};

/* EPERM rather than ENOSYS: programs tell the user instead of guessing. */
static const char *const refused[] = {
	"acct",
	"add_key",
	"bpf",
	"chroot",
	"clock_adjtime",
	"clock_settime",
	"delete_module",
	"finit_module",
	"fsconfig",
	"fsmount",
	"fsopen",
	"fspick",
	"init_module",
	"ioperm",
	"iopl",
	"kcmp",
	"kexec_file_load",
	"kexec_load",
	"keyctl",
	"mount",
	"mount_setattr",
	"move_mount",
	"open_by_handle_at",
	"open_tree",
	"perf_event_open",
	"pidfd_getfd",
	"pivot_root",
	"process_madvise",
	"process_vm_readv",
	"process_vm_writev",
	"ptrace",
	"quotactl",
	"quotactl_fd",
	"reboot",
	"request_key",
	"setdomainname",
	"sethostname",
	"setns",
	"settimeofday",
	"swapoff",
	"swapon",
	"syslog",
	"umount2",
	"unshare",
	"userfaultfd",
	"vhangup",
};

static const char *const init_calls[] = {
	"close",
	"exit",
	"exit_group",
	"kill",
	"poll",
	"ppoll",
	"read",
	"restart_syscall",
	"rt_sigreturn",
	"sendmsg",
	"wait4",
	"write",
};

static int
allow(scmp_filter_ctx ctx, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);

	/* Older libseccomp or another architecture: not known, not allowed. */
	if (nr < 0)
		return 0;
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
}

static int
allow_sockets(scmp_filter_ctx ctx)
{
	static const unsigned int unix_types[] = { SOCK_STREAM, SOCK_DGRAM,
		SOCK_SEQPACKET };
	static const unsigned int families[] = { AF_INET, AF_INET6 };
	static const unsigned int inet[][2] = { { SOCK_STREAM, 0 },
		{ SOCK_STREAM, 6 }, { SOCK_DGRAM, 0 }, { SOCK_DGRAM, 17 } };
	size_t i, j;
	int r = 0;

	for (i = 0; i < nitems(unix_types); i++)
		r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
		    ARG32(0, AF_UNIX), SOCKET_TYPE(unix_types[i]));
	r |= seccomp_rule_add(
	    ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, ARG32(0, AF_UNIX));
	/* UDP-Lite, MPTCP, SCTP and ICMP would slip past the capture. */
	for (i = 0; i < nitems(families); i++)
		for (j = 0; j < nitems(inet); j++)
			r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
			    SCMP_SYS(socket), 3, ARG32(0, families[i]),
			    SOCKET_TYPE(inet[j][0]), ARG32(2, inet[j][1]));
	return r;
}

static int
make_allow(scmp_filter_ctx ctx)
{
	/* The ones programs use: 0, UNAME26, ADDR_NO_RANDOMIZE, query. */
	static const unsigned int personas[] = { 0, 0x20000, 0x40000,
		0xffffffff };
	size_t i;
	int r = 0;

	for (i = 0; i < nitems(allowed); i++)
		r |= allow(ctx, allowed[i]);
	for (i = 0; i < nitems(personas); i++)
		r |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW,
		    SCMP_SYS(personality), 1, ARG32(0, personas[i]));
	return r | allow_sockets(ctx);
}

/*
 * A setuid file made in the workspace would run, on the host, as the
 * submitter for whoever starts it: no call may set these bits.
 */
static int
deny_setid(scmp_filter_ctx ctx)
{
	static const unsigned int bits[] = { S_ISUID, S_ISGID };
	const unsigned int tmpfile = O_TMPFILE & ~O_DIRECTORY;
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	size_t i;
	int nr, r = 0;

	for (i = 0; i < nitems(bits); i++) {
		unsigned int b = bits[i];

		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(chmod), 1, ARG_BITS(1, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(fchmod), 1, ARG_BITS(1, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(fchmodat), 1, ARG_BITS(2, b));
		nr = seccomp_syscall_resolve_name("fchmodat2");
		if (nr < 0)
			nr = 452; /* the same on every architecture */
		r |= seccomp_rule_add(ctx, no, nr, 1, ARG_BITS(2, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(creat), 1, ARG_BITS(1, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(mkdir), 1, ARG_BITS(1, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(mkdirat), 1, ARG_BITS(2, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(mknod), 1, ARG_BITS(1, b));
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(mknodat), 1, ARG_BITS(2, b));
		/* The mode is garbage unless a file is made. */
		r |= seccomp_rule_add(ctx, no, SCMP_SYS(open), 2,
		    ARG_BITS(1, O_CREAT), ARG_BITS(2, b));
		r |= seccomp_rule_add(ctx, no, SCMP_SYS(open), 2,
		    ARG_BITS(1, tmpfile), ARG_BITS(2, b));
		r |= seccomp_rule_add(ctx, no, SCMP_SYS(openat), 2,
		    ARG_BITS(2, O_CREAT), ARG_BITS(3, b));
		r |= seccomp_rule_add(ctx, no, SCMP_SYS(openat), 2,
		    ARG_BITS(2, tmpfile), ARG_BITS(3, b));
		r |= seccomp_rule_add(ctx, no, SCMP_SYS(mq_open), 2,
		    ARG_BITS(1, O_CREAT), ARG_BITS(2, b));
	}
	return r;
}

static int
deny_sockets(scmp_filter_ctx ctx)
{
	/* Answers that libraries understand; the allow filter alone would
	 * say ENOSYS (Go asks for MPTCP and wants EPROTONOSUPPORT). */
	static const unsigned int protos[] = { 1, 33, 58, 132, 136, 255, 262 };
	const uint32_t no_af = SCMP_ACT_ERRNO(EAFNOSUPPORT);
	const uint32_t no_proto = SCMP_ACT_ERRNO(EPROTONOSUPPORT);
	unsigned int f;
	size_t i;
	int r = 0;

	for (f = 0; f < AF_INET6; f++) {
		if (f == AF_UNIX || f == AF_INET)
			continue;
		r |= seccomp_rule_add(
		    ctx, no_af, SCMP_SYS(socket), 1, ARG32(0, f));
	}
	r |= seccomp_rule_add(
	    ctx, no_af, SCMP_SYS(socket), 1, SCMP_A0_64(SCMP_CMP_GT, AF_INET6));
	r |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2,
	    ARG32(0, AF_INET), SOCKET_TYPE(SOCK_RAW));
	r |= seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 2,
	    ARG32(0, AF_INET6), SOCKET_TYPE(SOCK_RAW));
	for (i = 0; i < nitems(protos); i++) {
		r |= seccomp_rule_add(ctx, no_proto, SCMP_SYS(socket), 2,
		    ARG32(0, AF_INET), ARG32(2, protos[i]));
		r |= seccomp_rule_add(ctx, no_proto, SCMP_SYS(socket), 2,
		    ARG32(0, AF_INET6), ARG32(2, protos[i]));
	}
	return r;
}

static int
make_deny(scmp_filter_ctx ctx)
{
	/* clone3 takes its flags in memory that a filter cannot see: it is
	 * not in the allow list, and libc falls back to clone.  UNTRACED
	 * would let a child escape its tracer. */
	static const unsigned int clone_flags[] = { CLONE_NEWNS,
		CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER,
		CLONE_NEWPID, CLONE_NEWNET, CLONE_UNTRACED };
	/* Both type into somebody's terminal. */
	static const unsigned int ioctls[] = { TIOCSTI, TIOCLINUX };
	const uint32_t no = SCMP_ACT_ERRNO(EPERM);
	size_t i;
	int nr, r = 0;

	for (i = 0; i < nitems(refused); i++) {
		nr = seccomp_syscall_resolve_name(refused[i]);
		if (nr >= 0)
			r |= seccomp_rule_add(ctx, no, nr, 0);
	}
	for (i = 0; i < nitems(clone_flags); i++)
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(clone), 1, ARG_BITS(0, clone_flags[i]));
	for (i = 0; i < nitems(ioctls); i++)
		r |= seccomp_rule_add(
		    ctx, no, SCMP_SYS(ioctl), 1, ARG32(1, ioctls[i]));
	return r | deny_setid(ctx) | deny_sockets(ctx);
}

static int
make_init(scmp_filter_ctx ctx)
{
	size_t i;
	int r = 0;

	for (i = 0; i < nitems(init_calls); i++)
		r |= allow(ctx, init_calls[i]);
	return r;
}

static void
die(const char *what)
{
	(void)fprintf(stderr, "mkfilter: %s\n", what);
	exit(1);
}

static void
print(const char *name, uint32_t otherwise, int (*make)(scmp_filter_ctx))
{
	static struct sock_filter insn[INSNS_MAX];
	scmp_filter_ctx ctx = seccomp_init(otherwise);
	ssize_t i, n;
	int fd, r;

	if (ctx == NULL)
		die("seccomp_init");
	r = seccomp_attr_set(
	    ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	r |= seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r |= make(ctx);
	if (r != 0)
		die("libseccomp refused a rule");
	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0 || seccomp_export_bpf(ctx, fd) < 0)
		die("export");
	n = pread(fd, insn, sizeof(insn), 0);
	if (n <= 0 || n == (ssize_t)sizeof(insn) ||
	    n % (ssize_t)sizeof(insn[0]) != 0)
		die("size");
	n /= (ssize_t)sizeof(insn[0]);
	(void)printf("static const struct sock_filter %s[] = {\n", name);
	for (i = 0; i < n; i++)
		(void)printf("\t{ 0x%02x, %u, %u, 0x%08x },\n", insn[i].code,
		    insn[i].jt, insn[i].jf, insn[i].k);
	(void)printf("};\n");
	seccomp_release(ctx);
	(void)close(fd);
}

int
main(void)
{
	(void)printf("/* Generated by sandbox/mkfilter. */\n");
	print("filter_allow", SCMP_ACT_ERRNO(ENOSYS), make_allow);
	print("filter_deny", SCMP_ACT_ALLOW, make_deny);
	print("filter_init", SCMP_ACT_KILL_PROCESS, make_init);
	if (fflush(stdout) != 0 || ferror(stdout))
		die("write");
	return 0;
}
