#include "inferd/schema_int.h"

#include <string.h>

#include "base/str.h"

static void
merge_type(struct schema *s, uint32_t node, uint32_t *types)
{
	static const struct {
		const char *name;
		uint32_t types;
	} names[] = {
		{ "null", SCHEMA_NULL },
		{ "boolean", SCHEMA_BOOLEAN },
		{ "integer", SCHEMA_INTEGER },
		{ "number", SCHEMA_INTEGER | SCHEMA_FRACTION },
		{ "string", SCHEMA_STRING },
		{ "array", SCHEMA_ARRAY },
		{ "object", SCHEMA_OBJECT },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (json_tree_is(&s->t, node, names[i].name)) {
			*types |= names[i].types;
			return;
		}
	}
	schema_bad(s, node, "it is no type");
}

static void
read_type(struct schema *s, uint32_t part, uint32_t node, struct shape *sh)
{
	uint32_t types = 0, i;

	if (s->t.node[node].type == JSON_ARRAY)
		for (i = s->t.node[node].child; i != 0; i = s->t.node[i].next)
			merge_type(s, i, &types);
	else
		merge_type(s, node, &types);
	i = schema_get(s, part, KEY_NULLABLE);
	if (i != SCHEMA_NONE && s->t.node[i].type == JSON_TRUE)
		types |= SCHEMA_NULL;
	sh->types &= types;
}

/* A whole number, MANY if it is larger than anything; false: it is none. */
static bool
size(struct schema *s, uint32_t node, uint32_t *out)
{
	const struct json_node *n = &s->t.node[node];
	struct decimal d;
	uint64_t v = 0;
	uint32_t i;

	if (n->type != JSON_NUM ||
	    decimal_read(&d, s->t.text + n->from, n->n) < 0 || d.neg ||
	    d.nfrac > 0) {
		schema_bad(s, node, "it is no whole number");
		return false;
	}
	for (i = 0; i < d.nint && v < GRAMMAR_MANY; i++)
		v = v * 10 + d.digit[i];
	*out = d.huge || v > (1u << 30) ? GRAMMAR_MANY : (uint32_t)v;
	return true;
}

static void
at_least(struct schema *s, uint32_t node, uint32_t *bound)
{
	uint32_t v;

	if (size(s, node, &v) && v > *bound)
		*bound = v;
}

static void
at_most(struct schema *s, uint32_t node, uint32_t *bound)
{
	uint32_t v;

	if (size(s, node, &v) && v < *bound)
		*bound = v;
}

static void
bound(struct schema *s, uint32_t node, bool lower, bool open, struct range *r)
{
	const struct json_node *n = &s->t.node[node];
	struct decimal d, *b = lower ? &r->lo : &r->hi;
	bool *is_open = lower ? &r->lo_open : &r->hi_open;
	int cmp;

	if (n->type != JSON_NUM ||
	    decimal_read(&d, s->t.text + n->from, n->n) < 0) {
		schema_bad(s, node, "it is no number that is supported");
		return;
	}
	cmp = b->set ? decimal_cmp(&d, b) : lower ? 1 : -1;
	if (cmp == 0)
		*is_open |= open;
	if ((lower && cmp > 0) || (!lower && cmp < 0)) {
		*b = d;
		*is_open = open;
	}
}

/* Draft 4: a boolean that makes the bound beside it one of the other kind. */
static void
old_bound(
    struct schema *s, uint32_t part, uint32_t node, bool lower, struct range *r)
{
	uint32_t beside =
	    schema_get(s, part, lower ? KEY_MINIMUM : KEY_MAXIMUM);

	if (s->t.node[node].type == JSON_TRUE && beside != SCHEMA_NONE)
		bound(s, beside, lower, true, r);
}

static bool
is_bool(const struct schema *s, uint32_t node)
{
	return s->t.node[node].type == JSON_TRUE ||
	       s->t.node[node].type == JSON_FALSE;
}

/* Powers of ten down from one: how many digits there are behind the point. */
static void
multiple(struct schema *s, uint32_t node, struct range *r)
{
	const struct json_node *n = &s->t.node[node];
	struct decimal d;
	uint32_t i, sum = 0;

	if (n->type != JSON_NUM ||
	    decimal_read(&d, s->t.text + n->from, n->n) < 0 || d.neg ||
	    d.huge || d.nint > 1) {
		schema_bad(s, node, "only 1, 0.1, 0.01 ... are supported");
		return;
	}
	for (i = 0; i < d.nint + d.nfrac; i++)
		sum += d.digit[i];
	if (sum != 1 || d.digit[d.nint + d.nfrac - 1] != 1)
		schema_bad(s, node, "only 1, 0.1, 0.01 ... are supported");
	else if (d.nfrac < r->frac)
		r->frac = d.nfrac;
}

static void
read_values(struct schema *s, uint32_t node, bool list, struct shape *sh)
{
	if (list && s->t.node[node].type != JSON_ARRAY) {
		schema_bad(s, node, "it is no list");
	} else if (sh->nvalues == SCHEMA_PARTS) {
		schema_bad(s, node, "too many lists of values at once");
	} else {
		sh->values[sh->nvalues].node = node;
		sh->values[sh->nvalues++].list = list;
	}
}

/* A pattern of which two are the same is one. */
static void
read_pattern(struct schema *s, uint32_t node, struct shape *sh)
{
	const struct json_node *n = s->t.node;
	uint32_t old = sh->pattern;

	if (n[node].type != JSON_STR)
		schema_bad(s, node, "it is no text");
	else if (old == SCHEMA_NONE)
		sh->pattern = node;
	else if (n[old].n != n[node].n ||
		 memcmp(s->t.text + n[old].from, s->t.text + n[node].from,
		     n[node].n) != 0)
		schema_bad(s, node, "two patterns at once are not supported");
}

static void
read_key(struct schema *s, uint32_t part, uint32_t m, struct shape *sh)
{
	enum json_type type = s->t.node[m].type;

	switch (schema_key(s, m)) {
	case KEY_OTHER:
	case KEY_ALL_OF:
	case KEY_ANY_OF:
	case KEY_ONE_OF:
	case KEY_REF:
	case KEY_NULLABLE:
		break;
	case KEY_ADDITIONAL_ITEMS:
	case KEY_ITEMS:
	case KEY_PREFIX_ITEMS:
		sh->given |= SCHEMA_ARRAY;
		break;
	case KEY_PROPERTIES:
	case KEY_PROPERTY_NAMES:
	case KEY_ADDITIONAL_PROPERTIES:
		sh->given |= SCHEMA_OBJECT;
		if (type != JSON_OBJECT &&
		    (schema_key(s, m) == KEY_PROPERTIES || !is_bool(s, m)))
			schema_bad(s, m, "it is no object");
		break;
	case KEY_REQUIRED:
		/* Draft 3 has a boolean here. */
		if (type != JSON_ARRAY && !is_bool(s, m))
			schema_bad(s, m, "it is no list");
		if (type == JSON_ARRAY)
			sh->given |= SCHEMA_OBJECT;
		break;
	case KEY_CONST:
	case KEY_ENUM:
		read_values(s, m, schema_key(s, m) == KEY_ENUM, sh);
		break;
	case KEY_EXCLUSIVE_MAXIMUM:
	case KEY_EXCLUSIVE_MINIMUM:
		sh->given |= SCHEMA_INTEGER | SCHEMA_FRACTION;
		if (is_bool(s, m))
			old_bound(s, part, m,
			    schema_key(s, m) == KEY_EXCLUSIVE_MINIMUM,
			    &sh->range);
		else
			bound(s, m, schema_key(s, m) == KEY_EXCLUSIVE_MINIMUM,
			    true, &sh->range);
		break;
	case KEY_MAXIMUM:
	case KEY_MINIMUM:
		sh->given |= SCHEMA_INTEGER | SCHEMA_FRACTION;
		bound(s, m, schema_key(s, m) == KEY_MINIMUM, false, &sh->range);
		break;
	case KEY_MULTIPLE_OF:
		sh->given |= SCHEMA_INTEGER | SCHEMA_FRACTION;
		multiple(s, m, &sh->range);
		break;
	case KEY_FORMAT:
		if (sh->format == SCHEMA_NONE)
			sh->format = m;
		break;
	case KEY_MAX_ITEMS:
		sh->given |= SCHEMA_ARRAY;
		at_most(s, m, &sh->max_items);
		break;
	case KEY_MIN_ITEMS:
		sh->given |= SCHEMA_ARRAY;
		at_least(s, m, &sh->min_items);
		break;
	case KEY_MAX_LENGTH:
		sh->given |= SCHEMA_STRING;
		at_most(s, m, &sh->max_len);
		break;
	case KEY_MIN_LENGTH:
		sh->given |= SCHEMA_STRING;
		at_least(s, m, &sh->min_len);
		break;
	case KEY_MAX_PROPERTIES:
		sh->given |= SCHEMA_OBJECT;
		at_most(s, m, &sh->max_props);
		break;
	case KEY_MIN_PROPERTIES:
		sh->given |= SCHEMA_OBJECT;
		at_least(s, m, &sh->min_props);
		break;
	case KEY_PATTERN:
		sh->given |= SCHEMA_STRING;
		read_pattern(s, m, sh);
		break;
	case KEY_PATTERN_PROPERTIES:
		if (type != JSON_OBJECT || s->t.node[m].child != 0)
			schema_bad(s, m, "it is not supported");
		break;
	case KEY_NOT:
		if (schema_is_true(s, m))
			sh->types = 0;
		else if (!schema_is_false(s, m))
			schema_bad(s, m, "it is not supported");
		break;
	case KEY_TYPE:
		read_type(s, part, m, sh);
		break;
	case KEY_UNEVALUATED_PROPERTIES:
		if (schema_is_false(s, m))
			sh->closed = true;
		else if (!schema_is_true(s, m))
			schema_bad(s, m, "it is not supported");
		break;
	case KEY_UNIQUE_ITEMS:
		if (type != JSON_FALSE)
			schema_bad(s, m, "it is not supported");
		break;
	case KEY_UNSUPPORTED:
		schema_bad(s, m, "it is not supported");
		break;
	}
}

void
schema_shape(struct schema *s, struct shape *sh)
{
	uint32_t i, m;

	sh->types = SCHEMA_ANY;
	sh->given = 0;
	sh->nvalues = 0;
	sh->min_len = sh->min_items = sh->min_props = 0;
	sh->max_len = sh->max_items = sh->max_props = GRAMMAR_MANY;
	sh->pattern = sh->format = SCHEMA_NONE;
	memset(&sh->range, 0, sizeof(sh->range));
	sh->range.frac = GRAMMAR_DIGITS;
	sh->closed = false;
	for (i = 0; i < sh->npart; i++)
		for (m = s->t.node[sh->part[i]].child; m != 0;
		     m = s->t.node[m].next)
			if (schema_spend(s, 1))
				read_key(s, sh->part[i], m, sh);
	/* Keywords of an object without "type" mean an object, and so on. */
	if (sh->types == SCHEMA_ANY && sh->given != 0 && sh->nvalues == 0)
		sh->types = sh->given;
}
