/*
 * The vault file as an append-only log of sealed records, over a descriptor
 * that somebody else opened.  Used in keyd only.
 *
 * File: magic[8], salt[16], check[16], two anchors; then records.
 * Anchor: u64 number of records, mac[16]; zeros at first.
 * Record: u32 n, nonce[12], mac[16], ciphertext[n], tag[16].
 *
 * Two keys are derived from the master key and the salt.  A record is sealed
 * with AES-256-GCM under a random nonce; its additional data are the format,
 * the sequence number, the length and the tag of the record before, so that
 * records cannot be changed, reordered, dropped in the middle or replayed.
 * mac (HMAC-SHA256, cut to 16 bytes) covers n, nonce, sequence number and the
 * tag before, so that a damaged length is not taken for a write that was cut
 * off: only a file that ends inside a record, or in zeros, was torn, and
 * loses that record.
 *
 * The anchors are written in turn, each once its records are on disk: a file
 * with fewer records than an anchor counts has lost some of its end.  A whole
 * older copy of the file cannot be told from the file.  The first format had
 * no anchors; such files are read and written on as they are.
 */
#ifndef BRIG_PROXY_VAULT_LOG_H
#define BRIG_PROXY_VAULT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"

#define VAULT_OLD_HEADER_SIZE 40u
#define VAULT_HEADER_SIZE 88u
#define VAULT_RECORD_OVERHEAD 48u
#define VAULT_RECORD_MAX 40960u            /* plaintext of one record */
#define VAULT_FILE_MAX (16u * 1024 * 1024) /* no record is added beyond */
#define VAULT_KEY_SIZE 32u

struct vault_log;

/* One record: 0, or -1 with err when it makes no sense. */
typedef int vault_log_fn(
    const uint8_t *p, size_t n, void *arg, struct error *err);

/*
 * Takes fd (also on failure).  An empty file becomes a vault; otherwise fn is
 * called for every record, in order, and a torn last record is cut off.
 * NULL and err: wrong key, damage, I/O.
 */
struct vault_log *vault_log_open(int fd, const struct secret *master,
    vault_log_fn *fn, void *arg, struct error *err);
void vault_log_free(struct vault_log *l);

/*
 * Seal and append one record of 1..VAULT_RECORD_MAX bytes; on disk when it
 * returns 0.  After -1 the file is as before, or the log takes no more.
 */
int vault_log_append(
    struct vault_log *l, const void *p, size_t n, struct error *err);

/*
 * With lazy, appending does not wait for the disk; vault_log_sync() does, and
 * then goes on as before.
 */
void vault_log_lazy(struct vault_log *l);
int vault_log_sync(struct vault_log *l, struct error *err);

/* Bytes of the file, and whether it is of the first format. */
uint64_t vault_log_size(const struct vault_log *l);
bool vault_log_is_old(const struct vault_log *l);

#endif
