/* Large responses through back: every value found, nothing lost or moved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/compat.h"
#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define AUTH "Authorization: Bearer " STUB "\n"

/* What /often/N/M sends, with the stub where the value was. */
static void
assert_scrubbed(struct world *w, unsigned long n, unsigned long m)
{
	cleanup_buf struct buf want = { 0 };

	for (unsigned long i = 0; i < n; i++) {
		for (unsigned long j = 0; j < m; j++)
			buf_put_u8(&want, (uint8_t)('0' + (i + j) % 70));
		buf_put(&want, STUB, strlen(STUB));
	}
	assert_int_equal(w->a.ends, 1);
	assert_int_equal(w->a.status, 200);
	assert_int_equal(buf_len(&w->a.body), buf_len(&want));
	assert_memory_equal(
	    buf_head(&w->a.body), buf_head(&want), buf_len(&want));
}

static void
values_in_a_large_body_become_stubs(void **state)
{
	static const unsigned long every[] = { 0, 1, 699, 5000, 16346, 32767,
		47000, 48089, 49114, 100003 };
	struct world *w = *state;

	for (size_t i = 0; i < nitems(every); i++) {
		unsigned long n = 600000 / (every[i] + 38);
		char target[64];

		assert_int_equal(world_reset(state), 0);
		snprintf(target, sizeof(target), "/often/%lu/%lu", n, every[i]);
		world_get(w, HOST, target, AUTH);
		assert_scrubbed(w, n, every[i]);
	}
}

/* Front grants what it has taken, in whatever steps. */
static void
little_credit_loses_nothing(void **state)
{
	static const uint32_t grants[] = { 1, 50, 1023, 3000, 16384, 40000 };
	struct world *w = *state;
	size_t granted = WIRE_RSP_WINDOW;

	w->grant = false;
	world_request(w, "GET", HOST, "/often/90/9000", AUTH, -1);
	world_end(w);
	for (unsigned int i = 0; w->a.ends == 0 && i < 2000; i++) {
		cleanup_buf struct buf b = { 0 };

		ev_once(w->ev, 10);
		assert_true(buf_len(&w->a.body) <= granted);
		if (buf_len(&w->a.body) < granted)
			continue;
		granted += grants[i % nitems(grants)];
		buf_put_u32(&b, grants[i % nitems(grants)]);
		chan_send(w->front, M_REQ_WINDOW, 1, w->id, &b, -1);
	}
	assert_scrubbed(w, 90, 9000);
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(values_in_a_large_body_become_stubs),
		T(little_credit_loses_nothing),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
