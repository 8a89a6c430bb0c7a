/*
 * Connections to origins: dialled to addresses that back has judged, verified
 * by TLS, one HTTP/1.1 exchange at a time, kept for a while in a small pool.
 * One pool per back process.  Nothing here decides whether to connect.
 *
 * A connection calls its user through upstream_ops until upstream_release().
 * A callback may release.
 */
#ifndef BRIG_PROXY_UPSTREAM_H
#define BRIG_PROXY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ev.h"
#include "proxy/http1.h"
#include "proxy/netaddr.h"

#define UPSTREAM_CONNECT_MS 10000u /* per address; then the next one */
#define UPSTREAM_TLS_MS 15000u     /* handshake */
#define UPSTREAM_IDLE_MS 300000u   /* no byte either way in an exchange */
#define UPSTREAM_KEEP_MS 30000u    /* unused in the pool */
#define UPSTREAM_KEEP_MAX 8u       /* unused in the pool; oldest goes */
#define UPSTREAM_ADDRS_MAX 16u
#define UPSTREAM_INTERIM_MAX 16u       /* 1xx answers before the real one */
#define UPSTREAM_OUT_HIGH (64u * 1024) /* stop writing above */

struct upstream_pool;
struct upstream;

enum upstream_fail {
	UPSTREAM_UNREACHABLE, /* no address accepted the connection */
	UPSTREAM_TLS,         /* handshake or certificate */
	UPSTREAM_TIMEOUT,
	UPSTREAM_BROKEN, /* closed early, or not HTTP */
};

struct upstream_ops {
	/* Connected and verified: write now. */
	void (*ready)(void *arg);
	/* Fewer than UPSTREAM_OUT_HIGH bytes wait: write more. */
	void (*writable)(void *arg);
	/* Final response head; p->fields may be taken. */
	void (*head)(void *arg, struct http_parser *p);
	/* Body: returns how much was used; less than n pauses reading until
	 * upstream_resume(). */
	size_t (*data)(void *arg, const uint8_t *p, size_t n);
	/* The response is complete. */
	void (*done)(void *arg, struct fields *trailers);
	/* The connection is of no more use; why is one line. */
	void (*failed)(void *arg, enum upstream_fail how, const char *why);
};

struct upstream_pool *upstream_pool_new(struct ev *ev);
void upstream_pool_free(struct upstream_pool *p);
/*
 * The trusted roots for connections made from now on: a sealed memfd with
 * their PEM, which the pool takes and reads when it first needs them.
 */
void upstream_pool_roots(struct upstream_pool *p, int fd);
#define UPSTREAM_ROOTS_MAX (4u * 1024 * 1024)
/* Close unused connections: all, or those to one host and port. */
void upstream_pool_clear(struct upstream_pool *p);
void upstream_pool_forget(
    struct upstream_pool *p, const char *host, uint16_t port);

/* An unused connection to exactly that origin, or NULL.  ready is called. */
struct upstream *upstream_reuse(struct upstream_pool *p, bool tls,
    const char *host, uint16_t port, const struct upstream_ops *ops, void *arg);
/* Start to connect to the addresses in turn; never NULL. */
struct upstream *upstream_dial(struct upstream_pool *p, bool tls,
    const char *host, uint16_t port, const struct netaddr *addrs, size_t n,
    const struct upstream_ops *ops, void *arg);
/* Taken from the pool and still without a byte of answer: it may have been
 * closed before it was used.  Valid in failed(), too. */
bool upstream_is_reused(const struct upstream *u);

/* Before the request is written: what kind of answer to expect. */
void upstream_expect(struct upstream *u, const char *method);
/* Queue bytes; what was queued is wiped once sent. */
void upstream_write(struct upstream *u, const void *p, size_t n);
size_t upstream_queued(const struct upstream *u);
/* Take up reading again after data() used less than it got. */
void upstream_resume(struct upstream *u);
/* The user is done.  keep: the request was sent whole, so that the
 * connection may serve another if the response allows it. */
void upstream_release(struct upstream *u, bool keep);

#endif
