#include "proxy/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

struct node {
	uint32_t fail;
	uint32_t child; /* first child, 0 if none */
	uint32_t sibling;
	uint32_t depth;
	uint32_t hit;  /* index + 1 of the key that ends here */
	uint32_t next; /* nearest shorter suffix that is a key */
	uint8_t byte;
};

struct scan {
	struct node *node;
	uint32_t n, cap;
	uint32_t root[256]; /* node 0's children by byte */
	struct scan_hit *hit;
	uint32_t nhit, hit_cap;
	uint32_t keys;
	bool ready;
};

struct scan *
scan_new(void)
{
	struct scan *s = xcalloc(1, sizeof(*s));

	s->cap = 64;
	s->node = xcalloc(s->cap, sizeof(*s->node));
	s->n = 1;
	return s;
}

void
scan_free(struct scan *s)
{
	if (s == NULL)
		return;
	explicit_bzero(s->node, s->cap * sizeof(*s->node));
	free(s->node);
	free(s->hit);
	explicit_bzero(s, sizeof(*s));
	free(s);
}

static uint32_t
child(const struct scan *s, uint32_t at, uint8_t byte)
{
	if (at == 0)
		return s->root[byte];
	for (uint32_t c = s->node[at].child; c != 0; c = s->node[c].sibling)
		if (s->node[c].byte == byte)
			return c;
	return 0;
}

static void
grow(struct scan *s)
{
	struct node *bigger;

	if (s->cap > UINT32_MAX / 4)
		fatalx("scan: too many patterns");
	/* Not realloc: it would leave a copy of the old nodes behind. */
	bigger = xcalloc(s->cap * 2, sizeof(*bigger));
	memcpy(bigger, s->node, s->n * sizeof(*bigger));
	explicit_bzero(s->node, s->cap * sizeof(*s->node));
	free(s->node);
	s->node = bigger;
	s->cap *= 2;
}

static uint32_t
extend(struct scan *s, uint32_t at, uint8_t byte)
{
	uint32_t c = child(s, at, byte);

	if (c != 0)
		return c;
	if (s->n == s->cap)
		grow(s);
	c = s->n++;
	s->node[c].byte = byte;
	s->node[c].depth = s->node[at].depth + 1;
	s->node[c].sibling = s->node[at].child;
	s->node[at].child = c;
	if (at == 0)
		s->root[byte] = c;
	return c;
}

/* Number of a new kind of hit, counted from 1. */
static uint32_t
hit_add(struct scan *s, const struct scan_hit *hit)
{
	if (s->nhit == s->hit_cap) {
		s->hit_cap = s->hit_cap == 0 ? 16 : s->hit_cap * 2;
		s->hit = xreallocarray(s->hit, s->hit_cap, sizeof(*s->hit));
	}
	s->hit[s->nhit] = *hit;
	return ++s->nhit;
}

/* Two keys may be the same bytes: the first stays. */
static void
finish(struct scan *s, uint32_t at, uint32_t hit)
{
	if (s->node[at].hit == 0)
		s->node[at].hit = hit;
}

uint32_t
scan_add(struct scan *s, const void *key, size_t n)
{
	struct scan_hit hit = { .key = s->keys++, .len = (uint32_t)n };
	const uint8_t *p = key;
	uint32_t at = 0;

	if (s->ready || n == 0 || n > SCAN_KEY_MAX)
		fatalx("scan: key of %zu bytes", n);
	for (size_t i = 0; i < n; i++)
		at = extend(s, at, p[i]);
	finish(s, at, hit_add(s, &hit));
	return hit.key;
}

void
scan_ready(struct scan *s)
{
	uint32_t *queue = xcalloc(s->n, sizeof(*queue));
	uint32_t head = 0, tail = 1;

	while (head < tail) {
		uint32_t at = queue[head++];
		struct node *a = &s->node[at];

		for (uint32_t c = a->child; c != 0; c = s->node[c].sibling) {
			struct node *n = &s->node[c];
			uint32_t f = a->fail, to = 0;

			if (at != 0)
				while (
				    (to = child(s, f, n->byte)) == 0 && f != 0)
					f = s->node[f].fail;
			n->fail = to;
			n->next = s->node[to].hit != 0 ? to : s->node[to].next;
			queue[tail++] = c;
		}
	}
	free(queue);
	s->ready = true;
}

size_t
scan_step(const struct scan *s, uint32_t *state, const uint8_t *p, size_t n,
    uint32_t *match)
{
	uint32_t at = *state;
	size_t i = 0;

	*match = 0;
	while (i < n && *match == 0) {
		uint8_t c = p[i++];
		uint32_t to;

		if (at == 0) {
			/* Most bytes start nothing. */
			while (s->root[c] == 0 && i < n)
				c = p[i++];
		}
		while ((to = child(s, at, c)) == 0 && at != 0)
			at = s->node[at].fail;
		at = to;
		if (s->node[at].hit != 0)
			*match = at;
		else
			*match = s->node[at].next;
		/* Nothing longer ends below a leaf: do not wait there. */
		while (at != 0 && s->node[at].child == 0)
			at = s->node[at].fail;
	}
	*state = at;
	return i;
}

const struct scan_hit *
scan_hit(const struct scan *s, uint32_t match)
{
	return &s->hit[s->node[match].hit - 1];
}

uint32_t
scan_next(const struct scan *s, uint32_t match)
{
	return s->node[match].next;
}

size_t
scan_pending(const struct scan *s, uint32_t state)
{
	return s->node[state].depth;
}

const struct scan_hit *
scan_find(const struct scan *s, const void *p, size_t n)
{
	uint32_t state = 0, match;

	scan_step(s, &state, p, n, &match);
	return match == 0 ? NULL : scan_hit(s, match);
}
