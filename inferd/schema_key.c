#include "inferd/schema_int.h"

#include <string.h>

#include "base/str.h"

/*
 * What is not here says nothing about what is valid ("title", "x-..."): by the
 * standard it is to be ignored.  Neither does "then" without "if".
 */
static const struct {
	const char *name;
	enum schema_key key;
} keys[] = {
	{ "$dynamicRef", KEY_UNSUPPORTED },
	{ "$recursiveRef", KEY_UNSUPPORTED },
	{ "$ref", KEY_REF },
	{ "additionalItems", KEY_ADDITIONAL_ITEMS },
	{ "additionalProperties", KEY_ADDITIONAL_PROPERTIES },
	{ "allOf", KEY_ALL_OF },
	{ "anyOf", KEY_ANY_OF },
	{ "const", KEY_CONST },
	{ "contains", KEY_UNSUPPORTED },
	{ "dependencies", KEY_UNSUPPORTED },
	{ "dependentRequired", KEY_UNSUPPORTED },
	{ "dependentSchemas", KEY_UNSUPPORTED },
	{ "enum", KEY_ENUM },
	{ "exclusiveMaximum", KEY_EXCLUSIVE_MAXIMUM },
	{ "exclusiveMinimum", KEY_EXCLUSIVE_MINIMUM },
	{ "format", KEY_FORMAT },
	{ "if", KEY_UNSUPPORTED },
	{ "items", KEY_ITEMS },
	{ "maxItems", KEY_MAX_ITEMS },
	{ "maxLength", KEY_MAX_LENGTH },
	{ "maxProperties", KEY_MAX_PROPERTIES },
	{ "maximum", KEY_MAXIMUM },
	{ "minItems", KEY_MIN_ITEMS },
	{ "minLength", KEY_MIN_LENGTH },
	{ "minProperties", KEY_MIN_PROPERTIES },
	{ "minimum", KEY_MINIMUM },
	{ "multipleOf", KEY_MULTIPLE_OF },
	{ "not", KEY_NOT },
	{ "nullable", KEY_NULLABLE },
	{ "oneOf", KEY_ONE_OF },
	{ "pattern", KEY_PATTERN },
	{ "patternProperties", KEY_PATTERN_PROPERTIES },
	{ "prefixItems", KEY_PREFIX_ITEMS },
	{ "properties", KEY_PROPERTIES },
	{ "propertyNames", KEY_PROPERTY_NAMES },
	{ "required", KEY_REQUIRED },
	{ "type", KEY_TYPE },
	{ "unevaluatedItems", KEY_UNSUPPORTED },
	{ "unevaluatedProperties", KEY_UNEVALUATED_PROPERTIES },
	{ "uniqueItems", KEY_UNIQUE_ITEMS },
};

enum schema_key
schema_key(const struct schema *s, uint32_t member)
{
	const struct json_node *m = &s->t.node[member];
	const char *p = s->t.text + m->key;
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i].name) == m->nkey &&
		    memcmp(keys[i].name, p, m->nkey) == 0)
			return keys[i].key;
	return KEY_OTHER;
}

uint32_t
schema_get(struct schema *s, uint32_t object, enum schema_key key)
{
	uint32_t i, found = SCHEMA_NONE;

	for (i = s->t.node[object].child; i != 0; i = s->t.node[i].next) {
		if (!schema_spend(s, 1))
			break;
		if (schema_key(s, i) == key)
			found = i;
	}
	return found;
}

bool
schema_is_true(const struct schema *s, uint32_t node)
{
	const struct json_node *n = &s->t.node[node];
	uint32_t i;

	if (n->type != JSON_OBJECT)
		return n->type == JSON_TRUE;
	for (i = n->child; i != 0; i = s->t.node[i].next)
		if (schema_key(s, i) != KEY_OTHER)
			return false;
	return true;
}

bool
schema_is_false(const struct schema *s, uint32_t node)
{
	return s->t.node[node].type == JSON_FALSE;
}

/* The JSON pointer (RFC 6901) of a node: children come behind their parents
 * and before what follows them. */
static void
path(const struct schema *s, uint32_t node, struct buf *out)
{
	cleanup_buf struct buf key = { 0 };
	const struct json_node *n = s->t.node;
	uint32_t at = 0, i, k, index;
	size_t j;

	buf_put_u8(out, '#');
	while (at != node) {
		i = n[at].child;
		for (index = 0; n[i].next != 0 && n[i].next <= node; index++)
			i = n[i].next;
		if (n[at].type == JSON_ARRAY) {
			buf_printf(out, "/%u", index);
			at = i;
			continue;
		}
		buf_clear(&key);
		json_tree_key(&s->t, i, &key);
		buf_put_u8(out, '/');
		for (j = 0; j < buf_len(&key); j++) {
			k = buf_head(&key)[j];
			if (k == '~' || k == '/')
				buf_printf(out, "~%u", k == '/');
			else
				buf_put_u8(out, (uint8_t)k);
		}
		at = i;
	}
}

uint32_t
schema_bad(struct schema *s, uint32_t node, const char *why)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_free char *at = NULL;

	if (s->failed)
		return 0;
	s->failed = true;
	path(s, node, &b);
	at = str_escape((const char *)buf_head(&b), buf_len(&b));
	error_set(s->err, 0, "schema: %.140s: %s", at, why);
	return 0;
}

bool
schema_spend(struct schema *s, uint64_t n)
{
	s->work += n;
	if (s->work > SCHEMA_WORK)
		schema_bad(s, 0, "it is too large");
	return !s->failed;
}

/* The child of a node that part of a pointer names, SCHEMA_NONE if none. */
static uint32_t
step(struct schema *s, uint32_t node, const char *p, size_t n)
{
	cleanup_buf struct buf name = { 0 }, key = { 0 };
	uint32_t i, index = 0;
	uint64_t want;
	size_t k;

	for (k = 0; k < n; k++) {
		if (p[k] == '~' && k + 1 < n)
			buf_put_u8(&name, p[++k] == '1' ? '/' : '~');
		else
			buf_put_u8(&name, (uint8_t)p[k]);
	}
	buf_put_u8(&name, 0);
	if (str_to_u64((const char *)buf_head(&name), 0, SCHEMA_NODES, &want) <
	    0)
		want = SCHEMA_NODES;
	for (i = s->t.node[node].child; i != 0;
	     i = s->t.node[i].next, index++) {
		if (!schema_spend(s, 1))
			return SCHEMA_NONE;
		if (s->t.node[node].type == JSON_ARRAY && index == want)
			return i;
		if (s->t.node[node].type != JSON_OBJECT)
			continue;
		buf_clear(&key);
		json_tree_key(&s->t, i, &key);
		if (buf_len(&key) == buf_len(&name) - 1 &&
		    memcmp(buf_head(&name), buf_head(&key), buf_len(&key)) == 0)
			return i;
	}
	return SCHEMA_NONE;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

uint32_t
schema_ref(struct schema *s, uint32_t node)
{
	cleanup_buf struct buf b = { 0 }, plain = { 0 };
	uint32_t at = 0;
	const char *p;
	size_t n, i, from;

	if (s->t.node[node].type != JSON_STR)
		return schema_bad(s, node, "it is no text");
	json_tree_str(&s->t, node, &b);
	p = (const char *)buf_head(&b);
	n = buf_len(&b);
	if (n == 0 || p[0] != '#' || (n > 1 && p[1] != '/'))
		return schema_bad(
		    s, node, "only \"#\" and \"#/...\" are supported");
	for (i = 1; i < n; i++) { /* it is the fragment of a URI */
		if (p[i] == '%' && i + 2 < n && hex_digit(p[i + 1]) >= 0 &&
		    hex_digit(p[i + 2]) >= 0) {
			buf_put_u8(&plain, (uint8_t)(hex_digit(p[i + 1]) << 4 |
						     hex_digit(p[i + 2])));
			i += 2;
		} else {
			buf_put_u8(&plain, (uint8_t)p[i]);
		}
	}
	p = (const char *)buf_head(&plain);
	n = buf_len(&plain);
	for (i = 0; i < n && at != SCHEMA_NONE; i = from) {
		for (from = i + 1; from < n && p[from] != '/';)
			from++;
		at = step(s, at, p + i + 1, from - i - 1);
	}
	if (at == SCHEMA_NONE)
		return schema_bad(s, node, "it leads nowhere");
	return at;
}
