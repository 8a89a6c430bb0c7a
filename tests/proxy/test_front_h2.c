/*
 * The front process over HTTP/2: what back is told, and what the agent sees.
 */
#include "tests/proxy/h2client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "proxy/front.h"

#define POST(p)                                                                \
	":method: POST", ":scheme: http", ":authority: a.example", ":path: " p

static struct ft t;
static struct h2c c;

static int
setup(void **state)
{
	ft_start(&t);
	return 0;
}

static int
teardown(void **state)
{
	ft_stop(&t);
	return 0;
}

static void
assert_body(const struct h2c_rsp *r, const char *want)
{
	assert_int_equal(buf_len(&r->body), strlen(want));
	assert_memory_equal(buf_head(&r->body), want, strlen(want));
}

static void
assert_in(const char *text, const char *want)
{
	if (strstr(text, want) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", want, text);
}

static uint32_t
expect(uint16_t type, struct ft_msg *m)
{
	ft_expect(t.back, type, m);
	return m->serial;
}

/* Expect the message and drop its body. */
static uint32_t
skip_msg(uint16_t type)
{
	struct ft_msg m;

	expect(type, &m);
	buf_free(&m.body);
	return m.serial;
}

static void
trailers(uint32_t serial, const char *name, const char *value)
{
	struct fields fs = { 0 };
	struct buf b = { 0 };

	fields_set(&fs, name, value);
	assert_int_equal(trailers_put(&b, &fs), 0);
	ft_send(t.back, M_RSP_END, serial, &b, -1);
	fields_free(&fs);
	buf_free(&b);
}

/* ---- requests ---------------------------------------------------------- */

static void
request_has_one_form_on_the_wire(void **state)
{
	static const char *const fields[] = { POST("/x?y=z"), "cookie: a=1",
		"te: trailers", "x-keep: 2", "cookie: b=2", "content-length: 5",
		NULL };
	struct req_head h;
	struct ft_msg m;
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_request(&c, true, fields);
	h2c_data(&c, id, "hello", 5, true);
	serial = ft_request(&t, &h, "POST", "/x?y=z");
	assert_false(h.tls);
	assert_string_equal(h.dst, "127.0.0.1");
	assert_int_equal(h.port, t.port);
	assert_string_equal(h.authority, "a.example");
	assert_int_equal(h.kind, BODY_LENGTH);
	assert_int_equal(h.length, 5);
	assert_int_equal(h.fields.n, 2);
	assert_string_equal(fields_get(&h.fields, "x-keep", NULL), "2");
	assert_string_equal(fields_get(&h.fields, "cookie", NULL), "a=1; b=2");
	req_head_free(&h);
	expect(M_REQ_BODY, &m);
	assert_int_equal(buf_len(&m.body), 5);
	buf_free(&m.body);
	skip_msg(M_REQ_END);
	ft_rsp(&t, serial, "ok");
	assert_body(h2c_wait(&c, id), "ok");
	assert_int_equal(h2c_rsp(&c, id)->status, 200);
	assert_in(h2c_rsp(&c, id)->head, "x-from: back\n");
	assert_in(h2c_rsp(&c, id)->head, "content-length: 2\n");
	h2c_close(&c);
}

/* A value with a blank at its end is none: back would think front broken. */
static void
empty_crumbs_leave_no_blank_in_a_cookie(void **state)
{
	static const char *const fields[] = { POST("/crumbs"),
		"cookie: ", "cookie: a=1", "cookie: ", "cookie: b=2",
		"cookie: ", NULL };
	static const char *const none[] = { POST("/none"), "cookie: ", NULL };
	struct req_head h;
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_request(&c, false, fields);
	serial = ft_request(&t, &h, "POST", "/crumbs");
	assert_string_equal(fields_get(&h.fields, "cookie", NULL), "a=1; b=2");
	req_head_free(&h);
	skip_msg(M_REQ_END);
	ft_rsp(&t, serial, "ok");
	assert_body(h2c_wait(&c, id), "ok");
	id = h2c_request(&c, false, none);
	serial = ft_request(&t, &h, "POST", "/none");
	assert_null(fields_get(&h.fields, "cookie", NULL));
	req_head_free(&h);
	skip_msg(M_REQ_END);
	ft_rsp(&t, serial, "ok");
	assert_body(h2c_wait(&c, id), "ok");
	h2c_close(&c);
}

static void
streams_are_answered_in_any_order(void **state)
{
	int32_t id[20];
	uint32_t serial[20];
	char path[16];

	h2c_open(&c, &t, false);
	for (int i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "/%d", i);
		id[i] = h2c_get(&c, path);
		serial[i] = ft_get(&t, path);
	}
	for (int i = 19; i >= 0; i--) {
		snprintf(path, sizeof(path), "/%d", i);
		ft_rsp(&t, serial[i], path);
		assert_body(h2c_wait(&c, id[i]), path);
		assert_int_equal(h2c_rsp(&c, id[i])->error, 0);
	}
	h2c_close(&c);
}

static void
any_chunking_gives_the_same(void **state)
{
	static const char *const fields[] = { POST("/c"), NULL };
	struct req_head h;
	struct ft_msg m;
	struct buf got = { 0 };
	int32_t id;

	for (size_t piece = 1; piece < 40; piece += 6) {
		h2c_open(&c, &t, false);
		c.piece = piece;
		id = h2c_request(&c, true, fields);
		h2c_data(&c, id, "some bytes of a body", 20, true);
		ft_request(&t, &h, "POST", "/c");
		assert_int_equal(h.kind, BODY_STREAM);
		req_head_free(&h);
		while (buf_len(&got) < 20) {
			expect(M_REQ_BODY, &m);
			buf_put(&got, buf_head(&m.body), buf_len(&m.body));
			buf_free(&m.body);
		}
		assert_memory_equal(buf_head(&got), "some bytes of a body", 20);
		buf_free(&got);
		ft_rsp(&t, skip_msg(M_REQ_END), "ok");
		assert_body(h2c_wait(&c, id), "ok");
		h2c_close(&c);
	}
}

static void
request_trailers_arrive(void **state)
{
	static const uint8_t magic[] = NGHTTP2_CLIENT_MAGIC;
	struct buf b = { 0 }, f = { 0 };
	struct req_head h;
	struct ft_msg m;
	struct fields fs;
	struct cur cur;
	int fd = ft_connect(&t);

	buf_put(&b, magic, sizeof(magic) - 1);
	h2c_frame(&b, NGHTTP2_SETTINGS, 0, 0, "", 0);
	h2c_literal(&f, ":method", "POST");
	h2c_literal(&f, ":scheme", "http");
	h2c_literal(&f, ":path", "/t");
	h2c_literal(&f, "host", "a.example");
	h2c_frame(&b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
	    buf_head(&f), buf_len(&f));
	buf_free(&f);
	h2c_frame(&b, NGHTTP2_DATA, 0, 1, "abc", 3);
	h2c_literal(&f, "checksum", "1234");
	h2c_frame(&b, NGHTTP2_HEADERS,
	    NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, buf_head(&f),
	    buf_len(&f));
	buf_free(&f);
	assert_int_equal(send(fd, buf_head(&b), buf_len(&b), MSG_NOSIGNAL),
	    (ssize_t)buf_len(&b));
	buf_free(&b);
	ft_request(&t, &h, "POST", "/t");
	/* Host stands for a missing :authority. */
	assert_string_equal(h.authority, "a.example");
	assert_int_equal(h.fields.n, 0);
	req_head_free(&h);
	skip_msg(M_REQ_BODY);
	expect(M_REQ_END, &m);
	cur_init(&cur, buf_head(&m.body), buf_len(&m.body));
	assert_int_equal(trailers_get(&cur, &fs), 0);
	assert_string_equal(fields_get(&fs, "checksum", NULL), "1234");
	fields_free(&fs);
	buf_free(&m.body);
	close(fd);
	skip_msg(M_REQ_ABORT);
}

static void
expect_continue_waits_for_back(void **state)
{
	static const char *const fields[] = { POST("/e"),
		"expect: 100-continue", NULL };
	struct req_head h;
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_request(&c, true, fields);
	serial = ft_request(&t, &h, "POST", "/e");
	assert_true(h.expect_continue);
	assert_int_equal(h.fields.n, 0);
	req_head_free(&h);
	h2c_poll(&c, 50);
	assert_int_equal(h2c_rsp(&c, id)->interim, 0);
	ft_send(t.back, M_RSP_CONTINUE, serial, NULL, -1);
	while (h2c_rsp(&c, id)->interim == 0)
		h2c_poll(&c, 20);
	assert_int_equal(h2c_rsp(&c, id)->interim, 100);
	h2c_data(&c, id, "ab", 2, true);
	skip_msg(M_REQ_BODY);
	skip_msg(M_REQ_END);
	ft_rsp(&t, serial, "done");
	assert_body(h2c_wait(&c, id), "done");
	h2c_close(&c);
}

/* ---- responses --------------------------------------------------------- */

static void
trailers_reach_the_agent(void **state)
{
	int32_t id;
	uint32_t serial;

	h2c_open(&c, &t, false);
	id = h2c_get(&c, "/grpc");
	serial = ft_get(&t, "/grpc");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	ft_rsp_body(&t, serial, "message");
	trailers(serial, "Grpc-Status", "0");
	assert_body(h2c_wait(&c, id), "message");
	assert_string_equal(h2c_rsp(&c, id)->trailers, "grpc-status: 0\n");
	/* Without a body the head is the end. */
	id = h2c_get(&c, "/only");
	serial = ft_get(&t, "/only");
	ft_rsp_head(&t, serial, 200, BODY_NONE, 0);
	h2c_poll(&c, 50);
	assert_int_equal(h2c_rsp(&c, id)->status, 0);
	ft_rsp_end(&t, serial);
	assert_body(h2c_wait(&c, id), "");
	assert_string_equal(h2c_rsp(&c, id)->trailers, "");
	assert_int_equal(h2c_rsp(&c, id)->error, 0);
	h2c_close(&c);
}

static void
head_204_and_304_have_no_body(void **state)
{
	static const char *const head[] = { ":method: HEAD", ":scheme: http",
		":authority: a.example", ":path: /h", NULL };
	static const struct {
		unsigned int status;
		enum body_kind kind;
	} also[] = { { 204, BODY_NONE }, { 304, BODY_LENGTH } };
	struct req_head h;
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_request(&c, false, head);
	serial = ft_request(&t, &h, "HEAD", "/h");
	req_head_free(&h);
	skip_msg(M_REQ_END);
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, 1000);
	ft_rsp_end(&t, serial);
	assert_body(h2c_wait(&c, id), "");
	assert_in(h2c_rsp(&c, id)->head, "content-length: 1000\n");
	for (size_t i = 0; i < nitems(also); i++) {
		id = h2c_get(&c, "/s");
		serial = ft_get(&t, "/s");
		ft_rsp_head(&t, serial, also[i].status, also[i].kind,
		    also[i].kind == BODY_LENGTH ? 77 : 0);
		ft_rsp_end(&t, serial);
		assert_body(h2c_wait(&c, id), "");
		assert_int_equal(h2c_rsp(&c, id)->status, also[i].status);
	}
	h2c_close(&c);
}

static void
deny(uint32_t serial, unsigned int status, const char *json)
{
	struct buf b = { 0 };

	buf_put_u16(&b, (uint16_t)status);
	buf_put_u8(&b, 1);
	buf_put_str(&b, json);
	ft_send(t.back, M_RSP_DENY, serial, &b, -1);
	buf_free(&b);
}

static void
denial_ends_its_stream_alone(void **state)
{
	static const char *const fields[] = { POST("/no"), NULL };
	static char junk[65536];
	struct req_head h;
	struct h2c_rsp *r;
	uint32_t serial, other;
	int32_t id, id2;

	h2c_open(&c, &t, false);
	id2 = h2c_get(&c, "/yes");
	other = ft_get(&t, "/yes");
	id = h2c_request(&c, true, fields);
	serial = ft_request(&t, &h, "POST", "/no");
	req_head_free(&h);
	deny(serial, 403, "{\"error\":\"policy_denied\"}");
	/* The agent may stop by itself ... */
	r = h2c_rsp(&c, id);
	h2c_poll(&c, 300);
	assert_false(r->closed);
	assert_int_equal(r->status, 403);
	assert_in(r->head, "content-type: application/json\n");
	assert_body(r, "{\"error\":\"policy_denied\"}");
	/* ... or goes on, until it is told that the rest of the request is
	 * not wanted (RFC 9113 section 8.1). */
	for (size_t n = 0;
	     n < FRONT_LINGER_MAX / sizeof(junk) + 8 && !r->closed; n++) {
		h2c_data(&c, id, junk, sizeof(junk), false);
		h2c_poll(&c, 0);
	}
	assert_true(h2c_wait(&c, id)->closed);
	assert_int_equal(r->error, NGHTTP2_NO_ERROR);
	ft_rsp(&t, other, "ok");
	assert_body(h2c_wait(&c, id2), "ok");
	h2c_close(&c);
}

static void
broken_response_is_a_reset(void **state)
{
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_get(&c, "/a");
	serial = ft_get(&t, "/a");
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, 10);
	ft_rsp_body(&t, serial, "half");
	ft_send_str(t.back, M_RSP_ABORT, serial, "upstream broke");
	assert_int_equal(h2c_wait(&c, id)->error, NGHTTP2_INTERNAL_ERROR);
	/* Ended short. */
	id = h2c_get(&c, "/b");
	serial = ft_get(&t, "/b");
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, 10);
	ft_rsp_end(&t, serial);
	assert_int_equal(h2c_wait(&c, id)->error, NGHTTP2_INTERNAL_ERROR);
	/* Before the head it can be said. */
	id = h2c_get(&c, "/c");
	serial = ft_get(&t, "/c");
	ft_send_str(t.back, M_RSP_ABORT, serial, "upstream broke");
	assert_int_equal(h2c_wait(&c, id)->status, 502);
	h2c_close(&c);
}

static void
back_dies_under_the_streams(void **state)
{
	int32_t a, b;
	uint32_t serial;

	h2c_open(&c, &t, false);
	a = h2c_get(&c, "/a");
	ft_get(&t, "/a");
	b = h2c_get(&c, "/b");
	serial = ft_get(&t, "/b");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	ft_rsp_body(&t, serial, "half");
	while (buf_len(&h2c_rsp(&c, b)->body) < 4)
		h2c_poll(&c, 20);
	ft_new_back(&t);
	assert_int_equal(h2c_wait(&c, a)->status, 502);
	assert_int_equal(h2c_wait(&c, b)->error, NGHTTP2_INTERNAL_ERROR);
	/* And the connection goes on with the new one. */
	a = h2c_get(&c, "/again");
	ft_rsp(&t, ft_get(&t, "/again"), "ok");
	assert_body(h2c_wait(&c, a), "ok");
	h2c_close(&c);
}

static void
reset_by_the_agent_reaches_back(void **state)
{
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_get(&c, "/a");
	serial = ft_get(&t, "/a");
	nghttp2_submit_rst_stream(c.s, 0, id, NGHTTP2_CANCEL);
	h2c_flush(&c);
	assert_int_equal(skip_msg(M_REQ_ABORT), serial);
	/* What crosses it is ignored. */
	ft_rsp(&t, serial, "late");
	id = h2c_get(&c, "/b");
	serial = ft_get(&t, "/b");
	h2c_close(&c);
	assert_int_equal(skip_msg(M_REQ_ABORT), serial);
}

/* ---- flow control ------------------------------------------------------ */

static void
upload_stops_at_the_credit_of_back(void **state)
{
	static const char *const fields[] = { POST("/up"), NULL };
	static uint8_t bytes[2 * WIRE_WINDOW];
	struct req_head h;
	struct ft_msg m;
	size_t got = 0;
	uint32_t serial;
	int32_t id, other;

	h2c_open(&c, &t, false);
	h2c_ready(&c);
	id = h2c_request(&c, true, fields);
	serial = ft_request(&t, &h, "POST", "/up");
	req_head_free(&h);
	h2c_data(&c, id, bytes, sizeof(bytes), true);
	while (got < WIRE_WINDOW) {
		if (!ft_waiting(t.back, 0))
			h2c_poll(&c, 50);
		expect(M_REQ_BODY, &m);
		got += buf_len(&m.body);
		buf_free(&m.body);
	}
	assert_int_equal(got, WIRE_WINDOW);
	h2c_poll(&c, 100);
	assert_false(ft_waiting(t.back, 0));
	/* Other streams go on. */
	other = h2c_get(&c, "/other");
	ft_rsp(&t, ft_get(&t, "/other"), "ok");
	assert_body(h2c_wait(&c, other), "ok");
	ft_send_u32(t.back, M_RSP_WINDOW, serial, WIRE_WINDOW);
	while (got < sizeof(bytes)) {
		if (!ft_waiting(t.back, 0))
			h2c_poll(&c, 50);
		expect(M_REQ_BODY, &m);
		got += buf_len(&m.body);
		buf_free(&m.body);
	}
	assert_int_equal(got, sizeof(bytes));
	skip_msg(M_REQ_END);
	ft_rsp(&t, serial, "done");
	assert_body(h2c_wait(&c, id), "done");
	h2c_close(&c);
}

static void
send_body(uint32_t serial, size_t n)
{
	static uint8_t bytes[32768];
	struct buf b = { 0 };

	while (n > 0) {
		size_t k = n < sizeof(bytes) ? n : sizeof(bytes);

		buf_put(&b, bytes, k);
		ft_send(t.back, M_RSP_BODY, serial, &b, -1);
		buf_free(&b);
		n -= k;
	}
}

static void
slow_reader_stops_the_sender(void **state)
{
	struct ft_msg m;
	struct cur cur;
	uint32_t serial;
	int32_t id;

	h2c_open(&c, &t, true);
	id = h2c_get(&c, "/slow");
	serial = ft_get(&t, "/slow");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	send_body(serial, WIRE_RSP_WINDOW);
	h2c_wait_body(&c, id, 65535);
	h2c_poll(&c, 100);
	/* As much as the agent's window has, and no grant: 65535 is less than
	 * a grant is worth. */
	assert_int_equal(buf_len(&h2c_rsp(&c, id)->body), 65535);
	assert_false(ft_waiting(t.back, 50));
	/* It opens: so does back's credit. */
	nghttp2_submit_window_update(c.s, 0, 0, WIRE_RSP_WINDOW);
	nghttp2_submit_window_update(c.s, 0, id, WIRE_RSP_WINDOW);
	h2c_flush(&c);
	h2c_wait_body(&c, id, WIRE_RSP_WINDOW);
	expect(M_REQ_WINDOW, &m);
	cur_init(&cur, buf_head(&m.body), buf_len(&m.body));
	assert_true(cur_u32(&cur) >= WIRE_RSP_WINDOW / 2);
	buf_free(&m.body);
	h2c_close(&c);
	while (ft_waiting(t.back, 100)) {
		uint8_t waste[65536];

		recv(t.back, waste, sizeof(waste), 0);
	}
}

static void
front_says_goodbye(void **state)
{
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_get(&c, "/a");
	ft_rsp(&t, ft_get(&t, "/a"), "ok");
	h2c_wait(&c, id);
	ft_stop(&t);
	h2c_wait_end(&c);
	assert_true(c.goaway);
	assert_int_equal(c.goaway_error, NGHTTP2_NO_ERROR);
	h2c_close(&c);
	ft_start(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_has_one_form_on_the_wire),
		cmocka_unit_test(empty_crumbs_leave_no_blank_in_a_cookie),
		cmocka_unit_test(streams_are_answered_in_any_order),
		cmocka_unit_test(any_chunking_gives_the_same),
		cmocka_unit_test(request_trailers_arrive),
		cmocka_unit_test(expect_continue_waits_for_back),
		cmocka_unit_test(trailers_reach_the_agent),
		cmocka_unit_test(head_204_and_304_have_no_body),
		cmocka_unit_test(denial_ends_its_stream_alone),
		cmocka_unit_test(broken_response_is_a_reset),
		cmocka_unit_test(back_dies_under_the_streams),
		cmocka_unit_test(reset_by_the_agent_reaches_back),
		cmocka_unit_test(upload_stops_at_the_credit_of_back),
		cmocka_unit_test(slow_reader_stops_the_sender),
		cmocka_unit_test(front_says_goodbye),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
