/*
 * The sockets that inferd listens on besides a Unix one of its own: TCP on
 * this machine alone, and what systemd hands over.
 */
#ifndef BRIG_INFERD_SOCKETS_H
#define BRIG_INFERD_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SOCKETS_MAX 8u /* handed over */

/*
 * where: "127.0.0.1:8080", "[::1]:8080" or "localhost:8080"; port 0: any.
 * Returns the socket, -1 with err: not of this machine alone, or taken.
 */
int sockets_tcp(const char *where, int backlog, struct error *err);

/*
 * What sd_listen_fds(3) describes: the number of descriptors, 0 if there are
 * none for this process.  They are made CLOEXEC and non-blocking.  -1 with
 * err: one is not a listening Unix socket nor one of loopback.
 */
int sockets_inherited(int fds[SOCKETS_MAX], struct error *err);

/* Is it TCP? */
bool sockets_is_tcp(int fd);
/* Where it listens, as text. */
void sockets_name(int fd, char *out, size_t size);

/*
 * Is it the authority of a request for this machine: "localhost" or an address
 * of loopback, with or without a port?  A name that somebody else's DNS points
 * here is not.
 */
bool sockets_is_local(const char *authority);

#endif
