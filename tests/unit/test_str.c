/* Numbers, names and the escaping of untrusted text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/secret.h"
#include "base/str.h"

static void
numbers_are_strict(void **state)
{
	static const char *const bad[] = { "", " 1", "1 ", "+1", "-1", "0x1",
		"1e3", "18446744073709551616" };
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_int_equal(str_to_u64(bad[i], 0, UINT64_MAX, &v), -1);
	assert_int_equal(
	    str_to_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_to_u64("5", 6, 9, &v), -1);
	assert_int_equal(errno, ERANGE);
}

static void
hostnames_are_ldh(void **state)
{
	static const char *const good[] = { "a", "api.example.com", "x-1.y",
		"1.2.3.4", "xn--bcher-kva.example" };
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a",
		"a-", "a-.b", "a_b", "a b", "a\nb", "\xc3\xa9.com", "a%00b",
		"a:1" };
	char longname[300];

	(void)state;
	for (size_t i = 0; i < nitems(good); i++)
		assert_true(str_is_hostname(good[i]));
	for (size_t i = 0; i < nitems(bad); i++)
		assert_false(str_is_hostname(bad[i]));
	memset(longname, 'a', sizeof(longname));
	longname[64] = '\0';
	assert_false(str_is_hostname(longname));
	longname[63] = '\0';
	assert_true(str_is_hostname(longname));
}

static void
escape_leaves_nothing_that_moves_the_cursor(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "plain \xc3\xa9", "plain \xc3\xa9" },
		{ "a\x1b[2Kb", "a\\x1b[2Kb" },
		{ "a\r\nb\tc", "a\\r\\nb\\tc" },
		{ "\xe2\x80\xae", "\\u{202e}" },
		{ "\xe2\x80\xa8", "\\u{2028}" },
		{ "\xc2\x9b", "\\u{009b}" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc0\xaf", "\\xc0\\xaf" },
		{ "\\x1b", "\\\\x1b" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		char *s = str_escape(t[i].in, strlen(t[i].in));

		assert_string_equal(s, t[i].out);
		free(s);
	}
}

static void
escaping_again_changes_only_what_is_not_printable(void **state)
{
	static const char raw[] = "a\x1b\n\\\xe2\x80\xae\xff";
	char *once = str_escape(raw, strlen(raw));
	char *twice = str_escape_again(once, strlen(once));
	char *forged = str_escape_again(raw, strlen(raw));

	(void)state;
	assert_string_equal(once, twice);
	assert_string_equal(forged, "a\\x1b\\n\\\\u{202e}\\xff");
	free(once);
	free(twice);
	free(forged);
}

static void
utf8_refuses_overlong_surrogate_nul(void **state)
{
	(void)state;
	assert_true(str_is_utf8("h\xc3\xa9", 3));
	assert_false(str_is_utf8("\xc0\x80", 2));
	assert_false(str_is_utf8("\xed\xa0\x80", 3));
	assert_false(str_is_utf8("\xf4\x90\x80\x80", 4));
	assert_false(str_is_utf8("a\0b", 3));
	assert_false(str_is_utf8("\xe2\x82", 2));
}

static void
error_keeps_the_first_cause(void **state)
{
	struct error e = { 0 };

	(void)state;
	assert_int_equal(error_set(&e, ENOENT, "open %s", "x"), -1);
	error_prefix(&e, "mount");
	assert_string_equal(e.msg, "mount: open x: No such file or directory");
	assert_int_equal(e.code, ENOENT);
	assert_int_equal(error_set(NULL, 0, "fine"), -1);
}

static void
secrets_hold_and_compare(void **state)
{
	struct secret *a = secret_new("canary-value", 12);
	struct secret *b = secret_new("canary-value", 12);
	struct secret *c = secret_new("canary-valuf", 12);

	(void)state;
	assert_non_null(a);
	assert_true(secret_equal(a, b));
	assert_false(secret_equal(a, c));
	assert_int_equal(secret_len(a), 12);
	assert_null(secret_alloc(0));
	assert_null(secret_alloc(SECRET_MAX + 1));
	secret_free(a);
	secret_free(b);
	secret_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_strict),
		cmocka_unit_test(hostnames_are_ldh),
		cmocka_unit_test(escape_leaves_nothing_that_moves_the_cursor),
		cmocka_unit_test(
		    escaping_again_changes_only_what_is_not_printable),
		cmocka_unit_test(utf8_refuses_overlong_surrogate_nul),
		cmocka_unit_test(error_keeps_the_first_cause),
		cmocka_unit_test(secrets_hold_and_compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
