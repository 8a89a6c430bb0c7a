/* The JSON reader: what it takes, what it tells, whatever the chunks. */
#include "proxy/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

/* A line a value: path, kind, text, where it stands. */
static bool
note(const struct json_value *v, void *arg)
{
	buf_printf(arg, "%s=%c%s%s@%llu-%llu;", v->path == NULL ? "?" : v->path,
	    "snw"[v->kind], v -> text, v -> cut ? "..." : "",
	    (unsigned long long)v->from, (unsigned long long)v->to);
	return true;
}

static int
read_in(const char *s, size_t n, size_t chunk, struct buf *out)
{
	struct json_read r;

	json_read_init(&r, note, out);
	for (size_t at = 0; at < n; at += chunk)
		if (json_read(&r, s + at, n - at < chunk ? n - at : chunk) < 0)
			return -1;
	return json_read_end(&r);
}

static void
values_are_told_with_their_places(void **state)
{
	static const struct {
		const char *json, *want;
	} t[] = {
		{ "\"a\"", "=sa@1-2;" },
		{ " 12 ", "=n12@1-3;" },
		{ "-0.5e+10", "=n-0.5e+10@0-8;" },
		{ "null", "=wnull@0-4;" },
		{ "{}", "" },
		{ "[ ]", "" },
		{ "{\"a\":{\"b\":[1,{\"c\":\"x\"},[true]]},\"d\":2}",
		    ".a.b[]=n1@11-12;.a.b[].c=sx@19-20;.a.b[][]=wtrue@24-28;"
		    ".d=n2@36-37;" },
		{ "{\"mod\\u0065l\":\"a\\u00e9\\ud83d\\ude00\\n\"}",
		    ".model=sa\xc3\xa9\xf0\x9f\x98\x80\n@15-36;" },
		{ "{\"a.b\":1,\"\":2,\"c\":{\"d[\":{\"e\":3},\"f\":4}}",
		    "?=n1@7-8;?=n2@12-13;?=n3@29-30;.c.f=n4@36-37;" },
		{ "[[],{},[{}]]", "" },
	};
	struct buf out;

	(void)state;
	for (size_t i = 0; i < nitems(t); i++)
		for (size_t chunk = 1; chunk < 9; chunk++) {
			buf_init(&out, 0);
			assert_int_equal(
			    read_in(t[i].json, strlen(t[i].json), chunk, &out),
			    0);
			buf_put_u8(&out, 0);
			assert_string_equal(
			    (const char *)buf_head(&out), t[i].want);
			buf_free(&out);
		}
}

static void
what_is_no_json_is_an_error(void **state)
{
	static const char *const t[] = { "", " ", "{", "[", "\"", "\"\\",
		"\"\\u12\"", "\"\\x\"", "\"\\u12g4\"", "01", "-", "1.", ".5",
		"1e", "+1", "0x1", "nul", "nullx", "True", "NaN", "[1,]", "[,]",
		"[1 2]", "{,}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{\"a\" 1}", "{a:1}", "{'a':1}", "1 2", "{}{}", "]", "}", "[}",
		"{]", "{\"a\":1]", "[1}", "\"\n\"", "\"\t\"", "//", "/**/1",
		"\"\\ud83d\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"",
		"\"\\ud83d\\ud83d\"", "\"\\ude00\"", "\xef\xbb\xbf{}", "[1]x",
		"--1", "1-1" };
	struct buf out;

	(void)state;
	for (size_t i = 0; i < nitems(t); i++)
		for (size_t chunk = 1; chunk < 4; chunk++) {
			buf_init(&out, 0);
			if (read_in(t[i], strlen(t[i]), chunk, &out) == 0)
				fprintf(stderr, "# taken: %s\n", t[i]);
			assert_int_equal(
			    read_in(t[i], strlen(t[i]), chunk, &out), -1);
			buf_free(&out);
		}
}

static void
limits_hold(void **state)
{
	char text[JSON_TEXT_MAX + 64];
	struct buf in, out;
	struct json_read r;

	(void)state;
	buf_init(&in, 0);
	buf_init(&out, 0);
	for (size_t i = 0; i < JSON_DEPTH_MAX; i++)
		buf_put(&in, "[", 1);
	json_read_init(&r, NULL, NULL);
	assert_int_equal(json_read(&r, buf_head(&in), buf_len(&in)), 0);
	assert_int_equal(json_read(&r, "[", 1), -1);
	/* A long text is cut, and told to be. */
	memset(text, 'x', sizeof(text));
	text[0] = text[sizeof(text) - 1] = '"';
	assert_int_equal(read_in(text, sizeof(text), 100, &out), 0);
	assert_non_null(memmem(buf_head(&out), buf_len(&out), "...", 3));
	/* A long number is refused: its value would be another. */
	memset(text, '1', sizeof(text));
	assert_int_equal(read_in(text, sizeof(text), 100, &out), -1);
	/* A path that does not fit is none, and the next one is fine. */
	buf_clear(&in);
	buf_clear(&out);
	for (size_t i = 0; i < 60; i++)
		buf_printf(&in, "{\"name%zu\":", i);
	buf_printf(&in, "1");
	for (size_t i = 0; i < 60; i++)
		buf_printf(&in, "%s}", i == 59 ? ",\"b\":2" : "");
	assert_int_equal(
	    read_in((const char *)buf_head(&in), buf_len(&in), 7, &out), 0);
	buf_put_u8(&out, 0);
	assert_true(str_starts((const char *)buf_head(&out), "?=n1@"));
	assert_non_null(strstr((const char *)buf_head(&out), ";.b=n2@"));
	buf_free(&in);
	buf_free(&out);
}

static bool
stop(const struct json_value *v, void *arg)
{
	(void)v;
	++*(int *)arg;
	return false;
}

static void
the_caller_can_stop_it(void **state)
{
	struct json_read r;
	int n = 0;

	(void)state;
	json_read_init(&r, stop, &n);
	assert_int_equal(json_read(&r, "[1,2,3]", 7), -1);
	assert_int_equal(json_read(&r, "[1,2,3]", 7), -1);
	assert_int_equal(n, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_told_with_their_places),
		cmocka_unit_test(what_is_no_json_is_an_error),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(the_caller_can_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
