/*
 * Which names of an archive are taken, and as what.  Pure.
 */
#ifndef BRIG_SANDBOX_UNPACK_CHECK_H
#define BRIG_SANDBOX_UNPACK_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define UNPACK_DEPTH_MAX 100u /* less than FSTREE_DEPTH_MAX */

/*
 * "./usr//bin/x/" as "usr/bin/x" into out, "" for the root itself.  NULL, or
 * what is wrong with it: no name, absolute, leads out, too long or deep.
 */
const char *unpack_name(const char *path, char *out, size_t size);

/* A name of the form above lies where a jail has files of its own. */
bool unpack_left_out(const char *name);

/*
 * What is wrong with target as that of the symbolic link at name, or NULL.  An
 * absolute one is fine: it is seen from the root of the jail.
 */
const char *unpack_target(const char *name, const char *target);

#endif
