/*
 * HTTP/2 to the origin: messages, both flow controls, ends of streams and of
 * connections, and origins that do not behave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/upstream_int.h"
#include "tests/proxy/later.h"
#include "tests/proxy/upstream_world.h"

#define MIB (1024u * 1024)

static const size_t chunks[] = { 0, 1, 2, 3, 7, 100 };

static void
request_and_response_at_any_chunking(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(chunks); i++) {
		struct uw w;
		struct use s;
		struct seen *seen;

		uw_start(&w, true);
		w.chunk = chunks[i];
		use_init(&s, &w, "GET", "/early?x=y", BODY_NONE, 0);
		fields_set(&s.head.fields, "Accept-Thing", "a b");
		use_start(&s);
		assert_true(use_finish(&s));
		assert_true(w.offered_h2);
		assert_int_equal(s.heads, 1);
		assert_int_equal(s.dones, 1);
		assert_int_equal(s.status, 200);
		assert_int_equal(s.kind, BODY_STREAM);
		assert_int_equal(buf_len(&s.body), 5);
		assert_memory_equal(buf_head(&s.body), "hello", 5);
		assert_string_equal(fields_get(&s.fields, "x-a", NULL), "5");
		seen = origin_seen(&w, "/early?x=y");
		assert_non_null(seen);
		assert_string_equal(seen->method, "GET");
		assert_string_equal(seen->authority, "good.example");
		assert_true(seen_has(seen, ":scheme: https\n"));
		assert_true(seen_has(seen, "accept-thing: a b\n"));
		assert_false(seen_has(seen, "te: "));
		use_free(&s);
		uw_end(&w);
	}
}

static void
body_and_trailers_go_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(chunks); i++) {
		struct uw w;
		struct use s;
		struct seen *seen;

		uw_start(&w, true);
		w.chunk = chunks[i];
		use_init(&s, &w, "POST", "/echo/trailers", BODY_STREAM, 0);
		fields_set(
		    &s.head.fields, "Content-Type", "application/grpc+proto");
		fields_set(&s.req_trailers, "X-Up", "1");
		use_start(&s);
		use_send(&s, "one ", 4);
		uw_run(&w, 50);
		use_send(&s, "two", 3);
		uw_run(&w, 50);
		use_end(&s);
		assert_true(use_finish(&s));
		assert_int_equal(s.dones, 1);
		assert_int_equal(buf_len(&s.body), 7);
		assert_memory_equal(buf_head(&s.body), "one two", 7);
		assert_string_equal(
		    fields_get(&s.trailers, "x-sum", NULL), "42");
		seen = origin_seen(&w, "/echo/trailers");
		assert_true(seen_has(seen, "--\nx-up: 1\n"));
		/* Hop by hop, so it is said anew. */
		assert_true(seen_has(seen, "te: trailers\n"));
		use_free(&s);
		uw_end(&w);
	}
}

static void
kinds_of_bodies_are_told_apart(void **state)
{
	static const struct {
		const char *method, *path;
		unsigned int status;
		enum body_kind kind;
	} rows[] = {
		{ "GET", "/length", 200, BODY_LENGTH },
		{ "GET", "/stream", 200, BODY_STREAM },
		{ "GET", "/empty", 200, BODY_NONE },
		{ "GET", "/none", 204, BODY_NONE },
	};
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	for (size_t i = 0; i < nitems(rows); i++) {
		use_init(&s, &w, rows[i].method, rows[i].path, BODY_NONE, 0);
		use_start(&s);
		assert_true(use_finish(&s));
		assert_int_equal(s.status, rows[i].status);
		assert_int_equal(s.kind, rows[i].kind);
		if (s.kind == BODY_LENGTH)
			assert_int_equal(s.length, 5);
		use_free(&s);
	}
	use_init(&s, &w, "PUT", "/echo", BODY_LENGTH, 3);
	use_start(&s);
	use_send(&s, "abc", 3);
	use_end(&s);
	assert_true(use_finish(&s));
	assert_true(seen_has(origin_seen(&w, "/echo"), "content-length: 3\n"));
	use_free(&s);
	assert_int_equal(w.dials, 1);
	uw_end(&w);
}

static void
secret_is_never_indexed(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	for (int i = 0; i < 2; i++) {
		use_init(&s, &w, "GET", "/k?key=1", BODY_NONE, 0);
		fields_set(&s.head.fields, "X-Key", "value");
		s.head.fields.f[0].secret = i == 1;
		use_start(&s);
		assert_true(use_finish(&s));
		assert_int_equal(s.dones, 1);
		assert_int_equal(w.origins->seen->flags,
		    i == 1 ? NGHTTP2_NV_FLAG_NO_INDEX : 0);
		assert_true(w.origins->seen->secret_path);
		use_free(&s);
	}
	uw_end(&w);
}

static void
streams_share_a_connection_up_to_its_limit(void **state)
{
	struct uw w;
	struct use s[5];

	(void)state;
	uw_start(&w, true);
	w.streams = 3;
	/* All of them wait for the one dial; no limit is known yet. */
	for (size_t i = 0; i < 2; i++) {
		use_init(&s[i], &w, "GET", "/never", BODY_NONE, 0);
		use_start(&s[i]);
	}
	uw_run(&w, 20);
	assert_int_equal(w.dials, 1);
	for (size_t i = 2; i < 5; i++) {
		use_init(&s[i], &w, "GET", "/never", BODY_NONE, 0);
		use_start(&s[i]);
	}
	uw_run(&w, 20);
	assert_int_equal(w.dials, 2);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(s[i].ready, 1);
		use_free(&s[i]);
	}
	uw_end(&w);
}

static void
those_who_wait_for_http1_dial_themselves(void **state)
{
	struct uw w;
	struct use s[3];

	(void)state;
	uw_start(&w, false);
	w.slow_dial = true;
	for (size_t i = 0; i < 3; i++) {
		use_init(&s[i], &w, "GET", "/x", BODY_NONE, 0);
		use_start(&s[i]);
	}
	uw_run(&w, 5);
	assert_int_equal(w.dials, 1);
	uw_dialled(&w);
	uw_run(&w, 5);
	assert_int_equal(w.dials, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(s[i].redials, i == 0 ? 0 : 1);
		assert_int_equal(s[i].ready, 1);
		use_free(&s[i]);
	}
	/* It is known now: nobody waits. */
	w.slow_dial = true;
	for (size_t i = 0; i < 2; i++) {
		use_init(&s[i], &w, "GET", "/x", BODY_NONE, 0);
		use_start(&s[i]);
	}
	assert_int_equal(w.dials, 5);
	for (size_t i = 0; i < 2; i++)
		use_free(&s[i]);
	uw_run(&w, 5);
	uw_end(&w);
}

static void
failed_dial_fails_all_who_wait(void **state)
{
	struct uw w;
	struct use s[2];

	(void)state;
	uw_start(&w, true);
	w.no_dial = true;
	for (size_t i = 0; i < 2; i++) {
		use_init(&s[i], &w, "GET", "/x", BODY_NONE, 0);
		use_start(&s[i]);
	}
	for (size_t i = 0; i < 2; i++) {
		assert_true(use_finish(&s[i]));
		assert_int_equal(s[i].how, UPSTREAM_UNREACHABLE);
		use_free(&s[i]);
	}
	uw_end(&w);
}

static void
resets_end_one_stream(void **state)
{
	struct uw w;
	struct use s, other;

	(void)state;
	uw_start(&w, true);
	use_init(&other, &w, "GET", "/hold", BODY_NONE, 0);
	use_start(&other);
	uw_run(&w, 20);
	use_init(&s, &w, "GET", "/reset", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.how, UPSTREAM_BROKEN);
	assert_non_null(strstr(s.why, "ENHANCE_YOUR_CALM"));
	assert_false(s.refused);
	use_free(&s);
	use_init(&s, &w, "POST", "/refuse", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_true(s.refused);
	use_free(&s);
	assert_int_equal(other.fails + other.dones, 0);
	assert_int_equal(w.dials, 1);
	use_free(&other);
	uw_end(&w);
}

static void
origin_that_wants_http1_gets_it(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "GET", "/oldfashioned", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_true(s.refused);
	use_free(&s);
	upstream_pool_clear(w.pool);
	use_init(&s, &w, "GET", "/oldfashioned", BODY_NONE, 0);
	use_start(&s);
	assert_int_equal(w.dials, 2);
	assert_false(w.offered_h2);
	use_free(&s);
	uw_run(&w, 3);
	uw_end(&w);
}

static void
reset_without_an_error_ends_a_response_that_is_not_short(void **state)
{
	static const char *const whole[] = { "/quits", "/quits/length" };
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	for (size_t i = 0; i < nitems(whole); i++) {
		use_init(&s, &w, "GET", whole[i], BODY_NONE, 0);
		use_start(&s);
		assert_true(use_finish(&s));
		assert_int_equal(s.fails, 0);
		assert_int_equal(s.dones, 1);
		assert_int_equal(buf_len(&s.body), 5);
		use_free(&s);
	}
	use_init(&s, &w, "GET", "/quits/short/length", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.how, UPSTREAM_BROKEN);
	assert_int_equal(s.dones, 0);
	use_free(&s);
	uw_end(&w);
}

static void
goaway_refuses_what_came_after_and_drains(void **state)
{
	struct uw w;
	struct use s, older;
	struct seen *seen;

	(void)state;
	uw_start(&w, true);
	use_init(&older, &w, "GET", "/hold", BODY_NONE, 0);
	use_start(&older);
	uw_run(&w, 20);
	use_init(&s, &w, "POST", "/goaway", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.how, UPSTREAM_BROKEN);
	assert_true(s.refused);
	use_free(&s);
	/* The older one goes on, a new one goes elsewhere. */
	assert_int_equal(older.fails, 0);
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	assert_int_equal(w.dials, 2);
	use_free(&s);
	seen = origin_seen(&w, "/hold");
	seen->hold = false;
	buf_printf(&seen->out, " end");
	(void)nghttp2_session_resume_data(seen->o->h2, seen->id);
	origin_pump(seen->o);
	assert_true(use_finish(&older));
	assert_int_equal(older.dones, 1);
	assert_int_equal(buf_len(&older.body), 9);
	/* Its connection has gone with it. */
	uw_run(&w, 20);
	assert_true(seen->o->eof || seen->o->fd < 0);
	use_free(&older);
	uw_end(&w);
}

static void
slow_reader_stops_the_sender(void **state)
{
	struct uw w;
	struct use slow, s;
	struct seen *seen;
	uint64_t sent;

	(void)state;
	uw_start(&w, true);
	use_init(&slow, &w, "GET", "/big", BODY_NONE, 0);
	slow.take = 1000;
	use_start(&slow);
	uw_run(&w, 3000);
	seen = origin_seen(&w, "/big");
	sent = seen->o->sent_data;
	/* What is held for it is a window, and not a byte more. */
	assert_true(sent <= UPSTREAM_STREAM_WINDOW + 1000 + 16384);
	assert_true(sent >= UPSTREAM_STREAM_WINDOW / 2);
	assert_int_equal(buf_len(&slow.body), 1000);
	/* Nobody else is held up. */
	use_init(&s, &w, "GET", "/big", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	assert_int_equal(buf_len(&s.body), 8 * MIB);
	use_free(&s);
	assert_int_equal(w.dials, 1);
	/* Piece by piece the rest comes. */
	while (slow.dones + slow.fails == 0 && slow.u != NULL) {
		slow.take += 100000;
		upstream_resume(slow.u);
		uw_run(&w, 20);
	}
	assert_int_equal(slow.dones, 1);
	assert_int_equal(buf_len(&slow.body), 8 * MIB);
	use_free(&slow);
	uw_end(&w);
}

static void
slow_origin_stops_the_user(void **state)
{
	struct uw w;
	struct use up, s;
	struct seen *seen;
	char *bytes = xcalloc(1, 4 * MIB);

	(void)state;
	uw_start(&w, true);
	use_init(&up, &w, "POST", "/shut", BODY_STREAM, 0);
	use_start(&up);
	use_send(&up, bytes, 4 * MIB);
	uw_run(&w, 300);
	seen = origin_seen(&w, "/shut");
	assert_non_null(seen);
	assert_true(seen->bytes <= 65535);
	assert_true(up.most_queued < 2 * UPSTREAM_OUT_HIGH);
	assert_true(buf_len(&up.to_send) > 3 * MIB);
	/* Heads and bodies towards us still pass. */
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	use_free(&s);
	use_free(&up);
	/* What remained was called off. */
	uw_run(&w, 20);
	assert_true(seen->closed);
	assert_int_equal(seen->code, NGHTTP2_CANCEL);
	free(bytes);
	uw_end(&w);
}

static void
upload_reaches_the_origin_whole(void **state)
{
	struct uw w;
	struct use s;
	char *bytes = xcalloc(1, 4 * MIB);

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "POST", "/upload", BODY_LENGTH, 4 * MIB);
	use_start(&s);
	use_send(&s, bytes, 4 * MIB);
	use_end(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	assert_int_equal(origin_seen(&w, "/upload")->bytes, 4 * MIB);
	free(bytes);
	use_free(&s);
	uw_end(&w);
}

static void
user_may_let_go_at_any_time(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct uw w;
		struct use s, other;
		struct seen *seen;

		uw_start(&w, true);
		use_init(&other, &w, "GET", "/hold/other", BODY_NONE, 0);
		use_start(&other);
		use_init(&s, &w, "GET", "/hold", BODY_NONE, 0);
		s.drop_in_ready = i == 0;
		s.drop_in_head = i == 1;
		s.drop_in_data = i == 2;
		use_start(&s);
		if (i == 3) {
			upstream_release(s.u, false);
			s.u = NULL;
		}
		uw_run(&w, 50);
		assert_null(s.u);
		seen = origin_seen(&w, "/hold");
		if (i == 1 || i == 2) {
			assert_true(seen->closed);
			assert_int_equal(seen->code, NGHTTP2_CANCEL);
		} else {
			assert_null(seen);
		}
		assert_int_equal(other.heads, 1);
		assert_int_equal(other.fails, 0);
		use_free(&s);
		use_free(&other);
		uw_end(&w);
	}
}

static void
early_answer_ends_the_upload(void **state)
{
	struct uw w;
	struct use s;
	struct seen *seen;

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "POST", "/now", BODY_STREAM, 0);
	use_start(&s);
	use_send(&s, "begun", 5);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	uw_run(&w, 20);
	seen = origin_seen(&w, "/now");
	assert_true(seen->closed);
	assert_int_equal(seen->code, NGHTTP2_NO_ERROR);
	use_free(&s);
	uw_end(&w);
}

static void
answer_outlives_its_connection(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	s.take = 0;
	use_start(&s);
	uw_run(&w, 30);
	assert_int_equal(s.heads, 1);
	origin_close(w.origins);
	uw_run(&w, 10);
	assert_int_equal(s.fails + s.dones, 0);
	s.take = SIZE_MAX;
	upstream_resume(s.u);
	assert_int_equal(s.dones, 1);
	assert_int_equal(buf_len(&s.body), 5);
	use_free(&s);
	/* Cut off before the end it fails. */
	use_init(&s, &w, "GET", "/hold", BODY_NONE, 0);
	use_start(&s);
	uw_run(&w, 30);
	assert_int_equal(s.heads, 1);
	origin_close(w.origins);
	assert_true(use_finish(&s));
	assert_int_equal(s.how, UPSTREAM_BROKEN);
	use_free(&s);
	uw_end(&w);
}

static void
too_many_interim_answers_end_it(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "GET", "/manyearly", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_non_null(strstr(s.why, "interim"));
	use_free(&s);
	uw_end(&w);
}

static void
cleared_pool_is_not_used_again(void **state)
{
	struct uw w;
	struct use s, old;

	(void)state;
	uw_start(&w, true);
	use_init(&old, &w, "GET", "/hold", BODY_NONE, 0);
	use_start(&old);
	uw_run(&w, 20);
	upstream_pool_clear(w.pool);
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	use_free(&s);
	assert_int_equal(w.dials, 2);
	assert_int_equal(old.fails, 0);
	upstream_pool_forget(w.pool, "good.example", 443);
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(w.dials, 3);
	use_free(&s);
	use_free(&old);
	uw_end(&w);
}

/* What is asked for afterwards goes elsewhere, so nothing is lost. */
static void
connection_that_nobody_uses_ends_with_goaway(void **state)
{
	struct origin *first;
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	for (int i = 0; i < 2; i++) {
		use_init(&s, &w, "POST", "/x", BODY_NONE, 0);
		use_start(&s);
		assert_true(use_finish(&s));
		assert_int_equal(s.dones, 1);
		use_free(&s);
	}
	assert_int_equal(w.dials, 1);
	first = w.origins;
	later(UPSTREAM_KEEP_MS + 1000);
	/* In the very moment in which it is given up. */
	use_init(&s, &w, "POST", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	use_free(&s);
	later(UPSTREAM_KEEP_MS + 1000);
	uw_run(&w, 20);
	assert_true(first->goaway);
	assert_true(first->eof || first->fd < 0);
	use_init(&s, &w, "POST", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_true(use_finish(&s));
	assert_int_equal(s.dones, 1);
	assert_int_equal(w.dials, 2);
	use_free(&s);
	uw_end(&w);
}

static void
connection_ends_though_its_origin_reads_nothing(void **state)
{
	static uint8_t bytes[256 * 1024];
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "POST", "/x", BODY_STREAM, 0);
	use_start(&s);
	uw_run(&w, 20);
	assert_int_equal(w.dials, 1);
	w.origins->deaf = true;
	for (int i = 0; i < 16; i++) {
		use_send(&s, bytes, sizeof(bytes));
		uw_run(&w, 5);
	}
	/* What nobody is to use any more, and what is said last, lies here. */
	upstream_pool_clear(w.pool);
	assert_non_null(w.pool->conns);
	use_free(&s);
	uw_run(&w, 5);
	for (int i = 0; i < 2; i++) {
		later(UPSTREAM_LINGER_MS + 1000);
		uw_run(&w, 5);
	}
	assert_null(w.pool->conns);
	uw_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_and_response_at_any_chunking),
		cmocka_unit_test(body_and_trailers_go_both_ways),
		cmocka_unit_test(kinds_of_bodies_are_told_apart),
		cmocka_unit_test(secret_is_never_indexed),
		cmocka_unit_test(streams_share_a_connection_up_to_its_limit),
		cmocka_unit_test(those_who_wait_for_http1_dial_themselves),
		cmocka_unit_test(failed_dial_fails_all_who_wait),
		cmocka_unit_test(resets_end_one_stream),
		cmocka_unit_test(origin_that_wants_http1_gets_it),
		cmocka_unit_test(
		    reset_without_an_error_ends_a_response_that_is_not_short),
		cmocka_unit_test(goaway_refuses_what_came_after_and_drains),
		cmocka_unit_test(slow_reader_stops_the_sender),
		cmocka_unit_test(slow_origin_stops_the_user),
		cmocka_unit_test(upload_reaches_the_origin_whole),
		cmocka_unit_test(user_may_let_go_at_any_time),
		cmocka_unit_test(early_answer_ends_the_upload),
		cmocka_unit_test(answer_outlives_its_connection),
		cmocka_unit_test(too_many_interim_answers_end_it),
		cmocka_unit_test(cleared_pool_is_not_used_again),
		cmocka_unit_test(connection_that_nobody_uses_ends_with_goaway),
		cmocka_unit_test(
		    connection_ends_though_its_origin_reads_nothing),
	};

	later_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
