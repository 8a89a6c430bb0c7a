/*
 * The front process over plain HTTP: what back is told, and what the agent
 * sees of back's answers, good and bad.
 */
#include "tests/proxy/fronttest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

#define GET(t) "GET " t " HTTP/1.1\r\nHost: a.example\r\n\r\n"

static struct ft t;
static char text[65536];

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
assert_has(const char *want)
{
	if (strstr(text, want) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", want, text);
}

static void
request_is_handed_on_with_its_destination(void **state)
{
	struct req_head h;
	struct ft_msg m;
	int fd = ft_connect(&t);

	ft_write(fd, "POST /x?y=z HTTP/1.1\r\nHost: a.example:81\r\n"
		     "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
		     "X-Keep: 2\r\nContent-Length: 5\r\n\r\nhello");
	ft_request(&t, &h, "POST", "/x?y=z");
	assert_false(h.tls);
	assert_string_equal(h.sni, "");
	assert_string_equal(h.dst, "127.0.0.1");
	assert_int_equal(h.port, t.port);
	assert_string_equal(h.authority, "a.example:81");
	assert_int_equal(h.kind, BODY_LENGTH);
	assert_int_equal(h.length, 5);
	assert_int_equal(h.fields.n, 1);
	assert_string_equal(h.fields.f[0].name, "X-Keep");
	req_head_free(&h);
	ft_expect(t.back, M_REQ_BODY, &m);
	assert_int_equal(buf_len(&m.body), 5);
	buf_free(&m.body);
	ft_expect(t.back, M_REQ_END, &m);
	buf_free(&m.body);
	close(fd);
	ft_expect(t.back, M_REQ_ABORT, &m);
	buf_free(&m.body);
}

static void
keep_alive_serves_the_next_request(void **state)
{
	int fd = ft_connect(&t);

	for (int i = 0; i < 3; i++) {
		ft_write(fd, GET("/a"));
		ft_rsp(&t, ft_get(&t, "/a"), "one");
		ft_read_until(fd, "\r\n\r\none", text, sizeof(text));
		assert_has("HTTP/1.1 200 OK\r\nX-From: back\r\n"
			   "Content-Length: 3\r\n\r\n");
	}
	ft_write(fd, "GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	ft_rsp(&t, ft_get(&t, "/b"), "two");
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_has("Connection: close\r\n\r\ntwo");
	close(fd);
}

static void
chunked_upload_arrives_with_trailers(void **state)
{
	struct req_head h;
	struct ft_msg m;
	struct fields fs;
	struct cur c;
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "POST / HTTP/1.1\r\nHost: a\r\n"
		     "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
	serial = ft_request(&t, &h, "POST", "/");
	assert_int_equal(h.kind, BODY_STREAM);
	req_head_free(&h);
	ft_expect(t.back, M_REQ_BODY, &m);
	assert_memory_equal(buf_head(&m.body), "abc", 3);
	buf_free(&m.body);
	ft_write(fd, "4\r\ndefg\r\n0\r\nT: u\r\n\r\n");
	ft_expect(t.back, M_REQ_BODY, &m);
	assert_memory_equal(buf_head(&m.body), "defg", 4);
	buf_free(&m.body);
	ft_expect(t.back, M_REQ_END, &m);
	cur_init(&c, buf_head(&m.body), buf_len(&m.body));
	assert_int_equal(trailers_get(&c, &fs), 0);
	assert_string_equal(fields_get(&fs, "t", NULL), "u");
	fields_free(&fs);
	buf_free(&m.body);
	ft_rsp(&t, serial, "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
}

static void
head_204_and_304_have_no_body(void **state)
{
	struct req_head h;
	struct ft_msg m;
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
	serial = ft_request(&t, &h, "HEAD", "/h");
	req_head_free(&h);
	ft_expect(t.back, M_REQ_END, &m);
	buf_free(&m.body);
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, 1000);
	ft_rsp_end(&t, serial);
	ft_read_until(fd, "\r\n\r\n", text, sizeof(text));
	assert_has("Content-Length: 1000\r\n");
	ft_write(fd, GET("/204"));
	serial = ft_get(&t, "/204");
	ft_rsp_head(&t, serial, 204, BODY_NONE, 0);
	ft_rsp_end(&t, serial);
	ft_read_until(fd, "\r\n\r\n", text, sizeof(text));
	assert_true(str_starts(text, "HTTP/1.1 204 No Content\r\n"));
	assert_null(strstr(text, "Content-Length"));
	ft_write(fd, GET("/304"));
	serial = ft_get(&t, "/304");
	ft_rsp_head(&t, serial, 304, BODY_LENGTH, 77);
	ft_rsp_end(&t, serial);
	ft_read_until(fd, "\r\n\r\n", text, sizeof(text));
	assert_true(str_starts(text, "HTTP/1.1 304 Not Modified\r\n"));
	assert_has("Content-Length: 77\r\n");
	/* The connection is still in step. */
	ft_write(fd, GET("/next"));
	ft_rsp(&t, ft_get(&t, "/next"), "in step");
	ft_read_until(fd, "\r\n\r\nin step", text, sizeof(text));
	assert_true(str_starts(text, "HTTP/1.1 200"));
	close(fd);
}

static void
pipelined_requests_are_served_in_order(void **state)
{
	uint32_t first, second;
	int fd = ft_connect(&t);

	ft_write(fd, GET("/1") GET("/2"));
	first = ft_get(&t, "/1");
	assert_false(ft_waiting(t.back, 100));
	ft_rsp(&t, first, "one");
	second = ft_get(&t, "/2");
	assert_int_not_equal(first, second);
	ft_rsp(&t, second, "two");
	ft_read_until(fd, "\r\n\r\none", text, sizeof(text));
	ft_read_until(fd, "\r\n\r\ntwo", text, sizeof(text));
	close(fd);
}

static void
stream_chunk_arrives_at_once(void **state)
{
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, GET("/sse"));
	serial = ft_get(&t, "/sse");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	ft_read_until(fd, "\r\n\r\n", text, sizeof(text));
	assert_has("Transfer-Encoding: chunked\r\n");
	for (int i = 0; i < 3; i++) {
		ft_rsp_body(&t, serial, "data: x\n\n");
		ft_read_until(fd, "9\r\ndata: x\n\n\r\n", text, sizeof(text));
	}
	ft_rsp_end(&t, serial);
	ft_read_until(fd, "0\r\n\r\n", text, sizeof(text));
	close(fd);
}

static void
http_1_0_stream_ends_with_the_connection(void **state)
{
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "GET /s HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	serial = ft_get(&t, "/s");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	ft_rsp_body(&t, serial, "abc");
	ft_rsp_end(&t, serial);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_ends(text, "Connection: close\r\n\r\nabc"));
	close(fd);
	/* A known length lets it stay. */
	fd = ft_connect(&t);
	ft_write(fd, "GET /l HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	ft_rsp(&t, ft_get(&t, "/l"), "abc");
	ft_read_until(
	    fd, "Connection: keep-alive\r\n\r\nabc", text, sizeof(text));
	close(fd);
}

static void
expect_continue_waits_for_back(void **state)
{
	struct req_head h;
	struct ft_msg m;
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "PUT /e HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
		     "Expect: 100-continue\r\n\r\n");
	serial = ft_request(&t, &h, "PUT", "/e");
	assert_true(h.expect_continue);
	assert_int_equal(h.fields.n, 0);
	req_head_free(&h);
	assert_false(ft_waiting(fd, 100));
	ft_send(t.back, M_RSP_CONTINUE, serial, NULL, -1);
	ft_read_until(fd, "HTTP/1.1 100 Continue\r\n\r\n", text, sizeof(text));
	ft_write(fd, "ab");
	ft_expect(t.back, M_REQ_BODY, &m);
	buf_free(&m.body);
	ft_expect(t.back, M_REQ_END, &m);
	buf_free(&m.body);
	ft_rsp(&t, serial, "done");
	ft_read_until(fd, "\r\n\r\ndone", text, sizeof(text));
	close(fd);
}

static void
deny(uint32_t serial, const char *json)
{
	struct buf b = { 0 };

	buf_put_u16(&b, 403);
	buf_put_u8(&b, 0);
	buf_put_str(&b, json);
	ft_send(t.back, M_RSP_DENY, serial, &b, -1);
	buf_free(&b);
}

static void
denial_is_json_and_keeps_the_connection(void **state)
{
	int fd = ft_connect(&t);

	ft_write(fd, GET("/no"));
	deny(ft_get(&t, "/no"), "{\"error\":\"policy_denied\"}");
	ft_read_until(
	    fd, "\r\n\r\n{\"error\":\"policy_denied\"}", text, sizeof(text));
	assert_true(str_starts(text, "HTTP/1.1 403 Forbidden\r\n"));
	assert_has("Content-Type: application/json\r\n");
	ft_write(fd, GET("/yes"));
	ft_rsp(&t, ft_get(&t, "/yes"), "ok");
	ft_read_until(fd, "\r\n\r\nok", text, sizeof(text));
	close(fd);
}

static void
denial_before_the_body_closes(void **state)
{
	struct req_head h;
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "PUT /no HTTP/1.1\r\nHost: a\r\n"
		     "Content-Length: 1000000\r\n\r\n");
	serial = ft_request(&t, &h, "PUT", "/no");
	req_head_free(&h);
	deny(serial, "{}");
	/* An agent that does not look goes on sending. */
	memset(text, 'x', sizeof(text));
	assert_true(send(fd, text, sizeof(text), MSG_NOSIGNAL) > 0);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 403"));
	assert_true(str_ends(text, "Connection: close\r\n\r\n{}"));
	close(fd);
}

static void
back_dies_before_the_head_502(void **state)
{
	int fd = ft_connect(&t), other;

	ft_write(fd, GET("/x"));
	ft_get(&t, "/x");
	close(t.back);
	t.back = -1;
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 502"));
	assert_has("\"error\":\"unavailable\"");
	close(fd);
	other = ft_connect(&t);
	ft_write(other, GET("/y"));
	assert_int_equal(ft_read_all(other, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 503"));
	assert_has("proxy back end unavailable");
	close(other);
	/* And it recovers. */
	ft_new_back(&t);
	other = ft_connect(&t);
	ft_write(other, GET("/z"));
	ft_rsp(&t, ft_get(&t, "/z"), "back again");
	ft_read_until(other, "back again", text, sizeof(text));
	close(other);
}

static void
back_dies_in_the_response_reset(void **state)
{
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, "GET /x HTTP/1.0\r\n\r\n");
	serial = ft_get(&t, "/x");
	ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
	ft_rsp_body(&t, serial, "half");
	ft_read_until(fd, "half", text, sizeof(text));
	ft_new_back(&t);
	/* A clean end would make half a body look whole. */
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), -1);
	close(fd);
}

static void
upstream_abort_is_never_a_clean_end(void **state)
{
	uint32_t serial;
	int fd = ft_connect(&t);

	ft_write(fd, GET("/x"));
	serial = ft_get(&t, "/x");
	ft_rsp_head(&t, serial, 200, BODY_LENGTH, 10);
	ft_rsp_body(&t, serial, "half");
	ft_read_until(fd, "half", text, sizeof(text));
	ft_send_str(t.back, M_RSP_ABORT, serial, "upstream broke");
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), -1);
	close(fd);
	fd = ft_connect(&t);
	ft_write(fd, GET("/y"));
	serial = ft_get(&t, "/y");
	ft_send_str(t.back, M_RSP_ABORT, serial, "up\"stream\n broke");
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_true(str_starts(text, "HTTP/1.1 502"));
	assert_has("up\\\"stream\\u000a broke");
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_handed_on_with_its_destination),
		cmocka_unit_test(keep_alive_serves_the_next_request),
		cmocka_unit_test(chunked_upload_arrives_with_trailers),
		cmocka_unit_test(head_204_and_304_have_no_body),
		cmocka_unit_test(pipelined_requests_are_served_in_order),
		cmocka_unit_test(stream_chunk_arrives_at_once),
		cmocka_unit_test(http_1_0_stream_ends_with_the_connection),
		cmocka_unit_test(expect_continue_waits_for_back),
		cmocka_unit_test(denial_is_json_and_keeps_the_connection),
		cmocka_unit_test(denial_before_the_body_closes),
		cmocka_unit_test(back_dies_before_the_head_502),
		cmocka_unit_test(back_dies_in_the_response_reset),
		cmocka_unit_test(upstream_abort_is_never_a_clean_end),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
