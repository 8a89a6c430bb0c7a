/*
 * Reader of GGUF version 3 (the "GGUF" specification of ggml, docs/gguf.md):
 * metadata and the list of tensors.  Pure and bounded: it reads the given
 * bytes, which are of whoever made the file, and refuses what is over a limit
 * or what two readers could understand differently.  Runs in the throw-away
 * parser of model_child.h.  What it returns points into the bytes.
 */
#ifndef BRIG_INFERD_GGUF_H
#define BRIG_INFERD_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "inferd/model_table.h"

#define GGUF_VERSION 3u
#define GGUF_PAIRS_MAX 4096u
#define GGUF_KEY_MAX 256u
#define GGUF_STRING_MAX (1u << 20)
#define GGUF_ARRAY_MAX (1u << 22) /* members */
#define GGUF_NESTING_MAX 4u       /* arrays within arrays */
#define GGUF_DIMS_MAX 4u
#define GGUF_ALIGN_DEFAULT 32u
#define GGUF_ALIGN_MAX (64u << 10)
/* Everything before the data of the tensors. */
#define GGUF_HEAD_MAX (256u << 20)

/* Numbers of the format. */
enum gguf_type {
	GGUF_U8 = 0,
	GGUF_I8 = 1,
	GGUF_U16 = 2,
	GGUF_I16 = 3,
	GGUF_U32 = 4,
	GGUF_I32 = 5,
	GGUF_F32 = 6,
	GGUF_BOOL = 7,
	GGUF_STRING = 8,
	GGUF_ARRAY = 9,
	GGUF_U64 = 10,
	GGUF_I64 = 11,
	GGUF_F64 = 12
};

struct gguf_str {
	const char *p;
	size_t n;
};

struct gguf_pair {
	struct gguf_str key;
	uint32_t type;
	/* Arrays: of what, how many. */
	uint32_t of;
	uint64_t count;
	const uint8_t *value; /* encoded */
	size_t bytes;
};

struct gguf_tensor {
	struct gguf_str name;
	enum tensor_type type;
	uint32_t ndims;
	uint64_t dims[GGUF_DIMS_MAX];
	uint64_t offset; /* within the file */
	uint64_t bytes;
};

struct gguf {
	uint32_t npairs;
	struct gguf_pair *pairs;
	uint32_t ntensors;
	struct gguf_tensor *tensors;
	uint32_t alignment;
	uint64_t data; /* where the tensors' data begins */
};

/*
 * Read a file of file_size bytes whose first n are at p.  NULL with err,
 * which holds bytes of the file as they are: escape it before showing it.
 */
struct gguf *gguf_parse(
    const void *p, size_t n, uint64_t file_size, struct error *err);
void gguf_free(struct gguf *g); /* NULL is fine */
void gguf_cleanup(struct gguf **g);
#define cleanup_gguf attr_cleanup(gguf_cleanup)

/* NULL if there is none. */
const struct gguf_pair *gguf_find(const struct gguf *g, const char *key);

/*
 * Values by key.  A pair that is missing leaves *out as it is and is fine; one
 * of another kind or outside its range is -1 with err.  Integers may be of any
 * width, reals of both.
 */
int gguf_get_u32(const struct gguf *g, const char *key, uint32_t min,
    uint32_t max, uint32_t *out, struct error *err);
int gguf_get_f32(const struct gguf *g, const char *key, float *out,
    struct error *err); /* finite */
int gguf_get_bool(
    const struct gguf *g, const char *key, bool *out, struct error *err);
int gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *out,
    struct error *err);

/*
 * Walk an array of one simple kind: cursor over its members, at most max of
 * them.  A missing one has a count of 0 and a cursor over nothing.
 */
int gguf_get_array(const struct gguf *g, const char *key, enum gguf_type of,
    uint64_t max, struct cur *c, uint32_t *count, struct error *err);
/* The next string of such a walk. */
struct gguf_str gguf_next_str(struct cur *c);

bool gguf_str_eq(struct gguf_str s, const char *text);

#endif
