/*
 * Policy files from disk into a bundle: used by the parent, which is root, and
 * by `brig policy`.
 */
#ifndef BRIG_POLICYFILES_H
#define BRIG_POLICYFILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"

#define POLICYFILES_DEFAULT BRIG_SYSCONFDIR "/brig/policy.d"
#define POLICYFILES_MAX 256u /* files in all */

/*
 * Append to bundle the sources found at n paths.  A folder gives its *.policy
 * files, in the order of their names, and its *.inc files for inclusion only;
 * a file gives itself, and what lies beside it for inclusion.  With
 * check_owner every folder and file must belong to root and be writable by
 * nobody else, and no link is followed: a file that fails is an error, never
 * left out.  0, or -1 with err naming the path.
 */
int policyfiles_load(const char *const *paths, size_t n, bool check_owner,
    struct buf *bundle, struct error *err);

#endif
