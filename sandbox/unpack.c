/*
 * brig-unpack: write what the tar archive (gzip, xz, zstd or plain) at
 * standard input holds into the working directory, which is empty.  Started by
 * image_unpack.c with ids of nobody else, without capabilities and with
 * limits; before it reads the first byte it can write nowhere else, open
 * nothing else and make no connection.  Errors are one line at standard error.
 *
 * Taken are folders, files, symbolic links that stay inside and hard links to
 * files already there; what the archive has in /dev, /proc, /run, /sys and
 * /tmp is left out.  Set-id and sticky bits and owners are dropped.  Anything
 * else ends it.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <seccomp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/landlock.h"
#include "sandbox/sys.h"
#include "sandbox/unpack_check.h"

#define BYTES_MAX (32ull * 1024 * 1024 * 1024)
#define ENTRIES_MAX 2000000u
#define BLOCK (64u * 1024)
#define INSIDE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

#define SPARE 20u /* one part in so many of the disk stays free */

static uint64_t bytes_left = BYTES_MAX;
static uint64_t entries_left = ENTRIES_MAX;

static void die(const char *fmt, ...) __attribute__((noreturn))
attr_printf(1, 2);

static void
die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vdprintf(STDERR_FILENO, fmt, ap);
	va_end(ap);
	_exit(1);
}

static void
confine_files(int root)
{
	unsigned int abi = landlock_abi();
	struct error err = { 0 };
	int rules;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs: %s", strerror(errno));
	/* An old kernel: ids and the filter have to do. */
	if (abi == 0)
		return;
	rules = landlock_new(abi, false, &err);
	if (rules < 0 ||
	    landlock_grant_fd(rules, abi, root, LL_READ | LL_WRITE, &err) < 0 ||
	    landlock_enforce(rules, abi, &err) < 0)
		die("%s", err.msg);
	(void)close(rules);
}

static void
confine_calls(void)
{
	static const int calls[] = { SCMP_SYS(brk), SCMP_SYS(clock_gettime),
		SCMP_SYS(close), SCMP_SYS(exit), SCMP_SYS(exit_group),
		SCMP_SYS(fchmod), SCMP_SYS(fcntl), SCMP_SYS(fstat),
		SCMP_SYS(ftruncate), SCMP_SYS(futex), SCMP_SYS(getpid),
		SCMP_SYS(getrandom), SCMP_SYS(gettid), SCMP_SYS(gettimeofday),
		SCMP_SYS(linkat), SCMP_SYS(lseek), SCMP_SYS(madvise),
		SCMP_SYS(mkdirat), SCMP_SYS(mremap), SCMP_SYS(munmap),
		SCMP_SYS(newfstatat), SCMP_SYS(openat), SCMP_SYS(openat2),
		SCMP_SYS(pread64), SCMP_SYS(read), SCMP_SYS(readlink),
		SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
		SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_getaffinity),
		SCMP_SYS(symlinkat), SCMP_SYS(sysinfo), SCMP_SYS(tgkill),
		SCMP_SYS(uname), SCMP_SYS(utimensat), SCMP_SYS(write),
		SCMP_SYS(writev) };
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	size_t i;
	int r = f == NULL ? -ENOMEM : 0;

	for (i = 0; r == 0 && i < nitems(calls); i++)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	/* No memory that can be executed. */
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	if (r == 0)
		r = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
#ifndef BRIG_SANITIZE
	if (r == 0)
		r = seccomp_load(f);
#endif
	if (r < 0)
		die("filter: %s", strerror(-r));
	seccomp_release(f);
}

/* The name of an entry: 1, 0 for the root itself. */
static int
clean(const char *path, char *out, size_t size)
{
	const char *why = unpack_name(path, out, size);

	if (why != NULL)
		die("%.80s: %s", path == NULL ? "an entry" : path, why);
	return out[0] != '\0';
}

/* The folder that path is in, made if the archive did not; name: the rest. */
static int
parent(int root, char *path, const char **name)
{
	char *slash;
	int at = root, next;

	for (; (slash = strchr(path, '/')) != NULL; path = slash + 1) {
		*slash = '\0';
		if (mkdirat(at, path, 0755) < 0 && errno != EEXIST)
			die("%.80s: %s", path, strerror(errno));
		next = sys_openat2(at, path, O_RDONLY | O_DIRECTORY, INSIDE);
		if (next < 0)
			die("%.80s: not a folder of the archive: %s", path,
			    strerror(errno));
		if (at != root)
			(void)close(at);
		at = next;
	}
	*name = path;
	return at;
}

static void
set_times(int at, const char *name, struct archive_entry *e)
{
	const struct timespec t[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = archive_entry_mtime(e) } };

	(void)utimensat(at, name, t, AT_SYMLINK_NOFOLLOW);
}

/* Holes stay holes: what counts is what is there. */
static void
copy_data(int fd, const char *name, struct archive *a)
{
	const void *block;
	int64_t at = 0;
	size_t n;
	int r;

	while (
	    (r = archive_read_data_block(a, &block, &n, &at)) == ARCHIVE_OK) {
		if (n > bytes_left)
			die("%.80s: larger than %llu GiB in all, or than what "
			    "the disk can spare",
			    name, BYTES_MAX >> 30);
		bytes_left -= n;
		if (lseek(fd, at, SEEK_SET) < 0 ||
		    fd_write_all(fd, block, n) < 0)
			die("%.80s: %s", name, strerror(errno));
	}
	if (r != ARCHIVE_EOF)
		die("%.80s: %s", name, archive_error_string(a));
}

static void
make_file(int at, const char *name, struct archive *a, struct archive_entry *e)
{
	const mode_t mode = archive_entry_perm(e) & 0777;
	int fd;

	fd = openat(at, name,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%.80s: %s", name, strerror(errno));
	copy_data(fd, name, a);
	if (ftruncate(fd, archive_entry_size(e)) < 0 || fchmod(fd, mode) < 0)
		die("%.80s: %s", name, strerror(errno));
	(void)close(fd);
	set_times(at, name, e);
}

static void
make_dir(int at, const char *name, struct archive_entry *e)
{
	int fd;

	if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
		die("%.80s: %s", name, strerror(errno));
	fd = sys_openat2(at, name, O_RDONLY | O_DIRECTORY, INSIDE);
	/* We must be able to go on in it. */
	if (fd < 0 || fchmod(fd, (archive_entry_perm(e) & 0777) | 0700) < 0)
		die("%.80s: %s", name, strerror(errno));
	(void)close(fd);
}

static void
make_hardlink(int root, int at, const char *name, const char *target)
{
	char path[PATH_MAX];
	const char *from;
	struct stat st;
	int dir;

	if (clean(target, path, sizeof(path)) == 0)
		die("%.80s: bad link", name);
	dir = parent(root, path, &from);
	if (fstatat(dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode) || linkat(dir, from, at, name, 0) < 0)
		die("%.80s: linked to no file of the archive", name);
	if (dir != root)
		(void)close(dir);
}

static void
entry(int root, struct archive *a, struct archive_entry *e)
{
	const char *hard = archive_entry_hardlink(e);
	const char *soft = archive_entry_symlink(e);
	char path[PATH_MAX], whole[PATH_MAX];
	const char *name, *why;
	int at;

	if (clean(archive_entry_pathname(e), path, sizeof(path)) == 0 ||
	    unpack_left_out(path))
		return;
	(void)snprintf(whole, sizeof(whole), "%s", path);
	at = parent(root, path, &name);
	if (hard != NULL) {
		make_hardlink(root, at, name, hard);
	} else {
		switch (archive_entry_filetype(e)) {
		case AE_IFREG:
			make_file(at, name, a, e);
			break;
		case AE_IFDIR:
			make_dir(at, name, e);
			break;
		case AE_IFLNK:
			why = unpack_target(whole, soft);
			if (why != NULL)
				die("%.80s: %s", whole, why);
			if (symlinkat(soft, at, name) < 0)
				die("%.80s: %s", whole, strerror(errno));
			break;
		default:
			die("%.80s: a device, pipe or socket", whole);
		}
	}
	if (at != root)
		(void)close(at);
}

static uint64_t
spared(uint64_t avail, uint64_t total, uint64_t most)
{
	const uint64_t keep = total / SPARE;
	const uint64_t n = avail > keep ? avail - keep : 0;

	return n < most ? n : most;
}

/* A few bytes can stand for any number of zeros: the disk does not fill. */
static void
look_at_disk(int root)
{
	struct statvfs v;

	if (fstatvfs(root, &v) < 0)
		die("disk: %s", strerror(errno));
	bytes_left = spared((uint64_t)v.f_bavail * v.f_frsize,
	    (uint64_t)v.f_blocks * v.f_frsize, bytes_left);
	/* Not all file systems have a number of inodes. */
	if (v.f_files != 0)
		entries_left = spared(v.f_favail, v.f_files, entries_left);
}

int
main(void)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	bool any = false;
	int root, r;

	(void)umask(0);
	root = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a == NULL || root < 0)
		die("start: %s", strerror(errno));
	if (archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK)
		die("this libarchive lacks tar, gzip, xz or zstd");
	look_at_disk(root);
	confine_files(root);
	confine_calls();
	if (archive_read_open_fd(a, STDIN_FILENO, BLOCK) != ARCHIVE_OK)
		die("not a tar archive: %s", archive_error_string(a));
	while ((r = archive_read_next_header(a, &e)) != ARCHIVE_EOF) {
		if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
			die("%s", archive_error_string(a));
		if (entries_left-- == 0)
			die("more than %u files, or than what the disk can "
			    "spare",
			    ENTRIES_MAX);
		entry(root, a, e);
		any = true;
	}
	if (!any)
		die("an empty archive");
	/* archive_read_free() would map and close what _exit() does. */
	_exit(0);
}
