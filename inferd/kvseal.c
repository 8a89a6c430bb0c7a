#include "inferd/kvseal.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/str.h"

#define KEY_SIZE 32u

/*
 * Algorithms are fetched once, at the start: later OpenSSL may open no file of
 * its configuration any more.
 */
struct kvseal_master {
	struct secret *key;
	uint8_t binding[KEY_SIZE]; /* its SHA-256 */
	EVP_CIPHER *cipher;
	EVP_MAC *mac;
	EVP_MAC_CTX *hmac; /* ready for a key */
};

struct kvseal {
	const struct kvseal_master *m;
	struct secret *seal, *names;
};

struct kvseal_stream {
	EVP_CIPHER_CTX *ctx;
};

static void
hmac(const struct kvseal_master *m, const struct secret *key, const void *a,
    size_t na, const void *b, size_t nb, uint8_t out[KEY_SIZE])
{
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_dup(m->hmac);
	size_t n = 0;

	if (ctx == NULL ||
	    EVP_MAC_init(ctx, secret_bytes(key), secret_len(key), NULL) != 1 ||
	    EVP_MAC_update(ctx, a, na) != 1 ||
	    EVP_MAC_update(ctx, b, nb) != 1 ||
	    EVP_MAC_final(ctx, out, &n, KEY_SIZE) != 1 || n != KEY_SIZE)
		fatalx("HMAC-SHA256 failed");
	EVP_MAC_CTX_free(ctx);
}

/* HKDF-SHA256 of one block; NULL: no memory. */
static struct secret *
derive(const void *key, size_t n, const void *salt, size_t nsalt,
    const char *what, const uint8_t *binding, const char *agent)
{
	char digest[] = "SHA256";
	const size_t nwhat = strlen(what) + 1, nagent = strlen(agent) + 1;
	const size_t ninfo = nwhat + KEY_SIZE + nagent;
	cleanup_free uint8_t *info = xmalloc(ninfo);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, n),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, nsalt),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_INFO, info, ninfo),
		OSSL_PARAM_construct_end(),
	};
	struct secret *out = secret_alloc(KEY_SIZE);
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);

	memcpy(info, what, nwhat);
	memcpy(info + nwhat, binding, KEY_SIZE);
	memcpy(info + nwhat + KEY_SIZE, agent, nagent);
	if (out != NULL && (ctx == NULL || EVP_KDF_derive(ctx, secret_data(out),
					       KEY_SIZE, params) != 1))
		fatalx("HKDF-SHA256 failed");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return out;
}

struct kvseal_master *
kvseal_master_new(
    const void *key, size_t n, const char *binding, struct error *err)
{
	static const char salt[] = "brig inferd cache 1";
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(
		    OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	struct kvseal_master *m = xcalloc(1, sizeof(*m));

	/* Not bound yet: an agent has the same tag for all models. */
	m->key = derive(key, n, salt, sizeof(salt), "master", m->binding, "");
	m->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	m->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	m->hmac = m->mac == NULL ? NULL : EVP_MAC_CTX_new(m->mac);
	if (m->key == NULL || m->cipher == NULL || m->hmac == NULL ||
	    EVP_MAC_CTX_set_params(m->hmac, params) != 1 ||
	    EVP_Digest(binding, strlen(binding), m->binding, NULL, EVP_sha256(),
		NULL) != 1) {
		kvseal_master_free(m);
		error_set(err, 0,
		    "the cache's keys: no locked memory, or OpenSSL has no "
		    "AES-256-GCM or HMAC");
		return NULL;
	}
	return m;
}

void
kvseal_master_free(struct kvseal_master *m)
{
	if (m == NULL)
		return;
	secret_free(m->key);
	EVP_CIPHER_free(m->cipher);
	EVP_MAC_CTX_free(m->hmac);
	EVP_MAC_free(m->mac);
	free(m);
}

void
kvseal_tag(const struct kvseal_master *m, const char *what, const char *text,
    uint8_t *out, size_t n)
{
	uint8_t full[KEY_SIZE];

	hmac(m, m->key, what, strlen(what) + 1, text, strlen(text), full);
	memcpy(out, full, n);
}

void
kvseal_binding_tag(const struct kvseal_master *m, uint8_t *out, size_t n)
{
	uint8_t full[KEY_SIZE];

	hmac(m, m->key, "binding", 8, m->binding, sizeof(m->binding), full);
	memcpy(out, full, n);
}

struct kvseal *
kvseal_new(const struct kvseal_master *m, const char *agent,
    const uint8_t salt[KVSEAL_SALT_SIZE])
{
	struct kvseal *k = xcalloc(1, sizeof(*k));
	const uint8_t *key = secret_bytes(m->key);
	const size_t n = secret_len(m->key);

	k->m = m;
	k->seal =
	    derive(key, n, salt, KVSEAL_SALT_SIZE, "seal", m->binding, agent);
	k->names =
	    derive(key, n, salt, KVSEAL_SALT_SIZE, "names", m->binding, agent);
	if (k->seal == NULL || k->names == NULL) {
		kvseal_free(k);
		return NULL;
	}
	return k;
}

void
kvseal_free(struct kvseal *k)
{
	if (k == NULL)
		return;
	secret_free(k->seal);
	secret_free(k->names);
	free(k);
}

void
kvseal_name(const struct kvseal *k, const uint8_t *before, const int32_t *ids,
    size_t n, uint8_t out[KVSEAL_NAME_SIZE])
{
	static const uint8_t first[KVSEAL_NAME_SIZE];

	hmac(k->m, k->names, before != NULL ? before : first, KVSEAL_NAME_SIZE,
	    ids, n * sizeof(*ids), out);
}

struct kvseal_stream *
kvseal_begin(const struct kvseal *k, bool seal,
    const uint8_t name[KVSEAL_NAME_SIZE],
    const uint8_t nonce[KVSEAL_NONCE_SIZE])
{
	struct kvseal_stream *s = xcalloc(1, sizeof(*s));
	int n;

	s->ctx = EVP_CIPHER_CTX_new();
	if (s->ctx == NULL ||
	    EVP_CipherInit_ex2(s->ctx, k->m->cipher, secret_bytes(k->seal),
		nonce, seal, NULL) != 1 ||
	    EVP_CipherUpdate(s->ctx, NULL, &n, name, KVSEAL_NAME_SIZE) != 1) {
		kvseal_drop(s);
		return NULL;
	}
	return s;
}

bool
kvseal_feed(struct kvseal_stream *s, const void *in, void *out, size_t n)
{
	int k;

	return EVP_CipherUpdate(s->ctx, out, &k, in, (int)n) == 1 &&
	       k == (int)n;
}

bool
kvseal_end(struct kvseal_stream *s, uint8_t tag[KVSEAL_TAG_SIZE])
{
	uint8_t none;
	int n;
	const bool ok = EVP_CipherFinal_ex(s->ctx, &none, &n) == 1 &&
			EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_GET_TAG,
			    KVSEAL_TAG_SIZE, tag) == 1;

	kvseal_drop(s);
	return ok;
}

bool
kvseal_open_end(struct kvseal_stream *s, const uint8_t tag[KVSEAL_TAG_SIZE])
{
	uint8_t none;
	int n;
	const bool ok = EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_SET_TAG,
			    KVSEAL_TAG_SIZE, (void *)(uintptr_t)tag) == 1 &&
			EVP_CipherFinal_ex(s->ctx, &none, &n) == 1;

	kvseal_drop(s);
	return ok;
}

void
kvseal_drop(struct kvseal_stream *s)
{
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->ctx);
	free(s);
}
