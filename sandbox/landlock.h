/*
 * Landlock, the second layer: what the mount namespace already says, said
 * again by another part of the kernel, per process and for good.
 */
#ifndef BRIG_SANDBOX_LANDLOCK_H
#define BRIG_SANDBOX_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

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
 * What a ruleset of this ABI handles for a jail, separated by commas, in out:
 * "execute write_file ..." for the rights on files unless without_files, then
 * the scopes.  Empty: nothing.
 */
void landlock_describe(
    unsigned int abi, bool without_files, char *out, size_t size);

/*
 * A ruleset that handles every right of this ABI and, from 6, keeps signals
 * and abstract sockets inside.  TCP is left out: all of it is captured, and a
 * job may listen on any port.  without_files: the scopes alone, because a
 * task under any right on files can change no mount; there must be some
 * (landlock_applies()).  -1 with err.
 */
int landlock_new(unsigned int abi, bool without_files, struct error *err);

/* Whether landlock_new() would have anything to handle. */
bool landlock_applies(unsigned int abi, bool without_files);

/*
 * Grant access (LL_*) below the file or directory path, seen from directory
 * dir.  A path that does not exist is no error.  0 or -1.
 */
int landlock_grant(int ruleset, unsigned int abi, int dir, const char *path,
    unsigned int access, struct error *err);

/* The same for an open (O_PATH) descriptor. */
int landlock_grant_fd(int ruleset, unsigned int abi, int fd,
    unsigned int access, struct error *err);

/*
 * Enforce on this thread; needs no_new_privs.  From ABI 7 what the thread
 * itself is refused is in the kernel's audit log, but neither what programs it
 * runs nor what domains of theirs are: a job could fill the log.  0 or -1.
 */
int landlock_enforce(int ruleset, unsigned int abi, struct error *err);

#endif
