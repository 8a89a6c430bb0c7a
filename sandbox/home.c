#include "sandbox/home.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/ext4file.h"
#include "sandbox/sys.h"

#define HOMES "homes"
#define NEW ".new-" /* being made; no name begins with a dot */
#define NEW_SIZE (sizeof(NEW) + HOME_NAME_MAX)
#define TRIES 100
#define WAIT_MS 2000u /* for the jail of a job that has just ended */
#define PLAIN (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

/* A folder of root's in dir; made only if asked to. */
static int
own_dir(int dir, const char *name, bool make, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (make && mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
		return error_set(err, errno, "home: make %s", name);
	fd = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY, PLAIN);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, errno, "home: open %s", name);
	if (st.st_uid != 0 || (st.st_mode & 077) != 0)
		return error_set(
		    err, EPERM, "home: %s is not root's alone", name);
	return steal_fd(&fd);
}

static int
homes_of(int state, uid_t uid, bool make, struct error *err)
{
	cleanup_fd int homes = own_dir(state, HOMES, make, err);
	char name[16];

	if (homes < 0)
		return -1;
	(void)snprintf(name, sizeof(name), "%u", uid);
	return own_dir(homes, name, make, err);
}

static int
open_file(int dir, const char *name, bool make, struct stat *st)
{
	const mode_t mask = umask(077);
	cleanup_fd int fd = -1;

	fd = openat(dir, name,
	    O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (make ? O_CREAT : 0),
	    0600);
	(void)umask(mask);
	if (fd < 0 || fstat(fd, st) < 0)
		return -1;
	if (!S_ISREG(st->st_mode) || st->st_uid != 0) {
		errno = EINVAL;
		return -1;
	}
	return steal_fd(&fd);
}

/* The file is still the one of that name: others rename and remove. */
static bool
is_there(int dir, const char *name, int fd)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 &&
	       fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int
lock(int fd, const char *name, unsigned int wait_ms, struct error *err)
{
	if (ext4file_lock(fd, wait_ms) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return error_set(err, 0,
		    "home %s is in use by another job: wait for its end, or "
		    "take a profile with another home",
		    name);
	return error_set(err, errno, "home %s: lock", name);
}

static int
too_many(int dir, struct error *err)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *d;
	int fd;

	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL) {
		(void)error_set(err, errno, "home: list");
		fd_close(&fd);
		return -1;
	}
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	if (n < HOMES_MAX)
		return 0;
	return error_set(err, 0,
	    "home: its submitter has %u already (`brig home rm` removes one)",
	    n);
}

/*
 * Under another name until it is whole: 1 and the locked file, which has the
 * right name; 0 if somebody else was faster; -1.
 */
static int
make_file(int dir, const char *name, uint64_t bytes, uint32_t inodes, int *out,
    struct error *err)
{
	char new[NEW_SIZE];
	cleanup_fd int fd = -1;
	struct stat st;

	if (too_many(dir, err) < 0)
		return -1;
	(void)snprintf(new, sizeof(new), NEW "%s", name);
	fd = open_file(dir, new, true, &st);
	if (fd < 0)
		return error_set(err, errno, "home %s: make", name);
	if (lock(fd, name, EXT4FILE_WAIT_MS, err) < 0)
		return -1;
	if (!is_there(dir, new, fd))
		return 0;
	/* What a crash has left is made again. */
	if (ftruncate(fd, 0) < 0)
		(void)error_set(err, errno, "home %s: make", name);
	else if (ext4file_make(fd, bytes, inodes, err) < 0)
		(void)error_prefix(err, "home %s", name);
	else if (renameat2(dir, new, dir, name, RENAME_NOREPLACE) == 0) {
		*out = steal_fd(&fd);
		return 1;
	} else if (errno == EEXIST) {
		(void)unlinkat(dir, new, 0);
		return 0;
	} else
		(void)error_set(err, errno, "home %s: make", name);
	(void)unlinkat(dir, new, 0);
	return -1;
}

/* The locked file, *fresh if it has just been made. */
static int
take_file(int dir, const char *name, uint64_t bytes, uint32_t inodes,
    bool *fresh, struct error *err)
{
	struct stat st;
	int i, fd = -1, r;

	for (i = 0; i < TRIES; i++) {
		fd = open_file(dir, name, false, &st);
		if (fd < 0 && errno != ENOENT)
			return error_set(err, errno, "home %s: open", name);
		if (fd < 0) {
			r = make_file(dir, name, bytes, inodes, &fd, err);
			*fresh = r > 0;
			if (r != 0)
				return r < 0 ? -1 : fd;
			continue;
		}
		if (lock(fd, name, WAIT_MS, err) < 0) {
			fd_close(&fd);
			return -1;
		}
		if (is_there(dir, name, fd))
			return fd;
		fd_close(&fd);
	}
	return error_set(err, EAGAIN, "home %s", name);
}

static int
mount_file(int file, uid_t uid, gid_t gid, bool fresh, struct error *err)
{
	cleanup_fd int mnt = ext4file_mount(file, err);
	cleanup_fd int top = -1;

	if (mnt < 0)
		return -1;
	top = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* What it had set, a job could have made unusable. */
	if (top < 0 || fchown(top, uid, fresh ? gid : (gid_t)-1) < 0 ||
	    fchmod(top, 0700) < 0)
		return error_set(err, errno, "its folder");
	if (fresh)
		(void)unlinkat(top, "lost+found", AT_REMOVEDIR);
	return steal_fd(&mnt);
}

int
home_open(int state, uid_t uid, gid_t gid, const char *name, uint64_t bytes,
    uint32_t inodes, struct error *err)
{
	cleanup_fd int dir = -1;
	cleanup_fd int file = -1;
	bool fresh = false;
	struct stat st;
	int mnt;

	if (!str_is_name(name, HOME_NAME_MAX))
		return error_set(err, EINVAL, "home %s", name);
	dir = homes_of(state, uid, true, err);
	if (dir < 0)
		return -1;
	file = take_file(dir, name, bytes, inodes, &fresh, err);
	if (file < 0)
		return -1;
	if (fstat(file, &st) < 0)
		return error_set(err, errno, "home %s", name);
	if ((uint64_t)st.st_size > ext4file_size(bytes, inodes))
		return error_set(err, 0,
		    "home %s was made with more room than `limit disk` and "
		    "`limit inodes` now allow (`brig home rm %s` removes it)",
		    name, name);
	mnt = mount_file(file, uid, gid, fresh, err);
	return mnt < 0 ? error_prefix(err, "home %s", name) : mnt;
}

static int
by_name(const void *a, const void *b)
{
	const struct home_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void
describe(int dir, const char *name, struct home_entry *e)
{
	cleanup_fd int fd = -1;
	struct stat st;

	fd = open_file(dir, name, false, &st);
	if (fd < 0)
		return;
	(void)snprintf(e->name, sizeof(e->name), "%.64s", name);
	e->used = (uint64_t)st.st_blocks * 512;
	e->size = (uint64_t)st.st_size;
	e->mtime = st.st_mtim.tv_sec;
	e->in_use = ext4file_lock(fd, 0) < 0;
}

int
home_list(
    int state, uid_t uid, struct home_entry e[HOMES_MAX], struct error *err)
{
	struct error why = { 0 };
	struct dirent *d;
	size_t n = 0;
	DIR *s;
	int dir;

	dir = homes_of(state, uid, false, &why);
	if (dir < 0 && why.code == ENOENT)
		return 0;
	s = dir < 0 ? NULL : fdopendir(dir);
	if (s == NULL) {
		if (dir < 0)
			*err = why;
		else
			(void)error_set(err, errno, "home: list");
		fd_close(&dir);
		return -1;
	}
	while (n < HOMES_MAX && (d = readdir(s)) != NULL) {
		e[n] = (struct home_entry){ .size = 0 };
		if (str_is_name(d->d_name, HOME_NAME_MAX))
			describe(dir, d->d_name, &e[n]);
		n += e[n].name[0] != '\0';
	}
	(void)closedir(s);
	qsort(e, n, sizeof(*e), by_name);
	return (int)n;
}

int
home_remove(int state, uid_t uid, const char *name, struct error *err)
{
	cleanup_fd int dir = -1;
	cleanup_fd int fd = -1;
	struct stat st;

	if (!str_is_name(name, HOME_NAME_MAX))
		return error_set(err, EINVAL, "home %s", name);
	dir = homes_of(state, uid, false, NULL);
	if (dir >= 0)
		fd = open_file(dir, name, false, &st);
	if (fd < 0)
		return error_set(err, ENOENT, "home %s", name);
	if (ext4file_lock(fd, 0) < 0)
		return error_set(err, 0, "home %s is in use by a job", name);
	if (!is_there(dir, name, fd) || unlinkat(dir, name, 0) < 0)
		return error_set(err, errno, "home %s: remove", name);
	return 0;
}
