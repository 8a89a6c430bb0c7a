/*
 * Whose request is looked at next: connections that are none, which note when
 * it is their turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/server_int.h"

#define CALLERS 8u
#define LONG_MS 15u /* more than turns may take together */

struct conn {
	struct caller *k;
	char name;  /* of its agent */
	bool again; /* it asks once more at once */
	bool slow;
	unsigned turns;
};

struct world {
	struct ev *ev;
	struct server s;
	struct agent agent[3]; /* a, b, c */
	struct caller k[CALLERS];
	struct conn conn[CALLERS];
	size_t n;
	char order[64]; /* whose turns there were */
	size_t norder;
};

static struct world w;
static const struct conn_request with_body = { .body = "{}", .n = 2 };

/* What inferd/conn.c has: the callback for requests. */
void
conn_request(struct conn *c)
{
	const uint64_t until = ev_now_ms() + LONG_MS;

	c->turns++;
	assert_true(w.norder < sizeof(w.order) - 1);
	w.order[w.norder++] = c->name;
	while (c->slow && ev_now_ms() < until)
		;
	/* It has been waiting, and is let. */
	assert_true(turn_now(c->k, &with_body));
	if (c->again)
		assert_false(turn_now(c->k, &with_body));
}

static int
start(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	w.ev = ev_new();
	w.s.ev = w.ev;
	w.s.turns = ev_timer_new(w.ev, turn_next, &w.s);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	ev_timer_free(w.s.turns);
	ev_free(w.ev);
	return 0;
}

/* A new connection of an agent; the newest is the first of the list. */
static struct conn *
dial(char name)
{
	struct caller *k = &w.k[w.n];
	struct conn *c = &w.conn[w.n++];

	assert_true(w.n <= CALLERS);
	*c = (struct conn){ .k = k, .name = name };
	*k = (struct caller){ .s = &w.s,
		.conn = c,
		.agent = &w.agent[name - 'a'],
		.next = w.s.callers };
	w.s.callers = k;
	return c;
}

static void
ask(struct conn *c)
{
	assert_false(turn_now(c->k, &with_body));
}

static void
one_round(void)
{
	ev_once(w.ev, 1000);
}

static bool
anybody_waits(void)
{
	for (const struct caller *k = w.s.callers; k != NULL; k = k->next)
		if (k->waits)
			return true;
	return false;
}

static void
go_on(void)
{
	while (anybody_waits())
		one_round();
}

static void
what_has_no_body_does_not_wait(void **state)
{
	const struct conn_request get = { .n = 0 };
	struct conn *c = dial('a');

	(void)state;
	assert_true(turn_now(c->k, &get));
	assert_false(c->k->waits);
	assert_false(turn_now(c->k, &with_body));
	go_on();
	assert_string_equal(w.order, "a");
	/* Each request waits for a turn of its own. */
	assert_false(turn_now(c->k, &with_body));
}

static void
agents_take_turns_whatever_they_bring(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++)
		ask(dial('a'));
	ask(dial('b'));
	ask(dial('b'));
	ask(dial('c'));
	go_on();
	assert_string_equal(w.order, "abcabaa");
}

static void
who_had_a_turn_waits_for_the_others_later_too(void **state)
{
	struct conn *a = dial('a'), *b = dial('b'), *c = dial('c');

	(void)state;
	ask(b);
	go_on();
	ask(a);
	go_on();
	ask(a);
	ask(b);
	ask(c);
	go_on();
	assert_string_equal(w.order, "bacba");
}

/* Whatever the order of the list. */
static void
of_one_agent_who_waits_longest_is_next(void **state)
{
	struct conn *old = dial('a'), *young = dial('a');
	unsigned i;

	(void)state;
	ask(young);
	ask(old);
	young->slow = old->slow = true;
	one_round();
	assert_int_equal(young->turns, 1);
	assert_int_equal(old->turns, 0);
	one_round();
	assert_int_equal(old->turns, 1);
	/* One that always asks again keeps nobody waiting. */
	old->again = true;
	ask(old);
	ask(young);
	for (i = 0; i < 3 && young->turns < 2; i++)
		one_round();
	assert_int_equal(young->turns, 2);
}

static void
everything_else_goes_on_between_long_ones(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct conn *c = dial((char)('a' + i));

		c->slow = true;
		ask(c);
	}
	for (i = 1; i <= 3; i++) {
		one_round();
		assert_int_equal(w.norder, i);
	}
	/* And none of them is called without having asked. */
	turn_next(&w.s);
	assert_int_equal(w.norder, 3);
}

static void
who_is_gone_has_no_turn(void **state)
{
	struct conn *first = dial('a'), *gone = dial('b');

	(void)state;
	ask(first);
	ask(gone);
	/* As on_closed() does it. */
	w.s.callers = gone->k->next;
	go_on();
	assert_string_equal(w.order, "a");
	assert_int_equal(gone->turns, 0);
}

int
main(void)
{
#define TURNS_TEST(f) cmocka_unit_test_setup_teardown(f, start, end)
	const struct CMUnitTest tests[] = {
		TURNS_TEST(what_has_no_body_does_not_wait),
		TURNS_TEST(agents_take_turns_whatever_they_bring),
		TURNS_TEST(who_had_a_turn_waits_for_the_others_later_too),
		TURNS_TEST(of_one_agent_who_waits_longest_is_next),
		TURNS_TEST(everything_else_goes_on_between_long_ones),
		TURNS_TEST(who_is_gone_has_no_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
