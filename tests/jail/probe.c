/*
 * One attempt per name, made inside a jail and, as the control that shows the
 * target is there, outside it.  Prints one word: "ok" when it succeeded, the
 * errno's name otherwise.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compat.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static int
result(long r)
{
	(void)printf("%s\n", r >= 0 ? "ok" : strerrorname_np(errno));
	return 0;
}

static int
try_io_uring(void)
{
	char params[120] = { 0 };

	return result(syscall(SYS_io_uring_setup, 1, params));
}

static int
try_userns(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int
try_clone_userns(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
try_clone_untraced(void)
{
	long pid = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int
try_clone3(void)
{
	return result(syscall(SYS_clone3, NULL, 0));
}

static int
try_mount(void)
{
	return result(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int
try_fsopen(void)
{
	return result(fsopen("tmpfs", 0));
}

static int
try_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int
try_ptrace(void)
{
	pid_t pid = fork();
	long r;

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	r = ptrace(PTRACE_SEIZE, pid, NULL, 0);
	(void)result(r);
	return kill(pid, SIGKILL);
}

static int
try_sibling_mem(void)
{
	char path[64];
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDWR);
	(void)result(fd);
	return kill(pid, SIGKILL);
}

static int
try_keyctl(void)
{
	return result(syscall(SYS_keyctl, 1, NULL));
}

static int
try_userfaultfd(void)
{
	return result(syscall(SYS_userfaultfd, 1));
}

static int
try_openat2(void)
{
	return result(syscall(SYS_openat2, -1, "/", NULL, 0));
}

static int
try_raw(void)
{
	return result(socket(AF_INET, SOCK_RAW, IPPROTO_UDP));
}

static int
try_netlink(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
}

static int
try_sock_diag(void)
{
	return result(socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
}

static int
try_link_down(void)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} req = { .h = { .nlmsg_len = sizeof(req),
		      .nlmsg_type = RTM_NEWLINK,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
		.i = { .ifi_index = 1, .ifi_change = IFF_UP } };
	struct {
		struct nlmsghdr h;
		struct nlmsgerr e;
	} ans = { 0 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0 || send(fd, &req, sizeof(req), 0) < 0 ||
	    recv(fd, &ans, sizeof(ans), 0) < 0)
		return result(-1);
	errno = -ans.e.error;
	return result(errno == 0 ? 0 : -1);
}

static int
try_packet(void)
{
	return result(socket(AF_PACKET, SOCK_DGRAM, 0));
}

static int
try_vsock(void)
{
	return result(socket(AF_VSOCK, SOCK_STREAM, 0));
}

static int
try_alg(void)
{
	return result(socket(AF_ALG, SOCK_SEQPACKET, 0));
}

static int
try_mptcp(void)
{
	return result(socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
}

static int
try_high_family(void)
{
	/* The kernel reads 32 bits: AF_PACKET to it. */
	return result(
	    syscall(SYS_socket, 0x100000000 + AF_PACKET, SOCK_RAW, 0));
}

static int
try_tcp(void)
{
	return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int
try_tiocsti(void)
{
	return result(ioctl(0, TIOCSTI, "x"));
}

static int
try_tiocsti_high(void)
{
	return result(syscall(SYS_ioctl, 0, 0x100000000 + TIOCSTI, "x"));
}

static int
try_tioclinux(void)
{
	char what = 2;

	return result(ioctl(0, TIOCLINUX, &what));
}

static int
try_chmod_setuid(void)
{
	int fd = open("setid", O_CREAT | O_WRONLY, 0755);

	return result(fd < 0 ? fd : fchmod(fd, 04755));
}

static int
try_chmod_setgid(void)
{
	int fd = open("setid", O_CREAT | O_WRONLY, 0755);

	return result(fd < 0 ? fd : chmod("setid", 02755));
}

static int
try_fchmodat2_setuid(void)
{
	int fd = open("setid", O_CREAT | O_WRONLY, 0755);

	return result(fd < 0 ? fd : syscall(452, AT_FDCWD, "setid", 04755, 0));
}

static int
try_open_setuid(void)
{
	(void)unlink("setid2");
	return result(open("setid2", O_CREAT | O_WRONLY, 04755));
}

static int
try_tmpfile_setuid(void)
{
	return result(open(".", O_TMPFILE | O_WRONLY, 04755));
}

static int
try_mknod_setuid(void)
{
	(void)unlink("setid3");
	return result(mknod("setid3", S_IFREG | 04755, 0));
}

static int
try_mknod_device(void)
{
	(void)unlink("disk");
	return result(mknod("disk", S_IFBLK | 0600, 0x700));
}

static int
try_memfd_exec(void)
{
	return result(memfd_create("x", 0x10));
}

static int
try_memfd_plain(void)
{
	return result(memfd_create("x", 0));
}

static int
try_chroot(void)
{
	return result(chroot("."));
}

static int
try_kill_init(void)
{
	return result(kill(1, SIGTERM));
}

static int
try_setuid_root(void)
{
	return result(setuid(0));
}

static int
try_x32(void)
{
	return result(syscall(0x40000000 + SYS_getpid));
}

static int
try_int80(void)
{
#ifdef __x86_64__
	long r;

	/* getpid of the 32-bit table. */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
	errno = r < 0 ? (int)-r : 0;
	return result(r < 0 ? -1 : r);
#else
	return result(0);
#endif
}

static const struct {
	const char *name;
	int (*fn)(void);
} tries[] = {
	{ "io_uring", try_io_uring },
	{ "userns", try_userns },
	{ "clone_userns", try_clone_userns },
	{ "clone_untraced", try_clone_untraced },
	{ "clone3", try_clone3 },
	{ "mount", try_mount },
	{ "fsopen", try_fsopen },
	{ "bpf", try_bpf },
	{ "ptrace", try_ptrace },
	{ "sibling_mem", try_sibling_mem },
	{ "keyctl", try_keyctl },
	{ "userfaultfd", try_userfaultfd },
	{ "openat2", try_openat2 },
	{ "raw", try_raw },
	{ "netlink", try_netlink },
	{ "sock_diag", try_sock_diag },
	{ "link_down", try_link_down },
	{ "packet", try_packet },
	{ "vsock", try_vsock },
	{ "alg", try_alg },
	{ "mptcp", try_mptcp },
	{ "high_family", try_high_family },
	{ "tcp", try_tcp },
	{ "tiocsti", try_tiocsti },
	{ "tiocsti_high", try_tiocsti_high },
	{ "tioclinux", try_tioclinux },
	{ "chmod_setuid", try_chmod_setuid },
	{ "chmod_setgid", try_chmod_setgid },
	{ "fchmodat2_setuid", try_fchmodat2_setuid },
	{ "open_setuid", try_open_setuid },
	{ "tmpfile_setuid", try_tmpfile_setuid },
	{ "mknod_setuid", try_mknod_setuid },
	{ "mknod_device", try_mknod_device },
	{ "memfd_exec", try_memfd_exec },
	{ "memfd_plain", try_memfd_plain },
	{ "chroot", try_chroot },
	{ "kill_init", try_kill_init },
	{ "setuid_root", try_setuid_root },
	{ "x32", try_x32 },
	{ "int80", try_int80 },
};

int
main(int argc, char **argv)
{
	size_t i;

	for (i = 0; argc == 2 && i < nitems(tries); i++)
		if (strcmp(argv[1], tries[i].name) == 0)
			return tries[i].fn();
	(void)fprintf(stderr, "usage: probe name\n");
	return 2;
}
