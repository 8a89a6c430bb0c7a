/*
 * What the sources proxy/tls*.c share; private to them.  Types of
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
	int fd;
	bool eof;  /* of the socket */
	bool more; /* what is written now is not the last of it */
	bool held; /* the kernel may hold some of it back for that */
	bool warm; /* has buffers of its own: in the list of those */
	struct tls *warmer, *colder;
	struct tls_server *server; /* borrowed; NULL on the client */
	struct tls_client *client; /* referenced; NULL on the server */
	bool dead;                 /* a fatal error happened: no shutdown */
	bool done;                 /* handshake complete */
	char sni[P_HOST_MAX + 1];
	char host[P_HOST_MAX + 1]; /* server: fallback name; client: peer */
	char why[TLS_WHY_MAX];
	/* Client. */
	uint16_t port;
	bool offer_h2;
	bool wants_identity; /* asked for, not had, nothing said since */
	uint8_t identity[TLS_KEY_SIZE];
};

/* What both contexts have in common.  0 or -1. */
int tls_ctx_setup(SSL_CTX *ctx, struct error *err);
/* A session around an SSL that becomes t's, over fd.  0 or -1. */
int tls_attach(struct tls *t, SSL *ssl, int fd);
/* tls_bio.c: between OpenSSL and t's socket; NULL when out of memory. */
BIO *tls_bio_new(struct tls *t);
/*
 * Record buffers, 82 kB each.  The sessions that were used last keep theirs,
 * TLS_WARM_MAX in a process; the others have some only while they use them.
 */
#define TLS_WARM_MAX 16u
void tls_warm(struct tls *t);   /* it is being used */
void tls_forget(struct tls *t); /* it will be no more */
/* The session an OpenSSL callback is about. */
struct tls *tls_of(const SSL *ssl);
/* First explanation wins: later ones are consequences. */
void tls_set_why(struct tls *t, const char *fmt, ...) attr_printf(2, 3);
/* Turn OpenSSL's error queue into an error; empties the queue.  -1. */
int tls_error(struct error *err, const char *what);

/* Append what is not odd of a name in a certificate, at most n bytes. */
void tls_show_name(char *dst, size_t size, const unsigned char *p, int n);

/* Client: the handshake is complete; last checks.  0 or -1 with why set. */
int tls_client_done(struct tls *t);
/* Client: it failed. */
void tls_client_failed(struct tls *t);

/* ---- tls_session.c: sessions to resume, those of one client ------------ */

struct tls_session {
	SSL_SESSION *session; /* NULL: free */
	uint64_t made;        /* seconds, monotonic */
	char *host;
	uint16_t port;
	uint8_t identity[TLS_KEY_SIZE];
};

struct tls_sessions {
	struct tls_session s[TLS_SESSIONS_MAX];
};

/* A session for what t talks to; taken. */
void tls_sessions_add(
    struct tls_sessions *ss, const struct tls *t, SSL_SESSION *session);
/* Offer the newest one that fits t, if any. */
void tls_sessions_use(struct tls_sessions *ss, struct tls *t);
/* Those of one origin with any identity, or all (host NULL). */
void tls_sessions_forget(
    struct tls_sessions *ss, const char *host, uint16_t port);

/* ---- tls_identity.c ---------------------------------------------------- */

/* Give ssl the key and certificates of a client.  0 or -1 with err. */
int tls_identity_use(SSL *ssl, const struct secret *pem, struct error *err);

#endif
