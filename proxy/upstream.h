/*
 * Exchanges with origins over connections dialled to addresses that back has
 * judged, verified by TLS, kept for a while in a small pool.  The user speaks
 * of heads, bodies and trailers; the version of HTTP is this module's matter.
 * One pool per back process.  Nothing here decides whether to connect.
 *
 * An exchange calls its user through upstream_ops until upstream_release().
 * A callback may release.
 */
#ifndef BRIG_PROXY_UPSTREAM_H
#define BRIG_PROXY_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ev.h"
#include "proxy/dial.h"
#include "proxy/netaddr.h"
#include "proxy/wire.h"

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

struct upstream_ops {
	/* Connected and verified: upstream_head() is due. */
	void (*ready)(void *arg);
	/* Fewer than UPSTREAM_OUT_HIGH bytes wait: write more. */
	void (*writable)(void *arg);
	/* Final response head, without hop-by-hop fields; what is taken from
	 * it is zeroed. */
	void (*head)(void *arg, struct rsp_head *h);
	/* Body: returns how much was used; less than n pauses reading until
	 * upstream_resume(). */
	size_t (*data)(void *arg, const uint8_t *p, size_t n);
	/* The response is complete; no hop-by-hop fields. */
	void (*done)(void *arg, struct fields *trailers);
	/* The connection is of no more use; why is one line. */
	void (*failed)(void *arg, enum upstream_fail how, const char *why);
};

struct upstream_pool *upstream_pool_new(struct ev *ev);
void upstream_pool_free(struct upstream_pool *p);
struct dialer *upstream_pool_dialer(struct upstream_pool *p);
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

/*
 * The request, each piece queued and wiped once sent: the head (whose fields
 * hold no hop-by-hop one) with the value of Host, the body as its kind says,
 * and the end, once, of every kind; trailers need BODY_STREAM.
 */
void upstream_head(
    struct upstream *u, const struct req_head *h, const char *hostport);
void upstream_body(struct upstream *u, const void *p, size_t n);
void upstream_end(struct upstream *u, const struct fields *trailers);
/* Bytes of the request that wait to be sent. */
size_t upstream_queued(const struct upstream *u);
/* Take up reading again after data() used less than it got. */
void upstream_resume(struct upstream *u);
/* The user is done.  keep: the request was sent whole, so that the
 * connection may serve another if the response allows it. */
void upstream_release(struct upstream *u, bool keep);

#endif
