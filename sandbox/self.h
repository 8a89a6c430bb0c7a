/*
 * Confinement of brig's own processes.  Each role calls this once, before it
 * reads a byte from any peer, and holds afterwards only what the table of
 * roles in self.c says.
 */
#ifndef BRIG_SANDBOX_SELF_H
#define BRIG_SANDBOX_SELF_H

#include <linux/filter.h>
#include <sys/types.h>

#include "base/proto.h"

struct self_conf {
	enum role role;
	uid_t uid;
	gid_t gid;
	const char *root; /* directory to chroot into; NULL: none */
};

/*
 * In a fixed order: descriptors (keep 0-3), rlimits, root, ids, capabilities,
 * no_new_privs, Landlock where it helps, seccomp filter.  What can be re-read
 * is re-read.  fatal() when anything is not as it should be.
 */
void self_confine(const struct self_conf *c);

/*
 * The shim's second step, when the jail is built and its first process is
 * traced: give up every capability (as maker of the jail's user namespace it
 * keeps its power over those inside), make root_fd (the jail's root
 * directory; -1: none) its own root, look at files as the job's host ids uid
 * and gid (not 0) and install its filter, that of self_prepare_shim() or one
 * made now (NULL).
 */
void self_confine_shim(
    int root_fd, uid_t uid, gid_t gid, const struct sock_fprog *filter);
/* Make that filter ahead; filter->filter is the caller's to free. */
void self_prepare_shim(struct sock_fprog *filter);

/*
 * The stage process's second step, when it has opened its directories: become
 * the submitter, uid and gid and no other group, without capabilities, and
 * reach nothing but what lies below dirs.
 */
void self_confine_stage(uid_t uid, gid_t gid, const int *dirs, size_t n);

#endif
