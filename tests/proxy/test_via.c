/* Which hosts are reached through the administrator's proxy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/back.h"

static void
without_a_proxy_everything_goes_directly(void **state)
{
	struct via v = { 0 };

	(void)state;
	assert_false(via_applies(&v, "a.example"));
	/* A list of exceptions is no proxy. */
	via_config(&v, "no-proxy", "b.example");
	assert_false(via_applies(&v, "a.example"));
	/* Nor is half a setting. */
	via_config(&v, "upstream-proxy", "3128");
	via_config(&v, "upstream-proxy", "0 proxy.example");
	via_config(&v, "upstream-proxy", "65536 proxy.example");
	assert_false(via_applies(&v, "a.example"));
	via_clear(&v);
}

static void
exceptions_are_exact_or_all_below(void **state)
{
	struct via v = { 0 };

	(void)state;
	via_config(&v, "upstream-proxy", "3128 proxy.example");
	via_config(&v, "upstream-proxy-secret", "corp");
	via_config(&v, "no-proxy", "git.example");
	via_config(&v, "no-proxy", "*.internal.example");
	via_config(&v, "no-proxy", "10.0.0.1");
	via_config(&v, "no-proxy", "fd00::1");
	assert_string_equal(v.host, "proxy.example");
	assert_int_equal(v.port, 3128);
	assert_string_equal(v.secret, "corp");
	assert_false(via_applies(&v, "git.example"));
	assert_true(via_applies(&v, "a.git.example"));
	assert_true(via_applies(&v, "agit.example"));
	assert_false(via_applies(&v, "a.internal.example"));
	assert_false(via_applies(&v, "a.b.internal.example"));
	assert_true(via_applies(&v, "internal.example"));
	assert_true(via_applies(&v, "xinternal.example"));
	assert_false(via_applies(&v, "10.0.0.1"));
	assert_false(via_applies(&v, "::ffff:10.0.0.1"));
	assert_true(via_applies(&v, "10.0.0.11"));
	assert_false(via_applies(&v, "fd00:0:0::1"));
	assert_true(via_applies(&v, "fd00::2"));
	via_clear(&v);
	assert_false(via_applies(&v, "a.example"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_proxy_everything_goes_directly),
		cmocka_unit_test(exceptions_are_exact_or_all_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
