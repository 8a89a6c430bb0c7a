/*
 * The policy's path rules, turned into mounts and Landlock grants when the
 * jail is built: what does not exist then cannot be masked.
 */
#ifndef BRIG_SANDBOX_RULES_H
#define BRIG_SANDBOX_RULES_H

#include <stdbool.h>

#include "base/error.h"
#include "sandbox/jail.h"

/*
 * As root in pid 1, with the workspace attached below root: bind what
 * `allow read` names outside the fixed tree, put empty files and directories
 * over what `deny read` names in the workspace, and make read-only what
 * `deny write` names.  0 or -1.
 */
int rules_mount(int root, const struct jail_config *c, struct error *err);

/*
 * As the job, inside the tree: the Landlock ruleset of the fixed tree, the
 * class defaults and the allow rules.  Descriptor or -1.
 */
int rules_landlock(
    const struct jail_config *c, unsigned int abi, struct error *err);

/*
 * Whether rules_mount() has something of the host to add, which it can only
 * while the host's tree is there.
 */
bool rules_need_host(const struct jail_config *c);

#endif
