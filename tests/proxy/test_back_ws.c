/* WebSockets through back: judged and swapped like any request, then bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/back_world.h"

/* As front tells it, whatever it was on its leg. */
static void
request(struct world *w, const char *target)
{
	struct req_head h = { .tls = true, .port = w->port };
	char auth[64];

	snprintf(auth, sizeof(auth), "good.example:%u", w->port);
	h.sni = h.dst = (char *)(uintptr_t) "good.example";
	h.method = (char *)(uintptr_t) "GET";
	h.target = (char *)(uintptr_t)target;
	h.protocol = (char *)(uintptr_t)WIRE_WEBSOCKET;
	h.authority = auth;
	h.kind = BODY_STREAM;
	fields_add(&h.fields, "Authorization", 13, "token " STUB,
	    strlen("token " STUB));
	world_head(w, &h);
	fields_free(&h.fields);
}

static void
websocket_is_judged_swapped_and_passed_on(void **state)
{
	struct world *w = *state;

	request(w, "/ws");
	/* Before it is granted: held back, not sent as a body. */
	world_body(w, "early ", 6);
	world_run(w, 200);
	assert_int_equal(w->a.heads, 1);
	assert_int_equal(w->a.status, 101);
	assert_int_equal(w->a.kind, BODY_STREAM);
	world_body(w, "bytes", 5);
	world_run(w, 100);
	assert_true(world_saw(w, "early bytes"));
	assert_true(world_origin_saw(w, "Authorization: token " REAL));
	assert_false(world_origin_saw(w, "Transfer-Encoding"));
	assert_true(world_logged(w, "HT101 "));
	assert_int_equal(w->a.ends, 0);
	/* Our half ends, the origin ends its own: that is all. */
	world_end(w);
	assert_true(world_finish(w));
	assert_int_equal(w->a.ends, 1);
	assert_true(world_logged(w, "HT201 "));
	/* What follows needs a connection of its own. */
	world_get(w, "good.example", "/echo", "");
	assert_int_equal(w->a.ends, 1);
	assert_int_equal(w->a.status, 200);
}

static void
request_half_may_outlive_the_response(void **state)
{
	struct world *w = *state;
	char big[40000];

	memset(big, 'x', sizeof(big));
	request(w, "/ws");
	world_run(w, 200);
	assert_int_equal(w->a.status, 101);
	world_body(w, big, sizeof(big));
	world_end(w);
	assert_true(world_finish(w));
	assert_int_equal(buf_len(&w->a.body), sizeof(big));
	assert_int_equal(w->a.aborts, 0);
}

static void
refused_websocket_is_an_answer(void **state)
{
	struct world *w = *state;

	request(w, "/status/404");
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 404);
	assert_int_equal(w->a.ends, 1);
	request(w, "/denied/ws");
	assert_true(world_finish(w));
	assert_int_equal(w->a.denies, 1);
	assert_int_equal(w->a.status, 403);
	assert_true(world_saw(w, "policy_denied"));
}

static void
front_that_gives_up_closes_it(void **state)
{
	struct world *w = *state;
	struct buf b = { 0 };

	request(w, "/ws");
	world_run(w, 200);
	assert_int_equal(w->a.status, 101);
	buf_put_str(&b, "gone");
	chan_send(w->front, M_REQ_ABORT, 1, w->id, &b, -1);
	buf_free(&b);
	world_run(w, 100);
	assert_true(world_logged(w, "HT501 "));
	world_get(w, "good.example", "/echo", "");
	assert_int_equal(w->a.status, 200);
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(websocket_is_judged_swapped_and_passed_on),
		T(request_half_may_outlive_the_response),
		T(refused_websocket_is_an_answer),
		T(front_that_gives_up_closes_it),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
