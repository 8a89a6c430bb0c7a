/* Paths, directories and removal for the stage process. */
#include "daemon/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/sys.h"

#define BENEATH                                                                \
	(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |       \
	    RESOLVE_NO_XDEV)

void
stage_paths_add(struct stage_paths *p, const char *path)
{
	if (p->n == p->cap) {
		p->cap = p->cap * 2 + 16;
		p->v = xreallocarray(p->v, p->cap, sizeof(*p->v));
	}
	p->v[p->n++] = xstrdup(path);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
stage_paths_sort(struct stage_paths *p)
{
	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), compare);
}

bool
stage_paths_has(const struct stage_paths *p, const char *path)
{
	return p->n > 0 &&
	       bsearch(&path, p->v, p->n, sizeof(*p->v), compare) != NULL;
}

void
stage_paths_free(struct stage_paths *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i]);
	free(p->v);
	memset(p, 0, sizeof(*p));
}

enum stage_match
stage_paths_match(const struct stage_paths *p, const char *path)
{
	enum stage_match m = MATCH_NONE;
	size_t len = strlen(path);

	if (p->n == 0)
		return MATCH_ALL;
	for (size_t i = 0; i < p->n; i++) {
		const char *w = p->v[i];
		size_t wlen = strlen(w);

		if (str_starts(path, w) &&
		    (path[wlen] == '\0' || path[wlen] == '/'))
			return MATCH_ALL;
		if (str_starts(w, path) && w[len] == '/')
			m = MATCH_INSIDE;
	}
	return m;
}

int
stage_open_dir(int parent, const char *name)
{
	return sys_openat2(
	    parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, BENEATH);
}

int
stage_open_parent(
    int root, const char *path, const char **name, struct error *err)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = NULL;
	int fd;

	if (!stage_path_ok(path))
		return error_set(err, EINVAL, "path");
	*name = slash == NULL ? path : slash + 1;
	dir = slash == NULL ? xstrdup(".")
			    : xstrndup(path, (size_t)(slash - path));
	fd = stage_open_dir(root, dir);
	if (fd < 0) {
		cleanup_free char *shown = str_escape(dir, strlen(dir));

		return error_set(err, errno, "directory %.150s", shown);
	}
	return fd;
}

/* ---- removal ----------------------------------------------------------- */

/* A name below top that is free, for directories that lie too deep. */
static void
lift(int dir, const char *name, int top)
{
	static unsigned int serial;
	char to[32];

	(void)snprintf(to, sizeof(to), ".brig-deep-%u", serial++);
	(void)renameat(dir, name, top, to);
}

static int
empty_dir(int fd, int top, unsigned int depth)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;
	int r = 0;

	if (d == NULL) {
		fd_close(&fd);
		return -1;
	}
	while ((e = readdir(d)) != NULL) {
		int child;

		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			r = -1;
			continue;
		}
		if (depth >= STAGE_DEPTH_MAX) {
			lift(dirfd(d), e->d_name, top);
			continue;
		}
		child = stage_open_dir(dirfd(d), e->d_name);
		if (child < 0 && errno == EACCES &&
		    fchmodat(dirfd(d), e->d_name, 0700, 0) == 0)
			child = stage_open_dir(dirfd(d), e->d_name);
		if (child < 0) {
			r = -1;
			continue;
		}
		/* One that cannot be written cannot be emptied. */
		(void)fchmod(child, 0700);
		if (empty_dir(child, top, depth + 1) < 0)
			r = -1;
		if (unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) < 0)
			r = -1;
	}
	(void)closedir(d);
	return r;
}

int
stage_remove_tree(int dir, const char *name)
{
	int fd;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	/* Again and again: what lay too deep has come up. */
	for (unsigned int i = 0; i < 10000; i++) {
		cleanup_fd int top = -1;

		top = stage_open_dir(dir, name);
		if (top < 0 && errno == EACCES &&
		    fchmodat(dir, name, 0700, 0) == 0)
			top = stage_open_dir(dir, name);
		if (top < 0)
			return -1;
		(void)fchmod(top, 0700);
		fd = fcntl(top, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return -1;
		(void)empty_dir(fd, top, 0);
		if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return -1;
	}
	errno = ENOTEMPTY;
	return -1;
}
