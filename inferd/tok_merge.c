/*
 * One word: its bytes or characters are joined two by two, the best pair
 * first, of equals the leftmost.  A list and a heap, so that a word of n
 * pieces takes n log n steps.
 */
#include "inferd/tok_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

void
tok_work_free(struct tok_work *w)
{
	free(w->node);
	free(w->heap);
	memset(w, 0, sizeof(*w));
}

static void
heap_push(struct tok_work *w, uint64_t v)
{
	size_t i, up;

	if (w->nheap == w->heap_cap) {
		w->heap_cap = w->heap_cap == 0 ? 64 : w->heap_cap * 2;
		w->heap = xreallocarray(w->heap, w->heap_cap, sizeof(*w->heap));
	}
	for (i = w->nheap++; i > 0; i = up) {
		up = (i - 1) / 2;
		if (w->heap[up] <= v)
			break;
		w->heap[i] = w->heap[up];
	}
	w->heap[i] = v;
}

static uint64_t
heap_pop(struct tok_work *w)
{
	uint64_t top = w->heap[0], v = w->heap[--w->nheap];
	size_t i = 0, down;

	for (;;) {
		down = 2 * i + 1;
		if (down >= w->nheap)
			break;
		if (down + 1 < w->nheap && w->heap[down + 1] < w->heap[down])
			down++;
		if (w->heap[down] >= v)
			break;
		w->heap[i] = w->heap[down];
		i = down;
	}
	w->heap[i] = v;
	return top;
}

static void
merge_of(const struct tok *t, struct tok_node *a, const struct tok_node *b)
{
	uint64_t pair = (uint64_t)a->id << 32 | b->id;
	uint32_t i = (uint32_t)((pair * 0x9e3779b97f4a7c15ull) >> 32);

	for (i &= t->merge_mask; t->merges[i].pair != UINT64_MAX;
	     i = (i + 1) & t->merge_mask) {
		if (t->merges[i].pair != pair)
			continue;
		a->key = t->merges[i].rank;
		a->join = t->merges[i].result;
		return;
	}
}

/* Higher scores are lower keys. */
static uint32_t
score_key(float score)
{
	uint32_t bits;

	score += 0.0f; /* no -0 */
	memcpy(&bits, &score, sizeof(bits));
	return (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
}

static void
score_of(const struct tok *t, const char *p, struct tok_node *a,
    const struct tok_node *b)
{
	uint32_t len = a->len + b->len;

	if (len > t->longest)
		return;
	a->join = tok_map_find(t, &t->map, p + a->off, len);
	if (a->join != TOK_NONE)
		a->key = score_key(t->score[a->join]);
}

/* What joining node i with its next would make. */
static void
pair_up(const struct tok *t, struct tok_work *w, const char *p, uint32_t i)
{
	struct tok_node *a = &w->node[i];

	a->join = TOK_NONE;
	if (a->next == TOK_NONE)
		return;
	if (t->spm)
		score_of(t, p, a, &w->node[a->next]);
	else
		merge_of(t, a, &w->node[a->next]);
	if (a->join != TOK_NONE)
		heap_push(w, (uint64_t)a->key << 32 | i);
}

static void
join_all(const struct tok *t, struct tok_work *w, const char *p, uint32_t n)
{
	struct tok_node *a, *b;
	uint64_t top;
	uint32_t i;

	w->nheap = 0;
	for (i = 0; i < n; i++)
		pair_up(t, w, p, i);
	while (w->nheap > 0) {
		top = heap_pop(w);
		i = (uint32_t)top;
		a = &w->node[i];
		/* What was pushed for a pair that is no more: len is 0 of a
		 * node that another has taken. */
		if (a->len == 0 || a->join == TOK_NONE || a->key != top >> 32)
			continue;
		b = &w->node[a->next];
		a->id = a->join;
		a->len += b->len;
		a->next = b->next;
		b->len = 0;
		if (a->next != TOK_NONE)
			w->node[a->next].prev = i;
		pair_up(t, w, p, i);
		if (a->prev != TOK_NONE)
			pair_up(t, w, p, a->prev);
	}
}

static void
node_add(struct tok_work *w, uint32_t i, size_t off, size_t len, uint32_t id)
{
	if (i == w->node_cap) {
		w->node_cap = w->node_cap == 0 ? 64 : w->node_cap * 2;
		w->node = xreallocarray(w->node, w->node_cap, sizeof(*w->node));
	}
	w->node[i] = (struct tok_node){ .off = (uint32_t)off,
		.len = (uint32_t)len,
		.prev = i == 0 ? TOK_NONE : i - 1,
		.next = TOK_NONE,
		.id = id,
		.join = TOK_NONE };
	if (i > 0)
		w->node[i - 1].next = i;
}

void
tok_word_bpe(const struct tok *t, struct tok_work *w, const char *p, size_t n,
    struct tok_ids *out)
{
	static const uint8_t bad[] = { 0xef, 0xbf, 0xbd }; /* U+FFFD */
	uint32_t i, whole, nodes = 0;
	int32_t id;
	size_t k;

	if (t->whole_words && n <= t->longest) {
		whole = tok_map_find(t, &t->map, p, n);
		if (whole != TOK_NONE) {
			tok_ids_push(out, (int32_t)whole);
			return;
		}
	}
	for (i = 0; i < n; i++) {
		id = t->byte_id[(uint8_t)p[i]];
		if (id >= 0)
			node_add(w, nodes++, i, 1, (uint32_t)id);
		for (k = 0; id < 0 && k < nitems(bad); k++)
			node_add(
			    w, nodes++, i, 1, (uint32_t)t->byte_id[bad[k]]);
	}
	join_all(t, w, p, nodes);
	for (i = 0; i != TOK_NONE; i = w->node[i].next)
		tok_ids_push(out, (int32_t)w->node[i].id);
}

void
tok_word_spm(const struct tok *t, struct tok_work *w, const char *p, size_t n,
    struct tok_ids *out)
{
	const struct tok_node *a;
	size_t off, len, k;
	uint32_t i;

	if (n == 0)
		return;
	for (i = 0, off = 0; off < n; off += len, i++) {
		unicode_decode(p + off, n - off, &len);
		node_add(
		    w, i, off, len, tok_map_find(t, &t->map, p + off, len));
	}
	join_all(t, w, p, i);
	for (i = 0; i != TOK_NONE; i = a->next) {
		a = &w->node[i];
		if (a->id != TOK_NONE) {
			tok_ids_push(out, (int32_t)a->id);
			continue;
		}
		for (k = 0; k < a->len; k++)
			tok_ids_push(out, t->byte_id[(uint8_t)p[a->off + k]]);
	}
}
