#include "sandbox/ext4file.h"

#include <errno.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdutil.h"
#include "sandbox/loop.h"
#include "sandbox/mount.h"

#define SIZE_MAX_BYTES (UINT64_C(1) << 43)
#define SIZE_DEFAULT (UINT64_C(8) << 30)
#define INODES_MIN 4096u
#define INODES_MAX (1u << 20)
#define INODE_BYTES 256u
#define BYTES_PER_INODE 16384u
#define OVERHEAD (UINT64_C(8) << 20) /* journal and tables */
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
		return error_set(err, ENOMEM, "mkfs.ext4");
	for (size_t i = 0; i < nitems(mkfs_paths) && rc == ENOENT; i++)
		rc = posix_spawn(&pid, mkfs_paths[i], &fa, NULL, argv, envp);
	(void)posix_spawn_file_actions_destroy(&fa);
	if (rc != 0)
		return error_set(err, rc,
		    "a size limit needs mkfs.ext4 (package e2fsprogs)");
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_set(
		    err, 0, "mkfs.ext4 failed (status 0x%x)", status);
	return 0;
}

static uint32_t
inodes_for(uint64_t size, uint32_t inodes)
{
	const uint64_t n = size / BYTES_PER_INODE;

	if (inodes != 0)
		return inodes;
	return n > INODES_MAX   ? INODES_MAX
	       : n < INODES_MIN ? INODES_MIN
				: (uint32_t)n;
}

uint64_t
ext4file_size(uint64_t size, uint32_t inodes)
{
	if (size == 0)
		size = SIZE_DEFAULT;
	return size + (uint64_t)inodes_for(size, inodes) * INODE_BYTES +
	       OVERHEAD;
}

int
ext4file_make(int fd, uint64_t size, uint32_t inodes, struct error *err)
{
	cleanup_fd int high = -1;

	if (size == 0)
		size = SIZE_DEFAULT;
	if (size > SIZE_MAX_BYTES)
		return error_set(err, EFBIG, "limit disk");
	if (ftruncate(fd, (off_t)ext4file_size(size, inodes)) < 0)
		return error_set(err, errno, "make a file system");
	/* Not 3, which it gets in the child. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	if (high < 0)
		return error_set(err, errno, "make a file system");
	return run_mkfs(high, inodes_for(size, inodes), err);
}

int
ext4file_lock(int fd, unsigned int wait_ms)
{
	unsigned int waited = 0;

	for (; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_WAIT_MS) {
		if (errno != EWOULDBLOCK || waited >= wait_ms)
			return -1;
		(void)poll(NULL, 0, LOCK_WAIT_MS);
	}
	return 0;
}

int
ext4file_mount(int file, struct error *err)
{
	char path[LOOP_PATH_SIZE];
	const struct mnt_opt opts[] = { { "source", path },
		{ "noinit_itable", NULL } };
	cleanup_fd int loop = loop_attach(file, false, path, err);

	return loop < 0 ? -1
			: mnt_new("ext4", opts, nitems(opts),
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, err);
}
