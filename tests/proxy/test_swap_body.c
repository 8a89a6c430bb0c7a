/* Stubs in bodies: replaced where the type gives them a place, any chunking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/scrub.h"
#include "proxy/swap_body.h"

#define STUB "sk-STUBstub0123"
#define REAL "sk-REALreal9876"
#define STUB2 "id/one+two=AB"
#define REAL2 "id/ONE+TWO=ab"

static struct secret *
secret_of(const char *s)
{
	struct secret *v = secret_new(s, strlen(s));

	assert_non_null(v);
	return v;
}

/* The body that comes out when it is fed in pieces of step bytes. */
static char *
run(enum swap_body_type type, const char *real, const char *in, size_t step,
    uint64_t *count)
{
	struct swap_body *s = swap_body_new(type);
	struct secret *one = secret_of(real), *two = secret_of(REAL2);
	size_t n = strlen(in);
	struct buf out;
	char *text;

	buf_init_wipe(&out, 0);
	swap_body_add(s, STUB, one);
	swap_body_add(s, STUB2, two);
	for (size_t at = 0; at < n; at += step) {
		size_t k = n - at < step ? n - at : step;

		swap_body_feed(s, in + at, k, &out);
		assert_true(swap_body_held(s) <= 6 * strlen(STUB) + 6);
	}
	swap_body_end(s, &out);
	assert_int_equal(swap_body_held(s), 0);
	if (swap_body_keeps_length(s))
		assert_int_equal(buf_len(&out), n);
	if (count != NULL)
		*count = swap_body_count(s);
	text = buf_len(&out) == 0
		   ? xstrdup("")
		   : xstrndup((char *)buf_head(&out), buf_len(&out));
	buf_free(&out);
	swap_body_free(s);
	secret_free(one);
	secret_free(two);
	return text;
}

static void
becomes(enum swap_body_type type, const char *real, const char *in,
    const char *want)
{
	for (size_t step = 1; step <= strlen(in) + 1; step++) {
		cleanup_free char *got = run(type, real, in, step, NULL);

		assert_string_equal(got, want);
	}
}

static void
json_value_is_replaced(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"key\":\"" STUB "\"}", "{\"key\":\"" REAL "\"}" },
		{ "\"" STUB "\"", "\"" REAL "\"" },
		{ "[1,\"Bearer " STUB ".\",null]",
		    "[1,\"Bearer " REAL ".\",null]" },
		{ "{\"a\":{\"b\":[{\"c\":\"x\"},\"" STUB "\"]},\"d\":\"" STUB
		  "\"}",
		    "{\"a\":{\"b\":[{\"c\":\"x\"},\"" REAL "\"]},\"d\":\"" REAL
		    "\"}" },
		{ "{\"a\":\"" STUB STUB2 "\"}", "{\"a\":\"" REAL REAL2 "\"}" },
		{ "{\"a\":\"sk-STUBsk-STUB" STUB "\"}",
		    "{\"a\":\"sk-STUBsk-STUB" REAL "\"}" },
		{ "{\"a\":\"" STUB "\"}\n{\"a\":\"" STUB "\"}\n",
		    "{\"a\":\"" REAL "\"}\n{\"a\":\"" REAL "\"}\n" },
		{ "{\"a\" : \"\\\"" STUB "\\n\"}",
		    "{\"a\" : \"\\\"" REAL "\\n\"}" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		becomes(SWAP_BODY_JSON, REAL, rows[i][0], rows[i][1]);
}

static void
json_escapes_are_read_and_kept(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"k\":\"\\u0073k-STUBstub0123\"}",
		    "{\"k\":\"\\u0073k-REALreal9876\"}" },
		{ "{\"k\":\"sk\\u002dSTU\\u0042stub012\\u0033\"}",
		    "{\"k\":\"sk\\u002DREA\\u004Creal987\\u0036\"}" },
		{ "{\"k\":\"id\\/one+two=AB\"}",
		    "{\"k\":\"id\\/ONE+TWO=ab\"}" },
		{ "{\"k\":\"id\\u002Fone\\u002btwo\\u003DAB\"}",
		    "{\"k\":\"id\\u002FONE\\u002BTWO\\u003Dab\"}" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		becomes(SWAP_BODY_JSON, REAL, rows[i][0], rows[i][1]);
}

static void
value_is_escaped_for_where_it_goes(void **state)
{
	(void)state;
	becomes(SWAP_BODY_JSON, "a\"b\\c/d", "[\"" STUB "\"]",
	    "[\"a\\\"b\\\\c/d\"]");
	becomes(SWAP_BODY_FORM, "a&b=c+d%e/f", "k=" STUB "&x=1",
	    "k=a%26b%3Dc%2Bd%25e%2Ff&x=1");
	becomes(SWAP_BODY_TEXT, "a\"b&c", "say " STUB "!", "say a\"b&c!");
}

static void
json_elsewhere_is_left_alone(void **state)
{
	static const char *const rows[] = {
		"{\"" STUB "\":1}",
		"{\"a\":1,\"" STUB "\":\"x\"}",
		"{\"a\":{},\"" STUB "\":[\"x\"]}",
		STUB,
		"{\"a\":" STUB "}",
		/* What comes after a mistake is not judged. */
		"{'a':'x', \"b\":\"" STUB "\"}",
		"// x\n{\"b\":\"" STUB "\"}",
		"{\"a\":\"\\x\",\"b\":\"" STUB "\"}",
		"{\"a\":\"\\u00zz\",\"b\":\"" STUB "\"}",
		"{\"a\":\"\n\",\"b\":\"" STUB "\"}",
		"[1},\"" STUB "\"]",
		"],\"" STUB "\"",
		/* Not the stub. */
		"[\"sk-STUBstub012\",\"3\"]",
		"[\"sk-STUBstub\\u01300123\"]",
		"[\"sk-STUBstub012\\n3\"]",
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		becomes(SWAP_BODY_JSON, REAL, rows[i], rows[i]);
}

static void
json_deeper_than_the_limit_is_left_alone(void **state)
{
	for (int more = 0; more < 2; more++) {
		size_t n = SWAP_BODY_DEPTH_MAX + (size_t)more;
		cleanup_free char *in = xcalloc(1, n + 64);
		cleanup_free char *got = NULL;
		uint64_t count;

		memset(in, '[', n);
		strlcat(in, "\"" STUB "\"", n + 64);
		got = run(SWAP_BODY_JSON, REAL, in, 7, &count);
		assert_int_equal(count, !more);
	}
	(void)state;
}

static void
form_value_is_replaced_as_a_whole(void **state)
{
	static const char *const rows[][2] = {
		{ "client_secret=" STUB, "client_secret=" REAL },
		{ "a=1&client_secret=" STUB "&b=",
		    "a=1&client_secret=" REAL "&b=" },
		{ "a=" STUB "&b=" STUB, "a=" REAL "&b=" REAL },
		{ "a=%73k-STUB%73tub0123", "a=%73k-REAL%72eal9876" },
		{ "a=id%2fone%2Btwo%3DAB&c", "a=id%2FONE%2BTWO%3Dab&c" },
		{ "a=id/one%2Btwo=AB", "a=id/ONE%2BTWO=ab" },
		{ "=" STUB, "=" REAL },
	};
	static const char *const same[] = {
		STUB "=1",
		"a=1&" STUB,
		"a=x" STUB,
		"a=" STUB "x",
		"a=" STUB "%",
		"a=" STUB "%4",
		"a=" STUB "%zz",
		"a=id/one+two=AB", /* reads as a space */
		"a=%73k-STUB%73tub012",
		"a=%&b=%2&c=&&=&",
		"",
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		becomes(SWAP_BODY_FORM, REAL, rows[i][0], rows[i][1]);
	for (size_t i = 0; i < nitems(same); i++)
		becomes(SWAP_BODY_FORM, REAL, same[i], same[i]);
}

static void
text_is_replaced_anywhere(void **state)
{
	(void)state;
	becomes(SWAP_BODY_TEXT, REAL, "x" STUB "sk-STUBsk-" STUB STUB2,
	    "x" REAL "sk-STUBsk-" REAL REAL2);
	becomes(SWAP_BODY_TEXT, REAL, "sk\\u002dSTUBstub0123",
	    "sk\\u002dSTUBstub0123");
}

static void
length_is_kept_exactly_when_value_and_stub_are_alike(void **state)
{
	static const struct {
		const char *real;
		enum swap_body_type type;
		bool keeps;
	} rows[] = {
		{ REAL, SWAP_BODY_JSON, true },
		{ REAL, SWAP_BODY_FORM, true },
		{ REAL, SWAP_BODY_TEXT, true },
		{ REAL "x", SWAP_BODY_TEXT, false },
		{ "sk-REAL\"eal9876", SWAP_BODY_JSON, false },
		{ "sk-REAL\"eal9876", SWAP_BODY_TEXT, true },
		{ "sk-REAL&eal9876", SWAP_BODY_FORM, false },
		{ "sk-REAL/eal9876", SWAP_BODY_JSON, false },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct swap_body *s = swap_body_new(rows[i].type);
		struct secret *v = secret_of(rows[i].real);

		swap_body_add(s, STUB, v);
		assert_int_equal(swap_body_keeps_length(s), rows[i].keeps);
		swap_body_free(s);
		secret_free(v);
	}
}

static void
scrubbing_what_was_swapped_gives_the_body_back(void **state)
{
	static const struct {
		enum swap_body_type type;
		const char *in;
	} rows[] = {
		{ SWAP_BODY_JSON,
		    "{\"a\":\"" STUB "\",\"b\":[\"x" STUB2 "\"]}" },
		{ SWAP_BODY_JSON,
		    "{\"a\":\"\\u0073\\u006B\\u002D\\u0053\\u0054\\u0055\\u0042"
		    "\\u0073\\u0074\\u0075\\u0062\\u0030\\u0031\\u0032\\u0033"
		    "\"}" },
		{ SWAP_BODY_FORM, "a=" STUB "&b=id%2Fone%2Btwo%3DAB" },
		{ SWAP_BODY_TEXT, STUB " " STUB2 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		uint64_t count;
		cleanup_free char *mid =
		    run(rows[i].type, REAL, rows[i].in, 3, &count);
		struct scrub *s = scrub_new();
		cleanup_buf struct buf out = { 0 };

		assert_true(count > 0);
		assert_string_not_equal(mid, rows[i].in);
		scrub_add(s, REAL, STUB, strlen(STUB));
		scrub_add(s, REAL2, STUB2, strlen(STUB2));
		scrub_feed(s, mid, strlen(mid), &out);
		scrub_end(s, &out);
		assert_int_equal(buf_len(&out), strlen(rows[i].in));
		/* Hex digits of an escape come back in lower case. */
		assert_int_equal(strncasecmp((char *)buf_head(&out), rows[i].in,
				     buf_len(&out)),
		    0);
		scrub_free(s);
	}
}

static void
only_types_that_are_known_are_looked_into(void **state)
{
	static const struct {
		const char *text;
		enum swap_body_type type;
	} rows[] = {
		{ NULL, SWAP_BODY_NONE },
		{ "", SWAP_BODY_NONE },
		{ "application/json", SWAP_BODY_JSON },
		{ "Application/JSON; charset=UTF-8", SWAP_BODY_JSON },
		{ "application/json;charset=\"utf-8\"", SWAP_BODY_JSON },
		{ "application/json; charset=utf-16", SWAP_BODY_NONE },
		{ "application/json; charset=utf-8; charset=utf-7",
		    SWAP_BODY_NONE },
		{ "application/vnd.api+json", SWAP_BODY_JSON },
		{ "application/jsonp", SWAP_BODY_NONE },
		{ "application/x-www-form-urlencoded", SWAP_BODY_FORM },
		{ "multipart/form-data; boundary=x", SWAP_BODY_NONE },
		{ "text/plain", SWAP_BODY_TEXT },
		{ "text/plain; format=flowed; charset=utf-7", SWAP_BODY_NONE },
		{ "application/octet-stream", SWAP_BODY_NONE },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		assert_int_equal(swap_body_type(rows[i].text), rows[i].type);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_value_is_replaced),
		cmocka_unit_test(json_escapes_are_read_and_kept),
		cmocka_unit_test(value_is_escaped_for_where_it_goes),
		cmocka_unit_test(json_elsewhere_is_left_alone),
		cmocka_unit_test(json_deeper_than_the_limit_is_left_alone),
		cmocka_unit_test(form_value_is_replaced_as_a_whole),
		cmocka_unit_test(text_is_replaced_anywhere),
		cmocka_unit_test(
		    length_is_kept_exactly_when_value_and_stub_are_alike),
		cmocka_unit_test(
		    scrubbing_what_was_swapped_gives_the_body_back),
		cmocka_unit_test(only_types_that_are_known_are_looked_into),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
