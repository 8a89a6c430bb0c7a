/*
 * Origins of HTTP/2 that do not behave: malformed messages, floods, pushes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/upstream_world.h"

static void
put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t stream,
    const void *p, size_t n)
{
	uint8_t h[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n,
		type, flags, (uint8_t)(stream >> 24), (uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8), (uint8_t)stream };

	buf_put(b, h, sizeof(h));
	buf_put(b, p, n);
}

/* HPACK literals without indexing: name, value, ... */
static void
put_pairs(struct buf *b, const char *const *pairs)
{
	for (; pairs[0] != NULL; pairs += 2) {
		buf_put_u8(b, 0);
		buf_put_u8(b, (uint8_t)strlen(pairs[0]));
		buf_put(b, pairs[0], strlen(pairs[0]));
		buf_put_u8(b, (uint8_t)strlen(pairs[1]));
		buf_put(b, pairs[1], strlen(pairs[1]));
	}
}

/* What a request meets when the origin says just these bytes. */
static void
meet(const struct buf *bytes, size_t chunk, struct use *s)
{
	struct uw w;

	uw_start(&w, true);
	use_init(s, &w, "GET", "/never", BODY_NONE, 0);
	use_start(s);
	uw_run(&w, 5);
	/* A session of HTTP/2 in name only. */
	assert_non_null(w.origins);
	nghttp2_session_del(w.origins->h2);
	w.origins->h2 = NULL;
	buf_clear(&w.origins->out);
	w.chunk = chunk;
	origin_say(&w, buf_head(bytes), buf_len(bytes));
	for (int i = 0; i < 400000 && s->dones + s->fails == 0; i++) {
		ev_once(w.ev, 1);
		if (buf_len(&w.origins->out) == 0 && i > 2000)
			break;
	}
	use_free(s);
	uw_end(&w);
}

static void
malformed_heads_are_refused(void **state)
{
	static const struct {
		const char *pairs[10];
		bool good;
	} rows[] = {
		{ { ":status", "200", "server", "x" }, true },
		{ { ":status", "200", "Server", "x" }, false },
		{ { ":status", "200", "connection", "close" }, false },
		{ { ":status", "200", "transfer-encoding", "chunked" }, false },
		{ { ":status", "200", "keep-alive", "1" }, false },
		{ { ":status", "200", "upgrade", "h2c" }, false },
		{ { ":status", "101" }, false },
		{ { ":status", "20" }, false },
		{ { ":status", "2000" }, false },
		{ { ":status", "200", ":status", "200" }, false },
		{ { "server", "x" }, false },
		{ { "server", "x", ":status", "200" }, false },
		{ { ":status", "200", ":path", "/" }, false },
		{ { ":status", "200", "a b", "x" }, false },
		{ { ":status", "200", "", "x" }, false },
		{ { ":status", "200", "a", "x\ny: z" }, false },
		{ { ":status", "200", "a", "x\ry" }, false },
		{ { ":status", "200", "content-length", "5" }, false },
		{ { ":status", "200", "content-length", "0" }, true },
		{ { ":status", "200", "content-length", "0", "content-length",
		      "0" },
		    false },
		{ { ":status", "200", "content-length", "-0" }, false },
		{ { ":status", "204", "content-length", "5" }, false },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++)
		for (size_t k = 0; k < 2; k++) {
			struct buf b = { 0 }, head = { 0 };
			struct use s;

			put_frame(&b, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
			put_pairs(&head, rows[i].pairs);
			put_frame(&b, NGHTTP2_HEADERS,
			    NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
			    1, buf_head(&head), buf_len(&head));
			meet(&b, k, &s);
			if ((s.dones == 1) != rows[i].good)
				fail_msg("row %zu: %s", i, s.why);
			assert_int_equal(s.dones + s.fails, 1);
			buf_free(&b);
			buf_free(&head);
		}
}

/* A head that ends nothing yet. */
static void
open_stream(struct buf *b, const char *length)
{
	const char *const pairs[] = { ":status", "200", "content-length",
		length, NULL };
	const char *const plain[] = { ":status", "200", NULL };
	struct buf head = { 0 };

	put_frame(b, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	put_pairs(&head, length != NULL ? pairs : plain);
	put_frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1,
	    buf_head(&head), buf_len(&head));
	buf_free(&head);
}

static void
body_that_belies_its_length_fails(void **state)
{
	(void)state;
	for (size_t n = 0; n <= 7; n++) {
		struct buf b = { 0 };
		struct use s;

		open_stream(&b, "5");
		put_frame(
		    &b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "1234567", n);
		meet(&b, 0, &s);
		assert_int_equal(s.dones, n == 5);
		assert_int_equal(s.fails, n != 5);
		buf_free(&b);
	}
}

static void
forbidden_trailers_fail(void **state)
{
	static const char *const names[] = { "x-fine", "authorization", "host",
		"set-cookie", "transfer-encoding", ":status" };

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		const char *const pairs[] = { names[i], "200", NULL };
		struct buf b = { 0 }, head = { 0 };
		struct use s;

		open_stream(&b, NULL);
		put_pairs(&head, pairs);
		put_frame(&b, NGHTTP2_HEADERS,
		    NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
		    buf_head(&head), buf_len(&head));
		meet(&b, 0, &s);
		assert_int_equal(s.dones, i == 0);
		assert_int_equal(s.fails, i != 0);
		buf_free(&b);
		buf_free(&head);
	}
}

static void
floods_end_the_connection(void **state)
{
	static const struct {
		uint8_t type, flags;
		uint32_t stream;
		const char *bytes;
		size_t n;
	} rows[] = {
		{ NGHTTP2_PING, 0, 0, "12345678", 8 },
		{ NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8 },
		{ NGHTTP2_SETTINGS, 0, 0, "", 0 },
		{ NGHTTP2_PRIORITY, 0, 1, "\0\0\0\0\1", 5 },
		{ NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4 },
		{ NGHTTP2_WINDOW_UPDATE, 0, 1, "\0\0\0\1", 4 },
		{ NGHTTP2_DATA, 0, 1, "", 0 },
		{ NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\3\0\0\0", 4 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(rows); i++) {
		struct buf b = { 0 };
		struct use s;

		open_stream(&b, NULL);
		for (size_t k = 0; k < 2 * UPSTREAM_NOISE_MAX; k++)
			put_frame(&b, rows[i].type, rows[i].flags,
			    rows[i].stream, rows[i].bytes, rows[i].n);
		meet(&b, 0, &s);
		if (s.fails != 1)
			fail_msg("row %zu", i);
		buf_free(&b);
	}
}

static void
heads_without_end_are_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf b = { 0 }, head = { 0 };
		struct use s;
		const char *const pairs[] = { ":status", "200", NULL };
		const char *const more[] = { "x-more",
			"0123456789012345678901234567890123456789", NULL };

		put_frame(&b, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
		put_pairs(&head, pairs);
		/* Many fields, empty ones, or none at all. */
		for (size_t k = 0; i == 0 && k < 300; k++)
			put_pairs(&head, more);
		put_frame(
		    &b, NGHTTP2_HEADERS, 0, 1, buf_head(&head), buf_len(&head));
		buf_clear(&head);
		for (size_t k = 0; k < 300 && i != 1; k++)
			put_pairs(&head, more);
		for (size_t k = 0; k < 40; k++)
			put_frame(&b, NGHTTP2_CONTINUATION, 0, 1,
			    buf_head(&head), buf_len(&head));
		meet(&b, 0, &s);
		assert_int_equal(s.fails, 1);
		buf_free(&b);
		buf_free(&head);
	}
}

static void
nothing_is_pushed(void **state)
{
	const char *const pairs[] = { ":method", "GET", ":scheme", "https",
		":authority", "good.example", ":path", "/pushed", NULL };
	struct buf b = { 0 }, head = { 0 };
	struct use s;

	(void)state;
	open_stream(&b, NULL);
	buf_put(&head, "\0\0\0\2", 4);
	put_pairs(&head, pairs);
	put_frame(&b, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1,
	    buf_head(&head), buf_len(&head));
	put_frame(&b, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x", 1);
	meet(&b, 0, &s);
	/* Not taken for the answer, whatever becomes of the rest. */
	assert_int_equal(s.dones + s.fails, 1);
	assert_true(s.status == 200);
	buf_free(&b);
	buf_free(&head);
}

static void
origin_that_speaks_something_else_fails(void **state)
{
	struct buf b = { 0 };
	struct use s;

	(void)state;
	buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	meet(&b, 0, &s);
	assert_int_equal(s.fails, 1);
	assert_int_equal(s.how, UPSTREAM_BROKEN);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed_heads_are_refused),
		cmocka_unit_test(body_that_belies_its_length_fails),
		cmocka_unit_test(forbidden_trailers_fail),
		cmocka_unit_test(floods_end_the_connection),
		cmocka_unit_test(heads_without_end_are_cut),
		cmocka_unit_test(nothing_is_pushed),
		cmocka_unit_test(origin_that_speaks_something_else_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
