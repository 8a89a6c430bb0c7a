/*
 * System calls and constants that glibc 2.36 or Debian 12's kernel headers
 * lack.  Values are those of the kernel's ABI and never change.
 */
#ifndef BRIG_SANDBOX_SYS_H
#define BRIG_SANDBOX_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define OPENAT2_TRIES 1000

/*
 * openat2(2): flags as open(2), resolve are RESOLVE_* bits; fd or -1.  Below
 * a root ".." is answered with EAGAIN when anything at all was mounted or
 * renamed on the host meanwhile, which any job can see to.
 */
static inline int
sys_openat2(int dir, const char *path, int flags, unsigned int resolve)
{
	struct open_how how = { .flags = (unsigned int)flags | O_CLOEXEC,
		.resolve = resolve };
	int fd, tries = 0;

	do
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && ++tries < OPENAT2_TRIES);
	return fd;
}

static inline int
sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)syscall(SYS_pivot_root, new_root, put_old);
}

/* clone3(2) without a new stack: like fork(2). */
static inline pid_t
sys_clone3(struct clone_args *a)
{
	return (pid_t)syscall(SYS_clone3, a, sizeof(*a));
}

#endif
