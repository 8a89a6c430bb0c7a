/*
 * The file tree of a jail.  Runs in pid 1, as root of the initial user
 * namespace, in a mount namespace of its own.
 */
#ifndef BRIG_SANDBOX_TREE_H
#define BRIG_SANDBOX_TREE_H

#include "base/error.h"
#include "sandbox/jail.h"

/*
 * Build everything but the workspace on a new root, attached over the old
 * tree.  Returns its descriptor, or -1.
 */
int tree_build(const struct jail_config *c, struct error *err);

/*
 * Put the workspace in place: the detached mount ws, or an empty file system
 * of the job's own where ws is -1.  0 or -1.
 */
int tree_workspace(
    int root, int ws, const struct jail_config *c, struct error *err);

/* Make root "/" and forget the host's tree.  0 or -1. */
int tree_enter(int root, struct error *err);

/* After tree_enter(): a terminal of the jail's devpts.  *master, or -1. */
int tree_terminal(
    const struct jail_config *c, int *master, int *slave, struct error *err);

#endif
