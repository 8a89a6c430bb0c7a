/*
 * HMAC-SHA256 under a key that stays in locked memory.  Used in keyd only.
 */
#ifndef BRIG_PROXY_PRF_H
#define BRIG_PROXY_PRF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/secret.h"

#define PRF_SIZE 32u

/* out = HMAC-SHA256(key, parts[0] || parts[1] ...).  fatal() if OpenSSL has
 * no HMAC: nothing of keyd works without. */
void prf(const struct secret *key, const struct iovec *parts, size_t n,
    uint8_t out[PRF_SIZE]);

#endif
