/*
 * The front process over HTTP/2: what it refuses, and what a flood of each
 * kind of frame comes to.
 */
#include "tests/proxy/h2client.h"

#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "proxy/front_grpc.h"
#include "proxy/front_h2.h"

#define GET(p)                                                                 \
	":method: GET", ":scheme: http", ":authority: a.example", ":path: " p

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

/*
 * Drop what front tells back; how many messages of that type.  Waits longer
 * for the first few.
 */
static size_t
drain(uint16_t type, size_t few)
{
	size_t n = 0;

	while (ft_waiting(t.back, n < few ? 5000 : 100)) {
		uint16_t head[8];
		uint8_t body[65536];
		uint32_t len;

		assert_int_equal(recv(t.back, head, 16, MSG_WAITALL), 16);
		len = head[2] | (uint32_t)head[3] << 16;
		if (len > 0)
			assert_int_equal(
			    recv(t.back, body, len, MSG_WAITALL), len);
		n += head[0] == type;
	}
	return n;
}

static void
is_served(void)
{
	int32_t id;

	h2c_open(&c, &t, false);
	id = h2c_get(&c, "/served");
	ft_rsp(&t, ft_get(&t, "/served"), "ok");
	assert_int_equal(h2c_wait(&c, id)->status, 200);
	h2c_close(&c);
}

/* ---- one request ------------------------------------------------------- */

static void
malformed_requests_never_reach_back(void **state)
{
	/* status 0: the stream is reset. */
	static const struct {
		int status;
		const char *fields[12];
	} all[] = {
		{ 0, { GET("/"), "connection: close" } },
		{ 0, { GET("/"), "transfer-encoding: chunked" } },
		{ 0, { GET("/"), "keep-alive: 1" } },
		{ 0, { GET("/"), "proxy-connection: x" } },
		{ 0, { GET("/"), "upgrade: h2c" } },
		{ 0, { GET("/"), "te: gzip" } },
		{ 0, { GET("/"), "bad name: x" } },
		{ 0, { GET("/"), "x: a\rb" } },
		{ 0, { GET("/"), "x: a\nb" } },
		{ 0, { GET("/"), "x:  a" } },
		{ 0, { GET("/"), ":path: /again" } },
		{ 0, { "x: y", GET("/") } },
		{ 0, { GET("/"), ":unknown: x" } },
		{ 0, { GET("/"), "content-length: 1x" } },
		{ 0, { GET("/"), "content-length: 5" } },
		{ 0, { GET("/"), "content-length: 0", "content-length: 0" } },
		{ 0, { ":method: GET", ":scheme: http", ":authority: a" } },
		{ 0, { ":scheme: http", ":authority: a", ":path: /" } },
		{ 0, { ":method: GET", ":authority: a", ":path: /" } },
		{ 0, { ":method: GET", ":scheme: http", ":path: /" } },
		{ 0, { ":method: GET", ":scheme: http", ":authority: a",
			 ":path: x" } },
		{ 0, { ":method: GET", ":scheme: http", ":authority: a",
			 ":path: *" } },
		{ 400, { ":method: GET", ":scheme: http", ":authority: a",
			   ":path: /a#b" } },
		{ 400, { ":method: GET", ":scheme: https", ":authority: a",
			   ":path: /" } },
		{ 400, { ":method: GET", ":scheme: http", ":authority: u@a",
			   ":path: /" } },
		{ 400, { GET("/"), "host: b.example" } },
		{ 400, { GET("/"), "expect: more" } },
		{ 405, { ":method: CONNECT", ":authority: a:443" } },
	};

	h2c_open(&c, &t, false);
	for (size_t i = 0; i < nitems(all); i++) {
		int32_t id = h2c_request(&c, false, all[i].fields);
		struct h2c_rsp *r = h2c_wait(&c, id);

		if (r->status != all[i].status ||
		    (r->status == 0 && r->error != NGHTTP2_PROTOCOL_ERROR))
			fail_msg("case %zu: status %d, error %u", i, r->status,
			    r->error);
	}
	h2c_close(&c);
	assert_int_equal(drain(M_REQ_HEAD, 0), 0);
	is_served();
}

/* A server may take it for one of the head, which has been judged. */
static void
trailer_that_belongs_into_the_head_is_refused(void **state)
{
	static const char *const fields[] = { ":method: POST", ":scheme: http",
		":authority: a", ":path: /", NULL };
	static const char *const names[] = { "authorization", "host",
		"set-cookie" };

	h2c_open(&c, &t, false);
	for (size_t i = 0; i < nitems(names); i++) {
		int32_t id = h2c_request(&c, true, fields);
		cleanup_buf struct buf head = { 0 }, b = { 0 };

		h2c_flush(&c);
		h2c_literal(&head, names[i], "1");
		h2c_frame(&b, NGHTTP2_HEADERS,
		    NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
		    (uint32_t)id, buf_head(&head), buf_len(&head));
		assert_int_equal(
		    send(c.fd, buf_head(&b), buf_len(&b), MSG_NOSIGNAL),
		    (ssize_t)buf_len(&b));
		for (int k = 0; h2c_rsp(&c, id)->status == 0 && k < 100; k++)
			h2c_poll(&c, 50);
		assert_int_equal(h2c_rsp(&c, id)->status, 400);
	}
	h2c_close(&c);
	assert_int_equal(drain(M_REQ_END, 2 * nitems(names)), 0);
	is_served();
}

static void
bytes_must_be_as_many_as_announced(void **state)
{
	static const char *const fields[] = { ":method: POST", ":scheme: http",
		":authority: a", ":path: /", "content-length: 3", NULL };
	int32_t id;

	for (size_t n = 2; n <= 4; n += 2) {
		h2c_open(&c, &t, false);
		id = h2c_request(&c, true, fields);
		h2c_data(&c, id, "abcd", n, true);
		assert_int_equal(
		    h2c_wait(&c, id)->error, NGHTTP2_PROTOCOL_ERROR);
		h2c_close(&c);
		assert_int_equal(drain(M_REQ_ABORT, 1), 1);
	}
}

static void
large_heads_are_431(void **state)
{
	const char *fields[160] = { GET("/") };
	char *value = xcalloc(1, 30000);
	char *many[150];
	int32_t id;

	h2c_open(&c, &t, false);
	h2c_ready(&c);
	memset(value, 'v', 29999);
	memcpy(value, "x: ", 3);
	fields[4] = value;
	id = h2c_request(&c, false, fields);
	assert_int_equal(h2c_wait(&c, id)->status, 431);
	for (size_t i = 0; i < nitems(many); i++)
		fields[4 + i] = many[i] = xasprintf("x%zu: y", i);
	id = h2c_request(&c, false, fields);
	assert_int_equal(h2c_wait(&c, id)->status, 431);
	for (size_t i = 0; i < nitems(many); i++)
		free(many[i]);
	free(value);
	assert_int_equal(drain(M_REQ_HEAD, 0), 0);
	id = h2c_get(&c, "/after");
	ft_rsp(&t, ft_get(&t, "/after"), "ok");
	assert_int_equal(h2c_wait(&c, id)->status, 200);
	h2c_close(&c);
}

/* ---- frames by hand ---------------------------------------------------- */

static void
hello(struct buf *b)
{
	static const char magic[] = NGHTTP2_CLIENT_MAGIC;

	buf_put(b, magic, sizeof(magic) - 1);
	h2c_frame(b, NGHTTP2_SETTINGS, 0, 0, "", 0);
}

static void
get_head(struct buf *f, const char *path)
{
	h2c_literal(f, ":method", "GET");
	h2c_literal(f, ":scheme", "http");
	h2c_literal(f, ":path", path);
	h2c_literal(f, ":authority", "a.example");
}

static void
get(struct buf *b, uint32_t stream, const char *path)
{
	struct buf f = { 0 };

	get_head(&f, path);
	h2c_frame(b, NGHTTP2_HEADERS,
	    NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream,
	    buf_head(&f), buf_len(&f));
	buf_free(&f);
}

/* The error of the GOAWAY among frames, or UINT32_MAX. */
static uint32_t
goaway_in(const struct buf *b)
{
	uint32_t error = UINT32_MAX;
	struct cur cur;

	cur_init(&cur, buf_head(b), buf_len(b));
	while (cur.left >= 9) {
		size_t len = (size_t)cur_u8(&cur) << 16;
		uint8_t type;
		struct cur body;

		len |= (size_t)cur_u8(&cur) << 8;
		len |= cur_u8(&cur);
		type = cur_u8(&cur);
		cur_bytes(&cur, 5);
		if (cur.left < len)
			break;
		cur_init(&body, cur_bytes(&cur, len), len);
		if (type != NGHTTP2_GOAWAY)
			continue;
		cur_bytes(&body, 4);
		error = be32toh(htole32(cur_u32(&body)));
	}
	return error;
}

/*
 * Send all of b, reading what comes, until front ends the connection: the
 * error of its GOAWAY, or UINT32_MAX without one.  Fails if it takes it all.
 */
static uint32_t
ended_with(const struct buf *b)
{
	int fd = ft_connect(&t);
	struct buf in = { 0 };
	struct cur out;
	uint32_t error;
	ssize_t n;

	cur_init(&out, buf_head(b), buf_len(b));
	for (;;) {
		struct pollfd pf = { .fd = fd,
			.events = POLLIN | (out.left > 0 ? POLLOUT : 0) };

		if (poll(&pf, 1, 3000) <= 0)
			fail_msg("the connection stays open");
		if (pf.revents & POLLOUT) {
			n = send(
			    fd, out.p, out.left, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n > 0)
				cur_bytes(&out, (size_t)n);
			else
				out.left = 0;
		}
		if (pf.revents & (POLLIN | POLLHUP | POLLERR)) {
			n = recv(fd, buf_reserve(&in, 65536), 65536, 0);
			if (n <= 0)
				break;
			buf_commit(&in, (size_t)n);
		}
	}
	close(fd);
	error = goaway_in(&in);
	buf_free(&in);
	return error;
}

static void
flood_of(unsigned int type, unsigned int flags, uint32_t stream, size_t len)
{
	static const uint8_t payload[16] = { 0, 0, 0, 1 };
	struct buf b = { 0 };
	uint32_t error;

	hello(&b);
	if (stream != 0)
		get(&b, stream, "/flood");
	for (size_t i = 0; i < 4 * FRONT_H2_CHORE_BURST; i++)
		h2c_frame(&b, type, flags, stream, payload, len);
	error = ended_with(&b);
	if (error != NGHTTP2_ENHANCE_YOUR_CALM)
		fail_msg("frames of type %u: error %u", type, error);
	buf_free(&b);
	drain(0, 0);
}

static void
floods_of_empty_frames_end_the_connection(void **state)
{
	flood_of(NGHTTP2_PING, 0, 0, 8);
	flood_of(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, 8);
	flood_of(NGHTTP2_SETTINGS, 0, 0, 0);
	flood_of(NGHTTP2_WINDOW_UPDATE, 0, 0, 4);
	flood_of(NGHTTP2_WINDOW_UPDATE, 0, 1, 4);
	flood_of(NGHTTP2_PRIORITY, 0, 1, 5);
	/* Unknown ones, and one for clients. */
	flood_of(0x77, 0, 0, 16);
	flood_of(NGHTTP2_ALTSVC, 0, 1, 2);
	is_served();
}

static void
flood_of_empty_data_ends_the_connection(void **state)
{
	static const uint8_t pad[3] = { 2 };
	struct buf b = { 0 }, f = { 0 };

	for (int padded = 0; padded < 2; padded++) {
		hello(&b);
		get_head(&f, "/d");
		h2c_frame(&b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
		    buf_head(&f), buf_len(&f));
		for (size_t i = 0; i < 4 * FRONT_H2_CHORE_BURST; i++)
			h2c_frame(&b, NGHTTP2_DATA,
			    padded ? NGHTTP2_FLAG_PADDED : 0, 1, pad,
			    padded ? 3 : 0);
		assert_int_equal(ended_with(&b), NGHTTP2_ENHANCE_YOUR_CALM);
		buf_free(&b);
		buf_free(&f);
		assert_int_equal(drain(M_REQ_ABORT, 1), 1);
	}
}

static void
flood_of_continuations_ends_the_connection(void **state)
{
	struct buf b = { 0 }, f = { 0 };

	hello(&b);
	get_head(&f, "/c");
	h2c_frame(&b, NGHTTP2_HEADERS, 0, 1, buf_head(&f), buf_len(&f));
	for (size_t i = 0; i <= FRONT_H2_CONTINUATIONS_MAX; i++)
		h2c_frame(&b, NGHTTP2_CONTINUATION, 0, 1, "", 0);
	assert_int_not_equal(ended_with(&b), NGHTTP2_NO_ERROR);
	buf_free(&b);
	buf_free(&f);
	assert_int_equal(drain(M_REQ_HEAD, 0), 0);
}

static void
rapid_resets_end_the_connection(void **state)
{
	static const uint8_t cancel[4] = { 0, 0, 0, NGHTTP2_CANCEL };
	static const uint8_t fine[4] = { 0, 0, 0, NGHTTP2_NO_ERROR };
	struct buf b = { 0 };
	size_t begun;

	for (int i = 0; i < 2; i++) {
		hello(&b);
		for (uint32_t id = 1; id < 8 * FRONT_H2_RESET_BURST; id += 2) {
			get(&b, id, "/r");
			h2c_frame(&b, NGHTTP2_RST_STREAM, 0, id,
			    i == 0 ? cancel : fine, 4);
		}
		ended_with(&b);
		buf_free(&b);
		begun = drain(M_REQ_ABORT, FRONT_H2_RESET_BURST);
		assert_in_range(begun, FRONT_H2_RESET_BURST / 2,
		    FRONT_H2_RESET_BURST + 100);
	}
	is_served();
}

static void
requests_that_force_resets_end_the_connection(void **state)
{
	static const uint8_t zero[4];
	struct buf b = { 0 };
	size_t begun;

	/* A WINDOW_UPDATE of 0 has front reset the stream itself. */
	hello(&b);
	for (uint32_t id = 1; id < 8 * FRONT_H2_RESET_BURST; id += 2) {
		get(&b, id, "/r");
		h2c_frame(&b, NGHTTP2_WINDOW_UPDATE, 0, id, zero, 4);
	}
	ended_with(&b);
	buf_free(&b);
	begun = drain(M_REQ_ABORT, FRONT_H2_RESET_BURST);
	assert_in_range(begun, 1, FRONT_H2_RESET_BURST + 200);
	is_served();
}

static void
compressed_bomb_is_431(void **state)
{
	struct buf b = { 0 }, f = { 0 };
	char value[127];
	struct pollfd pf = { .events = POLLIN };
	uint8_t in[4096];
	size_t n = 0;
	ssize_t k;

	/* A field of the table, named again and again by one byte each. */
	hello(&b);
	get_head(&f, "/bomb");
	memset(value, 'v', 126);
	value[126] = '\0';
	buf_put_u8(&f, 0x40);
	buf_put_u8(&f, 1);
	buf_put(&f, "x", 1);
	buf_put_u8(&f, 126);
	buf_put(&f, value, 126);
	for (int i = 0; i < 15000; i++)
		buf_put_u8(&f, 0x80 | 62);
	h2c_frame(&b, NGHTTP2_HEADERS,
	    NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1, buf_head(&f),
	    buf_len(&f));
	pf.fd = ft_connect(&t);
	assert_int_equal(send(pf.fd, buf_head(&b), buf_len(&b), MSG_NOSIGNAL),
	    (ssize_t)buf_len(&b));
	while (poll(&pf, 1, 300) > 0 && n < sizeof(in) &&
	       (k = recv(pf.fd, in + n, sizeof(in) - n, 0)) > 0)
		n += (size_t)k;
	assert_non_null(memmem(in, n, "431", 3));
	close(pf.fd);
	buf_free(&b);
	buf_free(&f);
	assert_int_equal(drain(M_REQ_HEAD, 0), 0);
}

static void
streams_beyond_the_limit_are_refused(void **state)
{
	int32_t id = 0;
	struct buf b = { 0 };
	uint32_t serial;

	/* Before it knows the limit a client may be wrong about it. */
	hello(&b);
	for (uint32_t i = 0; i < FRONT_H2_STREAMS_MAX + 10; i++)
		get(&b, 2 * i + 1, "/s");
	{
		int fd = ft_connect(&t);

		assert_int_equal(
		    send(fd, buf_head(&b), buf_len(&b), MSG_NOSIGNAL),
		    (ssize_t)buf_len(&b));
		assert_int_equal(drain(M_REQ_HEAD, FRONT_H2_STREAMS_MAX),
		    FRONT_H2_STREAMS_MAX);
		close(fd);
		assert_int_equal(drain(M_REQ_ABORT, FRONT_H2_STREAMS_MAX),
		    FRONT_H2_STREAMS_MAX);
	}
	buf_free(&b);
	/* One that knows waits. */
	h2c_open(&c, &t, false);
	h2c_ready(&c);
	for (uint32_t i = 0; i < FRONT_H2_STREAMS_MAX + 1; i++)
		id = h2c_get(&c, "/s");
	serial = ft_get(&t, "/s");
	for (uint32_t i = 1; i < FRONT_H2_STREAMS_MAX; i++)
		ft_get(&t, "/s");
	assert_false(ft_waiting(t.back, 50));
	ft_rsp(&t, serial, "first");
	h2c_wait(&c, 1);
	ft_rsp(&t, ft_get(&t, "/s"), "last");
	assert_int_equal(h2c_wait(&c, id)->status, 200);
	h2c_close(&c);
	drain(0, 0);
}

static void
agent_that_does_not_read_is_not_read(void **state)
{
	struct buf b = { 0 };
	int fd = ft_connect(&t);
	size_t sent = 0;
	ssize_t n;

	/* Answers of front itself, which no window bounds: heads alone. */
	hello(&b);
	assert_int_equal(
	    send(fd, buf_head(&b), buf_len(&b), 0), (ssize_t)buf_len(&b));
	buf_free(&b);
	for (uint32_t id = 1; sent < 64u * 1024 * 1024; id += 2) {
		struct pollfd pf = { .fd = fd, .events = POLLOUT };
		struct buf f = { 0 };

		get(&b, id, "/#");
		if (poll(&pf, 1, 500) <= 0)
			break;
		n = send(
		    fd, buf_head(&b), buf_len(&b), MSG_NOSIGNAL | MSG_DONTWAIT);
		buf_free(&b);
		buf_free(&f);
		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	buf_free(&b);
	assert_true(sent < 32u * 1024 * 1024);
	close(fd);
	drain(0, 0);
	is_served();
}

static void
what_nobody_reads_is_bounded(void **state)
{
	static struct h2c many[FRONT_HELD_MAX / (WIRE_WINDOW * 100) + 1];
	static uint8_t bytes[WIRE_BODY_CHUNK];
	struct buf b = { 0 };
	size_t ended = 0, last = 0, events;
	uint32_t serial = 0;

	ft_stop(&t);
	ft_start(&t);
	buf_put(&b, bytes, WIRE_BODY_CHUNK);
	for (size_t i = 0; i < nitems(many); i++) {
		h2c_open(&many[i], &t, true);
		h2c_ready(&many[i]);
		for (int k = 0; k < 100; k++) {
			h2c_get(&many[i], "/big");
			serial = ft_get(&t, "/big");
			ft_rsp_head(&t, serial, 200, BODY_STREAM, 0);
		}
	}
	for (serial -= 100 * nitems(many) - 1; last < 100 * nitems(many);
	     serial++, last++)
		for (size_t n = 0; n + WIRE_BODY_CHUNK <= WIRE_WINDOW;
		     n += WIRE_BODY_CHUNK)
			ft_send(t.back, M_RSP_BODY, serial, &b, -1);
	buf_free(&b);
	events = drain(M_FRONT_EVENT, 1);
	assert_int_equal(events, 1);
	for (size_t i = 0; i < nitems(many); i++) {
		h2c_poll(&many[i], 50);
		ended += many[i].eof;
		h2c_close(&many[i]);
	}
	assert_int_equal(ended, 1);
	drain(0, 0);
	is_served();
}

static void
a_call_of_grpc_is_refused_in_its_own_words(void **state)
{
	static const struct {
		const char *type;
		bool call;
	} types[] = { { "application/grpc", true },
		{ "application/grpc+proto", true },
		{ "Application/gRPC; x=1", true },
		{ "application/grpc-web", false },
		{ "application/json", false } };
	static const struct {
		unsigned int http;
		const char *grpc;
	} codes[] = { { 400, "13" }, { 401, "16" }, { 403, "7" }, { 404, "12" },
		{ 431, "2" }, { 503, "14" } };
	char longest[8192];

	for (size_t i = 0; i < nitems(types); i++) {
		struct fields fs = { 0 };

		assert_false(grpc_is_call(&fs));
		fields_set(&fs, "content-type", types[i].type);
		assert_int_equal(grpc_is_call(&fs), types[i].call);
		fields_free(&fs);
	}
	for (size_t i = 0; i < nitems(codes); i++) {
		struct fields fs = { 0 };

		grpc_refusal(&fs, codes[i].http, "not \xc3\xa4 50%\n", 11);
		assert_string_equal(
		    fields_get(&fs, "grpc-status", NULL), codes[i].grpc);
		assert_string_equal(fields_get(&fs, "grpc-message", NULL),
		    "not %C3%A4 50%25%0A");
		fields_free(&fs);
	}
	memset(longest, '%', sizeof(longest));
	{
		struct fields fs = { 0 };

		grpc_refusal(&fs, 403, longest, sizeof(longest));
		assert_in_range(
		    strlen(fields_get(&fs, "grpc-message", NULL)), 4000, 4096);
		fields_free(&fs);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_requests_never_reach_back),
		cmocka_unit_test(trailer_that_belongs_into_the_head_is_refused),
		cmocka_unit_test(bytes_must_be_as_many_as_announced),
		cmocka_unit_test(large_heads_are_431),
		cmocka_unit_test(floods_of_empty_frames_end_the_connection),
		cmocka_unit_test(flood_of_empty_data_ends_the_connection),
		cmocka_unit_test(flood_of_continuations_ends_the_connection),
		cmocka_unit_test(rapid_resets_end_the_connection),
		cmocka_unit_test(requests_that_force_resets_end_the_connection),
		cmocka_unit_test(compressed_bomb_is_431),
		cmocka_unit_test(streams_beyond_the_limit_are_refused),
		cmocka_unit_test(agent_that_does_not_read_is_not_read),
		cmocka_unit_test(what_nobody_reads_is_bounded),
		cmocka_unit_test(a_call_of_grpc_is_refused_in_its_own_words),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
