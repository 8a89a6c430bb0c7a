#include "proxy/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define INDEX_MASK 0x1ffffu /* 198.18.0.0/15 has 17 bits of host */

static const uint8_t prefix4[2] = { 198, 18 };
static const uint8_t prefix6[12] = { 0xfd, 0x62, 0x72, 0x69, 0x00, 0x67 };

struct entry {
	uint32_t index;
	char *name;
};

struct addr_pool {
	struct entry *e; /* by index */
	size_t n, cap;
};

struct addr_pool *
addr_pool_new(void)
{
	return xcalloc(1, sizeof(struct addr_pool));
}

void
addr_pool_free(struct addr_pool *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->e[i].name);
	free(p->e);
	free(p);
}

size_t
addr_pool_count(const struct addr_pool *p)
{
	return p->n;
}

/* Position of index, or where it belongs. */
static size_t
find(const struct addr_pool *p, uint32_t index)
{
	size_t lo = 0, hi = p->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (p->e[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* FNV-1a, folded. */
static uint32_t
hash(const char *s)
{
	uint32_t h = 2166136261u;

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;
	return (h ^ h >> 17) & INDEX_MASK;
}

/* First and last are the network's and the broadcast address. */
static bool
usable(uint32_t index)
{
	return index != 0 && index != INDEX_MASK;
}

uint32_t
addr_pool_add(struct addr_pool *p, const char *name)
{
	uint32_t index = hash(name);
	size_t at;

	/* Far fewer names than indexes: the probe ends. */
	for (;; index = (index + 1) & INDEX_MASK) {
		if (!usable(index))
			continue;
		at = find(p, index);
		if (at == p->n || p->e[at].index != index)
			break;
		if (strcmp(p->e[at].name, name) == 0)
			return index;
	}
	if (p->n == POOL_NAMES_MAX)
		return 0;
	if (p->n == p->cap) {
		p->cap = p->cap == 0 ? 16 : p->cap * 2;
		p->e = xreallocarray(p->e, p->cap, sizeof(*p->e));
	}
	memmove(p->e + at + 1, p->e + at, (p->n - at) * sizeof(*p->e));
	p->e[at].index = index;
	p->e[at].name = xstrdup(name);
	p->n++;
	return index;
}

void
addr_pool_v4(uint32_t index, uint8_t addr[4])
{
	addr[0] = prefix4[0];
	addr[1] = (uint8_t)(prefix4[1] | (index >> 16 & 1));
	addr[2] = (uint8_t)(index >> 8);
	addr[3] = (uint8_t)index;
}

void
addr_pool_v6(uint32_t index, uint8_t addr[16])
{
	memcpy(addr, prefix6, sizeof(prefix6));
	addr[12] = 0;
	addr[13] = (uint8_t)(index >> 16);
	addr[14] = (uint8_t)(index >> 8);
	addr[15] = (uint8_t)index;
}

bool
addr_pool_index(const struct in6_addr *addr, uint32_t *index)
{
	const uint8_t *a = addr->s6_addr;

	*index = 0;
	if (IN6_IS_ADDR_V4MAPPED(addr)) {
		if (a[12] != prefix4[0] || (a[13] & 0xfe) != prefix4[1])
			return false;
		*index =
		    (uint32_t)(a[13] & 1) << 16 | (uint32_t)a[14] << 8 | a[15];
	} else {
		/* The whole /48 is ours, most of it stands for nothing. */
		if (memcmp(a, prefix6, 6) != 0)
			return false;
		if (memcmp(a, prefix6, sizeof(prefix6)) == 0 && a[12] == 0 &&
		    a[13] <= 1)
			*index = (uint32_t)a[13] << 16 | (uint32_t)a[14] << 8 |
				 a[15];
	}
	if (!usable(*index))
		*index = 0;
	return true;
}

const char *
addr_pool_name(const struct addr_pool *p, uint32_t index)
{
	size_t at = find(p, index);

	return at < p->n && p->e[at].index == index ? p->e[at].name : NULL;
}
