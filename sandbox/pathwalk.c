#include "sandbox/pathwalk.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/fdutil.h"
#include "sandbox/sys.h"

static int walk(struct pathwalk *w, int dir, const char *path,
    const char *pattern, unsigned int depth, struct error *err);

bool
pathwalk_match(const char *pattern, size_t len, const char *name)
{
	size_t p = 0, star = SIZE_MAX, n = 0, mark = 0;

	/* One star to return to is enough: a later star makes earlier ones
	 * irrelevant, so this is linear times the longest literal. */
	while (name[n] != '\0') {
		if (p < len && pattern[p] == '*') {
			star = ++p;
			mark = n;
		} else if (p < len && pattern[p] == name[n]) {
			p++;
			n++;
		} else if (star != SIZE_MAX) {
			p = star;
			n = ++mark;
		} else {
			return false;
		}
	}
	while (p < len && pattern[p] == '*')
		p++;
	return p == len;
}

size_t
pathwalk_literal(const char *pattern)
{
	size_t star = strcspn(pattern, "*");

	if (pattern[star] == '\0')
		return star;
	while (star > 0 && pattern[star] != '/')
		star--;
	return star;
}

static int
check(const char *pattern, struct error *err)
{
	const char *s = pattern;
	size_t len;

	for (;;) {
		len = strcspn(s, "/");
		if (len == 0 || (len == 1 && s[0] == '.') ||
		    (len == 2 && s[0] == '.' && s[1] == '.'))
			return error_set(
			    err, 0, "path rule: bad pattern %s", pattern);
		if (s[len] == '\0')
			return 0;
		s += len + 1;
	}
}

static int
join(char *out, size_t size, const char *path, const char *name,
    struct error *err)
{
	int n =
	    snprintf(out, size, "%s%s%s", path, *path != '\0' ? "/" : "", name);

	if (n < 0 || (size_t)n >= size)
		return error_set(err, ENAMETOOLONG, "path rule: %s", path);
	return 0;
}

/* One entry that matches a segment; rest is what follows, or "". */
static int
step(struct pathwalk *w, int dir, const char *path, const char *name,
    const char *rest, unsigned int depth, struct error *err)
{
	char sub[PATH_MAX];
	cleanup_fd int fd = -1;
	struct stat st;

	/* Of one name: it is the last, which O_NOFOLLOW does not follow. */
	fd = sys_openat2(dir, name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH);
	/* Gone, or a link: a link's target has a path of its own. */
	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENOTDIR ||
			  errno == EACCES))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(
		    err, errno, "path rule: open %s/%s", path, name);
	if (S_ISLNK(st.st_mode) && (!w->links || *rest != '\0'))
		return 0;
	if (join(sub, sizeof(sub), path, name, err) < 0)
		return -1;
	if (*rest == '\0')
		return w->found(w->arg, fd, sub, &st, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	return walk(w, fd, sub, rest, depth + 1, err);
}

static int
each(struct pathwalk *w, int dir, const char *path, const char *pattern,
    size_t len, const char *rest, unsigned int depth, struct error *err)
{
	const bool deep = len == 2 && memcmp(pattern, "**", 2) == 0;
	struct dirent *e;
	DIR *d;
	int fd, r = 0;

	fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES)
		return 0;
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL) {
		(void)error_set(err, errno, "path rule: read %s", path);
		fd_close(&fd);
		return -1;
	}
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (w->budget == 0) {
			r = error_set(err, 0,
			    "path rule: %s: too many files "
			    "to look at",
			    pattern);
			break;
		}
		w->budget--;
		if (deep && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN))
			r = step(w, dir, path, e->d_name, pattern, depth, err);
		if (!deep && pathwalk_match(pattern, len, e->d_name))
			r = step(w, dir, path, e->d_name, rest, depth, err);
	}
	(void)closedir(d);
	return r;
}

static int
walk(struct pathwalk *w, int dir, const char *path, const char *pattern,
    unsigned int depth, struct error *err)
{
	size_t len = strcspn(pattern, "/");
	const char *rest = pattern[len] == '/' ? pattern + len + 1 : "";
	char name[NAME_MAX + 1];
	struct stat st;

	if (depth > PATHWALK_DEPTH_MAX)
		return error_set(err, 0, "path rule: %s is too deep", path);
	if (len == 2 && memcmp(pattern, "**", 2) == 0) {
		if (*rest == '\0') {
			if (fstat(dir, &st) < 0)
				return error_set(
				    err, errno, "path rule: %s", path);
			return w->found(w->arg, dir, path, &st, err);
		}
		/* No directory at all, then one or more. */
		if (walk(w, dir, path, rest, depth, err) < 0)
			return -1;
		return each(w, dir, path, pattern, len, rest, depth, err);
	}
	if (memchr(pattern, '*', len) != NULL)
		return each(w, dir, path, pattern, len, rest, depth, err);
	if (len > NAME_MAX)
		return 0;
	memcpy(name, pattern, len);
	name[len] = '\0';
	return step(w, dir, path, name, rest, depth, err);
}

int
pathwalk(struct pathwalk *w, int dir, const char *pattern, struct error *err)
{
	if (check(pattern, err) < 0)
		return -1;
	return walk(w, dir, "", pattern, 0, err);
}
