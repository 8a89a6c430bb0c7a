/* A thread that shares its processor (inferd/crowd.h). */
#include "inferd/crowd.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

/* Put aside `n` times, `gap` after each other; when it became polite, or 0. */
static unsigned
hits_until_polite(struct crowd *c, int64_t *now, int64_t gap, unsigned n)
{
	for (unsigned i = 1; i <= n; i++) {
		*now += gap;
		if (crowd_judge(c, *now, true, false))
			return i;
	}
	return 0;
}

static void
one_that_is_put_aside_often_becomes_polite(void **state)
{
	struct crowd c = { 0 };
	int64_t now = 5000 * MS;

	assert_int_equal(
	    hits_until_polite(&c, &now, 6 * MS, CROWD_HITS), CROWD_HITS);
	assert_true(c.polite);
	/* and steps aside after each turn, and whenever it is put aside */
	assert_true(crowd_judge(&c, now + MS, false, true));
	assert_true(crowd_judge(&c, now + MS, true, false));
	assert_false(crowd_judge(&c, now + MS, false, false));
}

static void
one_that_is_put_aside_now_and_then_does_not(void **state)
{
	struct crowd c = { 0 };
	int64_t now = 5000 * MS;

	assert_int_equal(hits_until_polite(&c, &now, CROWD_NEAR_NS, 50), 0);
	assert_false(c.polite);
	assert_false(crowd_turn_is_over(&c));
}

static void
a_long_turn_in_which_nobody_comes_ends_it(void **state)
{
	struct crowd c = { 0 };
	int64_t now = 5000 * MS;

	hits_until_polite(&c, &now, 6 * MS, CROWD_HITS);
	c.on_trial = true;
	assert_true(crowd_judge(&c, now, true, false));
	assert_true(c.polite);
	assert_false(crowd_judge(&c, now, false, true));
	assert_false(c.polite);
	/* It was too early: once is enough now; not so later. */
	assert_int_equal(hits_until_polite(&c, &now, CROWD_NEAR_NS, 1), 1);
	c.on_trial = true;
	assert_false(crowd_judge(&c, now, false, true));
	now += CROWD_RECENT_NS;
	assert_int_equal(
	    hits_until_polite(&c, &now, 6 * MS, CROWD_HITS), CROWD_HITS);
}

static void
one_beside_the_giver_of_jobs_is_as_if_put_aside(void **state)
{
	struct crowd c = { 0 };
	int64_t now = 5000 * MS;

	/* Where it is woken it may be for a moment. */
	for (int i = 0; i < 100; i++, now += CROWD_BESIDE_NS) {
		assert_false(crowd_is_beside(&c, now, true));
		assert_false(crowd_is_beside(&c, now + MS, true));
		assert_false(crowd_is_beside(&c, now + 2 * MS, false));
	}
	assert_false(crowd_is_beside(&c, now, true));
	for (unsigned i = 1; i <= CROWD_HITS; i++) {
		now += CROWD_BESIDE_NS;
		assert_true(crowd_is_beside(&c, now, true));
		assert_false(crowd_is_beside(&c, now + 1, true));
		assert_int_equal(
		    crowd_judge(&c, now, true, false), i == CROWD_HITS);
	}
	assert_true(c.polite);
}

static void
a_turn_ends_before_the_clock_ticks(void **state)
{
	struct crowd c = { .polite = true, .every = CROWD_LONG_MOST };
	const int64_t now = 5000 * MS;

	for (int64_t tick = now; tick <= now + 4 * MS; tick += MS / 20) {
		const int64_t wait = crowd_begin(&c, now, tick, false);

		assert_in_range(wait, 0, CROWD_LEAST_NS + 2 * CROWD_TICK_NS);
		assert_true(c.until - now - wait >= CROWD_LEAST_NS);
		assert_true(c.until - now - wait <= CROWD_TURN_NS);
		if (wait == 0)
			assert_true(c.until <= tick - CROWD_TICK_NS);
		else
			assert_true(now + wait > tick);
	}
	/* The clock may say less than nothing is left; that is no long sleep.
	 */
	assert_int_equal(crowd_begin(&c, now, now - 100 * MS, false), 0);
	assert_true(c.until == now + CROWD_TURN_NS);
}

static void
one_turn_of_more_and_more_is_long(void **state)
{
	struct crowd c = { 0 };
	int64_t now = 5000 * MS;
	unsigned every = CROWD_LONG_FIRST;

	hits_until_polite(&c, &now, 6 * MS, CROWD_HITS);
	for (int trials = 0; trials < 8; trials++) {
		for (unsigned i = 1; i <= every; i++) {
			crowd_begin(&c, now, now + 4 * MS, false);
			assert_int_equal(c.on_trial, i == every);
		}
		assert_true(c.until == now + CROWD_LONG_NS);
		if (every < CROWD_LONG_MOST)
			every *= 2;
	}
	assert_int_equal(every, CROWD_LONG_MOST);
	/* And the first one after a rest. */
	crowd_begin(&c, now, now + 4 * MS, true);
	assert_true(c.on_trial);
	crowd_begin(&c, now, now + 4 * MS, false);
	assert_false(c.on_trial);
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 * MS + t.tv_nsec;
}

static void
who_steps_aside_sleeps_and_may_run_anywhere_afterwards(void **state)
{
	struct crowd c = { .polite = true, .every = CROWD_LONG_MOST };
	const int64_t begin = now_ns();
	cpu_set_t before, after;

	sched_getaffinity(0, sizeof(before), &before);
	/* whichever processor it is on, it leaves one of them */
	for (int cpu = 0; cpu < 2; cpu++)
		crowd_step_aside(&c, cpu, false);
	assert_true(now_ns() - begin >= 2 * CROWD_ASIDE_NS);
	assert_true(c.until > begin);
	sched_getaffinity(0, sizeof(after), &after);
	assert_true(CPU_EQUAL(&before, &after));
}

static void
without_long_waits_nobody_is_asked(void **state)
{
	struct crowd c = { 0 };

	for (int i = 0; i < 100; i++) {
		assert_false(crowd_steps_aside(&c, 0, false, -1));
		sched_yield();
	}
	assert_int_equal(c.switches, 0); /* the kernel was not even asked */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_put_aside_often_becomes_polite),
		cmocka_unit_test(one_that_is_put_aside_now_and_then_does_not),
		cmocka_unit_test(a_long_turn_in_which_nobody_comes_ends_it),
		cmocka_unit_test(
		    one_beside_the_giver_of_jobs_is_as_if_put_aside),
		cmocka_unit_test(a_turn_ends_before_the_clock_ticks),
		cmocka_unit_test(one_turn_of_more_and_more_is_long),
		cmocka_unit_test(
		    who_steps_aside_sleeps_and_may_run_anywhere_afterwards),
		cmocka_unit_test(without_long_waits_nobody_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
