/*
 * Classes of code points and UTF-8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compat.h"
#include "inferd/unicode.h"

static void
classes_of_some_letters(void **state)
{
	static const struct {
		uint32_t cp;
		enum unicode_class cls;
	} cases[] = {
		{ 'A', UNICODE_LU },
		{ 'z', UNICODE_LL },
		{ '0', UNICODE_N },
		{ ' ', UNICODE_Z },
		{ '\n', UNICODE_OTHER },
		{ '!', UNICODE_P },
		{ '+', UNICODE_S },
		{ 0xaa, UNICODE_LO },
		{ 0xb5, UNICODE_LL },
		{ 0xbd, UNICODE_N },
		{ 0x100, UNICODE_LU },
		{ 0x101, UNICODE_LL },
		{ 0x139, UNICODE_LU },
		{ 0x13a, UNICODE_LL },
		{ 0x1c5, UNICODE_LT },
		{ 0x2b0, UNICODE_LM },
		{ 0x301, UNICODE_M },
		{ 0x4e00, UNICODE_LO },
		{ 0x9fff, UNICODE_LO },
		{ 0xac00, UNICODE_LO },
		{ 0xd7a3, UNICODE_LO },
		{ 0xd7a4, UNICODE_OTHER },
		{ 0xd800, UNICODE_OTHER },
		{ 0xe000, UNICODE_OTHER },
		{ 0xfffd, UNICODE_S },
		{ 0x10400, UNICODE_LU },
		{ 0x1f600, UNICODE_S },
		{ 0x20000, UNICODE_LO },
		{ 0xe0100, UNICODE_M },
		{ 0x10ffff, UNICODE_OTHER },
		{ 0x110000, UNICODE_OTHER },
		{ UINT32_MAX, UNICODE_OTHER },
	};
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++)
		if (unicode_class(cases[i].cp) != cases[i].cls)
			fail_msg("U+%04X is of class %d", cases[i].cp,
			    unicode_class(cases[i].cp));
}

/* Counted in the data that the tables were made from. */
static void
every_class_has_its_number_of_code_points(void **state)
{
	static const unsigned int want[] = { 969578, 1831, 2227, 31, 334,
		127333, 2408, 1791, 819, 7741, 19 };
	unsigned int have[nitems(want)] = { 0 };
	uint32_t cp;
	size_t i;

	(void)state;
	assert_string_equal(unicode_version, "14.0.0");
	for (cp = 0; cp <= UNICODE_MAX; cp++)
		have[unicode_class(cp)]++;
	for (i = 0; i < nitems(want); i++)
		assert_int_equal(have[i], want[i]);
}

static void
white_space_has_25_members(void **state)
{
	uint32_t cp, n = 0;

	(void)state;
	for (cp = 0; cp <= UNICODE_MAX; cp++)
		n += unicode_is_space(cp);
	assert_int_equal(n, 25);
	assert_false(unicode_is_space(0x200b));
	assert_true(unicode_is_space(0x85));
}

static void
han_is_told_from_kana(void **state)
{
	(void)state;
	assert_true(unicode_is_han(0x4f60));
	assert_true(unicode_is_han(0x3005));
	assert_true(unicode_is_han(0x20000));
	assert_false(unicode_is_han(0x30ab));
	assert_false(unicode_is_han(0xac00));
	assert_false(unicode_is_han('a'));
}

static void
utf8_of_every_code_point_is_read_back(void **state)
{
	char p[4];
	size_t n, len, k;
	uint32_t cp;

	(void)state;
	for (cp = 0; cp <= UNICODE_MAX; cp++) {
		if (cp >= 0xd800 && cp < 0xe000)
			continue;
		n = unicode_encode(cp, p);
		assert_int_equal(unicode_decode(p, n, &len), cp);
		assert_int_equal(len, n);
		assert_int_equal(unicode_tail(p, n), 0);
		for (k = 1; k < n; k++) {
			assert_int_equal(unicode_tail(p, k), k);
			assert_int_equal(
			    unicode_decode(p, k, &len), UNICODE_BAD);
			assert_int_equal(len, 1);
		}
	}
}

static void
what_is_not_utf8_is_one_bad_byte(void **state)
{
	static const char *const bad[] = { "\x80", "\xff", "\xc0\x80",
		"\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe4\xbd ", "\xc3(" };
	size_t i, len;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		assert_int_equal(
		    unicode_decode(bad[i], strlen(bad[i]), &len), UNICODE_BAD);
		assert_int_equal(len, 1);
		assert_int_equal(unicode_tail(bad[i], strlen(bad[i])), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes_of_some_letters),
		cmocka_unit_test(every_class_has_its_number_of_code_points),
		cmocka_unit_test(white_space_has_25_members),
		cmocka_unit_test(han_is_told_from_kana),
		cmocka_unit_test(utf8_of_every_code_point_is_read_back),
		cmocka_unit_test(what_is_not_utf8_is_one_bad_byte),
	};

	return cmocka_run_group_tests_name("unicode", tests, NULL, NULL);
}
