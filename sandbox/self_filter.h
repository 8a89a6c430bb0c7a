/*
 * Seccomp filters of brig's own roles; used by self.c alone.
 */
#ifndef BRIG_SANDBOX_SELF_FILTER_H
#define BRIG_SANDBOX_SELF_FILTER_H

#include "base/proto.h"

/*
 * Install the filter of a role: for the parent a short list of refused calls
 * (every child inherits it), for the others a list of permitted ones; any
 * other call kills the process.  fatal() on failure.
 */
void self_filter(enum role role);

#endif
