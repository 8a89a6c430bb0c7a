/*
 * Keys of what is kept of prompts on disk, the names that it has there, and
 * its seal (AES-256-GCM, NIST SP 800-38D).  Pure but for random bytes.
 *
 * From one master key come, by HKDF (RFC 5869), for each agent a key of its
 * own to seal with and one to make names with.  Both are bound to `binding`
 * (the model and everything else that says what bytes mean) and to a salt that
 * is kept beside the files: without the salt they are lost.
 */
#ifndef BRIG_INFERD_KVSEAL_H
#define BRIG_INFERD_KVSEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define KVSEAL_SALT_SIZE 32u
#define KVSEAL_NAME_SIZE 32u
#define KVSEAL_TAG_SIZE 16u
#define KVSEAL_NONCE_SIZE 12u

struct kvseal_master;
struct kvseal; /* keys of one agent */

/* NULL with err: OpenSSL lacks something, or there is no memory. */
struct kvseal_master *kvseal_master_new(
    const void *key, size_t n, const char *binding, struct error *err);
void kvseal_master_free(struct kvseal_master *m); /* wipes; NULL is fine */
/* A name for a text that tells nothing of it: n bytes, at most 32. */
void kvseal_tag(const struct kvseal_master *m, const char *what,
    const char *text, uint8_t *out, size_t n);
void kvseal_binding_tag(const struct kvseal_master *m, uint8_t *out, size_t n);

/* m stays.  NULL when there is no memory that can be locked. */
struct kvseal *kvseal_new(const struct kvseal_master *m, const char *agent,
    const uint8_t salt[KVSEAL_SALT_SIZE]);
void kvseal_free(struct kvseal *k); /* wipes; NULL is fine */

/*
 * The name of a page of n tokens behind the page with the name `before` (NULL:
 * there is none): it stands for all tokens from the first one on.
 */
void kvseal_name(const struct kvseal *k, const uint8_t *before,
    const int32_t *ids, size_t n, uint8_t out[KVSEAL_NAME_SIZE]);

/*
 * Bytes being sealed or opened, for exactly one name.  kvseal_open_end() is
 * the only one that says whether what was opened is what was sealed: until
 * then it is nothing to rely on.
 */
struct kvseal_stream;
/* NULL: no memory. */
struct kvseal_stream *kvseal_begin(const struct kvseal *k, bool seal,
    const uint8_t name[KVSEAL_NAME_SIZE],
    const uint8_t nonce[KVSEAL_NONCE_SIZE]);
/* out may be in.  n < 2^30. */
bool kvseal_feed(struct kvseal_stream *s, const void *in, void *out, size_t n);
/* Both free s. */
bool kvseal_end(struct kvseal_stream *s, uint8_t tag[KVSEAL_TAG_SIZE]);
bool kvseal_open_end(
    struct kvseal_stream *s, const uint8_t tag[KVSEAL_TAG_SIZE]);
void kvseal_drop(struct kvseal_stream *s); /* NULL is fine */

#endif
