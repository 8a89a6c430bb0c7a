/*
 * Whose prompt is next.
 */
#include "inferd/sched.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compat.h"

#define ALICE 1u
#define BOB 2u
#define CAROL 3u

struct prompt {
	struct sched_job job;
	uint32_t rows; /* still to be sent */
};

static struct prompt *
prompt_of(struct sched_job *j)
{
	return (struct prompt *)j;
}

static void
add(struct sched *s, struct prompt *p, uint32_t agent, bool front,
    uint32_t rows)
{
	*p = (struct prompt){ .rows = rows };
	sched_add(s, &p->job, agent, front);
}

/* One slice; who it was, or NULL. */
static struct prompt *
slice(struct sched *s)
{
	struct sched_job *j = sched_pick(s);
	struct prompt *p = prompt_of(j);
	uint32_t n;

	if (j == NULL)
		return NULL;
	n = p->rows < SCHED_QUANTUM ? p->rows : SCHED_QUANTUM;
	p->rows -= n;
	sched_start(s, j);
	sched_slice(s, j, n, p->rows > 0);
	return p;
}

/* The same of one that ends with its prompt. */
static struct prompt *
slice_and_end(struct sched *s)
{
	struct prompt *p = slice(s);

	if (p != NULL && p->rows == 0)
		sched_remove(s, &p->job);
	return p;
}

static void
many_long_prompts_of_one_agent_hold_up_another_by_its_quanta(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt a[50], b;
	uint32_t slices = 0;

	for (size_t i = 0; i < nitems(a); i++)
		add(s, &a[i], ALICE, false, 20000);
	for (int i = 0; i < 5; i++)
		slice(s);
	add(s, &b, BOB, false, 10 * SCHED_QUANTUM);
	while (b.rows > 0) {
		assert_non_null(slice(s));
		slices++;
	}
	/* Every second one is Bob's. */
	assert_in_range(slices, 10, 21);
	sched_remove(s, &b.job);
	for (size_t i = 0; i < nitems(a); i++)
		sched_remove(s, &a[i].job);
	sched_free(s);
}

static void
agents_get_equal_shares_whatever_they_bring(void **state)
{
	struct sched *s = sched_new(4);
	struct prompt a[20], b[3], c;
	uint32_t rows[4] = { 0 };

	for (size_t i = 0; i < nitems(a); i++)
		add(s, &a[i], ALICE, false, 1000000);
	for (size_t i = 0; i < nitems(b); i++)
		add(s, &b[i], BOB, false, 1000000);
	add(s, &c, CAROL, false, 1000000);
	for (int i = 0; i < 300; i++) {
		struct prompt *p = slice(s);

		rows[p == &c ? CAROL : p >= a && p < a + 20 ? ALICE : BOB]++;
	}
	assert_in_range(rows[ALICE], 99, 101);
	assert_in_range(rows[BOB], 99, 101);
	assert_in_range(rows[CAROL], 99, 101);
	for (size_t i = 0; i < nitems(a); i++)
		sched_remove(s, &a[i].job);
	for (size_t i = 0; i < nitems(b); i++)
		sched_remove(s, &b[i].job);
	sched_remove(s, &c.job);
	sched_free(s);
}

static void
prompts_of_one_agent_go_in_order(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt a[6];

	for (size_t i = 0; i < nitems(a); i++)
		add(s, &a[i], ALICE, false, 200);
	for (size_t i = 0; i < nitems(a); i++) {
		assert_ptr_equal(slice_and_end(s), &a[i]);
		assert_ptr_equal(slice_and_end(s), &a[i]);
	}
	assert_null(slice(s));
	sched_free(s);
}

static void
what_somebody_waits_for_goes_first_and_nothing_starves(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt front[40], back, own;
	uint32_t slices = 0;

	add(s, &back, BOB, false, 100 * SCHED_QUANTUM);
	assert_ptr_equal(slice(s), &back);
	for (size_t i = 0; i < nitems(front); i++)
		add(s, &front[i], ALICE, true, 1000000);
	add(s, &own, ALICE, false, 100 * SCHED_QUANTUM);
	assert_ptr_not_equal(slice(s), &back);
	while (back.rows > 98 * SCHED_QUANTUM) {
		struct prompt *p = slice(s);

		assert_non_null(p);
		slices++;
	}
	assert_in_range(slices, SCHED_AGE / 2, 2 * SCHED_AGE + 4);
	/* Nor does what the same agent has in the background. */
	for (slices = 0; own.rows > 96 * SCHED_QUANTUM; slices++)
		assert_non_null(slice(s));
	assert_in_range(slices, SCHED_AGE, 6 * SCHED_AGE);
	for (size_t i = 0; i < nitems(front); i++)
		sched_remove(s, &front[i].job);
	sched_remove(s, &back.job);
	sched_remove(s, &own.job);
	sched_free(s);
}

static void
an_agent_without_a_slot_may_have_one_beyond_them(void **state)
{
	struct sched *s = sched_new(2);
	struct prompt a[4], b[2], c, d, e;

	for (size_t i = 0; i < nitems(a); i++)
		add(s, &a[i], ALICE, false, 10);
	/* Their prompts are done; they go on to decode in their slots. */
	assert_ptr_equal(slice(s), &a[0]);
	assert_ptr_equal(slice(s), &a[1]);
	assert_null(slice(s));
	assert_int_equal(sched_position(s, &a[1].job), 0);
	assert_int_equal(sched_position(s, &a[2].job), 1);
	assert_int_equal(sched_position(s, &a[3].job), 2);
	for (size_t i = 0; i < nitems(b); i++)
		add(s, &b[i], BOB, false, 10);
	assert_ptr_equal(slice(s), &b[0]);
	assert_null(slice(s));
	add(s, &c, CAROL, false, 10);
	assert_ptr_equal(slice(s), &c);
	/* These have an end, too. */
	add(s, &d, 4, false, 10);
	assert_null(slice(s));
	assert_int_equal(sched_started(s), 4);
	sched_remove(s, &a[0].job);
	assert_ptr_equal(slice(s), &d);
	sched_remove(s, &a[1].job);
	sched_remove(s, &b[0].job);
	sched_remove(s, &c.job);
	/* One slot is taken; two are ordinary. */
	assert_ptr_equal(slice(s), &a[2]);
	add(s, &e, 5, true, 10);
	assert_ptr_equal(slice(s), &e);
	sched_remove(s, &a[2].job);
	sched_remove(s, &a[3].job);
	sched_remove(s, &b[1].job);
	sched_remove(s, &d.job);
	sched_remove(s, &e.job);
	sched_free(s);
}

static void
what_is_decoded_counts_within_a_bound(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt a, decoding, b;
	uint32_t alice = 0;

	add(s, &decoding, ALICE, false, 1);
	slice(s);
	add(s, &a, ALICE, false, 1000000);
	add(s, &b, BOB, false, 1000000);
	for (int i = 0; i < 300; i++) {
		sched_charge(&decoding.job, SCHED_QUANTUM / 2);
		alice += slice(s) == &a;
	}
	/* Of three rows that both cause, Alice has one decoded already. */
	assert_in_range(alice, 60, 110);
	/* However much it was, the debt is paid soon. */
	for (int i = 0; i < 100000; i++)
		sched_charge(&decoding.job, 1000);
	for (alice = 0; slice(s) != &a; alice++)
		;
	assert_in_range(alice, 1, SCHED_DEBT / SCHED_QUANTUM + 2);
	sched_remove(s, &a.job);
	sched_remove(s, &b.job);
	sched_remove(s, &decoding.job);
	sched_free(s);
}

/* Slices of `others` until p has one. */
static unsigned
slices_until(struct sched *s, const struct prompt *p)
{
	unsigned n = 0;

	while (slice(s) != p)
		n++;
	return n;
}

static void
who_goes_away_in_debt_comes_back_in_debt(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt a, b;

	add(s, &a, ALICE, true, 1000000);
	add(s, &b, BOB, true, 1000000);
	sched_charge(&b.job, SCHED_DEBT);
	sched_remove(s, &b.job);
	add(s, &b, BOB, true, 1000000);
	assert_in_range(
	    slices_until(s, &b), SCHED_DEBT / SCHED_QUANTUM - 1, 100);
	/* What others had in the meantime pays it off. */
	sched_charge(&b.job, SCHED_DEBT);
	sched_remove(s, &b.job);
	for (unsigned i = 0; i < 2 * SCHED_DEBT / SCHED_QUANTUM; i++)
		assert_ptr_equal(slice(s), &a);
	add(s, &b, BOB, true, 1000000);
	assert_in_range(slices_until(s, &b), 0, 2);
	/* Nobody is owed anything when nobody wants anything. */
	sched_charge(&b.job, SCHED_DEBT);
	sched_remove(s, &b.job);
	sched_remove(s, &a.job);
	assert_null(sched_pick(s));
	add(s, &a, ALICE, true, 1000000);
	add(s, &b, BOB, true, 1000000);
	assert_in_range(slices_until(s, &b), 0, 1);
	sched_charge(&b.job, SCHED_DEBT);
	sched_remove(s, &b.job);
	sched_remove(s, &a.job);
	sched_free(s);
}

static void
who_has_drawn_long_rests_when_it_comes_back(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt a, b;

	add(s, &a, ALICE, true, 100);
	add(s, &b, BOB, true, 100);
	slice(s);
	slice(s);
	sched_drew(&b.job, 10 * SCHED_DRAW_US);
	assert_true(sched_rests(s, &b.job));
	sched_remove(s, &b.job);
	assert_ptr_equal(sched_pick(s), NULL);
	add(s, &b, BOB, true, 100);
	slice(s);
	assert_true(sched_rests(s, &b.job));
	sched_remove(s, &b.job);
	for (int i = 0; i < 30; i++)
		sched_passed(s, SCHED_DRAW_US);
	add(s, &b, BOB, true, 100);
	slice(s);
	assert_false(sched_rests(s, &b.job));
	sched_remove(s, &a.job);
	sched_remove(s, &b.job);
	sched_free(s);
}

static void
what_cannot_start_is_passed_over_until_something_has_ended(void **state)
{
	struct sched *s = sched_new(8);
	struct prompt a, b;

	add(s, &a, ALICE, false, 1000);
	add(s, &b, BOB, false, 1000);
	assert_ptr_equal(sched_pick(s), &a.job);
	sched_block(&a.job);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(slice(s), &b);
	assert_int_equal(sched_hungry_agents(s), 1);
	sched_unblock(s);
	assert_int_equal(sched_hungry_agents(s), 2);
	assert_ptr_equal(slice(s), &a);
	/* One that had to give up its slot begins anew. */
	sched_put_back(s, &b.job);
	assert_int_equal(sched_started(s), 1);
	assert_int_equal(sched_position(s, &b.job), 1);
	b.rows = 100;
	assert_ptr_equal(slice(s), &b);
	sched_remove(s, &a.job);
	sched_remove(s, &b.job);
	sched_free(s);
}

static void
who_draws_long_rests_while_others_have_not(void **state)
{
	struct sched *s = sched_new(4);
	struct prompt a, b;

	add(s, &a, ALICE, true, 10);
	assert_ptr_equal(slice(s), &a);
	sched_drew(&a.job, 5 * SCHED_DRAW_US);
	/* Nobody is there whom it would hold up. */
	assert_false(sched_rests(s, &a.job));
	add(s, &b, BOB, true, 10);
	assert_false(sched_rests(s, &a.job));
	assert_ptr_equal(slice(s), &b);
	assert_true(sched_rests(s, &a.job));
	assert_false(sched_rests(s, &b.job));
	/* Each has half of what passes. */
	sched_passed(s, 6 * SCHED_DRAW_US);
	assert_true(sched_rests(s, &a.job));
	sched_passed(s, 2 * SCHED_DRAW_US);
	assert_false(sched_rests(s, &a.job));
	/* What both do is nobody's fault. */
	for (int i = 0; i < 100; i++) {
		sched_drew(&a.job, SCHED_DRAW_US);
		sched_drew(&b.job, SCHED_DRAW_US);
	}
	assert_false(sched_rests(s, &a.job));
	assert_false(sched_rests(s, &b.job));
	sched_remove(s, &a.job);
	sched_remove(s, &b.job);
	sched_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    many_long_prompts_of_one_agent_hold_up_another_by_its_quanta),
		cmocka_unit_test(agents_get_equal_shares_whatever_they_bring),
		cmocka_unit_test(prompts_of_one_agent_go_in_order),
		cmocka_unit_test(
		    what_somebody_waits_for_goes_first_and_nothing_starves),
		cmocka_unit_test(
		    an_agent_without_a_slot_may_have_one_beyond_them),
		cmocka_unit_test(what_is_decoded_counts_within_a_bound),
		cmocka_unit_test(
		    what_cannot_start_is_passed_over_until_something_has_ended),
		cmocka_unit_test(who_draws_long_rests_while_others_have_not),
		cmocka_unit_test(who_goes_away_in_debt_comes_back_in_debt),
		cmocka_unit_test(who_has_drawn_long_rests_when_it_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
