/*
 * Shared by dialer.c (roots and sessions), dial.c (the race of addresses, TLS)
 * and dial_proxy.c (CONNECT).
 */
#ifndef BRIG_PROXY_DIAL_INT_H
#define BRIG_PROXY_DIAL_INT_H

#include "proxy/dial.h"
#include "proxy/http1.h"

struct dialer {
	struct ev *ev;
	int roots_fd, host_roots_fd;
	struct buf roots, host_roots; /* what client borrows of them */
	struct tls_client *client;    /* NULL until it is needed */
	uint32_t generation;
};

enum dial_state {
	DIAL_RACE,
	DIAL_CONNECT, /* the proxy has been asked */
	DIAL_TLS,
	DIAL_OVER, /* memory goes at the end of the round */
};

/* One address that is being tried. */
struct attempt {
	struct dial *dl;
	int fd; /* -1: free */
	struct ev_io *io;
	uint64_t until;
};

struct dial {
	struct dialer *dr;
	enum dial_state state;
	const struct dial_ops *ops;
	void *arg;

	bool tls, offer_h2, raw;
	char *host;
	uint16_t port;
	struct secret *identity;
	char *proxy_host; /* NULL: none */
	uint16_t proxy_port;
	struct secret *proxy_auth;

	struct netaddr addrs[DIAL_ADDRS_MAX];
	size_t naddrs, at;
	struct attempt race[DIAL_RACE_MAX];
	char why[256]; /* of the last address that failed */

	int fd;
	struct ev_io *io;
	struct tls *t;
	struct buf out, in; /* CONNECT and what it was answered */
	struct http_parser parser;

	struct ev_timer *timer;
	uint64_t next_try; /* 0: none is left */
	uint64_t until;    /* of the step after the race */
	uint64_t end;      /* of all */
};

/* dial.c */
void dial_fail(struct dial *dl, enum upstream_fail how, const char *why);
/* The tunnel is there: TLS or done. */
void dial_through(struct dial *dl);
void dial_watch(struct dial *dl, unsigned int events);
void dial_step(struct dial *dl, enum dial_state state, uint64_t ms);

/* dial_proxy.c */
void dial_connect_start(struct dial *dl);
void dial_connect_io(struct dial *dl);

/*
 * What a proxy answered to CONNECT, from bytes that were only looked at: pure.
 * *used is how many of them belong to the answer.
 */
enum connect_result {
	CONNECT_BAD, /* refused or not HTTP: why says it */
	CONNECT_MORE,
	CONNECT_OPEN,
};
enum connect_result dial_connect_answer(struct http_parser *p, struct buf *in,
    const uint8_t *bytes, size_t n, size_t *used, char *why, size_t size);

#endif
