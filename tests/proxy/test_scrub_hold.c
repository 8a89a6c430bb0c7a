/* What is held back of a response tells nothing about the value. */
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
#include "tests/proxy/spellings.h"

static const char REAL[] = "ghp_s3cr3tVALUE0123456789abcdefXYZw";
static const char STUB[] = "ghp_PLACEHOLDER9876543210zyxwvuTSRq";

/* Like a token, of that length, with that prefix. */
static void
token(char *out, size_t n, const char *prefix)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
				  "qrstuvwxyz0123456789";
	size_t i = strlen(prefix);

	memcpy(out, prefix, i);
	for (; i < n; i++)
		out[i] = set[rnd(sizeof(set) - 1)];
	out[n] = '\0';
}

/* A text full of guesses that are right but for their end. */
static void
put_guesses(struct buf *b, const char *real, size_t n)
{
	for (unsigned int k = 1 + rnd(6); k > 0; k--) {
		cleanup_free char *part = xstrndup(real, 1 + rnd(n - 2));
		uint32_t how = rnd(nitems(ways) + 3);

		if (how < nitems(ways)) {
			write_down(b, &ways[how], part);
		} else {
			static const char *const pre[] = { "", "x", "xy" };
			cleanup_free char *t =
			    b64(pre[how - nitems(ways)], part, "", rnd(2) == 0);

			for (char *c = t; *c != '\0' && *c != '='; c++)
				buf_printf(
				    b, "%c%s", *c, rnd(9) == 0 ? "\r\n" : "");
		}
		if (rnd(4) == 0)
			buf_put_text(b, rnd(2) == 0 ? "\n\n" : "\"}");
		else
			buf_put_u8(b, (uint8_t) "~.\n =!"[rnd(6)]);
	}
}

/*
 * An agent that sees when and how its own guesses come back sees the same
 * whatever the value is.
 */
static void
what_is_held_back_is_the_same_for_any_value(void **state)
{
	static const char *const prefixes[] = { "ghp_", "", "sk-", "k",
		"github_pat_" };

	(void)state;
	for (int round = 0; round < 4000; round++) {
		const char *prefix = prefixes[rnd(nitems(prefixes))];
		struct scrub *s[2] = { scrub_new(), scrub_new() };
		struct buf out[2] = { 0 };
		char real[2][41], stub[41];
		cleanup_buf struct buf in = { 0 };
		size_t n = 16 + rnd(24);

		token(stub, n, prefix);
		for (int i = 0; i < 2; i++) {
			token(real[i], n, prefix);
			/* Chance, for which a value must not be known. */
			if (rnd(4) == 0)
				memcpy(real[i], stub, strlen(prefix) + rnd(4));
			scrub_add(s[i], real[i], stub, n);
		}
		put_guesses(&in, real[0], n);
		for (size_t at = 0, k; at < buf_len(&in); at += k) {
			k = 1 + rnd(rnd(2) == 0 ? 9 : 80);
			if (k > buf_len(&in) - at)
				k = buf_len(&in) - at;
			for (int i = 0; i < 2; i++) {
				scrub_feed(
				    s[i], buf_head(&in) + at, k, &out[i]);
				assert_true(
				    scrub_held(s[i]) <= scrub_reach(s[i]));
			}
			if (buf_len(&out[0]) != buf_len(&out[1])) {
				buf_put_u8(&in, 0);
				fail_msg("%zu and %zu bytes of %s at %zu, %s",
				    buf_len(&out[0]), buf_len(&out[1]),
				    buf_head(&in), at + k, real[0]);
			}
		}
		for (int i = 0; i < 2; i++) {
			size_t k, all = buf_len(&in);

			scrub_again(s[i]);
			k = scrub_pass(s[i], buf_head(&in), all);
			if (i == 0)
				buf_clear(&out[0]);
			buf_put_u32(&out[i == 0 ? 0 : 1], (uint32_t)k);
			if (i == 1)
				assert_memory_equal(buf_head(&out[0]),
				    buf_head(&out[1]) + buf_len(&out[1]) - 4,
				    4);
			scrub_free(s[i]);
		}
		buf_free(&out[0]);
		buf_free(&out[1]);
	}
}

static void
a_guess_that_a_pause_shows_is_counted(void **state)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };

	(void)state;
	scrub_add(s, REAL, STUB, strlen(REAL));
	/* What is public may be said. */
	scrub_feed(s, "write ghp_", 10, &out);
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 10);
	scrub_feed(s, "XXX here ", 9, &out);
	/* A wrong guess is not kept waiting. */
	scrub_feed(s, "ghp_s4cr3tVAL", 13, &out);
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 32);
	scrub_feed(s, " ", 1, &out);
	assert_int_equal(scrub_doubts(s), 0);
	/* A right one is, once. */
	scrub_feed(s, REAL, 12, &out);
	scrub_quiet(s, &out);
	scrub_quiet(s, &out);
	assert_int_equal(buf_len(&out), 33);
	scrub_feed(s, "!", 1, &out);
	assert_int_equal(buf_len(&out), 46);
	assert_int_equal(scrub_doubts(s), 1);
	/* A value that comes slowly is none. */
	for (size_t i = 0; i < strlen(REAL); i++) {
		scrub_feed(s, REAL + i, 1, &out);
		scrub_quiet(s, &out);
	}
	scrub_feed(s, " ", 1, &out);
	assert_int_equal(scrub_doubts(s), 1);
	assert_int_equal(scrub_count(s), 1);
	/* One at the very end. */
	scrub_feed(s, REAL, 20, &out);
	scrub_quiet(s, &out);
	scrub_end(s, &out);
	assert_int_equal(scrub_doubts(s), 2);
	scrub_again(s);
	assert_int_equal(scrub_doubts(s), 0);
	scrub_free(s);
}

/* More follows: what only looks like a value need not wait. */
static void
what_starts_no_value_is_let_go_before_more(void **state)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };

	(void)state;
	scrub_add(s, REAL, STUB, strlen(REAL));
	scrub_feed(s, "a ghp_wrongghp_s3c", 18, &out);
	assert_int_equal(buf_len(&out), 2);
	scrub_settle(s, &out);
	assert_int_equal(buf_len(&out), 11);
	assert_int_equal(scrub_held(s), 7);
	scrub_feed(s, REAL + 7, strlen(REAL) - 7, &out);
	scrub_feed(s, ".", 1, &out);
	buf_put_u8(&out, 0);
	cleanup_free char *want = xasprintf("a ghp_wrong%s.", STUB);
	assert_string_equal((char *)buf_head(&out), want);
	scrub_free(s);
}

/* Of a value that is added meanwhile nothing is let go that is held still. */
static void
what_is_held_is_searched_for_new_values(void **state)
{
	static const char other[] = "gho_0therVALUE0123456789abcdefghijk";

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct scrub *s = scrub_new();
		cleanup_buf struct buf out = { 0 };

		/* Nothing public: the end of any text is held. */
		scrub_add(s, "An0therValueWithoutAPrefix", /* and its stub */
		    "Zq0gureInyhrJvgubhgNCersvk", 26);
		scrub_feed(s, "a ", 2, &out);
		scrub_feed(s, other, strlen(other), &out);
		assert_int_equal(buf_len(&out), 2);
		scrub_add(s, other, STUB, strlen(other));
		if (i == 0)
			scrub_quiet(s, &out);
		else if (i == 1)
			scrub_settle(s, &out);
		scrub_feed(s, " b", 2, &out);
		scrub_end(s, &out);
		buf_put_u8(&out, 0);
		assert_null(strstr((char *)buf_head(&out), other));
		assert_non_null(strstr((char *)buf_head(&out), STUB));
		assert_int_equal(scrub_count(s), 1);
		scrub_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_held_back_is_the_same_for_any_value),
		cmocka_unit_test(a_guess_that_a_pause_shows_is_counted),
		cmocka_unit_test(what_starts_no_value_is_let_go_before_more),
		cmocka_unit_test(what_is_held_is_searched_for_new_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
