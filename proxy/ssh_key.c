#include "proxy/ssh_key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/str.h"

#define BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define END "-----END OPENSSH PRIVATE KEY-----"
#define ED25519 "ssh-ed25519"
#define RSA_TYPE "ssh-rsa"
#define ED25519_SIZE 32u
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 16384

struct ssh_key {
	EVP_PKEY *pkey;
	struct buf pub;
};

/* The ECDSA key types: OpenSSL's and SSH's names. */
static const struct curve {
	const char *type, *ssh, *openssl;
	const char *md;
} curves[] = {
	{ "ecdsa-sha2-nistp256", "nistp256", "prime256v1", "SHA256" },
	{ "ecdsa-sha2-nistp384", "nistp384", "secp384r1", "SHA384" },
	{ "ecdsa-sha2-nistp521", "nistp521", "secp521r1", "SHA512" },
};

static const struct curve *
curve_of(const struct ssh_str *type)
{
	for (size_t i = 0; i < nitems(curves); i++)
		if (ssh_is(type, curves[i].type))
			return &curves[i];
	return NULL;
}

/* ---- numbers ------------------------------------------------------------ */

/* A non-negative mpint (RFC 4251 section 5). */
static BIGNUM *
get_mpint(struct cur *c)
{
	struct ssh_str s;

	if (ssh_get(c, &s) < 0 || (s.n > 0 && (s.p[0] & 0x80) != 0))
		return NULL;
	return BN_bin2bn(s.p, (int)s.n, NULL);
}

static void
put_mpint(struct buf *b, const BIGNUM *v)
{
	size_t n = (size_t)BN_num_bytes(v);
	uint8_t *p;

	buf_put_be32(b, (uint32_t)(n + (BN_num_bits(v) % 8 == 0 && n > 0)));
	if (BN_num_bits(v) % 8 == 0 && n > 0)
		buf_put_u8(b, 0);
	p = buf_reserve(b, n + 1);
	if (p != NULL)
		buf_commit(b, (size_t)BN_bn2bin(v, p));
}

/* ---- keys from their parts ---------------------------------------------- */

static EVP_PKEY *
from_params(const char *type, OSSL_PARAM_BLD *bld, bool private)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
	EVP_PKEY *pkey = NULL;

	if (ctx == NULL || params == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey,
		private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
		pkey = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

/* d is NULL for a public key. */
static EVP_PKEY *
make_ec(const struct curve *cv, const struct ssh_str *point, const BIGNUM *d)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(
		bld, OSSL_PKEY_PARAM_GROUP_NAME, cv->openssl, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		bld, OSSL_PKEY_PARAM_PUB_KEY, point->p, point->n) == 1 &&
	    (d == NULL ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, d) == 1))
		pkey = from_params("EC", bld, d != NULL);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

static EVP_PKEY *
make_rsa(const BIGNUM *n, const BIGNUM *e, const BIGNUM *d)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	EVP_PKEY *pkey = NULL;

	if (bld != NULL && n != NULL && e != NULL &&
	    BN_num_bits(n) >= RSA_BITS_MIN && BN_num_bits(n) <= RSA_BITS_MAX &&
	    BN_num_bits(e) <= 64 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
	    (d == NULL ||
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_D, d) == 1))
		pkey = from_params("RSA", bld, d != NULL);
	OSSL_PARAM_BLD_free(bld);
	return pkey;
}

/* ---- OpenSSH's private keys (its PROTOCOL.key) --------------------------- */

static EVP_PKEY *
read_private(struct cur *c)
{
	struct ssh_str type, a, b;
	const struct curve *cv;
	EVP_PKEY *pkey = NULL;

	if (ssh_get(c, &type) < 0)
		return NULL;
	cv = curve_of(&type);
	if (ssh_is(&type, ED25519)) {
		if (ssh_get(c, &a) == 0 && ssh_get(c, &b) == 0 &&
		    b.n == 2 * ED25519_SIZE)
			pkey = EVP_PKEY_new_raw_private_key(
			    EVP_PKEY_ED25519, NULL, b.p, ED25519_SIZE);
	} else if (cv != NULL) {
		if (ssh_get(c, &a) == 0 && ssh_is(&a, cv->ssh) &&
		    ssh_get(c, &b) == 0) {
			BIGNUM *d = get_mpint(c);

			if (d != NULL)
				pkey = make_ec(cv, &b, d);
			BN_clear_free(d);
		}
	} else if (ssh_is(&type, RSA_TYPE)) {
		BIGNUM *n = get_mpint(c), *e = get_mpint(c), *d = get_mpint(c);

		if (d != NULL)
			pkey = make_rsa(n, e, d);
		BN_free(n);
		BN_free(e);
		BN_clear_free(d);
	}
	return pkey;
}

static EVP_PKEY *
read_openssh(const uint8_t *p, size_t n, struct error *err)
{
	static const char magic[] = "openssh-key-v1"; /* with its NUL */
	struct ssh_str cipher, kdf, opts, pub, priv;
	EVP_PKEY *pkey = NULL;
	const uint8_t *head;
	struct cur c;

	cur_init(&c, p, n);
	head = cur_bytes(&c, sizeof(magic));
	if (head == NULL || memcmp(head, magic, sizeof(magic)) != 0 ||
	    ssh_get(&c, &cipher) < 0 || ssh_get(&c, &kdf) < 0 ||
	    ssh_get(&c, &opts) < 0 || cur_be32(&c) != 1 ||
	    ssh_get(&c, &pub) < 0 || ssh_get(&c, &priv) < 0) {
		(void)error_set(err, 0, "the private key is malformed");
		return NULL;
	}
	if (!ssh_is(&cipher, "none")) {
		(void)error_set(err, 0,
		    "the private key has a passphrase: take it off with "
		    "ssh-keygen -p");
		return NULL;
	}
	cur_init(&c, priv.p, priv.n);
	if (cur_be32(&c) == cur_be32(&c) && !c.failed)
		pkey = read_private(&c);
	if (pkey == NULL)
		(void)error_set(
		    err, 0, "the private key is of no kind that is known here");
	return pkey;
}

/* The base64 between both lines. */
static EVP_PKEY *
load_openssh(const char *text, size_t n, struct error *err)
{
	const char *from = text + strlen(BEGIN);
	const char *end = memmem(text, n, END, strlen(END));
	EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
	uint8_t *raw = xmalloc(n);
	EVP_PKEY *pkey = NULL;
	int k = 0, last = 0;

	if (end != NULL && end > from && ctx != NULL) {
		EVP_DecodeInit(ctx);
		if (EVP_DecodeUpdate(ctx, raw, &k, (const uint8_t *)from,
			(int)(end - from)) >= 0 &&
		    EVP_DecodeFinal(ctx, raw + k, &last) >= 0)
			pkey = read_openssh(raw, (size_t)(k + last), err);
		else
			(void)error_set(err, 0, "the private key is malformed");
	} else {
		(void)error_set(err, 0, "the private key has no end");
	}
	EVP_ENCODE_CTX_free(ctx);
	OPENSSL_cleanse(raw, n);
	free(raw);
	return pkey;
}

static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	return 0;
}

static EVP_PKEY *
load_pem(const char *text, size_t n, struct error *err)
{
	BIO *bio = BIO_new_mem_buf(text, (int)n);
	EVP_PKEY *pkey = NULL;

	if (bio != NULL)
		pkey = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (pkey == NULL)
		(void)error_set(err, 0,
		    "not a private key in OpenSSH's format or PEM, or one "
		    "with a passphrase");
	return pkey;
}

/* ---- the public half ---------------------------------------------------- */

static void
put_text(struct buf *b, const char *s)
{
	ssh_put(b, s, strlen(s));
}

static int
put_rsa(struct buf *b, const EVP_PKEY *pkey)
{
	BIGNUM *n = NULL, *e = NULL;
	int rc = -1;

	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
	    BN_num_bits(n) >= RSA_BITS_MIN) {
		put_text(b, RSA_TYPE);
		put_mpint(b, e);
		put_mpint(b, n);
		rc = 0;
	}
	BN_free(n);
	BN_free(e);
	return rc;
}

static int
put_ec(struct buf *b, const EVP_PKEY *pkey)
{
	uint8_t point[160];
	char group[32];
	size_t n = 0;

	if (EVP_PKEY_get_utf8_string_param(pkey, OSSL_PKEY_PARAM_GROUP_NAME,
		group, sizeof(group), NULL) != 1 ||
	    EVP_PKEY_get_octet_string_param(
		pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) != 1 ||
	    n == 0 || point[0] != POINT_CONVERSION_UNCOMPRESSED)
		return -1;
	for (size_t i = 0; i < nitems(curves); i++)
		if (strcmp(group, curves[i].openssl) == 0) {
			put_text(b, curves[i].type);
			put_text(b, curves[i].ssh);
			ssh_put(b, point, n);
			return 0;
		}
	return -1;
}

static int
put_public(struct buf *b, const EVP_PKEY *pkey)
{
	uint8_t raw[ED25519_SIZE];
	size_t n = sizeof(raw);

	switch (EVP_PKEY_get_id(pkey)) {
	case EVP_PKEY_ED25519:
		if (EVP_PKEY_get_raw_public_key(pkey, raw, &n) != 1)
			return -1;
		put_text(b, ED25519);
		ssh_put(b, raw, n);
		return 0;
	case EVP_PKEY_EC:
		return put_ec(b, pkey);
	case EVP_PKEY_RSA:
		return put_rsa(b, pkey);
	default:
		return -1;
	}
}

struct ssh_key *
ssh_key_load(const void *p, size_t n, struct error *err)
{
	struct ssh_key *k = xcalloc(1, sizeof(*k));

	if (n >= strlen(BEGIN) && memcmp(p, BEGIN, strlen(BEGIN)) == 0)
		k->pkey = load_openssh(p, n, err);
	else
		k->pkey = load_pem(p, n, err);
	if (k->pkey != NULL && put_public(&k->pub, k->pkey) == 0)
		return k;
	if (k->pkey != NULL)
		(void)error_set(err, 0,
		    "only ed25519, ECDSA and RSA keys of 2048 bits and more "
		    "can be used");
	ssh_key_free(k);
	return NULL;
}

void
ssh_key_free(struct ssh_key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->pkey);
	buf_free(&k->pub);
	free(k);
}

struct ssh_str
ssh_key_public(const struct ssh_key *k)
{
	return (struct ssh_str){ buf_head(&k->pub), buf_len(&k->pub) };
}

/* ---- signatures --------------------------------------------------------- */

/* The digest of an algorithm that a key of that type may sign with; "" for
 * one that needs none; NULL if they do not go together. */
static const char *
digest_of(const struct ssh_str *type, const struct ssh_str *algorithm)
{
	const struct curve *cv = curve_of(type);

	if (cv != NULL)
		return ssh_same(type, algorithm) ? cv->md : NULL;
	if (ssh_is(type, ED25519))
		return ssh_same(type, algorithm) ? "" : NULL;
	if (!ssh_is(type, RSA_TYPE))
		return NULL;
	if (ssh_is(algorithm, "rsa-sha2-256"))
		return "SHA256";
	return ssh_is(algorithm, "rsa-sha2-512") ? "SHA512" : NULL;
}

/* DER to two mpints (RFC 5656 section 3.1.2). */
static int
put_ecdsa(struct buf *b, const uint8_t *der, size_t n)
{
	cleanup_buf struct buf pair = { 0 };
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);

	if (sig == NULL)
		return -1;
	put_mpint(&pair, ECDSA_SIG_get0_r(sig));
	put_mpint(&pair, ECDSA_SIG_get0_s(sig));
	ECDSA_SIG_free(sig);
	ssh_put(b, buf_head(&pair), buf_len(&pair));
	return 0;
}

int
ssh_key_sign(const struct ssh_key *k, const struct ssh_str *algorithm,
    const struct ssh_str *data, struct buf *out, struct error *err)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct ssh_str type;
	const char *md;
	uint8_t sig[RSA_BITS_MAX / 8];
	size_t n = sizeof(sig);
	struct cur c;
	int rc = -1;

	cur_init(&c, buf_head(&k->pub), buf_len(&k->pub));
	(void)ssh_get(&c, &type);
	md = digest_of(&type, algorithm);
	if (ctx != NULL && md != NULL &&
	    EVP_DigestSignInit_ex(ctx, NULL, md[0] == '\0' ? NULL : md, NULL,
		NULL, k->pkey, NULL) == 1 &&
	    EVP_DigestSign(ctx, sig, &n, data->p, data->n) == 1) {
		ssh_put(out, algorithm->p, algorithm->n);
		rc = 0;
		if (curve_of(&type) != NULL)
			rc = put_ecdsa(out, sig, n);
		else
			ssh_put(out, sig, n);
	}
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return rc < 0 ? error_set(
			    err, 0, "the key does not sign with that algorithm")
		      : 0;
}

static EVP_PKEY *
read_public(const struct ssh_str *key, struct ssh_str *type)
{
	const struct curve *cv;
	struct ssh_str a, b;
	EVP_PKEY *pkey = NULL;
	struct cur c;

	cur_init(&c, key->p, key->n);
	if (ssh_get(&c, type) < 0)
		return NULL;
	cv = curve_of(type);
	if (ssh_is(type, ED25519)) {
		if (ssh_get(&c, &a) == 0 && a.n == ED25519_SIZE)
			pkey = EVP_PKEY_new_raw_public_key(
			    EVP_PKEY_ED25519, NULL, a.p, a.n);
	} else if (cv != NULL) {
		if (ssh_get(&c, &a) == 0 && ssh_is(&a, cv->ssh) &&
		    ssh_get(&c, &b) == 0)
			pkey = make_ec(cv, &b, NULL);
	} else if (ssh_is(type, RSA_TYPE)) {
		BIGNUM *e = get_mpint(&c), *n = get_mpint(&c);

		pkey = make_rsa(n, e, NULL);
		BN_free(e);
		BN_free(n);
	}
	if (pkey != NULL && cur_end(&c) < 0) {
		EVP_PKEY_free(pkey);
		pkey = NULL;
	}
	return pkey;
}

/* Two mpints to DER, malloc'ed by OpenSSL. */
static int
ecdsa_der(const struct ssh_str *blob, uint8_t **der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r, *s;
	struct cur c;
	int n = -1;

	cur_init(&c, blob->p, blob->n);
	r = get_mpint(&c);
	s = get_mpint(&c);
	if (sig != NULL && r != NULL && s != NULL && cur_end(&c) == 0 &&
	    ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(sig, der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return n;
}

static int
check(EVP_PKEY *pkey, const char *md, const uint8_t *sig, size_t n,
    const struct ssh_str *data)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = -1;

	if (ctx != NULL &&
	    EVP_DigestVerifyInit_ex(ctx, NULL, md[0] == '\0' ? NULL : md, NULL,
		NULL, pkey, NULL) == 1 &&
	    EVP_DigestVerify(ctx, sig, n, data->p, data->n) == 1)
		rc = 0;
	EVP_MD_CTX_free(ctx);
	return rc;
}

int
ssh_verify(const struct ssh_str *key, const struct ssh_str *signature,
    const struct ssh_str *data)
{
	struct ssh_str type, algorithm, blob;
	EVP_PKEY *pkey = read_public(key, &type);
	uint8_t *der = NULL;
	const char *md;
	struct cur c;
	int rc = -1, n;

	cur_init(&c, signature->p, signature->n);
	if (pkey != NULL && ssh_get(&c, &algorithm) == 0 &&
	    ssh_get(&c, &blob) == 0 && cur_end(&c) == 0 &&
	    (md = digest_of(&type, &algorithm)) != NULL) {
		if (curve_of(&type) == NULL)
			rc = check(pkey, md, blob.p, blob.n, data);
		else if ((n = ecdsa_der(&blob, &der)) > 0)
			rc = check(pkey, md, der, (size_t)n, data);
	}
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
	ERR_clear_error();
	return rc;
}

/* ---- keys of hosts ------------------------------------------------------ */

static bool
is_type(const char *s, size_t n)
{
	const struct ssh_str type = { (const uint8_t *)s, n };

	return ssh_is(&type, ED25519) || ssh_is(&type, RSA_TYPE) ||
	       curve_of(&type) != NULL;
}

/* The next word of a line; its length, 0 at the end. */
static size_t
word(const char **s, const char *end, const char **w)
{
	const char *p = *s;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	*w = p;
	while (p < end && *p != ' ' && *p != '\t' && *p != '\r')
		p++;
	*s = p;
	return (size_t)(p - *w);
}

/* Is the host one of a list with commas? */
static bool
names(const char *list, size_t n, const char *host, uint16_t port)
{
	cleanup_free char *with_port = xasprintf("[%s]:%u", host, port);
	const char *want = port == 22 ? host : with_port;

	while (n > 0) {
		const char *comma = memchr(list, ',', n);
		size_t len = comma == NULL ? n : (size_t)(comma - list);

		if (len == strlen(want) && strncasecmp(list, want, len) == 0)
			return true;
		if (comma == NULL)
			break;
		n -= len + 1;
		list = comma + 1;
	}
	return false;
}

static bool
line_has(const char *s, const char *end, const char *host, uint16_t port,
    const char *b64)
{
	const char *w, *key;
	size_t n = word(&s, end, &w), nkey;

	if (n == 0 || *w == '#' || *w == '@')
		return false;
	if (!is_type(w, n)) {
		if (!names(w, n, host, port))
			return false;
		n = word(&s, end, &w);
		if (!is_type(w, n))
			return false;
	}
	nkey = word(&s, end, &key);
	return nkey == strlen(b64) && memcmp(key, b64, nkey) == 0;
}

bool
ssh_known(const void *text, size_t n, const char *host, uint16_t port,
    const struct ssh_str *key)
{
	cleanup_free char *b64 = xmalloc((key->n + 2) / 3 * 4 + 1);
	const char *s = text, *end = s + n;

	EVP_EncodeBlock((uint8_t *)b64, key->p, (int)key->n);
	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		const char *stop = nl == NULL ? end : nl;

		if (line_has(s, stop, host, port, b64))
			return true;
		s = nl == NULL ? end : nl + 1;
	}
	return false;
}
