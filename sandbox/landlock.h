/*
 * Landlock, the second layer: what the mount namespace already says, said
 * again by another part of the kernel, per process and for good.
 */
#ifndef BRIG_SANDBOX_LANDLOCK_H
#define BRIG_SANDBOX_LANDLOCK_H

#include "base/error.h"

enum {
	LL_READ = 1,  /* read files, list directories */
	LL_WRITE = 2, /* write, create, remove, rename */
	LL_EXEC = 4,
	LL_DEVICE = 8, /* read, write, ioctl on a device */
};

/* Landlock ABI of the running kernel; 0: none. */
unsigned int landlock_abi(void);

/*
 * A ruleset that handles every right this kernel knows (TCP is left out: all
 * of it is captured anyway) and, from ABI 6, keeps signals and abstract
 * sockets inside.  -1 with err.
 */
int landlock_new(unsigned int abi, struct error *err);

/*
 * Grant access (LL_*) below the file or directory path, seen from directory
 * dir.  A path that does not exist is no error.  0 or -1.
 */
int landlock_grant(int ruleset, unsigned int abi, int dir, const char *path,
    unsigned int access, struct error *err);

/* The same for an open (O_PATH) descriptor. */
int landlock_grant_fd(int ruleset, unsigned int abi, int fd,
    unsigned int access, struct error *err);

/* Enforce on this thread; needs no_new_privs.  0 or -1. */
int landlock_enforce(int ruleset, struct error *err);

#endif
