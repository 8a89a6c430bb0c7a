/*
 * Landlock for brig's own roles; used by self.c alone.
 */
#ifndef BRIG_SANDBOX_SELF_LANDLOCK_H
#define BRIG_SANDBOX_SELF_LANDLOCK_H

/*
 * dns: read the resolver's configuration and libraries, connect to port 53,
 * nothing else.  A kernel without Landlock is logged; a failure is fatal().
 */
void self_landlock_dns(void);

#endif
