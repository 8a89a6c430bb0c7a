#include "inferd/asked.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/str.h"
#include "inferd/kv.h"

#define SLOTS 65536u /* pages that are remembered at most */

struct asked {
	uint64_t key;         /* so that nobody knows what shares a slot */
	uint64_t page[SLOTS]; /* by the hash of all that leads there; 0: none */
};

struct asked *
asked_new(void)
{
	struct asked *a = xcalloc(1, sizeof(*a));

	if (getrandom(&a->key, sizeof(a->key), 0) != sizeof(a->key))
		fatal("getrandom");
	return a;
}

void
asked_free(struct asked *a)
{
	free(a);
}

/* SplitMix64's (Steele et al., 2014). */
static uint64_t
mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

/*
 * Where the pages of a space begin.  Mixed with the key, or one that shifts
 * the first token by the difference of two spaces would find the other's.
 */
static uint64_t
space_hash(const struct asked *a, uint32_t space)
{
	return mix(a->key + mix(space));
}

/* Of one more page behind what h stands for. */
static uint64_t
page_hash(uint64_t h, const int32_t *ids)
{
	for (uint32_t i = 0; i < KV_PAGE; i++)
		h = mix(h + 0x9e3779b97f4a7c15u + (uint32_t)ids[i]);
	return h != 0 ? h : 1;
}

uint32_t
asked_find(
    const struct asked *a, uint32_t space, const int32_t *ids, uint32_t n)
{
	uint64_t h = space_hash(a, space);

	for (uint32_t i = 0; i + KV_PAGE <= n; i += KV_PAGE) {
		h = page_hash(h, &ids[i]);
		if (a->page[h % SLOTS] != h)
			return i;
	}
	return n / KV_PAGE * KV_PAGE;
}

void
asked_add(struct asked *a, uint32_t space, const int32_t *ids, uint32_t n)
{
	uint64_t h = space_hash(a, space);

	for (uint32_t i = 0; i + KV_PAGE <= n; i += KV_PAGE) {
		h = page_hash(h, &ids[i]);
		a->page[h % SLOTS] = h;
	}
}
