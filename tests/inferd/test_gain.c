/* Whether threads that share their processors are of use (inferd/gain.h). */
#include "inferd/gain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define US INT64_C(1000)
#define MS (1000 * US)

/*
 * Jobs of 100 pieces, one with all threads and one without in turn, until there
 * is a verdict or each kind has had so long; what came of it.
 */
static int64_t
verdict(struct gain *g, int64_t with, int64_t without, int64_t most)
{
	for (int64_t spent = 0; spent < most; spent += with) {
		int64_t rest = gain_job(g, true, 100, with);

		for (int64_t t = 0; rest == 0 && t < with; t += without)
			rest = gain_job(g, false, 100, without);
		if (rest != 0)
			return rest;
	}
	return 0;
}

static void
threads_that_help_go_on(void **state)
{
	struct gain g = { 0 };

	(void)state;
	assert_int_equal(verdict(&g, 600 * US, 900 * US, 5000 * MS), 0);
}

static void
threads_that_cost_more_rest_longer_and_longer(void **state)
{
	struct gain g = { 0 };
	int64_t rest = GAIN_REST_NS;

	(void)state;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(
		    verdict(&g, 1200 * US, 900 * US, 100 * MS), rest);
		rest =
		    2 * rest < GAIN_REST_MAX_NS ? 2 * rest : GAIN_REST_MAX_NS;
	}
	assert_int_equal(rest, GAIN_REST_MAX_NS);
	/* They have helped in between: it begins anew. */
	assert_int_equal(verdict(&g, 600 * US, 900 * US, 100 * MS), 0);
	assert_int_equal(
	    verdict(&g, 1200 * US, 900 * US, 100 * MS), GAIN_REST_NS);
}

static void
a_small_gain_is_not_worth_it(void **state)
{
	struct gain g = { 0 };

	(void)state;
	assert_int_equal(
	    verdict(&g, 850 * US, 900 * US, 100 * MS), GAIN_REST_NS);
}

static void
one_kind_alone_tells_nothing(void **state)
{
	struct gain g = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(gain_job(&g, false, 100, 900 * US), 0);
	/* Nor does a little of the other. */
	for (int64_t t = 0; t + MS < GAIN_WINDOW_NS; t += MS)
		assert_int_equal(gain_job(&g, true, 1, MS), 0);
	assert_int_equal(gain_job(&g, true, 1, 2 * MS), GAIN_REST_NS);
}

static void
what_is_long_ago_does_not_count(void **state)
{
	struct gain g = { 0 };

	(void)state;
	/* A fast time, and then one that is three times as slow. */
	for (int64_t t = 0; t < 2000 * MS; t += 300 * US)
		assert_int_equal(gain_job(&g, false, 100, 300 * US), 0);
	for (int64_t t = 0; t < 2000 * MS; t += 900 * US)
		assert_int_equal(gain_job(&g, false, 100, 900 * US), 0);
	for (int64_t t = 0; t < GAIN_WINDOW_NS; t += 600 * US)
		assert_int_equal(gain_job(&g, true, 100, 600 * US), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_help_go_on),
		cmocka_unit_test(threads_that_cost_more_rest_longer_and_longer),
		cmocka_unit_test(a_small_gain_is_not_worth_it),
		cmocka_unit_test(one_kind_alone_tells_nothing),
		cmocka_unit_test(what_is_long_ago_does_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
