#include "proxy/tls.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/str.h"
#include "proxy/tls_int.h"

#define ROOTS_MAX 4096u
/* Names of a wrong certificate that are worth showing. */
#define SHOW_NAMES_MAX 3

/* Roots of one host beside the ones of all. */
struct host_roots {
	char *host;
	const void *pem;
	size_t n;
	X509_STORE *store; /* with those of all, in the host's first entry;
			    * made when it is needed */
};

struct tls_client {
	unsigned int refs;
	SSL_CTX *ctx;
	const void *roots;
	size_t roots_len;
	bool loaded;
	struct host_roots *extra;
	size_t nextra;
	struct tls_sessions sessions;
};

/* OpenSSL hands over a session (TLS 1.3: after the handshake). */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *t = tls_of(ssl);

	tls_sessions_add(&t->client->sessions, t, session);
	return 1; /* ours now */
}

void
tls_show_name(char *dst, size_t size, const unsigned char *p, int n)
{
	size_t len = strlen(dst);

	for (int i = 0; i < n && len + 1 < size; i++) {
		unsigned char ch = p[i];
		bool ok = (ch >= 'a' && ch <= 'z') ||
			  (ch >= 'A' && ch <= 'Z') ||
			  (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' ||
			  ch == '*' || ch == '_' || ch == ' ';

		dst[len++] = ok ? (char)ch : '?';
	}
	dst[len] = '\0';
}

/* Append one name; false if it is of a kind that no URL has. */
static bool
show_general(const GENERAL_NAME *g, bool more, char *dst, size_t size)
{
	const ASN1_STRING *v;
	char text[INET6_ADDRSTRLEN] = "?";
	int n;

	if (g->type != GEN_DNS && g->type != GEN_IPADD)
		return false;
	if (more)
		strlcat(dst, ", ", size);
	v = g->type == GEN_DNS ? g->d.dNSName : g->d.iPAddress;
	n = ASN1_STRING_length(v);
	if (g->type == GEN_DNS) {
		tls_show_name(dst, size, ASN1_STRING_get0_data(v), n);
		return true;
	}
	if (n == 4 || n == 16)
		(void)inet_ntop(n == 4 ? AF_INET : AF_INET6,
		    ASN1_STRING_get0_data(v), text, sizeof(text));
	strlcat(dst, text, size);
	return true;
}

/* The names a certificate is for: "a.example, b.example and others". */
static void
cert_names(X509 *cert, char *dst, size_t size)
{
	GENERAL_NAMES *names =
	    X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int shown = 0, n = sk_GENERAL_NAME_num(names);

	dst[0] = '\0';
	for (int i = 0; i < n && shown < SHOW_NAMES_MAX; i++)
		shown += show_general(
		    sk_GENERAL_NAME_value(names, i), shown > 0, dst, size);
	GENERAL_NAMES_free(names);
	if (shown == 0)
		strlcpy(dst, "no host name", size);
	else if (n > shown)
		strlcat(dst, " and others", size);
}

/* What an authority calls itself. */
static void
authority(X509 *cert, char *dst, size_t size)
{
	X509_NAME *subject = cert == NULL ? NULL : X509_get_subject_name(cert);
	int at = subject == NULL
		     ? -1
		     : X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *cn =
	    at < 0 ? NULL
		   : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));

	dst[0] = '\0';
	if (cn != NULL)
		tls_show_name(dst, size, ASN1_STRING_get0_data(cn),
		    ASN1_STRING_length(cn));
}

/* What is wrong with a certificate, in words for those who did not make it. */
static const char *
fault(int e)
{
	switch (e) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return "is not signed by a trusted authority, or the server "
		       "left out one in between";
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		return "is not trusted";
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
		return "has a key that is too small";
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return "is signed with a digest that is too weak";
	case X509_V_ERR_INVALID_PURPOSE:
		return "is not made for TLS servers";
	case X509_V_ERR_INVALID_CA:
		return "is not one that may sign others";
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
		return "has a name for which its authority may not sign";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "has expired";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "is not yet valid";
	default:
		return NULL;
	}
}

static int
on_verify(int ok, X509_STORE_CTX *sctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    sctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = tls_of(ssl);
	X509 *leaf = X509_STORE_CTX_get0_cert(sctx);
	int e = X509_STORE_CTX_get_error(sctx);
	const char *what = fault(e);
	char names[256];

	if (ok)
		return 1;
	if (e == X509_V_ERR_HOSTNAME_MISMATCH ||
	    e == X509_V_ERR_IP_ADDRESS_MISMATCH) {
		cert_names(leaf, names, sizeof(names));
		tls_set_why(t, "certificate is for %s, not %s", names, t->host);
	} else if (e == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT) {
		tls_set_why(t, "self-signed certificate (%s)", t->host);
	} else if (what == NULL) {
		tls_set_why(
		    t, "%s (%s)", X509_verify_cert_error_string(e), t->host);
	} else if (X509_STORE_CTX_get_error_depth(sctx) > 0) {
		authority(X509_STORE_CTX_get_current_cert(sctx), names,
		    sizeof(names));
		tls_set_why(
		    t, "authority \"%s\" %s (%s)", names, what, t->host);
	} else {
		tls_set_why(t, "certificate %s (%s)", what, t->host);
	}
	return 0;
}

/* Asked for a certificate that the session has not been given. */
static int
on_wants_identity(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
	(void)cert;
	(void)key;
	tls_of(ssl)->wants_identity = true;
	return 0; /* go on without */
}

struct tls_client *
tls_client_new(const void *roots, size_t n, struct error *err)
{
	struct tls_client *c = xcalloc(1, sizeof(*c));

	c->refs = 1;
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
	if (SSL_CTX_set_cipher_list(
		c->ctx, "HIGH:!aNULL:!eNULL:!PSK:!SRP:!DSS") != 1) {
		tls_error(err, "TLS client");
		tls_client_free(c);
		return NULL;
	}
	/* A value may have come back, and buffers are kept. */
	SSL_CTX_set_options(c->ctx, SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, on_verify);
	SSL_CTX_set_client_cert_cb(c->ctx, on_wants_identity);
	SSL_CTX_set_session_cache_mode(
	    c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c->ctx, on_session);
	return c;
}

void
tls_client_free(struct tls_client *c)
{
	if (c == NULL || --c->refs > 0)
		return;
	tls_sessions_forget(&c->sessions, NULL, 0);
	for (size_t i = 0; i < c->nextra; i++) {
		free(c->extra[i].host);
		X509_STORE_free(c->extra[i].store);
	}
	free(c->extra);
	SSL_CTX_free(c->ctx);
	free(c);
}

void
tls_client_host_roots(
    struct tls_client *c, const char *host, const void *pem, size_t n)
{
	struct host_roots *h;

	c->extra = xreallocarray(c->extra, c->nextra + 1, sizeof(*c->extra));
	h = &c->extra[c->nextra++];
	memset(h, 0, sizeof(*h));
	h->host = xstrdup(host);
	str_lower(h->host);
	h->pem = pem;
	h->n = n;
}

void
tls_client_forget(struct tls_client *c, const char *host, uint16_t port)
{
	tls_sessions_forget(&c->sessions, host, port);
}

/* How many certificates of the PEM were added to store. */
static size_t
add_pem(X509_STORE *store, const void *pem, size_t n)
{
	size_t added = 0;
	BIO *bio = NULL;

	if (n > 0 && n <= INT_MAX)
		bio = BIO_new_mem_buf(pem, (int)n);
	while (bio != NULL && added < ROOTS_MAX) {
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
	return added;
}

/*
 * Many jobs never dial out, and a system bundle costs tens of milliseconds
 * and a megabyte, hence only on first use.
 */
static int
load_roots(struct tls_client *c, struct error *err)
{
	if (add_pem(SSL_CTX_get_cert_store(c->ctx), c->roots, c->roots_len) ==
	    0)
		return error_set(err, 0, "no trusted certificate authorities");
	c->loaded = true;
	c->roots = NULL;
	return 0;
}

/* The store with the roots of all and the host's own. */
static X509_STORE *
make_store(const struct tls_client *c, const struct host_roots *h)
{
	STACK_OF(X509_OBJECT) *all =
	    X509_STORE_get0_objects(SSL_CTX_get_cert_store(c->ctx));
	X509_STORE *store = X509_STORE_new();

	for (int i = 0; store != NULL && i < sk_X509_OBJECT_num(all); i++) {
		X509 *cert =
		    X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

		if (cert != NULL && X509_STORE_add_cert(store, cert) != 1) {
			X509_STORE_free(store);
			return NULL;
		}
	}
	for (size_t i = 0; store != NULL && i < c->nextra; i++)
		if (str_eq(c->extra[i].host, h->host))
			(void)add_pem(store, c->extra[i].pem, c->extra[i].n);
	return store;
}

static int
use_host_roots(struct tls_client *c, SSL *ssl, const char *host)
{
	for (size_t i = 0; i < c->nextra; i++) {
		struct host_roots *h = &c->extra[i];

		if (!str_eq(h->host, host))
			continue;
		if (h->store == NULL)
			h->store = make_store(c, h);
		return h->store != NULL &&
			       SSL_set1_verify_cert_store(ssl, h->store) == 1
			   ? 0
			   : -1;
	}
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

static int
set_alpn(SSL *ssl, const struct tls_target *target)
{
	static const unsigned char both[] = "\x02h2\x08http/1.1";
	static const unsigned char one[] = "\x08http/1.1";

	if (target->no_alpn)
		return 0;
	/* 0 is success here. */
	if (target->offer_h2)
		return SSL_set_alpn_protos(ssl, both, sizeof(both) - 1);
	return SSL_set_alpn_protos(ssl, one, sizeof(one) - 1);
}

struct tls *
tls_connect_new(struct tls_client *c, int fd, const struct tls_target *target,
    struct error *err)
{
	struct tls *t;
	SSL *ssl;

	if (!c->loaded && load_roots(c, err) < 0)
		return NULL;
	t = xcalloc(1, sizeof(*t));
	t->client = c;
	c->refs++;
	t->port = target->port;
	t->offer_h2 = target->offer_h2;
	if (strlcpy(t->host, target->host, sizeof(t->host)) >=
	    sizeof(t->host)) {
		tls_free(t);
		error_set(err, 0, "host name is too long");
		return NULL;
	}
	str_lower(t->host);
	ssl = SSL_new(c->ctx);
	if (ssl == NULL || tls_attach(t, ssl, fd) < 0 ||
	    set_alpn(ssl, target) != 0 || use_host_roots(c, ssl, t->host) < 0) {
		tls_free(t);
		error_set(err, 0, "OpenSSL cannot make a session");
		return NULL;
	}
	if (expect_host(ssl, t->host, t) < 0) {
		tls_free(t);
		tls_error(err, "host name for TLS");
		return NULL;
	}
	if (target->identity != NULL &&
	    tls_identity_use(ssl, target->identity, err) < 0) {
		tls_free(t);
		return NULL;
	}
	tls_identity_key(target->identity, t->identity);
	SSL_set_connect_state(ssl);
	tls_sessions_use(&c->sessions, t);
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
	/* The client's key has done its work. */
	SSL_certs_clear(t->ssl);
	SSL_get0_alpn_selected(t->ssl, &alpn, &n);
	if (n != 0 && (n != 8 || memcmp(alpn, "http/1.1", 8) != 0) &&
	    !(t->offer_h2 && tls_is_h2(t))) {
		tls_set_why(t,
		    "server chose a protocol that was not offered "
		    "(%s)",
		    t->host);
		return -1;
	}
	return 0;
}

void
tls_client_failed(struct tls *t)
{
	tls_sessions_forget(&t->client->sessions, t->host, t->port);
}
