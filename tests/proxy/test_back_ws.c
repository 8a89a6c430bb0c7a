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

/* A frame as a client sends it, its mask all zeros. */
static void
frame(struct world *w, uint8_t b0, const char *p, size_t n)
{
	cleanup_buf struct buf b = { 0 };

	buf_put_u8(&b, b0);
	if (n < 126) {
		buf_put_u8(&b, (uint8_t)(128 | n));
	} else {
		buf_put_u8(&b, 128 | 126);
		buf_put_u8(&b, (uint8_t)(n >> 8));
		buf_put_u8(&b, (uint8_t)n);
	}
	buf_put_u32(&b, 0);
	buf_put(&b, p, n);
	world_body(w, buf_head(&b), buf_len(&b));
}

static void
text(struct world *w, const char *s)
{
	frame(w, 0x81, s, strlen(s));
}

static void
open_websocket(struct world *w)
{
	request(w, "/ws");
	world_run(w, 200);
	assert_int_equal(w->a.status, 101);
}

/* That frame is the last that came. */
static void
assert_last(struct world *w, const char *bytes, size_t n)
{
	const struct buf *b = &w->a.body;

	assert_true(buf_len(b) >= n);
	assert_memory_equal(buf_head(b) + buf_len(b) - n, bytes, n);
}

static void
websocket_is_judged_swapped_and_passed_on(void **state)
{
	struct world *w = *state;

	request(w, "/ws");
	/* Before it is granted: held back, not sent as a body. */
	text(w, "early ");
	world_run(w, 200);
	assert_int_equal(w->a.heads, 1);
	assert_int_equal(w->a.status, 101);
	assert_int_equal(w->a.kind, BODY_STREAM);
	text(w, "bytes");
	world_run(w, 100);
	assert_true(world_saw(w, "\x81\6early \x81\5bytes"));
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
	frame(w, 0x82, big, sizeof(big));
	world_end(w);
	assert_true(world_finish(w));
	assert_int_equal(buf_len(&w->a.body), sizeof(big) + 4);
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

static void
stub_in_text_is_swapped_where_it_is_declared(void **state)
{
	struct world *w = *state;

	w->spec.surfaces |= SURFACE_WS_TEXT;
	world_bindings(w);
	open_websocket(w);
	text(w, "{\"token\":\"" STUB "\"}");
	/* Over fragments, with a ping between. */
	frame(w, 0x01, STUB, 11);
	frame(w, 0x89, "ping", 4);
	frame(w, 0x80, STUB + 11, strlen(STUB) - 11);
	world_run(w, 200);
	assert_true(world_origin_saw(w, "token\\\":\\\"" REAL));
	assert_true(world_origin_saw(w, "\"body\":\"" REAL));
	assert_false(world_origin_saw(w, STUB));
	/* The echo: only the stub comes back. */
	assert_true(world_saw(w, "{\"token\":\"" STUB "\"}"));
	assert_false(world_saw(w, REAL));
	assert_false(world_logged(w, "SE101 "));
	/* Not in binary messages. */
	frame(w, 0x82, STUB, strlen(STUB));
	world_run(w, 100);
	assert_true(world_origin_saw(w, STUB));
	assert_true(world_logged(w, "SE101 "));
	world_end(w);
	assert_true(world_finish(w));
}

static void
stub_elsewhere_is_recorded_and_passes(void **state)
{
	struct world *w = *state;

	open_websocket(w);
	frame(w, 0x01, STUB, 9);
	frame(w, 0x80, STUB + 9, strlen(STUB) - 9);
	world_run(w, 100);
	assert_false(world_origin_saw(w, "\"body\":\"ghp_REAL"));
	assert_true(world_origin_saw(w, "\"body\":\"ghp_PLACE"));
	assert_true(world_logged(w, "SE101 "));
	assert_false(world_saw(w, REAL));
	world_end(w);
	assert_true(world_finish(w));
}

/* Which elsewhere lets the start of a value go. */
static void
pause_inside_a_message_changes_nothing(void **state)
{
	struct world *w = *state;

	open_websocket(w);
	frame(w, 0x01, "x ghp", 5);
	world_run(w, 100);
	frame(w, 0x80, "_REAL", 5);
	world_run(w, 100);
	assert_int_equal(buf_len(&w->a.body), 2 + 10 + 2);
	assert_memory_equal(buf_head(&w->a.body), "\1\2x \x80\x08ghp_REAL", 14);
	world_end(w);
	assert_true(world_finish(w));
}

static void
broken_frame_closes_with_its_code(void **state)
{
	struct world *w = *state;

	open_websocket(w);
	text(w, "fine");
	world_run(w, 50);
	frame(w, 0x83, "x", 1);
	assert_true(world_finish(w));
	assert_true(world_saw(w, "\x81\4fine"));
	assert_last(w,
	    "\x88\x30\3\xea"
	    "the WebSocket is broken: unknown kind of frame",
	    50);
	assert_true(world_logged(w, "HT501 "));
}

#define T(f) cmocka_unit_test_setup(f, world_reset)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(websocket_is_judged_swapped_and_passed_on),
		T(request_half_may_outlive_the_response),
		T(refused_websocket_is_an_answer),
		T(stub_in_text_is_swapped_where_it_is_declared),
		T(stub_elsewhere_is_recorded_and_passes),
		T(pause_inside_a_message_changes_nothing),
		T(broken_frame_closes_with_its_code),
		T(front_that_gives_up_closes_it),
	};
	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
