/* What front tells back to record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "proxy/back.h"
#include "tests/proxy/back_world.h"

static void
event(struct world *w, enum front_event kind, const char *text)
{
	struct buf b = { 0 };

	buf_put_u8(&b, (uint8_t)kind);
	buf_put_str(&b, "8.8.8.8");
	buf_put_u16(&b, 443);
	buf_put_str(&b, text);
	chan_send(w->front, M_FRONT_EVENT, 1, 0, &b, -1);
	buf_free(&b);
}

static void
event_of_front_is_recorded(void **state)
{
	struct world *w = *state;

	event(w, FRONT_UDP, "datagram dropped");
	world_run(w, 50);
	assert_true(world_logged(w, "NT402 "));
	assert_true(world_logged(w, "datagram dropped"));
}

static unsigned int
count_logged(struct world *w, const char *code)
{
	unsigned int n = 0;

	buf_put_u8(&w->codes, 0);
	for (const char *p = (const char *)buf_head(&w->codes);
	     (p = strstr(p, code)) != NULL; p++)
		n++;
	return n;
}

/* As one that has been taken over would: an honest one keeps to half of it. */
static void
flood_of_events_of_front_is_counted(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 2000; i++)
		event(w, FRONT_BAD_HTTP, "said often");
	/* Of another kind: what is before it has been read by then. */
	event(w, FRONT_NO_NAME, "said once");
	for (int i = 0; i < 1000 && !world_logged(w, "said once"); i++)
		world_run(w, 10);
	assert_true(world_logged(w, "said once"));
	assert_in_range(count_logged(w, "NT405 "), BACK_FRONT_BURST, 500);
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(event_of_front_is_recorded),
		T(flood_of_events_of_front_is_counted),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
