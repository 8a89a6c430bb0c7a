/*
 * The files that exist now and match a path pattern of the policy.  Symbolic
 * links are never followed.
 */
#ifndef BRIG_SANDBOX_PATHWALK_H
#define BRIG_SANDBOX_PATHWALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

#define PATHWALK_DEPTH_MAX 64u

struct pathwalk {
	/*
	 * Called for every match: fd is O_PATH, path relative to the start.
	 * Not 0 ends the walk with -1; err is the walk's.
	 */
	int (*found)(void *arg, int fd, const char *path, const struct stat *st,
	    struct error *err);
	void *arg;
	bool links;    /* a match that is a symbolic link is one, too */
	size_t budget; /* directory entries left to look at */
};

/*
 * pattern is relative to dir, without leading slash: segments may hold `*`
 * (any bytes but '/'); a segment `**` is any number of directories, at the
 * end it is the directory and everything below, reported as the directory.
 * "." and ".." and empty segments are refused.  0, or -1: found() said so,
 * bad pattern, or the budget is spent, which must count as "do not start".
 */
int pathwalk(
    struct pathwalk *w, int dir, const char *pattern, struct error *err);

/* `*` in one segment, for tests. */
bool pathwalk_match(const char *pattern, size_t len, const char *name);

/* Length of the leading part of pattern without `*`, whole segments only,
 * without trailing slash. */
size_t pathwalk_literal(const char *pattern);

#endif
