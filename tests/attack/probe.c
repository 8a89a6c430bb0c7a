/*
 * brig-probe: one attempt a run, for the attack cases.  Exit status 0 means
 * that the attempt worked (what a control run outside a jail must show), 1
 * that it was refused, 3 that this kernel does not have the thing at all.  It
 * says in one line what happened.  Static, so that it runs from a workspace.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/str.h"

#define WORKED 0
#define REFUSED 1
#define ABSENT 3

static int
result(long rc, const char *what)
{
	if (rc >= 0) {
		printf("%s: worked (%ld)\n", what, rc);
		return WORKED;
	}
	printf("%s: %s\n", what, strerror(errno));
	return errno == ENOSYS || errno == EAFNOSUPPORT ||
		       errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT
		   ? ABSENT
		   : REFUSED;
}

/* Run fn in a child: an attempt that is killed was refused. */
static int
in_child(int (*fn)(void), const char *what)
{
	int st;
	pid_t pid;

	fflush(stdout);
	if ((pid = fork()) == 0) {
		int rc = fn();

		fflush(stdout);
		_exit(rc);
	}
	if (pid < 0 || waitpid(pid, &st, 0) != pid)
		return result(-1, what);
	if (WIFSIGNALED(st)) {
		printf("%s: killed by signal %d\n", what, WTERMSIG(st));
		return REFUSED;
	}
	return WEXITSTATUS(st);
}

#if defined(__x86_64__)
static int
try_int80(void)
{
	long rc;

	/* getpid of the i386 table, by the i386 gate. */
	__asm__ volatile("int $0x80" : "=a"(rc) : "a"(20L) : "memory");
	errno = rc < 0 ? (int)-rc : 0;
	return result(rc < 0 ? -1 : rc, "i386 getpid");
}

static int
try_x32(void)
{
	return result(syscall(0x40000000L | SYS_getpid), "x32 getpid");
}
#else
static int
try_int80(void)
{
	errno = ENOSYS;
	return result(-1, "i386 getpid");
}

static int
try_x32(void)
{
	errno = ENOSYS;
	return result(-1, "x32 getpid");
}
#endif

static int
try_uring(void)
{
	char params[256] = { 0 };

	return result(syscall(425, 8, params), "io_uring_setup");
}

static int
try_unshare(void)
{
	return result(unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
}

static int
try_clone(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return result(pid, "clone(CLONE_NEWUSER)");
}

static int
try_clone3(void)
{
	struct clone_args a = { .flags = CLONE_NEWUSER,
		.exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &a, sizeof(a));
	int rc;

	if (pid == 0)
		_exit(0);
	rc = result(pid, "clone3(CLONE_NEWUSER)");
	/* ENOSYS is how a jail refuses it: libc then uses clone(2). */
	return rc == ABSENT ? REFUSED : rc;
}

static int
try_setns(void)
{
	int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return result(-1, "open /proc/self/ns/user");
	/* One's own namespace: EINVAL proves that the call was let in. */
	if (setns(fd, CLONE_NEWUSER) < 0 && errno == EINVAL)
		return result(0, "setns reached the kernel");
	return result(-1, "setns");
}

static int
try_mount(void)
{
	return result(mount("none", "/tmp", "tmpfs", 0, "size=4k"),
	    "mount tmpfs on /tmp");
}

static int
try_tiocsti(void)
{
	char c = '#';

	return result(ioctl(0, TIOCSTI, &c), "TIOCSTI");
}

static int
try_tiocsti_high(void)
{
	char c = '#';

	return result(syscall(SYS_ioctl, 0, 0xdeadbeef00000000UL | TIOCSTI, &c),
	    "TIOCSTI with high bits");
}

static int
try_tioclinux(void)
{
	char c = 3; /* paste */

	return result(ioctl(0, TIOCLINUX, &c), "TIOCLINUX");
}

static int
try_ptrace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, 0, 0), "ptrace");
}

static int
family(const char *arg)
{
	uint64_t n;
	char what[32];

	if (str_to_u64(arg, 1, 64, &n) < 0)
		return 2;
	snprintf(what, sizeof(what), "socket family %d", (int)n);
	return result(socket((int)n,
			  n == AF_PACKET || n == AF_NETLINK ? SOCK_RAW
			  : n == AF_ALG                     ? SOCK_SEQPACKET
							    : SOCK_STREAM,
			  /* NETLINK_ROUTE may be had, to read. */
			  n == AF_NETLINK ? NETLINK_SOCK_DIAG : 0),
	    what);
}

static int
inet_type(int type, int proto, const char *what)
{
	return result(socket(AF_INET, type, proto), what);
}

static int
abstract(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strlcpy(un.sun_path + 1, name, sizeof(un.sun_path) - 1);
	return result(connect(fd, (struct sockaddr *)&un,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				      1 + strlen(name))),
	    "connect abstract socket");
}

static int
unix_path(const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strlcpy(un.sun_path, path, sizeof(un.sun_path));
	return result(connect(fd, (struct sockaddr *)&un, sizeof(un)),
	    "connect socket path");
}

static int
target(const char *ip, const char *port, struct sockaddr_in *sa)
{
	uint64_t n;

	memset(sa, 0, sizeof(*sa));
	sa->sin_family = AF_INET;
	if (inet_pton(AF_INET, ip, &sa->sin_addr) != 1 ||
	    str_to_u64(port, 1, 65535, &n) < 0)
		return -1;
	sa->sin_port = htons((uint16_t)n);
	return 0;
}

/* Send a mark by TCP; with fast open it would be in the SYN. */
static int
tcp(const char *ip, const char *port, const char *mark, int flags)
{
	struct sockaddr_in sa;
	char line[256];
	ssize_t n;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (target(ip, port, &sa) < 0)
		return 2;
	if (flags == 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return result(-1, "connect");
	n = flags == 0 ? send(fd, mark, strlen(mark), MSG_NOSIGNAL)
		       : sendto(fd, mark, strlen(mark), flags | MSG_NOSIGNAL,
			     (struct sockaddr *)&sa, sizeof(sa));
	if (n < 0)
		return result(-1, "send");
	shutdown(fd, SHUT_WR);
	while ((n = read(fd, line, sizeof(line))) > 0)
		fwrite(line, 1, (size_t)n, stdout);
	return result(0, "sent by TCP");
}

static int
udp(const char *ip, const char *port, const char *mark)
{
	struct sockaddr_in sa;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (target(ip, port, &sa) < 0)
		return 2;
	return result(sendto(fd, mark, strlen(mark), 0, (struct sockaddr *)&sa,
			  sizeof(sa)),
	    "sent by UDP");
}

/* Read a file below /proc of another process and print what is there. */
static int
slurp(const char *path)
{
	char b[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return result(-1, path);
	while ((n = read(fd, b, sizeof(b))) > 0)
		fwrite(b, 1, (size_t)n, stdout);
	if (n < 0)
		return result(-1, path);
	return result(0, path);
}

/* A child that holds a descriptor and a variable of its own. */
static pid_t
victim(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	return pid;
}

static int
try_vm_write(void)
{
	static char mine = 'x', theirs = 'y';
	struct iovec l = { &mine, 1 }, r = { &theirs, 1 };
	pid_t pid = victim();
	int rc =
	    result(syscall(SYS_process_vm_writev, pid, &l, 1UL, &r, 1UL, 0UL),
		"process_vm_writev");

	kill(pid, SIGKILL);
	return rc;
}

static int
try_getfd(void)
{
	pid_t pid = victim();
	long fd = syscall(SYS_pidfd_open, pid, 0);
	int rc = result(
	    fd < 0 ? -1 : syscall(SYS_pidfd_getfd, fd, 0, 0), "pidfd_getfd");

	kill(pid, SIGKILL);
	return rc;
}

static int
try_mem(void)
{
	char path[64];
	pid_t pid = victim();
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	rc = result(open(path, O_RDWR | O_CLOEXEC), "/proc/PID/mem to write");
	kill(pid, SIGKILL);
	return rc;
}

static const struct {
	const char *name;
	int (*fn)(void);
} attempts[] = {
	{ "int80", try_int80 },
	{ "x32", try_x32 },
	{ "uring", try_uring },
	{ "unshare", try_unshare },
	{ "clone", try_clone },
	{ "clone3", try_clone3 },
	{ "setns", try_setns },
	{ "mount", try_mount },
	{ "tiocsti", try_tiocsti },
	{ "tiocsti-high", try_tiocsti_high },
	{ "tioclinux", try_tioclinux },
	{ "ptrace", try_ptrace },
	{ "vm-write", try_vm_write },
	{ "getfd", try_getfd },
	{ "mem", try_mem },
};

int
main(int argc, char **argv)
{
	const char *m = argc > 1 ? argv[1] : "";

	for (size_t i = 0; i < nitems(attempts); i++)
		if (strcmp(m, attempts[i].name) == 0)
			return in_child(attempts[i].fn, m);
	if (strcmp(m, "family") == 0 && argc == 3)
		return family(argv[2]);
	if (strcmp(m, "raw") == 0)
		return inet_type(SOCK_RAW, IPPROTO_ICMP, "raw ICMP socket");
	if (strcmp(m, "mptcp") == 0)
		return inet_type(SOCK_STREAM, 262, "MPTCP socket");
	if (strcmp(m, "sctp") == 0)
		return inet_type(SOCK_STREAM, IPPROTO_SCTP, "SCTP socket");
	if (strcmp(m, "abstract") == 0 && argc == 3)
		return abstract(argv[2]);
	if (strcmp(m, "unix") == 0 && argc == 3)
		return unix_path(argv[2]);
	if (strcmp(m, "tcp") == 0 && argc == 5)
		return tcp(argv[2], argv[3], argv[4], 0);
	if (strcmp(m, "tfo") == 0 && argc == 5)
		return tcp(argv[2], argv[3], argv[4], MSG_FASTOPEN);
	if (strcmp(m, "udp") == 0 && argc == 5)
		return udp(argv[2], argv[3], argv[4]);
	if (strcmp(m, "read") == 0 && argc == 3)
		return slurp(argv[2]);
	fprintf(stderr, "usage: brig-probe ATTEMPT [ARGUMENT...]\n");
	return 2;
}
