#include "inferd/schema_int.h"

#include <string.h>

#include "base/str.h"

/* What one schema says about items. */
struct items {
	uint32_t list;  /* the first of the items that come first, 0: none */
	uint32_t nlist; /* how many these are */
	uint32_t rest;  /* SCHEMA_NONE: anything */
};

static void
read_items(struct schema *s, uint32_t part, struct items *it)
{
	uint32_t prefix = schema_get(s, part, KEY_PREFIX_ITEMS);
	uint32_t items = schema_get(s, part, KEY_ITEMS);

	memset(it, 0, sizeof(*it));
	it->rest = items;
	/* Before 2020 the list was in "items". */
	if (prefix == SCHEMA_NONE && items != SCHEMA_NONE &&
	    s->t.node[items].type == JSON_ARRAY) {
		prefix = items;
		it->rest = schema_get(s, part, KEY_ADDITIONAL_ITEMS);
	}
	if (prefix == SCHEMA_NONE)
		return;
	if (s->t.node[prefix].type != JSON_ARRAY) {
		schema_bad(s, prefix, "it is no list");
		return;
	}
	it->list = s->t.node[prefix].child;
	it->nlist = json_tree_count(&s->t, prefix);
}

/* The rule of the item at this place. */
static uint32_t
item_rule(struct schema *s, const struct shape *sh, struct items *it)
{
	uint32_t node[SCHEMA_PARTS], n = 0, i;

	for (i = 0; i < sh->npart; i++) {
		if (it[i].list != 0) {
			node[n++] = it[i].list;
			it[i].list = s->t.node[it[i].list].next;
		} else if (it[i].rest != SCHEMA_NONE) {
			node[n++] = it[i].rest;
		}
	}
	return n == 0 ? s->b.any : schema_rule(s, node, n);
}

uint32_t
schema_array(struct schema *s, const struct shape *sh)
{
	struct gbuild *b = &s->b;
	struct items it[SCHEMA_PARTS];
	cleanup_free uint32_t *rule = NULL;
	uint32_t i, k, n = 0, min = sh->min_items, max = sh->max_items;
	uint32_t end, node, rest;
	bool more = false;

	for (i = 0; i < sh->npart; i++) {
		read_items(s, sh->part[i], &it[i]);
		n = it[i].nlist > n ? it[i].nlist : n;
		more |= it[i].rest != SCHEMA_NONE;
	}
	if (s->failed)
		return 0;
	/* More than a list of them only where it is said. */
	if (n > 0 && !more && max > n)
		max = n;
	if (min > max)
		return 0;
	rule = xcalloc((size_t)n + 1, sizeof(*rule));
	for (i = 0; i <= n && i < max; i++)
		rule[i] = item_rule(s, sh, it);
	end = gbuild_space(b, gbuild_text(b, "]", 1, b->end));
	node = end;
	if (max > n) {
		/* The first of a list has no comma. */
		k = n > 0 ? n : 1;
		rest = gbuild_text(b, ",", 1,
		    gbuild_space(b, gbuild_call(b, rule[n], b->end)));
		node = gbuild_repeat(b, rest, min > k ? min - k : 0,
		    max == GRAMMAR_MANY ? max : max - k, end);
		if (n == 0)
			node = gbuild_call(b, rule[0], node);
	}
	if (n > max)
		n = max;
	for (i = n; i-- > 0;) {
		node = gbuild_call(b, rule[i], node);
		if (i > 0)
			node = gbuild_split(b, i >= min ? end : 0,
			    gbuild_text(b, ",", 1, gbuild_space(b, node)));
	}
	if (max == 0)
		node = 0;
	node = gbuild_split(
	    b, min == 0 ? gbuild_text(b, "]", 1, b->end) : 0, node);
	return gbuild_text(b, "[", 1, gbuild_space(b, node));
}
