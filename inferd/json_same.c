/*
 * Do two JSON texts mean the same?  Members in any order, numbers and strings
 * by value.
 */
#include "inferd/json_tree.h"

#include <stdlib.h>
#include <string.h>

/* Out of order, each is looked for among all. */
#define SEARCH_MAX 512u

static bool
same_text(const struct json_tree *a, uint32_t x, const struct json_tree *b,
    uint32_t y,
    void (*read)(const struct json_tree *t, uint32_t node, struct buf *out))
{
	cleanup_buf struct buf p = { 0 }, q = { 0 };

	read(a, x, &p);
	read(b, y, &q);
	return buf_len(&p) == buf_len(&q) &&
	       (buf_len(&p) == 0 ||
		   memcmp(buf_head(&p), buf_head(&q), buf_len(&p)) == 0);
}

static bool
same_number(const struct json_tree *a, uint32_t x, const struct json_tree *b,
    uint32_t y)
{
	char p[64], q[64];
	size_t n = a->node[x].n, m = b->node[y].n;

	if (n == m && memcmp(a->text + a->node[x].from,
			  b->text + b->node[y].from, n) == 0)
		return true;
	if (n >= sizeof(p) || m >= sizeof(q))
		return false;
	memcpy(p, a->text + a->node[x].from, n);
	p[n] = '\0';
	memcpy(q, b->text + b->node[y].from, m);
	q[m] = '\0';
	return strtod(p, NULL) == strtod(q, NULL);
}

static bool same(const struct json_tree *a, uint32_t x,
    const struct json_tree *b, uint32_t y);

/* The member of b's object y that is named like a's node i, 0: none. */
static uint32_t
named(const struct json_tree *a, uint32_t i, const struct json_tree *b,
    uint32_t y)
{
	uint32_t k;

	for (k = json_tree_first(b, y); k != 0; k = b->node[k].next)
		if (same_text(a, i, b, k, json_tree_key))
			break;
	return k;
}

static bool
same_members(const struct json_tree *a, uint32_t x, const struct json_tree *b,
    uint32_t y)
{
	uint32_t n = json_tree_count(a, x), i, k;
	uint32_t next = json_tree_first(b, y);
	bool in_order = true;

	if (n != json_tree_count(b, y))
		return false;
	for (i = json_tree_first(a, x); i != 0; i = a->node[i].next) {
		k = next;
		next = b->node[k].next;
		if (!same_text(a, i, b, k, json_tree_key)) {
			in_order = false;
			k = n > SEARCH_MAX ? 0 : named(a, i, b, y);
		}
		if (k == 0 || !same(a, i, b, k))
			return false;
	}
	/* A name that is there twice stands for no other. */
	for (k = json_tree_first(b, y); !in_order && k != 0;
	     k = b->node[k].next)
		if (named(b, k, a, x) == 0)
			return false;
	return true;
}

static bool
same(const struct json_tree *a, uint32_t x, const struct json_tree *b,
    uint32_t y)
{
	uint32_t i, k;

	if (a->node[x].type != b->node[y].type)
		return false;
	switch (a->node[x].type) {
	case JSON_NULL:
	case JSON_FALSE:
	case JSON_TRUE:
		return true;
	case JSON_NUM:
		return same_number(a, x, b, y);
	case JSON_STR:
		return same_text(a, x, b, y, json_tree_str);
	case JSON_OBJECT:
		return same_members(a, x, b, y);
	case JSON_ARRAY:
		break;
	}
	i = json_tree_first(a, x);
	k = json_tree_first(b, y);
	for (; i != 0 && k != 0; i = a->node[i].next, k = b->node[k].next)
		if (!same(a, i, b, k))
			return false;
	return i == k;
}

bool
json_same(const char *p, size_t n, const char *q, size_t m)
{
	cleanup_json_tree struct json_tree a = { 0 }, b = { 0 };

	if (n == m && (n == 0 || memcmp(p, q, n) == 0))
		return true;
	return json_tree_read(&a, p, n, NULL) == 0 &&
	       json_tree_read(&b, q, m, NULL) == 0 && same(&a, 0, &b, 0);
}
