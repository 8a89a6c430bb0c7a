/*
 * Kept homes (`sandbox home keep NAME`): STATE/homes/UID/NAME, one per
 * submitter and name, each a file system in a file, so that its size is
 * bounded whatever the host's disk is.  The folders and files are root's
 * alone.
 */
#ifndef BRIG_SANDBOX_HOME_H
#define BRIG_SANDBOX_HOME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define HOMES_MAX 256u    /* of one submitter */
#define HOME_NAME_MAX 64u /* P_NAME_MAX */

/*
 * A detached mount of the home, made if it is missing with room for bytes and
 * inodes (0: the default), for jail_config.  It is this caller's alone until
 * nothing of the mount is left.  Descriptor, or -1: in use by another job, of
 * more room than that, too many homes.
 */
int home_open(int state, uid_t uid, gid_t gid, const char *name, uint64_t bytes,
    uint32_t inodes, struct error *err);

struct home_entry {
	char name[HOME_NAME_MAX + 1];
	uint64_t used; /* bytes on the host's disk */
	uint64_t size; /* and at most */
	int64_t mtime; /* unix seconds: last written */
	bool in_use;
};

/* The homes of uid, by name; at most HOMES_MAX.  Their number or -1. */
int home_list(
    int state, uid_t uid, struct home_entry e[HOMES_MAX], struct error *err);

/* Take a home away with all it holds.  0, or -1: none of that name, in use. */
int home_remove(int state, uid_t uid, const char *name, struct error *err);

#endif
