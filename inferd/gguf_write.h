/*
 * Writes what gguf.h reads: pieces of a GGUF version 3 head, one after the
 * other.  The caller keeps the counts right.
 */
#ifndef BRIG_INFERD_GGUF_WRITE_H
#define BRIG_INFERD_GGUF_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "inferd/gguf.h"

void gguf_put_head(struct buf *b, uint64_t ntensors, uint64_t npairs);

/* A string as it stands in a file: as key, value, or member of an array. */
void gguf_put_text(struct buf *b, const void *p, size_t n);

void gguf_put_u32(struct buf *b, const char *key, uint32_t v);
void gguf_put_f32(struct buf *b, const char *key, float v);
void gguf_put_bool(struct buf *b, const char *key, bool v);
void gguf_put_str(struct buf *b, const char *key, const char *v);
/* The beginning of an array; its members are put next. */
void gguf_put_array(
    struct buf *b, const char *key, enum gguf_type of, uint64_t count);
/* A member of kind GGUF_F32. */
void gguf_put_real(struct buf *b, float v);

/* offset: within the data. */
void gguf_put_tensor(struct buf *b, const char *name, uint32_t type,
    uint32_t ndims, const uint64_t *dims, uint64_t offset);
/* Zeros up to the next multiple of alignment. */
void gguf_put_padding(struct buf *b, size_t alignment);

#endif
