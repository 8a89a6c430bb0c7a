/*
 * What an agent may have of the bytes of requests.  Of connections
 * tests/inferd/serve.sh tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compat.h"
#include "inferd/server_int.h"

#define MANY 20u
#define STEP (64u << 10)

static void
fill(struct server *s, struct client *c)
{
	while (server_hold(s, c, STEP))
		;
}

static void
one_alone_has_room_for_the_largest(void **state)
{
	struct server s = { 0 };
	struct client c = { 0 }, other = { 0 };

	for (int i = 0; i < 4; i++)
		assert_true(server_hold(&s, &c, API_BODY_MAX));
	assert_false(server_hold(&s, &c, 1));
	assert_true(server_hold(&s, &other, API_BODY_MAX));
	server_let_go(&s, &c, c.held);
	server_let_go(&s, &other, other.held);
	assert_int_equal(s.held, 0);
}

static void
whoever_takes_all_others_find_some(void **state)
{
	struct server s = { 0 };
	struct client c[MANY] = { 0 }, late[1000] = { 0 };

	for (size_t i = 0; i < MANY; i++) {
		fill(&s, &c[i]);
		assert_true(s.held < SERVER_HELD_MAX);
		assert_true(i >= 8 || c[i].held >= 8u << 20);
	}
	for (size_t i = 0; i < nitems(late); i++)
		assert_true(server_hold(&s, &late[i], SERVER_HELD_SURE));
	assert_false(server_hold(&s, &late[0], 1));
	assert_true(
	    s.held <= SERVER_HELD_MAX + nitems(late) * SERVER_HELD_SURE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_alone_has_room_for_the_largest),
		cmocka_unit_test(whoever_takes_all_others_find_some),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
