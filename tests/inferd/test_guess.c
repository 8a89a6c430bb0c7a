/*
 * A second model that guesses what the first one says: no word depends on it,
 * nor on how often it is right, and it takes no more than it may.
 */
#include "inferd/guess.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/block.h"
#include "inferd/vocab_same.h"
#include "inferd/worker_int.h"
#include "tests/inferd/worker_bench.h"

#define ROW 0.05    /* of a step of the first model */
#define WEIGHT 0.05 /* of a step of the second one */
#define MANY BENCH_STREAMS
#define SAY 100u
#define NO_LIMIT (1ull << 40)

static struct world world;
static struct model *stranger;
/* Of the second model: rows in each layer; who hangs up behind which layer. */
static struct bench_layers second;
static struct arch_def second_def;

static void
second_layer(struct run *r, uint32_t layer)
{
	block_decoder(r, layer);
	second.rows += r->n;
	if (++second.n == second.stop_at)
		atomic_store(&second.stop->gen.stop, GEN_CANCELLED);
}

static struct net *
net_of(const struct model *m)
{
	struct error err = { 0 };
	struct net *n = net_new(model_table(m), &err);

	assert_non_null(n);
	second_def = *n->def;
	second_def.layer = second_layer;
	n->def = &second_def;
	second = (struct bench_layers){ 0 };
	return n;
}

/* n: the second model, or NULL. */
static void
new_bench(
    struct bench *b, const struct net *n, uint32_t positions, uint64_t budget)
{
	bench_new(b, &world, 2, positions);
	if (n != NULL)
		worker_use_guesser(b->worker, n, TT_F16, budget, WEIGHT);
	worker_assume_cost(b->worker, ROW);
}

static void
ask_greedy(
    struct bench *b, struct asked *a, uint32_t text, uint32_t n, uint32_t more)
{
	bench_ask(b, a, text, n, more);
	a->gen.params.sample.temperature = 0;
}

/* Says it by itself; how many steps that took. */
static uint32_t
say(struct bench *b, struct asked *a)
{
	uint32_t steps = 0;

	worker_take(b->worker, &a->gen);
	while (bench_step(b))
		steps++;
	assert_int_not_equal(a->finish, GEN_GOING);
	return steps;
}

static void
assert_nothing_kept(const struct bench *b)
{
	assert_int_equal(kv_pool_used(b->worker->guesser->kv), 0);
}

static void
a_model_that_thinks_alike_is_always_right(void **state)
{
	struct net *n = net_of(world.model);
	struct asked want, got;
	uint32_t without, with;
	struct bench b;

	new_bench(&b, NULL, 4096, 0);
	ask_greedy(&b, &want, 1, 300, SAY);
	without = say(&b, &want);
	assert_int_equal(want.usage.model_drafted, 0);
	bench_free(&b);
	new_bench(&b, n, 4096, NO_LIMIT);
	ask_greedy(&b, &got, 1, 300, SAY);
	with = say(&b, &got);
	assert_asked_same(&want, &got, 1);
	assert_int_equal(got.usage.model_drafted, got.usage.model_accepted);
	assert_true(got.usage.model_accepted > SAY / 2);
	assert_true(got.usage.accepted >= got.usage.model_accepted);
	assert_true(with < without / 2);
	assert_nothing_kept(&b);
	bench_free(&b);
	net_free(n);
	asked_forget(&want, 1);
	asked_forget(&got, 1);
}

/* In company, and where memory has to be given back. */
static void
many_say_the_same(const struct net *n, uint32_t *drafted, uint32_t *accepted)
{
	struct asked want[MANY], got[MANY];
	struct bench b;

	for (int round = 0; round < 3; round++) {
		struct asked *a = round == 0 ? want : got;

		new_bench(&b, round == 0 ? NULL : n, round == 2 ? 400 : 8192,
		    NO_LIMIT);
		for (uint32_t i = 0; i < MANY; i++) {
			bench_ask_again(&b, &a[i], i);
			worker_take(b.worker, &a[i].gen);
		}
		bench_run(&b);
		if (round > 0)
			assert_nothing_kept(&b);
		bench_free(&b);
		if (round == 0)
			continue;
		assert_asked_same(want, got, MANY);
		for (uint32_t i = 0; i < MANY; i++) {
			assert_int_equal(got[i].tokens, want[i].tokens);
			*drafted += got[i].usage.model_drafted;
			*accepted += got[i].usage.model_accepted;
		}
		asked_forget(got, MANY);
	}
	asked_forget(want, MANY);
	print_message("drafted %u accepted %u\n", *drafted, *accepted);
}

static void
it_changes_no_word_that_is_drawn(void **state)
{
	uint32_t drafted = 0, accepted = 0;
	struct net *n = net_of(world.model);

	/* What is drawn is not always the likeliest. */
	many_say_the_same(n, &drafted, &accepted);
	assert_true(accepted > 0);
	assert_true(accepted < drafted);
	net_free(n);
}

static void
one_that_is_wrong_changes_no_word(void **state)
{
	uint32_t drafted = 0, accepted = 0;
	struct net *n = net_of(stranger);

	many_say_the_same(n, &drafted, &accepted);
	assert_true(drafted > 0);
	assert_true(accepted < drafted / 2);
	net_free(n);
}

static void
one_that_is_wrong_is_hardly_asked(void **state)
{
	struct net *n = net_of(stranger);
	struct asked a;
	struct bench b;

	new_bench(&b, n, 4096, NO_LIMIT);
	ask_greedy(&b, &a, 1, 100, 500);
	/* Nor is there anything that repeats itself. */
	a.gen.params.sample.temperature = 2;
	say(&b, &a);
	assert_int_equal(a.usage.sampled, 500);
	assert_true(a.usage.model_drafted > 0);
	assert_true(a.usage.model_drafted < 80);
	bench_free(&b);
	net_free(n);
	asked_forget(&a, 1);
}

static void
a_prompt_is_not_read_for_a_few_words(void **state)
{
	struct net *n = net_of(world.model);
	struct asked a;
	struct bench b;

	new_bench(&b, n, 4096, NO_LIMIT);
	ask_greedy(&b, &a, 1, 700, 5);
	say(&b, &a);
	assert_int_equal(second.rows, 0);
	asked_forget(&a, 1);
	/* For many it is, after the first of them. */
	ask_greedy(&b, &a, 2, 700, 200);
	worker_take(b.worker, &a.gen);
	while (a.tokens < 702)
		assert_true(bench_step(&b));
	assert_int_equal(second.rows, 0);
	bench_run(&b);
	assert_true(second.rows > 700);
	bench_free(&b);
	net_free(n);
	asked_forget(&a, 1);
}

static void
who_hangs_up_has_no_further_layer_read(void **state)
{
	struct net *n = net_of(world.model);
	struct asked gone, want, got;
	uint64_t cpu_us;
	struct bench b;

	new_bench(&b, NULL, 8192, 0);
	ask_greedy(&b, &want, 2, 100, SAY);
	say(&b, &want);
	bench_free(&b);
	new_bench(&b, n, 8192, NO_LIMIT);
	ask_greedy(&b, &gone, 1, 700, 400);
	worker_take(b.worker, &gone.gen);
	while (second.rows == 0)
		assert_true(bench_step(&b));
	/* Behind the second of three layers, beside one that decodes. */
	ask_greedy(&b, &got, 2, 100, SAY);
	worker_take(b.worker, &got.gen);
	assert_true(bench_step(&b));
	cpu_us = gone.cpu_us;
	second = (struct bench_layers){ .stop_at = 2, .stop = &gone };
	assert_true(bench_step(&b));
	assert_int_equal(second.n, 2);
	assert_int_equal(second.rows, 2 * GUESS_ROWS);
	assert_true(gone.cpu_us > cpu_us);
	assert_int_equal(gone.finish, GEN_GOING);
	assert_true(kv_pool_used(b.worker->guesser->kv) > 0);
	bench_step(&b);
	assert_int_equal(gone.finish, GEN_CANCELLED);
	assert_true(guess_bytes(b.worker->guesser, b.worker->streams->guess) ==
		    kv_pool_used(b.worker->guesser->kv));
	bench_run(&b);
	assert_asked_same(&want, &got, 1);
	assert_nothing_kept(&b);
	bench_free(&b);
	net_free(n);
	asked_forget(&gone, 1);
	asked_forget(&want, 1);
	asked_forget(&got, 1);
}

static void
others_do_not_wait_for_it_to_read_a_lot(void **state)
{
	struct net *n = net_of(world.model);
	struct asked a[2];
	struct bench b;

	new_bench(&b, n, 8192, NO_LIMIT);
	/* Reading 32 rows takes longer than a step. */
	b.worker->guesser->row_us = 0.04;
	ask_greedy(&b, &a[0], 2, 100, 4000);
	ask_greedy(&b, &a[1], 1, 500, 4000);
	for (int i = 0; i < 2; i++)
		worker_take(b.worker, &a[i].gen);
	for (;;) {
		const size_t before = second.rows;
		const struct stream *s = b.worker->streams->next;

		assert_true(bench_step(&b));
		if (s->guess != NULL && s->guess->at > 450)
			break;
		/* Rows of three layers, and guesses. */
		assert_true(second.rows - before <=
			    3 * (32 + 2 * (GUESS_NEAR + DRAFT_MAX)));
	}
	bench_free(&b);
	net_free(n);
}

static void
its_memory_is_its_agents(void **state)
{
	struct net *n = net_of(world.model);
	struct asked want[3], got[3];
	struct engine_stats st;
	uint64_t most = 0;
	struct bench b;

	for (int round = 0; round < 2; round++) {
		struct asked *a = round == 0 ? want : got;

		new_bench(&b, round == 0 ? NULL : n, 8192, NO_LIMIT);
		for (uint32_t i = 0; i < 3; i++) {
			ask_greedy(&b, &a[i], 3 * i, 3 * KV_PAGE, SAY);
			/* Of all three, and of one for the other model. */
			a[i].gen.kv_max = 20 * b.page;
			worker_take(b.worker, &a[i].gen);
		}
		do {
			post_stats(b.post, &st);
			assert_true(st.kv_used <= 20 * b.page);
			if (round == 1 &&
			    kv_pool_used(b.worker->guesser->kv) > most)
				most = kv_pool_used(b.worker->guesser->kv);
		} while (bench_step(&b));
		bench_free(&b);
	}
	assert_asked_same(want, got, 3);
	assert_true(most > 0);
	net_free(n);
	asked_forget(want, 3);
	asked_forget(got, 3);
}

static void
little_memory_of_its_own_changes_no_word(void **state)
{
	struct net *n = net_of(world.model);
	struct asked want[2], got[2];
	uint32_t drafted = 0;
	struct bench b;
	size_t page = 0;

	for (int round = 0; round < 2; round++) {
		struct asked *a = round == 0 ? want : got;

		/* For one of them, and not to its end. */
		new_bench(&b, round == 0 ? NULL : n, 8192, 4 * page);
		page = b.page;
		for (uint32_t i = 0; i < 2; i++) {
			ask_greedy(&b, &a[i], i, 150, 2 * SAY);
			worker_take(b.worker, &a[i].gen);
		}
		bench_run(&b);
		if (round == 1)
			assert_nothing_kept(&b);
		bench_free(&b);
	}
	assert_asked_same(want, got, 2);
	for (int i = 0; i < 2; i++)
		drafted += got[i].usage.model_drafted;
	assert_true(drafted > 0);
	assert_true(drafted < 2 * SAY);
	net_free(n);
	asked_forget(want, 2);
	asked_forget(got, 2);
}

/* What m guesses behind n tokens. */
static void
guesses(struct guesser *m, struct guess *g, const uint32_t *ids, uint32_t n,
    uint32_t count)
{
	float *logits = xcalloc(m->net->hp.vocab, sizeof(*logits));

	assert_int_equal(guess_reserve(m, g, n + count), 0);
	while (n - g->at > GUESS_NEAR)
		assert_true(guess_read(m, g, ids, n, GUESS_ROWS, NULL) > 0);
	for (uint32_t i = 0; i < count; i++) {
		guess_add(m, g, ids, n);
		guesser_step(m, logits);
		guess_take(m, g, logits);
	}
	free(logits);
}

static void
a_wrong_guess_leaves_nothing_behind(void **state)
{
	struct net *n = net_of(stranger);
	struct pool *pool = pool_new(1);
	struct guesser *m = guesser_new(n, pool, TT_F16, NO_LIMIT, WEIGHT);
	uint32_t *ids = (uint32_t *)world_prompt(&world, 1, 300);

	/* So many of four are right, and the text goes on for so long. */
	for (uint32_t right = 0; right <= 4; right++)
		for (uint32_t more = right; more <= right + 1; more++) {
			struct guess *g = guess_new(), *fresh = guess_new();

			guesses(m, g, ids, 190, 4);
			memcpy(&ids[190], g->token, right * sizeof(*ids));
			ids[190 + right] = 7;
			if (right < 4)
				ids[190 + right] = g->token[right] + 1;
			guess_learn(g, ids, 190 + more);
			assert_int_equal(g->made, 0);
			assert_true(g->at < 190 + more);
			guesses(m, g, ids, 190 + more, 4);
			guesses(m, fresh, ids, 190 + more, 4);
			assert_memory_equal(
			    g->token, fresh->token, sizeof(g->token[0]) * 4);
			guess_free(g);
			guess_free(fresh);
		}
	assert_int_equal(kv_pool_used(m->kv), 0);
	free(ids);
	guesser_free(m);
	pool_free(pool);
	net_free(n);
}

static void
what_comes_true_is_learned(void **state)
{
	const uint32_t ids[] = { 1, 2, 3, 4, 5, 6 };
	struct guess *g = guess_new();
	double mean = g->mean;

	g->text = 3;
	g->made = 2;
	g->token[0] = 4;
	g->token[1] = 9;
	g->kind[0] = g->kind[1] = 1;
	/* One is known to be right. */
	guess_learn(g, ids, 4);
	assert_true(g->mean > mean);
	mean = g->mean;
	g->text = 3;
	g->made = 2;
	guess_learn(g, ids, 6);
	assert_true(g->mean < mean);
	guess_free(g);
}

static void
refuse(const struct vocab_table *v, const struct vocab_table *other,
    const char *why)
{
	struct error err = { 0 };

	assert_int_equal(vocab_same(v, other, &err), -1);
	if (strstr(err.msg, why) == NULL)
		fail_msg("%s, not %s", err.msg, why);
}

static void
another_vocabulary_is_refused(void **state)
{
	const struct vocab_table *v = &model_table(world.model)->vocab;
	struct vocab_table other = *v;
	struct engine_opts o = {
		.threads = 1, .kv_type = TT_F16, .kv_budget = 64u << 20
	};
	struct error err = { 0 };
	struct mkmodel k;
	struct model *m;
	struct ev *ev = ev_new();

	assert_int_equal(vocab_same(v, &other, &err), 0);
	strlcpy(other.model, "llama", sizeof(other.model));
	refuse(v, &other, "kind llama, the model's gpt2");
	other = *v;
	other.n--;
	refuse(v, &other, "tokens, the model's");
	other = *v;
	other.tokens = xmemdup(v->tokens, v->n * sizeof(*v->tokens));
	other.tokens[70].p = "\x1b[31m";
	other.tokens[70].len = 5;
	refuse(v, &other, "token 70 is \"\\x1b[31m\", the model's \"");
	other.tokens[70] = v->tokens[70];
	other.tokens[71].type = TOKEN_CONTROL;
	refuse(v, &other, "token 71 is of type 3, the model's of type 1");
	free(other.tokens);

	mkmodel_init(&k);
	k.hp.vocab = model_table(world.model)->hp.vocab + 1;
	m = world_other(&world, &k);
	o.draft = m;
	assert_null(engine_new(ev, world.model, world.tok, &o, &err));
	assert_non_null(strstr(err.msg, "the draft model: its vocabulary has"));
	model_close(m);
	ev_free(ev);
}

static void
it_gets_a_part_of_the_memory(void **state)
{
	const struct hparams *hp = &model_table(world.model)->hp;
	struct kv_pool *kv = kv_pool_new(hp, TT_F16, 0);
	const uint64_t page = kv_page_bytes(kv);

	assert_int_equal(
	    guesser_budget(hp, TT_F16, page, 100 * page), 25 * page);
	assert_int_equal(
	    guesser_budget(hp, TT_F16, 9 * page, 100 * page), 10 * page);
	assert_int_equal(
	    guesser_positions(hp, TT_F16, 25 * page), 25 * KV_PAGE);
	kv_pool_free(kv);
}

static int
setup(void **state)
{
	struct mkmodel k;

	world_new(&world);
	mkmodel_init(&k);
	k.hp = model_table(world.model)->hp;
	k.hp.arch = ARCH_QWEN3;
	k.hp.layers = 2;
	k.hp.ff = 256;
	k.hp.experts = k.hp.experts_used = k.hp.expert_ff = 0;
	k.seed = 77;
	stranger = world_other(&world, &k);
	return 0;
}

static int
teardown(void **state)
{
	model_close(stranger);
	world_free(&world);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_that_thinks_alike_is_always_right),
		cmocka_unit_test(it_changes_no_word_that_is_drawn),
		cmocka_unit_test(one_that_is_wrong_changes_no_word),
		cmocka_unit_test(one_that_is_wrong_is_hardly_asked),
		cmocka_unit_test(a_prompt_is_not_read_for_a_few_words),
		cmocka_unit_test(who_hangs_up_has_no_further_layer_read),
		cmocka_unit_test(others_do_not_wait_for_it_to_read_a_lot),
		cmocka_unit_test(its_memory_is_its_agents),
		cmocka_unit_test(little_memory_of_its_own_changes_no_word),
		cmocka_unit_test(a_wrong_guess_leaves_nothing_behind),
		cmocka_unit_test(what_comes_true_is_learned),
		cmocka_unit_test(another_vocabulary_is_refused),
		cmocka_unit_test(it_gets_a_part_of_the_memory),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
