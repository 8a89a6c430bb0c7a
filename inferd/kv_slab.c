#include "inferd/kv_slab.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/str.h"

/* Nothing of it takes memory before it is used, but for the rest of a large
 * page. */
#define SLAB ((size_t)32 << 20)
#define LARGE ((size_t)2 << 20)
#define ALIGN ((size_t)64)

struct kv_slab {
	struct kv_slab *next;
	uint8_t *map;
	size_t size, used;
};

/* With LARGE more than is needed, a large page begins where the first byte that
 * is used does. */
static struct kv_slab *
slab_new(size_t n, struct kv_slab *next)
{
	struct kv_slab *s = xcalloc(1, sizeof(*s));

	s->next = next;
	s->size = (n > SLAB ? n : SLAB) + LARGE;
	s->map = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->map == MAP_FAILED)
		fatal("out of memory: %zu bytes for keys and values", s->size);
	s->used = (size_t)(-(uintptr_t)s->map & (LARGE - 1));
	/* A kernel without large pages maps small ones. */
	(void)madvise(s->map, s->size, MADV_HUGEPAGE);
	return s;
}

uint8_t *
kv_slab_take(struct kv_slab **slabs, size_t n)
{
	struct kv_slab *s = *slabs;
	uint8_t *p;

	n = (n + ALIGN - 1) & ~(ALIGN - 1);
	if (s == NULL || s->size - s->used < n)
		*slabs = s = slab_new(n, s);
	p = s->map + s->used;
	s->used += n;
	return p;
}

void
kv_slab_free(struct kv_slab *slabs)
{
	while (slabs != NULL) {
		struct kv_slab *next = slabs->next;

		munmap(slabs->map, slabs->size);
		free(slabs);
		slabs = next;
	}
}
