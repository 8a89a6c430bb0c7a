#include "proxy/mint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/str.h"

#define DAY_S (24L * 3600)
#define SERIAL_BYTES 16
#define CN_MAX 64u /* ub-common-name of RFC 5280 */

struct mint {
	EVP_PKEY *key;
	X509 *cert;
	struct buf crl; /* the last one, */
	time_t made;    /* of that time; 0: none */
};

/* SEQUENCE, ecPublicKey, prime256v1, BIT STRING, uncompressed point. */
static const uint8_t spki_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a,
	0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
	0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

static int
crypto_error(struct error *err, const char *what)
{
	unsigned long e = ERR_peek_error();
	const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);

	ERR_clear_error();
	return error_set(err, 0, "%s: %s", what,
	    reason != NULL ? reason : "no reason given");
}

static int
set_serial(X509 *cert)
{
	uint8_t bytes[SERIAL_BYTES];
	BIGNUM *bn;
	int ok;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -1;
	/* Positive, and never shorter than its 16 octets. */
	bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40);
	bn = BN_bin2bn(bytes, sizeof(bytes), NULL);
	ok = bn != NULL &&
	     BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;
	BN_free(bn);
	return ok ? 0 : -1;
}

static int
add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok ? 0 : -1;
}

static int
set_cn(X509_NAME *name, const char *cn)
{
	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		   (const unsigned char *)cn, -1, -1, 0) == 1
		   ? 0
		   : -1;
}

/* Version, serial, life: what a CA and a leaf have in common. */
static int
set_basics(X509 *cert, long days)
{
	if (X509_set_version(cert, X509_VERSION_3) != 1 ||
	    set_serial(cert) < 0 ||
	    X509_gmtime_adj(X509_getm_notBefore(cert), -DAY_S) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(cert), days * DAY_S) == NULL)
		return -1;
	return 0;
}

static int
build_ca(X509 *cert, EVP_PKEY *key)
{
	char cn[64];
	uint8_t tag[3];

	if (RAND_bytes(tag, sizeof(tag)) != 1)
		return -1;
	/* Two installations must not share a name: trust stores index it. */
	snprintf(cn, sizeof(cn), "brig interception CA %02x%02x%02x", tag[0],
	    tag[1], tag[2]);
	if (set_basics(cert, MINT_CA_DAYS) < 0 ||
	    set_cn(X509_get_subject_name(cert), cn) < 0 ||
	    X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1 ||
	    X509_set_pubkey(cert, key) != 1)
		return -1;
	if (add_ext(cert, cert, NID_basic_constraints,
		"critical,CA:TRUE,pathlen:0") < 0 ||
	    add_ext(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") <
		0 ||
	    add_ext(cert, cert, NID_subject_key_identifier, "hash") < 0 ||
	    add_ext(cert, cert, NID_authority_key_identifier, "keyid:always") <
		0)
		return -1;
	return X509_sign(cert, key, EVP_sha256()) > 0 ? 0 : -1;
}

struct mint *
mint_new(struct error *err)
{
	struct mint *m = xcalloc(1, sizeof(*m));

	m->key = EVP_EC_gen("P-256");
	m->cert = X509_new();
	if (m->key == NULL || m->cert == NULL ||
	    build_ca(m->cert, m->key) < 0) {
		crypto_error(err, "making the interception CA");
		mint_free(m);
		return NULL;
	}
	return m;
}

struct mint *
mint_load(
    const struct secret *key, const void *cert, size_t n, struct error *err)
{
	struct mint *m = xcalloc(1, sizeof(*m));
	const unsigned char *kp = secret_bytes(key);
	const unsigned char *cp = cert;

	m->key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &kp, (long)secret_len(key));
	if (n <= LONG_MAX)
		m->cert = d2i_X509(NULL, &cp, (long)n);
	if (m->key == NULL || m->cert == NULL ||
	    X509_check_private_key(m->cert, m->key) != 1) {
		crypto_error(err, "interception CA in the vault");
		mint_free(m);
		return NULL;
	}
	return m;
}

void
mint_free(struct mint *m)
{
	if (m == NULL)
		return;
	EVP_PKEY_free(m->key);
	X509_free(m->cert);
	buf_free(&m->crl);
	free(m);
}

static int
put_der(X509 *cert, struct buf *b)
{
	unsigned char *p = NULL;
	int n = i2d_X509(cert, &p);

	if (n <= 0)
		return -1;
	buf_put(b, p, (size_t)n);
	OPENSSL_free(p);
	return 0;
}

int
mint_export(const struct mint *m, struct secret **key, struct buf *cert,
    struct error *err)
{
	cleanup_secret struct secret *s = NULL;
	unsigned char *p;
	int n = i2d_PrivateKey(m->key, NULL);

	if (n <= 0)
		return crypto_error(err, "encoding the CA key");
	s = secret_alloc((size_t)n);
	if (s == NULL)
		return error_set(err, ENOMEM, "memory for the CA key");
	p = secret_data(s);
	if (i2d_PrivateKey(m->key, &p) != n || put_der(m->cert, cert) < 0)
		return crypto_error(err, "encoding the CA");
	*key = steal_ptr(&s);
	return 0;
}

int
mint_ca_pem(const struct mint *m, struct buf *b, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;

	if (bio == NULL || PEM_write_bio_X509(bio, m->cert) != 1 ||
	    (n = BIO_get_mem_data(bio, &p)) <= 0) {
		BIO_free(bio);
		return crypto_error(err, "encoding the CA certificate");
	}
	buf_put(b, p, (size_t)n);
	BIO_free(bio);
	return 0;
}

/* subjectAltName built as a structure: no text that needs quoting. */
static int
add_san(X509 *cert, const char *name)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *g = GENERAL_NAME_new();
	uint8_t addr[16];
	int len = inet_pton(AF_INET, name, addr) == 1    ? 4
		  : inet_pton(AF_INET6, name, addr) == 1 ? 16
							 : 0;
	ASN1_STRING *s = len > 0 ? (ASN1_STRING *)ASN1_OCTET_STRING_new()
				 : (ASN1_STRING *)ASN1_IA5STRING_new();
	int ok = 0;

	if (names != NULL && g != NULL && s != NULL &&
	    ASN1_STRING_set(s, len > 0 ? (const void *)addr : name,
		len > 0 ? len : (int)strlen(name)) == 1) {
		GENERAL_NAME_set0_value(g, len > 0 ? GEN_IPADD : GEN_DNS, s);
		s = NULL;
		if (sk_GENERAL_NAME_push(names, g) > 0) {
			g = NULL;
			ok = X509_add1_ext_i2d(cert, NID_subject_alt_name,
				 names, 0, X509V3_ADD_DEFAULT) == 1;
		}
	}
	ASN1_STRING_free(s);
	GENERAL_NAME_free(g);
	GENERAL_NAMES_free(names);
	return ok ? 0 : -1;
}

static int
build_leaf(const struct mint *m, X509 *cert, EVP_PKEY *pub, const char *name)
{
	/* A subject of its own keeps SAN non-critical (RFC 5280 4.2.1.6). */
	const char *cn = strlen(name) <= CN_MAX ? name : "brig leaf";

	if (set_basics(cert, MINT_LEAF_DAYS) < 0 ||
	    set_cn(X509_get_subject_name(cert), cn) < 0 ||
	    X509_set_issuer_name(cert, X509_get_subject_name(m->cert)) != 1 ||
	    X509_set_pubkey(cert, pub) != 1)
		return -1;
	if (add_ext(cert, m->cert, NID_basic_constraints, "critical,CA:FALSE") <
		0 ||
	    add_ext(cert, m->cert, NID_key_usage, "critical,digitalSignature") <
		0 ||
	    add_ext(cert, m->cert, NID_ext_key_usage, "serverAuth") < 0 ||
	    add_ext(cert, m->cert, NID_subject_key_identifier, "hash") < 0 ||
	    add_ext(cert, m->cert, NID_authority_key_identifier,
		"keyid:always") < 0 ||
	    add_ext(cert, m->cert, NID_crl_distribution_points,
		"URI:http://" MINT_CRL_HOST MINT_CRL_PATH) < 0 ||
	    add_san(cert, name) < 0)
		return -1;
	return X509_sign(cert, m->key, EVP_sha256()) > 0 ? 0 : -1;
}

int
mint_leaf(const struct mint *m, const char *name, const void *spki, size_t n,
    struct buf *der, struct error *err)
{
	uint8_t addr[16];
	const unsigned char *p = spki;
	EVP_PKEY *pub = NULL;
	X509 *cert = NULL;
	int ret = -1;

	if (!str_is_hostname(name) && inet_pton(AF_INET6, name, addr) != 1)
		return error_set(err, 0, "not a host name or address");
	/*
	 * front talks to the agent and may be lost to it: the one shape it
	 * can send is compared before any DER is parsed.
	 */
	if (n != MINT_SPKI_SIZE ||
	    memcmp(spki, spki_prefix, sizeof(spki_prefix)) != 0)
		return error_set(err, 0, "not a P-256 public key");
	pub = d2i_PUBKEY(NULL, &p, (long)n);
	cert = X509_new();
	if (pub == NULL || cert == NULL || build_leaf(m, cert, pub, name) < 0 ||
	    put_der(cert, der) < 0)
		crypto_error(err, "minting a leaf");
	else
		ret = 0;
	X509_free(cert);
	EVP_PKEY_free(pub);
	return ret;
}

static int
build_crl(const struct mint *m, X509_CRL *crl)
{
	ASN1_TIME *from = X509_gmtime_adj(NULL, -DAY_S);
	ASN1_TIME *to = X509_gmtime_adj(NULL, MINT_CRL_DAYS * DAY_S);
	ASN1_INTEGER *number = ASN1_INTEGER_new();
	AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *key = X509_get0_subject_key_id(m->cert);
	int ok = 0;

	if (from == NULL || to == NULL || number == NULL || id == NULL ||
	    key == NULL)
		goto out;
	/* It only has to grow (RFC 5280 section 5.2.3). */
	id->keyid = ASN1_OCTET_STRING_dup(key);
	ok = ASN1_INTEGER_set_int64(number, (int64_t)time(NULL)) == 1 &&
	     id->keyid != NULL &&
	     X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
	     X509_CRL_set_issuer_name(crl, X509_get_subject_name(m->cert)) ==
		 1 &&
	     X509_CRL_set1_lastUpdate(crl, from) == 1 &&
	     X509_CRL_set1_nextUpdate(crl, to) == 1 &&
	     X509_CRL_add1_ext_i2d(
		 crl, NID_authority_key_identifier, id, 0, 0) == 1 &&
	     X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1 &&
	     X509_CRL_sign(crl, m->key, EVP_sha256()) > 0;
out:
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	ASN1_INTEGER_free(number);
	AUTHORITY_KEYID_free(id);
	return ok ? 0 : -1;
}

static int
make_crl(struct mint *m, struct error *err)
{
	X509_CRL *crl = X509_CRL_new();
	unsigned char *p = NULL;
	int n = 0;

	if (crl != NULL && build_crl(m, crl) == 0)
		n = i2d_X509_CRL(crl, &p);
	if (n > 0) {
		buf_clear(&m->crl);
		buf_put(&m->crl, p, (size_t)n);
		m->made = time(NULL);
	} else {
		crypto_error(err, "making the list of revoked certificates");
	}
	OPENSSL_free(p);
	X509_CRL_free(crl);
	return n > 0 ? 0 : -1;
}

int
mint_crl(struct mint *m, struct buf *der, struct error *err)
{
	time_t now = time(NULL);

	if ((m->made == 0 || now < m->made ||
		now - m->made >= MINT_CRL_KEEP_S) &&
	    make_crl(m, err) < 0)
		return -1;
	buf_put(der, buf_head(&m->crl), buf_len(&m->crl));
	return 0;
}
