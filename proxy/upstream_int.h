/*
 * Shared by upstream.c (pool, life of a connection), upstream_io.c (bytes) and
 * upstream_h1.c (HTTP/1.1).
 */
#ifndef BRIG_PROXY_UPSTREAM_INT_H
#define BRIG_PROXY_UPSTREAM_INT_H

#include "base/buf.h"
#include "proxy/http1.h"
#include "proxy/tls.h"
#include "proxy/upstream.h"

/* Trusted roots, shared by the connections made under them. */
struct roots {
	unsigned int refs;
	int fd;         /* their PEM, until it is needed */
	struct buf pem; /* then its bytes, borrowed by client */
	struct tls_client *client;
};

/* The client that trusts them, made when it is first asked for. */
struct tls_client *roots_client(struct roots *r, struct error *err);

enum up_state {
	UP_CONNECT,
	UP_HANDSHAKE,
	UP_READY,
	UP_KEPT, /* in the pool, nobody's */
	UP_DEAD, /* memory goes at the end of the round */
};

struct upstream {
	struct upstream_pool *pool;
	struct upstream *next; /* in the pool's list, newest first */
	enum up_state state;
	int fd;
	struct ev_io *io;
	struct ev_timer *timer;
	struct tls *tls;
	struct roots *roots;
	bool is_tls;
	bool reused;
	char *host;
	uint16_t port;
	struct netaddr addrs[UPSTREAM_ADDRS_MAX];
	size_t naddrs, at;
	char why[256]; /* of the last address that failed */

	const struct upstream_ops *ops;
	void *arg;

	struct http_parser parser;
	enum body_kind kind; /* of the request */
	struct buf in, out;
	unsigned int interim;
	bool in_pump;
	bool pump_due;   /* at the end of this round */
	bool readable;   /* bytes may be there: cleared when they ran out */
	bool blocked;    /* the user took less than it was given */
	bool want_write; /* TLS needs to write in order to read */
	bool was_high;
	bool got_bytes; /* of the response to this request */
	bool complete;  /* response is whole */
};

struct upstream_pool {
	struct ev *ev;
	struct roots *roots;
	struct upstream *kept;
	struct dialer *dialer;
};

/* upstream.c */
void upstream_fail(struct upstream *u, enum upstream_fail how, const char *why);
void upstream_next_addr(struct upstream *u);
void upstream_is_ready(struct upstream *u);
/* upstream_io.c */
void upstream_on_io(int fd, unsigned int events, void *arg);
void upstream_pump(struct upstream *u);
void upstream_pump_later(void *arg);
void upstream_wipe(struct buf *b);
/* Room for n more bytes of out, then upstream_wrote(): no copy stays. */
void upstream_reserve(struct upstream *u, size_t n);
void upstream_wrote(struct upstream *u);
/* upstream_h1.c */
/* Give the user what has been read; false when u is no longer ready. */
bool h1_parse(struct upstream *u);
void h1_eof(struct upstream *u, bool clean);

#endif
