/*
 * The network namespace of a jail: loopback up, and every address local, so
 * that no packet has anywhere else to go.
 */
#ifndef BRIG_SANDBOX_NETNS_H
#define BRIG_SANDBOX_NETNS_H

#include "base/error.h"

/*
 * In the calling process's network namespace, which must be a fresh one:
 * set lo up and add `local 0.0.0.0/0 dev lo` and `local ::/0 dev lo`
 * (rtnetlink(7)).  A kernel without IPv6 is fine.  0 or -1.
 */
int netns_setup(struct error *err);

#endif
