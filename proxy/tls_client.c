#include "proxy/tls.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/str.h"
#include "proxy/tls_int.h"

#define SESSIONS_MAX 16u
#define ROOTS_MAX 4096u
/* Names of a wrong certificate that are worth showing. */
#define SHOW_NAMES_MAX 3

struct resume {
	char *host;
	SSL_SESSION *session;
};

struct tls_client {
	SSL_CTX *ctx;
	const void *roots;
	size_t roots_len;
	bool loaded;
	struct resume resume[SESSIONS_MAX]; /* ring, newest at next - 1 */
	size_t next;
};

static void
resume_clear(struct resume *r)
{
	free(r->host);
	r->host = NULL;
	SSL_SESSION_free(r->session);
	r->session = NULL;
}

/* OpenSSL hands over a session (TLS 1.3: after the handshake). */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = tls_of(ssl);
	struct tls_client *c = t->client;
	struct resume *r = &c->resume[c->next++ % SESSIONS_MAX];

	resume_clear(r);
	r->host = xstrdup(t->host);
	r->session = session;
	return 1; /* ours now */
}

/* A TLS 1.3 ticket is used once, so that connections cannot be linked. */
static void
try_resume(struct tls_client *c, SSL *ssl, const char *host)
{
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		struct resume *r = &c->resume[i];

		if (r->host == NULL || !str_eq(r->host, host))
			continue;
		if (SSL_SESSION_is_resumable(r->session))
			SSL_set_session(ssl, r->session);
		resume_clear(r);
		return;
	}
}

/* Append a name of the peer's certificate with what is not LDH replaced. */
static void
show_name(char *dst, size_t size, const unsigned char *p, int n)
{
	size_t len = strlen(dst);

	for (int i = 0; i < n && len + 1 < size; i++) {
		unsigned char ch = p[i];
		bool ok = (ch >= 'a' && ch <= 'z') ||
			  (ch >= 'A' && ch <= 'Z') ||
			  (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' ||
			  ch == '*' || ch == '_';

		dst[len++] = ok ? (char)ch : '?';
	}
	dst[len] = '\0';
}

/* The names a certificate is for: "a.example, b.example and 4 more". */
static void
cert_names(X509 *cert, char *dst, size_t size)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int shown = 0, more = 0;

	dst[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != GEN_DNS)
			continue;
		if (shown == SHOW_NAMES_MAX) {
			more++;
			continue;
		}
		if (shown++ > 0)
			strlcat(dst, ", ", size);
		show_name(dst, size, ASN1_STRING_get0_data(g->d.dNSName),
		    ASN1_STRING_length(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
	if (shown == 0)
		strlcpy(dst, "no host name", size);
	else if (more > 0)
		strlcat(dst, " and others", size);
}

static int
on_verify(int ok, X509_STORE_CTX *sctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    sctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = tls_of(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(sctx);
	int e = X509_STORE_CTX_get_error(sctx);
	char names[256];

	if (ok)
		return 1;
	switch (e) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		cert_names(leaf, names, sizeof(names));
		tls_set_why(t, "certificate is for %s, not %s", names, t->host);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		tls_set_why(t,
		    "certificate is not signed by a trusted "
		    "authority (%s)",
		    t->host);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		tls_set_why(t, "self-signed certificate (%s)", t->host);
		break;
	default:
		tls_set_why(
		    t, "%s (%s)", X509_verify_cert_error_string(e), t->host);
		break;
	}
	return 0;
}

struct tls_client *
tls_client_new(const void *roots, size_t n, struct error *err)
{
	static const unsigned char alpn[] = "\x08http/1.1";
	struct tls_client *c = xcalloc(1, sizeof(*c));

	c->roots = roots;
	c->roots_len = n;
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx == NULL) {
		tls_error(err, "TLS client");
		tls_client_free(c);
		return NULL;
	}
	if (tls_ctx_setup(c->ctx, err) < 0) {
		tls_client_free(c);
		return NULL;
	}
	if (SSL_CTX_set_alpn_protos(c->ctx, alpn, sizeof(alpn) - 1) != 0 ||
	    SSL_CTX_set_cipher_list(
		c->ctx, "HIGH:!aNULL:!eNULL:!PSK:!SRP:!DSS") != 1) {
		tls_error(err, "TLS client");
		tls_client_free(c);
		return NULL;
	}
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_session_cache_mode(
	    c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, on_session);
	return c;
}

void
tls_client_free(struct tls_client *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < SESSIONS_MAX; i++)
		resume_clear(&c->resume[i]);
	SSL_CTX_free(c->ctx);
	free(c);
}

/*
 * Many jobs never dial out, and a system bundle costs tens of milliseconds
 * and a megabyte, hence only on first use.
 */
static int
load_roots(struct tls_client *c, struct error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
	size_t added = 0;
	BIO *bio = NULL;

	if (c->roots_len > 0 && c->roots_len <= INT_MAX)
		bio = BIO_new_mem_buf(c->roots, (int)c->roots_len);
	if (bio == NULL)
		return error_set(err, 0, "no trusted certificate authorities");
	while (added < ROOTS_MAX) {
		size_t before = BIO_ctrl_pending(bio);
		X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);

		/* One broken certificate must not distrust all others. */
		if (cert == NULL) {
			size_t after = BIO_ctrl_pending(bio);

			ERR_clear_error();
			if (after == 0 || after >= before)
				break;
			continue;
		}
		if (X509_STORE_add_cert(store, cert) == 1)
			added++;
		X509_free(cert);
	}
	BIO_free(bio);
	ERR_clear_error();
	if (added == 0)
		return error_set(err, 0, "no trusted certificate authorities");
	c->loaded = true;
	return 0;
}

/* The verification of this session: which name or address, how strictly. */
static int
expect_host(SSL *ssl, const char *host, struct tls *t)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
		       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1)
		return 0;
	ERR_clear_error();
	strlcpy(t->sni, host, sizeof(t->sni));
	if (!str_is_hostname(host) ||
	    X509_VERIFY_PARAM_set1_host(param, host, 0) != 1 ||
	    SSL_set_tlsext_host_name(ssl, t->sni) != 1)
		return -1;
	return 0;
}

struct tls *
tls_connect_new(
    struct tls_client *c, int fd, const char *host, struct error *err)
{
	struct tls *t;
	SSL *ssl;

	if (!c->loaded && load_roots(c, err) < 0)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	t->client = c;
	if (strlcpy(t->host, host, sizeof(t->host)) >= sizeof(t->host)) {
		tls_free(t);
		error_set(err, 0, "host name is too long");
		return NULL;
	}
	str_lower(t->host);
	ssl = SSL_new(c->ctx);
	if (ssl == NULL || tls_attach(t, ssl, fd) < 0) {
		tls_free(t);
		error_set(err, 0, "OpenSSL cannot make a session");
		return NULL;
	}
	if (expect_host(ssl, t->host, t) < 0) {
		tls_free(t);
		tls_error(err, "host name for TLS");
		return NULL;
	}
	SSL_set_connect_state(ssl);
	try_resume(c, ssl, t->host);
	return t;
}

int
tls_client_done(struct tls *t)
{
	const unsigned char *alpn;
	unsigned int n;
	long result = SSL_get_verify_result(t->ssl);

	/* Belt and braces: no session without a verified certificate. */
	if (result != X509_V_OK || SSL_get0_peer_certificate(t->ssl) == NULL) {
		tls_set_why(t, "certificate was not verified (%s)", t->host);
		return -1;
	}
	SSL_get0_alpn_selected(t->ssl, &alpn, &n);
	if (n != 0 && (n != 8 || memcmp(alpn, "http/1.1", 8) != 0)) {
		tls_set_why(t,
		    "server chose a protocol that was not offered "
		    "(%s)",
		    t->host);
		return -1;
	}
	return 0;
}
