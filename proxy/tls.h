/*
 * TLS over non-blocking sockets (OpenSSL), the only user of <openssl/ssl.h>.
 * front is a server with leaves minted on demand; back is a client that
 * verifies, always.
 */
#ifndef BRIG_PROXY_TLS_H
#define BRIG_PROXY_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/secret.h"

#define TLS_SESSIONS_MAX 32u      /* kept for resumption; the oldest goes */
#define TLS_SESSIONS_EACH_MAX 4u  /* of them, of one origin */
#define TLS_SESSION_S (60u * 60)  /* then the certificate is looked at again */
#define TLS_IDENTITY_CHAIN_MAX 8u /* certificates of a client's identity */
#define TLS_KEY_SIZE 32u

struct tls_server; /* front: context, key, cache of leaves */
struct tls_client; /* back: context, trust store, sessions */
struct tls;        /* one session; does not own the socket */

enum tls_io {
	TLS_ERROR, /* tls_why() says what */
	TLS_OK,
	TLS_WANT_READ,
	TLS_WANT_WRITE,
	TLS_WANT_LEAF, /* server: call again once the leaf for tls_leaf_name()
			* has been given to tls_server_leaf() */
	TLS_EOF,       /* clean close_notify */
};

/* Before the process is confined: from then on OpenSSL opens nothing. */
void tls_preinit(void);

/* Fresh EC P-256 key; leaves are added as they are minted. */
struct tls_server *tls_server_new(struct error *err);
/* SubjectPublicKeyInfo DER of front's key; borrowed. */
const uint8_t *tls_server_spki(const struct tls_server *s, size_t *n);
/*
 * Leaf for a name arrived (DER), or minting failed (der NULL, which fails the
 * handshakes that wait for it; later ones ask again).  -1 when the DER is no
 * certificate for front's key; that counts as a failed mint.
 */
int tls_server_leaf(struct tls_server *s, const char *name, const uint8_t *der,
    size_t n, struct error *err);
bool tls_server_has_leaf(const struct tls_server *s, const char *name);
/* Those so far are of no use any more. */
void tls_server_forget(struct tls_server *s);
void tls_server_free(struct tls_server *s);
/*
 * fallback: name to mint for when the client sends no SNI (the name behind
 * the synthetic address, or the literal address); NULL refuses such clients.
 */
struct tls *tls_accept_new(struct tls_server *s, int fd, const char *fallback);

/*
 * roots: PEM of every trusted CA, parsed by the first tls_connect_new();
 * borrowed until that has succeeded.
 */
struct tls_client *tls_client_new(
    const void *roots, size_t n, struct error *err);
/* Sessions made by it stay valid: they hold a reference. */
void tls_client_free(struct tls_client *c);
/*
 * More roots, for that host alone; before the first connection.  pem is
 * borrowed until c connects no more.
 */
void tls_client_host_roots(
    struct tls_client *c, const char *host, const void *pem, size_t n);
/* Forget sessions: with one origin, or all of them (host NULL). */
void tls_client_forget(struct tls_client *c, const char *host, uint16_t port);

struct tls_target {
	const char *host; /* name or IP literal: verified; SNI for a name */
	uint16_t port;    /* together they are what sessions are kept for */
	bool offer_h2;    /* h2 and http/1.1 by ALPN; else http/1.1 alone */
	bool no_alpn;     /* neither */
	/* PEM: private key, certificate, chain; or NULL.  Borrowed for the
	 * call only. */
	const struct secret *identity;
};

/* Verifies chain and host, always. */
struct tls *tls_connect_new(struct tls_client *c, int fd,
    const struct tls_target *target, struct error *err);
/* Which identity that is: a digest, all zero for NULL. */
void tls_identity_key(const struct secret *identity, uint8_t key[TLS_KEY_SIZE]);

/*
 * Data of the channel binding tls-server-end-point (RFC 5929) on the client's
 * side; its length, or 0 where there is none.
 */
#define TLS_END_POINT_MAX 64u
size_t tls_end_point(const struct tls *t, uint8_t out[TLS_END_POINT_MAX]);

/*
 * A client reads much from now on: what it has read is not overwritten in its
 * buffers record by record, but all at once when that is over, or it is freed.
 */
void tls_bulk(struct tls *t, bool much);
void tls_free(struct tls *t);
enum tls_io tls_handshake(struct tls *t);
enum tls_io tls_read(struct tls *t, void *p, size_t n, size_t *got);
/* TLS_OK: *put bytes were taken; if that is not all, the socket is full. */
enum tls_io tls_write(struct tls *t, const void *p, size_t n, size_t *put);
/* The same, but they need not go out before tls_push(). */
enum tls_io tls_write_some(struct tls *t, const void *p, size_t n, size_t *put);
/*
 * Bytes that the socket took, through t or, where t is NULL, as they are; 0:
 * none now, -1: the connection is broken.  more: others follow before
 * tls_push().
 */
ssize_t tls_send(struct tls *t, int fd, const void *p, size_t n, bool more);
void tls_push(struct tls *t);
/* Send close_notify, best effort. */
void tls_close(struct tls *t);
/* Bytes were taken from the socket that tls_read() has not given out: no event
 * of the descriptor will tell about them.  When false, the socket is empty or
 * will say that it is not. */
bool tls_pending(const struct tls *t);
/*
 * Server name of the session, lower case, "" if none.  On the server it is the
 * name that the client asked for, checked with str_is_hostname().
 */
const char *tls_sni(const struct tls *t);
/* Server: name to mint for on TLS_WANT_LEAF: SNI, or fallback without one. */
const char *tls_leaf_name(const struct tls *t);
/* Both sides agreed on HTTP/2. */
bool tls_is_h2(const struct tls *t);
/* The handshake took up an earlier session. */
bool tls_is_resumed(const struct tls *t);
/* One line: "certificate has expired (api.example.com)". */
const char *tls_why(const struct tls *t);

#endif
