#include "sandbox/fstree.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/sys.h"

#define INSIDE (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)

struct owner {
	uid_t uid;
	gid_t gid;
};

static bool
is_dots(const char *name)
{
	return str_eq(name, ".") || str_eq(name, "..");
}

/* A stream of its own for the folder. */
static DIR *
dir_stream(int dir, struct error *err)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d == NULL) {
		(void)error_set(err, errno, "files: read a folder");
		fd_close(&fd);
	}
	return d;
}

static int chown_all(
    const struct owner *o, int dir, unsigned int depth, struct error *err);

static int
chown_one(const struct owner *o, int dir, const char *name, unsigned int depth,
    struct error *err)
{
	cleanup_fd int sub = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchownat(dir, name, o->uid, o->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "files: take over %s", name);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (depth == FSTREE_DEPTH_MAX)
		return error_set(err, 0, "files: %s is nested too deep", name);
	sub = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY, INSIDE);
	if (sub < 0)
		return error_set(err, errno, "files: open %s", name);
	return chown_all(o, sub, depth + 1, err);
}

static int
chown_all(const struct owner *o, int dir, unsigned int depth, struct error *err)
{
	struct dirent *e;
	int r = 0;
	DIR *d;

	d = dir_stream(dir, err);
	if (d == NULL)
		return -1;
	while (r == 0 && (e = readdir(d)) != NULL)
		if (!is_dots(e->d_name))
			r = chown_one(o, dir, e->d_name, depth, err);
	(void)closedir(d);
	return r;
}

int
fstree_chown(int dir, uid_t uid, gid_t gid, struct error *err)
{
	const struct owner o = { uid, gid };

	if (fchown(dir, uid, gid) < 0)
		return error_set(err, errno, "files: take over");
	return chown_all(&o, dir, 0, err);
}

/*
 * A folder inside is moved up to top and is that one's entry from then on, so
 * that no depth costs descriptors; an empty one just goes.
 */
static int
clear_dir(int top, int dir, uint64_t *serial, struct error *err)
{
	struct dirent *e;
	char name[48];
	int r = 0;
	DIR *d;

	(void)fchmod(dir, 0700);
	d = dir_stream(dir, err);
	if (d == NULL)
		return -1;
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (is_dots(e->d_name) || unlinkat(dir, e->d_name, 0) == 0 ||
		    unlinkat(dir, e->d_name, AT_REMOVEDIR) == 0)
			continue;
		/* Moving a folder writes its "..". */
		if (fchmodat(dir, e->d_name, 0700, AT_SYMLINK_NOFOLLOW) < 0)
			r = error_set(
			    err, errno, "files: mode of %s", e->d_name);
		(void)snprintf(name, sizeof(name), ".brig-%llu",
		    (unsigned long long)(*serial)++);
		if (r < 0 || dir == top ||
		    renameat(dir, e->d_name, top, name) == 0)
			continue;
		r = error_set(err, errno, "files: remove %s", e->d_name);
	}
	(void)closedir(d);
	return r;
}

/* The first entry left in top, which is a folder: 1, 0 if none. */
static int
next_dir(int top, char *name, size_t size, struct error *err)
{
	struct dirent *e;
	int found = 0;
	DIR *d;

	d = dir_stream(top, err);
	if (d == NULL)
		return -1;
	while (found == 0 && (e = readdir(d)) != NULL)
		if (!is_dots(e->d_name)) {
			(void)snprintf(name, size, "%s", e->d_name);
			found = 1;
		}
	(void)closedir(d);
	return found;
}

int
fstree_empty(int dir, struct error *err)
{
	uint64_t serial = 0;
	char name[256];
	int r;

	if (clear_dir(dir, dir, &serial, err) < 0)
		return -1;
	while ((r = next_dir(dir, name, sizeof(name), err)) == 1) {
		cleanup_fd int sub = -1;

		sub = sys_openat2(dir, name, O_RDONLY | O_DIRECTORY, INSIDE);
		if (sub < 0)
			return error_set(err, errno, "files: open %s", name);
		if (clear_dir(dir, sub, &serial, err) < 0)
			return -1;
		if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
			return error_set(err, errno, "files: remove %s", name);
	}
	return r;
}
