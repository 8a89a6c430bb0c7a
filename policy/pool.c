#include "policy/internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct pool_chunk {
	struct pool_chunk *next;
	_Alignas(max_align_t) unsigned char bytes[];
};

void *
pool_alloc(struct pool *pl, size_t n)
{
	struct pool_chunk *c = xcalloc(1, sizeof(*c) + n);

	c->next = pl->head;
	pl->head = c;
	return c->bytes;
}

char *
pool_strndup(struct pool *pl, const char *s, size_t n)
{
	char *t = pool_alloc(pl, n + 1);

	if (n > 0)
		memcpy(t, s, n);
	return t;
}

char *
pool_strdup(struct pool *pl, const char *s)
{
	return pool_strndup(pl, s, strlen(s));
}

void *
pool_grow(struct pool *pl, void *arr, size_t n, size_t each)
{
	void *bigger;

	if (n != 0 && (n & (n - 1)) != 0)
		return arr;
	bigger = pool_alloc(pl, (n == 0 ? 1 : 2 * n) * each);
	if (n > 0)
		memcpy(bigger, arr, n * each);
	return bigger;
}

void
pool_free(struct pool *pl)
{
	struct pool_chunk *c, *next;

	for (c = pl->head; c != NULL; c = next) {
		next = c->next;
		free(c);
	}
	pl->head = NULL;
}
