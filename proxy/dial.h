/*
 * From judged addresses to a connected, verified socket: happy eyeballs
 * (RFC 8305), the CONNECT of an upstream proxy, TLS with its sessions.  One
 * dialer per back process.  It decides nothing: it connects to the addresses
 * it is given, to no other, and never without a verified certificate where TLS
 * is wanted.
 *
 * A dial ends with exactly one call of done() or failed(), from the event loop
 * and never from inside dial_start(); its pointer is void from then on.
 */
#ifndef BRIG_PROXY_DIAL_H
#define BRIG_PROXY_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/ev.h"
#include "base/secret.h"
#include "proxy/netaddr.h"
#include "proxy/tls.h"

#define DIAL_ADDRS_MAX 16u     /* the rest is not tried */
#define DIAL_RACE_MAX 4u       /* attempts at once */
#define DIAL_DELAY_MS 250u     /* then the next address is tried as well */
#define DIAL_CONNECT_MS 10000u /* per address */
#define DIAL_PROXY_MS 15000u   /* until the proxy has answered CONNECT */
#define DIAL_TLS_MS 15000u     /* handshake */
#define DIAL_TOTAL_MS 45000u   /* all of it */
#define DIAL_ROOTS_MAX (4u * 1024 * 1024)
#define DIAL_HOST_ROOTS_MAX 128u

enum upstream_fail {
	UPSTREAM_UNREACHABLE, /* no address accepted the connection */
	UPSTREAM_PROXY,       /* the upstream proxy refused it */
	UPSTREAM_TLS,         /* handshake or certificate */
	UPSTREAM_TIMEOUT,
	UPSTREAM_BROKEN, /* closed early, or not HTTP */
};

struct dialer;
struct dial;

/* A proxy on the way, named by the administrator. */
struct dial_proxy {
	const char *host; /* for messages */
	uint16_t port;
	const struct netaddr *addrs;
	size_t naddrs;
	/* "USER:PASSWORD" for Proxy-Authorization, or NULL. */
	const struct secret *auth;
};

/* All borrowed until dial_start() returns, which copies what it needs. */
struct dial_opts {
	bool tls;
	const char *host; /* normalised name or address literal: verified */
	uint16_t port;
	const struct netaddr *addrs; /* judged; unused with a proxy */
	size_t naddrs;
	bool offer_h2; /* h2 and http/1.1 by ALPN; else http/1.1 alone */
	bool raw;      /* no HTTP inside: no ALPN, CONNECT without TLS */
	/* Client certificate: PEM of key, certificate and chain; or NULL.
	 * Who keeps connections compares tls_identity_key(). */
	const struct secret *identity;
	/*
	 * NULL: directly.  Otherwise TLS and raw connections go through a
	 * CONNECT; for plain HTTP the caller gets a connection to the proxy
	 * itself and sends absolute-form with dial_proxy_auth().
	 */
	const struct dial_proxy *proxy;
};

struct dial_ops {
	/* fd is the caller's, non-blocking; t is NULL without TLS and the
	 * caller's, too: tls_free() before close.  tls_pending(t) may hold. */
	void (*done)(void *arg, int fd, struct tls *t, bool h2);
	/* why is one line for the agent. */
	void (*failed)(void *arg, enum upstream_fail how, const char *why);
};

struct dialer *dialer_new(struct ev *ev);
/* No dial may be under way; sessions handed out stay valid. */
void dialer_free(struct dialer *d);
/*
 * The trusted roots for handshakes begun from now on: a sealed memfd with
 * their PEM, which the dialer takes and reads when it first needs them.
 * Forgets every TLS session, and roots of single hosts.
 */
void dialer_roots(struct dialer *d, int fd);
/*
 * More roots, each for one host only: sealed memfd (taken) with u32 n,
 * n * (str host, blob PEM).  0, or -1 when it is malformed: then none holds.
 * Forgets every TLS session.
 */
int dialer_host_roots(struct dialer *d, int fd);
/* Forget the TLS sessions with that origin. */
void dialer_forget(struct dialer *d, const char *host, uint16_t port);
/*
 * Changes whenever what was verified before is not good enough any more: a
 * connection made under another generation is not to be used for a new
 * exchange.
 */
uint32_t dialer_generation(const struct dialer *d);

/* Never NULL. */
struct dial *dial_start(struct dialer *d, const struct dial_opts *o,
    const struct dial_ops *ops, void *arg);
/* No callback comes any more; closes what was opened.  NULL is fine. */
void dial_cancel(struct dial *dl);

/*
 * The client side of TLS over a connected socket that speaks something else
 * first (the socket stays the caller's).  Uses tls, host, port, offer_h2, raw
 * and identity of o.  The caller does the handshake.  NULL with err.
 */
struct tls *dialer_tls(
    struct dialer *d, const struct dial_opts *o, int fd, struct error *err);

/*
 * The value of Proxy-Authorization (Basic) for a plain request through the
 * proxy, into b, which has to be wiped; nothing is written without auth.
 */
void dial_proxy_auth(const struct dial_proxy *p, struct buf *b);

#endif
