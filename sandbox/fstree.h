/*
 * Whole trees of files that somebody else wrote: taken over and removed
 * without following a link or entering another mount.
 */
#ifndef BRIG_SANDBOX_FSTREE_H
#define BRIG_SANDBOX_FSTREE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

#define FSTREE_DEPTH_MAX 128u

/* Give everything in it, and itself, to these ids.  0, or -1: also for what is
 * nested deeper than FSTREE_DEPTH_MAX. */
int fstree_chown(int dir, uid_t uid, gid_t gid, struct error *err);

/*
 * Remove all that is in it, however deep, as the caller, who needs to own the
 * folders.  0 or -1 with some of it removed.
 */
int fstree_empty(int dir, struct error *err);

#endif
