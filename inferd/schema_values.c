/* enum and const, and words that are told apart letter by letter. */
#include "inferd/schema_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define WORDS_DEPTH 128u

static int
by_bytes(const void *a, const void *b)
{
	const struct word *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int cmp = n == 0 ? 0 : memcmp(x->p, y->p, n);

	return cmp != 0 ? cmp : x->n < y->n ? -1 : x->n > y->n;
}

/* n sorted words that have the first `at` bytes in common. */
static uint32_t
words(struct schema *s, const struct word *w, uint32_t n, size_t at,
    unsigned int depth)
{
	struct gbuild *b = &s->b;
	uint32_t i, k, node, ne = 0;
	struct gedge e[256];
	size_t common = at;

	if (depth > WORDS_DEPTH)
		return schema_bad(s, 0, "too many values that begin alike");
	while (common < w[0].n && w[0].p[common] == w[n - 1].p[common])
		common++;
	for (i = common == w[0].n; i < n; i = k) {
		for (k = i + 1; k < n && w[k].p[common] == w[i].p[common];)
			k++;
		e[ne++] = (struct gedge){ w[i].p[common], w[i].p[common],
			words(s, &w[i], k - i, common + 1, depth + 1) };
	}
	node = ne == 0 ? 0 : gbuild_node(b, GNODE_EDGES, 0, 0);
	gbuild_edges(b, node, e, ne);
	if (common == w[0].n)
		node = gbuild_split(b, b->end, node);
	return gbuild_text(b, w[0].p + at, common - at, node);
}

uint32_t
schema_words(struct schema *s, struct word *w, uint32_t n)
{
	uint32_t i, k = 0;

	if (n == 0)
		return 0;
	qsort(w, n, sizeof(*w), by_bytes);
	for (i = 0; i < n; i++)
		if (k == 0 || by_bytes(&w[k - 1], &w[i]) != 0)
			w[k++] = w[i];
	return words(s, w, k, 0, 0);
}

/* This value, with white space where there may be some. */
static uint32_t
literal(struct schema *s, uint32_t value, uint32_t next)
{
	cleanup_buf struct buf b = { 0 }, key = { 0 };
	const struct json_node *n = s->t.node;
	bool object = n[value].type == JSON_OBJECT;
	cleanup_free uint32_t *child = NULL;
	uint32_t count = json_tree_count(&s->t, value), i, k = 0;

	if (!object && n[value].type != JSON_ARRAY) {
		json_tree_dump(&s->t, value, &b);
		return gbuild_text(&s->b, buf_head(&b), buf_len(&b), next);
	}
	child = xcalloc((size_t)count + 1, sizeof(*child));
	for (i = n[value].child; i != 0; i = n[i].next)
		child[k++] = i;
	next = gbuild_text(&s->b, object ? "}" : "]", 1, next);
	if (k > 0)
		next = gbuild_space(&s->b, next);
	while (k-- > 0) {
		next = literal(s, child[k], next);
		if (object) {
			buf_clear(&b);
			buf_clear(&key);
			json_tree_key(&s->t, child[k], &key);
			json_quote(
			    &b, (const char *)buf_head(&key), buf_len(&key));
			next = gbuild_text(&s->b, buf_head(&b), buf_len(&b),
			    gbuild_colon(&s->b, next));
		}
		next = gbuild_space(&s->b, next);
		if (k > 0)
			next = gbuild_text(&s->b, ",", 1, next);
	}
	return gbuild_text(&s->b, object ? "{" : "[", 1, next);
}

static uint32_t
type_of(const struct schema *s, uint32_t node)
{
	const struct json_node *n = &s->t.node[node];
	struct decimal d;

	switch (n->type) {
	case JSON_NULL:
		return SCHEMA_NULL;
	case JSON_FALSE:
	case JSON_TRUE:
		return SCHEMA_BOOLEAN;
	case JSON_STR:
		return SCHEMA_STRING;
	case JSON_ARRAY:
		return SCHEMA_ARRAY;
	case JSON_OBJECT:
		return SCHEMA_OBJECT;
	case JSON_NUM:
		break;
	}
	return decimal_read(&d, s->t.text + n->from, n->n) == 0 && d.nfrac == 0
		   ? SCHEMA_INTEGER
		   : SCHEMA_FRACTION;
}

/* Are two values equal?  As they would be written. */
static bool
same(struct schema *s, uint32_t a, const struct buf *text)
{
	cleanup_buf struct buf b = { 0 };

	json_tree_dump(&s->t, a, &b);
	schema_spend(s, 1 + buf_len(&b) / 16);
	return buf_len(&b) == buf_len(text) &&
	       memcmp(buf_head(&b), buf_head(text), buf_len(&b)) == 0;
}

/* Is it in all the other lists, too? */
static bool
in_all(struct schema *s, const struct shape *sh, uint32_t value)
{
	cleanup_buf struct buf text = { 0 };
	uint32_t i, k;
	bool found;

	if (sh->nvalues == 1)
		return true;
	json_tree_dump(&s->t, value, &text);
	for (i = 1; i < sh->nvalues; i++) {
		k = sh->values[i].node;
		if (!sh->values[i].list) {
			if (!same(s, k, &text))
				return false;
			continue;
		}
		found = false;
		for (k = s->t.node[k].child; k != 0 && !found && !s->failed;
		     k = s->t.node[k].next)
			found = same(s, k, &text);
		if (!found)
			return false;
	}
	return true;
}

/* The values that are left, as many as `list` has room for. */
static uint32_t
candidates(struct schema *s, const struct shape *sh, uint32_t *list)
{
	uint32_t first = sh->values[0].node, i, n = 0;

	if (!sh->values[0].list) {
		list[0] = first;
		n = 1;
	} else {
		for (i = s->t.node[first].child; i != 0; i = s->t.node[i].next)
			list[n++] = i;
	}
	for (i = 0, first = 0; i < n && !s->failed; i++)
		if ((type_of(s, list[i]) & sh->types) != 0 &&
		    in_all(s, sh, list[i]))
			list[first++] = list[i];
	return first;
}

uint32_t
schema_values(struct schema *s, const struct shape *sh)
{
	uint32_t max = json_tree_count(&s->t, sh->values[0].node) + 1;
	cleanup_free uint32_t *list = xcalloc(max, sizeof(*list));
	cleanup_free struct word *w = xcalloc(max, sizeof(*w));
	cleanup_free size_t *end = xcalloc(max, sizeof(*end));
	cleanup_free bool *fits = xcalloc(max, sizeof(*fits));
	cleanup_buf struct buf text = { 0 };
	uint32_t n = candidates(s, sh, list), i, node = 0, nw = 0;

	memset(fits, true, max);
	if (sh->given != 0 && !schema_fits(s, sh, list, n, fits))
		return 0;
	for (i = 0; i < n; i++) {
		if (!fits[i])
			continue;
		if (s->t.node[list[i]].type >= JSON_ARRAY) {
			if (++s->leaves > SCHEMA_ALTERNATIVES)
				return schema_bad(s, list[i],
				    "too many alternatives at once");
			node = gbuild_split(
			    &s->b, node, literal(s, list[i], s->b.end));
		} else {
			json_tree_dump(&s->t, list[i], &text);
			end[nw++] = buf_len(&text);
		}
	}
	for (i = 0; i < nw; i++) {
		w[i].p = buf_head(&text) + (i == 0 ? 0 : end[i - 1]);
		w[i].n = end[i] - (i == 0 ? 0 : end[i - 1]);
	}
	return gbuild_split(&s->b, node, schema_words(s, w, nw));
}
