#include "daemon/audit_verify.h"

#include <openssl/evp.h>

#include "base/log.h"

void
audit_hash_crypto(const uint8_t prev[AUDIT_HASH_SIZE], const void *text,
    size_t n, uint8_t out[AUDIT_HASH_SIZE])
{
	static const uint8_t leaf = AUDIT_HASH_LEAF;
	static EVP_MD_CTX *ctx;
	static EVP_MD *sha;

	if (ctx == NULL) {
		sha = EVP_MD_fetch(NULL, "SHA256", NULL);
		ctx = EVP_MD_CTX_new();
	}
	if (sha == NULL || ctx == NULL ||
	    EVP_DigestInit_ex2(ctx, sha, NULL) != 1 ||
	    EVP_DigestUpdate(ctx, &leaf, 1) != 1 ||
	    EVP_DigestUpdate(ctx, prev, AUDIT_HASH_SIZE) != 1 ||
	    EVP_DigestUpdate(ctx, text, n) != 1 ||
	    EVP_DigestUpdate(ctx, "}", 1) != 1 ||
	    EVP_DigestFinal_ex(ctx, out, NULL) != 1)
		fatalx("audit log: no SHA-256");
}
