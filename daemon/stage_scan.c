/*
 * From an upper layer and the workspace to a list of changes.  The two trees
 * are walked in step, each directory opened from its parent's descriptor.
 */
#include "daemon/stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/sys.h"

#define COMPARE_CHUNK 65536u

struct walk {
	struct stage *s;
	int upper, lower; /* lower -1: nothing is there */
	const char *path; /* "" at the top */
	uint32_t parent;
	bool covered; /* the directory lands as a whole */
	unsigned int depth;
};

static int walk_upper(const struct walk *w, struct error *err);

static int
too_many(const struct stage *s, struct error *err)
{
	return s->n < STAGE_CHANGES_MAX
		   ? 0
		   : error_set(err, E2BIG, "more than %u staged entries",
			 STAGE_CHANGES_MAX);
}

static struct stage_change *
add(struct stage *s, char *path, uint32_t parent, enum stage_kind kind)
{
	struct stage_change *c;

	if (s->n == s->cap) {
		s->cap = s->cap * 2 + 64;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	c = &s->v[s->n++];
	memset(c, 0, sizeof(*c));
	c->path = path;
	c->parent = parent;
	c->kind = kind;
	c->from = STAGE_NONE;
	c->selected = stage_paths_match(&s->wanted, path) == MATCH_ALL;
	return c;
}

/* Names in a directory, sorted; takes fd.  0 or -1. */
static int
names_of(int fd, struct stage_paths *p, struct error *err)
{
	DIR *d = fdopendir(fd);
	const struct dirent *e;

	if (d == NULL) {
		fd_close(&fd);
		return error_set(err, errno, "read a directory");
	}
	while ((e = readdir(d)) != NULL)
		if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
			stage_paths_add(p, e->d_name);
	(void)closedir(d);
	stage_paths_sort(p);
	return 0;
}

static int
names_in(int dir, struct stage_paths *p, struct error *err)
{
	int fd = stage_open_dir(dir, ".");

	return fd < 0 ? error_set(err, errno, "read a directory")
		      : names_of(fd, p, err);
}

static char *
join(const char *dir, const char *name)
{
	return dir[0] == '\0' ? xstrdup(name) : xasprintf("%s/%s", dir, name);
}

/* ---- deleted ----------------------------------------------------------- */

static void
check_base_time(const struct stage *s, struct stage_change *c)
{
	if (!s->clock_ok)
		stage_refuse(c, "the clock was set back since the job "
				"started: whether it changed cannot be told");
	else if (stage_is_later(s, &c->base.st_ctim))
		stage_refuse(c, "changed in the workspace since the job "
				"started");
}

static bool
applied_inside(const struct stage *s, const char *dir)
{
	size_t n = strlen(dir);

	for (size_t i = 0; i < s->applied.n; i++)
		if (strncmp(s->applied.v[i], dir, n) == 0 &&
		    s->applied.v[i][n] == '/')
			return true;
	return false;
}

/* The workspace's lower/name is gone in the staged tree. */
static int
deleted(const struct walk *w, const char *name, bool covered, struct error *err)
{
	struct stage *s = w->s;
	struct stage_paths names = { 0 };
	struct stage_change *c;
	cleanup_fd int fd = -1;
	uint32_t self;
	struct stat st;
	int r = 0;
	char *path;

	if (fstatat(w->lower, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* here, too */
	if (too_many(s, err) < 0)
		return -1;
	path = join(w->path, name);
	if (stage_paths_match(&s->wanted, path) == MATCH_NONE) {
		free(path);
		return 0;
	}
	self = (uint32_t)s->n;
	c = add(s, path, w->parent, STAGE_DELETE);
	c->base = st;
	c->covered = covered;
	c->content = true;
	if (S_ISREG(st.st_mode))
		c->handle = stage_handle(w->lower, name);
	/* Our own hand changed a directory of which a part has landed. */
	if (!S_ISDIR(st.st_mode) || !applied_inside(s, path))
		check_base_time(s, c);
	if (!S_ISDIR(st.st_mode))
		return 0;
	if (w->depth >= STAGE_DEPTH_MAX) {
		stage_refuse(c, "is too deep");
		return 0;
	}
	fd = stage_open_dir(w->lower, name);
	if (fd < 0 || names_in(fd, &names, NULL) < 0) {
		stage_refuse(c, "cannot be read: %s", strerror(errno));
	} else {
		const struct walk in = { s, -1, fd, path, self, true,
			w->depth + 1 };
		/* Chosen parts of it go one by one. */
		const bool all = covered || c->selected;

		for (size_t i = 0; r == 0 && i < names.n; i++)
			r = deleted(&in, names.v[i], all, err);
	}
	stage_paths_free(&names);
	return r;
}

int
stage_verify_tree(const struct stage *s, int dir, const char *name, bool top,
    struct error *err)
{
	struct stage_paths names = { 0 };
	cleanup_fd int fd = -1;
	struct stat st;
	int r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat");
	if (S_ISDIR(st.st_mode) && s->applied.n > 0)
		top = false;
	if (top && (!s->clock_ok || stage_is_later(s, &st.st_ctim)))
		return error_set(err, 0, "changed at the last moment");
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = stage_open_dir(dir, name);
	if (fd < 0 || names_in(fd, &names, err) < 0)
		return error_set(err, errno, "read a directory");
	for (size_t i = 0; r == 0 && i < names.n; i++)
		r = stage_verify_tree(s, fd, names.v[i], true, err);
	stage_paths_free(&names);
	return r;
}

/* ---- there ------------------------------------------------------------- */

static bool
same_bytes(int a, int b)
{
	cleanup_free char *x = xmalloc(COMPARE_CHUNK);
	cleanup_free char *y = xmalloc(COMPARE_CHUNK);
	off_t at = 0;

	for (;;) {
		ssize_t n = pread(a, x, COMPARE_CHUNK, at);

		if (n < 0 || pread(b, y, COMPARE_CHUNK, at) != n)
			return false;
		if (n == 0)
			return true;
		if (memcmp(x, y, (size_t)n) != 0)
			return false;
		at += n;
	}
}

static bool
same_link(int upper, int lower, const char *name)
{
	char a[STAGE_PATH_MAX], b[STAGE_PATH_MAX];
	ssize_t n = readlinkat(upper, name, a, sizeof(a));

	return n >= 0 && readlinkat(lower, name, b, sizeof(b)) == n &&
	       memcmp(a, b, (size_t)n) == 0;
}

static int
open_file(int dir, const char *name)
{
	return sys_openat2(dir, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
	    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
}

/* Whether it is the same as below; opens what is looked at. */
static bool
is_same(const struct walk *w, const char *name, const struct stat *now,
    const struct stat *base, int fd, int base_fd)
{
	if ((now->st_mode & S_IFMT) != (base->st_mode & S_IFMT))
		return false;
	if (S_ISLNK(now->st_mode))
		return same_link(w->upper, w->lower, name);
	return now->st_size == base->st_size && fd >= 0 && base_fd >= 0 &&
	       same_bytes(fd, base_fd);
}

static void
file(const struct walk *w, const char *name, char *path, const struct stat *now,
    const struct stat *base)
{
	cleanup_fd int fd = -1, base_fd = -1;
	const bool there = base->st_mode != 0;
	bool same = false, mode = false;
	struct stage_change *c;

	if (S_ISREG(now->st_mode))
		fd = open_file(w->upper, name);
	if (there && S_ISREG(base->st_mode))
		base_fd = open_file(w->lower, name);
	if (there) {
		same = is_same(w, name, now, base, fd, base_fd);
		mode = S_ISREG(now->st_mode) &&
		       (now->st_mode & 07777) != (base->st_mode & 07777);
		if (same && !mode) {
			free(path);
			return;
		}
	}
	c = add(w->s, path, w->parent,
	    !there                                                ? STAGE_ADD
	    : (now->st_mode & S_IFMT) != (base->st_mode & S_IFMT) ? STAGE_TYPE
	    : same                                                ? STAGE_MODE
		   : STAGE_MODIFY);
	c->now = *now;
	c->base = *base;
	c->covered = w->covered;
	c->content = !same;
	if (there)
		check_base_time(w->s, c);
	/* It would be exchanged for one of the submitter's. */
	if (there && base->st_uid != w->s->rec.uid)
		stage_refuse(c, "belongs to uid %u in the workspace",
		    (unsigned int)base->st_uid);
	stage_check_entry(c, fd, base_fd);
	if (fd >= 0 && !c->plain)
		c->origin = stage_origin(fd);
	if (there)
		c->handle = stage_handle(w->lower, name);
}

static int
below(const struct walk *w, int fd, int lower, const char *path,
    uint32_t parent, bool covered, bool opaque, struct error *err)
{
	const struct walk in = { w->s, fd, lower, path, parent, covered,
		w->depth + 1 };
	struct stage_paths have = { 0 }, names = { 0 };
	int r = walk_upper(&in, err);

	if (r < 0 || !opaque || lower < 0)
		return r;
	/* Opaque: what is not in the upper layer is gone. */
	r = names_in(fd, &have, err);
	if (r == 0)
		r = names_in(lower, &names, err);
	for (size_t i = 0; r == 0 && i < names.n; i++)
		if (!stage_paths_has(&have, names.v[i]))
			r = deleted(&in, names.v[i], false, err);
	stage_paths_free(&have);
	stage_paths_free(&names);
	return r;
}

/* The type of what it replaces is another: that goes with it. */
static int
replaced(
    const struct walk *w, const char *name, uint32_t self, struct error *err)
{
	struct stage_paths names = { 0 };
	cleanup_fd int fd = stage_open_dir(w->lower, name);
	int r = 0;

	if (fd < 0 || names_in(fd, &names, NULL) < 0) {
		stage_refuse(&w->s->v[self], "the directory that it replaces "
					     "cannot be read");
	} else {
		cleanup_free char *path = xstrdup(w->s->v[self].path);
		const struct walk in = { w->s, -1, fd, path, self, true,
			w->depth + 1 };

		for (size_t i = 0; r == 0 && i < names.n; i++)
			r = deleted(&in, names.v[i], true, err);
	}
	stage_paths_free(&names);
	return r;
}

/* A directory that is not the one that was copied up. */
static bool
is_another(int fd, int lower, const char *name)
{
	uint64_t was = stage_origin(fd), is = stage_handle(lower, name);

	return was != 0 && is != 0 && was != is;
}

static int
directory(const struct walk *w, const char *name, const char *path,
    const struct stat *now, const struct stat *base, struct error *err)
{
	struct stage *s = w->s;
	cleanup_fd int fd = stage_open_dir(w->upper, name), lower = -1;
	const bool landed = stage_paths_has(&s->applied, path);
	const bool dir_there = S_ISDIR(base->st_mode);
	uint32_t parent = w->parent;
	struct stage_change *c = NULL;
	bool covered = false, opaque;

	if (dir_there)
		lower = stage_open_dir(w->lower, name);
	opaque = fd >= 0 && !landed && stage_is_opaque(fd);
	if (!dir_there ||
	    (((now->st_mode ^ base->st_mode) & 01777) != 0 && !landed)) {
		parent = (uint32_t)s->n;
		c = add(s, xstrdup(path), w->parent,
		    dir_there            ? STAGE_MODE
		    : base->st_mode == 0 ? STAGE_ADD
					 : STAGE_TYPE);
		c->now = *now;
		c->base = *base;
		c->content = !dir_there;
		c->covered = !dir_there && w->covered;
		covered = !dir_there;
		if (base->st_mode != 0)
			check_base_time(s, c);
		else if (fd >= 0 && !w->covered && !opaque && !landed &&
			 stage_origin(fd) != 0)
			stage_refuse(c, "is gone from the workspace since the "
					"job started");
		stage_check_entry(c, fd, lower);
	}
	if (fd < 0 || (dir_there && lower < 0) || w->depth >= STAGE_DEPTH_MAX ||
	    (dir_there && !opaque && !landed &&
		is_another(fd, w->lower, name))) {
		const char *why =
		    fd < 0 || (dir_there && lower < 0)
			? "a directory that cannot be opened"
		    : w->depth >= STAGE_DEPTH_MAX
			? "a directory that lies too deep"
			: "the directory was replaced in the workspace since "
			  "the job started";

		if (c == NULL) {
			c = add(s, xstrdup(path), w->parent, STAGE_MODE);
			c->now = *now;
			c->base = *base;
		}
		stage_refuse(c, "%s", why);
		return 0;
	}
	if (too_many(s, err) < 0)
		return -1;
	return below(w, fd, lower, path, parent, covered, opaque, err);
}

static int
entry(const struct walk *w, const char *name, struct error *err)
{
	struct stat now, base = { 0 };
	uint32_t self;
	struct stage *s = w->s;
	cleanup_free char *path = join(w->path, name);
	enum stage_match m = stage_paths_match(&s->wanted, path);

	if (too_many(s, err) < 0)
		return -1;
	if (fstatat(w->upper, name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, errno, "stat of a staged file");
	if (m == MATCH_NONE ||
	    (!S_ISDIR(now.st_mode) && stage_paths_has(&s->applied, path)))
		return 0;
	if (strlen(path) > STAGE_PATH_MAX)
		return error_set(err, ENAMETOOLONG, "a staged path");
	if (w->lower >= 0 &&
	    fstatat(w->lower, name, &base, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return error_set(err, errno, "stat in the workspace");
		memset(&base, 0, sizeof(base));
	}
	if (S_ISCHR(now.st_mode) && now.st_rdev == makedev(0, 0))
		return w->lower < 0 ? 0 : deleted(w, name, false, err);
	if (S_ISDIR(now.st_mode))
		return directory(w, name, path, &now, &base, err);
	self = (uint32_t)s->n;
	file(w, name, steal_ptr(&path), &now, &base);
	if (S_ISDIR(base.st_mode) && s->n > self)
		return replaced(w, name, self, err);
	return 0;
}

static int
walk_upper(const struct walk *w, struct error *err)
{
	struct stage_paths names = { 0 };
	int r = names_in(w->upper, &names, err);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		r = entry(w, names.v[i], err);
		if (w->depth <= 1)
			stage_progress(w->s, "looking");
	}
	stage_paths_free(&names);
	return r;
}

/* ---- after the walk ---------------------------------------------------- */

static int
by_inode(const void *a, const void *b, void *arg)
{
	const struct stage_change *v = arg;
	const struct stage_change *x = &v[*(const uint32_t *)a];
	const struct stage_change *y = &v[*(const uint32_t *)b];

	return (x->now.st_ino > y->now.st_ino) -
	       (x->now.st_ino < y->now.st_ino);
}

/*
 * A staged file with several names lands as so many files, if all its names
 * are staged; one that has another name elsewhere does not.
 */
static void
check_links(struct stage *s)
{
	cleanup_free uint32_t *idx = xcalloc(s->n + 1, sizeof(*idx));
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (S_ISREG(s->v[i].now.st_mode) && s->v[i].now.st_nlink > 1)
			idx[n++] = (uint32_t)i;
	if (n > 1)
		qsort_r(idx, n, sizeof(*idx), by_inode, s->v);
	for (size_t i = 0, k; i < n; i = k) {
		struct stage_change *c = &s->v[idx[i]];

		for (k = i + 1; k < n && by_inode(&idx[i], &idx[k], s->v) == 0;
		     k++)
			;
		if (k - i == c->now.st_nlink || s->wanted.n > 0 ||
		    s->applied.n > 0)
			continue;
		for (size_t l = i; l < k; l++)
			stage_refuse(&s->v[idx[l]],
			    "has %u names, %zu of them in the staged tree",
			    (unsigned int)c->now.st_nlink, k - i);
	}
}

static int
by_handle(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * What was copied up from a file of the workspace stands where that file is,
 * or that file is among those that go: then the job moved it.  Else the file
 * is no longer where it was when the job started.
 */
static void
check_origins(struct stage *s)
{
	cleanup_free uint64_t *gone = xcalloc(s->n + 1, sizeof(*gone));
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].handle != 0)
			gone[n++] = s->v[i].handle;
	qsort(gone, n, sizeof(*gone), by_handle);
	for (size_t i = 0; i < s->n; i++) {
		struct stage_change *c = &s->v[i];

		if (c->origin == 0 || c->origin == c->handle ||
		    bsearch(&c->origin, gone, n, sizeof(*gone), by_handle) !=
			NULL)
			continue;
		/* Its other half may not be wanted, or have landed. */
		if (c->base.st_mode == 0 &&
		    (s->wanted.n > 0 || s->applied.n > 0))
			continue;
		stage_refuse(c, c->base.st_mode == 0
				    ? "is gone from the workspace since the "
				      "job started"
				    : "was replaced in the workspace since "
				      "the job started");
	}
}

static void
mark_needed(struct stage *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!s->v[i].selected)
			continue;
		for (uint32_t p = s->v[i].parent;
		     p != STAGE_NONE && !s->v[p].needed; p = s->v[p].parent)
			s->v[p].needed = s->v[p].kind == STAGE_ADD ||
					 s->v[p].kind == STAGE_TYPE;
	}
}

int
stage_scan(struct stage *s, struct error *err)
{
	const struct walk top = { s, s->upper, s->workspace, "", STAGE_NONE,
		false, 0 };

	stage_check_clock(s);
	stage_paths_sort(&s->wanted);
	if (walk_upper(&top, err) < 0)
		return -1;
	check_links(s);
	check_origins(s);
	stage_check_protected(s);
	mark_needed(s);
	return 0;
}

void
stage_scan_free(struct stage *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].path);
		free(s->v[i].refuse);
	}
	free(s->v);
	s->v = NULL;
	s->n = s->cap = 0;
}
