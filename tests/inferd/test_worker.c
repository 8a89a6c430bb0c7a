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

#include "base/str.h"
#include "inferd/block.h"
#include "inferd/kv.h"
#include "inferd/sched.h"
#include "tests/inferd/engine_world.h"

#define MANY 8u
#define SECOND 1000000u

static struct world world;

/* One completion and what was said of it. */
struct asked {
	struct gen gen;
	char *bytes;
	size_t n;
	enum gen_finish finish; /* GEN_GOING: not yet */
	struct gen_usage usage;
	uint64_t tokens, cpu_us; /* charged */
	uint32_t progress;
};

struct bench {
	struct net *net;
	struct arch_def def;
	struct post *post;
	struct worker *worker;
	uint64_t now;
	size_t page;
};

static bool no_drafts;           /* of the next bench */
static size_t computed;          /* rows, in each layer */
static uint32_t layers, stop_at; /* when so many were computed, stop: */
static struct asked *stopped;

static void
counted_layer(struct run *r, uint32_t layer)
{
	block_decoder(r, layer);
	computed += r->n;
	if (++layers == stop_at)
		atomic_store(&stopped->gen.stop, GEN_CANCELLED);
}

static void
bench_new(struct bench *b, unsigned threads, uint32_t positions)
{
	struct engine_opts o = { .threads = threads,
		.kv_type = TT_F16,
		.context = 2048,
		.batch_max = MANY,
		.no_drafts = no_drafts };
	struct error err = { 0 };
	struct kv_pool *kv;

	*b = (struct bench){ .now = SECOND };
	b->net = net_new(model_table(world.model), &err);
	assert_non_null(b->net);
	b->def = *b->net->def;
	b->def.layer = counted_layer;
	b->net->def = &b->def;
	kv = kv_pool_new(&b->net->hp, o.kv_type, 0);
	b->page = kv_page_bytes(kv);
	kv_pool_free(kv);
	o.kv_budget = (positions + KV_PAGE - 1) / KV_PAGE * b->page;
	b->post = post_new();
	b->worker = worker_new(b->net, world.tok, &o, b->post);
	layers = stop_at = 0;
	computed = 0;
}

static void
bench_free(struct bench *b)
{
	worker_free(b->worker);
	post_free(b->post);
	net_free(b->net);
}

static void
read_mail(struct bench *b)
{
	struct mail *m = post_mail(b->post), *next;

	for (; m != NULL; m = next) {
		struct asked *a = (struct asked *)m->gen;

		next = m->next;
		if (m->charge) {
			a->tokens += m->tokens;
			a->cpu_us += m->cpu_us;
		} else if (m->e.type == GEN_PROGRESS)
			a->progress++;
		else if (m->e.type == GEN_END) {
			assert_int_equal(a->finish, GEN_GOING);
			a->finish = m->e.finish;
			a->usage = m->e.usage;
			a->n = m->e.n;
			a->bytes = xmemdup(m->e.n > 0 ? m->e.p : "", a->n);
		}
		free(m);
	}
}

static void
ask(struct bench *b, struct asked *a, uint32_t text, uint32_t n, uint32_t more)
{
	*a = (struct asked){ .gen = { .params = world_params(more, text),
				 .prompt = world_prompt(&world, text, n),
				 .n = n,
				 .space = 1 + text % 3,
				 .agent_name = "agent",
				 .tokens_left = UINT64_MAX,
				 .cpu_left_us = UINT64_MAX,
				 .came_us = b->now } };
	a->gen.agent_name = text % 3 == 0 ? "a" : text % 3 == 1 ? "b" : "c";
	atomic_init(&a->gen.stop, GEN_GOING);
}

static bool
step(struct bench *b)
{
	const bool busy = worker_step(b->worker, b->now);

	b->now += SECOND / 100;
	read_mail(b);
	return busy;
}

static void
run(struct bench *b)
{
	while (step(b))
		;
	assert_false(worker_waits(b->worker));
}

static void
forget(struct asked *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(a[i].bytes);
}

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

	bench_new(&b, threads, 2048);
	ask(&b, a, text, n, more);
	worker_take(b.worker, &a->gen);
	run(&b);
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
assert_same(const struct asked *a, const struct asked *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(a[i].finish, b[i].finish);
		assert_int_equal(a[i].usage.sampled, b[i].usage.sampled);
		assert_int_equal(a[i].n, b[i].n);
		assert_memory_equal(a[i].bytes, b[i].bytes, a[i].n);
	}
}

static void
company_and_threads_change_no_word(void **state)
{
	struct asked want[MANY], got[MANY];

	alone(want, MANY, 1);
	for (unsigned threads = 1; threads <= 2; threads++) {
		struct bench b;

		bench_new(&b, threads, 8192);
		for (uint32_t i = 0; i < MANY; i++) {
			ask(&b, &got[i], i, length_of(i), SAY);
			worker_take(b.worker, &got[i].gen);
			if (i % 3 == 2)
				step(&b);
		}
		run(&b);
		assert_same(want, got, MANY);
		bench_free(&b);
		forget(got, MANY);
	}
	assert_int_not_equal(memcmp(want[0].bytes, want[1].bytes,
				 want[0].n < want[1].n ? want[0].n : want[1].n),
	    0);
	forget(want, MANY);
}

static void
what_is_remembered_changes_no_word(void **state)
{
	struct asked want[MANY], got[MANY];
	struct bench b;

	alone(want, MANY, 1);
	bench_new(&b, 1, 16384);
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			const uint32_t n = length_of(i);

			ask(&b, &got[i], i, n, SAY);
			worker_take(b.worker, &got[i].gen);
			run(&b);
			/* All but the last are known the second time. */
			assert_int_equal(
			    got[i].usage.cached, round == 0 ? 0 : n - 1);
			assert_int_equal(got[i].tokens,
			    n - got[i].usage.cached + got[i].usage.sampled);
		}
		assert_same(want, got, MANY);
		forget(got, MANY);
	}
	bench_free(&b);
	forget(want, MANY);
}

static void
who_has_to_give_memory_back_says_the_same_later(void **state)
{
	struct asked want[MANY], got[MANY];
	struct bench b;
	struct engine_stats st;

	alone(want, MANY, 1);
	/* What the longest takes, and little more. */
	bench_new(&b, 2, length_of(MANY - 1) + SAY + 2 * KV_PAGE);
	for (uint32_t i = 0; i < MANY; i++) {
		ask(&b, &got[i], i, length_of(i), SAY);
		worker_take(b.worker, &got[i].gen);
	}
	run(&b);
	assert_same(want, got, MANY);
	/* Nobody pays for being computed again. */
	for (uint32_t i = 0; i < MANY; i++)
		assert_int_equal(
		    got[i].tokens, length_of(i) + got[i].usage.sampled);
	post_stats(b.post, &st);
	assert_true(st.kv_used <= st.kv_budget);
	assert_true(st.put_back > 0);
	bench_free(&b);
	forget(got, MANY);
	forget(want, MANY);
}

static const struct chat_tool tool = { { "look_it_up_again", 16 }, { "", 0 },
	{ "{\"type\":\"object\"}", 17 } };

/* Repeats itself, and makes a model repeat itself that takes the likeliest;
 * every third one draws, from few, so that guesses turn out wrong. */
static void
ask_again_and_again(struct bench *b, struct asked *a, uint32_t text)
{
	const uint32_t n = 60 + 20 * text;

	ask(b, a, text, n, 4 * SAY);
	for (uint32_t i = 12; i < n; i++)
		a->gen.prompt[i] = a->gen.prompt[i % 12];
	a->gen.params.sample.temperature = text % 3 == 2 ? 0.7f : 0;
	a->gen.params.sample.top_k = 2;
	a->gen.tokens_left = text == 4 ? n + SAY : UINT64_MAX;
	/* Much of a call comes whatever the logits say. */
	if (text == 6) {
		a->gen.params.family = CHAT_CHATML;
		a->gen.params.chat = true;
		a->gen.params.tools = &tool;
		a->gen.params.ntools = 1;
		a->gen.params.tool_choice = TOOLS_REQUIRED;
	}
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
		no_drafts = round == 0;
		bench_new(&b, 2, round == 3 ? 400 : 8192);
		worker_assume_cost(b.worker, 0.05);
		for (uint32_t i = 0; i < MANY; i++) {
			struct asked *a = round == 0 ? &want[i] : &got[i];

			ask_again_and_again(&b, a, i);
			worker_take(b.worker, &a->gen);
			while (round < 2 && step(&b))
				steps[round] += i == 6;
		}
		run(&b);
		post_stats(b.post, &st);
		bench_free(&b);
		no_drafts = false;
		if (round == 0) {
			assert_int_equal(st.drafted, 0);
			continue;
		}
		assert_same(want, got, MANY);
		for (uint32_t i = 0; i < MANY; i++) {
			assert_int_equal(got[i].tokens, want[i].tokens);
			drafted += got[i].usage.drafted;
			accepted += got[i].usage.accepted;
		}
		forget(got, MANY);
		assert_true(st.drafted >= st.accepted);
	}
	print_message("drafted %u accepted %u\n", drafted, accepted);
	assert_true(accepted > 0);
	assert_true(drafted > accepted);
	assert_true(steps[1] + 10 < steps[0]);
	forget(want, MANY);
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
	bench_new(&b, 1, 4 * (n + more));
	for (uint32_t i = 0; i < 4; i++) {
		ask(&b, &got[i], 3 * i, n, more);
		worker_take(b.worker, &got[i].gen);
	}
	while (got[3].tokens <= n)
		assert_true(step(&b));
	ask(&b, &got[4], 1, 2 * n, SAY);
	worker_take(b.worker, &got[4].gen);
	while (got[4].finish == GEN_GOING)
		assert_true(step(&b));
	assert_int_equal(got[3].finish, GEN_GOING);
	run(&b);
	assert_same(want, got, 5);
	post_stats(b.post, &st);
	assert_true(st.put_back > 0);
	bench_free(&b);
	forget(want, 5);
	forget(got, 5);
}

static void
an_agents_memory_is_kept_to_its_budget(void **state)
{
	struct asked got[4], other;
	struct bench b;
	struct engine_stats st;
	const uint32_t n = 3 * KV_PAGE - 10;

	bench_new(&b, 1, 8192);
	for (uint32_t i = 0; i < 4; i++) {
		ask(&b, &got[i], i * 3, n, 20);
		got[i].gen.kv_max = 4 * b.page;
		worker_take(b.worker, &got[i].gen);
	}
	while (got[3].finish == GEN_GOING) {
		assert_true(step(&b));
		post_stats(b.post, &st);
		assert_true(st.kv_used <= 4 * b.page);
	}
	run(&b);
	ask(&b, &other, 1, 1000, 1);
	worker_take(b.worker, &other.gen);
	run(&b);
	assert_int_equal(other.usage.sampled, 1);
	bench_free(&b);
	forget(got, 4);
	forget(&other, 1);
}

static void
who_hangs_up_has_no_further_layer_computed(void **state)
{
	struct asked want[2], got[2], gone;
	struct bench b;
	uint64_t tokens;

	alone(want, 2, 1);
	bench_new(&b, 1, 8192);
	for (uint32_t i = 0; i < 2; i++) {
		ask(&b, &got[i], i, length_of(i), SAY);
		worker_take(b.worker, &got[i].gen);
	}
	for (int i = 0; i < 4; i++)
		step(&b);
	/* A long prompt beside two that decode is given up in its second
	 * slice, behind the second of three layers; they go on. */
	ask(&b, &gone, 5, 1500, SAY);
	worker_take(b.worker, &gone.gen);
	step(&b);
	stopped = &gone;
	computed = layers = 0;
	stop_at = 2;
	tokens = got[0].tokens;
	assert_true(step(&b));
	assert_int_equal(computed, 2 * (SCHED_QUANTUM + 2) + 2);
	assert_int_equal(got[0].tokens, tokens + 1);
	assert_true(gone.cpu_us > 0);
	assert_int_equal(gone.finish, GEN_GOING);
	step(&b);
	assert_int_equal(gone.finish, GEN_CANCELLED);
	/* Of its slices one was computed, and paid for. */
	assert_int_equal(gone.tokens, SCHED_QUANTUM);
	run(&b);
	assert_same(want, got, 2);
	/* What had been computed is known. */
	forget(&gone, 1);
	ask(&b, &gone, 5, 1500, 1);
	worker_take(b.worker, &gone.gen);
	run(&b);
	assert_int_equal(gone.usage.cached, SCHED_QUANTUM);
	bench_free(&b);
	forget(want, 2);
	forget(got, 2);
	forget(&gone, 1);
}

static void
what_waits_or_runs_ends_at_its_deadline(void **state)
{
	struct asked a, w[3 * MANY];
	struct bench b;

	bench_new(&b, 1, 16384);
	ask(&b, &a, 0, 40, 1000);
	a.gen.deadline_us = b.now + SECOND;
	worker_take(b.worker, &a.gen);
	for (uint32_t i = 0; i < 3 * MANY; i++) {
		ask(&b, &w[i], i, 40, 500);
		w[i].gen.space = 2;
		w[i].gen.deadline_us = b.now + 2 * SECOND;
		worker_take(b.worker, &w[i].gen);
	}
	for (int i = 0; i < 100 && a.finish == GEN_GOING; i++)
		step(&b);
	b.now = 2 * SECOND;
	step(&b);
	assert_int_equal(a.finish, GEN_DEADLINE);
	assert_true(a.usage.sampled > 0);
	b.now = 3 * SECOND;
	step(&b);
	for (uint32_t i = 0; i < 3 * MANY; i++)
		assert_int_equal(w[i].finish, GEN_DEADLINE);
	assert_int_equal(w[3 * MANY - 1].usage.sampled, 0);
	assert_true(w[3 * MANY - 1].progress > 0);
	run(&b);
	bench_free(&b);
	forget(&a, 1);
	forget(w, 3 * MANY);
}

static void
a_prompt_that_the_budget_does_not_cover_is_not_computed(void **state)
{
	struct asked a;
	struct bench b;

	bench_new(&b, 1, 8192);
	ask(&b, &a, 0, 1000, 10);
	a.gen.tokens_left = 999;
	worker_take(b.worker, &a.gen);
	run(&b);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(computed, 0);
	forget(&a, 1);
	ask(&b, &a, 0, 1000, 10);
	a.gen.tokens_left = 1005;
	worker_take(b.worker, &a.gen);
	run(&b);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(a.usage.sampled, 5);
	forget(&a, 1);
	/* What is known need not be paid for. */
	ask(&b, &a, 0, 1000, 10);
	a.gen.tokens_left = 7;
	worker_take(b.worker, &a.gen);
	run(&b);
	assert_int_equal(a.usage.sampled, 6);
	forget(&a, 1);
	/* Nor is processor time beyond what is left. */
	ask(&b, &a, 1, 1000, 1000);
	a.gen.cpu_left_us = 1;
	worker_take(b.worker, &a.gen);
	run(&b);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(a.tokens, SCHED_QUANTUM);
	bench_free(&b);
	forget(&a, 1);
}

static void
a_worker_that_is_freed_ends_everything(void **state)
{
	struct asked a[20];
	struct bench b;

	bench_new(&b, 2, 4096);
	for (uint32_t i = 0; i < 20; i++) {
		ask(&b, &a[i], i, 60 + 30 * i, 50);
		worker_take(b.worker, &a[i].gen);
	}
	for (int i = 0; i < 6; i++)
		step(&b);
	worker_free(b.worker);
	read_mail(&b);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(a[i].finish, GEN_CANCELLED);
	post_free(b.post);
	net_free(b.net);
	forget(a, 20);
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
		cmocka_unit_test(who_hangs_up_has_no_further_layer_computed),
		cmocka_unit_test(what_waits_or_runs_ends_at_its_deadline),
		cmocka_unit_test(
		    a_prompt_that_the_budget_does_not_cover_is_not_computed),
		cmocka_unit_test(a_worker_that_is_freed_ends_everything),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
