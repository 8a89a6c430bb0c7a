#include "proxy/sign_hash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/log.h"

void
sign_hex(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	*out = '\0';
}

void
sign_sha256_hex(const void *p, size_t n, char out[SIGN_HEX_SIZE])
{
	uint8_t hash[SIGN_SHA256_SIZE];
	unsigned int len = 0;

	if (EVP_Digest(p, n, hash, &len, EVP_sha256(), NULL) != 1 ||
	    len != sizeof(hash))
		fatalx("OpenSSL has no SHA-256");
	sign_hex(hash, sizeof(hash), out);
}

struct sign_sha256 *
sign_sha256_new(void)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1)
		fatalx("OpenSSL has no SHA-256");
	return (struct sign_sha256 *)ctx;
}

void
sign_sha256_feed(struct sign_sha256 *s, const void *p, size_t n)
{
	if (EVP_DigestUpdate((EVP_MD_CTX *)s, p, n) != 1)
		fatalx("OpenSSL has no SHA-256");
}

void
sign_sha256_end(struct sign_sha256 *s, char out[SIGN_HEX_SIZE])
{
	uint8_t hash[SIGN_SHA256_SIZE];

	if (s == NULL)
		return;
	if (EVP_DigestFinal_ex((EVP_MD_CTX *)s, hash, NULL) != 1)
		fatalx("OpenSSL has no SHA-256");
	EVP_MD_CTX_free((EVP_MD_CTX *)s);
	if (out != NULL)
		sign_hex(hash, sizeof(hash), out);
}

size_t
sign_hmac(const char *digest, const void *key, size_t nkey, const void *p,
    size_t n, uint8_t out[SIGN_MAC_MAX])
{
	size_t len = 0;

	if (EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, key, nkey, p, n, out,
		SIGN_MAC_MAX, &len) == NULL)
		fatalx("OpenSSL has no HMAC with %s", digest);
	return len;
}
