/*
 * Landlock for brig's own roles; used by self.c alone.
 */
#ifndef BRIG_SANDBOX_SELF_LANDLOCK_H
#define BRIG_SANDBOX_SELF_LANDLOCK_H

#include <stddef.h>

/*
 * dns: read the resolver's configuration and libraries, connect to port 53,
 * nothing else.  A kernel without Landlock is logged; a failure is fatal().
 */
void self_landlock_dns(void);

/*
 * Files and directories below dirs: all but execute, devices, sockets and
 * fifos.  Elsewhere nothing, the network included.
 */
void self_landlock_dirs(const int *dirs, size_t n);

#endif
