/*
 * Finding tokens by their bytes: exactly, and the longest at a place.
 */
#include "inferd/tok_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static uint32_t
hash(const void *vp, size_t n)
{
	const uint8_t *p = vp;
	uint64_t h = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32);
}

void
tok_map_init(struct tok_map *m, uint32_t n)
{
	uint32_t size = 64;

	while (size < n + n / 2)
		size *= 2;
	m->slot = xcalloc(size, sizeof(*m->slot));
	m->mask = size - 1;
}

/* Where the bytes are, or the free slot where they would be. */
static uint32_t *
lookup(const struct tok *t, const struct tok_map *m, const void *p, size_t n)
{
	uint32_t i = hash(p, n) & m->mask, id;

	for (; m->slot[i] != 0; i = (i + 1) & m->mask) {
		id = m->slot[i] - 1;
		if (tok_len(t, id) == n &&
		    memcmp(t->text + t->off[id], p, n) == 0)
			break;
	}
	return &m->slot[i];
}

void
tok_map_add(const struct tok *t, struct tok_map *m, uint32_t id)
{
	uint32_t *slot = lookup(t, m, t->text + t->off[id], tok_len(t, id));

	if (*slot == 0)
		*slot = id + 1;
}

uint32_t
tok_map_find(
    const struct tok *t, const struct tok_map *m, const void *p, size_t n)
{
	/* 0 - 1 is TOK_NONE. */
	return *lookup(t, m, p, n) - 1;
}

static int
compare(const void *a, const void *b, void *arg)
{
	const struct tok *t = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	size_t nx = tok_len(t, x), ny = tok_len(t, y);
	int c =
	    memcmp(t->text + t->off[x], t->text + t->off[y], nx < ny ? nx : ny);

	if (c != 0)
		return c;
	if (nx != ny)
		return nx < ny ? -1 : 1;
	return x < y ? -1 : x > y;
}

void
tok_sorted_make(const struct tok *t, struct tok_sorted *s)
{
	/* qsort_r() does not change what it only hands on. */
	union {
		const struct tok *in;
		void *out;
	} u = { .in = t };

	if (s->n > 1)
		qsort_r(s->id, s->n, sizeof(*s->id), compare, u.out);
}

/* Byte k of an entry, -1 behind its end. */
static int
byte_of(const struct tok *t, uint32_t id, size_t k)
{
	return k < tok_len(t, id) ? (uint8_t)t->text[t->off[id] + k] : -1;
}

uint32_t
tok_sorted_longest(
    const struct tok *t, const struct tok_sorted *s, const char *p, size_t n)
{
	uint32_t lo = 0, hi = s->n, a, b, mid, best = TOK_NONE;
	size_t k;
	int c;

	/* [lo, hi) begin with the first k bytes of p. */
	for (k = 0; lo < hi; k++) {
		if (k > 0 && tok_len(t, s->id[lo]) == k)
			best = s->id[lo];
		if (k == n)
			break;
		c = (uint8_t)p[k];
		for (a = lo, b = hi; a < b;) {
			mid = a + (b - a) / 2;
			if (byte_of(t, s->id[mid], k) < c)
				a = mid + 1;
			else
				b = mid;
		}
		lo = a;
		for (b = hi; a < b;) {
			mid = a + (b - a) / 2;
			if (byte_of(t, s->id[mid], k) <= c)
				a = mid + 1;
			else
				b = mid;
		}
		hi = a;
	}
	return best;
}
