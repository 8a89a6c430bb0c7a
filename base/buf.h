/*
 * Growable byte buffer and a read cursor.  All message and wire bytes are
 * written and read through these; nobody else does pointer arithmetic.
 *
 * Writer: appends grow the buffer up to its limit; beyond it the buffer is
 * marked failed and stays so (check once with buf_failed()).
 * Reader: getters never overrun; the first short or bad read marks the
 * cursor failed, later getters return zero values, and cur_end() tells
 * whether everything was read, exactly.
 * Integers are little-endian; a string or blob is a u32 length + bytes.
 */
#ifndef BRIG_BUF_H
#define BRIG_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compat.h"

struct buf {
	uint8_t *data;
	size_t off; /* first unread byte (queues consume from here) */
	size_t len; /* end of written bytes; len - off are live */
	size_t cap;
	size_t limit; /* 0: no limit */
	bool failed;
	bool wipe; /* memory that it gives up is overwritten first */
};

void buf_init(struct buf *b, size_t limit);
/* The same for bytes that may be secret. */
void buf_init_wipe(struct buf *b, size_t limit);
void buf_free(struct buf *b);  /* safe on a zeroed or freed buf */
void buf_clear(struct buf *b); /* keeps the memory */
#define cleanup_buf attr_cleanup(buf_free)

static inline size_t
buf_len(const struct buf *b)
{
	return b->len - b->off;
}

static inline uint8_t *
buf_head(const struct buf *b)
{
	return b->data == NULL ? NULL : b->data + b->off;
}

bool buf_failed(const struct buf *b);
/* Room for n more bytes at the tail; NULL when over the limit. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);  /* n <= reserved */
void buf_consume(struct buf *b, size_t n); /* n <= buf_len() */
void buf_cut(struct buf *b, size_t n);     /* keep the first n <= buf_len() */

void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
/* Network order, for protocols of others. */
void buf_put_be32(struct buf *b, uint32_t v);
void buf_put_blob(struct buf *b, const void *p, size_t n);
void buf_put_str(struct buf *b, const char *s); /* NULL is written as "" */
/* Text: a string without its NUL, a number of at least width (up to 20)
 * digits.  What buf_printf() does takes several times as long. */
void buf_put_text(struct buf *b, const char *s);
void buf_put_dec(struct buf *b, uint64_t v, size_t width);
void buf_printf(struct buf *b, const char *fmt, ...) attr_printf(2, 3);
/* Overwrite a u32 written earlier at absolute offset off. */
void buf_patch_u32(struct buf *b, size_t off, uint32_t v);

struct cur {
	const uint8_t *p;
	size_t left;
	bool failed;
};

void cur_init(struct cur *c, const void *p, size_t n);
uint8_t cur_u8(struct cur *c);
uint16_t cur_u16(struct cur *c);
uint32_t cur_u32(struct cur *c);
uint64_t cur_u64(struct cur *c);
uint32_t cur_be32(struct cur *c); /* network order */
bool cur_bool(struct cur *c);     /* fails unless 0 or 1 */
/* Borrowed bytes, valid as long as the source; n <= max or the cursor fails. */
const uint8_t *cur_blob(struct cur *c, size_t max, size_t *n);
/* A string without NUL, at most max bytes.  malloc'ed; NULL on failure. */
char *cur_str(struct cur *c, size_t max);
/* Same into a fixed buffer; the string and its NUL must fit. */
void cur_str_into(struct cur *c, char *dst, size_t size);
/* A count of list members, each at least min_each bytes: bounds allocation. */
uint32_t cur_count(struct cur *c, uint32_t max, size_t min_each);
const uint8_t *cur_bytes(struct cur *c, size_t n); /* exactly n */
/* 0 if nothing failed and no byte is left, else -1. */
int cur_end(const struct cur *c);

#endif
