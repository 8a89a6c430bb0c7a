/*
 * What has been used is found again by the name of who used it.
 */
#include "inferd/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMES 500u
#define TURNS 40000u
#define NEVER UINT64_MAX

static bool
put(struct ledger *l, unsigned who, uint64_t tokens, uint64_t over_ms,
    uint64_t now_ms)
{
	const struct ledger_use u = { .tokens = tokens, .over_ms = over_ms };
	char name[32];

	snprintf(name, sizeof(name), "uid:%u", who);
	return ledger_put(l, name, &u, now_ms);
}

/* What it has used; 0: it is not there. */
static uint64_t
take(struct ledger *l, unsigned who)
{
	struct ledger_use u = { 0 };
	char name[32];

	snprintf(name, sizeof(name), "uid:%u", who);
	return ledger_take(l, name, &u) ? u.tokens : 0;
}

static void
what_is_put_in_comes_out_once(void **state)
{
	const struct ledger_use in = { 1, 2, 3, 4 };
	struct ledger *l = ledger_new(10);
	struct ledger_use out;

	assert_false(ledger_take(l, "anna", &out));
	assert_true(ledger_put(l, "anna", &in, 0));
	assert_false(ledger_take(l, "bert", &out));
	assert_true(ledger_take(l, "anna", &out));
	assert_memory_equal(&in, &out, sizeof(in));
	assert_false(ledger_take(l, "anna", &out));
	assert_int_equal(ledger_count(l), 0);
	ledger_free(l);
}

static void
any_order_of_coming_and_going_is_fine(void **state)
{
	struct ledger *l = ledger_new(NAMES);
	uint64_t has[NAMES] = { 0 }, seed = 1;
	size_t n = 0;

	for (unsigned i = 1; i <= TURNS; i++) {
		unsigned who;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		who = (unsigned)(seed >> 33) % NAMES;
		if (has[who] == 0) {
			assert_true(put(l, who, i, NEVER, 0));
			has[who] = i;
			n++;
		} else {
			assert_int_equal(take(l, who), has[who]);
			has[who] = 0;
			n--;
		}
		assert_int_equal(ledger_count(l), n);
	}
	for (unsigned i = 0; i < NAMES; i++)
		assert_int_equal(take(l, i), has[i]);
	assert_int_equal(ledger_count(l), 0);
	ledger_free(l);
}

static void
when_it_is_full_what_is_over_makes_room_and_nothing_else(void **state)
{
	struct ledger *l = ledger_new(100);

	for (unsigned i = 0; i < 100; i++)
		assert_true(put(l, i, 1 + i, i < 50 ? 1000 : NEVER, 10));
	assert_false(put(l, 100, 1, NEVER, 999));
	assert_int_equal(ledger_count(l), 100);
	assert_true(put(l, 100, 1, NEVER, 1000));
	assert_int_equal(ledger_count(l), 51);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(take(l, i), i < 50 ? 0 : 1 + i);
	/* What is over is not written down at all. */
	assert_true(put(l, 7, 1, 1000, 1000));
	assert_int_equal(take(l, 7), 0);
	ledger_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_in_comes_out_once),
		cmocka_unit_test(any_order_of_coming_and_going_is_fine),
		cmocka_unit_test(
		    when_it_is_full_what_is_over_makes_room_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
