/*
 * The engine with its thread, as the main thread sees it.
 */
#include "inferd/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/mkmodel.h"
#include "tests/inferd/engine_world.h"

#define ROUND_MS 1000
#define ROUNDS 300 /* until something is taken to hang */
#define CONTEXT 4096u

static struct world world;
static struct ev *ev;

struct asked {
	struct gen *gen;
	enum gen_finish finish; /* GEN_GOING: not yet */
	struct gen_usage usage;
	uint32_t events, texts, progress;
	uint32_t position;  /* the highest one told */
	uint32_t cancel_at; /* texts; 0: never */
	struct engine *engine;
	size_t said, n; /* bytes in texts, and in all */
};

static struct engine *
engine_of(uint32_t batch_max, uint64_t kv_budget)
{
	const struct engine_opts o = { .threads = 2,
		.kv_type = TT_F16,
		.kv_budget = kv_budget,
		.context = CONTEXT,
		.batch_max = batch_max };
	struct error err = { 0 };
	struct engine *e = engine_new(ev, world.model, world.tok, &o, &err);

	assert_non_null(e);
	return e;
}

static void
on_event(const struct gen_event *e, void *arg)
{
	struct asked *a = arg;

	assert_int_equal(a->finish, GEN_GOING);
	a->events++;
	if (e->type == GEN_PROGRESS) {
		a->progress++;
		if (e->queue_position > a->position)
			a->position = e->queue_position;
	} else if (e->type == GEN_TEXT) {
		a->texts++;
		if (a->texts == a->cancel_at) {
			/* Twice is as good as once. */
			engine_cancel(a->engine, a->gen);
			engine_cancel(a->engine, a->gen);
		}
	} else if (e->type == GEN_END) {
		a->finish = e->finish;
		a->usage = e->usage;
		a->n = e->n;
		a->gen = NULL;
	}
}

static struct gen_request
request(
    struct agent *g, struct asked *a, uint32_t text, uint32_t n, uint32_t more)
{
	*a = (struct asked){ 0 };
	return (struct gen_request){ .agent = g,
		.prompt = world_prompt(&world, text, n),
		.n = n,
		.params = world_params(more, text),
		.fn = on_event,
		.arg = a };
}

static enum engine_refusal
submit(struct engine *e, const struct gen_request *r, uint32_t *retry_s,
    struct error *err)
{
	enum engine_refusal why = ENGINE_MEMORY;
	struct asked *a = r->arg;

	a->gen = engine_submit(e, r, &why, retry_s, err);
	assert_int_equal(a->gen == NULL, why != ENGINE_OK);
	return why;
}

static void
ask(struct engine *e, struct agent *g, struct asked *a, uint32_t text,
    uint32_t n, uint32_t more)
{
	const struct gen_request r = request(g, a, text, n, more);
	struct error err = { 0 };
	uint32_t retry_s;

	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_OK);
}

static void
await(const struct asked *a, size_t n)
{
	int rounds = 0;

	for (size_t i = 0; i < n; i++)
		while (a[i].finish == GEN_GOING) {
			assert_true(rounds++ < ROUNDS * 100);
			ev_once(ev, ROUND_MS);
		}
}

static struct agents *
agents_of(struct agent_budget b)
{
	return agents_new(&b);
}

static void
fifty_of_mixed_agents_all_end(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
	struct engine *e = engine_of(4, 64u << 20);
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct asked a[50];
	struct engine_stats st;
	uint32_t waited = 0;

	for (uint32_t i = 0; i < 50; i++)
		ask(e, agents_find(agents, names[i % 6]), &a[i], i,
		    10 + i * 37 % 300, 5 + i % 9);
	await(a, 50);
	for (uint32_t i = 0; i < 50; i++) {
		assert_true(a[i].progress > 0);
		waited += a[i].position > 0;
		assert_int_equal(a[i].usage.prompt, 10 + i * 37 % 300);
		assert_int_equal(a[i].finish, GEN_LENGTH);
		assert_int_equal(a[i].usage.sampled, 5 + i % 9);
	}
	/* Some had to wait and were told. */
	assert_true(waited > 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(agents_find(agents, names[i])->open, 0);
	engine_stats(e, &st);
	assert_true(st.prefill_rate > 0 && st.decode_rate > 0);
	assert_true(st.prompt_tokens >= 500 && st.sampled_tokens >= 50);
	engine_free(e);
	agents_free(agents);
}

static void
what_runs_when_it_is_freed_is_ended(void **state)
{
	struct engine *e = engine_of(2, 64u << 20);
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct asked a[12];

	for (uint32_t i = 0; i < 12; i++)
		ask(e, agents_find(agents, i % 2 ? "a" : "b"), &a[i], i, 2000,
		    1000);
	while (a[0].progress < 2 && a[0].texts == 0)
		ev_once(ev, ROUND_MS);
	engine_free(e);
	for (uint32_t i = 0; i < 12; i++)
		assert_int_not_equal(a[i].finish, GEN_GOING);
	assert_int_equal(a[11].finish, GEN_CANCELLED);
	assert_int_equal(agents_find(agents, "a")->open, 0);
	agents_free(agents);
}

static void
who_cancels_hears_of_the_end_and_nothing_else(void **state)
{
	struct engine *e = engine_of(4, 64u << 20);
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct agent *g = agents_find(agents, "a");
	struct asked a[3];

	for (uint32_t i = 0; i < 3; i++)
		ask(e, g, &a[i], i, 1000, i == 2 ? 20 : 3000);
	/* One that has not begun, and one in the middle of its answer. */
	engine_cancel(e, a[1].gen);
	a[0].engine = e;
	a[0].cancel_at = 3;
	await(a, 3);
	assert_int_equal(a[0].texts, 3);
	assert_int_equal(a[0].events, a[0].progress + 3 + 1);
	assert_int_equal(a[1].events, 1);
	assert_int_not_equal(a[2].finish, GEN_CANCELLED);
	assert_true(a[2].n > 0);
	engine_free(e);
	agents_free(agents);
}

static void
a_prompt_longer_than_the_context_is_refused_with_numbers(void **state)
{
	struct engine *e = engine_of(4, 64u << 20), *small;
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct agent *g = agents_find(agents, "a");
	struct error err = { 0 };
	struct asked a;
	struct gen_request r = request(g, &a, 0, CONTEXT, 1);
	uint32_t retry_s;

	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_CONTEXT);
	assert_non_null(strstr(err.msg, "4096"));
	r = request(g, &a, 0, 0, 1);
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_CONTEXT);
	r = request(g, &a, 0, 10, 1);
	r.prompt[3] = INT32_MAX;
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_CONTEXT);
	r = request(g, &a, 0, 10, 1);
	r.prompt[3] = -1;
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_CONTEXT);
	assert_int_equal(g->open, 0);
	/* An answer is as long as there is room. */
	ask(e, g, &a, 0, CONTEXT - 3, 100);
	await(&a, 1);
	assert_int_equal(a.usage.sampled, 3);
	engine_free(e);

	small = engine_of(4, 1u << 20);
	assert_in_range(engine_context(small, NULL), 64, CONTEXT - 1);
	r = request(g, &a, 0, CONTEXT - 1, 1);
	assert_int_equal(submit(small, &r, &retry_s, &err), ENGINE_MEMORY);
	engine_free(small);
	agents_free(agents);
}

static void
a_full_queue_says_when_to_come_again(void **state)
{
	struct engine *e = engine_of(1, 64u << 20);
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct asked *a = xcalloc(1000, sizeof(*a)), last;
	struct error err = { 0 };
	struct gen_request r;
	uint32_t retry_s = 0, n = 0;
	enum engine_refusal why = ENGINE_OK;

	while (why == ENGINE_OK) {
		r = request(agents_find(agents, "a"), &a[n], 0, 3000, 1000);
		why = submit(e, &r, &retry_s, &err);
		n += why == ENGINE_OK;
	}
	assert_int_equal(why, ENGINE_BUSY);
	assert_in_range(retry_s, 1, 60);
	assert_int_equal(n, ENGINE_QUEUE_AGENT_MAX + 1);
	/* There is room left for another. */
	ask(e, agents_find(agents, "b"), &last, 1, 10, 1);
	await(&last, 1);
	engine_free(e);
	for (uint32_t i = 0; i < n; i++)
		assert_int_not_equal(a[i].finish, GEN_GOING);
	assert_int_equal(a[n - 1].finish, GEN_CANCELLED);
	free(a);
	agents_free(agents);
}

static void
a_budget_that_is_used_up_ends_what_runs_and_refuses_the_rest(void **state)
{
	struct engine *e = engine_of(4, 64u << 20);
	struct agents *agents =
	    agents_of((struct agent_budget){ .tokens = 400, .window_s = 3600 });
	struct agent *g = agents_find(agents, "a");
	struct error err = { 0 };
	struct asked a, b;
	struct gen_request r;
	uint32_t retry_s = 0;

	ask(e, g, &a, 0, 300, 3000);
	ask(e, agents_find(agents, "b"), &b, 0, 100, 10);
	await(&a, 1);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_int_equal(a.usage.sampled, 100);
	r = request(g, &a, 0, 10, 1);
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_BUDGET);
	assert_in_range(retry_s, 1, 3600);
	await(&b, 1);
	assert_int_not_equal(b.finish, GEN_BUDGET);
	/* Requests at once. */
	g = agents_find(agents, "c");
	g->budget = (struct agent_budget){ .requests = 1 };
	ask(e, g, &a, 0, 100, 5);
	r = request(g, &b, 0, 10, 1);
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_BUDGET);
	await(&a, 1);
	ask(e, g, &b, 0, 10, 1);
	await(&b, 1);
	/* Processor time. */
	g = agents_find(agents, "d");
	g->budget = (struct agent_budget){ .cpu_ms = 1 };
	ask(e, g, &a, 0, 2000, 2000);
	await(&a, 1);
	assert_int_equal(a.finish, GEN_BUDGET);
	assert_true(g->cpu_us >= 1000);
	/* Bytes of keys and values: to wait is of no use. */
	g->budget = (struct agent_budget){ .kv_bytes = 1 };
	assert_int_equal(engine_context(e, g), 0);
	r = request(g, &b, 0, 10, 1);
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_CONTEXT);
	engine_free(e);
	agents_free(agents);
}

static void
what_cannot_end_in_time_is_refused_with_numbers(void **state)
{
	struct engine *e = engine_of(4, 64u << 20);
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct agent *g = agents_find(agents, "a");
	struct error err = { 0 };
	struct asked a;
	struct gen_request r;
	uint32_t retry_s = 9;

	/* The speeds are measured by the first. */
	ask(e, g, &a, 0, 2000, 5);
	await(&a, 1);
	r = request(g, &a, 1, 4000, 10);
	r.deadline_ms = 1;
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_DEADLINE);
	assert_non_null(strstr(err.msg, "4000"));
	assert_int_equal(retry_s, 0);
	/* Of the agent's own limit the answer is no part. */
	g->budget.wall_s = 3600;
	r = request(g, &a, 1, 10, 3000);
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_OK);
	engine_cancel(e, a.gen);
	await(&a, 1);
	/* Nor what is known of a prompt. */
	r = request(g, &a, 0, 2000, 5);
	r.deadline_ms = 3600000;
	assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_OK);
	await(&a, 1);
	assert_int_equal(a.usage.cached, 1999);
	engine_free(e);
	agents_free(agents);
}

static int
setup(void **state)
{
	world_new(&world);
	ev = ev_new();
	return 0;
}

static int
teardown(void **state)
{
	ev_free(ev);
	world_free(&world);
	return 0;
}

/* A model whose tokens are many and whose rest is next to nothing. */
static void
many_tokens(struct world *w)
{
	struct error err = { 0 };
	struct mkmodel k;
	char path[128];

	mkmodel_init(&k);
	k.hp.layers = 1;
	k.hp.embd = 32;
	k.hp.heads = k.hp.kv_heads = 1;
	k.hp.head_k = k.hp.head_v = k.hp.rope_dims = 32;
	k.hp.experts = k.hp.experts_used = 1;
	k.hp.expert_ff = 32;
	k.hp.vocab = 50000;
	for (size_t i = 0; i < MKMODEL_CLASSES; i++)
		k.type[i] = i == CLASS_OUTPUT ? TT_Q8_0 : TT_F32;
	snprintf(path, sizeof(path), "%s/m.gguf", w->dir);
	model_close(w->model);
	assert_int_equal(mkmodel_write(&k, path, &err), 0);
	w->model = model_open(path, NULL, &err);
	assert_non_null(w->model);
	tok_free(w->tok);
	w->tok = tok_new(&model_table(w->model)->vocab, &err);
	assert_non_null(w->tok);
}

static void
who_has_tokens_drawn_pays_for_that(void **state)
{
	struct agents *agents = agents_of((struct agent_budget){ 0 });
	struct agent *const who[2] = { agents_find(agents, "cold"),
		agents_find(agents, "warm") };
	uint64_t least[2] = { UINT64_MAX, UINT64_MAX };
	const struct engine_opts o = { .threads = 1,
		.kv_type = TT_F32,
		.kv_budget = 64u << 20,
		.context = CONTEXT,
		.no_drafts = true };
	struct error err = { 0 };
	struct gen_request r;
	struct asked a[6];
	struct world other;
	struct engine *e;
	uint32_t retry_s;

	world_new(&other);
	many_tokens(&other);
	e = engine_new(ev, other.model, other.tok, &o, &err);
	assert_non_null(e);
	/* The least of some, since the machine has other work, too. */
	for (size_t i = 0; i < 6; i++) {
		struct agent *g = who[i % 2];
		const uint64_t before = g->cpu_us;

		r = request(g, &a[i], 0, 5, 30);
		/* The likeliest is the easiest. */
		r.params.sample.temperature = i % 2 == 0 ? 0 : 1000;
		r.params.sample.top_p = i % 2 == 0 ? 1 : 0.9f;
		assert_int_equal(submit(e, &r, &retry_s, &err), ENGINE_OK);
		await(&a[i], 1);
		assert_int_equal(a[i].usage.sampled, 30);
		if (g->cpu_us - before < least[i % 2])
			least[i % 2] = g->cpu_us - before;
	}
	assert_true(least[0] > 0);
	assert_true(least[1] > least[0] + least[0] / 4);
	engine_free(e);
	world_free(&other);
	agents_free(agents);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fifty_of_mixed_agents_all_end),
		cmocka_unit_test(what_runs_when_it_is_freed_is_ended),
		cmocka_unit_test(who_cancels_hears_of_the_end_and_nothing_else),
		cmocka_unit_test(
		    a_prompt_longer_than_the_context_is_refused_with_numbers),
		cmocka_unit_test(a_full_queue_says_when_to_come_again),
		cmocka_unit_test(
		    a_budget_that_is_used_up_ends_what_runs_and_refuses_the_rest),
		cmocka_unit_test(
		    what_cannot_end_in_time_is_refused_with_numbers),
		cmocka_unit_test(who_has_tokens_drawn_pays_for_that),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
