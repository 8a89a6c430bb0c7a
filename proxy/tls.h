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

struct tls_server; /* front: context, key, cache of leaves */
struct tls_client; /* back: context, trust store */
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
void tls_server_free(struct tls_server *s);
/*
 * fallback: name to mint for when the client sends no SNI (the name behind
 * the synthetic address, or the literal address); NULL refuses such clients.
 */
struct tls *tls_accept_new(struct tls_server *s, int fd, const char *fallback);

/* roots: PEM of every trusted CA (parsed on first use), borrowed for life. */
struct tls_client *tls_client_new(
    const void *roots, size_t n, struct error *err);
void tls_client_free(struct tls_client *c);
/* Verifies chain and host (name or IP literal); sends SNI for a name. */
struct tls *tls_connect_new(
    struct tls_client *c, int fd, const char *host, struct error *err);

void tls_free(struct tls *t);
enum tls_io tls_handshake(struct tls *t);
enum tls_io tls_read(struct tls *t, void *p, size_t n, size_t *got);
enum tls_io tls_write(struct tls *t, const void *p, size_t n, size_t *put);
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
/* One line: "certificate has expired (api.example.com)". */
const char *tls_why(const struct tls *t);

#endif
