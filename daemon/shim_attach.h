/*
 * Clients that come to a job while it runs, and what the audit log is told of
 * its output.  Run by the shim.
 */
#ifndef BRIG_SHIM_ATTACH_H
#define BRIG_SHIM_ATTACH_H

#include <stdbool.h>

#include "base/msg.h"
#include "daemon/shim.h"
#include "daemon/shim_log.h"

/* A client's descriptor is what frames can go over. */
bool shim_is_stream_socket(int fd);
/* M_SHIM_ATTACH of the parent, the peer of ctx. */
int shim_on_attach(struct chan *c, struct msg *m, void *ctx);
/* The relay is there: those who came before it. */
void shim_attach_early(struct shim *s);
/* The log keeps no more: recorded now, and how much that was at the end. */
void shim_record_cut(struct shim *s, const struct outlog *l);
void shim_record_dropped(struct shim *s, const struct outlog *l);

#endif
