/*
 * Ids, capabilities and limits of a process inside the jail.
 */
#ifndef BRIG_SANDBOX_PRIVS_H
#define BRIG_SANDBOX_PRIVS_H

#include "base/error.h"
#include "sandbox/jail.h"

/*
 * In the user namespace, once its maps are written: become JAIL_UID and
 * JAIL_GID for good, empty every capability set, drop the bounding set, lock
 * securebits, set no_new_privs; all of it read back.  0 or -1.
 */
int privs_drop(struct error *err);

/*
 * For a throw-away process on the host: these ids for good, no capability, no
 * new ones by exec, not dumpable.  0 or -1.
 */
int privs_become(uid_t uid, gid_t gid, struct error *err);

/* Resource limits of the workload (setrlimit(2)).  0 or -1. */
int privs_limits(const struct jail_config *c, struct error *err);

/*
 * What a process inherits besides and brigd's caller may have set: no real-time
 * class of processor or disk, no nice value below 0, the default personality
 * and huge pages (sched(7), ioprio_set(2), personality(2)).  0 or -1.
 */
int privs_plain(struct error *err);

/* Default dispositions, empty mask: what a shell expects.  */
void privs_reset_signals(void);

#endif
