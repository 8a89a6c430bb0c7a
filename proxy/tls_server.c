#include "proxy/tls.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/ev.h"
#include "base/str.h"
#include "proxy/tls_int.h"

#define LEAVES_MAX 256u
/* A failed mint is remembered this long, so that waiters see the failure. */
#define FAILED_MS 2000u
/* A leaf is minted again when less than this is left of its life. */
#define RENEW_S (12 * 3600)

struct leaf {
	char *name; /* lower case */
	X509 *cert; /* NULL: minting failed */
	time_t expires;
	uint64_t added; /* CLOCK_MONOTONIC ms; the oldest is dropped */
};

struct tls_server {
	SSL_CTX *ctx;
	EVP_PKEY *key;
	unsigned char *spki;
	size_t spki_len;
	struct leaf leaves[LEAVES_MAX];
	size_t nleaves;
};

static void
leaf_drop(struct tls_server *s, size_t i)
{
	free(s->leaves[i].name);
	X509_free(s->leaves[i].cert);
	s->leaves[i] = s->leaves[--s->nleaves];
}

/* The usable (or freshly failed) entry of a name; forgets a stale one. */
static const struct leaf *
leaf_find(struct tls_server *s, const char *name)
{
	for (size_t i = 0; i < s->nleaves; i++) {
		const struct leaf *l = &s->leaves[i];

		if (!str_eq(l->name, name))
			continue;
		if (l->cert == NULL ? ev_now_ms() - l->added > FAILED_MS
				    : l->expires - RENEW_S < time(NULL)) {
			leaf_drop(s, i);
			return NULL;
		}
		return l;
	}
	return NULL;
}

static void
leaf_add(struct tls_server *s, const char *name, X509 *cert, time_t expires)
{
	size_t oldest = 0;
	struct leaf *l;

	for (size_t i = 0; i < s->nleaves; i++) {
		if (str_eq(s->leaves[i].name, name)) {
			leaf_drop(s, i);
			break;
		}
	}
	if (s->nleaves == LEAVES_MAX) {
		for (size_t i = 1; i < s->nleaves; i++) {
			if (s->leaves[i].added < s->leaves[oldest].added)
				oldest = i;
		}
		leaf_drop(s, oldest);
	}
	l = &s->leaves[s->nleaves++];
	l->name = xstrdup(name);
	l->cert = cert;
	l->expires = expires;
	l->added = ev_now_ms();
}

static int
on_servername(SSL *ssl, int *alert, void *arg)
{
	struct tls *t = tls_of(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	if (name == NULL) {
		if (t->host[0] != '\0')
			return SSL_TLSEXT_ERR_NOACK;
		tls_set_why(t, "client sent no server name and the address it "
			       "dialled stands for none");
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	if (!str_is_hostname(name)) {
		tls_set_why(t, "client sent a server name that is not a host "
			       "name");
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	/* str_is_hostname() limits it to P_HOST_MAX. */
	strlcpy(t->sni, name, sizeof(t->sni));
	str_lower(t->sni);
	return SSL_TLSEXT_ERR_OK;
}

static int
on_cert(SSL *ssl, void *arg)
{
	struct tls *t = tls_of(ssl);
	struct tls_server *s = arg;
	const struct leaf *l = leaf_find(s, tls_leaf_name(t));

	if (l == NULL)
		return -1;
	if (l->cert == NULL) {
		tls_set_why(
		    t, "no certificate could be made for %s", tls_leaf_name(t));
		return 0;
	}
	if (SSL_use_certificate(ssl, l->cert) != 1 ||
	    SSL_use_PrivateKey(ssl, s->key) != 1)
		return 0;
	return 1;
}

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
    const unsigned char *in, unsigned int inlen, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";
	unsigned char *sel;

	if (SSL_select_next_proto(&sel, outlen, ours, sizeof(ours) - 1, in,
		inlen) != OPENSSL_NPN_NEGOTIATED) {
		tls_set_why(tls_of(ssl), "client offers no HTTP (ALPN)");
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	*out = sel;
	return SSL_TLSEXT_ERR_OK;
}

struct tls_server *
tls_server_new(struct error *err)
{
	static const unsigned char id[] = "brig front";
	struct tls_server *s = xcalloc(1, sizeof(*s));
	int n;

	s->ctx = SSL_CTX_new(TLS_server_method());
	s->key = EVP_EC_gen("P-256");
	if (s->ctx == NULL || s->key == NULL) {
		tls_error(err, "TLS server");
		tls_server_free(s);
		return NULL;
	}
	if (tls_ctx_setup(s->ctx, err) < 0) {
		tls_server_free(s);
		return NULL;
	}
	n = i2d_PUBKEY(s->key, &s->spki);
	if (n <= 0 ||
	    SSL_CTX_set_cipher_list(s->ctx,
		"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:!PSK:!SRP") != 1) {
		tls_error(err, "TLS server");
		tls_server_free(s);
		return NULL;
	}
	s->spki_len = (size_t)n;
	/* Stateless tickets under a key of this process: no cache to grow. */
	SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_session_id_context(s->ctx, id, sizeof(id) - 1);
	SSL_CTX_set_num_tickets(s->ctx, 1);
	SSL_CTX_set_max_early_data(s->ctx, 0);
	SSL_CTX_set_tlsext_servername_callback(s->ctx, on_servername);
	SSL_CTX_set_cert_cb(s->ctx, on_cert, s);
	SSL_CTX_set_alpn_select_cb(s->ctx, on_alpn, NULL);
	return s;
}

void
tls_server_free(struct tls_server *s)
{
	if (s == NULL)
		return;
	while (s->nleaves > 0)
		leaf_drop(s, s->nleaves - 1);
	OPENSSL_free(s->spki);
	EVP_PKEY_free(s->key);
	SSL_CTX_free(s->ctx);
	free(s);
}

const uint8_t *
tls_server_spki(const struct tls_server *s, size_t *n)
{
	*n = s->spki_len;
	return s->spki;
}

/* Is cert one for our key, and until when? */
static int
leaf_check(
    const struct tls_server *s, X509 *cert, time_t *expires, struct error *err)
{
	struct tm tm;

	if (X509_check_private_key(cert, s->key) != 1) {
		ERR_clear_error();
		return error_set(err, 0, "leaf is for another key");
	}
	if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return error_set(err, 0, "leaf has no end of life");
	*expires = timegm(&tm);
	return 0;
}

int
tls_server_leaf(struct tls_server *s, const char *name, const uint8_t *der,
    size_t n, struct error *err)
{
	char lower[P_HOST_MAX + 1];
	const uint8_t *p = der;
	X509 *cert = NULL;
	time_t expires = 0;

	if (strlcpy(lower, name, sizeof(lower)) >= sizeof(lower))
		return error_set(err, 0, "name of a leaf is too long");
	str_lower(lower);
	if (der == NULL) {
		leaf_add(s, lower, NULL, 0);
		return 0;
	}
	if (n <= LONG_MAX)
		cert = d2i_X509(NULL, &p, (long)n);
	if (cert == NULL || p != der + n) {
		ERR_clear_error();
		X509_free(cert);
		leaf_add(s, lower, NULL, 0);
		return error_set(
		    err, 0, "leaf for %s is no certificate", lower);
	}
	if (leaf_check(s, cert, &expires, err) < 0) {
		X509_free(cert);
		leaf_add(s, lower, NULL, 0);
		return -1;
	}
	leaf_add(s, lower, cert, expires);
	return 0;
}

void
tls_server_forget(struct tls_server *s)
{
	while (s->nleaves > 0)
		leaf_drop(s, s->nleaves - 1);
}

bool
tls_server_has_leaf(const struct tls_server *s, const char *name)
{
	char lower[P_HOST_MAX + 1];

	if (strlcpy(lower, name, sizeof(lower)) >= sizeof(lower))
		return false;
	str_lower(lower);
	for (size_t i = 0; i < s->nleaves; i++) {
		const struct leaf *l = &s->leaves[i];

		if (str_eq(l->name, lower))
			return l->cert != NULL &&
			       l->expires - RENEW_S >= time(NULL);
	}
	return false;
}

struct tls *
tls_accept_new(struct tls_server *s, int fd, const char *fallback)
{
	struct tls *t = xcalloc(1, sizeof(*t));
	SSL *ssl;

	t->server = s;
	if (fallback != NULL)
		strlcpy(t->host, fallback, sizeof(t->host));
	str_lower(t->host);
	ssl = SSL_new(s->ctx);
	if (ssl == NULL || tls_attach(t, ssl, fd) < 0) {
		tls_free(t);
		return NULL;
	}
	SSL_set_accept_state(ssl);
	return t;
}
