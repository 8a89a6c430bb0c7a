/* No real value survives a response, in any encoding, cut anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "proxy/scrub.h"
#include "proxy/seek_int.h"
#include "tests/proxy/spellings.h"

static const char REAL[] = "ghp_s3cr3tVALUE0123456789abcdefXYZw";
static const char STUB[] = "ghp_PLACEHOLDER9876543210zyxwvuTSRq";

/* A piece, as back gives it: what holds no value goes on as it is. */
static void
piece(struct scrub *s, const uint8_t *p, size_t n, bool pass, struct buf *out)
{
	size_t k = pass ? scrub_pass(s, p, n) : 0;

	assert_true(k <= n && (k == 0 || scrub_held(s) == 0));
	buf_put(out, p, k);
	scrub_feed(s, p + k, n - k, out);
}

/* It has been in use, up to the middle of a value. */
static void
use_before(struct scrub *s, const char *real, const char *stub)
{
	cleanup_buf struct buf waste = { 0 };
	size_t n = strlen(real);

	scrub_feed(s, real, n, &waste);
	scrub_feed(s, real, n - 1, &waste);
	scrub_again(s);
	assert_int_equal(scrub_count(s), 0);
	assert_int_equal(scrub_held(s), 0);
	assert_int_equal(scrub_keys(s), 1);
	assert_true(scrub_has(s, 0, real, stub, n));
	assert_false(scrub_has(s, 0, stub, real, n));
	assert_false(scrub_has(s, 0, real, stub, n - 1));
	assert_false(scrub_has(s, 1, real, stub, n));
}

static char *
scrub_with(const char *real, const char *stub, const void *in, size_t n,
    size_t chunk, bool pass)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };
	const uint8_t *p = in;

	scrub_add(s, real, stub, strlen(real));
	if (pass)
		use_before(s, real, stub);
	for (size_t at = 0; at < n;) {
		size_t k = chunk == 0 ? 1 + rnd(7) : chunk;

		if (k > n - at)
			k = n - at;
		piece(s, p + at, k, pass, &out);
		at += k;
	}
	scrub_end(s, &out);
	scrub_free(s);
	assert_int_equal(buf_len(&out), n);
	buf_put_u8(&out, 0);
	return xmemdup(buf_head(&out), n + 1);
}

static char *
scrub_all(
    const char *real, const char *stub, const void *in, size_t n, size_t chunk)
{
	uint32_t before = seed, after;
	char *fed = scrub_with(real, stub, in, n, chunk, false);
	cleanup_free char *passed = NULL;

	/* Cut in the same places. */
	after = seed;
	seed = before;
	passed = scrub_with(real, stub, in, n, chunk, true);
	assert_int_equal(seed, after);
	assert_memory_equal(fed, passed, n + 1);
	return fed;
}

static void
expect(const char *in, const char *want)
{
	static const size_t chunks[] = { 1, 2, 3, 5, 0, 100000 };

	for (size_t i = 0; i < nitems(chunks); i++) {
		cleanup_free char *got =
		    scrub_all(REAL, STUB, in, strlen(in), chunks[i]);
		assert_string_equal(got, want);
	}
}

/* Digits keep no case where a whole is written in either. */
static void
expect_any_case(const char *in, const char *want)
{
	cleanup_free char *low = xstrdup(want);

	str_lower(low);
	for (size_t chunk = 0; chunk < 4; chunk++) {
		cleanup_free char *got =
		    scrub_all(REAL, STUB, in, strlen(in), chunk);

		str_lower(got);
		assert_string_equal(got, low);
	}
}

static void
raw_value_becomes_the_stub(void **state)
{
	cleanup_free char *in = xasprintf("{\"t\":\"%s\"}%s", REAL, REAL);
	cleanup_free char *want = xasprintf("{\"t\":\"%s\"}%s", STUB, STUB);

	(void)state;
	expect(in, want);
}

static void
base64_at_every_offset_becomes_that_of_the_stub(void **state)
{
	static const char *const pre[] = { "", "u", "us", "usr", "x:y:" };
	static const char *const post[] = { "", "a", "\xff\xff", "ccc" };

	(void)state;
	for (size_t i = 0; i < nitems(pre); i++)
		for (size_t j = 0; j < nitems(post); j++)
			for (int url = 0; url < 2; url++) {
				cleanup_free char *in =
				    b64(pre[i], REAL, post[j], url);
				cleanup_free char *want =
				    b64(pre[i], STUB, post[j], url);
				expect(in, want);
			}
}

/* like, whose + and / are escaped; of t the characters in their places, too. */
static char *
b64_escaped(const char *like, const char *t, const char *fmt)
{
	cleanup_buf struct buf b = { 0 };

	for (size_t i = 0; like[i] != '\0'; i++) {
		uint8_t c = (uint8_t)t[i];

		if (like[i] != '+' && like[i] != '/')
			buf_put_u8(&b, c);
		else if (fmt != NULL)
			buf_printf(&b, "%s%02x", fmt, c);
		else if (like[i] == '/')
			buf_printf(&b, "%c%c", c == '/' ? '\\' : c, c);
		else
			buf_put_u8(&b, c);
	}
	buf_put_u8(&b, 0);
	return xstrdup((const char *)buf_head(&b));
}

static void
escaped_characters_of_base64_are_followed(void **state)
{
	static const char real[] = "k?.?.?.?>.>.>c";
	static const char stub[] = "kQWE?RTYUIOPAS";
	static const char *const pre[] = { "", "u", "us" };
	static const char *const fmt[] = { NULL, "\\u00", "%", "%25" };

	(void)state;
	for (size_t i = 0; i < nitems(pre); i++)
		for (size_t j = 0; j < nitems(fmt); j++) {
			cleanup_free char *r = b64(pre[i], real, "", false);
			cleanup_free char *s = b64(pre[i], stub, "", false);
			cleanup_free char *in = b64_escaped(r, r, fmt[j]);
			cleanup_free char *want = b64_escaped(r, s, fmt[j]);
			size_t n = strlen(in);

			assert_non_null(strchr(r, '/'));
			assert_non_null(strchr(r, '+'));
			str_lower(want);
			for (size_t chunk = 0; chunk < 9; chunk++) {
				cleanup_free char *got =
				    scrub_all(real, stub, in, n, chunk);

				str_lower(got);
				assert_string_equal(got, want);
			}
		}
}

static char *
each(const char *s, const char *fmt_prefix, bool upper)
{
	const char *d = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	cleanup_buf struct buf b = { 0 };

	for (; *s != '\0'; s++) {
		buf_put(&b, fmt_prefix, strlen(fmt_prefix));
		buf_put_u8(&b, (uint8_t)d[(uint8_t)*s >> 4]);
		buf_put_u8(&b, (uint8_t)d[(uint8_t)*s & 15]);
	}
	buf_put_u8(&b, 0);
	return xstrdup((const char *)buf_head(&b));
}

static void
hex_percent_and_json_forms_become_those_of_the_stub(void **state)
{
	(void)state;
	for (int upper = 0; upper < 2; upper++) {
		cleanup_free char *h = each(REAL, "", upper);
		cleanup_free char *hw = each(STUB, "", upper);
		cleanup_free char *p = each(REAL, "%", upper);
		cleanup_free char *pw = each(STUB, "%", upper);
		cleanup_free char *j = each(REAL, "\\u00", upper);
		cleanup_free char *jw = each(STUB, "\\u00", false);
		expect(h, hw);
		expect_any_case(p, pw);
		expect_any_case(j, jw);
	}
}

static void
json_escapes_inside_a_value_are_followed(void **state)
{
	static const char real[] = "ab\"cd\\ef/gh&ij";
	static const char stub[] = "ABxCDyEFzGHwIJ";
	static const char *const forms[] = { "ab\\\"cd\\\\ef/gh&ij",
		"ab\\\"cd\\\\ef\\/gh&ij", "ab\\\"cd\\\\ef/gh\\u0026ij",
		"ab%22cd%5Cef%2Fgh%26ij" };

	(void)state;
	for (size_t i = 0; i < nitems(forms); i++) {
		size_t n = strlen(forms[i]);
		cleanup_free char *a = scrub_all(real, stub, forms[i], n, 1);
		cleanup_free char *b = scrub_all(real, stub, forms[i], n, n);

		assert_string_equal(a, b);
		assert_null(strstr(a, "cd"));
		assert_null(strstr(a, "ij"));
	}
}

static void
every_form_becomes_that_of_the_stub(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(ways); i++)
		for (size_t chunk = 0; chunk < 20; chunk++) {
			cleanup_buf struct buf in = { 0 }, want = { 0 };

			buf_put(&in, "abc ", 4);
			buf_put(&want, "abc ", 4);
			write_down(&in, &ways[i], REAL);
			write_down(&want, &ways[i], STUB);
			write_down(&in, &ways[i], REAL);
			write_down(&want, &ways[i], STUB);
			cleanup_free char *got = scrub_all(
			    REAL, STUB, buf_head(&in), buf_len(&in), chunk);
			if (memcmp(got, buf_head(&want), buf_len(&want)) != 0)
				fail_msg("%s, chunk %zu: %s", ways[i].name,
				    chunk, got);
		}
}

static void
base64_over_lines_becomes_that_of_the_stub(void **state)
{
	static const char *const breaks[] = { "\n", "\r\n", "\\n", "\\r\\n" };

	(void)state;
	for (size_t i = 0; i < nitems(breaks); i++)
		for (size_t line = 1; line < 20; line++) {
			cleanup_buf struct buf in = { 0 }, want = { 0 };
			cleanup_free char *a = b64("xy", REAL, "z", false);
			cleanup_free char *b = b64("xy", STUB, "z", false);

			for (size_t k = 0; a[k] != '\0'; k++) {
				buf_printf(&in, "%c%s", a[k],
				    k % line == 0 ? breaks[i] : "");
				buf_printf(&want, "%c%s", b[k],
				    k % line == 0 ? breaks[i] : "");
			}
			buf_put_u8(&in, 0);
			buf_put_u8(&want, 0);
			expect((char *)buf_head(&in), (char *)buf_head(&want));
		}
}

/* Any bytes that a value may hold, and what looks like an escape in it. */
static void
value_that_looks_like_an_escape_is_found(void **state)
{
	static const struct {
		const char *real, *in;
	} t[] = {
		{ "abc==def", "abc==def" },
		{ "abc==def", "abc=3D=3Ddef" },
		{ "a&b<c>d\"e'f", "a&amp;b&lt;c&gt;d&quot;e&#39;f" },
		{ "50%25off%", "50%25off%" },
		{ "50%25off%", "50%2525off%25" },
		{ "50%25off%", "50%252525off%2525" },
		{ "C:\\new\\table", "C:\\new\\table" },
		{ "C:\\new\\table", "C:\\\\new\\\\table" },
		{ "C:\\new\\table", "C:\\\\\\\\new\\\\\\\\table" },
		{ "line1\nline2\n", "line1\\nline2\\n" },
		{ "line1\nline2\n", "line1\\\\nline2\\\\n" },
		{ "say \"hello\"", "say \\\\\\\"hello\\\\\\\"" },
		{ "ghp_under_score", "ghp\\_under\\_score" },
		{ "\\u0041bcdef", "\\u0041bcdef" },
		{ "\\u0041bcdef", "\\\\u0041bcdef" },
		{ "=3D=3D=3D", "=3D=3D=3D" },
		{ "=3D=3D=3D", "=3D3D=3D3D=3D3D" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++)
		for (size_t chunk = 0; chunk < 6; chunk++) {
			struct scrub *s = scrub_new();
			cleanup_buf struct buf out = { 0 };
			char stub[64];
			size_t n = strlen(t[i].in), at = 0;

			memset(stub, 'Z', sizeof(stub));
			scrub_add(s, t[i].real, stub, strlen(t[i].real));
			while (at < n) {
				size_t k = chunk == 0 ? n : chunk;

				k = k < n - at ? k : n - at;
				scrub_feed(s, t[i].in + at, k, &out);
				at += k;
			}
			scrub_end(s, &out);
			assert_int_equal(buf_len(&out), n);
			if (scrub_count(s) != 1)
				fail_msg("%s in %s, chunk %zu", t[i].real,
				    t[i].in, chunk);
			scrub_free(s);
		}
}

/* What swap does in some form, scrub undoes: the agent sees its own bytes. */
static void
swap_then_scrub_is_the_identity(void **state)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopq"
				  "rstuvwxyz0123456789-_.";

	(void)state;
	for (int round = 0; round < 3000; round++) {
		char real[40] = { 0 }, stub[40] = { 0 };
		cleanup_buf struct buf in = { 0 };
		size_t n = 8 + rnd(31);

		for (size_t i = 0; i < n; i++) {
			real[i] = set[rnd(sizeof(set) - 1)];
			stub[i] = set[rnd(sizeof(set) - 1)];
		}
		for (unsigned int k = rnd(5); k > 0; k--) {
			for (uint32_t j = rnd(9); j > 0; j--)
				buf_put_u8(&in, (uint8_t)rnd(256));
			write_down(&in, &ways[rnd(nitems(ways))], stub);
		}
		buf_put_u8(&in, '.');
		cleanup_free char *out =
		    scrub_all(stub, real, buf_head(&in), buf_len(&in), rnd(9));
		cleanup_free char *back =
		    scrub_all(real, stub, out, buf_len(&in), rnd(9));
		assert_memory_equal(back, buf_head(&in), buf_len(&in));
	}
}

/* Large pieces are searched 32 places at a time, small ones are not. */
static void
large_pieces_and_small_ones_give_the_same(void **state)
{
	static const char set[] = "ABCab012_-%\\&=\r\n/+;#x";

	(void)state;
	for (int round = 0; round < 300; round++) {
		cleanup_buf struct buf in = { 0 }, whole = { 0 }, cut = { 0 };
		struct scrub *a = scrub_new(), *b = scrub_new();
		char key[6][24] = { 0 };
		uint32_t keys = 1 + rnd(6);

		for (uint32_t k = 0; k < keys; k++) {
			uint32_t n = 6 + rnd(17);

			for (uint32_t i = 0; i < n; i++)
				key[k][i] = set[rnd(sizeof(set) - 1)];
			scrub_add(a, key[k], "ZYXWVUTSRQPONMLKJIHGFED", n);
			scrub_add(b, key[k], "ZYXWVUTSRQPONMLKJIHGFED", n);
		}
		while (buf_len(&in) < 1500) {
			const char *v = key[rnd(keys)];

			for (uint32_t i = rnd(40); i > 0; i--)
				buf_put_u8(
				    &in, (uint8_t)set[rnd(sizeof(set) - 1)]);
			if (rnd(3) == 0) {
				cleanup_free char *t = b64("ab", v, "c", false);

				for (char *c = t; *c != '\0'; c++)
					buf_printf(&in, "%c%s", *c,
					    rnd(5) == 0 ? "\r\n" : "");
			} else {
				write_down(&in, &ways[rnd(nitems(ways))], v);
			}
		}
		/* The small ones are too short for more than one at a time. */
		filter_lanes(round % 2 == 0 ? 32 : SIZE_MAX);
		scrub_feed(a, buf_head(&in), buf_len(&in), &whole);
		scrub_end(a, &whole);
		for (size_t at = 0, k; at < buf_len(&in); at += k) {
			k = 1 + rnd(9);
			if (k > buf_len(&in) - at)
				k = buf_len(&in) - at;
			scrub_feed(b, buf_head(&in) + at, k, &cut);
		}
		scrub_end(b, &cut);
		assert_int_equal(scrub_count(a), scrub_count(b));
		assert_true(scrub_count(a) > 0);
		assert_int_equal(buf_len(&whole), buf_len(&in));
		assert_memory_equal(
		    buf_head(&whole), buf_head(&cut), buf_len(&in));
		scrub_free(a);
		scrub_free(b);
	}
}

static void
other_text_is_not_delayed(void **state)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };

	(void)state;
	scrub_add(s, REAL, STUB, strlen(REAL));
	scrub_feed(s, "data: hello\n\n", 13, &out);
	assert_int_equal(buf_len(&out), 13);
	scrub_feed(s, REAL, strlen(REAL) - 1, &out);
	assert_int_equal(buf_len(&out), 13);
	scrub_feed(s, REAL + strlen(REAL) - 1, 1, &out);
	assert_int_equal(scrub_count(s), 1);
	/* It looks like one that goes on, as any guess does. */
	assert_int_equal(buf_len(&out), 13);
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 13 + strlen(REAL));
	scrub_feed(s, " ", 1, &out);
	assert_int_equal(buf_len(&out), 14 + strlen(REAL));
	scrub_free(s);
}

static void
start_of_a_value_at_the_end_is_passed_on(void **state)
{
	(void)state;
	expect("xx ghp_s3c", "xx ghp_s3c");
	expect("ghp_s3cr3t ghp_s3cr3tVALUE!", "ghp_s3cr3t ghp_s3cr3tVALUE!");
}

static void
value_that_meets_itself_is_replaced_from_the_left(void **state)
{
	cleanup_free char *a = scrub_all("aaaa", "wxyz", "aaaaaaaa", 8, 1);
	cleanup_free char *b = scrub_all("aaaa", "wxyz", "aaaaaaaa", 8, 8);

	(void)state;
	assert_string_equal(a, "wxyzwxyz");
	assert_string_equal(b, "wxyzwxyz");
}

static void
value_that_starts_another_leaves_no_tail(void **state)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };

	(void)state;
	scrub_add(s, "secret", "STUB-1", 6);
	scrub_add(s, "secret-long-one", "STUB-2-12345678", 15);
	scrub_feed(s, "<secret-lo", 10, &out);
	scrub_feed(s, "ng-one><secret>", 15, &out);
	scrub_end(s, &out);
	assert_int_equal(buf_len(&out), 25);
	assert_memory_equal(buf_head(&out), "<STUB-2-12345678><STUB-1>", 25);
	scrub_free(s);
}

static void
field_value_is_scrubbed_in_place(void **state)
{
	struct scrub *s = scrub_new();
	cleanup_free char *v = xasprintf("Bearer %s; a=b", REAL);
	cleanup_free char *w = xasprintf("Bearer %s; a=b", STUB);

	(void)state;
	scrub_add(s, REAL, STUB, strlen(REAL));
	scrub_text(s, v, strlen(v));
	assert_string_equal(v, w);
	scrub_free(s);
}

/* Random keys over a tiny alphabet overlap in every way there is. */
static void
any_chunking_gives_the_same_and_no_value_survives(void **state)
{
	(void)state;
	for (int round = 0; round < 400; round++) {
		char real[12] = { 0 }, stub[12] = { 0 }, in[200];
		size_t n = 2 + rnd(9);

		for (size_t i = 0; i < n; i++) {
			real[i] = (char)('a' + rnd(2));
			stub[i] = (char)('A' + rnd(26));
		}
		for (size_t i = 0; i < sizeof(in); i++)
			in[i] = (char)('a' + rnd(2));
		cleanup_free char *a = scrub_all(real, stub, in, 200, 200);
		cleanup_free char *b = scrub_all(real, stub, in, 200, 1);
		cleanup_free char *c = scrub_all(real, stub, in, 200, 0);
		assert_string_equal(a, b);
		assert_string_equal(a, c);
		assert_null(strstr(a, real));
	}
}

/* A token that is issued while a stream of events is open. */
static void
value_that_is_added_in_mid_stream_is_found(void **state)
{
	static const char other[] = "gho_0therVALUE0123456789abcdefghijk";
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };

	scrub_add(s, REAL, STUB, strlen(REAL));
	scrub_feed(s, "data: ghp_s3cr3t", 16, &out);
	assert_int_equal(scrub_held(s), 10);
	scrub_add(s, other, STUB, strlen(other));
	scrub_feed(s, REAL + 10, strlen(REAL) - 10, &out);
	scrub_feed(s, " ", 1, &out);
	scrub_feed(s, other, strlen(other), &out);
	scrub_end(s, &out);
	buf_put_u8(&out, 0);
	assert_null(strstr((char *)buf_head(&out), REAL));
	assert_null(strstr((char *)buf_head(&out), other));
	assert_int_equal(scrub_count(s), 2);
	for (size_t i = 2; i < SEEK_KEYS_MAX; i++) {
		assert_false(scrub_is_full(s));
		scrub_add(s, other, STUB, strlen(other));
	}
	assert_true(scrub_is_full(s));
	scrub_free(s);
}

/* A peer may wait for an answer to its last byte. */
static void
pause_lets_go_of_a_short_start_only(void **state)
{
	struct scrub *s = scrub_new();
	struct buf out = { 0 };

	(void)state;
	scrub_add(s, REAL, STUB, strlen(REAL));
	scrub_feed(s, "message gh", 10, &out);
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 10);
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 10);
	scrub_feed(s, " and ghp_s", 10, &out);
	assert_int_equal(buf_len(&out), 15);
	/* Five bytes of the value: it waits. */
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 15);
	scrub_feed(s, REAL + 5, strlen(REAL) - 5, &out);
	scrub_end(s, &out);
	buf_put_u8(&out, 0);
	cleanup_free char *want = xasprintf("message gh and %s", STUB);
	assert_string_equal((char *)buf_head(&out), want);
	buf_free(&out);
	scrub_free(s);
}

static void
value_after_a_pause_is_replaced_but_for_its_start(void **state)
{
	cleanup_free char *text =
	    xasprintf("a%s b%s%s %%67%%68%s\n", REAL, REAL, REAL, REAL + 2);
	size_t n = strlen(text);

	(void)state;
	for (size_t cut = 1; cut < 40; cut++) {
		struct scrub *s = scrub_new();
		struct buf out = { 0 };

		scrub_add(s, REAL, STUB, strlen(REAL));
		for (size_t at = 0; at < n; at += cut) {
			scrub_feed(
			    s, text + at, n - at < cut ? n - at : cut, &out);
			scrub_quiet(s, &out);
		}
		scrub_end(s, &out);
		assert_int_equal(buf_len(&out), n);
		/* Whatever the pauses, only bytes of the start went out. */
		for (size_t k = SCRUB_QUIET_MAX; k + 8 <= strlen(REAL); k++)
			assert_null(memmem(buf_head(&out), n, REAL + k, 8));
		buf_free(&out);
		scrub_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_value_becomes_the_stub),
		cmocka_unit_test(
		    base64_at_every_offset_becomes_that_of_the_stub),
		cmocka_unit_test(escaped_characters_of_base64_are_followed),
		cmocka_unit_test(
		    hex_percent_and_json_forms_become_those_of_the_stub),
		cmocka_unit_test(json_escapes_inside_a_value_are_followed),
		cmocka_unit_test(every_form_becomes_that_of_the_stub),
		cmocka_unit_test(base64_over_lines_becomes_that_of_the_stub),
		cmocka_unit_test(value_that_looks_like_an_escape_is_found),
		cmocka_unit_test(swap_then_scrub_is_the_identity),
		cmocka_unit_test(large_pieces_and_small_ones_give_the_same),
		cmocka_unit_test(other_text_is_not_delayed),
		cmocka_unit_test(start_of_a_value_at_the_end_is_passed_on),
		cmocka_unit_test(
		    value_that_meets_itself_is_replaced_from_the_left),
		cmocka_unit_test(value_that_starts_another_leaves_no_tail),
		cmocka_unit_test(field_value_is_scrubbed_in_place),
		cmocka_unit_test(
		    any_chunking_gives_the_same_and_no_value_survives),
		cmocka_unit_test(pause_lets_go_of_a_short_start_only),
		cmocka_unit_test(value_that_is_added_in_mid_stream_is_found),
		cmocka_unit_test(
		    value_after_a_pause_is_replaced_but_for_its_start),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
