/*
 * Stubs: what a job holds instead of a secret.  Equally long and of the same
 * shape, so that format checks of SDKs pass and no length on the wire changes:
 * a known vendor prefix is kept ("ghp_"), punctuation is kept, every other
 * character is replaced by one of its class.  The bytes come from a PRF under
 * the vault's stub key, so that they are the same after a restart of keyd and
 * cannot be guessed or derived by a job.
 */
#ifndef BRIG_PROXY_STUB_H
#define BRIG_PROXY_STUB_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"

#define STUB_MIN 8u         /* bytes of a secret */
#define STUB_FREE_MIN 8u    /* characters that are replaced */
#define STUB_NONCE_SIZE 16u /* of a job */

/*
 * The shape of a value: a string of the same length in which kept characters
 * are themselves and replaced ones are a marker of their class.  It holds
 * nothing secret beyond length and punctuation.  NULL and err when no stub can
 * stand for this value: too short, too few replaceable characters, controls
 * or bytes that are not ASCII.  Caller frees.
 */
char *stub_shape(const struct secret *value, struct error *err);

/* Is s something that stub_shape() can have returned? */
int stub_shape_check(const char *s);

/*
 * The stub of a shape for one job and credential, NUL-terminated, malloc'ed,
 * strlen(shape) long.  attempt gives another one when the first collides.
 */
char *stub_make(const struct secret *key, const uint8_t *nonce, uint32_t job,
    uint32_t cred, uint32_t attempt, const char *shape);

/*
 * First 12 hex digits of HMAC(key, "fingerprint" || value), for people to
 * tell values apart; out holds 13 bytes.
 */
#define STUB_FINGERPRINT_SIZE 13u
void stub_fingerprint(const struct secret *key, const struct secret *value,
    char out[STUB_FINGERPRINT_SIZE]);

#endif
