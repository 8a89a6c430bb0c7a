/*
 * A size limit that holds for files of the submitter on any file system: an
 * ext4 in a sparse file, attached through a loop device that frees itself.
 * Only root writes the file, and only through the kernel.
 */
#include "sandbox/stagedir.h"

#include <errno.h>
#include <linux/loop.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdutil.h"
#include "sandbox/sys.h"

#define IMAGE "image"
#define SIZE_MAX_BYTES (UINT64_C(1) << 43)
#define SIZE_DEFAULT (UINT64_C(8) << 30)
#define INODES_MIN 4096u
#define INODES_MAX (1u << 20)
#define INODE_BYTES 256u
#define BYTES_PER_INODE 16384u
#define OVERHEAD (UINT64_C(8) << 20) /* journal and tables */
#define LOOP_TRIES 16
#define LOCK_TRIES 100
#define LOCK_WAIT_MS 50

static const char *const mkfs_paths[] = { "/usr/sbin/mkfs.ext4",
	"/sbin/mkfs.ext4" };

static int
run_mkfs(int fd, uint32_t inodes, struct error *err)
{
	char arg_n[16], path[32];
	char *argv[] = { (char[]){ "mkfs.ext4" }, (char[]){ "-q" },
		(char[]){ "-F" }, (char[]){ "-m" }, (char[]){ "0" },
		(char[]){ "-I" }, (char[]){ "256" }, (char[]){ "-b" },
		(char[]){ "4096" }, (char[]){ "-J" }, (char[]){ "size=4" },
		(char[]){ "-O" }, (char[]){ "^resize_inode" }, (char[]){ "-E" },
		(char[]){ "lazy_itable_init=1,lazy_journal_init=1,nodiscard" },
		(char[]){ "-N" }, arg_n, path, NULL };
	char *envp[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" },
		(char[]){ "LC_ALL=C" }, NULL };
	posix_spawn_file_actions_t fa;
	int rc = ENOENT, status = 0;
	pid_t pid = -1;

	(void)snprintf(arg_n, sizeof(arg_n), "%u", inodes);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/3");
	if (posix_spawn_file_actions_init(&fa) != 0 ||
	    posix_spawn_file_actions_addopen(
		&fa, 2, "/dev/null", O_WRONLY, 0) != 0 ||
	    posix_spawn_file_actions_adddup2(&fa, fd, 3) != 0)
		return error_set(err, ENOMEM, "staged: mkfs.ext4");
	for (size_t i = 0; i < nitems(mkfs_paths) && rc == ENOENT; i++)
		rc = posix_spawn(&pid, mkfs_paths[i], &fa, NULL, argv, envp);
	(void)posix_spawn_file_actions_destroy(&fa);
	if (rc != 0)
		return error_set(err, rc,
		    "staged: a size limit needs mkfs.ext4 (package e2fsprogs)");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(
		    err, 0, "staged: mkfs.ext4 failed (status 0x%x)", status);
	return 0;
}

int
stage_image_make(int staged, uint64_t size, uint32_t inodes, struct error *err)
{
	cleanup_fd int fd = -1, high = -1;

	if (size == 0)
		size = SIZE_DEFAULT;
	if (size > SIZE_MAX_BYTES)
		return error_set(err, EFBIG, "staged: limit disk");
	if (inodes == 0) {
		uint64_t n = size / BYTES_PER_INODE;

		inodes = n > INODES_MAX   ? INODES_MAX
			 : n < INODES_MIN ? INODES_MIN
					  : (uint32_t)n;
	}
	size += (uint64_t)inodes * INODE_BYTES + OVERHEAD;
	fd = openat(staged, IMAGE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size) < 0)
		return error_set(err, errno, "staged: image");
	/* Not 3, which it gets in the child. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	if (high < 0)
		return error_set(err, errno, "staged: image");
	return run_mkfs(high, inodes, err);
}

/* Attached to a loop device whose path comes back; closing *loop lets go of
 * it as soon as it is not mounted. */
static int
attach_loop(int image, char *path, size_t size, int *loop, struct error *err)
{
	struct loop_config lc = { .fd = (uint32_t)image,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	cleanup_fd int ctl = -1;

	ctl = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (ctl < 0)
		return error_set(err, errno,
		    "staged: a size limit needs loop devices "
		    "(/dev/loop-control)");
	for (int i = 0; i < LOOP_TRIES; i++) {
		int n = ioctl(ctl, LOOP_CTL_GET_FREE), fd;

		if (n < 0)
			return error_set(err, errno, "staged: loop device");
		(void)snprintf(path, size, "/dev/loop%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return error_set(err, errno, "staged: open %s", path);
		if (ioctl(fd, LOOP_CONFIGURE, &lc) == 0) {
			*loop = fd;
			return 0;
		}
		fd_close(&fd);
		/* Somebody else took it in between. */
		if (errno != EBUSY)
			return error_set(err, errno, "staged: %s", path);
	}
	return error_set(err, EBUSY, "staged: no free loop device");
}

/*
 * The lock sits on the open file, which the loop device holds as long as
 * anything is mounted: so the image is never mounted twice.
 */
static int
lock_image(int fd, struct error *err)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			break;
		(void)poll(NULL, 0, LOCK_WAIT_MS);
	}
	return error_set(err, errno, "staged: the image is in use");
}

int
stage_image_mount(int staged, struct error *err)
{
	cleanup_fd int image = -1, loop = -1, fs = -1;
	char path[32];
	int mnt;

	image = openat(staged, IMAGE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (image < 0)
		return error_set(err, errno, "staged: open image");
	if (lock_image(image, err) < 0 ||
	    attach_loop(image, path, sizeof(path), &loop, err) < 0)
		return -1;
	fs = fsopen("ext4", FSOPEN_CLOEXEC);
	if (fs < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "source", path, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_FLAG, "noinit_itable", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return error_set(err, errno, "staged: mount %s", path);
	mnt =
	    fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (mnt < 0)
		return error_set(err, errno, "staged: fsmount");
	return mnt;
}
