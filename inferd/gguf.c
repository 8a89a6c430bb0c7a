#include "inferd/gguf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define GGUF_MAGIC 0x46554747u /* "GGUF" */
/* Fewer bytes a pair or a tensor does not take: bounds allocation. */
#define PAIR_MIN (8u + 1 + 4 + 1)
#define TENSOR_MIN (8u + 1 + 4 + 8 + 4 + 8)

struct reader {
	struct cur c;
	size_t all; /* bytes that c began with */
	struct error *err;
};

void
gguf_free(struct gguf *g)
{
	if (g == NULL)
		return;
	free(g->pairs);
	free(g->tensors);
	free(g);
}

void
gguf_cleanup(struct gguf **g)
{
	gguf_free(*g);
	*g = NULL;
}

static size_t
at(const struct reader *r)
{
	return r->all - r->c.left;
}

static int
cut_off(struct reader *r, const char *where)
{
	return error_set(r->err, 0, "the file ends within %s", where);
}

/* A u64 length and that many bytes. */
static int
get_str(struct reader *r, size_t max, const char *what, struct gguf_str *s)
{
	uint64_t n = cur_u64(&r->c);

	if (r->c.failed)
		return cut_off(r, what);
	if (n > max)
		return error_set(r->err, 0, "%s of %llu bytes, at most %zu",
		    what, (unsigned long long)n, max);
	s->p = (const char *)cur_bytes(&r->c, (size_t)n);
	s->n = (size_t)n;
	return s->p == NULL ? cut_off(r, what) : 0;
}

struct gguf_str
gguf_next_str(struct cur *c)
{
	struct gguf_str s = { "", 0 };
	uint64_t n = cur_u64(c);
	const uint8_t *p;

	if (n > GGUF_STRING_MAX)
		c->failed = true;
	if ((p = cur_bytes(c, (size_t)n)) != NULL) {
		s.p = (const char *)p;
		s.n = (size_t)n;
	}
	return s;
}

/* Bytes of a value of a fixed size; 0: strings, arrays, unknown ones. */
static size_t
fixed_size(uint32_t type)
{
	static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

	return type < nitems(size) ? size[type] : 0;
}

static int skip_value(struct reader *r, struct gguf_str key, uint32_t type,
    struct gguf_pair *top, unsigned depth);

static int
skip_array(struct reader *r, struct gguf_str key, struct gguf_pair *top,
    unsigned depth)
{
	uint32_t of = cur_u32(&r->c);
	uint64_t n = cur_u64(&r->c);
	size_t each = fixed_size(of);

	if (r->c.failed)
		return cut_off(r, "an array");
	if (depth >= GGUF_NESTING_MAX)
		return error_set(r->err, 0,
		    "arrays of %.*s are nested more than %u deep", (int)key.n,
		    key.p, GGUF_NESTING_MAX);
	if (n > GGUF_ARRAY_MAX)
		return error_set(r->err, 0,
		    "array %.*s has %llu members, at most %u", (int)key.n,
		    key.p, (unsigned long long)n, GGUF_ARRAY_MAX);
	if (top != NULL) {
		top->of = of;
		top->count = n;
	}
	if (each != 0)
		return cur_bytes(&r->c, (size_t)n * each) == NULL
			   ? cut_off(r, "an array")
			   : 0;
	for (uint64_t i = 0; i < n; i++)
		if (skip_value(r, key, of, NULL, depth + 1) < 0)
			return -1;
	/* A kind that is not known has no size, not even of no member. */
	if (n == 0 && of != GGUF_STRING && of != GGUF_ARRAY)
		return error_set(r->err, 0, "%.*s is of unknown type %u",
		    (int)key.n, key.p, of);
	return 0;
}

static int
skip_value(struct reader *r, struct gguf_str key, uint32_t type,
    struct gguf_pair *top, unsigned depth)
{
	size_t each = fixed_size(type);
	struct gguf_str s;

	if (each != 0)
		return cur_bytes(&r->c, each) == NULL ? cut_off(r, "a value")
						      : 0;
	if (type == GGUF_STRING)
		return get_str(r, GGUF_STRING_MAX, "a string", &s);
	if (type == GGUF_ARRAY)
		return skip_array(r, key, top, depth);
	return error_set(
	    r->err, 0, "%.*s is of unknown type %u", (int)key.n, key.p, type);
}

static int
get_pair(struct reader *r, struct gguf_pair *p)
{
	if (get_str(r, GGUF_KEY_MAX, "a key", &p->key) < 0)
		return -1;
	for (size_t i = 0; i < p->key.n; i++)
		if (p->key.p[i] <= ' ' || p->key.p[i] > '~')
			return error_set(r->err, 0, "a key has byte %u in it",
			    (uint8_t)p->key.p[i]);
	if (p->key.n == 0)
		return error_set(r->err, 0, "a key is empty");
	p->type = cur_u32(&r->c);
	p->value = r->c.p;
	p->bytes = r->c.left;
	if (skip_value(r, p->key, p->type, p, 0) < 0)
		return -1;
	p->bytes -= r->c.left;
	return 0;
}

static int
by_key(const void *pa, const void *pb)
{
	const struct gguf_pair *a = pa, *b = pb;
	size_t n = a->key.n < b->key.n ? a->key.n : b->key.n;
	int d = memcmp(a->key.p, b->key.p, n);

	if (d != 0)
		return d;
	return a->key.n < b->key.n ? -1 : a->key.n > b->key.n;
}

/* The pairs, sorted by key. */
static int
get_pairs(struct reader *r, struct gguf *g, uint64_t n)
{
	if (n > GGUF_PAIRS_MAX)
		return error_set(r->err, 0, "%llu metadata pairs, at most %u",
		    (unsigned long long)n, GGUF_PAIRS_MAX);
	if (n > r->c.left / PAIR_MIN)
		return cut_off(r, "its metadata");
	g->pairs = xcalloc((size_t)n + 1, sizeof(*g->pairs));
	for (; g->npairs < n; g->npairs++)
		if (get_pair(r, &g->pairs[g->npairs]) < 0)
			return -1;
	qsort(g->pairs, g->npairs, sizeof(*g->pairs), by_key);
	for (uint32_t i = 1; i < g->npairs; i++)
		if (by_key(&g->pairs[i - 1], &g->pairs[i]) == 0)
			return error_set(r->err, 0, "%.*s is there twice",
			    (int)g->pairs[i].key.n, g->pairs[i].key.p);
	return 0;
}

static int
get_dims(struct reader *r, struct gguf_tensor *t)
{
	uint64_t bytes;

	t->ndims = cur_u32(&r->c);
	if (r->c.failed)
		return cut_off(r, "a tensor's description");
	if (t->ndims < 1 || t->ndims > GGUF_DIMS_MAX)
		return error_set(r->err, 0,
		    "tensor %.*s has %u dimensions, not 1-%u", (int)t->name.n,
		    t->name.p, t->ndims, GGUF_DIMS_MAX);
	for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++) {
		t->dims[i] = i < t->ndims ? cur_u64(&r->c) : 1;
		if (!r->c.failed &&
		    (t->dims[i] < 1 || t->dims[i] > MODEL_DIM_MAX))
			return error_set(r->err, 0,
			    "dimension %u of tensor %.*s is %llu", i,
			    (int)t->name.n, t->name.p,
			    (unsigned long long)t->dims[i]);
	}
	t->type = cur_u32(&r->c);
	t->offset = cur_u64(&r->c);
	if (r->c.failed)
		return cut_off(r, "a tensor's description");
	if (tensor_type_info(t->type) == NULL)
		return error_set(r->err, 0,
		    "tensor %.*s is of type %s (%u), which is not supported",
		    (int)t->name.n, t->name.p, tensor_type_name(t->type),
		    t->type);
	bytes = tensor_row_bytes(t->type, t->dims[0]);
	if (bytes == 0)
		return error_set(r->err, 0,
		    "rows of tensor %.*s have %llu values, no multiple of "
		    "the %u of %s",
		    (int)t->name.n, t->name.p, (unsigned long long)t->dims[0],
		    tensor_type_info(t->type)->block,
		    tensor_type_name(t->type));
	for (uint32_t i = 1; i < t->ndims; i++)
		if (__builtin_mul_overflow(bytes, t->dims[i], &bytes))
			bytes = UINT64_MAX;
	if (bytes > MODEL_BYTES_MAX)
		return error_set(r->err, 0, "tensor %.*s is too large",
		    (int)t->name.n, t->name.p);
	t->bytes = bytes;
	return 0;
}

static int
get_tensors(struct reader *r, struct gguf *g, uint64_t n)
{
	if (n > MODEL_TENSORS_MAX)
		return error_set(r->err, 0, "%llu tensors, at most %u",
		    (unsigned long long)n, MODEL_TENSORS_MAX);
	if (n > r->c.left / TENSOR_MIN)
		return cut_off(r, "its list of tensors");
	g->tensors = xcalloc((size_t)n + 1, sizeof(*g->tensors));
	for (; g->ntensors < n; g->ntensors++) {
		struct gguf_tensor *t = &g->tensors[g->ntensors];

		if (get_str(r, MODEL_NAME_MAX, "a tensor's name", &t->name) <
			0 ||
		    get_dims(r, t) < 0)
			return -1;
	}
	return 0;
}

/* Offsets are within the data: make them of the file, and check them. */
static int
place(struct reader *r, struct gguf *g, uint64_t file_size)
{
	uint64_t mask;

	g->alignment = GGUF_ALIGN_DEFAULT;
	if (gguf_get_u32(g, "general.alignment", MODEL_ALIGN_MIN,
		GGUF_ALIGN_MAX, &g->alignment, r->err) < 0)
		return -1;
	if ((g->alignment & (g->alignment - 1)) != 0)
		return error_set(
		    r->err, 0, "alignment %u is no power of two", g->alignment);
	mask = g->alignment - 1;
	g->data = (at(r) + mask) & ~mask;
	for (uint32_t i = 0; i < g->ntensors; i++) {
		struct gguf_tensor *t = &g->tensors[i];

		if ((t->offset & mask) != 0)
			return error_set(r->err, 0,
			    "tensor %.*s is at %llu, not aligned to %u",
			    (int)t->name.n, t->name.p,
			    (unsigned long long)t->offset, g->alignment);
		if (g->data > file_size || t->offset > file_size - g->data ||
		    t->bytes > file_size - g->data - t->offset)
			return error_set(r->err, 0,
			    "tensor %.*s ends after the end of the file",
			    (int)t->name.n, t->name.p);
		t->offset += g->data;
	}
	return 0;
}

static int
get_head(struct reader *r, uint64_t *ntensors, uint64_t *npairs)
{
	uint32_t magic = cur_u32(&r->c), version = cur_u32(&r->c);

	*ntensors = cur_u64(&r->c);
	*npairs = cur_u64(&r->c);
	if (r->c.failed || magic != GGUF_MAGIC)
		return error_set(r->err, 0, "this is no GGUF file");
	if (version == __builtin_bswap32(GGUF_VERSION))
		return error_set(
		    r->err, 0, "this GGUF file is big-endian: convert it");
	if (version != GGUF_VERSION)
		return error_set(r->err, 0,
		    "GGUF version %u; only %u is read: convert it", version,
		    GGUF_VERSION);
	return 0;
}

struct gguf *
gguf_parse(const void *p, size_t n, uint64_t file_size, struct error *err)
{
	cleanup_gguf struct gguf *g = xcalloc(1, sizeof(*g));
	struct reader r = { .all = n, .err = err };
	uint64_t ntensors, npairs;

	cur_init(&r.c, p, n);
	if (get_head(&r, &ntensors, &npairs) < 0 ||
	    get_pairs(&r, g, npairs) < 0 || get_tensors(&r, g, ntensors) < 0 ||
	    place(&r, g, file_size) < 0)
		return NULL;
	return steal_ptr(&g);
}

static int
key_order(const void *pk, const void *pp)
{
	const struct gguf_pair *p = pp;
	const char *key = pk;
	size_t n = strlen(key), least = n < p->key.n ? n : p->key.n;
	int d = memcmp(key, p->key.p, least);

	if (d != 0)
		return d;
	return n < p->key.n ? -1 : n > p->key.n;
}

const struct gguf_pair *
gguf_find(const struct gguf *g, const char *key)
{
	return bsearch(key, g->pairs, g->npairs, sizeof(*g->pairs), key_order);
}

bool
gguf_str_eq(struct gguf_str s, const char *text)
{
	return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* An integer of any width; false if it is none or negative. */
static bool
whole_number(const struct gguf_pair *p, uint64_t *v)
{
	int64_t s = 0;
	struct cur c;

	cur_init(&c, p->value, p->bytes);
	switch (p->type) {
	case GGUF_U8:
		*v = cur_u8(&c);
		return true;
	case GGUF_U16:
		*v = cur_u16(&c);
		return true;
	case GGUF_U32:
		*v = cur_u32(&c);
		return true;
	case GGUF_U64:
		*v = cur_u64(&c);
		return true;
	case GGUF_I8:
		s = (int8_t)cur_u8(&c);
		break;
	case GGUF_I16:
		s = (int16_t)cur_u16(&c);
		break;
	case GGUF_I32:
		s = (int32_t)cur_u32(&c);
		break;
	case GGUF_I64:
		s = (int64_t)cur_u64(&c);
		break;
	default:
		return false;
	}
	*v = (uint64_t)s;
	return s >= 0;
}

int
gguf_get_u32(const struct gguf *g, const char *key, uint32_t min, uint32_t max,
    uint32_t *out, struct error *err)
{
	const struct gguf_pair *p = gguf_find(g, key);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	if (p->type == GGUF_ARRAY)
		return error_set(err, 0,
		    "%s differs by layer, which is not "
		    "supported",
		    key);
	if (!whole_number(p, &v))
		return error_set(err, 0, "%s is no whole number", key);
	if (v < min || v > max)
		return error_set(err, 0, "%s is %llu, not %u-%u", key,
		    (unsigned long long)v, min, max);
	*out = (uint32_t)v;
	return 0;
}

int
gguf_get_f32(
    const struct gguf *g, const char *key, float *out, struct error *err)
{
	const struct gguf_pair *p = gguf_find(g, key);
	struct cur c;
	float v;

	if (p == NULL)
		return 0;
	cur_init(&c, p->value, p->bytes);
	if (p->type == GGUF_F32) {
		uint32_t u = cur_u32(&c);

		memcpy(&v, &u, sizeof(v));
	} else if (p->type == GGUF_F64) {
		uint64_t u = cur_u64(&c);
		double d;

		memcpy(&d, &u, sizeof(d));
		v = isfinite(d) && fabs(d) <= 1e30 ? (float)d : NAN;
	} else
		return error_set(err, 0, "%s is no real number", key);
	if (!isfinite(v))
		return error_set(err, 0, "%s is not finite", key);
	*out = v;
	return 0;
}

int
gguf_get_bool(
    const struct gguf *g, const char *key, bool *out, struct error *err)
{
	const struct gguf_pair *p = gguf_find(g, key);
	struct cur c;

	if (p == NULL)
		return 0;
	cur_init(&c, p->value, p->bytes);
	if (p->type == GGUF_BOOL)
		*out = cur_bool(&c);
	if (p->type != GGUF_BOOL || c.failed)
		return error_set(err, 0, "%s is neither true nor false", key);
	return 0;
}

int
gguf_get_str(const struct gguf *g, const char *key, struct gguf_str *out,
    struct error *err)
{
	const struct gguf_pair *p = gguf_find(g, key);
	struct cur c;

	if (p == NULL)
		return 0;
	if (p->type != GGUF_STRING)
		return error_set(err, 0, "%s is no string", key);
	cur_init(&c, p->value, p->bytes);
	*out = gguf_next_str(&c);
	return 0;
}

int
gguf_get_array(const struct gguf *g, const char *key, enum gguf_type of,
    uint64_t max, struct cur *c, uint32_t *count, struct error *err)
{
	const struct gguf_pair *p = gguf_find(g, key);

	*count = 0;
	cur_init(c, NULL, 0);
	if (p == NULL)
		return 0;
	if (p->type != GGUF_ARRAY || p->of != of)
		return error_set(
		    err, 0, "%s is no array of the kind it must be", key);
	if (p->count > max)
		return error_set(err, 0, "%s has %llu members, at most %llu",
		    key, (unsigned long long)p->count, (unsigned long long)max);
	cur_init(c, p->value, p->bytes);
	(void)cur_u32(c);
	(void)cur_u64(c);
	*count = (uint32_t)p->count;
	return 0;
}
