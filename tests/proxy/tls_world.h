/*
 * Both sides of TLS, joined in one process.
 */
#ifndef BRIG_TESTS_PROXY_TLS_WORLD_H
#define BRIG_TESTS_PROXY_TLS_WORLD_H

#include "base/buf.h"
#include "proxy/mint.h"
#include "proxy/tls.h"

/* Two authorities; roots holds the certificate of the first. */
extern struct mint *mint, *stranger;
extern struct buf roots;

/* For the group of tests. */
int tls_world_setup(void **state);
int tls_world_teardown(void **state);

/* That trusts roots. */
struct tls_client *client(void);

/* The leaf of `name`, signed by m for the name for_name. */
void give_leaf(struct tls_server *s, struct mint *m, const char *name,
    const char *for_name);

struct pair {
	int fd[2];
	struct tls_server *server;
	struct tls_client *client;
	struct tls *s, *c;
	enum tls_io sio, cio;
};

/* Run both handshakes until neither moves. */
void shake(struct pair *p);
/*
 * fallback: of the server, for clients that name no host; host: whom the
 * client means to talk to.  pair_over() is for descriptors that are there.
 */
void pair_over(struct pair *p, const char *fallback, const char *host);
void pair_up(struct pair *p, const char *fallback, const char *host);
void pair_new(struct pair *p, const char *fallback, const char *host);
void pair_down(struct pair *p); /* server and client stay */
void pair_free(struct pair *p);

#endif
