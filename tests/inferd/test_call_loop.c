/*
 * Calls over and over: how often they are counted, and how early another call
 * is known to be another.
 */
#include "inferd/call_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static struct chat_text
text(const char *s)
{
	return (struct chat_text){ s, strlen(s) };
}

static unsigned int
add(struct call_loop *l, const char *name, const char *args)
{
	return call_loop_add(
	    l, &(struct chat_call){
		   .id = text("id"), .name = text(name), .args = text(args) });
}

/* One that comes back. */
static unsigned int
add_result(
    struct call_loop *l, const char *name, const char *args, const char *result)
{
	unsigned int alike = add(l, name, args);

	call_loop_result(l, text("id"), text(result));
	return alike;
}

static void
same_calls_are_counted(void **state)
{
	struct call_loop l = { 0 };
	unsigned int i;

	(void)state;
	assert_int_equal(add(&l, "now", "{}"), 1);
	assert_int_equal(add(&l, "now", "{1}"), 1);
	for (i = 1; i < 5; i++)
		assert_int_equal(add(&l, "now", "{1}"), i + 1);
	/* In turn with others that are as old, in any order. */
	for (i = 1; i < 4; i++) {
		assert_int_equal(add(&l, "now", "{}"), i);
		assert_int_equal(add(&l, "now", "{1}"), i + 5);
	}
	assert_int_equal(add(&l, "no", "w{}"), 1);
	assert_int_equal(add(&l, "now", "{1}"), 1);
	/* Those that are counted are the last ones, however many came. */
	for (i = 0; i < 10 * CALL_LOOP_LAST; i++)
		assert_int_equal(add(&l, "x", "y"),
		    i < CALL_LOOP_LAST ? i + 1 : CALL_LOOP_LAST);
	assert_int_equal(add(&l, "now", "{}"), 1);
}

static void
what_is_new_begins_the_count_anew(void **state)
{
	struct call_loop l = { 0 };
	char edit[32];
	unsigned int i;

	(void)state;
	/* A file is changed and its tests are run, over and over. */
	for (i = 0; i < 3 * CALL_LOOP_LAST; i++) {
		snprintf(edit, sizeof(edit), "{\"line\":%u}", i);
		add_result(&l, "edit", edit, "done");
		assert_int_equal(add_result(&l, "run", "{}", "failed"), 1);
	}
	/* Something is waited for, and comes on. */
	for (i = 0; i < 3 * CALL_LOOP_LAST; i++) {
		snprintf(edit, sizeof(edit), "%u %%", i);
		assert_true(add_result(&l, "wait", "{}", edit) <= 2);
	}
	/* It does no more. */
	for (i = 0; i < 8; i++)
		assert_int_equal(
		    add_result(&l, "wait", "{}", "broken"), i < 1 ? 2 : i + 1);
}

static void
the_result_of_a_call_is_that_with_its_id(void **state)
{
	const struct chat_call a = { .id = { "1", 1 }, .name = { "f", 1 } },
			       b = { .id = { "2", 1 }, .name = { "f", 1 } };
	struct call_loop l = { 0 };

	(void)state;
	/* Two at once, whose results come the other way round. */
	call_loop_add(&l, &a);
	call_loop_add(&l, &b);
	call_loop_result(&l, b.id, text("new"));
	call_loop_result(&l, a.id, text("old"));
	call_loop_result(&l, text("3"), text("nobody's"));
	assert_int_equal(call_loop_add(&l, &a), 2);
	call_loop_result(&l, a.id, text("new"));
	assert_int_equal(call_loop_add(&l, &a), 3);
}

static void
space_between_values_is_no_difference(void **state)
{
	struct call_loop l = { 0 };

	(void)state;
	add(&l, "f", "{\"a\":\"b \\\" c\",\"d\":[1,2]}");
	assert_int_equal(
	    add(&l, "f", "{ \"a\": \"b \\\" c\",\n\t\"d\": [1, 2]}\r\n"), 2);
	assert_int_equal(add(&l, "f", "{\"a\":\"b \\\"c\",\"d\":[1,2]}"), 1);
}

/* How many bytes of args are held back, byte by byte. */
static size_t
held(struct call_loop *l, const char *args, unsigned int max)
{
	size_t i;
	bool may = call_loop_begin(l, "f", 1, max);

	for (i = 0; may && args[i] != '\0'; i++)
		may = call_loop_args(l, &args[i], 1);
	return i;
}

static void
another_call_is_known_early(void **state)
{
	char long_one[2001] = "", other[2001];
	struct call_loop l = { 0 };

	(void)state;
	memset(long_one, 'a', 2000);
	assert_int_equal(held(&l, "{}", 2), 0);
	add(&l, "f", long_one);
	assert_int_equal(held(&l, long_one, 3), 0);
	assert_int_equal(held(&l, long_one, 0), 0);
	assert_int_equal(held(&l, long_one, 2), 2000);
	assert_int_equal(call_loop_begin(&l, "g", 1, 2), false);
	add(&l, "f", long_one);
	assert_int_equal(held(&l, long_one, 3), 2000);
	/* One that differs in its third, 100th, 1500th byte, or is longer. */
	memcpy(other, long_one, sizeof(other));
	other[1500] = 'b';
	assert_int_equal(held(&l, other, 3), 2000);
	other[99] = 'b';
	assert_int_equal(held(&l, other, 3), 128);
	other[2] = 'b';
	assert_int_equal(held(&l, other, 3), 8);
	add(&l, "f", "{}");
	add(&l, "f", "{}");
	assert_int_equal(held(&l, "{}a", 3), 3);
	/* What is longer ago than something new is not waited for. */
	add(&l, "g", "{}");
	assert_int_equal(held(&l, "{}", 3), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_calls_are_counted),
		cmocka_unit_test(what_is_new_begins_the_count_anew),
		cmocka_unit_test(the_result_of_a_call_is_that_with_its_id),
		cmocka_unit_test(space_between_values_is_no_difference),
		cmocka_unit_test(another_call_is_known_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
