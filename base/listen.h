/*
 * Listening sockets: CLOEXEC, non-blocking streams.
 */
#ifndef BRIG_LISTEN_H
#define BRIG_LISTEN_H

#include <sys/types.h>

#include "base/error.h"

/*
 * A Unix socket at path, of that owner and mode; nobody may connect before it
 * has them.  A socket there that nobody serves any more is replaced.  -1 with
 * err; its code is EADDRINUSE if another process serves it.
 */
int listen_unix(const char *path, uid_t uid, gid_t gid, mode_t mode,
    int backlog, struct error *err);

#endif
