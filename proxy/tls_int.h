/*
 * What tls.c, tls_server.c and tls_client.c share; private to them.  Types of
 * OpenSSL are only named here, so that <openssl/ssl.h> stays in the sources.
 */
#ifndef BRIG_PROXY_TLS_INT_H
#define BRIG_PROXY_TLS_INT_H

#include <openssl/types.h>

#include "base/proto.h"
#include "proxy/tls.h"

#define TLS_WHY_MAX 512

struct tls {
	SSL *ssl;
	struct tls_server *server; /* borrowed; NULL on the client */
	struct tls_client *client; /* borrowed; NULL on the server */
	bool dead;                 /* a fatal error happened: no shutdown */
	bool done;                 /* handshake complete */
	char sni[P_HOST_MAX + 1];
	char host[P_HOST_MAX + 1]; /* server: fallback name; client: peer */
	char why[TLS_WHY_MAX];
};

/* What both contexts have in common.  0 or -1. */
int tls_ctx_setup(SSL_CTX *ctx, struct error *err);
/* A session around an SSL that becomes t's, over fd.  0 or -1. */
int tls_attach(struct tls *t, SSL *ssl, int fd);
/* The session an OpenSSL callback is about. */
struct tls *tls_of(const SSL *ssl);
/* First explanation wins: later ones are consequences. */
void tls_set_why(struct tls *t, const char *fmt, ...) attr_printf(2, 3);
/* Turn OpenSSL's error queue into an error; empties the queue.  -1. */
int tls_error(struct error *err, const char *what);

/* Client: the handshake is complete; last checks.  0 or -1 with why set. */
int tls_client_done(struct tls *t);

#endif
