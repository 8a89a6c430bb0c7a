/*
 * The staged workspace: an overlay whose lower layer is the submitter's
 * directory and whose upper layer keeps what the job writes.  Runs in the
 * caller of jail_build(), as root; nothing is attached anywhere.
 */
#ifndef BRIG_SANDBOX_OVERLAY_H
#define BRIG_SANDBOX_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct overlay {
	int lower; /* detached mount, ids mapped */
	int stage; /* detached mount, ids mapped alike, with the empty
		    * directories upper and work */
	uid_t uid; /* of the job on the host: what the kernel itself makes in
		    * the upper layer (whiteouts) must be owned by an id that
		    * the mapping has */
	gid_t gid;
	uint64_t attr; /* MOUNT_ATTR_* besides nosuid and nodev */
	bool by_path;  /* name the layers by path even where the kernel takes
			* descriptors: what older kernels need, for tests */
};

/*
 * A detached overlay mount, or -1 with err ("overlay: ...").  The descriptors
 * stay the caller's.
 *
 * userxattr, so that what the kernel notes in the upper layer can be read
 * without privilege; with it redirect_dir and metacopy are off: renaming a
 * directory of the lower layer fails with EXDEV, and programs copy as they do
 * across file systems.  index off: two names of one file of the lower layer
 * become two files when written.  volatile: fsync in the job is free; who
 * keeps the upper layer syncs it once, at the end.
 */
int overlay_mount(const struct overlay *o, struct error *err);

#endif
