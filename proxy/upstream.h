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

#define UPSTREAM_IDLE_MS 300000u      /* no byte either way in an exchange */
#define UPSTREAM_RAW_IDLE_MS 3600000u /* the same, of a WebSocket */
#define UPSTREAM_TOTAL_MS (24u * 3600 * 1000) /* one exchange, all of it */
#define UPSTREAM_LIFE_MS 3600000u /* then a connection takes no other one */
#define UPSTREAM_LINGER_MS 5000u  /* for the last bytes of a connection */
#define UPSTREAM_KEEP_MS 30000u   /* unused connection */
#define UPSTREAM_KEEP_MAX 32u     /* unused ones; the oldest goes */
#define UPSTREAM_KEEP_EACH_MAX 8u /* of them, of one origin */
#define UPSTREAM_ADDRS_MAX DIAL_ADDRS_MAX
#define UPSTREAM_INTERIM_MAX 16u       /* 1xx answers before the real one */
#define UPSTREAM_OUT_HIGH (64u * 1024) /* stop writing above */
/* HTTP/2. */
#define UPSTREAM_STREAMS_MAX                                                   \
	100u /* on a connection; the origin may say less                       \
	      */
#define UPSTREAM_STREAM_WINDOW                                                 \
	(256u * 1024) /* held for a user that is slow                          \
		       */
#define UPSTREAM_CONN_WINDOW (16u * 1024 * 1024)
#define UPSTREAM_CONTINUATIONS_MAX 8u /* frames of one head; then the end */
#define UPSTREAM_SETTINGS_MAX 32u     /* entries of one frame */
#define UPSTREAM_ACKS_MAX 256u        /* unsent; then the end */
/* Control frames that carry nothing: at once, and more per second.  Then the
 * connection ends. */
#define UPSTREAM_NOISE_MAX 4096u
#define UPSTREAM_NOISE_PER_S 64u

struct upstream_pool;
struct upstream;

/* Whom to talk to, and how.  Borrowed for the call; proxy until the exchange
 * is released. */
struct upstream_want {
	bool tls;
	bool h1_only;     /* it will become another protocol */
	const char *host; /* normalised */
	uint16_t port;
	const struct secret *identity;  /* client certificate, or NULL */
	const struct dial_proxy *proxy; /* the one on the way, or NULL */
};

struct upstream_ops {
	/* Connected and verified: upstream_head() is due. */
	void (*ready)(void *arg);
	/* Fewer than UPSTREAM_OUT_HIGH bytes wait: write more. */
	void (*writable)(void *arg);
	/* Final response head, without hop-by-hop fields; what is taken from
	 * it is zeroed.  Status 101 only for a protocol that was asked for:
	 * then bodies are raw bytes both ways. */
	void (*head)(void *arg, struct rsp_head *h);
	/* Body: returns how much was used; less than n pauses until
	 * upstream_resume(). */
	size_t (*data)(void *arg, const uint8_t *p, size_t n);
	/* The response is complete; no hop-by-hop fields.  After 101 the other
	 * direction may go on. */
	void (*done)(void *arg, struct fields *trailers);
	/* The connection it waited for carries others only: dial.  The
	 * exchange is gone. */
	void (*again)(void *arg);
	/* It is of no more use; why is one line.  The exchange is gone. */
	void (*failed)(void *arg, enum upstream_fail how, const char *why);
};

struct upstream_pool *upstream_pool_new(struct ev *ev);
void upstream_pool_free(struct upstream_pool *p);
/* For connections without HTTP. */
struct dialer *upstream_pool_dialer(struct upstream_pool *p);
/* dialer_roots(); connections made under others take no new exchange. */
void upstream_pool_roots(struct upstream_pool *p, int fd);
/*
 * Close unused connections, all or those to one host and port; those in use
 * take no other exchange.
 */
void upstream_pool_clear(struct upstream_pool *p);
void upstream_pool_forget(
    struct upstream_pool *p, const char *host, uint16_t port);

/*
 * An exchange over a connection that is there, or is being made, to exactly
 * that origin; or NULL.
 */
struct upstream *upstream_reuse(struct upstream_pool *p,
    const struct upstream_want *w, const struct upstream_ops *ops, void *arg);
/* Connect to one of the addresses; never NULL. */
struct upstream *upstream_dial(struct upstream_pool *p,
    const struct upstream_want *w, const struct netaddr *addrs, size_t n,
    const struct upstream_ops *ops, void *arg);
/* Over fd, which it takes: a connected stream without TLS, non-blocking, kept
 * for others that want the same as one that was dialled. */
struct upstream *upstream_adopt(struct upstream_pool *p,
    const struct upstream_want *w, int fd, const struct upstream_ops *ops,
    void *arg);
/*
 * The origin has not acted on the request: it said so, or (stale) a used
 * connection ended without a byte of answer, as one that was closed
 * meanwhile does.  Valid in failed(), too.
 */
bool upstream_is_stale(const struct upstream *u);
bool upstream_is_refused(const struct upstream *u);

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
