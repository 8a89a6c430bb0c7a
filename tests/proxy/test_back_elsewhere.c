/* Fields that would have a server serve another URL or host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"

static void
request_that_points_elsewhere_is_refused(void **state)
{
	static const char *const fields[] = { "X-Original-URL: /denied/x\n",
		"x-rewrite-url: /\n", "X_Original_URL: /\n",
		"X-Forwarded-Host: other.example\n",
		"X-Forwarded-Host: good.example, other.example\n",
		"X-Forwarded-Host: \"other.example\"\n",
		"X_FORWARDED_HOST: other.example:443\n",
		"X-Host: good.example.evil.example\n",
		"X-Original-Host: [::1]\n", "X-Host: good.example@x\n",
		"Forwarded: for=1.2.3.4;host=other.example\n",
		"Forwarded: host=good.example, Host=\"other.example:1\"\n",
		"X-Keep: 1\nX-Forwarded-Server: other\n" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(fields); i++) {
		world_get(w, HOST, "/echo", fields[i]);
		if (w->a.status != 403 || w->a.denies != 1)
			fail_msg("%sstatus %u", fields[i], w->a.status);
		assert_true(world_saw(w, " names another "));
	}
	assert_int_equal(w->releases, 0);
	assert_false(world_origin_saw(w, "GET"));
}

static void
what_says_the_same_or_nothing_passes(void **state)
{
	static const char *const fields[] = { "X-Forwarded-Host: \n",
		"X-Forwarded-Host: good.example\n",
		"X-Forwarded-Host: GOOD.example:8443, good.example.\n",
		"Forwarded: for=1.2.3.4;proto=https\n",
		"Forwarded: host=\"good.example:1\";for=x\n",
		"X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https\n",
		"X-Original: /x\nX-Forwarded-Hosts: x\n" };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(fields); i++) {
		world_get(w, HOST, "/echo", fields[i]);
		if (w->a.status != 200)
			fail_msg("%sstatus %u", fields[i], w->a.status);
		assert_true(world_saw(w, fields[i][0] == 'X' ? "X-" : "For"));
	}
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(request_that_points_elsewhere_is_refused),
		T(what_says_the_same_or_nothing_passes),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
