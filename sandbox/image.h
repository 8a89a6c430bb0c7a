/*
 * `sandbox root PATH`: a folder, a tar archive or a squashfs image in the
 * place of the host's /usr.  Runs in the caller of jail_build(), as root.
 *
 * A folder is bound.  A squashfs image is mounted from a read-only loop device
 * that goes away with the mount; the kernel reads an image that only root can
 * have written.  A tar archive is unpacked once, by brig-unpack, a process of
 * other ids that holds the archive and an empty folder; the result is kept in
 * STATE/roots by the SHA-256 of the archive.
 */
#ifndef BRIG_SANDBOX_IMAGE_H
#define BRIG_SANDBOX_IMAGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct image_conf {
	const char *path;   /* absolute, without symbolic links; it and every
			     * folder on the way are root's, and nobody else's
			     * to write */
	int state;          /* folder of state, for unpacked archives */
	const char *unpack; /* the program brig-unpack */
	uid_t uid;          /* ids to unpack with, nobody else's at this time */
	gid_t gid;
};

/*
 * A detached, read-only mount of it, nosuid and nodev, for jail_config.
 * Descriptor, or -1 with nothing left behind.  *hold is another that is to be
 * kept open as long as the mount is used, or -1: else what was unpacked for it
 * may be removed to make room.
 */
int image_open(const struct image_conf *c, int *hold, struct error *err);

/* True if image_open() would have to unpack first, which takes its time. */
bool image_is_archive(const char *path);

#endif
