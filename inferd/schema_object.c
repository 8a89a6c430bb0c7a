/*
 * Objects: the members that are named, in the order in which the schema names
 * them, then others if the schema speaks of others.
 */
#include "inferd/schema_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/unicode.h"

struct prop {
	size_t from, n;      /* its name in names */
	uint32_t part, node; /* who named it last, and what that says */
	uint32_t rule;
	bool required;
};

struct object {
	struct schema *s;
	const struct shape *sh;
	struct buf names;
	struct prop *prop;
	uint32_t n, cap;
	bool open;       /* others may follow */
	uint32_t others; /* rule of their values */
};

static const uint8_t *
name_of(const struct object *o, const struct prop *p)
{
	return buf_head(&o->names) + p->from;
}

/* A member, which is new if it was not known. */
static struct prop *
prop(struct object *o, const struct buf *name)
{
	struct prop *p;
	uint32_t i;

	schema_spend(o->s, 1 + o->n / 4);
	for (i = 0; i < o->n; i++) {
		p = &o->prop[i];
		if (p->n == buf_len(name) &&
		    (p->n == 0 ||
			memcmp(name_of(o, p), buf_head(name), p->n) == 0))
			return p;
	}
	if (o->n == o->cap) {
		o->cap = o->cap == 0 ? 16 : o->cap * 2;
		o->prop = xreallocarray(o->prop, o->cap, sizeof(*o->prop));
	}
	p = &o->prop[o->n++];
	*p = (struct prop){ .from = buf_len(&o->names),
		.n = buf_len(name),
		.part = SCHEMA_NONE };
	buf_put(&o->names, buf_head(name), buf_len(name));
	return p;
}

static void
read_names(struct object *o, uint32_t part)
{
	struct schema *s = o->s;
	uint32_t props = schema_get(s, part, KEY_PROPERTIES);
	uint32_t req = schema_get(s, part, KEY_REQUIRED), i;
	cleanup_buf struct buf name = { 0 };
	struct prop *p;

	if (props != SCHEMA_NONE)
		for (i = s->t.node[props].child; i != 0 && !s->failed;
		     i = s->t.node[i].next) {
			buf_clear(&name);
			json_tree_key(&s->t, i, &name);
			p = prop(o, &name);
			p->part = part;
			p->node = i;
		}
	if (req == SCHEMA_NONE || s->t.node[req].type != JSON_ARRAY)
		return;
	for (i = s->t.node[req].child; i != 0 && !s->failed;
	     i = s->t.node[i].next) {
		if (s->t.node[i].type != JSON_STR) {
			schema_bad(s, i, "it is no name");
			return;
		}
		buf_clear(&name);
		json_tree_str(&s->t, i, &name);
		prop(o, &name)->required = true;
	}
}

/* What one schema says about a member. */
static uint32_t
find(struct object *o, uint32_t part, const struct prop *p)
{
	struct schema *s = o->s;
	uint32_t props, i, found = SCHEMA_NONE;
	cleanup_buf struct buf name = { 0 };

	if (part == p->part)
		return p->node;
	props = schema_get(s, part, KEY_PROPERTIES);
	for (i = props == SCHEMA_NONE ? 0 : s->t.node[props].child;
	     i != 0 && schema_spend(s, 1); i = s->t.node[i].next) {
		if (s->t.node[i].nkey < p->n)
			continue;
		buf_clear(&name);
		json_tree_key(&s->t, i, &name);
		if (buf_len(&name) == p->n &&
		    (p->n == 0 ||
			memcmp(buf_head(&name), name_of(o, p), p->n) == 0))
			found = i;
	}
	return found != SCHEMA_NONE
		   ? found
		   : schema_get(s, part, KEY_ADDITIONAL_PROPERTIES);
}

static void
find_rules(struct object *o)
{
	struct schema *s = o->s;
	uint32_t node[SCHEMA_PARTS], n, i, k, at;

	for (i = 0; i < o->n && !s->failed; i++) {
		n = 0;
		for (k = 0; k < o->sh->npart; k++) {
			at = find(o, o->sh->part[k], &o->prop[i]);
			if (at != SCHEMA_NONE)
				node[n++] = at;
		}
		o->prop[i].rule = n == 0 ? s->b.any : schema_rule(s, node, n);
	}
}

/*
 * Others: where it is said that there may be some, or where nothing is said
 * about any member.
 */
static void
find_others(struct object *o)
{
	struct schema *s = o->s;
	uint32_t node[SCHEMA_PARTS], n = 0, i, at;
	bool named = false;

	for (i = 0; i < o->sh->npart; i++) {
		at = schema_get(s, o->sh->part[i], KEY_ADDITIONAL_PROPERTIES);
		if (at != SCHEMA_NONE)
			node[n++] = at;
		named |= schema_get(s, o->sh->part[i], KEY_PROPERTIES) !=
			 SCHEMA_NONE;
	}
	o->open = !o->sh->closed && (n > 0 || !named);
	for (i = 0; i < n; i++)
		o->open &= !schema_is_false(s, node[i]);
	o->others = n == 0 ? s->b.any : schema_rule(s, node, n);
}

/* The names as characters, to tell other names from them. */
struct name {
	uint32_t *c;
	uint32_t n;
};

static int
by_chars(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	uint32_t i;

	for (i = 0; i < x->n && i < y->n; i++)
		if (x->c[i] != y->c[i])
			return x->c[i] < y->c[i] ? -1 : 1;
	return x->n < y->n ? -1 : x->n > y->n;
}

/*
 * The place behind `at` characters that n sorted names have in common: any
 * name but these.
 */
static uint32_t
other_name(struct schema *s, const struct name *w, uint32_t n, uint32_t at)
{
	cleanup_free struct gchars *c = xcalloc(2 * (size_t)n + 1, sizeof(*c));
	uint32_t node = gbuild_node(&s->b, GNODE_EDGES, 0, 0);
	uint32_t i, k, nc = 0, from = 0, chr;
	bool ends = w[0].n == at;

	for (i = ends; i < n; i = k) {
		chr = w[i].c[at];
		for (k = i + 1; k < n && w[k].c[at] == chr;)
			k++;
		if (chr > from)
			c[nc++] =
			    (struct gchars){ from, chr - 1, s->b.g->body };
		c[nc++] = (struct gchars){ chr, chr,
			s->b.over ? 0 : other_name(s, &w[i], k - i, at + 1) };
		from = chr + 1;
	}
	c[nc++] = (struct gchars){ from, UNICODE_MAX, s->b.g->body };
	schema_spend(s, 16 + n);
	gbuild_chars(&s->b, node, c, nc, ends ? 0 : s->b.end);
	return node;
}

#define NAME_MAX_CHARS 256u

static uint32_t
other_names(struct object *o)
{
	cleanup_free struct name *w = xcalloc(o->n, sizeof(*w));
	cleanup_free uint32_t *c = NULL;
	struct schema *s = o->s;
	uint32_t i, nc = 0;
	size_t k, len;

	c = xcalloc(buf_len(&o->names) + 1, sizeof(*c));
	for (i = 0; i < o->n; i++) {
		w[i].c = &c[nc];
		for (k = 0; k < o->prop[i].n; k += len) {
			w[i].c[w[i].n++] =
			    unicode_decode(name_of(o, &o->prop[i]) + k,
				o->prop[i].n - k, &len);
			nc++;
		}
		if (w[i].n > NAME_MAX_CHARS)
			return schema_bad(s, o->sh->part[0],
			    "a name is too long, with others beside it");
	}
	qsort(w, o->n, sizeof(*w), by_chars);
	return gbuild_range(&s->b, '"', '"', other_name(s, w, o->n, 0));
}

/* What propertyNames asks for, SCHEMA_NONE if any name is fine. */
static uint32_t
names_rule(struct object *o)
{
	struct schema *s = o->s;
	uint32_t node[SCHEMA_PARTS + 1], n = 0, i, at;
	struct shape plain = { 0 };

	for (i = 0; i < o->sh->npart; i++) {
		at = schema_get(s, o->sh->part[i], KEY_PROPERTY_NAMES);
		if (at == SCHEMA_NONE)
			continue;
		if (s->t.node[at].type == JSON_OBJECT) {
			plain.part[0] = at;
			plain.npart = 1;
			schema_shape(s, &plain);
		}
		if (o->n > 0 && (plain.given != 0 || plain.nvalues > 0 ||
				    schema_get(s, at, KEY_REF) != SCHEMA_NONE))
			schema_bad(
			    s, at, "it is not supported beside named members");
		node[n++] = at;
	}
	if (n == 0)
		return SCHEMA_NONE;
	node[n++] = SCHEMA_ONLY_STRINGS;
	return schema_rule(s, node, n);
}

/* The name, the colon and the value of another member. */
static uint32_t
other(struct object *o, uint32_t next)
{
	struct gbuild *b = &o->s->b;
	uint32_t rule = names_rule(o), name;

	next = gbuild_colon(b, gbuild_call(b, o->others, next));
	if (o->n > 0) {
		name = gbuild_rule(b);
		gbuild_rule_set(b, name, other_names(o));
		return gbuild_call(b, name, next);
	}
	return gbuild_call(b, rule == SCHEMA_NONE ? b->string : rule, next);
}

/* No members are named: a list of min to max others. */
static uint32_t
map(struct object *o)
{
	struct gbuild *b = &o->s->b;
	uint32_t min = o->sh->min_props, max = o->sh->max_props, end, node;

	end = gbuild_text(b, "}", 1, b->end);
	if (!o->open)
		max = 0;
	if (min > max)
		return 0;
	node = 0;
	if (max > 0) {
		node =
		    gbuild_text(b, ",", 1, gbuild_space(b, other(o, b->end)));
		node = gbuild_repeat(b, node, min > 0 ? min - 1 : 0,
		    max == GRAMMAR_MANY ? max : max - 1, gbuild_space(b, end));
		node = other(o, node);
	}
	return gbuild_text(b, "{", 1,
	    gbuild_space(b, gbuild_split(b, min == 0 ? end : 0, node)));
}

static uint32_t
member(struct object *o, const struct prop *p, uint32_t next)
{
	cleanup_buf struct buf text = { 0 };
	struct gbuild *b = &o->s->b;

	json_quote(&text, (const char *)name_of(o, p), p->n);
	return gbuild_text(b, buf_head(&text), buf_len(&text),
	    gbuild_colon(b, gbuild_call(b, p->rule, next)));
}

static uint32_t
members(struct object *o)
{
	struct gbuild *b = &o->s->b;
	uint32_t i, row = 0, more = 0, close, next, name = 0, end;
	bool closable = true;

	end = gbuild_text(b, "}", 1, b->end);
	close = gbuild_space(b, end);
	next = close;
	if (o->open) {
		/* Behind a member: another one, and so on; or the end. */
		more = next = gbuild_node(b, GNODE_SPLIT, 0, 0);
		name = other(o, more);
		if (more != 0) {
			b->g->node[more].a =
			    gbuild_text(b, ",", 1, gbuild_space(b, name));
			b->g->node[more].b = close;
		}
	}
	/* name: the names that may come here; next: behind the one before. */
	for (i = o->n; i-- > 0 && !o->s->failed;) {
		name = gbuild_split(b, member(o, &o->prop[i], next),
		    o->prop[i].required ? 0 : name);
		row = o->prop[i].required ? 0 : row + 1;
		if (row > SCHEMA_OPTIONAL)
			return schema_bad(o->s, o->sh->part[0],
			    "too many members in a row that may be missing");
		closable &= !o->prop[i].required;
		next = gbuild_split(b,
		    gbuild_text(b, ",", 1, gbuild_space(b, name)),
		    closable ? close : 0);
	}
	return gbuild_text(b, "{", 1,
	    gbuild_space(b, gbuild_split(b, name, closable ? end : 0)));
}

/* Bounds on how many members there are, where they say nothing new. */
static void
check_bounds(struct object *o)
{
	uint32_t i, required = 0;

	for (i = 0; i < o->n; i++)
		required += o->prop[i].required;
	if (o->sh->min_props > required ||
	    (o->sh->max_props != GRAMMAR_MANY &&
		(o->open || o->sh->max_props < o->n)))
		schema_bad(o->s, o->sh->part[0],
		    "minProperties and maxProperties are not supported "
		    "beside named members");
}

uint32_t
schema_object(struct schema *s, const struct shape *sh)
{
	struct object o = { .s = s, .sh = sh };
	uint32_t i, node = 0;

	for (i = 0; i < sh->npart && !s->failed; i++)
		read_names(&o, sh->part[i]);
	if (!s->failed)
		find_rules(&o);
	if (!s->failed)
		find_others(&o);
	if (!s->failed && o.n > 0)
		check_bounds(&o);
	if (!s->failed)
		node = o.n > 0 ? members(&o) : map(&o);
	free(o.prop);
	buf_free(&o.names);
	return s->failed ? 0 : node;
}
