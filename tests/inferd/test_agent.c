/*
 * Agents and what they may use.
 */
#include "inferd/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOON 43200000u

static void
an_agent_is_one_by_its_name(void **state)
{
	const struct agent_budget none = { 0 };
	struct agents *a = agents_new(&none);
	struct agent *x = agents_find(a, "job:70001/claude"),
		     *y = agents_find(a, "job:70002/claude");

	assert_non_null(x);
	assert_ptr_equal(agents_find(a, "job:70001/claude"), x);
	assert_int_not_equal(x->space, y->space);
	assert_int_not_equal(x->space, 0);
	assert_ptr_equal(agents_get(a, 1), y);
	assert_null(agents_get(a, 2));
	agents_free(a);
}

static void
what_is_no_name_is_no_agent(void **state)
{
	const struct agent_budget none = { 0 };
	struct agents *a = agents_new(&none);
	char name[AGENT_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_null(agents_find(a, name));
	name[AGENT_NAME_MAX] = '\0';
	assert_non_null(agents_find(a, name));
	assert_null(agents_find(a, ""));
	assert_null(agents_find(a, "two words"));
	assert_null(agents_find(a, "line\n"));
	assert_null(agents_find(a, "caf\xc3\xa9"));
	for (unsigned i = 1; i < AGENTS_MAX; i++) {
		snprintf(name, sizeof(name), "uid:%u", i);
		assert_non_null(agents_find(a, name));
	}
	assert_null(agents_find(a, "one-more"));
	assert_non_null(agents_find(a, "uid:17"));
	agents_free(a);
}

struct gone {
	uint32_t space, times;
};

static void
on_gone(uint32_t space, void *arg)
{
	struct gone *g = arg;

	g->space = space;
	g->times++;
}

/* As many as there can be: uid:0, uid:1 and so on. */
static void
fill(struct agents *a)
{
	char name[32];

	for (unsigned i = 0; i < AGENTS_MAX; i++) {
		snprintf(name, sizeof(name), "uid:%u", i);
		assert_non_null(agents_find(a, name));
	}
}

static void
who_came_longest_ago_makes_room(void **state)
{
	const struct agent_budget b = { .tokens = 1000, .window_s = 60 };
	struct agents *a = agents_new(&b);
	struct gone gone = { 0 };
	struct agent *x;

	agents_on_gone(a, on_gone, &gone);
	fill(a);
	agents_find(a, "uid:0")->open = 1;
	agents_find(a, "uid:1")->held = 1;
	assert_null(agents_find(a, "new"));
	agents_make_room(a, NOON);
	assert_int_equal(gone.times, 1);
	assert_int_equal(gone.space, 3);
	/* There is room now. */
	agents_make_room(a, NOON);
	assert_int_equal(gone.times, 1);
	x = agents_find(a, "uid:2");
	assert_int_equal(x->space, AGENTS_MAX + 1);
	/* Nobody who is there goes. */
	for (uint32_t i = 0; (x = agents_get(a, i)) != NULL; i++)
		x->held = 1;
	agents_make_room(a, NOON);
	assert_int_equal(gone.times, 1);
	assert_null(agents_find(a, "new"));
	agents_free(a);
}

/* Forget uid:0, who came first, and have it back. */
static struct agent *
forgotten(const struct agent_budget *b, struct agents **a, uint64_t tokens,
    uint64_t cpu_us)
{
	struct gone gone = { 0 };

	*a = agents_new(b);
	agents_on_gone(*a, on_gone, &gone);
	fill(*a);
	agent_charge(agents_get(*a, 0), NOON, tokens, cpu_us);
	agents_make_room(*a, NOON + 1);
	assert_int_equal(gone.space, 1);
	assert_non_null(agents_find(*a, "new"));
	agents_make_room(*a, NOON + 1);
	assert_int_equal(gone.times, 2);
	return agents_find(*a, "uid:0");
}

static void
who_comes_back_has_used_what_it_had(void **state)
{
	const struct agent_budget once = { .tokens = 1000 },
				  minute = { .tokens = 1000, .window_s = 60 },
				  cpu = { .cpu_ms = 1000, .window_s = 60 };
	struct error err = { 0 };
	struct agents *a;
	struct agent *g;
	uint32_t retry;

	g = forgotten(&once, &a, 600, 0);
	assert_int_equal(g->tokens, 600);
	assert_int_equal(agent_admit(g, NOON + 2, 401, &retry, &err), -1);
	assert_int_equal(agent_admit(g, NOON + 2, 400, &retry, &err), 0);
	agents_free(a);
	/* A window goes on where it was. */
	g = forgotten(&minute, &a, 600, 0);
	assert_int_equal(agent_admit(g, NOON + 59999, 401, &retry, &err), -1);
	assert_int_equal(retry, 1);
	assert_int_equal(agent_admit(g, NOON + 60000, 1000, &retry, &err), 0);
	agents_free(a);
	g = forgotten(&cpu, &a, 600, 1000000);
	assert_true(agent_is_spent(g, NOON + 59999));
	assert_false(agent_is_spent(g, NOON + 60000));
	agents_free(a);
	/* Nobody else has. */
	g = forgotten(&once, &a, 0, 0);
	assert_int_equal(g->tokens, 0);
	assert_int_equal(agents_find(a, "new")->tokens, 0);
	agents_free(a);
}

static void
tokens_of_a_window_run_out_and_come_back(void **state)
{
	const struct agent_budget b = { .tokens = 1000, .window_s = 60 };
	struct agents *a = agents_new(&b);
	struct agent *g = agents_find(a, "uid:1");
	struct error err = { 0 };
	uint64_t tokens, cpu_us;
	uint32_t retry = 9;

	assert_int_equal(agent_admit(g, NOON, 1000, &retry, &err), 0);
	agent_charge(g, NOON + 5000, 600, 0);
	agent_left(g, NOON + 5000, &tokens, &cpu_us);
	assert_int_equal(tokens, 400);
	assert_true(cpu_us == UINT64_MAX);
	assert_int_equal(agent_admit(g, NOON + 5000, 400, &retry, &err), 0);
	assert_int_equal(agent_admit(g, NOON + 15000, 401, &retry, &err), -1);
	assert_int_equal(retry, 45);
	assert_non_null(strstr(err.msg, "600"));
	assert_non_null(strstr(err.msg, "1000"));
	assert_false(agent_is_spent(g, NOON + 15000));
	agent_charge(g, NOON + 15000, 400, 0);
	assert_true(agent_is_spent(g, NOON + 59999));
	assert_int_equal(agent_admit(g, NOON + 59999, 1, &retry, &err), -1);
	assert_int_equal(retry, 1);
	assert_false(agent_is_spent(g, NOON + 60000));
	assert_int_equal(agent_admit(g, NOON + 60000, 1000, &retry, &err), 0);
	/* More than there ever is. */
	assert_int_equal(agent_admit(g, NOON + 60000, 1001, &retry, &err), -1);
	assert_int_equal(retry, 0);
	agents_free(a);
}

static void
processor_time_and_requests_have_an_end(void **state)
{
	const struct agent_budget b = { .cpu_ms = 500, .requests = 2 };
	struct agents *a = agents_new(&b);
	struct agent *g = agents_find(a, "uid:1");
	struct error err = { 0 };
	uint32_t retry = 9;

	g->open = 1;
	agent_charge(g, NOON, 1000000, 499999);
	assert_int_equal(agent_admit(g, NOON, 1000000, &retry, &err), 0);
	g->open = 2;
	assert_int_equal(agent_admit(g, NOON, 1, &retry, &err), -1);
	assert_int_equal(retry, 1);
	g->open = 0;
	agent_charge(g, NOON, 0, 1);
	assert_true(agent_is_spent(g, NOON));
	assert_int_equal(agent_admit(g, NOON, 1, &retry, &err), -1);
	/* A budget without a window is used once. */
	assert_int_equal(retry, 0);
	assert_true(agent_is_spent(g, (uint64_t)1 << 40));
	agents_free(a);
}

static void
without_a_budget_there_is_no_end(void **state)
{
	const struct agent_budget none = { 0 };
	struct agents *a = agents_new(&none);
	struct agent *g = agents_find(a, "uid:1");
	struct error err = { 0 };
	uint32_t retry = 0;

	agent_charge(g, NOON, UINT32_MAX, UINT32_MAX);
	g->open = 1000;
	assert_int_equal(agent_admit(g, NOON, UINT32_MAX, &retry, &err), 0);
	assert_false(agent_is_spent(g, NOON));
	agents_free(a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_agent_is_one_by_its_name),
		cmocka_unit_test(what_is_no_name_is_no_agent),
		cmocka_unit_test(who_came_longest_ago_makes_room),
		cmocka_unit_test(who_comes_back_has_used_what_it_had),
		cmocka_unit_test(tokens_of_a_window_run_out_and_come_back),
		cmocka_unit_test(processor_time_and_requests_have_an_end),
		cmocka_unit_test(without_a_budget_there_is_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
