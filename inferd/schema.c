#include "inferd/schema_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Schemas that must all hold, with alternatives that are still open. */
struct conj {
	uint32_t node[SCHEMA_PARTS];
	uint32_t up[SCHEMA_PARTS]; /* which of them led to it */
	uint32_t n;
	struct {
		uint32_t node, up;
	} open[SCHEMA_PARTS];
	uint32_t nopen;
	uint32_t level; /* choices that were made */
	uint32_t types; /* no others */
	bool never;
};

static void add(struct schema *s, struct conj *c, uint32_t node, uint32_t up);

static void
add_member(struct schema *s, struct conj *c, uint32_t m, uint32_t up)
{
	enum schema_key key = schema_key(s, m);
	uint32_t i;

	if (key == KEY_REF) {
		i = schema_ref(s, m);
		if (!s->failed)
			add(s, c, i, up);
		return;
	}
	if (key != KEY_ALL_OF && key != KEY_ANY_OF && key != KEY_ONE_OF)
		return;
	if (s->t.node[m].type != JSON_ARRAY || s->t.node[m].child == 0) {
		schema_bad(s, m, "it is no list, or an empty one");
	} else if (key == KEY_ALL_OF) {
		for (i = s->t.node[m].child; i != 0; i = s->t.node[i].next)
			add(s, c, i, up);
	} else if (c->nopen == SCHEMA_PARTS) {
		schema_bad(s, m, "too many schemas at once");
	} else {
		c->open[c->nopen].node = m;
		c->open[c->nopen++].up = up;
	}
}

static void
add(struct schema *s, struct conj *c, uint32_t node, uint32_t up)
{
	uint32_t i, k;

	if (!schema_spend(s, 1 + c->n))
		return;
	if (node == SCHEMA_ONLY_STRINGS) {
		c->types = SCHEMA_STRING;
		return;
	}
	if (s->t.node[node].type == JSON_TRUE)
		return;
	if (s->t.node[node].type == JSON_FALSE) {
		c->never = true;
		return;
	}
	if (s->t.node[node].type != JSON_OBJECT) {
		schema_bad(s, node, "it is no schema");
		return;
	}
	for (i = 0; i < c->n; i++) {
		if (c->node[i] != node)
			continue;
		for (k = up; k != SCHEMA_NONE; k = c->up[k])
			if (k == i)
				schema_bad(
				    s, node, "it leads to itself without end");
		return;
	}
	if (c->n == SCHEMA_PARTS) {
		schema_bad(s, node, "too many schemas at once");
		return;
	}
	k = c->n++;
	c->node[k] = node;
	c->up[k] = up;
	for (i = s->t.node[node].child; i != 0 && !s->failed;
	     i = s->t.node[i].next)
		add_member(s, c, i, k);
}

/* Does it only lead to others? */
static bool
is_bare(const struct schema *s, uint32_t node)
{
	enum schema_key key;
	uint32_t i;

	for (i = s->t.node[node].child; i != 0; i = s->t.node[i].next) {
		key = schema_key(s, i);
		if (key != KEY_OTHER && key != KEY_REF && key != KEY_ALL_OF &&
		    key != KEY_ANY_OF && key != KEY_ONE_OF &&
		    key != KEY_NULLABLE)
			return false;
	}
	return true;
}

static uint32_t
shape_node(struct schema *s, const struct shape *sh)
{
	struct gbuild *b = &s->b;
	uint32_t node = 0;

	if (s->failed)
		return 0;
	if (sh->types == SCHEMA_ANY && sh->given == 0)
		return gbuild_call(b, b->any, b->end);
	if (sh->types & SCHEMA_OBJECT)
		node = schema_object(s, sh);
	if (sh->types & SCHEMA_ARRAY)
		node = gbuild_split(b, node, schema_array(s, sh));
	if (sh->types & SCHEMA_STRING)
		node = gbuild_split(b, node, schema_string(s, sh));
	if (sh->types & (SCHEMA_INTEGER | SCHEMA_FRACTION))
		node = gbuild_split(b, node,
		    schema_number(
			b, &sh->range, (sh->types & SCHEMA_FRACTION) == 0));
	if (sh->types & SCHEMA_BOOLEAN)
		node = gbuild_split(b, node,
		    gbuild_split(b, gbuild_text(b, "true", 4, b->end),
			gbuild_text(b, "false", 5, b->end)));
	if (sh->types & SCHEMA_NULL)
		node = gbuild_split(b, node, gbuild_text(b, "null", 4, b->end));
	return node;
}

/* All ways to hold: each open choice is made in each way. */
static uint32_t
expand(struct schema *s, const struct conj *c)
{
	struct shape sh;
	struct conj one;
	uint32_t i, at, node = 0, bare = 0;

	if (s->failed || c->never)
		return 0;
	for (i = 0; i < c->n; i++)
		bare += is_bare(s, c->node[i]);
	if (c->nopen == 0) {
		if (++s->leaves > SCHEMA_ALTERNATIVES)
			return schema_bad(s, c->n == 0 ? 0 : c->node[0],
			    "too many alternatives at once");
		memset(&sh, 0, sizeof(sh));
		for (i = 0; i < c->n; i++)
			if (!is_bare(s, c->node[i]))
				sh.part[sh.npart++] = c->node[i];
		schema_shape(s, &sh);
		sh.types &= c->types;
		return sh.nvalues > 0 ? schema_values(s, &sh)
				      : shape_node(s, &sh);
	}
	at = c->open[c->nopen - 1].node;
	for (i = s->t.node[at].child; i != 0 && !s->failed;
	     i = s->t.node[i].next) {
		/* Nothing else to hold: it is a rule for itself. */
		if (c->nopen == 1 && bare == c->n && c->types == SCHEMA_ANY) {
			if (++s->leaves > SCHEMA_ALTERNATIVES)
				return schema_bad(
				    s, at, "too many alternatives at once");
			node = gbuild_split(&s->b, node,
			    gbuild_call(
				&s->b, schema_rule(s, &i, 1), s->b.end));
			continue;
		}
		if (c->level == SCHEMA_PARTS || !schema_spend(s, SCHEMA_PARTS))
			return schema_bad(
			    s, at, "too many alternatives at once");
		one = *c;
		one.nopen--;
		one.level++;
		add(s, &one, i, c->open[c->nopen - 1].up);
		node = gbuild_split(&s->b, node, expand(s, &one));
	}
	return node;
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t
schema_rule(struct schema *s, const uint32_t *node, uint32_t n)
{
	struct schema_rule *r;
	uint32_t sorted[SCHEMA_PARTS], i, k;

	if (n > SCHEMA_PARTS) {
		schema_bad(s, node[0], "too many schemas at once");
		return 0;
	}
	memcpy(sorted, node, n * sizeof(*node));
	qsort(sorted, n, sizeof(*sorted), by_value);
	for (i = 0, k = 0; i < n; i++)
		if (i == 0 || sorted[i] != sorted[i - 1])
			sorted[k++] = sorted[i];
	n = k;
	for (i = 0; i < s->nrule; i++) {
		r = &s->rule[i];
		if (r->n == n &&
		    memcmp(r->node, sorted, n * sizeof(*sorted)) == 0)
			return r->rule;
	}
	if (!schema_spend(s, 1 + s->nrule / 4))
		return 0;
	if (s->nrule == s->rule_cap) {
		s->rule_cap = s->rule_cap == 0 ? 32 : s->rule_cap * 2;
		s->rule = xreallocarray(s->rule, s->rule_cap, sizeof(*s->rule));
	}
	r = &s->rule[s->nrule++];
	r->node = xmemdup(sorted, (n + 1) * sizeof(*sorted));
	r->n = n;
	r->rule = gbuild_rule(&s->b);
	return r->rule;
}

/* Each rule that was asked for, which asks for others. */
static void
make_rules(struct schema *s)
{
	struct conj c;
	uint32_t i, k, node;

	for (i = 0; i < s->nrule && !s->failed; i++) {
		c.n = c.nopen = c.level = 0;
		c.never = false;
		c.types = SCHEMA_ANY;
		for (k = 0; k < s->rule[i].n; k++)
			add(s, &c, s->rule[i].node[k], SCHEMA_NONE);
		s->leaves = 0;
		node = expand(s, &c);
		gbuild_rule_set(&s->b, s->rule[i].rule, node);
		if (s->b.over)
			schema_bad(s, 0, "it is too large");
	}
}

static struct grammar *
finish(struct schema *s, uint32_t root)
{
	struct grammar *g = NULL;
	bool nothing = false;

	if (!s->failed)
		g = gbuild_finish(&s->b, root, &nothing);
	if (g == NULL && nothing)
		schema_bad(s, 0, "nothing is valid by it");
	else if (g == NULL)
		schema_bad(s, 0, "it is too large");
	return g;
}

static void
clear(struct schema *s)
{
	uint32_t i;

	for (i = 0; i < s->nrule; i++)
		free(s->rule[i].node);
	free(s->rule);
	gbuild_free(&s->b);
}

/*
 * The rest of the shape as a grammar of its own, which the values are taken
 * through.
 */
bool
schema_fits(struct schema *s, const struct shape *sh, const uint32_t *value,
    uint32_t n, bool *fits)
{
	struct schema sub = {
		.t = s->t, .err = s->err, .work = s->work, .inner = s->inner + 1
	};
	cleanup_buf struct buf text = { 0 };
	struct grammar_state *st;
	struct grammar *g = NULL;
	uint32_t rule, i;
	bool nothing = false;

	if (s->inner == SCHEMA_INNER) {
		schema_bad(s, sh->values[0].node,
		    "too many lists of values within each other");
		return false;
	}
	gbuild_init(&sub.b);
	rule = gbuild_rule(&sub.b);
	gbuild_rule_set(&sub.b, rule, shape_node(&sub, sh));
	make_rules(&sub);
	if (!sub.failed)
		g = gbuild_finish(&sub.b, rule, &nothing);
	if (g == NULL && !nothing)
		schema_bad(&sub, 0, "it is too large");
	for (i = 0; i < n; i++) {
		fits[i] = false;
		if (g == NULL)
			continue;
		buf_clear(&text);
		json_tree_dump(&s->t, value[i], &text);
		st = grammar_start(g);
		fits[i] = grammar_take(st, (const char *)buf_head(&text),
			      buf_len(&text)) &&
			  grammar_done(st);
		grammar_state_free(st);
	}
	grammar_free(g);
	clear(&sub);
	s->work = sub.work;
	s->failed |= sub.failed;
	return !s->failed;
}

struct grammar *
schema_compile_next(
    const char *json, size_t n, uint64_t *spent, struct error *err)
{
	struct schema s = { .err = err, .work = *spent };
	struct grammar *g = NULL;
	const uint32_t root = 0;

	if (n > SCHEMA_BYTES) {
		error_set(err, 0, "schema: longer than %u bytes", SCHEMA_BYTES);
		return NULL;
	}
	gbuild_init(&s.b);
	if (n == 0) {
		g = finish(&s, s.b.any_object);
	} else if (json_tree_read(&s.t, json, n, err) < 0) {
		error_prefix(err, "schema");
	} else if (s.t.n > SCHEMA_NODES) {
		schema_bad(&s, 0, "it is too large");
	} else {
		schema_rule(&s, &root, 1);
		make_rules(&s);
		g = finish(&s, s.failed ? 0 : s.rule[0].rule);
	}
	*spent = s.work;
	json_tree_free(&s.t);
	clear(&s);
	return g;
}

struct grammar *
schema_compile(const char *json, size_t n, struct error *err)
{
	uint64_t spent = 0;

	return schema_compile_next(json, n, &spent, err);
}
