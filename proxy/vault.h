/*
 * What keyd keeps: the CA, the key of stubs, and the credentials, in memory
 * and in the sealed log of proxy/vault_log.h.  Every change is on disk when the
 * function that makes it returns 0.
 *
 * What is removed stays in the file, sealed, until the vault is written anew,
 * into another file that then takes the name of the first:
 * vault_is_stale() says that it is worth it; vault_rewrite() fills the other
 * file; from then on every change goes to both, since nobody knows yet which
 * of them a crash will leave under the name; vault_switched() says which.
 */
#ifndef BRIG_PROXY_VAULT_H
#define BRIG_PROXY_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/proto.h"
#include "base/secret.h"
#include "proxy/credspec.h"
#include "proxy/stub.h"

#define VAULT_VALUE_MAX 16384u /* bytes of a secret; P_STUB_MAX */
/* Of all jobs together, in number and bytes; then no more are taken. */
#define VAULT_CAPTURED_MAX 1024u
#define VAULT_CAPTURED_BYTES (4u * 1024 * 1024)
/* Bytes of the file that they do not get. */
#define VAULT_RESERVE (4u * 1024 * 1024)

struct credential {
	uint32_t id; /* never used again after removal */
	char name[P_NAME_MAX + 1];
	struct cred_spec spec;
	/*
	 * Of a token that a job was issued: the credential that captured it,
	 * and the job, which alone has it.  Else 0.
	 */
	uint32_t parent, job;
	uint8_t nonce[STUB_NONCE_SIZE]; /* of that job */
	bool revoked;
	uint64_t created, changed; /* unix s */
	char *shape;               /* of its stubs: proxy/stub.h; "" if none */
	struct secret *value;
};

struct vault;

/* Takes fd.  NULL and err: see vault_log_open(). */
struct vault *vault_open(
    int fd, const struct secret *master, struct error *err);
void vault_free(struct vault *v);

/*
 * The interception CA, and the one that takes its place when it is rotated:
 * jobs trust both, so that none has to be started again then.
 */
enum vault_ca {
	VAULT_CA,
	VAULT_CA_NEXT,
	VAULT_CAS
};

/* What the first start stores.  NULL until then; borrowed. */
const struct secret *vault_ca_key(const struct vault *v, enum vault_ca which);
const uint8_t *vault_ca_cert(
    const struct vault *v, enum vault_ca which, size_t *n);
const struct secret *vault_stub_key(const struct vault *v);
/* Copies what it is given.  0 or -1. */
int vault_set_ca(struct vault *v, enum vault_ca which, const struct secret *key,
    const void *cert, size_t n, struct error *err);
/* The next one becomes the CA, and key and cert the next one after it. */
int vault_rotate_ca(struct vault *v, const struct secret *key, const void *cert,
    size_t n, struct error *err);
int vault_set_stub_key(
    struct vault *v, const struct secret *key, struct error *err);

/* Credentials, in ascending order of id; borrowed until the next change. */
size_t vault_count(const struct vault *v);
const struct credential *vault_at(const struct vault *v, size_t i);
/* How many were not captured. */
size_t vault_secrets(const struct vault *v);
/* Never a captured one: their names are not unique. */
const struct credential *vault_by_name(const struct vault *v, const char *name);
const struct credential *vault_by_id(const struct vault *v, uint32_t id);
uint32_t vault_next_id(const struct vault *v);

/* 0, or -1 and err when a field is not what credentials may hold. */
int credential_check(const struct credential *c, struct error *err);
/* Free what c owns, not c. */
void credential_clear(struct credential *c);

/*
 * Add, or replace the one with the same id.  Takes over c's shape and value
 * (they become NULL) when it returns 0.
 */
int vault_put(struct vault *v, struct credential *c, struct error *err);
/* It was issued again: the youngest of its kind from now on, until restart. */
void vault_touch(struct vault *v, uint32_t id, uint64_t now);
/*
 * In memory it is revoked even when the write fails (-1), so that a full disk
 * cannot keep a credential alive.  What it captured goes, as in removal.
 */
int vault_revoke(struct vault *v, uint32_t id, uint64_t now, struct error *err);
int vault_remove(struct vault *v, uint32_t id, struct error *err);
/* All that a job has captured: gone from memory also when it returns -1. */
int vault_forget_job(struct vault *v, uint32_t job, struct error *err);

/* Called after each change that was stored. */
void vault_on_change(struct vault *v, void (*fn)(void *arg), void *arg);
/*
 * Removed values are in the file, or more than half of it means nothing any
 * more, or it is of an old format.
 */
bool vault_is_stale(const struct vault *v);
/* Takes fd, an empty file.  0 when all is on disk there. */
int vault_rewrite(
    struct vault *v, int fd, const struct secret *master, struct error *err);
/* The new file has the name; or not, and the old one is used on. */
void vault_switched(struct vault *v, bool renamed);

/*
 * Apply one plaintext record, as loading does; for tests and fuzzing.
 * vault_new() is a vault without a file, which stores nothing.
 */
struct vault *vault_new(void);
int vault_apply(const uint8_t *p, size_t n, void *vault, struct error *err);

#endif
