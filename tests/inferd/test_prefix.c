/*
 * What has been computed before is found again by the agent that asked for it
 * and by nobody else, and changes no result.
 */
#include "inferd/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/run.h"
#include "tests/inferd/tiny.h"

#define LONG 300u
#define PLENTY (64u << 20)
#define A 1u
#define B 2u
#define C 3u

struct world {
	struct model_table *t;
	struct kv_pool *kv;
	struct prefix_cache *cache;
	size_t page;
};

static int
start(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->t = tiny_new(ARCH_QWEN3, TT_F32, 0, 1);
	w->kv = kv_pool_new(&w->t->hp, TT_F16, PLENTY);
	w->page = kv_page_bytes(w->kv);
	w->cache = prefix_new(w->kv, PLENTY, NULL);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	prefix_free(w->cache);
	assert_int_equal(kv_pool_used(w->kv), 0);
	kv_pool_free(w->kv);
	tiny_free(w->t);
	free(w);
	return 0;
}

/* Another budget, in pages. */
static void
budget(struct world *w, size_t pages)
{
	prefix_free(w->cache);
	w->cache = prefix_new(w->kv, pages * w->page, NULL);
}

static int32_t *
text(uint32_t which, uint32_t n)
{
	int32_t *ids = xcalloc(n, sizeof(*ids));

	for (uint32_t i = 0; i < n; i++)
		ids[i] =
		    (int32_t)((i * 37 + i / 7 * 11 + which * 53) % TINY_VOCAB);
	return ids;
}

static uint8_t
mark(const int32_t *ids, uint32_t page)
{
	uint32_t sum = page;

	for (uint32_t i = 0; i < (page + 1) * KV_PAGE; i++)
		sum = sum * 31 + (uint32_t)ids[i];
	return (uint8_t)(sum | 1);
}

/* As if the agent's prompt had been computed: looked for, filled up, kept. */
static struct prefix_hit
ask(struct world *w, uint32_t space, const int32_t *ids, uint32_t n)
{
	struct prefix_hit hit;
	struct kv_seq *s = prefix_find(w->cache, space, ids, n, &hit);

	assert_int_equal(kv_seq_reserve(s, n), 0);
	for (uint32_t p = 0; (p + 1) * KV_PAGE <= n; p++) {
		uint8_t *keys = kv_rows(s, 1, 0, p).keys;

		if ((p + 1) * KV_PAGE <= hit.n)
			assert_int_equal(keys[0], mark(ids, p));
		else
			keys[0] = mark(ids, p);
	}
	prefix_keep(w->cache, space, ids, n, s);
	kv_seq_free(s);
	return hit;
}

static uint32_t
found(struct world *w, uint32_t space, const int32_t *ids, uint32_t n)
{
	struct prefix_hit hit;

	kv_seq_free(prefix_find(w->cache, space, ids, n, &hit));
	return hit.n;
}

static void
the_longest_beginning_is_found(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *one = text(1, LONG), *two = text(1, LONG);

	assert_int_equal(ask(w, A, one, 100).n, 0);
	assert_int_equal(ask(w, A, one, 200).n, 100);
	two[150] ^= 1;
	assert_int_equal(ask(w, A, two, 250).n, 150);
	assert_int_equal(found(w, A, one, LONG), 200);
	assert_int_equal(found(w, A, two, LONG), 250);
	/* One row is left to compute. */
	assert_int_equal(found(w, A, one, 200), 199);
	assert_int_equal(found(w, A, one, 129), 128);
	assert_int_equal(found(w, A, one, 128), 127);
	assert_int_equal(found(w, A, one, 1), 0);
	assert_int_equal(found(w, A, one, 0), 0);
	one[0] ^= 1;
	assert_int_equal(found(w, A, one, LONG), 0);
}

static void
pages_are_kept_once(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *ids = text(1, LONG);

	for (uint32_t n = 40; n < 256; n += 30)
		ask(w, A, ids, n);
	assert_int_equal(prefix_bytes(w->cache, A), 4 * w->page);
	assert_int_equal(kv_pool_used(w->kv), 4 * w->page);
	ids[200] ^= 1;
	ask(w, A, ids, 250);
	assert_int_equal(prefix_bytes(w->cache, A), 5 * w->page);
	prefix_trim(w->cache, A, 2 * w->page);
	assert_int_equal(kv_pool_used(w->kv), 2 * w->page);
	assert_int_equal(found(w, A, ids, LONG), 128);
	prefix_forget(w->cache, A);
	assert_int_equal(found(w, A, ids, LONG), 0);
	assert_int_equal(kv_pool_used(w->kv), 0);
}

static void
where_a_prompt_parts_from_what_is_known_is_said(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *ids = text(1, LONG);
	struct prefix_hit hit;

	hit = ask(w, A, ids, 250);
	assert_int_equal(hit.diverged_of, 0);
	hit = ask(w, A, ids, LONG);
	assert_int_equal(hit.diverged_of, 0);
	ids[77] ^= 1;
	hit = ask(w, A, ids, 150);
	assert_int_equal(hit.n, 77);
	assert_int_equal(hit.diverged_at, 77);
	assert_int_equal(hit.diverged_of, LONG);
	ids[64] ^= 1;
	hit = ask(w, A, ids, 150);
	assert_int_equal(hit.diverged_at, 64);
	assert_int_equal(hit.diverged_of, 150);
	ids[0] ^= 1;
	hit = ask(w, A, ids, 150);
	assert_int_equal(hit.n, 0);
	assert_int_equal(hit.diverged_of, 150);
	assert_int_equal(hit.diverged_at, 0);
}

/*
 * B asks what A has asked and what nobody has: the same answers, and the same
 * amount of work, step by step.
 */
static void
an_agent_learns_nothing_of_what_another_has_asked(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *secret = text(1, LONG), *other = text(2, LONG);

	ask(w, B, other, 90);
	for (uint32_t i = 0; i < 200; i++) {
		cleanup_free int32_t *guess = text(i % 2 == 0 ? 1 : 3, LONG);
		struct prefix_work before, after;
		struct prefix_hit hit;

		ask(w, A, secret, LONG - i % 50);
		guess[0] = (int32_t)(i / 2 % 2 == 0 ? secret[0] : other[0]);
		prefix_work(w->cache, &before);
		kv_seq_free(prefix_find(w->cache, B, guess, LONG, &hit));
		prefix_work(w->cache, &after);
		assert_int_equal(hit.n, guess[0] == other[0] ? 1 : 0);
		assert_int_equal(hit.diverged_of, 90);
		assert_int_equal(after.pages - before.pages, 1);
		assert_int_equal(after.files - before.files, 0);
	}
	assert_int_equal(found(w, A, secret, LONG), LONG - 1);
	assert_int_equal(found(w, B, secret, LONG), 0);
	assert_int_equal(found(w, C, secret, LONG), 0);
}

static void
what_is_public_is_found_by_all_and_stays(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *ids = text(1, LONG), *other = text(2, LONG);
	struct kv_seq *s = kv_seq_new(w->kv);
	struct prefix_hit hit;

	budget(w, 6);
	assert_int_equal(kv_seq_reserve(s, LONG), 0);
	for (uint32_t p = 0; (p + 1) * KV_PAGE <= LONG; p++)
		*(uint8_t *)kv_rows(s, 1, 0, p).keys = mark(ids, p);
	memset(kv_rows(s, 2, 1, 1).values, 'x', w->page / 12);
	prefix_keep(w->cache, PREFIX_PUBLIC, ids, 100, s);
	prefix_keep(w->cache, A, ids, LONG, s);
	kv_seq_free(s);
	/* A pays for what is its own alone: the page that begins public and
	 * goes on private, and those behind. */
	assert_int_equal(prefix_bytes(w->cache, PREFIX_PUBLIC), 2 * w->page);
	assert_int_equal(prefix_bytes(w->cache, A), 4 * w->page);
	assert_int_equal(kv_pool_used(w->kv), 6 * w->page);
	s = prefix_find(w->cache, B, ids, LONG, &hit);
	assert_int_equal(hit.n, 100);
	assert_true(hit.public);
	/* Of the page that is copied nothing else comes along. */
	for (uint32_t i = 0; i < w->page / 12; i++)
		if (i < w->page / 12 / KV_PAGE * (100 - KV_PAGE))
			assert_int_equal(
			    ((char *)kv_rows(s, 2, 1, 1).values)[i], 'x');
		else
			assert_int_equal(
			    ((char *)kv_rows(s, 2, 1, 1).values)[i], 0);
	kv_seq_free(s);
	for (uint32_t i = 2; i < 10; i++) {
		free(other);
		other = text(i, LONG);
		ask(w, B, other, LONG);
		ask(w, C, other, LONG);
	}
	prefix_shrink(w->cache, SIZE_MAX);
	assert_int_equal(prefix_bytes(w->cache, A), 0);
	assert_int_equal(found(w, C, ids, LONG), 100);
	/* But no more of it than half the budget. */
	other[0] = -1;
	s = kv_seq_new(w->kv);
	assert_int_equal(kv_seq_reserve(s, LONG), 0);
	prefix_keep(w->cache, PREFIX_PUBLIC, other, LONG, s);
	kv_seq_free(s);
	assert_int_equal(prefix_bytes(w->cache, PREFIX_PUBLIC), 3 * w->page);
}

static void
an_agent_within_its_share_loses_nothing_to_others(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *mine = text(0, LONG);

	budget(w, 15);
	ask(w, A, mine, LONG);
	for (uint32_t i = 1; i < 40; i++) {
		cleanup_free int32_t *ids = text(i, LONG);

		ask(w, i % 3 == 0 ? B : C, ids, LONG);
		assert_in_range(kv_pool_used(w->kv), 0, 15 * w->page);
	}
	assert_int_equal(prefix_bytes(w->cache, A), 5 * w->page);
	assert_int_equal(found(w, A, mine, LONG), LONG - 1);
	assert_int_equal(prefix_bytes(w->cache, B), 5 * w->page);
	assert_int_equal(prefix_bytes(w->cache, C), 5 * w->page);
}

static void
what_was_used_last_stays_longest(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *one = text(1, LONG), *two = text(2, LONG),
			     *three = text(3, LONG), *four = text(4, 2 * LONG);

	budget(w, 6);
	ask(w, A, one, 128);
	ask(w, A, two, 128);
	ask(w, A, three, 128);
	assert_int_equal(found(w, A, one, LONG), 128);
	ask(w, A, four, 64);
	assert_int_equal(found(w, A, two, LONG), 64);
	assert_int_equal(found(w, A, one, LONG), 128);
	/* Of one that is larger than the budget the beginning is kept. */
	ask(w, A, four, 2 * LONG);
	assert_int_equal(found(w, A, four, 2 * LONG), 6 * KV_PAGE);
	assert_int_equal(kv_pool_used(w->kv), 6 * w->page);
}

static void
memory_comes_back_but_not_from_under_a_sequence(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *one = text(1, LONG), *two = text(2, LONG);
	struct prefix_hit hit;
	struct kv_seq *s;

	ask(w, A, one, LONG);
	ask(w, A, two, LONG);
	s = prefix_find(w->cache, A, one, 129, &hit);
	assert_int_equal(hit.n, 128);
	assert_int_equal(prefix_shrink(w->cache, 1), w->page);
	assert_int_equal(prefix_shrink(w->cache, SIZE_MAX), 7 * w->page);
	assert_int_equal(found(w, A, one, 129), 128);
	assert_int_equal(*(uint8_t *)kv_rows(s, 1, 0, 1).keys, mark(one, 1));
	kv_seq_free(s);
	/* The memory of it is empty before anybody else has it. */
	assert_int_equal(prefix_shrink(w->cache, SIZE_MAX), 2 * w->page);
	s = kv_seq_new(w->kv);
	assert_int_equal(kv_seq_reserve(s, 2 * LONG), 0);
	for (uint32_t p = 0; p < 2 * LONG / KV_PAGE; p++) {
		const uint8_t *data = kv_rows(s, 0, 0, p).keys;

		for (size_t i = 0; i < w->page; i++)
			if (data[i] != 0)
				fail();
	}
	kv_seq_free(s);
}

/* Logits of positions [from, n) of a prompt whose beginning s has. */
static float *
compute(struct run *r, struct kv_seq *s, const int32_t *ids, uint32_t from,
    uint32_t n)
{
	struct row *rows = xcalloc(n, sizeof(*rows));
	float *logits = xcalloc((size_t)n * TINY_VOCAB, sizeof(*logits));

	assert_int_equal(kv_seq_reserve(s, n), 0);
	for (uint32_t i = from; i < n; i++)
		rows[i - from] = (struct row){ s, i, (uint32_t)ids[i], true };
	run_rows(r, rows, n - from, logits + (size_t)from * TINY_VOCAB);
	free(rows);
	return logits;
}

static void
a_hit_gives_what_a_miss_gives(void **state)
{
	static const enum tensor_type types[] = { TT_F32, TT_F16, TT_Q8_0 };

	for (size_t i = 0; i < nitems(types); i++) {
		struct model_table *t = tiny_new(ARCH_GPT_OSS, TT_Q8_0, 4, 5);
		struct error err = { 0 };
		struct net *net = net_new(t, &err);
		struct pool *pool = pool_new(2);
		struct kv_pool *kv = kv_pool_new(&t->hp, types[i], PLENTY);
		struct run *r = run_new(net, pool, types[i], LONG);
		struct prefix_cache *c = prefix_new(kv, PLENTY, NULL);
		cleanup_free int32_t *ids = text(1, LONG);
		struct kv_seq *s = kv_seq_new(kv);
		float *want = compute(r, s, ids, 0, LONG);

		kv_seq_free(s);
		for (uint32_t n = 50; n <= LONG; n += 50) {
			struct prefix_hit hit;
			float *got;

			s = prefix_find(c, A, ids, n, &hit);
			assert_int_equal(hit.n, n - 50);
			got = compute(r, s, ids, hit.n, n);
			for (size_t k = hit.n * TINY_VOCAB; k < n * TINY_VOCAB;
			     k++)
				if (got[k] != want[k])
					fail();
			free(got);
			prefix_keep(c, A, ids, n, s);
			/* It goes on in a way of its own. */
			ids[n - 1] ^= 1;
			free(compute(r, s, ids, n - 1, n));
			ids[n - 1] ^= 1;
			kv_seq_free(s);
		}
		free(want);
		prefix_free(c);
		run_free(r);
		kv_pool_free(kv);
		pool_free(pool);
		net_free(net);
		tiny_free(t);
	}
}

#define with_world(f) cmocka_unit_test_setup_teardown(f, start, end)

/* Its number is never used again, and thousands of others come. */
static void
who_is_gone_leaves_nothing_in_memory(void **state)
{
	struct world *w = *state;
	cleanup_free int32_t *ids = text(1, LONG);

	for (uint32_t i = 0; i < 2 * PREFIX_SPACES; i++) {
		assert_int_equal(ask(w, A + i, ids, KV_PAGE + 5).n, 0);
		assert_int_equal(
		    found(w, A + i, ids, KV_PAGE + 5), KV_PAGE + 4);
		prefix_leave(w->cache, A + i);
		assert_int_equal(kv_pool_used(w->kv), 0);
		assert_int_equal(found(w, A + i, ids, KV_PAGE + 5), 0);
	}
	prefix_leave(w->cache, A);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		with_world(the_longest_beginning_is_found),
		with_world(pages_are_kept_once),
		with_world(where_a_prompt_parts_from_what_is_known_is_said),
		with_world(an_agent_learns_nothing_of_what_another_has_asked),
		with_world(what_is_public_is_found_by_all_and_stays),
		with_world(an_agent_within_its_share_loses_nothing_to_others),
		with_world(what_was_used_last_stays_longest),
		with_world(memory_comes_back_but_not_from_under_a_sequence),
		cmocka_unit_test(a_hit_gives_what_a_miss_gives),
		with_world(who_is_gone_leaves_nothing_in_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
