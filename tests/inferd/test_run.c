/*
 * What comes out for a position is a function of its sequence alone, to the
 * last bit.
 */
#include "inferd/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/block.h"
#include "tests/inferd/tiny.h"

#define POSITIONS 150u /* over two pages, windows and groups of rows */
#define BUDGET (64u << 20)

static const struct kind {
	enum arch arch;
	enum tensor_type type;
	uint32_t experts;
	enum tensor_type kv;
} kinds[] = {
	{ ARCH_QWEN3MOE, TT_F32, 8, TT_F32 },
	{ ARCH_QWEN3MOE, TT_Q8_0, 8, TT_F16 },
	{ ARCH_QWEN3, TT_F16, 0, TT_Q8_0 },
	{ ARCH_LLAMA, TT_Q8_0, 0, TT_F16 },
	{ ARCH_LLAMA, TT_F32, 5, TT_Q8_0 },
	{ ARCH_OLMOE, TT_F32, 8, TT_F16 },
	{ ARCH_GPT_OSS, TT_Q8_0, 4, TT_F16 },
	{ ARCH_GLM4MOE, TT_F32, 8, TT_F16 },
	{ ARCH_GLM4MOE, TT_Q8_0, 6, TT_Q8_0 },
	{ ARCH_DEEPSEEK2, TT_F32, 8, TT_F32 },
	{ ARCH_DEEPSEEK2, TT_Q8_0, 8, TT_F16 },
	{ ARCH_DEEPSEEK2, TT_F16, 4, TT_Q8_0 },
	{ ARCH_QWEN3NEXT, TT_F32, 8, TT_F16 },
	{ ARCH_QWEN3NEXT, TT_Q8_0, 6, TT_F32 },
	{ ARCH_QWEN35MOE, TT_F16, 8, TT_Q8_0 },
	{ ARCH_DEEPSEEK4, TT_F32, 8, TT_F32 },
	{ ARCH_DEEPSEEK4, TT_Q8_0, 6, TT_F16 },
	{ ARCH_DEEPSEEK4, TT_F16, 4, TT_Q8_0 },
};

struct world {
	struct model_table *t;
	struct net *net;
	struct pool *pool;
	struct kv_pool *kv;
	struct run *run;
};

static void
world_new(struct world *w, const struct kind *k, unsigned threads)
{
	struct error err = { 0 };

	w->t = tiny_new(k->arch, k->type, k->experts, 3);
	w->net = net_new(w->t, &err);
	assert_non_null(w->net);
	w->pool = pool_new(threads);
	w->kv = kv_pool_new(&w->net->hp, k->kv, BUDGET);
	w->run = run_new(w->net, w->pool, k->kv, POSITIONS * 2);
}

static void
world_free(struct world *w)
{
	run_free(w->run);
	assert_int_equal(kv_pool_used(w->kv), 0);
	kv_pool_free(w->kv);
	pool_free(w->pool);
	net_free(w->net);
	tiny_free(w->t);
}

static uint32_t
token(uint32_t pos, uint32_t text)
{
	return (pos * 37 + pos / 7 * 11 + text * 53) % TINY_VOCAB;
}

/* Positions first to end of a text, in calls of at most `step` rows. */
static void
go(struct world *w, struct kv_seq *s, uint32_t text, uint32_t first,
    uint32_t end, uint32_t step, float *logits)
{
	struct row rows[POSITIONS];

	assert_int_equal(kv_seq_reserve(s, end), 0);
	while (first < end) {
		uint32_t n = 0;

		while (n < step && first < end) {
			rows[n++] =
			    (struct row){ s, first, token(first, text), true };
			first++;
		}
		run_rows(w->run, rows, n, logits);
		logits += n * TINY_VOCAB;
	}
}

static float *
alone(struct world *w, uint32_t text, uint32_t step)
{
	float *logits = xcalloc(POSITIONS * TINY_VOCAB, sizeof(*logits));
	struct kv_seq *s = kv_seq_new(w->kv);

	go(w, s, text, 0, POSITIONS, step, logits);
	kv_seq_free(s);
	return logits;
}

static bool
same(const float *a, const float *b, uint32_t positions)
{
	return memcmp(a, b, positions * TINY_VOCAB * sizeof(*a)) == 0;
}

static void
each(void (*claim)(struct world *, const struct kind *))
{
	for (size_t i = 0; i < nitems(kinds); i++) {
		struct world w;

		world_new(&w, &kinds[i], 2);
		claim(&w, &kinds[i]);
		world_free(&w);
	}
}

static void
steps_of(struct world *w, const struct kind *k)
{
	float *whole = alone(w, 0, POSITIONS), *other = alone(w, 1, POSITIONS);

	assert_false(same(whole, other, POSITIONS));
	free(other);
	for (uint32_t step = 1; step < 80; step = step * 3 + 1) {
		other = alone(w, 0, step);
		assert_true(same(whole, other, POSITIONS));
		free(other);
	}
	free(whole);
}

static void
a_prompt_gives_what_its_tokens_give_one_by_one(void **state)
{
	each(steps_of);
}

static void
threads_of(struct world *w, const struct kind *k)
{
	float *two = alone(w, 0, 50);

	for (unsigned n = 1; n < 6; n += 2) {
		struct world o;
		float *x;

		world_new(&o, k, n);
		x = alone(&o, 0, 50);
		assert_true(same(two, x, POSITIONS));
		free(x);
		world_free(&o);
	}
	free(two);
}

static void
the_number_of_threads_changes_nothing(void **state)
{
	each(threads_of);
}

/* Eight texts side by side, each at a place of its own. */
static void
company_of(struct world *w, const struct kind *k)
{
	enum {
		TEXTS = 8,
		EACH = 40
	};
	struct kv_seq *s[TEXTS];
	float *want[TEXTS], *got;

	got = xcalloc((size_t)TEXTS * EACH * TINY_VOCAB, sizeof(*got));
	for (uint32_t i = 0; i < TEXTS; i++) {
		want[i] = alone(w, i, 64);
		s[i] = kv_seq_new(w->kv);
		go(w, s[i], i, 0, i * 9, 64, got);
		assert_int_equal(kv_seq_reserve(s[i], i * 9 + EACH), 0);
	}
	for (uint32_t at = 0; at < EACH; at++) {
		struct row rows[TEXTS];

		for (uint32_t i = 0; i < TEXTS; i++)
			rows[i] = (struct row){ s[i], i * 9 + at,
				token(i * 9 + at, i), i % 3 != 1 };
		run_rows(w->run, rows, TEXTS, got);
		for (uint32_t i = 0, n = 0; i < TEXTS; i++)
			if (rows[i].want)
				assert_true(same(&got[n++ * TINY_VOCAB],
				    &want[i][(i * 9 + at) * TINY_VOCAB], 1));
	}
	for (uint32_t i = 0; i < TEXTS; i++) {
		kv_seq_free(s[i]);
		free(want[i]);
	}
	free(got);
}

static void
company_in_a_batch_changes_nothing(void **state)
{
	each(company_of);
}

/* From a state there is no way back: only its own place can be taken over. */
static void
fork_with_state(struct world *w)
{
	float *want = alone(w, 0, 64), *got = alone(w, 1, 64);
	struct kv_seq *s = kv_seq_new(w->kv), *f;

	go(w, s, 0, 0, 90, 64, got);
	assert_null(kv_seq_fork(s, 89));
	f = kv_seq_fork(s, 90);
	assert_non_null(f);
	go(w, s, 1, 90, 110, 64, got);
	go(w, f, 0, 90, POSITIONS, 64, got);
	assert_true(same(got, &want[(size_t)90 * TINY_VOCAB], POSITIONS - 90));
	kv_seq_free(s);
	kv_seq_cut(f, 0);
	go(w, f, 0, 0, POSITIONS, 64, got);
	assert_true(same(got, want, POSITIONS));
	kv_seq_free(f);
	free(want);
	free(got);
}

static void
fork_of(struct world *w, const struct kind *k)
{
	if (kv_state_bytes(w->kv) > 0) {
		fork_with_state(w);
		return;
	}
	float *want = alone(w, 0, 64), *got = alone(w, 1, 64);
	struct kv_seq *s = kv_seq_new(w->kv), *f;
	const size_t page = kv_page_bytes(w->kv);

	go(w, s, 0, 0, 100, 64, got);
	/* The second page, of which 36 positions are filled, is copied. */
	f = kv_seq_fork(s, 90);
	assert_non_null(f);
	assert_int_equal(kv_pool_used(w->kv), 3 * page);
	/* What follows in the one is not seen in the other. */
	go(w, s, 1, 90, 110, 64, got);
	go(w, f, 0, 90, POSITIONS, 64, got);
	assert_true(same(got, &want[(size_t)90 * TINY_VOCAB], POSITIONS - 90));
	kv_seq_free(s);
	/* A cut and a new end. */
	kv_seq_cut(f, 70);
	go(w, f, 0, 70, POSITIONS, 64, got);
	assert_true(same(got, &want[(size_t)70 * TINY_VOCAB], POSITIONS - 70));
	kv_seq_free(f);
	free(want);
	free(got);
}

static void
a_prefix_taken_over_gives_what_a_fresh_one_gives(void **state)
{
	each(fork_of);
}

static atomic_int stop;
static uint32_t stop_at;
static size_t computed; /* rows, in each layer */

static void
layer_counted(struct run *r, uint32_t layer)
{
	computed += r->n;
	block_decoder(r, layer);
	if (layer == stop_at)
		atomic_store(&stop, 1);
}

static void
rows_that_are_stopped_end_with_their_layer_and_leave_no_trace(void **state)
{
	struct world w;
	struct arch_def def;
	float *want[2], *got;
	struct kv_seq *s[2];
	struct row rows[POSITIONS];

	world_new(&w, &kinds[0], 2);
	want[0] = alone(&w, 0, 64);
	want[1] = alone(&w, 1, 64);
	got = xcalloc(POSITIONS * TINY_VOCAB, sizeof(*got));
	def = *w.net->def;
	def.layer = layer_counted;
	w.net->def = &def;
	stop_at = UINT32_MAX;
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = kv_seq_new(w.kv);
		go(&w, s[i], i, 0, 50, 64, got);
		assert_int_equal(kv_seq_reserve(s[i], POSITIONS), 0);
	}
	for (stop_at = 0; stop_at < w.net->hp.layers - 1; stop_at++) {
		const uint32_t at = 50 + stop_at;

		/* One row of the one goes on, 60 of the other do not. */
		rows[0] = (struct row){ s[1], at, token(at, 1), true };
		for (uint32_t i = 0; i < 60; i++)
			rows[1 + i] = (struct row){ s[0], 50 + i,
				token(50 + i, 0), i % 2 == 0 };
		atomic_store(&stop, 0);
		computed = 0;
		assert_int_equal(
		    run_rows_until(w.run, rows, 61, 1, got, &stop), 1);
		assert_int_equal(computed,
		    61 * (stop_at + 1) + w.net->hp.layers - stop_at - 1);
		assert_true(same(got, &want[1][(size_t)at * TINY_VOCAB], 1));
		/* With none that goes on there is nothing more to do. */
		atomic_store(&stop, 0);
		computed = 0;
		assert_int_equal(
		    run_rows_until(w.run, rows + 1, 60, 0, got, &stop), 0);
		assert_int_equal(computed, 60 * (stop_at + 1));
	}
	stop_at = UINT32_MAX;
	atomic_store(&stop, 0);
	go(&w, s[0], 0, 50, POSITIONS, 64, got);
	assert_true(
	    same(got, &want[0][(size_t)50 * TINY_VOCAB], POSITIONS - 50));
	for (uint32_t i = 0; i < 2; i++) {
		kv_seq_free(s[i]);
		free(want[i]);
	}
	free(got);
	world_free(&w);
}

/* What one remembers of s up to n, as it is or as bytes that were elsewhere. */
static struct kv_seq *
again(struct world *w, struct kv_seq *s, uint32_t n, bool bytes)
{
	struct kv_seq *f = kv_seq_new(w->kv);
	struct kv_state *state;
	uint32_t marked;

	for (uint32_t i = 0; i < n / KV_PAGE; i++) {
		struct kv_page *page = kv_page_hold(s, i), *copy;

		if (bytes) {
			copy = kv_page_new(w->kv);
			memcpy(kv_page_data(copy), kv_page_data(page),
			    kv_page_bytes(w->kv));
			kv_page_drop(w->kv, page);
			page = copy;
		}
		kv_seq_append(f, page);
		kv_page_drop(w->kv, page);
	}
	state = kv_state_hold(kv_seq_marked(s, &marked));
	assert_int_equal(marked, n);
	if (bytes) {
		struct kv_state *copy = kv_state_new(w->kv);

		memcpy(kv_state_data(copy), kv_state_data(state),
		    kv_state_bytes(w->kv));
		kv_state_drop(w->kv, state);
		state = copy;
	}
	assert_int_equal(kv_seq_resume(f, state, n), 0);
	kv_state_drop(w->kv, state);
	return f;
}

static void
state_of(struct world *w, const struct kind *k)
{
	float *want, *got;
	struct kv_seq *s;

	if (kv_state_bytes(w->kv) == 0)
		return;
	want = alone(w, 0, 64);
	got = alone(w, 1, 64);
	s = kv_seq_new(w->kv);
	go(w, s, 0, 0, 2 * KV_PAGE, 50, got);
	assert_int_equal(kv_seq_mark(s), 0);
	go(w, s, 0, 2 * KV_PAGE, POSITIONS, 5, got);
	assert_true(same(
	    got, &want[2 * KV_PAGE * TINY_VOCAB], POSITIONS - 2 * KV_PAGE));
	for (int bytes = 0; bytes < 2; bytes++) {
		struct kv_seq *f = again(w, s, 2 * KV_PAGE, bytes != 0);

		memset(got, 0, TINY_VOCAB * sizeof(*got));
		go(w, f, 0, 2 * KV_PAGE, POSITIONS, 64, got);
		assert_true(same(got, &want[2 * KV_PAGE * TINY_VOCAB],
		    POSITIONS - 2 * KV_PAGE));
		kv_seq_free(f);
	}
	kv_seq_free(s);
	free(want);
	free(got);
}

static void
a_state_that_was_kept_gives_what_a_fresh_one_gives(void **state)
{
	each(state_of);
}

static void
stop_of(struct world *w, const struct kind *k)
{
	struct row rows[41];
	struct kv_seq *s[2];
	uint32_t stands;
	float *want, *got;

	if (kv_state_bytes(w->kv) == 0)
		return;
	want = alone(w, 1, 64);
	got = alone(w, 0, 64);
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = kv_seq_new(w->kv);
		go(w, s[i], i, 0, 50, 64, got);
		assert_int_equal(kv_seq_reserve(s[i], POSITIONS), 0);
	}
	/* One row of the one goes on, 40 of the other do not. */
	rows[0] = (struct row){ s[1], 50, token(50, 1), true };
	for (uint32_t i = 0; i < 40; i++)
		rows[1 + i] =
		    (struct row){ s[0], 50 + i, token(50 + i, 0), false };
	atomic_store(&stop, 0);
	stop_at = 1;
	assert_int_equal(run_rows_until(w->run, rows, 41, 1, got, &stop), 1);
	assert_true(same(got, &want[50 * TINY_VOCAB], 1));
	assert_true(kv_seq_stands(s[1], &stands));
	assert_int_equal(stands, 51);
	assert_false(kv_seq_stands(s[0], &stands));
	assert_null(kv_seq_fork(s[0], 50));
	/* The one is as if the other had not been there; which may begin. */
	go(w, s[1], 1, 51, POSITIONS, 64, got);
	assert_true(same(got, &want[51 * TINY_VOCAB], POSITIONS - 51));
	kv_seq_cut(s[0], 0);
	go(w, s[0], 1, 0, POSITIONS, 64, got);
	assert_true(same(got, want, POSITIONS));
	for (uint32_t i = 0; i < 2; i++)
		kv_seq_free(s[i]);
	free(want);
	free(got);
}

static void (*layer_of)(struct run *r, uint32_t layer);

static void
layer_then_stop(struct run *r, uint32_t layer)
{
	layer_of(r, layer);
	if (layer == stop_at)
		atomic_store(&stop, 1);
}

static void
stop_of_any(struct world *w, const struct kind *k)
{
	struct arch_def def = *w->net->def;

	layer_of = def.layer;
	def.layer = layer_then_stop;
	w->net->def = &def;
	stop_at = UINT32_MAX;
	stop_of(w, k);
}

static void
a_state_that_was_stopped_is_nobodys(void **state)
{
	each(stop_of_any);
}

static void
what_is_missing_or_of_another_shape_is_named(void **state)
{
	struct model_table *t = tiny_new(ARCH_QWEN3, TT_F32, 0, 1);
	struct error err = { 0 };
	struct tensor *x = &t->tensors[0];
	const uint64_t rows = x->dims[1];
	char name[MODEL_NAME_MAX + 1];

	assert_non_null(strstr(x->name, "attn_k.weight"));
	x->dims[1]++;
	assert_null(net_new(t, &err));
	assert_non_null(strstr(err.msg, "blk.0.attn_k.weight"));
	x->dims[1] = rows;
	snprintf(name, sizeof(name), "%s", x->name);
	x->name[0] = 'a';
	assert_null(net_new(t, &err));
	assert_non_null(strstr(err.msg, "blk.0.attn_k.weight is missing"));
	snprintf(x->name, strlen(name) + 1, "%s", name);
	t->hp.arch = ARCH_NONE;
	assert_null(net_new(t, &err));
	tiny_free(t);
}

static uint32_t hash;

static void
hash_logits(struct world *w, const struct kind *k)
{
	float *logits = alone(w, 0, POSITIONS);
	const uint8_t *p = (const uint8_t *)logits;

	/* FNV-1a */
	for (size_t i = 0; i < POSITIONS * TINY_VOCAB * sizeof(*logits); i++)
		hash = (hash ^ p[i]) * 16777619u;
	free(logits);
}

static void
logits_are_those_of_any_processor(void **state)
{
	hash = 2166136261u;
	each(hash_logits);
	assert_int_equal(hash, 0xb6e61ab6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logits_are_those_of_any_processor),
		cmocka_unit_test(
		    a_prompt_gives_what_its_tokens_give_one_by_one),
		cmocka_unit_test(the_number_of_threads_changes_nothing),
		cmocka_unit_test(company_in_a_batch_changes_nothing),
		cmocka_unit_test(
		    a_prefix_taken_over_gives_what_a_fresh_one_gives),
		cmocka_unit_test(
		    rows_that_are_stopped_end_with_their_layer_and_leave_no_trace),
		cmocka_unit_test(
		    a_state_that_was_kept_gives_what_a_fresh_one_gives),
		cmocka_unit_test(a_state_that_was_stopped_is_nobodys),
		cmocka_unit_test(what_is_missing_or_of_another_shape_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
