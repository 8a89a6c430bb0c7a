/*
 * The client's end of the control socket: JSON lines with descriptors, one
 * request and its reply at a time.  Runs in `brig`; blocking.
 */
#ifndef BRIG_CLIENT_H
#define BRIG_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fdutil.h"

#define CLIENT_SOCKET "/run/brig/brigd.sock"
#define CLIENT_LINE_MAX (1024u * 1024)

struct client {
	int fd;
	json_int_t id; /* of the last request */
	struct buf in;
	int fds[FD_PASS_MAX]; /* received, not yet taken */
	size_t nfds;
	char code[32]; /* error code of the last refused request */
	char *refusal; /* and its whole message, as it came */
};

/* Connected, or NULL with a message that says what to do. */
struct client *client_open(const char *path, struct error *err);
/* On a connected socket, which it takes; for tests. */
struct client *client_new(int fd);
void client_free(struct client *c);
void client_cleanup(struct client **c);
#define cleanup_client attr_cleanup(client_cleanup)

/*
 * Send a request; args (may be NULL) is stolen and gets v, id and op.  The
 * descriptors ride on the first byte of the line and stay the caller's.
 */
int client_send(struct client *c, const char *op, json_t *args, const int *fds,
    size_t nfds, struct error *err);
/*
 * The reply's result object, a new reference; NULL when the request was
 * refused (err holds the daemon's words, c->code the code) or the connection
 * failed (code is "").
 */
json_t *client_recv(struct client *c, struct error *err);
/* Both. */
json_t *client_call(
    struct client *c, const char *op, json_t *args, struct error *err);
/* The descriptor that came with the last reply, now the caller's; or -1. */
int client_take_fd(struct client *c);

#endif
