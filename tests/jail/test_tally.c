/*
 * The counts of allowed executions: whatever comes in is told, in records or
 * in counts.
 */
#include "daemon/shim_tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"

struct told {
	uint64_t count;
	unsigned int records;
	bool down;
};

static int
tell(const struct buf *fields, uint32_t nfields, uint64_t count, void *arg)
{
	struct told *told = arg;

	assert_int_equal(nfields, 1);
	assert_true(buf_len(fields) > 0);
	if (told->down)
		return -1;
	told->count += count;
	told->records++;
	return 0;
}

static void
put(struct audit_ev *e, unsigned int i)
{
	char text[32];

	audit_ev_init(e, "EX101", "exec.decide", 1, false);
	snprintf(text, sizeof(text), "%u", i);
	audit_ev_str(e, "obj.exe", text);
}

static bool
repeats(struct tally *t, unsigned int i)
{
	struct audit_ev e;
	bool r;

	put(&e, i);
	r = tally_repeats(t, &e);
	audit_ev_free(&e);
	return r;
}

static void
repetitions_are_counted_and_told(void **state)
{
	struct ev *ev = ev_new();
	struct told told = { 0 };
	struct tally *t = tally_new(ev, tell, &told);
	uint64_t now = 0;

	for (unsigned int i = 0; i < 3000; i++)
		now += !repeats(t, i % 3);
	assert_int_equal(now, 3);
	assert_int_equal(told.count, 0);
	/* By the clock. */
	for (int i = 0; i < 30 && told.count == 0; i++)
		ev_once(ev, 100);
	assert_int_equal(told.count, 2997);
	assert_int_equal(told.records, 3);
	/* And again from the start. */
	assert_false(repeats(t, 0));
	tally_free(t);
	ev_free(ev);
}

static void
more_kinds_than_fit_are_told_early(void **state)
{
	struct ev *ev = ev_new();
	struct told told = { 0 };
	struct tally *t = tally_new(ev, tell, &told);
	uint64_t now = 0;

	for (unsigned int i = 0; i < 10 * TALLY_KINDS; i++) {
		now += !repeats(t, i);
		now += !repeats(t, i);
	}
	tally_tell(t);
	assert_int_equal(now + told.count, 20 * TALLY_KINDS);
	assert_int_equal(told.count, 10 * TALLY_KINDS);
	tally_free(t);
	ev_free(ev);
}

static void
counts_that_cannot_be_told_are_kept(void **state)
{
	struct ev *ev = ev_new();
	struct told told = { .down = true };
	struct tally *t = tally_new(ev, tell, &told);
	struct audit_ev e;
	unsigned int taken = 0;

	for (unsigned int i = 0; i < 2 * TALLY_KINDS; i++) {
		put(&e, i);
		taken += tally_count(t, &e) == 0;
		audit_ev_free(&e);
	}
	/* The rest was refused, so that nobody runs uncounted. */
	assert_int_equal(taken, TALLY_KINDS);
	tally_tell(t);
	assert_int_equal(told.count, 0);
	told.down = false;
	tally_tell(t);
	assert_int_equal(told.count, taken);
	tally_free(t);
	ev_free(ev);
}

static void
the_budget_of_records_ends(void **state)
{
	struct ev *ev = ev_new();
	struct told told = { 0 };
	struct tally *t = tally_new(ev, tell, &told);
	unsigned int n = 0;

	while (tally_budget(t) && n < 2 * TALLY_BURST)
		n++;
	assert_true(n >= TALLY_BURST && n < TALLY_BURST + 1000);
	tally_free(t);
	ev_free(ev);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repetitions_are_counted_and_told),
		cmocka_unit_test(more_kinds_than_fit_are_told_early),
		cmocka_unit_test(counts_that_cannot_be_told_are_kept),
		cmocka_unit_test(the_budget_of_records_ends),
	};

	log_init("test", LOG_LEVEL_WARN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
