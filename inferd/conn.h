/*
 * HTTP/1.1 on one connection, the server's side: requests one after the other,
 * each answered before the next is looked at.  Nothing here blocks; what a
 * client does not read waits here, for CONN_STALL_MS at most.
 *
 * A client that closes, or ends its side of the connection, while an answer is
 * being made has hung up.
 */
#ifndef BRIG_INFERD_CONN_H
#define BRIG_INFERD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ev.h"
#include "proxy/wire.h"

#define CONN_IDLE_MS (300u * 1000)  /* between requests */
#define CONN_HEAD_MS (30u * 1000)   /* from its first byte to its last */
#define CONN_BODY_MS (120u * 1000)  /* the same */
#define CONN_STALL_MS (300u * 1000) /* in which not a byte is read by it */
#define CONN_LINGER_MS 2000u        /* for it to read the last answer */
#define CONN_AHEAD_MAX (64u * 1024) /* bytes of requests to come */
#define CONN_OUT_MAX (64u << 20)    /* that wait for it to read them */
#define CONN_NAME_MAX 128u          /* of whom it speaks for */

struct conn;

/* Borrowed until the callback returns. */
struct conn_request {
	const char *method;
	const char *target; /* origin-form */
	const struct fields *fields;
	const char *body;
	size_t n;
};

/* None of them may free the connection; any may close it. */
struct conn_ops {
	/* "AGENT name": the client speaks for name from here on.  -1: no. */
	int (*name)(struct conn *c, const char *name, void *arg);
	/*
	 * A head has come: 0, or the status to refuse it with, and why
	 * (static).  Its body may be empty, and has not come.
	 */
	unsigned (*head)(struct conn *c, const struct conn_request *r,
	    const char **why, void *arg);
	/* So many bytes more of a body are to be kept: may they be? */
	bool (*room)(struct conn *c, size_t n, void *arg);
	/* All of it: to be answered now or later, or to be looked at later:
	 * conn_later(). */
	void (*request)(
	    struct conn *c, const struct conn_request *r, void *arg);
	/* The body of an answer that says what is wrong with a request.  r:
	 * NULL if its head could not be read. */
	void (*error)(struct conn *c, const struct conn_request *r,
	    unsigned status, const char *why, struct buf *out, void *arg);
	/* It is closed, and an answer that was not whole need not be made.
	 * The last call. */
	void (*closed)(struct conn *c, void *arg);
};

/*
 * Takes fd, a connected stream socket that does not block.  may_name: it may
 * begin with a line that says whom it speaks for.  body_max: bytes of a body.
 */
struct conn *conn_new(struct ev *ev, int fd, bool may_name, size_t body_max,
    const struct conn_ops *ops, void *arg);
/* At once.  Memory is freed at the end of the round.  NULL is fine. */
void conn_close(struct conn *c);
/* When the answer under way, if there is one, has been read. */
void conn_finish(struct conn *c);
/* From within the callback: it is to be called again by conn_request(), with
 * the same request. */
void conn_later(struct conn *c);
void conn_request(struct conn *c);
/* Is a request being answered? */
bool conn_busy(const struct conn *c);

/*
 * The answer to the request, each once: whole, or piece by piece.  fs are
 * fields besides those of framing, and may be NULL.  An answer to HEAD loses
 * its body here.
 */
void conn_reply(struct conn *c, unsigned status, const struct fields *fs,
    const void *body, size_t n);
void conn_stream(struct conn *c, unsigned status, const struct fields *fs);
void conn_stream_put(struct conn *c, const void *p, size_t n);
void conn_stream_end(struct conn *c);

#endif
