/*
 * A secret value in memory: own pages, locked, excluded from core dumps and
 * fork, wiped on free.  Printed only as a fingerprint.  A few pages are kept,
 * wiped, for the next ones.
 */
#ifndef BRIG_SECRET_H
#define BRIG_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_MAX (64u * 1024)

struct secret;

/* Copies n (1..SECRET_MAX) bytes; NULL with errno if pages cannot be had. */
struct secret *secret_new(const void *p, size_t n);
struct secret *secret_alloc(size_t n); /* zeroed, to be filled in place */
void secret_free(struct secret *s);    /* wipes; NULL is fine */
void secret_cleanup(struct secret **s);
#define cleanup_secret attr_cleanup(secret_cleanup)

uint8_t *secret_data(struct secret *s);
const uint8_t *secret_bytes(const struct secret *s);
size_t secret_len(const struct secret *s);
/* Constant time for equal lengths. */
bool secret_equal(const struct secret *a, const struct secret *b);

#endif
