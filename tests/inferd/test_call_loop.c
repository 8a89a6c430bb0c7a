/*
 * Calls over and over: how often they are counted, and how early another call
 * is known to be another.
 */
#include "inferd/call_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

static unsigned int
add(struct call_loop *l, const char *name, const char *args)
{
	return call_loop_add(l, name, strlen(name), args, strlen(args));
}

static void
same_calls_are_counted(void **state)
{
	struct call_loop l = { 0 };
	unsigned int i;

	(void)state;
	assert_int_equal(add(&l, "now", "{}"), 1);
	assert_int_equal(add(&l, "now", "{1}"), 1);
	assert_int_equal(add(&l, "now", "{}"), 2);
	assert_int_equal(add(&l, "no", "w{}"), 1);
	for (i = 0; i < CALL_LOOP_LAST; i++)
		add(&l, "x", "y");
	assert_int_equal(add(&l, "now", "{}"), 1);
	/* Those that are counted are the last ones, however many came. */
	for (i = 0; i < 10 * CALL_LOOP_LAST; i++)
		assert_int_equal(add(&l, "x", "y"),
		    i == 0 ? CALL_LOOP_LAST - 1
			   : CALL_LOOP_LAST - (i < CALL_LOOP_LAST - 1));
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
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_calls_are_counted),
		cmocka_unit_test(space_between_values_is_no_difference),
		cmocka_unit_test(another_call_is_known_early),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
