/*
 * Paths and path patterns, as the jail sees them.  Matching goes by segment:
 * * is any run of bytes inside one, ** any number of whole segments, also
 * none.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct {
	const char *word, *dir;
} anchors[] = {
	{ "workspace", JAIL_WORKSPACE },
	{ "scratch", JAIL_SCRATCH },
	{ "home", JAIL_HOME },
};

bool
path_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}

/* Replace an anchor; absolute paths are copied.  -1: neither, or too long. */
static int
resolve(const char *in, char *out, size_t size)
{
	size_t i, n;
	int len;

	if (in[0] == '/')
		return strlcpy(out, in, size) < size ? 0 : -1;
	for (i = 0; i < nitems(anchors); i++) {
		n = strlen(anchors[i].word);
		if (strncmp(in, anchors[i].word, n) != 0 ||
		    (in[n] != '\0' && in[n] != '/'))
			continue;
		len = snprintf(out, size, "%s%s", anchors[i].dir, in + n);
		return len >= 0 && (size_t)len < size ? 0 : -1;
	}
	return -1;
}

/* What is wrong with an absolute path, or NULL. */
static const char *
path_fault(const char *p)
{
	size_t len;

	if (p[1] == '\0')
		return NULL;
	for (; *p == '/'; p += len) {
		p++;
		len = strcspn(p, "/");
		if (len == 0)
			return "an empty segment";
		if (len == 1 && p[0] == '.')
			return "a \".\" segment";
		if (len == 2 && p[0] == '.' && p[1] == '.')
			return "a \"..\" segment";
	}
	return NULL;
}

int
jail_path(const char *in, char *out, size_t size)
{
	if (resolve(in, out, size) < 0 || path_fault(out) != NULL)
		return -1;
	return 0;
}

int
path_pat_split(
    struct load *ld, const struct pos *pos, const char *s, struct path_pat *pp)
{
	struct pool *pl = &ld->p->pool;
	size_t len;

	for (; *s == '/'; s += len) {
		s++;
		len = strcspn(s, "/");
		if (pp->nseg >= SEGMENTS_MAX) {
			diag_at(ld, pos, "pattern of more than %u segments",
			    SEGMENTS_MAX);
			return -1;
		}
		pp->seg = pool_grow(pl, pp->seg, pp->nseg, sizeof(*pp->seg));
		pp->seg[pp->nseg] = pool_strndup(pl, s, len);
		if (strstr(pp->seg[pp->nseg], "**") != NULL && len != 2) {
			diag_at(
			    ld, pos, "\"**\" stands alone between two slashes");
			return -1;
		}
		pp->nseg++;
	}
	return 0;
}

int
path_pat_parse(
    struct load *ld, const struct pos *pos, const char *s, struct path_pat *pp)
{
	char path[POLICY_PATH_MAX + 1];
	const char *fault;
	size_t i;

	memset(pp, 0, sizeof(*pp));
	pp->written = s;
	if (resolve(s, path, sizeof(path)) < 0) {
		diag_at(ld, pos,
		    "expected an absolute path or one that "
		    "begins with workspace/, scratch/ or home/");
		return -1;
	}
	for (i = 0; s[0] == '/' && i < nitems(anchors); i++) {
		if (!path_below(s, anchors[i].dir))
			continue;
		diag_at(ld, pos,
		    "write \"%s%s\": %s inside the jail is not "
		    "%s of the host",
		    anchors[i].word, s + strlen(anchors[i].dir), anchors[i].dir,
		    anchors[i].dir);
		return -1;
	}
	fault = path[1] == '\0' ? "no segment (write /**)" : path_fault(path);
	if (fault != NULL) {
		diag_at(ld, pos, "path pattern with %s", fault);
		return -1;
	}
	return path_pat_split(ld, pos, path, pp);
}

static bool
segment_match(const char *pat, const char *s, size_t len)
{
	char seg[POLICY_PATH_MAX + 1];

	if (len >= sizeof(seg))
		return false;
	memcpy(seg, s, len);
	seg[len] = '\0';
	return glob_match(pat, seg);
}

bool
path_pat_match(const struct path_pat *pp, const char *path)
{
	size_t i = 0, star = 0, len;
	const char *p = path, *retry = NULL;

	if (path[0] != '/')
		return false;
	while (*p == '/') {
		len = strcspn(p + 1, "/");
		if (i < pp->nseg && strcmp(pp->seg[i], "**") == 0) {
			star = ++i;
			retry = p;
		} else if (i < pp->nseg &&
			   segment_match(pp->seg[i], p + 1, len)) {
			i++;
			p += 1 + len;
		} else if (retry != NULL) {
			i = star;
			retry += 1 + strcspn(retry + 1, "/");
			p = retry;
		} else {
			return false;
		}
	}
	while (i < pp->nseg && strcmp(pp->seg[i], "**") == 0)
		i++;
	return i == pp->nseg;
}
