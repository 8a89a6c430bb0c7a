/*
 * What the engine's thread does, one step after another: who is beside a
 * completion, what is remembered and who has to give memory back changes
 * nothing of what it says.
 */
#include "inferd/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inferd/kv.h"
#include "inferd/sched.h"
#include "tests/inferd/worker_bench.h"

#define MANY 8u

static struct world world;

/* Prompts of the tests: each its own, of different lengths. */
static uint32_t
length_of(uint32_t text)
{
	return 20 + text * 45;
}

#define SAY 30u

static void
ask_alone(
    struct asked *a, uint32_t text, uint32_t n, uint32_t more, unsigned threads)
{
	struct bench b;

	bench_new(&b, &world, threads, 2048);
	bench_ask(&b, a, text, n, more);
	worker_take(b.worker, &a->gen);
	bench_run(&b);
	assert_int_equal(a->usage.sampled, more);
	bench_free(&b);
}

/* Each of many alone. */
static void
alone(struct asked *a, uint32_t n, unsigned threads)
{
	for (uint32_t i = 0; i < n; i++)
		ask_alone(&a[i], i, length_of(i), SAY, threads);
}

static void
company_and_threads_change_no_word(void **state)
{
	struct asked want[MANY], got[MANY];

	alone(want, MANY, 1);
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct bench b;

		bench_new(&b, &world, threads, 8192);
		for (uint32_t i = 0; i < MANY; i++) {
			bench_ask(&b, &got[i], i, length_of(i), SAY);
			worker_take(b.worker, &got[i].gen);
			if (i % 3 == 2)
				bench_step(&b);
		}
		bench_run(&b);
		assert_asked_same(want, got, MANY);
		bench_free(&b);
		asked_forget(got, MANY);
	}
	assert_int_not_equal(memcmp(want[0].bytes, want[1].bytes,
				 want[0].n < want[1].n ? want[0].n : want[1].n),
	    0);
	asked_forget(want, MANY);
}

static void
what_is_remembered_changes_no_word(void **state)
{
	struct asked want[MANY], got[MANY];
	struct bench b;

	alone(want, MANY, 1);
	bench_new(&b, &world, 1, 16384);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			const uint32_t n = length_of(i);

			bench_ask(&b, &got[i], i, n, SAY);
			worker_take(b.worker, &got[i].gen);
			bench_run(&b);
			/* All but the last are known the second time. */
			assert_int_equal(
			    got[i].usage.cached, round == 0 ? 0 : n - 1);
			assert_int_equal(got[i].tokens,
			    n - got[i].usage.cached + got[i].usage.sampled);
		}
		assert_asked_same(want, got, MANY);
		asked_forget(got, MANY);
	}
	bench_free(&b);
	asked_forget(want, MANY);
}

static void
who_has_to_give_memory_back_says_the_same_later(void **state)
{
	struct asked want[MANY], got[MANY];
	struct bench b;
	struct engine_stats st;

	alone(want, MANY, 1);
	/* What the longest takes, and little more. */
	bench_new(&b, &world, 2, length_of(MANY - 1) + SAY + 2 * KV_PAGE);
	for (uint32_t i = 0; i < MANY; i++) {
		bench_ask(&b, &got[i], i, length_of(i), SAY);
		worker_take(b.worker, &got[i].gen);
	}
	bench_run(&b);
	assert_asked_same(want, got, MANY);
	/* Nobody pays for being computed again. */
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(
		    got[i].tokens, length_of(i) + got[i].usage.sampled);
	post_stats(b.post, &st);
	assert_true(st.kv_used <= st.kv_budget);
	assert_true(st.put_back > 0);
	bench_free(&b);
	asked_forget(got, MANY);
	asked_forget(want, MANY);
}

static void
guesses_change_no_word(void **state)
{
	struct asked want[MANY], got[MANY];
	uint32_t drafted = 0, accepted = 0, steps[2] = { 0 };
	struct engine_stats st;
	struct bench b;

	/* Alone; in company; where memory has to be given back. */
	for (int round = 0; round < 4; round++) {
		bench_new_with(
		    &b, &world, 2, round == 3 ? 400 : 8192, round == 0);
		worker_assume_cost(b.worker, 0.05);
		for (uint32_t i = 0; i < MANY; i++) {
			struct asked *a = round == 0 ? &want[i] : &got[i];

			bench_ask_again(&b, a, i);
			worker_take(b.worker, &a->gen);
			while (round < 2 && bench_step(&b))
				steps[round] += i == 6;
		}
		bench_run(&b);
		post_stats(b.post, &st);
		bench_free(&b);
		if (round == 0) {
			assert_int_equal(st.drafted, 0);
			continue;
		}
		assert_asked_same(want, got, MANY);
		for (uint32_t i = 0; i < MANY; i++) {
			assert_int_equal(got[i].tokens, want[i].tokens);
			drafted += got[i].usage.drafted;
			accepted += got[i].usage.accepted;
		}
		asked_forget(got, MANY);
		assert_true(st.drafted >= st.accepted);
	}
	print_message("drafted %u accepted %u\n", drafted, accepted);
	assert_true(accepted > 0);
	assert_true(drafted > accepted);
	assert_true(steps[1] + 10 < steps[0]);
	asked_forget(want, MANY);
}

static void
who_has_nothing_in_memory_gets_some_of_who_has_most(void **state)
{
	const uint32_t n = 5 * KV_PAGE, more = KV_PAGE;
	struct asked want[5], got[5];
	struct bench b;
	struct engine_stats st;

	/* Four of one agent, which fill it; one of another needs half. */
	for (uint32_t i = 0; i < 4; i++)
		ask_alone(&want[i], 3 * i, n, more, 1);
	ask_alone(&want[4], 1, 2 * n, SAY, 1);
	bench_new(&b, &world, 1, 4 * (n + more));
	for (uint32_t i = 0; i < 4; i++) {
		bench_ask(&b, &got[i], 3 * i, n, more);
		worker_take(b.worker, &got[i].gen);
	}
	while (got[3].tokens <= n)
		assert_true(bench_step(&b));
	bench_ask(&b, &got[4], 1, 2 * n, SAY);
	worker_take(b.worker, &got[4].gen);
	while (got[4].finish == GEN_GOING)
		assert_true(bench_step(&b));
	assert_int_equal(got[3].finish, GEN_GOING);
	bench_run(&b);
	assert_asked_same(want, got, 5);
	post_stats(b.post, &st);
	assert_true(st.put_back > 0);
	bench_free(&b);
	asked_forget(want, 5);
	asked_forget(got, 5);
}

static void
an_agents_memory_is_kept_to_its_budget(void **state)
{
	struct asked got[4], other;
	struct bench b;
	struct engine_stats st;
	const uint32_t n = 3 * KV_PAGE - 10;

	bench_new(&b, &world, 1, 8192);
	for (uint32_t i = 0; i < 4; i++) {
		bench_ask(&b, &got[i], i * 3, n, 20);
		got[i].gen.kv_max = 4 * b.page;
		worker_take(b.worker, &got[i].gen);
	}
	while (got[3].finish == GEN_GOING) {
		assert_true(bench_step(&b));
		post_stats(b.post, &st);
		assert_true(st.kv_used <= 4 * b.page);
	}
	bench_run(&b);
	bench_ask(&b, &other, 1, 1000, 1);
	worker_take(b.worker, &other.gen);
	bench_run(&b);
	assert_int_equal(other.usage.sampled, 1);
	bench_free(&b);
	asked_forget(got, 4);
	asked_forget(&other, 1);
}

static void
what_an_agent_has_cached_makes_room_for_what_grows(void **state)
{
	struct asked a;
	struct bench b;
	struct engine_stats st;

	bench_new(&b, &world, 1, 8192);
	for (uint32_t i = 0; i < 2; i++) {
		bench_ask(&b, &a, i * 3, (i == 0 ? 4 : 1) * KV_PAGE,
		    i == 0 ? 1 : 4 * KV_PAGE);
		a.gen.kv_max = 6 * b.page;
		/* It says what was said before: there are guesses. */
		a.gen.params.sample.temperature = 0;
		worker_take(b.worker, &a.gen);
		while (bench_step(&b)) {
			post_stats(b.post, &st);
			assert_true(st.kv_used <= 6 * b.page);
		}
		assert_int_not_equal(a.finish, GEN_GOING);
		asked_forget(&a, 1);
	}
	assert_true(st.kv_used >= 5 * b.page);
	bench_free(&b);
}

static void
who_hangs_up_has_no_further_layer_computed(void **state)
{
	struct asked want[2], got[2], gone;
	struct bench b;
	uint64_t tokens;

	alone(want, 2, 1);
	bench_new(&b, &world, 1, 8192);
	for (uint32_t i = 0; i < 2; i++) {
		bench_ask(&b, &got[i], i, length_of(i), SAY);
		worker_take(b.worker, &got[i].gen);
	}
	for (int i = 0; i < 4; i++)
		bench_step(&b);
	/* A long prompt beside two that decode is given up in its second
	 * slice, behind the second of three layers; they go on. */
	bench_ask(&b, &gone, 5, 1500, SAY);
	worker_take(b.worker, &gone.gen);
	bench_step(&b);
	bench_layers = (struct bench_layers){ .stop_at = 2, .stop = &gone };
	tokens = got[0].tokens;
	assert_true(bench_step(&b));
	assert_int_equal(bench_layers.rows, 2 * (SCHED_QUANTUM + 2) + 2);
	assert_int_equal(got[0].tokens, tokens + 1);
	assert_true(gone.cpu_us > 0);
	assert_int_equal(gone.finish, GEN_GOING);
	bench_step(&b);
	assert_int_equal(gone.finish, GEN_CANCELLED);
	/* Of its slices one was computed, and paid for. */
	assert_int_equal(gone.tokens, SCHED_QUANTUM);
	bench_run(&b);
	assert_asked_same(want, got, 2);
	/* What had been computed is known. */
	asked_forget(&gone, 1);
	bench_ask(&b, &gone, 5, 1500, 1);
	worker_take(b.worker, &gone.gen);
	bench_run(&b);
	assert_int_equal(gone.usage.cached, SCHED_QUANTUM);
	bench_free(&b);
	asked_forget(want, 2);
	asked_forget(got, 2);
	asked_forget(&gone, 1);
}

static void
what_waits_or_runs_ends_at_its_deadline(void **state)
{
	struct asked a, w[3 * MANY];
	struct bench b;

	bench_new(&b, &world, 1, 16384);
	bench_ask(&b, &a, 0, 40, 1000);
	a.gen.deadline_us = b.now + SECOND;
	worker_take(b.worker, &a.gen);
	for (uint32_t i = 0; i < 3 * MANY; i++) {
		bench_ask(&b, &w[i], i, 40, 500);
		w[i].gen.space = 2;
		w[i].gen.deadline_us = b.now + 2 * SECOND;
		worker_take(b.worker, &w[i].gen);
	}
	for (int i = 0; i < 100 && a.finish == GEN_GOING; i++)
		bench_step(&b);
	b.now = 2 * SECOND;
	bench_step(&b);
	assert_int_equal(a.finish, GEN_DEADLINE);
	assert_true(a.usage.sampled > 0);
	b.now = 3 * SECOND;
	bench_step(&b);
	for (uint32_t i = 0; i < 3 * MANY; i++)
		assert_int_equal(w[i].finish, GEN_DEADLINE);
	assert_int_equal(w[3 * MANY - 1].usage.sampled, 0);
	assert_true(w[3 * MANY - 1].progress > 0);
	bench_run(&b);
	bench_free(&b);
	asked_forget(&a, 1);
	asked_forget(w, 3 * MANY);
}

static void
a_prompt_that_the_budget_does_not_cover_is_not_computed(void **state)
{
	struct asked a;
	struct bench b;

	bench_new(&b, &world, 1, 8192);
	bench_ask(&b, &a, 0, 1000, 10);
	a.gen.tokens_left = 999;
	worker_take(b.worker, &a.gen);
	bench_run(&b);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(bench_layers.rows, 0);
	asked_forget(&a, 1);
	bench_ask(&b, &a, 0, 1000, 10);
	a.gen.tokens_left = 1005;
	worker_take(b.worker, &a.gen);
	bench_run(&b);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(a.usage.sampled, 5);
	asked_forget(&a, 1);
	/* What is known need not be paid for. */
	bench_ask(&b, &a, 0, 1000, 10);
	a.gen.tokens_left = 7;
	worker_take(b.worker, &a.gen);
	bench_run(&b);
	assert_int_equal(a.usage.sampled, 6);
	asked_forget(&a, 1);
	/* Nor is processor time beyond what is left. */
	bench_ask(&b, &a, 1, 1000, 1000);
	a.gen.cpu_left_us = 1;
	worker_take(b.worker, &a.gen);
	bench_run(&b);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(a.tokens, SCHED_QUANTUM);
	bench_free(&b);
	asked_forget(&a, 1);
}

static void
a_worker_that_is_freed_ends_everything(void **state)
{
	struct asked a[20];
	struct bench b;

	bench_new(&b, &world, 2, 4096);
	for (uint32_t i = 0; i < 20; i++) {
		bench_ask(&b, &a[i], i, 60 + 30 * i, 50);
		worker_take(b.worker, &a[i].gen);
	}
	for (int i = 0; i < 6; i++)
		bench_step(&b);
	worker_free(b.worker);
	bench_mail(&b);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(a[i].finish, GEN_CANCELLED);
	post_free(b.post);
	net_free(b.net);
	asked_forget(a, 20);
}

static int
setup(void **state)
{
	world_new(&world);
	return 0;
}

static int
teardown(void **state)
{
	world_free(&world);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(company_and_threads_change_no_word),
		cmocka_unit_test(what_is_remembered_changes_no_word),
		cmocka_unit_test(
		    who_has_to_give_memory_back_says_the_same_later),
		cmocka_unit_test(
		    who_has_nothing_in_memory_gets_some_of_who_has_most),
		cmocka_unit_test(guesses_change_no_word),
		cmocka_unit_test(an_agents_memory_is_kept_to_its_budget),
		cmocka_unit_test(
		    what_an_agent_has_cached_makes_room_for_what_grows),
		cmocka_unit_test(who_hangs_up_has_no_further_layer_computed),
		cmocka_unit_test(what_waits_or_runs_ends_at_its_deadline),
		cmocka_unit_test(
		    a_prompt_that_the_budget_does_not_cover_is_not_computed),
		cmocka_unit_test(a_worker_that_is_freed_ends_everything),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
