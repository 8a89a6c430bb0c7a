/*
 * WebSocket through the front process: over HTTP/1.1 (RFC 6455) and over
 * HTTP/2 (RFC 8441), in one form towards back.
 */
#include "tests/proxy/h2client.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HANDSHAKE                                                              \
	"GET /chat HTTP/1.1\r\nHost: a.example\r\n"                            \
	"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"            \
	"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n"          \
	"Sec-WebSocket-Protocol: chat\r\n\r\n"

static const char *const connect2[] = { ":method: CONNECT",
	":protocol: websocket", ":scheme: http", ":authority: a.example",
	":path: /chat", "sec-websocket-version: 13",
	"sec-websocket-protocol: chat", NULL };

static struct ft t;
static struct h2c c;
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

static uint32_t
request_is_one(void)
{
	struct req_head h;
	uint32_t serial = ft_request(&t, &h, "GET", "/chat");

	assert_string_equal(h.protocol, "websocket");
	assert_string_equal(h.authority, "a.example");
	assert_int_equal(h.kind, BODY_STREAM);
	assert_int_equal(h.fields.n, 2);
	assert_string_equal(
	    fields_get(&h.fields, "Sec-WebSocket-Version", NULL), "13");
	assert_string_equal(
	    fields_get(&h.fields, "Sec-WebSocket-Protocol", NULL), "chat");
	req_head_free(&h);
	return serial;
}

static void
body_is(uint32_t serial, const char *want)
{
	struct ft_msg m;

	ft_expect(t.back, M_REQ_BODY, &m);
	assert_int_equal(m.serial, serial);
	assert_int_equal(buf_len(&m.body), strlen(want));
	assert_memory_equal(buf_head(&m.body), want, strlen(want));
	buf_free(&m.body);
}

static void
end_comes(uint16_t type)
{
	struct ft_msg m;

	ft_expect(t.back, type, &m);
	buf_free(&m.body);
}

static int
opened(uint32_t *serial)
{
	int fd = ft_connect(&t);

	ft_write(fd, HANDSHAKE);
	*serial = request_is_one();
	assert_false(ft_waiting(t.back, 50));
	ft_rsp_head(&t, *serial, 101, BODY_STREAM, 0);
	ft_read_until(fd, "\r\n\r\n", text, sizeof(text));
	return fd;
}

/* Close so that the other side sees a broken connection. */
static void
reset(int fd)
{
	static const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void
http1_handshake_is_answered_here(void **state)
{
	uint32_t serial;
	int fd = opened(&serial);

	assert_true(str_starts(text, "HTTP/1.1 101 Switching Protocols\r\n"));
	assert_non_null(strstr(text, "\r\nX-From: back\r\n"));
	assert_non_null(strstr(text, "\r\nUpgrade: websocket\r\n"));
	assert_non_null(strstr(text, "\r\nConnection: Upgrade\r\n"));
	assert_non_null(
	    strstr(text, "\r\nSec-WebSocket-Accept: " ACCEPT "\r\n"));
	assert_null(strstr(text, "Content-Length"));
	ft_write(fd, "\x81\x85....hello");
	body_is(serial, "\x81\x85....hello");
	ft_rsp_body(&t, serial, "\x81\x05hello");
	ft_read_until(fd, "\x81\x05hello", text, sizeof(text));
	/* Each direction ends by itself. */
	shutdown(fd, SHUT_WR);
	end_comes(M_REQ_END);
	ft_rsp_body(&t, serial, "more");
	ft_read_until(fd, "more", text, sizeof(text));
	ft_rsp_end(&t, serial);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	close(fd);
	/* The other way round. */
	fd = opened(&serial);
	ft_rsp_end(&t, serial);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	ft_write(fd, "last words");
	body_is(serial, "last words");
	close(fd);
	end_comes(M_REQ_END);
}

static void
end_of_the_agent_and_of_back_are_seen(void **state)
{
	uint32_t serial;
	int fd = opened(&serial);

	reset(fd);
	end_comes(M_REQ_ABORT);
	fd = opened(&serial);
	ft_send_str(t.back, M_RSP_ABORT, serial, "upstream broke");
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), -1);
	close(fd);
	fd = opened(&serial);
	ft_new_back(&t);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), -1);
	close(fd);
}

static void
sender_stops_at_the_credit(void **state)
{
	uint32_t serial;
	int fd = opened(&serial);
	struct ft_msg m;
	size_t sent = 0, got = 0;
	ssize_t n;

	while (got < WIRE_WINDOW) {
		n = send(fd, text, sizeof(text), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			sent += (size_t)n;
		if (!ft_waiting(t.back, 20))
			continue;
		ft_expect(t.back, M_REQ_BODY, &m);
		got += buf_len(&m.body);
		buf_free(&m.body);
	}
	assert_int_equal(got, WIRE_WINDOW);
	assert_false(ft_waiting(t.back, 100));
	ft_send_u32(t.back, M_RSP_WINDOW, serial, 10);
	ft_expect(t.back, M_REQ_BODY, &m);
	assert_int_equal(buf_len(&m.body), 10);
	buf_free(&m.body);
	reset(fd);
	assert_true(sent > WIRE_WINDOW);
	end_comes(M_REQ_ABORT);
}

static void
refused(const char *request, const char *status)
{
	int fd = ft_connect(&t);

	ft_write(fd, request);
	assert_int_equal(ft_read_all(fd, text, sizeof(text)), 0);
	if (!str_starts(text, status))
		fail_msg("\"%s\" instead of %s", text, status);
	close(fd);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define UP "Connection: Upgrade\r\nUpgrade: websocket\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define K "Sec-WebSocket-Key: " KEY "\r\n"

static void
malformed_handshakes_are_refused(void **state)
{
	refused(GET "Upgrade: websocket\r\n" V13 K "\r\n", "HTTP/1.1 400");
	refused(GET UP V13 "\r\n", "HTTP/1.1 400");
	refused(GET UP V13 K K "\r\n", "HTTP/1.1 400");
	refused(
	    GET UP V13 "Sec-WebSocket-Key: short==\r\n\r\n", "HTTP/1.1 400");
	refused(GET UP K "\r\n", "HTTP/1.1 400");
	refused(GET UP K "Sec-WebSocket-Version: 8\r\n\r\n", "HTTP/1.1 426");
	assert_non_null(strstr(text, "Sec-WebSocket-Version: 13\r\n"));
	refused(GET UP V13 K "Content-Length: 1\r\n\r\nx", "HTTP/1.1 400");
	refused(
	    "POST / HTTP/1.1\r\nHost: a\r\n" UP V13 K "\r\n", "HTTP/1.1 400");
	refused(GET "Connection: Upgrade\r\nUpgrade: websocket, x\r\n" V13 K
		    "\r\n",
	    "HTTP/1.1 501");
	assert_false(ft_waiting(t.back, 50));
}

/* The answer comes, and nothing else once the agent ends its half. */
static void
ended_with(int32_t id, int status)
{
	while (h2c_rsp(&c, id)->status == 0)
		h2c_poll(&c, 20);
	assert_int_equal(h2c_rsp(&c, id)->status, status);
	h2c_data(&c, id, "", 0, true);
	assert_int_equal(h2c_wait(&c, id)->error, 0);
	assert_false(ft_waiting(t.back, 20));
}

static void
refusal_of_the_origin_is_an_answer(void **state)
{
	uint32_t serial;
	int32_t id;
	int fd = ft_connect(&t);

	ft_write(fd, HANDSHAKE);
	serial = request_is_one();
	ft_rsp_head(&t, serial, 403, BODY_LENGTH, 2);
	end_comes(M_REQ_END);
	ft_rsp_body(&t, serial, "no");
	ft_rsp_end(&t, serial);
	ft_read_until(fd, "\r\n\r\nno", text, sizeof(text));
	assert_true(str_starts(text, "HTTP/1.1 403"));
	/* It is still a connection of HTTP. */
	ft_write(fd, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
	ft_rsp(&t, ft_get(&t, "/next"), "next");
	ft_read_until(fd, "\r\n\r\nnext", text, sizeof(text));
	close(fd);
	/* Over HTTP/2, too. */
	h2c_open(&c, &t, false);
	h2c_ready(&c);
	id = h2c_request(&c, true, connect2);
	serial = request_is_one();
	ft_rsp_head(&t, serial, 403, BODY_LENGTH, 2);
	end_comes(M_REQ_END);
	ft_rsp_body(&t, serial, "no");
	ft_rsp_end(&t, serial);
	ended_with(id, 403);
	h2c_close(&c);
}

static void
unasked_switch_is_a_fault_of_back(void **state)
{
	struct ft_msg m;
	int fd = ft_connect(&t);

	ft_write(fd, "GET /chat HTTP/1.1\r\nHost: a\r\n\r\n");
	ft_rsp_head(&t, ft_get(&t, "/chat"), 101, BODY_STREAM, 0);
	ft_expect(t.parent, M_BAD_PEER, &m);
	buf_free(&m.body);
	ft_read_all(fd, text, sizeof(text));
	close(fd);
	ft_new_back(&t);
}

/* ---- over HTTP/2 ------------------------------------------------------- */

static void
extended_connect_is_the_same_to_back(void **state)
{
	uint32_t serial;
	int32_t id, other;

	h2c_open(&c, &t, false);
	h2c_ready(&c);
	assert_int_equal(nghttp2_session_get_remote_settings(
			     c.s, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL),
	    1);
	id = h2c_request(&c, true, connect2);
	serial = request_is_one();
	ft_rsp_head(&t, serial, 101, BODY_STREAM, 0);
	while (h2c_rsp(&c, id)->status == 0)
		h2c_poll(&c, 20);
	assert_int_equal(h2c_rsp(&c, id)->status, 200);
	h2c_data(&c, id, "hello", 5, false);
	body_is(serial, "hello");
	ft_rsp_body(&t, serial, "world");
	while (buf_len(&h2c_rsp(&c, id)->body) < 5)
		h2c_poll(&c, 20);
	/* Back ends its half: the other goes on. */
	ft_rsp_end(&t, serial);
	h2c_poll(&c, 50);
	assert_false(h2c_rsp(&c, id)->closed);
	h2c_data(&c, id, "last", 4, true);
	body_is(serial, "last");
	end_comes(M_REQ_END);
	assert_int_equal(h2c_wait(&c, id)->error, 0);
	/* The agent ends its half first. */
	id = h2c_request(&c, true, connect2);
	serial = request_is_one();
	ft_rsp_head(&t, serial, 101, BODY_STREAM, 0);
	h2c_data(&c, id, "", 0, true);
	end_comes(M_REQ_END);
	ft_rsp_body(&t, serial, "more");
	ft_rsp_end(&t, serial);
	assert_int_equal(buf_len(&h2c_wait(&c, id)->body), 4);
	/* And nothing is owed to anybody. */
	other = h2c_get(&c, "/other");
	ft_rsp(&t, ft_get(&t, "/other"), "ok");
	h2c_wait(&c, other);
	h2c_close(&c);
	assert_false(ft_waiting(t.back, 50));
}

static void
extended_connect_for_others_is_refused(void **state)
{
	static const char *const udp[] = { ":method: CONNECT",
		":protocol: connect-udp", ":scheme: http",
		":authority: a.example", ":path: /x", NULL };
	static const char *const old[] = { ":method: CONNECT",
		":protocol: websocket", ":scheme: http",
		":authority: a.example", ":path: /x",
		"sec-websocket-version: 8", NULL };
	int32_t id;

	h2c_open(&c, &t, false);
	h2c_ready(&c);
	id = h2c_request(&c, true, udp);
	ended_with(id, 501);
	id = h2c_request(&c, true, old);
	ended_with(id, 426);
	id = h2c_request(&c, false, connect2);
	assert_int_equal(h2c_wait(&c, id)->status, 400);
	h2c_close(&c);
	assert_false(ft_waiting(t.back, 50));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(http1_handshake_is_answered_here),
		cmocka_unit_test(end_of_the_agent_and_of_back_are_seen),
		cmocka_unit_test(sender_stops_at_the_credit),
		cmocka_unit_test(malformed_handshakes_are_refused),
		cmocka_unit_test(refusal_of_the_origin_is_an_answer),
		cmocka_unit_test(unasked_switch_is_a_fault_of_back),
		cmocka_unit_test(extended_connect_is_the_same_to_back),
		cmocka_unit_test(extended_connect_for_others_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
