/*
 * Placeholders: what a deny rule spells out and the workspace lacks gets an
 * empty folder, so that there is something to mount on; otherwise the job
 * could make it.  They are marked by their time, held with a shared lock by
 * every job that needs them, and removed by a process that waits for the end
 * of the jail.  One that a crash left behind is taken over by the next job.
 *
 * Runs in the caller of jail_build(), as root; all files are made and removed
 * with the submitter's ids.
 */
#ifndef BRIG_SANDBOX_PLACE_H
#define BRIG_SANDBOX_PLACE_H

#include <sys/stat.h>

#include "base/error.h"
#include "sandbox/jail.h"

#define PLACES_MAX 128u

struct place {
	int dir; /* folder it is in */
	int fd;  /* locked; -1: a folder on the way to one, to be removed when
		  * it is empty */
	char name[256];
};

struct places {
	struct place at[PLACES_MAX];
	size_t n;
};

/* Is st, of a file in the workspace, a placeholder's? */
bool place_is(const struct stat *st);

/* What patterns of the two begin with. */
#define PLACES_WORKSPACE "workspace/"
#define PLACES_HOME "home/"

/*
 * Make those of c's rules that begin with base, which dir is.  Where the
 * submitter may not write, the job may not either, and nothing is made.  0, or
 * -1 with nothing left behind.
 */
int places_make(int dir, const char *base, const struct jail_config *c,
    struct places *pl, struct error *err);

/* Leave them where they are for good. */
void places_keep(struct places *pl);

/*
 * Leave their removal to a process that waits for the end of pidfd's, and
 * close them here.  0, or -1 with nothing left behind.
 */
int places_leave(struct places *pl, const struct jail_config *c, int pidfd,
    struct error *err);

/* Remove now what no other job holds. */
void places_remove(struct places *pl, const struct jail_config *c);

#endif
