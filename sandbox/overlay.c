#include "sandbox/overlay.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/fdutil.h"
#include "sandbox/sys.h"

/* Where the layers are put in a mount namespace that lasts a moment: any two
 * directories that every host has. */
#define AT_LOWER "/proc"
#define AT_STAGE "/dev"

/* All that is permitted, effective: setfsuid(2) takes those away that the
 * kernel needs when it writes to the upper layer for us. */
static int
raise_caps(struct error *err)
{
	cap_t now = cap_get_proc();
	int r = 0;

	if (now == NULL)
		return error_set(err, errno, "overlay: capabilities");
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		cap_flag_value_t v = CAP_CLEAR;

		if (cap_get_flag(now, c, CAP_PERMITTED, &v) == 0 &&
		    v == CAP_SET)
			(void)cap_set_flag(now, CAP_EFFECTIVE, 1, &c, CAP_SET);
	}
	if (cap_set_proc(now) != 0)
		r = error_set(err, errno, "overlay: capabilities");
	cap_free(now);
	return r;
}

static int
set_flag(int fs, const char *key, struct error *err)
{
	if (fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0) < 0)
		return error_set(err, errno,
		    "overlay: this kernel has no option %s (5.11 has)", key);
	return 0;
}

static int
set_path(int fs, const char *key, const char *path, struct error *err)
{
	if (fsconfig(fs, FSCONFIG_SET_STRING, key, path, 0) < 0)
		return error_set(err, errno, "overlay: %s", key);
	return 0;
}

/* 6.13 and newer take descriptors; -1 with errno. */
static int
layers_by_fd(int fs, const struct overlay *o)
{
	cleanup_fd int upper = -1, work = -1;

	upper = openat(o->stage, "upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
	work = openat(o->stage, "work", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (upper < 0 || work < 0)
		return -1;
	return fsconfig(fs, FSCONFIG_SET_FD, "lowerdir+", NULL, o->lower) < 0 ||
		       fsconfig(fs, FSCONFIG_SET_FD, "upperdir", NULL, upper) <
			   0 ||
		       fsconfig(fs, FSCONFIG_SET_FD, "workdir", NULL, work) < 0
		   ? -1
		   : 0;
}

static int
layers_by_path(int fs, struct error *err)
{
	if (set_path(fs, "lowerdir", AT_LOWER, err) < 0 ||
	    set_path(fs, "upperdir", AT_STAGE "/upper", err) < 0)
		return -1;
	return set_path(fs, "workdir", AT_STAGE "/work", err);
}

/* The super block is made with the ids of whoever asks for it. */
static int
create(int fs, const struct overlay *o, struct error *err)
{
	int r = 0;

	(void)setfsgid(o->gid);
	(void)setfsuid(o->uid);
	if (raise_caps(err) < 0)
		r = -1;
	else if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		r = error_set(err, errno,
		    "overlay: the workspace's file system or that of the "
		    "daemon's state-dir cannot be a layer");
	(void)setfsuid(geteuid());
	(void)setfsgid(getegid());
	return r < 0 || raise_caps(err) < 0 ? -1 : 0;
}

/* A file system that takes the layers but cannot write comes read-only. */
static int
check_writable(int mnt, struct error *err)
{
	cleanup_fd int root = -1;

	root = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, errno, "overlay: open");
	if (faccessat(root, ".", W_OK, AT_EACCESS) < 0)
		return error_set(err, errno,
		    "overlay: the file system below the daemon's state-dir "
		    "cannot be an upper layer (no user xattrs, or no "
		    "whiteouts)");
	return 0;
}

static int
mount_now(const struct overlay *o, bool by_path, struct error *err)
{
	cleanup_fd int fs = -1, mnt = -1;

	fs = fsopen("overlay", FSOPEN_CLOEXEC);
	if (fs < 0)
		return error_set(err, errno, "overlay: fsopen");
	if (set_path(fs, "source", "brig", err) < 0)
		return -1;
	if (by_path && layers_by_path(fs, err) < 0)
		return -1;
	if (!by_path && layers_by_fd(fs, o) < 0)
		return error_set(err, errno, "overlay: layers");
	if (set_flag(fs, "userxattr", err) < 0 ||
	    set_flag(fs, "volatile", err) < 0 ||
	    set_path(fs, "index", "off", err) < 0 || create(fs, o, err) < 0)
		return -1;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC,
	    (unsigned int)(o->attr | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
	if (mnt < 0)
		return error_set(err, errno, "overlay: fsmount");
	if (check_writable(mnt, err) < 0)
		return -1;
	return steal_fd(&mnt);
}

/* In a child: attach the layers where nobody else sees it. */
static int
mount_attached(const struct overlay *o, struct error *err)
{
	struct mount_attr priv = { .propagation = MS_PRIVATE };

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &priv, sizeof(priv)) < 0)
		return error_set(err, errno, "overlay: mount namespace");
	if (move_mount(o->lower, "", AT_FDCWD, AT_LOWER,
		MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    move_mount(
		o->stage, "", AT_FDCWD, AT_STAGE, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(err, errno, "overlay: attach");
	return mount_now(o, true, err);
}

/*
 * Before 6.13 layers are named by path, and before 6.15 they must be attached
 * in the mount namespace of whoever names them: so a child makes one.
 */
static int
mount_by_path(const struct overlay *o, struct error *err)
{
	cleanup_fd int ours = -1, theirs = -1;
	struct error e = { 0 };
	int sv[2], fd = -1, status;
	size_t n = 0;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return error_set(err, errno, "overlay: socketpair");
	ours = sv[0];
	theirs = sv[1];
	pid = fork();
	if (pid < 0)
		return error_set(err, errno, "overlay: fork");
	if (pid == 0) {
		fd = mount_attached(o, &e);
		_exit(fd_sendmsg(theirs, &e, sizeof(e), &fd, fd >= 0) ==
			      (ssize_t)sizeof(e)
			  ? 0
			  : 1);
	}
	fd_close(&theirs);
	if (fd_recvmsg(ours, &e, sizeof(e), &fd, 1, &n) != (ssize_t)sizeof(e))
		error_set(&e, EPROTO, "overlay: the child that mounts");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (n == 0) {
		e.msg[sizeof(e.msg) - 1] = '\0';
		if (err != NULL)
			*err = e;
		return -1;
	}
	return fd;
}

int
overlay_mount(const struct overlay *o, struct error *err)
{
	int fd;

	if (!o->by_path) {
		fd = mount_now(o, false, NULL);
		if (fd >= 0)
			return fd;
	}
	return mount_by_path(o, err);
}
