/* What leaves before its record is acknowledged, and what never does; records
 * that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/back_world.h"

#define HOST "good.example"
#define AUTH "Authorization: Bearer " STUB "\n"
#define GET_X "GET /x HTTP/1.1"

static void
say_room(struct world *w, uint8_t room)
{
	chan_send_bytes(w->audit, M_AUDIT_ROOM, 1, 0, &room, 1);
}

/* A request without body whose record is not answered; then some time. */
static void
start(
    struct world *w, const char *method, const char *target, const char *fields)
{
	w->audit_mode = MODE_SILENT;
	world_request(w, method, HOST, target, fields, -1);
	world_end(w);
	world_run(w, 200);
	assert_true(world_logged(w, "HT101 "));
}

static void
assert_nothing_said(const struct world *w)
{
	assert_int_equal(w->a.heads + w->a.ends + w->a.denies + w->a.aborts, 0);
	assert_int_equal(buf_len(&w->a.body), 0);
}

static void
assert_unrecorded(struct world *w)
{
	assert_int_equal(w->a.denies, 1);
	assert_int_equal(w->a.status, 503);
	assert_true(world_saw(w, "audit_unavailable"));
}

static void
safe_request_leaves_and_its_answer_waits_for_the_record(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	start(w, "GET", "/echo", "X-Mine: 1\n");
	assert_true(world_origin_saw(w, "GET /echo"));
	assert_nothing_said(w);
	world_ack(w, true);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 200);
	assert_int_equal(w->a.ends, 1);
	assert_true(world_saw(w, "X-Mine: 1"));
	assert_true(world_logged(w, "HT201 "));
}

static void
answers_of_any_form_wait(void **state)
{
	static const struct {
		const char *method, *target;
		unsigned int status;
		size_t n;
	} rows[] = {
		{ "HEAD", "/echo", 200, 0 },
		{ "GET", "/status/204", 204, 0 },
		{ "GET", "/bytes/300000", 200, 300000 },
		{ "GET", "/chunked/50", 200, 500 },
		{ "GET", "/close", 200, 0 },
	};
	struct world *w = *state;

	say_room(w, 1);
	for (size_t i = 0; i < nitems(rows); i++) {
		start(w, rows[i].method, rows[i].target, "");
		assert_nothing_said(w);
		world_ack(w, true);
		assert_true(world_finish(w));
		assert_int_equal(w->a.ends, 1);
		assert_int_equal(w->a.status, rows[i].status);
		if (rows[i].n > 0)
			assert_int_equal(buf_len(&w->a.body), rows[i].n);
	}
}

static void
secret_goes_out_early_and_its_stub_comes_back(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	start(w, "GET", "/leak", AUTH);
	assert_true(world_origin_saw(w, "Bearer " REAL));
	assert_nothing_said(w);
	world_ack(w, true);
	assert_true(world_finish(w));
	assert_int_equal(w->a.ends, 1);
	assert_true(world_saw(w, "raw=" STUB));
	assert_false(world_saw(w, REAL));
}

static void
nothing_leaves_early_without_room(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	say_room(w, 0);
	start(w, "GET", "/x", "");
	assert_false(world_origin_saw(w, "{"));
	world_ack(w, true);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 200);
}

static void
what_may_change_something_never_leaves_early(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	start(w, "POST", "/x", "");
	assert_false(world_origin_saw(w, "{"));
	start(w, "GET", "/x", "X-HTTP-Method-Override: POST\n");
	assert_false(world_origin_saw(w, "{"));
	w->audit_mode = MODE_SILENT;
	world_request(w, "GET", HOST, "/x", "", 3);
	world_body(w, "abc", 3);
	world_end(w);
	world_run(w, 200);
	assert_false(world_origin_saw(w, "{"));
	world_ack(w, true);
	assert_true(world_finish(w));
	assert_int_equal(w->a.status, 200);
}

static void
refused_record_leaves_the_agent_without_an_answer(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	start(w, "GET", "/x", "");
	assert_true(world_origin_saw(w, GET_X));
	world_ack(w, false);
	assert_true(world_finish(w));
	assert_unrecorded(w);
	assert_true(world_logged(w, "HT501 "));
	assert_false(world_logged(w, "HT201 "));
}

/* Before there is any response. */
static void
refused_record_ends_what_is_under_way(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	start(w, "GET", "/hang", "");
	world_ack(w, false);
	assert_true(world_finish(w));
	assert_unrecorded(w);
}

static void
request_of_a_lost_log_is_told_to_the_next(void **state)
{
	struct world *w = *state;

	say_room(w, 1);
	start(w, "GET", "/x", "");
	assert_true(world_origin_saw(w, GET_X));
	world_disconnect(w, ROLE_AUDIT);
	assert_true(world_finish(w));
	assert_unrecorded(w);
	buf_free(&w->codes);
	buf_free(&w->events);
	world_connect(w, ROLE_AUDIT);
	world_run(w, 50);
	assert_true(world_logged(w, "HT501 "));
	assert_true(world_logged(w, "/x"));
	assert_true(world_logged(w, "the audit log went away"));
	/* The next has not said that it has room. */
	buf_free(&w->codes);
	start(w, "GET", "/later", "");
	assert_false(world_origin_saw(w, "/later"));
	world_ack(w, true);
	assert_true(world_finish(w));
}

static void
outcome_of_a_request_waits_for_a_log(void **state)
{
	struct world *w = *state;

	world_request(w, "GET", HOST, "/sse/3/100", "", -1);
	world_end(w);
	world_run(w, 150);
	assert_int_equal(w->a.heads, 1);
	world_disconnect(w, ROLE_AUDIT);
	assert_true(world_finish(w));
	assert_int_equal(w->a.ends, 1);
	assert_false(world_logged(w, "HT201 "));
	world_connect(w, ROLE_AUDIT);
	world_run(w, 50);
	assert_true(world_logged(w, "HT201 "));
}

static void
records_beyond_what_is_kept_are_counted(void **state)
{
	struct world *w = *state;

	world_disconnect(w, ROLE_AUDIT);
	for (int i = 0; i < 300; i++) {
		world_request(w, "GET", HOST, "/denied/x", "", -1);
		world_end(w);
		world_run(w, 0);
		while (w->a.denies == 0)
			ev_once(w->ev, 50);
	}
	world_connect(w, ROLE_AUDIT);
	world_run(w, 100);
	assert_true(world_logged(w, "HT401 "));
	assert_true(world_logged(w, "AU501 "));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup(f, world_reset)
	const struct CMUnitTest tests[] = {
		T(safe_request_leaves_and_its_answer_waits_for_the_record),
		T(answers_of_any_form_wait),
		T(secret_goes_out_early_and_its_stub_comes_back),
		T(nothing_leaves_early_without_room),
		T(what_may_change_something_never_leaves_early),
		T(refused_record_leaves_the_agent_without_an_answer),
		T(refused_record_ends_what_is_under_way),
		T(request_of_a_lost_log_is_told_to_the_next),
		T(outcome_of_a_request_waits_for_a_log),
		T(records_beyond_what_is_kept_are_counted),
	};

	return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
