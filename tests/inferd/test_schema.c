/*
 * What schemas allow, keyword by keyword: documents that are valid and some
 * that are not, each in one piece and byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "inferd/grammar.h"
#include "inferd/schema_int.h"

#define DOCS 16

/* ' stands for ". */
struct claim {
	const char *schema;
	const char *valid[DOCS];
	const char *invalid[DOCS];
};

static char *
quoted(const char *s)
{
	char *out = xstrdup(s), *p;

	for (p = out; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	return out;
}

static struct grammar *
compile(const char *schema)
{
	cleanup_free char *text = quoted(schema);
	struct error err = { 0 };
	struct grammar *g = schema_compile(text, strlen(text), &err);

	if (g == NULL)
		fail_msg("%s: %s", schema, err.msg);
	return g;
}

static bool
whole(const struct grammar *g, const char *p, size_t n)
{
	struct grammar_state *s = grammar_start(g);
	bool ok = grammar_take(s, p, n) && grammar_done(s);

	grammar_state_free(s);
	return ok;
}

static bool
bytewise(const struct grammar *g, const char *p, size_t n)
{
	struct grammar_state *s = grammar_start(g);
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < n; i++)
		ok = grammar_take(s, p + i, 1);
	ok = ok && grammar_done(s);
	grammar_state_free(s);
	return ok;
}

static void
check(const struct claim *c)
{
	struct grammar *g = compile(c->schema);
	char *doc;
	int i;

	for (i = 0; i < DOCS && c->valid[i] != NULL; i++) {
		doc = quoted(c->valid[i]);
		if (!whole(g, doc, strlen(doc)))
			fail_msg("%s: %s is valid", c->schema, doc);
		if (!bytewise(g, doc, strlen(doc)))
			fail_msg("%s: %s is valid bytewise", c->schema, doc);
		free(doc);
	}
	for (i = 0; i < DOCS && c->invalid[i] != NULL; i++) {
		doc = quoted(c->invalid[i]);
		if (whole(g, doc, strlen(doc)))
			fail_msg("%s: %s is not valid", c->schema, doc);
		if (bytewise(g, doc, strlen(doc)))
			fail_msg(
			    "%s: %s is not valid bytewise", c->schema, doc);
		free(doc);
	}
	grammar_free(g);
}

#define CHECK(table)                                                           \
	do {                                                                   \
		size_t i_;                                                     \
		for (i_ = 0; i_ < sizeof(table) / sizeof((table)[0]); i_++)    \
			check(&(table)[i_]);                                   \
	} while (0)

static void
types_are_told_apart(void **state)
{
	static const struct claim claims[] = {
		{ "{}",
		    { "null", "true", "[1, 2]", "{'a': {}}", "-1.5e+3", "'x'",
			"[]", "[[], {}]" },
		    { "", "nul", "tru", "[1,]", "{'a'}", "01", "+1", "1.", ".5",
			"'", "[1 2]", "{a: 1}", "nan" } },
		{ "true", { "1", "{}" }, { "" } },
		{ "{'type': 'null'}", { "null" }, { "0", "'null'" } },
		{ "{'type': 'boolean'}", { "true", "false" },
		    { "null", "True", "1" } },
		{ "{'type': 'object'}",
		    { "{}", "{'a': 1}", "{'a': 1, 'b': [null]}" },
		    { "[]", "1", "null", "{'a': 1 'b': 2}", "{'a': 1,}" } },
		{ "{'type': 'array'}", { "[]", "[1]", "[1, 'a', {}]" },
		    { "{}", "[,]", "[1,,2]" } },
		{ "{'type': ['string', 'null']}", { "null", "'a'" },
		    { "1", "[]" } },
		{ "{'type': 'string', 'nullable': true}", { "null", "'a'" },
		    { "1" } },
		{ "{'type': 'integer'}",
		    { "0", "-1", "12345678901234567890", "10" },
		    { "1.0", "1e3", "-0", "00", "-" } },
		{ "{'type': 'number'}",
		    { "0", "-1", "1.5", "-0.0", "1e-07", "1.5E+300" },
		    { "1.", "1e", "--1", "'1'" } },
	};

	(void)state;
	CHECK(claims);
}

static void
white_space_is_short(void **state)
{
	static const struct claim claims[] = {
		{ "{}",
		    { " {}", "\n{}", "{} ", "{}\n", "{ }", "{\n}",
			"{\n  'a': 1,\n  'b': [\n    1,\n    2\n  ]\n}",
			"[1,2]", "{'a':1}", "{\n\t'a': 1\n}", "[ 1, 2 ]" },
		    { "  {}", "\n\n{}", "{  }", "{}  ", "[1,  2]", "{'a' : 1}",
			"{'a':  1}", "[1 , 2]", "{'a':\n1}", "\t{}",
			"[1,\r\n2]", "{}x" } },
	};

	(void)state;
	CHECK(claims);
}

static void
strings_are_utf8_and_json(void **state)
{
	static const struct claim claims[] = {
		{ "{'type': 'string'}",
		    { "''", "'\xc3\xa9'", "'\xe2\x82\xac'",
			"'\xf0\x9f\x98\x80'", "'\\n\\t\\\\\\''", "'\\u00e9'",
			"'\\ud83d\\ude00'", "'\\uD83D\\uDE00'", "'\\/'",
			"'\x7f'", "'\xed\x9f\xbf'", "'\xf4\x8f\xbf\xbf'" },
		    { "'a", "'\n'", "'\x01'", "'\xc3'", "'\xc0\x80'",
			"'\xed\xa0\x80'", "'\xf4\x90\x80\x80'", "'\xff'",
			"'\\x'", "'\\u12'", "'\\ud800'", "'\\udc00'",
			"'\\ud800\\u0041'", "'\xe2\x82'" } },
		{ "{'type': 'string', 'minLength': 2, 'maxLength': 3}",
		    { "'ab'", "'abc'", "'\xc3\xa9\xe2\x82\xac'",
			"'\\u00e9\\n\\ud83d\\ude00'" },
		    { "''", "'a'", "'abcd'", "'\xc3\xa9'",
			"'\\ud83d\\ude00'" } },
		{ "{'type': 'string', 'maxLength': 0}", { "''" }, { "'a'" } },
		{ "{'minLength': 1}", { "'a'" }, { "''", "1" } },
	};

	(void)state;
	CHECK(claims);
}

static void
patterns_are_followed(void **state)
{
	static const struct claim claims[] = {
		{ "{'type': 'string', 'pattern': '^[a-z]+$'}",
		    { "'a'", "'abc'" }, { "''", "'A'", "'a1'", "'a'b" } },
		{ "{'type': 'string', 'pattern': 'b'}",
		    { "'b'", "'abc'", "'bb'" }, { "''", "'a'" } },
		{ "{'type': 'string', 'pattern': '^a|b$'}",
		    { "'a'", "'ax'", "'xb'", "'b'" }, { "'xa'", "'bx'" } },
		{ "{'type': 'string', 'pattern': '^(ab|c){2,3}$'}",
		    { "'abc'", "'cc'", "'ababab'" },
		    { "'c'", "'abab '", "'cccc'" } },
		{ "{'type': 'string', 'pattern': '^\\\\d{3}-\\\\w*$'}",
		    { "'123-'", "'123-a_9'" }, { "'12-'", "'123-\xc3\xa9'" } },
		{ "{'type': 'string', 'pattern': '^[^a-z]$'}",
		    { "'A'", "'\xc3\xa9'", "'\\n'", "'\\\\'", "'\\''",
			"'\\u0001'", "'\\u001F'", "'\\u001f'" },
		    { "'a'", "'AB'", "'\\u0041'" } },
		{ "{'type': 'string', 'pattern': '^.$'}",
		    { "'a'", "'\xe2\x82\xac'", "'\xf0\x9f\x98\x80'" },
		    { "''", "'\\n'", "'\xe2\x80\xa8'", "'ab'" } },
		{ "{'type': 'string', 'pattern': '^[\xc3\xa0-\xc3\xa9]+$'}",
		    { "'\xc3\xa0'", "'\xc3\xa9\xc3\xa5'" },
		    { "'\xc3\xaa'", "'e'" } },
		{ "{'type': 'string', 'pattern': '^[\\\\u4e00-\\\\u9fff]$'}",
		    { "'\xe4\xb8\x80'" }, { "'a'" } },
		{ "{'type': 'string', 'pattern': '^(a?b*)*$'}",
		    { "''", "'a'", "'abba'" }, { "'c'" } },
		{ "{'type': 'string', 'pattern': '^(?:x|(?<n>yz))$'}",
		    { "'x'", "'yz'" }, { "'y'" } },
		{ "{'type': 'string', 'pattern': '^$'}", { "''" }, { "'a'" } },
		{ "{'type': 'string', 'pattern': ''}", { "''", "'a'" },
		    { "1" } },
		{ "{'type': 'string', 'pattern': '^[a-z0-9]+(-[a-z0-9]+)*$', "
		  "'minLength': 3, 'maxLength': 5}",
		    { "'abc'", "'a-b-c'", "'ab-cd'" },
		    { "'ab'", "'abcdef'", "'abc-'", "'-abc'" } },
		{ "{'type': 'string', 'pattern': 'a', 'minLength': 3}",
		    { "'xax'", "'aaaa'" }, { "'a'", "'xxx'" } },
		{ "{'type': 'string', 'pattern': '^a{2}$', 'format': 'date'}",
		    { "'aa'" }, { "'2020-01-01'" } },
	};

	(void)state;
	CHECK(claims);
}

static void
formats_are_followed(void **state)
{
	static const struct claim claims[] = {
		{ "{'type': 'string', 'format': 'date'}",
		    { "'2024-02-29'", "'2000-02-29'", "'1999-12-31'" },
		    { "'2023-02-29'", "'1900-02-29'", "'2024-13-01'",
			"'2024-04-31'", "'24-01-01'", "''" } },
		{ "{'type': 'string', 'format': 'date-time'}",
		    { "'2024-02-29T23:59:59Z'",
			"'2024-01-01T00:00:00.123+02:00'" },
		    { "'2024-01-01'", "'2024-01-01T24:00:00Z'",
			"'2024-01-01T00:00:00'" } },
		{ "{'type': 'string', 'format': 'time'}", { "'12:00:00Z'" },
		    { "'12:00'" } },
		{ "{'type': 'string', 'format': 'uuid'}",
		    { "'123e4567-e89b-12d3-a456-426614174000'" },
		    { "'123e4567e89b12d3a456426614174000'", "'x'" } },
		{ "{'type': 'string', 'format': 'ipv4'}",
		    { "'0.0.0.0'", "'255.249.199.99'" },
		    { "'256.0.0.0'", "'1.2.3'", "'01.2.3.4'" } },
		{ "{'type': 'string', 'format': 'email'}",
		    { "'a.b+c@example.org'" },
		    { "'a@b'", "'@b.c'", "'a@-b.c'" } },
		{ "{'type': 'string', 'format': 'uri'}", { "'anything'" },
		    { "1" } },
	};

	(void)state;
	CHECK(claims);
}

static void
numbers_keep_their_bounds(void **state)
{
	static const struct claim claims[] = {
		{ "{'type': 'integer', 'minimum': 5, 'maximum': 123}",
		    { "5", "9", "10", "99", "100", "123" },
		    { "4", "0", "124", "1000", "-5", "05" } },
		{ "{'type': 'integer', 'minimum': -12, 'maximum': 3}",
		    { "-12", "-9", "-1", "0", "3" },
		    { "-13", "-99", "4", "-0", "12" } },
		{ "{'type': 'integer', 'maximum': -7}",
		    { "-7", "-8", "-10", "-99" }, { "-6", "0", "7" } },
		{ "{'type': 'integer', 'minimum': 1}",
		    { "1", "99999999999999999999" }, { "0", "-1" } },
		{ "{'type': 'integer', 'minimum': 0}", { "0", "7" }, { "-1" } },
		{ "{'type': 'integer', 'exclusiveMinimum': 0, "
		  "'exclusiveMaximum': 10}",
		    { "1", "9" }, { "0", "10" } },
		{ "{'type': 'integer', 'minimum': 0.5, 'maximum': 2.5}",
		    { "1", "2" }, { "0", "3", "1.5" } },
		{ "{'type': 'integer', 'minimum': -9007199254740991, "
		  "'maximum': 9007199254740991}",
		    { "-9007199254740991", "9007199254740991", "0", "12" },
		    { "9007199254740992", "-9007199254740992",
			"10000000000000000" } },
		{ "{'type': 'number', 'minimum': 0, 'maximum': 1}",
		    { "0", "1", "0.5", "1.0", "0.0", "0.999", "1.000" },
		    { "1.1", "-0.1", "2", "1.0001", "10" } },
		{ "{'type': 'number', 'exclusiveMinimum': 0}",
		    { "0.1", "1", "12.5" }, { "0", "0.0", "-1" } },
		{ "{'type': 'number', 'minimum': -1.25, 'maximum': 2.75}",
		    { "-1.25", "-1.2", "-1", "-0.5", "0", "2.75", "2.7",
			"2.749", "1.99" },
		    { "-1.26", "-1.3", "2.76", "2.8", "3", "-2" } },
		{ "{'type': 'number', 'exclusiveMaximum': 2.5}",
		    { "2.4999", "2.4", "-7", "2" }, { "2.5", "2.50", "3" } },
		{ "{'type': 'number', 'minimum': 1e2, 'maximum': 1.5e2}",
		    { "100", "149.9", "150" }, { "99", "151" } },
		{ "{'type': 'number', 'maximum': 1.7976931348623157e+308}",
		    { "1", "-1.5" }, { "x" } },
		{ "{'type': 'number', 'multipleOf': 0.01}",
		    { "1", "1.5", "1.25" }, { "1.125", "1e-3" } },
		{ "{'type': 'number', 'multipleOf': 1}", { "1", "-3" },
		    { "1.5" } },
		{ "{'type': 'number', 'minimum': 1, 'exclusiveMinimum': true}",
		    { "1.1", "2" }, { "1", "1.0" } },
		{ "{'type': 'number', 'minimum': 3, 'maximum': 3}",
		    { "3", "3.0" }, { "3.1", "2.9" } },
	};

	(void)state;
	CHECK(claims);
}

static void
members_come_in_order(void **state)
{
	static const struct claim claims[] = {
		{ "{'type': 'object', 'properties': {'a': {'type': "
		  "'integer'}, 'b': {'type': 'string'}, 'c': {'type': "
		  "'boolean'}}, 'required': ['b']}",
		    { "{'b': ''}", "{'a': 1, 'b': 'x'}",
			"{'a':1,'b':'x','c':true}", "{'b': 'x', 'c': true}" },
		    { "{}", "{'a': 1}", "{'b': 'x', 'a': 1}",
			"{'b': 'x', 'd': 1}", "{'b': 1}", "{, 'b': ''}",
			"{'b': '',}", "{'b': '', 'b': ''}" } },
		{ "{'type': 'object', 'properties': {}}", { "{}", "{ }" },
		    { "{'a': 1}" } },
		{ "{'properties': {'a': {}}}", { "{}", "{'a': [1]}" },
		    { "1", "{'b': 1}" } },
		{ "{'type': 'object', 'properties': {'a': {'type': "
		  "'integer'}}, 'additionalProperties': {'type': 'string'}}",
		    { "{}", "{'a': 1}", "{'b': 'x'}",
			"{'a': 1, 'b': 'x', 'ab': 'y'}", "{'': ''}",
			"{'\xc3\xa9': 'x'}", "{'b\\n': 'x'}" },
		    { "{'a': 'x'}", "{'b': 1}", "{'b': 'x', 'a': 1}",
			"{'\\u0061': 'x'}" } },
		{ "{'type': 'object', 'properties': {'a': {}, 'ab': {}}, "
		  "'additionalProperties': true, 'required': ['z', 'a']}",
		    { "{'a': 1, 'z': 1}",
			"{'a': 1, 'ab': 2, 'z': 3, 'abc': 4}" },
		    { "{'a': 1}", "{'z': 1}", "{'a': 1, 'b': 1}" } },
		{ "{'type': 'object', 'additionalProperties': {'type': "
		  "'integer'}}",
		    { "{}", "{'x': 1, 'y': 2}" }, { "{'x': 'y'}" } },
		{ "{'type': 'object', 'additionalProperties': false}", { "{}" },
		    { "{'x': 1}" } },
		{ "{'type': 'object', 'additionalProperties': {'type': "
		  "'null'}, 'propertyNames': {'pattern': '^[a-z]+$'}, "
		  "'minProperties': 1, 'maxProperties': 2}",
		    { "{'a': null}", "{'a': null, 'b': null}" },
		    { "{}", "{'A': null}",
			"{'a': null, 'b': null, 'c': null}" } },
		{ "{'type': 'object', 'propertyNames': {'type': 'string'}, "
		  "'additionalProperties': {}}",
		    { "{'A b': 1}" }, { "{1: 1}" } },
		{ "{'type': 'object', 'propertyNames': {'enum': ['x', 1]}}",
		    { "{'x': 1}" }, { "{1: 1}", "{'y': 1}" } },
		{ "{'type': 'object', 'properties': {'a': {'not': {}}, 'b': "
		  "{}}}",
		    { "{}", "{'b': 1}" }, { "{'a': 1}" } },
		{ "{'properties': {'\\'x\\n': {}}}", { "{'\\'x\\n': 1}" },
		    { "{'x': 1}" } },
	};

	(void)state;
	CHECK(claims);
}

static void
items_are_counted(void **state)
{
	static const struct claim claims[] = {
		{ "{'type': 'array', 'items': {'type': 'integer'}}",
		    { "[]", "[1]", "[1, 2, 3]", "[1,2]" },
		    { "['a']", "[1, 'a']" } },
		{ "{'type': 'array', 'items': {'type': 'integer'}, "
		  "'minItems': 2, 'maxItems': 3}",
		    { "[1, 2]", "[1, 2, 3]" },
		    { "[]", "[1]", "[1, 2, 3, 4]" } },
		{ "{'type': 'array', 'minItems': 1, 'maxItems': 1}", { "[1]" },
		    { "[]", "[1, 2]" } },
		{ "{'type': 'array', 'maxItems': 0}", { "[]", "[ ]" },
		    { "[1]" } },
		{ "{'type': 'array', 'minItems': 200, 'items': {'const': 1}}",
		    { NULL }, { "[]", "[1, 1]" } },
		{ "{'prefixItems': [{'type': 'integer'}, {'type': "
		  "'string'}]}",
		    { "[]", "[1]", "[1, 'a']" },
		    { "['a']", "[1, 2]", "[1, 'a', 2]" } },
		{ "{'prefixItems': [{'type': 'integer'}], 'items': {'type': "
		  "'string'}, 'minItems': 1, 'maxItems': 3}",
		    { "[1]", "[1, 'a']", "[1, 'a', 'b']" },
		    { "[]", "['a']", "[1, 2]", "[1, 'a', 'b', 'c']" } },
		{ "{'items': [{'type': 'integer'}], 'additionalItems': "
		  "{'type': 'null'}}",
		    { "[]", "[1]", "[1, null]" }, { "[1, 1]", "[null]" } },
		{ "{'prefixItems': [{}, {}], 'items': false, 'minItems': 2}",
		    { "[1, 2]" }, { "[1]", "[1, 2, 3]" } },
		{ "{'prefixItems': [{}, {}, {}], 'maxItems': 1}",
		    { "[]", "[1]" }, { "[1, 2]" } },
		{ "{'prefixItems': [{}], 'items': true, 'minItems': 3}",
		    { "[1, 2, 3]", "[1, 2, 3, 4]" }, { "[1, 2]" } },
	};

	(void)state;
	CHECK(claims);
}

static void
values_are_listed(void **state)
{
	static const struct claim claims[] = {
		{ "{'enum': ['a', 'ab', 'abc', 'x']}",
		    { "'a'", "'ab'", "'abc'", "'x'" },
		    { "'b'", "'abcd'", "a", "''" } },
		{ "{'enum': [1, 12, 1.5, true, null, 'a\\n']}",
		    { "1", "12", "1.5", "true", "null", "'a\\n'" },
		    { "2", "121", "false", "'a'" } },
		{ "{'type': 'string', 'enum': ['a', 1, null]}", { "'a'" },
		    { "1", "null" } },
		{ "{'type': 'string', 'nullable': true, 'enum': ['a', null]}",
		    { "'a'", "null" }, { "1" } },
		{ "{'const': {'a': [1, 2], 'b': {}}}",
		    { "{'a': [1, 2], 'b': {}}", "{'a':[1,2],'b':{}}",
			"{\n  'a': [\n    1,\n    2\n  ],\n  'b': {}\n}" },
		    { "{'a': [1, 2]}", "{'b': {}, 'a': [1, 2]}" } },
		{ "{'enum': [[], [1], {}]}", { "[]", "[1]", "{}" }, { "[2]" } },
		{ "{'type': 'string', 'enum': ['a', 'bbb'], 'minLength': 2}",
		    { "'bbb'" }, { "'a'" } },
		{ "{'enum': [1, 5, 9], 'minimum': 4, 'maximum': 6}", { "5" },
		    { "1", "9" } },
		{ "{'allOf': [{'enum': ['a', 'b']}, {'enum': ['b', 'c']}]}",
		    { "'b'" }, { "'a'", "'c'" } },
		{ "{'enum': ['a', 'b'], 'const': 'b'}", { "'b'" }, { "'a'" } },
		{ "{'const': '\xc3\xa9'}", { "'\xc3\xa9'" }, { "'e'" } },
	};

	(void)state;
	CHECK(claims);
}

static void
schemas_are_joined(void **state)
{
	static const struct claim claims[] = {
		{ "{'anyOf': [{'type': 'integer'}, {'type': 'null'}]}",
		    { "1", "null" }, { "'a'" } },
		{ "{'oneOf': [{'const': 1}, {'const': 2}]}", { "1", "2" },
		    { "3", "12" } },
		{ "{'type': 'object', 'properties': {'a': {}, 'b': {}}, "
		  "'anyOf': [{'required': ['a']}, {'required': ['b']}]}",
		    { "{'a': 1}", "{'b': 1}", "{'a': 1, 'b': 2}" },
		    { "{}", "{'c': 1}" } },
		{ "{'allOf': [{'type': 'object', 'properties': {'a': {'type': "
		  "'integer'}}, 'required': ['a']}, {'type': 'object', "
		  "'properties': {'b': {'type': 'string'}}}]}",
		    { "{'a': 1}", "{'a': 1, 'b': 'x'}" },
		    { "{}", "{'b': 'x'}", "{'a': 'x'}" } },
		{ "{'allOf': [{'properties': {'a': {'minimum': 3}}}, "
		  "{'properties': {'a': {'type': 'integer', 'maximum': "
		  "5}}}]}",
		    { "{'a': 3}", "{'a': 5}", "{}" },
		    { "{'a': 2}", "{'a': 6}", "{'a': 3.5}" } },
		{ "{'allOf': [{'properties': {'a': {}}, "
		  "'additionalProperties': false}, {'properties': {'b': "
		  "{}}}]}",
		    { "{'a': 1}", "{}" }, { "{'b': 1}" } },
		{ "{'anyOf': [{'type': 'string', 'maxLength': 2}, {'type': "
		  "'string', 'minLength': 4}]}",
		    { "'ab'", "'abcd'" }, { "'abc'" } },
		{ "{'allOf': [{'anyOf': [{'type': 'integer'}, {'type': "
		  "'string'}]}, {'anyOf': [{'type': 'string'}, {'type': "
		  "'null'}]}]}",
		    { "'a'" }, { "1", "null" } },
		{ "{'anyOf': [{'type': 'object', 'properties': {'k': "
		  "{'const': 'a'}, 'x': {'type': 'integer'}}, 'required': "
		  "['k', 'x']}, {'type': 'object', 'properties': {'k': "
		  "{'const': 'b'}, 'y': {'type': 'string'}}, 'required': "
		  "['k', 'y']}]}",
		    { "{'k': 'a', 'x': 1}", "{'k': 'b', 'y': 's'}" },
		    { "{'k': 'a', 'y': 's'}", "{'k': 'b', 'x': 1}",
			"{'k': 'c'}" } },
	};

	(void)state;
	CHECK(claims);
}

static void
references_lead_anywhere(void **state)
{
	static const struct claim claims[] = {
		{ "{'$ref': '#/$defs/x', '$defs': {'x': {'type': "
		  "'integer'}}}",
		    { "1" }, { "'a'" } },
		{ "{'$ref': '#/definitions/a~1b%20c~0', 'definitions': "
		  "{'a/b c~': {'type': 'null'}}}",
		    { "null" }, { "1" } },
		{ "{'$ref': '#/$defs/x', 'minimum': 3, '$defs': {'x': "
		  "{'type': 'integer'}}}",
		    { "3" }, { "2" } },
		{ "{'type': 'object', 'properties': {'v': {'type': "
		  "'integer'}, 'next': {'$ref': '#'}}, 'required': ['v']}",
		    { "{'v': 1}", "{'v': 1, 'next': {'v': 2}}",
			"{'v': 1, 'next': {'v': 2, 'next': {'v': 3}}}" },
		    { "{'v': 1, 'next': {}}", "{'next': {'v': 1}}" } },
		{ "{'$ref': '#/$defs/t', '$defs': {'t': {'anyOf': [{'type': "
		  "'null'}, {'type': 'array', 'items': {'$ref': "
		  "'#/$defs/t'}}]}}}",
		    { "null", "[]", "[null, [null, []]]" }, { "1", "[1]" } },
		{ "{'anyOf': [{'$ref': '#'}, {'type': 'null'}]}", { "null" },
		    { "1" } },
		{ "{'prefixItems': [{'type': 'integer'}, {'$ref': "
		  "'#/prefixItems/0'}]}",
		    { "[1, 2]" }, { "[1, 'a']" } },
	};

	(void)state;
	CHECK(claims);
}

static void
what_is_not_supported_is_named(void **state)
{
	static const struct {
		const char *schema, *path, *why;
	} cases[] = {
		{ "{'type': 'strin'}", "#/type", "no type" },
		{ "{'type': 'object', 'properties': {'a/b': {'if': {}}}}",
		    "#/properties/a~1b/if", "not supported" },
		{ "{'not': {'type': 'null'}}", "#/not", "not supported" },
		{ "{'contains': {}}", "#/contains", "not supported" },
		{ "{'type': 'array', 'uniqueItems': true}", "#/uniqueItems",
		    "not supported" },
		{ "{'patternProperties': {'a': {}}}", "#/patternProperties",
		    "not supported" },
		{ "{'multipleOf': 3}", "#/multipleOf", "0.1" },
		{ "{'pattern': '(?=a)'}", "#/pattern", "looking ahead" },
		{ "{'pattern': '(a)\\\\1'}", "#/pattern", "back" },
		{ "{'pattern': '\\\\bx'}", "#/pattern", "border" },
		{ "{'pattern': '('}", "#/pattern", "does not end" },
		{ "{'pattern': '[a'}", "#/pattern", "does not end" },
		{ "{'pattern': 'a)'}", "#/pattern", "not opened" },
		{ "{'pattern': '(a{1000}){1000}'}", "#/pattern", "too large" },
		{ "{'pattern': '(a|b)*a(a|b){20}$'}", "#/pattern",
		    "too large" },
		{ "{'pattern': '*a'}", "#/pattern", "nothing" },
		{ "{'pattern': 'a', 'allOf': [{'pattern': 'b'}]}",
		    "#/allOf/0/pattern", "two patterns" },
		{ "{'$ref': 'http://x/y'}", "#/$ref", "supported" },
		{ "{'$ref': '#/nope'}", "#/$ref", "nowhere" },
		{ "{'$ref': '#'}", "#", "itself" },
		{ "{'allOf': [{'$ref': '#'}]}", "#", "itself" },
		{ "{'anyOf': [{'$ref': '#'}]}", "#", "nothing is valid" },
		{ "false", "#", "nothing is valid" },
		{ "{'not': {}}", "#", "nothing is valid" },
		{ "{'type': 'integer', 'minimum': 3, 'maximum': 2}", "#",
		    "nothing is valid" },
		{ "{'allOf': [{'type': 'null'}, {'type': 'string'}]}", "#",
		    "nothing is valid" },
		{ "{'type': 'object', 'properties': {'a': {'$ref': '#'}}, "
		  "'required': ['a']}",
		    "#", "nothing is valid" },
		{ "{'enum': []}", "#", "nothing is valid" },
		{ "{'anyOf': []}", "#/anyOf", "empty" },
		{ "[1]", "#", "no schema" },
		{ "{'properties': {'a': 1}}", "#/properties/a", "no schema" },
		{ "{'minLength': -1}", "#/minLength", "whole number" },
		{ "{'minLength': '1'}", "#/minLength", "whole number" },
		{ "{'properties': {'a': {}}, 'minProperties': 1}", "#",
		    "minProperties" },
		{ "{'type': ", "JSON", "none" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cleanup_free char *text = quoted(cases[i].schema);
		struct error err = { 0 };

		if (schema_compile(text, strlen(text), &err) != NULL)
			fail_msg("%s was taken", text);
		if (strstr(err.msg, cases[i].path) == NULL ||
		    strstr(err.msg, cases[i].why) == NULL)
			fail_msg("%s: %s", text, err.msg);
	}
}

static void
remarks_are_ignored(void **state)
{
	static const struct claim claims[] = {
		{ "{'$schema': 'x', '$id': 'y', 'title': 't', 'description': "
		  "'d', 'default': 7, 'examples': [1], 'deprecated': true, "
		  "'x-more': {'type': 'null'}, 'then': {'type': 'null'}, "
		  "'type': 'integer', 'contentEncoding': 'base64', "
		  "'$comment': '', 'readOnly': true}",
		    { "1" }, { "null" } },
	};

	(void)state;
	CHECK(claims);
}

static void
no_schema_means_any_object(void **state)
{
	struct grammar *g = schema_compile("", 0, NULL);

	(void)state;
	assert_true(whole(g, "{\"a\": [1]}", 10));
	assert_false(whole(g, "[]", 2));
	grammar_free(g);
}

static void
the_end_is_known(void **state)
{
	struct grammar *g = compile("{'type': ['object', 'integer']}");
	struct grammar_state *s = grammar_start(g), *c;

	(void)state;
	assert_false(grammar_done(s));
	assert_true(grammar_take(s, "1", 1));
	assert_true(grammar_done(s));
	assert_false(grammar_full(s)); /* another digit may follow */
	c = grammar_copy(s);
	assert_false(grammar_take(c, "2}", 2));
	assert_true(grammar_take(c, "2\n", 2)); /* nothing was taken */
	assert_true(grammar_full(c));
	assert_false(grammar_take(c, "3", 1));
	grammar_state_free(c);
	grammar_state_free(s);
	s = grammar_start(g);
	assert_true(grammar_take(s, "{}", 2));
	assert_true(grammar_full(s));
	grammar_state_free(s);
	grammar_free(g);
}

static void
many_schemas_may_work_as_much_as_one(void **state)
{
	static const char text[] = "{\"type\":\"string\",\"pattern\":"
				   "\"^(a|b)*a(a|b){9}$\"}";
	uint64_t spent = 0, one;
	struct error err = { 0 };
	struct grammar *g =
	    schema_compile_next(text, sizeof(text) - 1, &spent, &err);
	size_t n = 1;

	(void)state;
	assert_non_null(g);
	assert_in_range(grammar_bytes(g), 100, 1 << 24);
	one = spent;
	assert_true(one > 0);
	for (; g != NULL; n++) {
		grammar_free(g);
		g = schema_compile_next(text, sizeof(text) - 1, &spent, &err);
		assert_in_range(n, 1, 1000000);
	}
	assert_in_range(n * one, SCHEMA_WORK / 2, SCHEMA_WORK * 2);
	/* Control: alone it is none too many. */
	g = schema_compile(text, sizeof(text) - 1, &err);
	assert_non_null(g);
	grammar_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_are_told_apart),
		cmocka_unit_test(white_space_is_short),
		cmocka_unit_test(strings_are_utf8_and_json),
		cmocka_unit_test(patterns_are_followed),
		cmocka_unit_test(formats_are_followed),
		cmocka_unit_test(numbers_keep_their_bounds),
		cmocka_unit_test(members_come_in_order),
		cmocka_unit_test(items_are_counted),
		cmocka_unit_test(values_are_listed),
		cmocka_unit_test(schemas_are_joined),
		cmocka_unit_test(references_lead_anywhere),
		cmocka_unit_test(what_is_not_supported_is_named),
		cmocka_unit_test(remarks_are_ignored),
		cmocka_unit_test(no_schema_means_any_object),
		cmocka_unit_test(the_end_is_known),
		cmocka_unit_test(many_schemas_may_work_as_much_as_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
