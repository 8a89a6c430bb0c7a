/*
 * Two agents with texts that are nobody else's: neither what the one has asked
 * nor that it has been asked is to be seen by the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/asked.h"
#include "inferd/kv.h"
#include "tests/inferd/tenants.h"

#define SECRET 1u
#define NOBODYS 100u /* and on: texts that nobody has asked before */
#define LONG 300u
#define SHORT 70u
#define TRIES 100u

static struct tenants t;

static struct answer
ask_public(const char *agent, uint32_t text, uint32_t n, uint32_t npublic)
{
	cleanup_free int32_t *ids = world_prompt(&t.world, text, n);
	struct answer a;

	tenants_ask(&t, agent, ids, n, npublic, &a);
	return a;
}

static struct answer
ask(const char *agent, uint32_t text, uint32_t n)
{
	return ask_public(agent, text, n, 0);
}

static void
same_words(const struct answer *a, const struct answer *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->text, b->text, a->n);
}

static void
an_agents_own_prompt_is_known_and_answered_alike(void **state)
{
	const struct answer first = ask("anna", SECRET, LONG),
			    again = ask("anna", SECRET, LONG);

	assert_int_equal(first.usage.cached, 0);
	assert_int_equal(again.usage.cached, LONG - 1);
	same_words(&first, &again);
}

static void
anothers_prompt_is_as_unknown_as_nobodys(void **state)
{
	const struct answer first = ask("anna", SECRET, LONG),
			    other = ask("bert", SECRET, LONG);

	assert_int_equal(other.usage.cached, 0);
	same_words(&first, &other);
}

/*
 * Agent by agent what another asks before, between and after changes nothing
 * of what is computed for it.
 */
static void
guesses_cost_the_same_whether_or_not_they_are_right(void **state)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		char agent[16];
		struct answer right, wrong;

		ask("anna", SECRET + i % 7, SHORT);
		snprintf(agent, sizeof(agent), "guesser%u", i);
		right = ask(agent, SECRET + i % 7, SHORT);
		wrong = ask(agent, NOBODYS + i, SHORT);
		assert_int_equal(right.usage.cached, 0);
		assert_int_equal(wrong.usage.cached, 0);
		assert_int_equal(right.computed, wrong.computed);
		assert_int_equal(right.usage.sampled, wrong.usage.sampled);
	}
	/* It was there all the time. */
	assert_int_equal(ask("anna", SECRET, SHORT).usage.cached, SHORT - 1);
}

static void
after_a_restart_it_is_the_same(void **state)
{
	const uint32_t whole = (LONG - 1) / KV_PAGE * KV_PAGE;
	struct answer first, again, other;

	first = ask("anna", SECRET, LONG);
	tenants_restart(&t);
	other = ask("carl", SECRET, LONG);
	assert_int_equal(other.usage.cached, 0);
	again = ask("anna", SECRET, LONG);
	assert_int_equal(again.usage.cached, whole);
	same_words(&first, &again);
	same_words(&first, &other);
}

static void
what_is_registered_is_known_to_all_and_no_token_more(void **state)
{
	const struct answer first =
	    ask_public("anna", NOBODYS - 1, LONG, 2 * KV_PAGE + 9);
	struct answer other =
	    ask_public("dora", NOBODYS - 1, LONG, 2 * KV_PAGE + 9);

	assert_int_equal(first.usage.cached, 0);
	assert_int_equal(other.usage.cached, 2 * KV_PAGE + 9);
	same_words(&first, &other);
	tenants_restart(&t);
	other = ask("emil", NOBODYS - 1, LONG);
	assert_int_equal(other.usage.cached, 2 * KV_PAGE);
	same_words(&first, &other);
}

static int
setup(void **state)
{
	tenants_new(&t);
	return 0;
}

/* What says how many tokens of a prompt are new is the agent's own, too. */
static void
what_was_asked_is_remembered_for_its_agent_alone(void **state)
{
	struct asked *a = asked_new();
	int32_t ids[3 * KV_PAGE];

	for (int32_t i = 0; i < (int32_t)nitems(ids); i++)
		ids[i] = i * 7 % 500;
	asked_add(a, 5, ids, nitems(ids));
	assert_int_equal(asked_find(a, 5, ids, nitems(ids)), nitems(ids));
	/* Whatever one does to the first token. */
	for (int32_t first = -500; first < 1000; first++) {
		ids[0] = first;
		for (uint32_t space = 1; space < 10; space++)
			assert_int_equal(asked_find(a, space, ids, nitems(ids)),
			    first == 0 && space == 5 ? nitems(ids) : 0);
	}
	asked_free(a);
}

static int
teardown(void **state)
{
	tenants_free(&t);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_agents_own_prompt_is_known_and_answered_alike),
		cmocka_unit_test(anothers_prompt_is_as_unknown_as_nobodys),
		cmocka_unit_test(
		    guesses_cost_the_same_whether_or_not_they_are_right),
		cmocka_unit_test(after_a_restart_it_is_the_same),
		cmocka_unit_test(
		    what_is_registered_is_known_to_all_and_no_token_more),
		cmocka_unit_test(
		    what_was_asked_is_remembered_for_its_agent_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
