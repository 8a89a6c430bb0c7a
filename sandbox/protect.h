/*
 * Names in the workspace that programs of the host act on without being asked
 * to: `sandbox protect yes` denies their writing.  brig.policy(5) has the list
 * for people.
 */
#ifndef BRIG_SANDBOX_PROTECT_H
#define BRIG_SANDBOX_PROTECT_H

#include "sandbox/jail.h"

/* Rules of c and, if it wants them, the protected names: i counts both. */
size_t protect_all(const struct jail_config *c);
const struct jail_rule *protect_at(const struct jail_config *c, size_t i);

#endif
