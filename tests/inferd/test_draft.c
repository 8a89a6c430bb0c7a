/*
 * Guesses of tokens: what repeats is guessed, what does not is not, and what
 * does not pay stops.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "inferd/draft.h"

#define N 4096u

static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 33) % below;
}

/* A row more costs an eighth of a step; with `dear`, a whole one. */
static void
costs(double *cost, bool dear)
{
	uint32_t k;

	for (k = 0; k <= DRAFT_MAX; k++)
		cost[k] = dear ? 1 + k : 1 + k / 8.0;
}

struct sum {
	uint32_t steps, guessed, accepted, longest;
	double cost;
};

/* The text from `from` on as if a model wrote it. */
static struct sum
play(const uint32_t *ids, uint32_t from, uint32_t n, bool dear)
{
	struct draft *d = draft_new();
	double cost[DRAFT_MAX + 1];
	uint32_t out[DRAFT_MAX], k, got;
	struct sum sum = { 0 };

	costs(cost, dear);
	while (from < n) {
		draft_add(d, ids, from);
		got = draft_guess(d, ids, from, DRAFT_MAX, cost, 0, out);
		for (k = 0; k < got && from + k < n && out[k] == ids[from + k];)
			k++;
		if (got > 0)
			draft_result(d, got, k);
		sum.steps++;
		sum.guessed += got;
		sum.accepted += k;
		sum.longest = got > sum.longest ? got : sum.longest;
		sum.cost += cost[got];
		from += k + 1;
	}
	draft_free(d);
	return sum;
}

static void
repeated_text_gets_long_guesses(void **state)
{
	uint32_t ids[N], i;
	struct sum s;

	(void)state;
	seed = 1;
	for (i = 0; i < N / 2; i++)
		ids[i] = draw(30000);
	memcpy(&ids[N / 2], ids, sizeof(ids) / 2);
	s = play(ids, N / 2, N, false);
	assert_int_equal(s.longest, DRAFT_MAX);
	assert_true(s.accepted > N / 2 * 8 / 10);
	assert_true(s.cost < N / 2 * 0.4);
}

static void
random_text_gets_none(void **state)
{
	uint32_t ids[N], i;
	struct sum s;

	(void)state;
	seed = 2;
	for (i = 0; i < N; i++)
		ids[i] = draw(30000);
	s = play(ids, N / 2, N, false);
	assert_int_equal(s.guessed, 0);
	assert_int_equal(s.steps, N / 2);
}

/* The same three tokens again and again, and another one behind them. */
static void
wrong_guesses_stop(void **state)
{
	uint32_t ids[N], i;
	struct sum s;

	(void)state;
	for (i = 0; i < N; i++)
		ids[i] = i % 4 < 3 ? i % 4 : 100 + i;
	s = play(ids, 64, N, false);
	assert_true(s.guessed < 64);
	assert_true(s.cost < (N - 64) * 1.01);
}

static void
dear_rows_are_not_asked_for(void **state)
{
	uint32_t ids[N], i;
	struct sum s;

	(void)state;
	seed = 3;
	for (i = 0; i < N; i++)
		ids[i] = draw(4) == 0 ? draw(5000) : i % 7;
	s = play(ids, 64, N, true);
	assert_true(s.cost <= N - 64);
	s = play(ids, 64, N, false);
	assert_true(s.accepted > 0);
	assert_true(s.cost < N - 64);
}

static void
a_run_goes_on_with_itself(void **state)
{
	const uint32_t ids[] = { 1, 2, 7, 8, 7, 8, 7, 8, 7, 8, 7, 8, 7, 8, 7, 8,
		7, 8 };
	const uint32_t n = sizeof(ids) / sizeof(ids[0]);
	struct draft *d = draft_new();
	double cost[DRAFT_MAX + 1];
	uint32_t out[DRAFT_MAX], got, k;

	(void)state;
	costs(cost, false);
	draft_add(d, ids, n);
	got = draft_guess(d, ids, n, DRAFT_MAX, cost, 0, out);
	assert_true(got >= 3);
	for (k = 0; k < got; k++)
		assert_int_equal(out[k], k % 2 == 0 ? 7 : 8);
	assert_true(draft_guess(d, ids, n, 2, cost, 0, out) <= 2);
	assert_int_equal(draft_guess(d, ids, n, 0, cost, 0, out), 0);
	draft_free(d);
}

static void
nothing_is_guessed_from_nothing(void **state)
{
	const uint32_t ids[] = { 5, 5 };
	struct draft *d = draft_new();
	double cost[DRAFT_MAX + 1];
	uint32_t out[DRAFT_MAX], n;

	(void)state;
	costs(cost, false);
	for (n = 0; n <= 2; n++) {
		draft_add(d, ids, n);
		assert_int_equal(
		    draft_guess(d, ids, n, DRAFT_MAX, cost, 0, out), 0);
	}
	draft_free(d);
	draft_free(NULL);
}

static void
costs_are_measured_and_guessed(void **state)
{
	struct draft_costs c = { 0 };

	(void)state;
	assert_true(draft_costs_get(&c, 3) <= 0);
	draft_costs_add(&c, 2, 100);
	assert_true(draft_costs_get(&c, 2) > 99);
	assert_true(draft_costs_get(&c, 1) > 99);
	assert_true(draft_costs_get(&c, 3) > 101);
	draft_costs_add(&c, 6, 200);
	assert_true(draft_costs_get(&c, 4) > 149);
	assert_true(draft_costs_get(&c, 4) < 151);
	draft_costs_add(&c, 6, 100);
	assert_true(draft_costs_get(&c, 6) < 200);
	draft_costs_add(&c, 0, 1);
	draft_costs_add(&c, DRAFT_ROWS + 1, 1);
	assert_true(draft_costs_get(&c, 1000) >= draft_costs_get(&c, 6));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeated_text_gets_long_guesses),
		cmocka_unit_test(random_text_gets_none),
		cmocka_unit_test(wrong_guesses_stop),
		cmocka_unit_test(dear_rows_are_not_asked_for),
		cmocka_unit_test(a_run_goes_on_with_itself),
		cmocka_unit_test(nothing_is_guessed_from_nothing),
		cmocka_unit_test(costs_are_measured_and_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
