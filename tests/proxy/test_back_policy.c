/* What is going on when the policy changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define DENY_ALL "profile t {\n\tdefault http deny;\n}\n"

static void
open_websocket(struct world *w)
{
	struct req_head h = { .tls = true, .port = w->port };
	char auth[64];

	snprintf(auth, sizeof(auth), HOST ":%u", w->port);
	h.sni = h.dst = (char *)(uintptr_t)HOST;
	h.method = (char *)(uintptr_t) "GET";
	h.target = (char *)(uintptr_t) "/ws";
	h.protocol = (char *)(uintptr_t)WIRE_WEBSOCKET;
	h.authority = auth;
	h.kind = BODY_STREAM;
	world_head(w, &h);
	world_run(w, 200);
	assert_int_equal(w->a.status, 101);
}

static void
assert_taken_back(struct world *w)
{
	assert_true(world_finish(w));
	assert_int_equal(w->a.ends, 0);
	assert_int_equal(w->a.denies + w->a.aborts, 1);
	assert_true(world_logged(w, "the policy does not allow it any more"));
}

static void
websocket_that_is_denied_now_is_closed(void **state)
{
	struct world *w = *state;

	open_websocket(w);
	world_policy(w, DENY_ALL);
	assert_taken_back(w);
}

static void
websocket_that_is_allowed_still_goes_on(void **state)
{
	struct world *w = *state;
	cleanup_free char *same =
	    xasprintf("profile t {\n\tdefault http deny;\n"
		      "\tallow http GET https://" HOST ":%u/**;\n"
		      "\tallow net 127.0.0.1:%u;\n}\n",
		w->port, w->port);

	open_websocket(w);
	world_policy(w, same);
	world_run(w, 100);
	world_body(w, "\x81\x82\0\0\0\0ok", 8);
	world_run(w, 100);
	assert_true(world_saw(w, "\x81\2ok"));
	assert_int_equal(w->a.aborts, 0);
}

static void
upload_that_is_denied_now_is_cut(void **state)
{
	struct world *w = *state;

	world_request(w, "POST", HOST, "/upload", "", 10);
	world_body(w, "12345", 5);
	world_run(w, 100);
	world_policy(w, DENY_ALL);
	assert_taken_back(w);
	assert_int_equal(w->a.status, 403);
}

static void
request_that_waits_for_its_values_is_denied(void **state)
{
	struct world *w = *state;

	w->keyd_mode = MODE_SILENT;
	world_request(w, "GET", HOST, "/x", "", -1);
	world_end(w);
	world_run(w, 50);
	assert_int_equal(w->releases, 1);
	world_policy(w, DENY_ALL);
	assert_true(world_finish(w));
	assert_int_equal(w->a.denies, 1);
	assert_int_equal(w->a.status, 403);
	assert_false(world_logged(w, "HT101 "));
}

static void
answer_to_what_was_allowed_comes_to_its_end(void **state)
{
	struct world *w = *state;

	world_request(w, "GET", HOST, "/sse/5/60", "", -1);
	world_end(w);
	world_run(w, 100);
	assert_int_equal(w->a.status, 200);
	world_policy(w, DENY_ALL);
	assert_true(world_finish(w));
	assert_int_equal(w->a.ends, 1);
	world_get(w, HOST, "/x", "");
	assert_int_equal(w->a.status, 403);
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(websocket_that_is_denied_now_is_closed),
		T(websocket_that_is_allowed_still_goes_on),
		T(upload_that_is_denied_now_is_cut),
		T(request_that_waits_for_its_values_is_denied),
		T(answer_to_what_was_allowed_comes_to_its_end),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
