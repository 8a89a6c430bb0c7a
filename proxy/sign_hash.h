/*
 * SHA-256 and HMAC as request signatures need them.  Pure.  Keys are the
 * caller's to wipe.
 */
#ifndef BRIG_PROXY_SIGN_HASH_H
#define BRIG_PROXY_SIGN_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SIGN_SHA256_SIZE 32u
#define SIGN_HEX_SIZE (2 * SIGN_SHA256_SIZE + 1)
#define SIGN_MAC_MAX 64u /* of SHA-512 */

void sign_hex(const uint8_t *p, size_t n, char *out /* 2 * n + 1 */);
void sign_sha256_hex(const void *p, size_t n, char out[SIGN_HEX_SIZE]);
/* The same in pieces; sign_sha256_end() frees it, and out may be NULL. */
struct sign_sha256 *sign_sha256_new(void);
void sign_sha256_feed(struct sign_sha256 *s, const void *p, size_t n);
void sign_sha256_end(struct sign_sha256 *s, char out[SIGN_HEX_SIZE]);
/* digest: "SHA1", "SHA256", "SHA512".  Returns the bytes written to out. */
size_t sign_hmac(const char *digest, const void *key, size_t nkey,
    const void *p, size_t n, uint8_t out[SIGN_MAC_MAX]);

#endif
