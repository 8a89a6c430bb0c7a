/*
 * The test origin: a connection and the request being served on it.  Each
 * connection belongs to one thread.
 */
#ifndef BRIG_TESTS_ORIGIN_H
#define BRIG_TESTS_ORIGIN_H

#include <stddef.h>

#include "base/buf.h"

#define ORIGIN_BODY_KEEP 4096u /* bytes of a body that are recorded */

struct conn {
	int fd;
	unsigned int number;
	struct ssl_st *ssl; /* NULL: plain */
	struct buf in;
};

struct request {
	char *head; /* request line and fields, as received */
	char method[16];
	char target[4096];
	size_t body_bytes;
	unsigned int fnv; /* FNV-1a of the whole body */
	char body[ORIGIN_BODY_KEEP + 1];
	size_t kept;
};

int origin_read(struct conn *c); /* more into c->in; -1 at the end */
int origin_write(struct conn *c, const void *p, size_t n);
void origin_record(const struct conn *c, const struct request *r);
/* Value of a field in the head as received, "" if absent. */
const char *origin_field(const struct request *r, const char *name);
/* /coded/CODINGS/N/MS: N events with Authorization's value, coded. */
int origin_coded(struct conn *c, const struct request *r);
/* /ws: a WebSocket that says what it hears. */
int origin_websocket(struct conn *c, const struct request *r);
/* One request and its answer; -1 when the connection is done. */
int origin_serve_one(struct conn *c);

#endif
