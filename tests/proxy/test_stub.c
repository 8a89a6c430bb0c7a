/*
 * Stubs: what a job holds looks like the secret and tells nothing about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "proxy/stub.h"

static const uint8_t nonce_a[STUB_NONCE_SIZE] = "0123456789abcde";
static const uint8_t nonce_b[STUB_NONCE_SIZE] = "0123456789abcdf";

static struct secret *
key(char fill)
{
	uint8_t bytes[32];

	memset(bytes, fill, sizeof(bytes));
	return secret_new(bytes, sizeof(bytes));
}

static char *
shape_of(const char *value)
{
	cleanup_secret struct secret *s = secret_new(value, strlen(value));
	struct error err;
	char *shape = stub_shape(s, &err);

	if (shape != NULL)
		assert_int_equal(stub_shape_check(shape), 0);
	return shape;
}

static char *
stub_of(const char *value)
{
	cleanup_secret struct secret *k = key('k');
	cleanup_free char *shape = shape_of(value);

	assert_non_null(shape);
	return stub_make(k, nonce_a, 7, 3, 0, shape);
}

static void
expect_kept(const char *value, const char *kept)
{
	cleanup_free char *stub = stub_of(value);

	assert_int_equal(strlen(stub), strlen(value));
	assert_memory_equal(stub, kept, strlen(kept));
	assert_string_not_equal(stub, value);
	/* Nothing of the rest survives in its place beyond chance. */
	assert_string_not_equal(stub + strlen(kept), value + strlen(kept));
}

static void
vendor_prefixes_are_kept(void **state)
{
	(void)state;
	expect_kept("ghp_0123456789abcdefABCDEFghijklmnopqrst", "ghp_");
	expect_kept("github_pat_11ABCDEFG0123456789_abcdefghij", "github_pat_");
	expect_kept("sk-ant-api03-AbCdEfGhIjKlMnOp-qrSTuv_AA", "sk-ant-api03-");
	expect_kept("sk-ant-AbCdEfGhIjKlMnOp", "sk-ant-");
	expect_kept("sk-proj-AbCdEfGhIjKlMnOp", "sk-proj-");
	expect_kept("sk-AbCdEfGhIjKlMnOp", "sk-");
	expect_kept("xoxb-123456789012-AbCdEfGhIjKl", "xoxb-");
	expect_kept("glpat-AbCdEfGhIjKlMnOp", "glpat-");
	expect_kept("AKIAIOSFODNN7EXAMPLE", "AKIA");
	expect_kept("SG.AbCdEfGhIjKl.MnOpQrStUvWx", "SG.");
	expect_kept("AIzaSyAbCdEfGhIjKlMnOpQrStUvWxYz0123456", "AIza");
	expect_kept("a-secret-without-a-known-prefix", "");
}

static void
every_character_keeps_its_class(void **state)
{
	static const char value[] = "Zz9-Yy8_Xx7.Ww6/Vv5+Uu4=!@#$%^&*()~";
	cleanup_free char *stub = stub_of(value);

	(void)state;
	for (size_t i = 0; value[i] != '\0'; i++) {
		char v = value[i], s = stub[i];

		if (v >= 'A' && v <= 'Z')
			assert_true(s >= 'A' && s <= 'Z');
		else if (v >= 'a' && v <= 'z')
			assert_true(s >= 'a' && s <= 'z');
		else if (v >= '0' && v <= '9')
			assert_true(s >= '0' && s <= '9');
		else
			assert_int_equal(v, s);
	}
}

static void
hexadecimal_stays_hexadecimal(void **state)
{
	cleanup_free char *stub =
	    stub_of("deadbeef0123456789abcdefdeadbeef01234567");

	(void)state;
	assert_int_equal(strspn(stub, "0123456789abcdef"), 40);
}

static void
stub_is_stable_and_bound_to_key_job_and_credential(void **state)
{
	cleanup_secret struct secret *k = key('k'), *other = key('o');
	cleanup_free char *shape = shape_of("abcdefghijklmnopqrstuvwx");
	char *s[7];

	(void)state;
	s[0] = stub_make(k, nonce_a, 7, 3, 0, shape);
	s[1] = stub_make(other, nonce_a, 7, 3, 0, shape);
	s[2] = stub_make(k, nonce_b, 7, 3, 0, shape);
	s[3] = stub_make(k, nonce_a, 8, 3, 0, shape);
	s[4] = stub_make(k, nonce_a, 7, 4, 0, shape);
	s[5] = stub_make(k, nonce_a, 7, 3, 1, shape);
	s[6] = stub_make(k, nonce_a, 7, 3, 0, shape);
	assert_string_equal(s[0], s[6]);
	for (size_t i = 0; i < 6; i++) {
		for (size_t n = 0; n < i; n++)
			assert_string_not_equal(s[i], s[n]);
	}
	for (size_t i = 0; i < nitems(s); i++)
		free(s[i]);
}

/* The shape alone makes the stub: the value's letters do not get into it. */
static void
stub_depends_on_nothing_of_the_value_but_its_shape(void **state)
{
	cleanup_free char *a = stub_of("ghp_Hx0Aa0Aa0Aa0Aa0Aa0"),
			  *b = stub_of("ghp_Zz9Qq7Xx5Pp3Ww1Kk4");

	(void)state;
	assert_string_equal(a, b);
}

static void
letters_are_spread_evenly(void **state)
{
	unsigned int seen[26] = { 0 };
	char value[8001];
	cleanup_free char *stub = NULL;

	(void)state;
	memset(value, 'x', 8000);
	value[8000] = '\0';
	stub = stub_of(value);
	for (size_t i = 0; i < 8000; i++)
		seen[stub[i] - 'a']++;
	/* About 308 each, standard deviation 17. */
	for (size_t i = 0; i < 26; i++)
		assert_in_range(seen[i], 200, 420);
}

static void
values_without_a_safe_stub_are_refused(void **state)
{
	static const char *const bad[] = { "short12", "--------------------",
		"abc-def-1-........", "ghp_abcdefg", "two\nlines-of-a-secret",
		"carriage\rreturn-123", "tab\tin-the-secret", "del\x7f-secret1",
		"non-ascii-\xc3\xa9-secret", " leading-space-12",
		"inner space-12345" };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		cleanup_secret struct secret *s =
		    secret_new(bad[i], strlen(bad[i]));
		struct error err = { 0 };

		if (stub_shape(s, &err) != NULL)
			fail_msg("accepted: %s", bad[i]);
		assert_true(err.msg[0] != '\0');
	}
	{
		cleanup_secret struct secret *s =
		    secret_new("nul\0secret-12", 13);
		struct error err;

		assert_null(stub_shape(s, &err));
	}
}

static void
shapes_that_were_not_made_are_refused(void **state)
{
	static const char *const bad[] = { "", "abcdefghij", "\x01\x01\x01",
		"\x01\x01\x01\x01\x01\x01\x01\x01\x06",
		"\x01\x01\x01\x01\x01\x01\x01\x01\n",
		"\x01\x01\x01\x01\x01\x01\x01\x01\xff" };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_int_equal(stub_shape_check(bad[i]), -1);
}

static void
fingerprint_tells_values_and_vaults_apart(void **state)
{
	cleanup_secret struct secret *k = key('k'), *other = key('o');
	cleanup_secret struct secret *a = secret_new("value-one", 9),
				     *b = secret_new("value-two", 9);
	char f[4][STUB_FINGERPRINT_SIZE];

	(void)state;
	stub_fingerprint(k, a, f[0]);
	stub_fingerprint(k, b, f[1]);
	stub_fingerprint(other, a, f[2]);
	stub_fingerprint(k, a, f[3]);
	assert_int_equal(strlen(f[0]), 12);
	assert_int_equal(strspn(f[0], "0123456789abcdef"), 12);
	assert_string_equal(f[0], f[3]);
	assert_string_not_equal(f[0], f[1]);
	assert_string_not_equal(f[0], f[2]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vendor_prefixes_are_kept),
		cmocka_unit_test(every_character_keeps_its_class),
		cmocka_unit_test(hexadecimal_stays_hexadecimal),
		cmocka_unit_test(
		    stub_is_stable_and_bound_to_key_job_and_credential),
		cmocka_unit_test(
		    stub_depends_on_nothing_of_the_value_but_its_shape),
		cmocka_unit_test(letters_are_spread_evenly),
		cmocka_unit_test(values_without_a_safe_stub_are_refused),
		cmocka_unit_test(shapes_that_were_not_made_are_refused),
		cmocka_unit_test(fingerprint_tells_values_and_vaults_apart),
	};

	return cmocka_run_group_tests_name("stub", tests, NULL, NULL);
}
