#include "sandbox/workspace.h"

#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/fdutil.h"
#include "sandbox/sys.h"

#define HOLDER_STACK 16384u

int
workspace_open(const struct jail_config *c, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat ours, theirs;

	if (c->workspace[0] != '/')
		return error_set(err, EINVAL, "workspace: %s", c->workspace);
	fd = sys_openat2(AT_FDCWD, c->workspace, O_PATH | O_DIRECTORY,
	    RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
	if (fd < 0)
		return error_set(
		    err, errno, "workspace: open %s", c->workspace);
	if (c->workspace[strspn(c->workspace, "/.")] == '\0')
		return error_set(err, EPERM, "workspace: %s is the whole host",
		    c->workspace);
	if (fstat(fd, &ours) < 0 || fstat(c->workspace_fd, &theirs) < 0)
		return error_set(
		    err, errno, "workspace: stat %s", c->workspace);
	/* The submitter may live in another mount namespace, or have
	 * exchanged the directory since. */
	if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
		return error_set(err, 0,
		    "workspace: %s is not the directory that was opened by "
		    "its submitter",
		    c->workspace);
	return steal_fd(&fd);
}

static int
write_proc(pid_t pid, const char *file, const char *text, struct error *err)
{
	char path[64];
	cleanup_fd int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return error_set(err, errno, "userns: write %s", file);
	return 0;
}

int
userns_map(pid_t pid, uid_t in_uid, uid_t out_uid, gid_t in_gid, gid_t out_gid,
    struct error *err)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%u %u 1\n", in_uid, out_uid);
	if (write_proc(pid, "uid_map", text, err) < 0)
		return -1;
	/* Before gid_map: a map without setgroups(2). */
	if (write_proc(pid, "setgroups", "deny", err) < 0)
		return -1;
	(void)snprintf(text, sizeof(text), "%u %u 1\n", in_gid, out_gid);
	return write_proc(pid, "gid_map", text, err);
}

/* Shares our memory and runs on a stack of its own: no errno, no libc. */
static int
holder(void *arg)
{
	for (;;)
		(void)pause();
	return 0;
}

/* A user namespace that exists only to describe an id mapping. */
static int
mapping_ns(const struct jail_config *c, struct error *err)
{
	char path[64];
	char *stack;
	pid_t pid;
	int fd = -1;

	stack = mmap(NULL, HOLDER_STACK, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return error_set(err, errno, "workspace: stack");
	pid = clone(holder, stack + HOLDER_STACK,
	    CLONE_NEWUSER | CLONE_VM | SIGCHLD, NULL);
	if (pid < 0) {
		(void)error_set(err, errno, "workspace: user namespace");
		(void)munmap(stack, HOLDER_STACK);
		return -1;
	}
	if (userns_map(pid, c->owner_uid, c->host_uid, c->owner_gid,
		c->host_gid, err) == 0) {
		(void)snprintf(
		    path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			(void)error_set(err, errno, "workspace: open %s", path);
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	(void)munmap(stack, HOLDER_STACK);
	return fd;
}

/* File systems that people meet and that some kernels cannot map. */
static const char *
fs_name(int fd, char *hex, size_t size)
{
	static const struct {
		unsigned long type;
		const char *name;
	} known[] = { { NFS_SUPER_MAGIC, "NFS" },
		{ OVERLAYFS_SUPER_MAGIC, "overlay" }, { 0x65735546, "FUSE" },
		{ 0xfe534d42, "SMB" }, { V9FS_MAGIC, "9p" },
		{ TMPFS_MAGIC, "tmpfs" } };
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs) < 0)
		return "an unknown file system";
	for (i = 0; i < nitems(known); i++)
		if (known[i].type == (unsigned long)fs.f_type)
			return known[i].name;
	(void)snprintf(
	    hex, size, "file system 0x%lx", (unsigned long)fs.f_type);
	return hex;
}

int
workspace_map(int mnt, const char *what, const struct jail_config *c,
    uint64_t attr, struct error *err)
{
	struct mount_attr a = { .attr_set = attr | MOUNT_ATTR_NOSUID |
					    MOUNT_ATTR_NODEV };
	cleanup_fd int ns = -1;
	char hex[40];

	/* The job runs as the owner: nothing to map. */
	if (c->owner_uid != c->host_uid || c->owner_gid != c->host_gid) {
		ns = mapping_ns(c, err);
		if (ns < 0)
			return -1;
		a.attr_set |= MOUNT_ATTR_IDMAP;
		a.userns_fd = (uint64_t)ns;
	}
	if (mount_setattr(mnt, "", AT_EMPTY_PATH, &a, sizeof(a)) == 0)
		return 0;
	if (ns < 0 || errno != EINVAL)
		return error_set(err, errno, "workspace: %s", what);
	/*
	 * Nor is the job run as its submitter instead: it would share the uid
	 * with every other job and process of theirs, and programs that know
	 * people by their uid would take it for them.
	 */
	return error_set(err, 0,
	    "workspace: %s is on %s, which this kernel cannot mount with "
	    "mapped ids: take a folder on ext4, xfs or btrfs",
	    what, fs_name(mnt, hex, sizeof(hex)));
}

int
workspace_mount(
    int dir, const struct jail_config *c, uint64_t attr, struct error *err)
{
	cleanup_fd int tree = -1;

	/* Not recursive: what is mounted below was not asked for. */
	tree = open_tree(
	    dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (tree < 0)
		return error_set(err, errno, "workspace: open_tree");
	if (workspace_map(tree, c->workspace, c, attr, err) < 0)
		return -1;
	return steal_fd(&tree);
}

int
workspace_id_ns(const struct jail_config *c, struct error *err)
{
	return mapping_ns(c, err);
}
