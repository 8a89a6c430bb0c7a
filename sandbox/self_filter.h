/*
 * Seccomp filters of brig's own roles; used by self.c alone.
 */
#ifndef BRIG_SANDBOX_SELF_FILTER_H
#define BRIG_SANDBOX_SELF_FILTER_H

#include <linux/filter.h>

#include "base/proto.h"

/*
 * Install the filter of a role: for the parent a short list of refused calls
 * (every child inherits it), for the others a list of permitted ones; any
 * other call kills the process.  fatal() on failure.
 */
void self_filter(enum role role);

/*
 * The same for a child role in two steps, of which the first takes longer.
 * prog->filter is the caller's to free.
 */
void self_filter_make(enum role role, struct sock_fprog *prog);
void self_filter_install(const struct sock_fprog *prog);

#endif
