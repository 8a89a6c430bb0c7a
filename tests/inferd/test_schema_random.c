/*
 * Random schemas: whatever is written by their grammar is read as JSON and is
 * valid by a validator that knows nothing of grammars; and what is valid can
 * be written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "inferd/grammar.h"
#include "inferd/json_tree.h"

#define SCHEMAS 300
#define WALKS 4
#define STEPS 20000
#define CHILDREN 4

enum kind {
	NOTHING, /* null */
	BOOLEAN,
	INTEGER,
	NUMBER,
	STRING,
	LISTED, /* one of "x0", "x01", 7, null */
	ARRAY,
	OBJECT,
	EITHER,
	KINDS,
};

struct node {
	enum kind kind;
	int min, max;
	struct node *child[CHILDREN];
	bool required[CHILDREN];
	int n;
	bool others; /* OBJECT: integers under any other name */
};

static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

static struct node *
make(int depth)
{
	struct node *n = calloc(1, sizeof(*n));
	int i;

	assert_non_null(n);
	n->kind = (enum kind)draw(depth == 0 ? ARRAY : KINDS);
	n->min = (int)draw(4);
	n->max = n->min + (int)draw(4);
	if (n->kind == INTEGER || n->kind == NUMBER) {
		n->min = (int)draw(2500) - 1200;
		n->max = n->min + (int)draw(2000);
	}
	if (n->kind == ARRAY)
		n->n = 1;
	if (n->kind == OBJECT)
		n->n = (int)draw(CHILDREN + 1);
	if (n->kind == EITHER)
		n->n = 1 + (int)draw(CHILDREN);
	n->others = n->kind == OBJECT && draw(3) == 0;
	for (i = 0; i < n->n; i++) {
		n->child[i] = make(depth - 1);
		n->required[i] = draw(2) == 0;
	}
	return n;
}

static void
destroy(struct node *n)
{
	int i;

	for (i = 0; i < n->n; i++)
		destroy(n->child[i]);
	free(n);
}

static void
put(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

static void
write_schema(const struct node *n, struct buf *b)
{
	bool first = true;
	int i;

	switch (n->kind) {
	case NOTHING:
		put(b, "{\"type\":\"null\"}");
		break;
	case BOOLEAN:
		put(b, "{\"type\":\"boolean\"}");
		break;
	case INTEGER:
	case NUMBER:
		buf_printf(b, "{\"type\":\"%s\",\"minimum\":%d,\"maximum\":%d}",
		    n->kind == INTEGER ? "integer" : "number", n->min, n->max);
		break;
	case STRING:
		buf_printf(b,
		    "{\"type\":\"string\",\"minLength\":%d,\"maxLength\":%d}",
		    n->min, n->max);
		break;
	case LISTED:
		put(b, "{\"enum\":[\"x0\",\"x01\",7,null]}");
		break;
	case ARRAY:
		buf_printf(b,
		    "{\"type\":\"array\",\"minItems\":%d,\"maxItems\":%d,"
		    "\"items\":",
		    n->min, n->max);
		write_schema(n->child[0], b);
		put(b, "}");
		break;
	case OBJECT:
		put(b, "{\"type\":\"object\",\"properties\":{");
		for (i = 0; i < n->n; i++) {
			buf_printf(b, "%s\"p%d\":", i > 0 ? "," : "", i);
			write_schema(n->child[i], b);
		}
		put(b, "},\"required\":[");
		for (i = 0; i < n->n; i++) {
			if (!n->required[i])
				continue;
			buf_printf(b, "%s\"p%d\"", first ? "" : ",", i);
			first = false;
		}
		put(b, "]");
		if (n->others)
			put(b, ",\"additionalProperties\":{\"type\":"
			       "\"integer\"}");
		put(b, "}");
		break;
	case EITHER:
		put(b, "{\"anyOf\":[");
		for (i = 0; i < n->n; i++) {
			put(b, i > 0 ? "," : "");
			write_schema(n->child[i], b);
		}
		put(b, "]}");
		break;
	case KINDS:
		break;
	}
}

static double
number(const struct json_tree *t, uint32_t node)
{
	char text[200];

	snprintf(text, sizeof(text), "%.*s", (int)t->node[node].n,
	    t->text + t->node[node].from);
	return strtod(text, NULL);
}

static bool
is_integer(const struct json_tree *t, uint32_t node)
{
	return t->node[node].type == JSON_NUM &&
	       memchr(t->text + t->node[node].from, '.', t->node[node].n) ==
		   NULL &&
	       memchr(t->text + t->node[node].from, 'e', t->node[node].n) ==
		   NULL;
}

static int
characters(const struct json_tree *t, uint32_t node)
{
	cleanup_buf struct buf b = { 0 };
	int n = 0;
	size_t i;

	json_tree_str(t, node, &b);
	for (i = 0; i < buf_len(&b); i++)
		n += (buf_head(&b)[i] & 0xc0) != 0x80;
	return n;
}

static bool valid(const struct node *n, const struct json_tree *t, uint32_t at);

static bool
valid_object(const struct node *n, const struct json_tree *t, uint32_t at)
{
	uint32_t i, member;
	int k, known = 0, all = 0;
	char name[8];

	if (t->node[at].type != JSON_OBJECT)
		return false;
	for (k = 0; k < n->n; k++) {
		snprintf(name, sizeof(name), "p%d", k);
		member = json_tree_get(t, at, name);
		if (member == 0 && n->required[k])
			return false;
		if (member != 0 && !valid(n->child[k], t, member))
			return false;
		known += member != 0;
	}
	for (i = json_tree_first(t, at); i != 0; i = t->node[i].next) {
		all++;
		if (n->others && t->node[i].nkey > 2 && !is_integer(t, i))
			return false;
	}
	return n->others || all == known;
}

static bool
valid(const struct node *n, const struct json_tree *t, uint32_t at)
{
	enum json_type type = t->node[at].type;
	uint32_t i;
	int k;

	switch (n->kind) {
	case NOTHING:
		return type == JSON_NULL;
	case BOOLEAN:
		return type == JSON_TRUE || type == JSON_FALSE;
	case INTEGER:
	case NUMBER:
		return type == JSON_NUM &&
		       (n->kind == NUMBER || is_integer(t, at)) &&
		       number(t, at) >= n->min && number(t, at) <= n->max;
	case STRING:
		return type == JSON_STR && characters(t, at) >= n->min &&
		       characters(t, at) <= n->max;
	case LISTED:
		return type == JSON_NULL || json_tree_is(t, at, "x0") ||
		       json_tree_is(t, at, "x01") ||
		       (is_integer(t, at) && number(t, at) >= 7 &&
			   number(t, at) <= 7);
	case ARRAY:
		k = (int)json_tree_count(t, at);
		if (type != JSON_ARRAY || k < n->min || k > n->max)
			return false;
		for (i = json_tree_first(t, at); i != 0; i = t->node[i].next)
			if (!valid(n->child[0], t, i))
				return false;
		return true;
	case OBJECT:
		return valid_object(n, t, at);
	case EITHER:
		for (k = 0; k < n->n; k++)
			if (valid(n->child[k], t, at))
				return true;
		return false;
	case KINDS:
		break;
	}
	return false;
}

/* A valid document as json.dumps() writes it. */
static void
write_document(const struct node *n, struct buf *b)
{
	static const char *const chars[] = { "a", " ", "\\\"", "\\n",
		"\xc3\xa9", "\xf0\x9f\x98\x80", "\\u0001", "}" };
	int i, k;
	bool first = true;

	switch (n->kind) {
	case NOTHING:
		put(b, "null");
		break;
	case BOOLEAN:
		put(b, draw(2) == 0 ? "true" : "false");
		break;
	case INTEGER:
	case NUMBER:
		i = n->min + (int)draw((uint32_t)(n->max - n->min) + 1);
		buf_printf(b, "%d", i);
		if (n->kind == NUMBER && i > n->min && i < n->max && i != 0)
			buf_printf(b, ".%u", draw(1000));
		break;
	case STRING:
		put(b, "\"");
		k = n->min + (int)draw((uint32_t)(n->max - n->min) + 1);
		while (k-- > 0)
			put(b, chars[draw(8)]);
		put(b, "\"");
		break;
	case LISTED:
		i = (int)draw(4);
		put(b, i == 0   ? "\"x0\""
		       : i == 1 ? "\"x01\""
		       : i == 2 ? "7"
				: "null");
		break;
	case ARRAY:
		k = n->min + (int)draw((uint32_t)(n->max - n->min) + 1);
		put(b, "[");
		for (i = 0; i < k; i++) {
			put(b, i > 0 ? ", " : "");
			write_document(n->child[0], b);
		}
		put(b, "]");
		break;
	case OBJECT:
		put(b, "{");
		for (i = 0; i < n->n; i++) {
			if (!n->required[i] && draw(2) == 0)
				continue;
			buf_printf(b, "%s\"p%d\": ", first ? "" : ", ", i);
			first = false;
			write_document(n->child[i], b);
		}
		if (n->others && draw(2) == 0)
			buf_printf(b, "%s\"other\": 12", first ? "" : ", ");
		put(b, "}");
		break;
	case EITHER:
		write_document(n->child[draw((uint32_t)n->n)], b);
		break;
	case KINDS:
		break;
	}
}

/* Any byte that fits; those that end something more often. */
static char
any_byte(struct grammar_state *s)
{
	static const char ends[] = "}]\"a1";
	uint32_t k, from = draw(256);
	char c;

	for (k = 0; k < 3; k++) {
		c = ends[draw(sizeof(ends) - 1)];
		if (grammar_take(s, &c, 1))
			return c;
	}
	for (k = 0; k < 256; k++) {
		c = (char)(from + k);
		if (grammar_take(s, &c, 1))
			return c;
	}
	fail_msg("a dead end");
	return 0;
}

static void
walk(const struct node *n, const struct grammar *g, const struct buf *schema)
{
	struct grammar_state *s = grammar_start(g);
	cleanup_buf struct buf b = { 0 };
	struct json_tree t;
	struct error err;
	int steps = 0;

	while (!grammar_full(s) && (!grammar_done(s) || draw(3) > 0)) {
		assert_true(steps++ < STEPS);
		buf_put_u8(&b, (uint8_t)any_byte(s));
	}
	grammar_state_free(s);
	if (json_tree_read(&t, (const char *)buf_head(&b), buf_len(&b), &err) <
	    0)
		fail_msg("%s: %.*s", err.msg, (int)buf_len(&b), buf_head(&b));
	if (!valid(n, &t, 0))
		fail_msg("%.*s: %.*s is not valid", (int)buf_len(schema),
		    buf_head(schema), (int)buf_len(&b), buf_head(&b));
	json_tree_free(&t);
}

static void
document(
    const struct node *n, const struct grammar *g, const struct buf *schema)
{
	struct grammar_state *s = grammar_start(g);
	cleanup_buf struct buf b = { 0 };

	write_document(n, &b);
	if (!grammar_take(s, (const char *)buf_head(&b), buf_len(&b)) ||
	    !grammar_done(s))
		fail_msg("%.*s: %.*s is valid", (int)buf_len(schema),
		    buf_head(schema), (int)buf_len(&b), buf_head(&b));
	grammar_state_free(s);
}

static void
what_is_written_is_valid_and_the_other_way_round(void **state)
{
	cleanup_buf struct buf b = { 0 };
	struct grammar *g;
	struct error err;
	struct node *n;
	int i, k;

	(void)state;
	for (i = 0; i < SCHEMAS; i++) {
		seed = (uint64_t)i;
		draw(2);
		n = make(3);
		buf_clear(&b);
		write_schema(n, &b);
		g = schema_compile(
		    (const char *)buf_head(&b), buf_len(&b), &err);
		if (g == NULL)
			fail_msg("%.*s: %s", (int)buf_len(&b), buf_head(&b),
			    err.msg);
		for (k = 0; k < WALKS; k++) {
			walk(n, g, &b);
			document(n, g, &b);
		}
		grammar_free(g);
		destroy(n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    what_is_written_is_valid_and_the_other_way_round),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
