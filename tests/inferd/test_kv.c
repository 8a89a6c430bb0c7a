/*
 * Pages of keys and values, and states.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/compat.h"
#include "inferd/kv.h"
#include "tests/inferd/large_pages.h"
#include "tests/inferd/tiny.h"

#define ANON "AnonHugePages:"

static void
a_budget_is_kept_and_pages_come_back_empty(void **state)
{
	struct model_table *t = tiny_new(ARCH_QWEN3, TT_F32, 0, 1);
	struct kv_pool *p = kv_pool_new(&t->hp, TT_F16, 0);
	const size_t page = kv_page_bytes(p);
	struct kv_seq *s, *f;
	const uint8_t *keys;

	kv_pool_free(p);
	p = kv_pool_new(&t->hp, TT_F16, 2 * page);
	s = kv_seq_new(p);
	assert_int_equal(kv_seq_reserve(s, 2 * KV_PAGE), 0);
	assert_int_equal(kv_seq_reserve(s, 2 * KV_PAGE + 1), -1);
	assert_null(kv_seq_fork(s, KV_PAGE + 1));
	f = kv_seq_fork(s, KV_PAGE);
	assert_non_null(f);
	assert_ptr_equal(kv_rows(s, 1, 1, 0).keys, kv_rows(f, 1, 1, 0).keys);
	memset(kv_rows(s, 2, 1, 1).values, 'x', KV_PAGE);
	kv_seq_cut(s, KV_PAGE);
	assert_int_equal(kv_pool_used(p), page);
	assert_int_equal(kv_seq_reserve(f, KV_PAGE + 1), 0);
	keys = kv_rows(f, 2, 1, 1).values;
	for (size_t i = 0; i < KV_PAGE; i++)
		assert_int_equal(keys[i], 0);
	kv_seq_free(s);
	kv_seq_free(f);
	assert_int_equal(kv_pool_used(p), 0);
	kv_pool_free(p);
	tiny_free(t);
}

static void
pages_are_cleared_one_at_a_time_and_only_if_they_were_used(void **state)
{
	struct model_table *t = tiny_new(ARCH_QWEN3, TT_F32, 0, 1);
	struct kv_pool *p = kv_pool_new(&t->hp, TT_F16, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(p);
	uint8_t *page[3];

	assert_int_equal(kv_seq_reserve(s, 6 * KV_PAGE), 0);
	for (uint32_t i = 0; i < 3; i++) {
		page[i] = kv_rows(s, 0, 0, 2 * i).keys;
		memset(page[i], 'x', kv_page_bytes(p));
	}
	kv_seq_free(s);
	assert_int_equal(kv_pool_used(p), 0);
	/* the first two of three, and the last */
	assert_true(kv_pool_clear(p));
	assert_true(kv_pool_clear(p));
	assert_false(kv_pool_clear(p));
	for (uint32_t i = 0; i < 3; i++)
		for (size_t b = 0; b < kv_page_bytes(p); b++)
			assert_int_equal(page[i][b], 0);
	assert_false(kv_pool_clear(p));
	kv_pool_free(p);
	tiny_free(t);
}

/* Does this kernel map memory in large pages, when one asks for it? */
static bool
has_large_pages(void)
{
	const size_t size = 8u << 20;
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool has;

	assert_true(p != MAP_FAILED);
	has = madvise(p, size, MADV_HUGEPAGE) == 0;
	memset(p, 1, size);
	has = has && large_pages_at(p, ANON) > 0;
	munmap(p, size);
	return has;
}

static void
pages_are_mapped_in_large_ones(void **state)
{
	const struct kv_shape shape = { .heads = 8, .key = 512, .value = 100 };
	struct kv_pool *p = kv_pool_of(&shape, 1, TT_F16, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(p);
	uint8_t *first;

	if (!has_large_pages()) {
		kv_seq_free(s);
		kv_pool_free(p);
		print_message("no large pages\n");
		skip();
	}
	assert_int_equal(kv_seq_reserve(s, 100 * KV_PAGE), 0);
	first = kv_rows(s, 0, 0, 0).keys;
	assert_int_equal((uintptr_t)first % (2u << 20), 0);
	for (uint32_t i = 0; i < 100; i++) {
		uint8_t *page = kv_rows(s, 0, 0, i).keys;

		assert_int_equal((uintptr_t)page % 64, 0);
		for (size_t b = 0; b < kv_page_bytes(p); b += 1000)
			assert_int_equal(page[b], 0);
		memset(page, 'x', kv_page_bytes(p));
	}
	assert_true(large_pages_at(first, ANON) >= 20u << 20);
	kv_seq_free(s);
	kv_pool_free(p);
}

/* Two heads; a state alone; rows that are values as well. */
static const struct kv_shape mixed[] = {
	{ .heads = 2, .key = 32, .value = 64 },
	{ .state = 100 },
	{ .heads = 1, .key = 96, .state = 64 },
};

static void
tracks_are_of_their_own_shapes(void **state)
{
	struct kv_pool *p = kv_pool_of(mixed, 3, TT_F16, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(p), *f;
	struct kv_rows a, b, c;

	assert_int_equal(kv_page_bytes(p), KV_PAGE * (2 * (32 + 64) + 96) * 2);
	assert_int_equal(kv_seq_reserve(s, 2 * KV_PAGE), 0);
	a = kv_rows(s, 0, 1, 1);
	b = kv_rows(s, 1, 0, 1);
	c = kv_rows(s, 2, 0, 1);
	assert_int_equal(a.key, 64);
	assert_int_equal(a.value, 128);
	assert_ptr_equal(
	    a.keys, kv_rows(s, 0, 0, 1).keys + (size_t)KV_PAGE * 64);
	assert_ptr_equal(
	    a.values, kv_rows(s, 0, 0, 1).values + (size_t)KV_PAGE * 128);
	assert_int_equal(b.key, 0);
	assert_int_equal(b.value, 0);
	assert_int_equal(c.key, 192);
	assert_int_equal(c.value, 0);
	assert_ptr_equal(c.keys, a.values + (size_t)KV_PAGE * 128);

	/* Of a page that is copied in part, each row of each track. */
	memset(kv_rows(s, 0, 0, 1).keys, 'x', kv_page_bytes(p));
	f = kv_seq_fork(s, 0);
	kv_seq_free(f);
	kv_seq_leave(s, KV_PAGE + 3);
	f = kv_seq_fork(s, KV_PAGE + 3);
	assert_non_null(f);
	for (uint32_t h = 0; h < 2; h++) {
		a = kv_rows(f, 0, h, 1);
		for (uint32_t i = 0; i < KV_PAGE; i++) {
			assert_int_equal(a.keys[i * a.key], i < 3 ? 'x' : 0);
			assert_int_equal(
			    a.values[i * a.value], i < 3 ? 'x' : 0);
		}
	}
	c = kv_rows(f, 2, 0, 1);
	assert_int_equal(c.keys[3 * c.key - 1], 'x');
	assert_int_equal(c.keys[3 * c.key], 0);
	kv_seq_free(f);
	kv_seq_free(s);
	kv_pool_free(p);
}

/* Of each position, of each fourth, of each 128th. */
static const struct kv_shape sparse[] = {
	{ .heads = 1, .key = 32, .every = 1 },
	{ .heads = 2, .key = 32, .value = 64, .every = 4 },
	{ .heads = 1, .key = 96, .every = 2 * KV_PAGE },
	{ .heads = 1, .key = 32, .every = KV_PAGE },
};

static void
a_row_may_be_of_several_positions(void **state)
{
	struct kv_pool *p = kv_pool_of(sparse, 4, TT_F16, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(p), *f;
	struct kv_rows a, b, c, d;
	const size_t row = 2 * sizeof(uint16_t) * 32;

	assert_int_equal(kv_page_bytes(p),
	    2 * (KV_PAGE * 32 + KV_PAGE / 4 * 2 * (32 + 64) + 96 + 32));
	assert_int_equal(kv_seq_reserve(s, 2 * KV_PAGE), 0);
	a = kv_rows(s, 0, 0, 1);
	b = kv_rows(s, 1, 1, 1);
	c = kv_rows(s, 2, 0, 1);
	d = kv_rows(s, 3, 0, 1);
	assert_ptr_equal(b.keys, a.keys + KV_PAGE * 64 + KV_PAGE / 4 * 64);
	assert_ptr_equal(
	    b.values, a.keys + KV_PAGE * 64 + KV_PAGE / 4 * (2 * 64 + 128));
	assert_ptr_equal(c.keys, b.values + KV_PAGE / 4 * row);
	assert_ptr_equal(d.keys, c.keys + 2 * 96);
	assert_ptr_equal(a.keys + kv_page_bytes(p), d.keys + d.key);

	/* Of a part of a page, rows that later positions have no part in. */
	memset(a.keys, 'x', kv_page_bytes(p));
	f = kv_seq_fork(s, KV_PAGE + 11);
	assert_non_null(f);
	for (uint32_t h = 0; h < 2; h++) {
		b = kv_rows(f, 1, h, 1);
		for (uint32_t i = 0; i < KV_PAGE / 4; i++) {
			assert_int_equal(b.keys[i * b.key], i < 2 ? 'x' : 0);
			assert_int_equal(
			    b.values[i * b.value], i < 2 ? 'x' : 0);
		}
	}
	a = kv_rows(f, 0, 0, 1);
	assert_int_equal(a.keys[10 * a.key], 'x');
	assert_int_equal(a.keys[11 * a.key], 0);
	assert_int_equal(kv_rows(f, 2, 0, 1).keys[0], 0);
	assert_int_equal(kv_rows(f, 3, 0, 1).keys[0], 0);
	kv_seq_free(f);
	f = kv_seq_fork(s, 2 * KV_PAGE);
	assert_ptr_equal(kv_rows(f, 2, 0, 1).keys, c.keys);
	kv_seq_free(f);
	kv_seq_free(s);
	kv_pool_free(p);
}

static void
a_state_is_of_one_place(void **state)
{
	struct kv_pool *p = kv_pool_of(mixed, 3, TT_F16, SIZE_MAX);
	struct kv_seq *s = kv_seq_new(p), *f;
	uint32_t n;
	char *one, *two;

	/* Each track's begins at a multiple of 64. */
	assert_int_equal(kv_state_bytes(p), 192);
	assert_int_equal(kv_seq_reserve(s, 100), 0);
	one = kv_state(s, 1);
	two = kv_state(s, 2);
	assert_int_equal((uintptr_t)one % 64, 0);
	assert_ptr_equal(two, one + 128);
	for (size_t i = 0; i < 192; i++)
		assert_int_equal(one[i], 0);
	assert_true(kv_seq_stands(s, &n));
	assert_int_equal(n, 0);

	kv_seq_enter(s);
	assert_false(kv_seq_stands(s, &n));
	memset(one, 'a', 100);
	memset(two, 'b', 64);
	assert_int_equal(kv_seq_mark(s), -1);
	assert_null(kv_seq_fork(s, 70));
	kv_seq_leave(s, 70);
	assert_true(kv_seq_stands(s, &n));
	assert_int_equal(n, 70);
	assert_null(kv_seq_fork(s, 69));
	f = kv_seq_fork(s, 70);
	assert_non_null(f);
	assert_memory_equal(kv_state(f, 1), one, 100);
	assert_memory_equal(kv_state(f, 2), two, 64);
	assert_ptr_not_equal(kv_state(f, 1), one);
	kv_seq_free(f);

	/* There is no way back. */
	kv_seq_cut(s, 80);
	assert_true(kv_seq_stands(s, &n));
	kv_seq_cut(s, 69);
	assert_false(kv_seq_stands(s, &n));
	assert_null(kv_seq_fork(s, 69));
	/* But to the beginning. */
	kv_seq_cut(s, 0);
	assert_int_equal(kv_seq_reserve(s, 1), 0);
	assert_true(kv_seq_stands(s, &n));
	assert_int_equal(n, 0);
	one = kv_state(s, 1);
	for (size_t i = 0; i < 192; i++)
		assert_int_equal(one[i], 0);
	kv_seq_free(s);
	assert_int_equal(kv_pool_used(p), 0);
	kv_pool_free(p);
}

static void
who_has_the_pages_goes_on_from_a_mark(void **state)
{
	struct kv_pool *p = kv_pool_of(mixed, 3, TT_F16, SIZE_MAX);
	const size_t page = kv_page_bytes(p), all = kv_state_bytes(p);
	struct kv_seq *s = kv_seq_new(p), *f = kv_seq_new(p);
	struct kv_page *held;
	struct kv_state *mark;
	uint32_t n;

	assert_int_equal(kv_seq_reserve(s, 2 * KV_PAGE), 0);
	assert_int_equal(kv_seq_mark(s), -1); /* of nothing */
	memset(kv_state(s, 1), 'a', 100);
	kv_seq_leave(s, KV_PAGE + 1);
	assert_int_equal(kv_seq_mark(s), -1); /* in a page */
	assert_null(kv_seq_marked(s, &n));
	kv_seq_leave(s, KV_PAGE);
	assert_int_equal(kv_seq_mark(s), 0);
	mark = kv_seq_marked(s, &n);
	assert_non_null(mark);
	assert_int_equal(n, KV_PAGE);
	assert_int_equal(kv_seq_mark(s), 0);
	assert_ptr_equal(kv_seq_marked(s, &n), mark);
	assert_int_equal(kv_pool_used(p), 2 * page + 2 * all);

	/* What comes later does not change it. */
	kv_seq_enter(s);
	memset(kv_state(s, 1), 'b', 100);
	kv_seq_leave(s, 2 * KV_PAGE);
	assert_int_equal(*(char *)kv_state_data(mark), 'a');

	held = kv_page_hold(s, 0);
	kv_seq_append(f, held);
	kv_page_drop(p, held);
	assert_int_equal(kv_seq_resume(f, mark, KV_PAGE), 0);
	assert_true(kv_seq_stands(f, &n));
	assert_int_equal(n, KV_PAGE);
	assert_int_equal(*(char *)kv_state(f, 1), 'a');
	assert_ptr_equal(kv_seq_marked(f, &n), mark);
	memset(kv_state(f, 1), 'c', 100);
	assert_int_equal(*(char *)kv_state_data(mark), 'a');

	/* A later one takes its place; who holds it, has it. */
	assert_int_equal(kv_seq_mark(s), 0);
	assert_ptr_not_equal(kv_seq_marked(s, &n), mark);
	assert_int_equal(n, 2 * KV_PAGE);
	kv_seq_free(s);
	assert_int_equal(*(char *)kv_state_data(mark), 'a');
	kv_seq_free(f);
	assert_int_equal(kv_pool_used(p), 0);
	kv_pool_free(p);
}

static void
states_are_within_the_budget(void **state)
{
	struct kv_pool *p = kv_pool_of(mixed, 3, TT_F16, 0);
	const size_t page = kv_page_bytes(p), all = kv_state_bytes(p);
	struct kv_seq *s, *f;
	struct kv_state *more;

	kv_pool_free(p);
	p = kv_pool_of(mixed, 3, TT_F16, page + 2 * all - 1);
	s = kv_seq_new(p);
	assert_int_equal(kv_seq_reserve(s, KV_PAGE), 0);
	assert_int_equal(kv_pool_used(p), page + all);
	kv_seq_leave(s, KV_PAGE);
	assert_int_equal(kv_seq_mark(s), -1);
	assert_null(kv_state_new(p));
	assert_null(kv_seq_fork(s, KV_PAGE));
	kv_seq_free(s);
	assert_int_equal(kv_pool_used(p), 0);
	more = kv_state_new(p);
	assert_non_null(more);
	f = kv_seq_new(p);
	assert_int_equal(kv_seq_reserve(f, 1), -1);
	assert_int_equal(kv_seq_resume(f, more, 0), -1);
	kv_seq_free(f);
	kv_state_drop(p, more);
	kv_state_drop(p, NULL);
	assert_int_equal(kv_pool_used(p), 0);
	kv_pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_budget_is_kept_and_pages_come_back_empty),
		cmocka_unit_test(
		    pages_are_cleared_one_at_a_time_and_only_if_they_were_used),
		cmocka_unit_test(pages_are_mapped_in_large_ones),
		cmocka_unit_test(tracks_are_of_their_own_shapes),
		cmocka_unit_test(a_row_may_be_of_several_positions),
		cmocka_unit_test(a_state_is_of_one_place),
		cmocka_unit_test(who_has_the_pages_goes_on_from_a_mark),
		cmocka_unit_test(states_are_within_the_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
