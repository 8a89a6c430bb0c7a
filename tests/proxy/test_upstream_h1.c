/*
 * HTTP/1.1 to the origin: messages over one connection after the other, and
 * the handshake and bytes of a WebSocket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "tests/proxy/upstream_world.h"

static const size_t chunks[] = { 0, 1, 2, 7 };

static void
say(struct uw *w, const char *text)
{
	origin_say(w, text, strlen(text));
}

static bool
got(const struct uw *w, const char *text)
{
	const struct buf *b = &w->origins->in;

	return buf_len(b) > 0 &&
	       memmem(buf_head(b), buf_len(b), text, strlen(text)) != NULL;
}

static void
messages_follow_each_other(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, false);
	for (int i = 0; i < 3; i++) {
		use_init(&s, &w, "POST", "/x", BODY_STREAM, 0);
		fields_set(&s.head.fields, "A", "b");
		fields_set(&s.req_trailers, "T", "u");
		use_start(&s);
		use_send(&s, "hello", 5);
		use_end(&s);
		uw_run(&w, 10);
		assert_true(
		    got(&w, "POST /x HTTP/1.1\r\nHost: good.example\r\nA: b\r\n"
			    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
			    "0\r\nT: u\r\n\r\n"));
		buf_clear(&w.origins->in);
		say(&w, "HTTP/1.1 103 Early\r\n\r\n"
			"HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\n"
			"X-End: 2\r\nContent-Length: 2\r\n\r\nok");
		assert_true(use_finish(&s));
		assert_int_equal(s.dones, 1);
		assert_int_equal(s.fields.n, 1);
		assert_int_equal(s.kind, BODY_LENGTH);
		assert_int_equal(buf_len(&s.body), 2);
		use_free(&s);
	}
	assert_int_equal(w.dials, 1);
	uw_end(&w);
}

static void
unused_connection_that_speaks_is_dropped(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, false);
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	uw_run(&w, 5);
	say(&w, "HTTP/1.1 204 No\r\n\r\n");
	assert_true(use_finish(&s));
	use_free(&s);
	/* For whoever comes next. */
	say(&w, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
	use_init(&s, &w, "GET", "/y", BODY_NONE, 0);
	use_start(&s);
	uw_run(&w, 5);
	assert_int_equal(s.heads, 0);
	assert_int_equal(w.dials + s.fails, 2);
	if (s.fails > 0)
		assert_true(s.stale);
	use_free(&s);
	uw_end(&w);
}

/* ---- WebSocket --------------------------------------------------------- */

/* The answer to the key that the origin got. */
static char *
accept_of(const struct uw *w)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	static const char name[] = "Sec-WebSocket-Key: ";
	const struct buf *b = &w->origins->in;
	const char *p = memmem(buf_head(b), buf_len(b), name, sizeof(name) - 1);
	unsigned char sum[20], text[29];
	char both[64];

	assert_non_null(p);
	memcpy(both, p + sizeof(name) - 1, 24);
	memcpy(both + 24, guid, sizeof(guid));
	assert_int_equal(
	    EVP_Digest(both, strlen(both), sum, NULL, EVP_sha1(), NULL), 1);
	EVP_EncodeBlock(text, sum, sizeof(sum));
	return xstrdup((char *)text);
}

static void
open_websocket(struct uw *w, struct use *s, size_t chunk)
{
	uw_start(w, false);
	use_init(s, w, "GET", "/ws", BODY_STREAM, 0);
	free(s->head.protocol);
	s->head.protocol = xstrdup("websocket");
	fields_set(&s->head.fields, "Sec-WebSocket-Version", "13");
	s->hold = true;
	use_start(s);
	uw_run(w, 10);
	w->chunk = chunk;
}

static void
say_switch(struct uw *w, const char *accept, const char *after)
{
	cleanup_free char *head = xasprintf(
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
	    "Sec-WebSocket-Protocol: chat\r\n\r\n%s",
	    accept, after);

	say(w, head);
}

static void
websocket_passes_bytes_both_ways_at_any_chunking(void **state)
{
	(void)state;
	for (size_t i = 0; i < nitems(chunks); i++) {
		struct uw w;
		struct use s;

		open_websocket(&w, &s, chunks[i]);
		assert_false(w.offered_h2);
		assert_true(got(&w, "GET /ws HTTP/1.1\r\n"));
		assert_true(got(&w, "Connection: Upgrade\r\n"));
		assert_true(got(&w, "Upgrade: websocket\r\n"));
		assert_true(got(&w, "Sec-WebSocket-Version: 13\r\n"));
		assert_false(got(&w, "Transfer-Encoding"));
		cleanup_free char *accept = accept_of(&w);
		say_switch(&w, accept, "first");
		uw_run(&w, 500);
		assert_int_equal(s.status, 101);
		assert_int_equal(s.kind, BODY_STREAM);
		assert_string_equal(
		    fields_get(&s.fields, "Sec-WebSocket-Protocol", NULL),
		    "chat");
		assert_null(fields_get(&s.fields, "Upgrade", NULL));
		assert_int_equal(buf_len(&s.body), 5);
		buf_clear(&w.origins->in);
		use_send(&s, "\x81\x01x", 3);
		say(&w, " second");
		uw_run(&w, 100);
		assert_int_equal(buf_len(&w.origins->in), 3);
		assert_int_equal(buf_len(&s.body), 12);
		assert_memory_equal(buf_head(&s.body), "first second", 12);
		/* One half ends, the other one goes on. */
		use_end(&s);
		uw_run(&w, 100);
		assert_true(w.origins->eof);
		say(&w, " third");
		uw_run(&w, 100);
		assert_int_equal(buf_len(&s.body), 18);
		assert_int_equal(s.dones, 0);
		origin_close(w.origins);
		assert_true(use_finish(&s));
		assert_int_equal(s.dones, 1);
		use_free(&s);
		uw_end(&w);
	}
}

static void
last_bytes_of_a_websocket_go_out(void **state)
{
	struct uw w;
	struct use s;
	struct origin *o;
	size_t n = 60000;
	char *bytes = xcalloc(1, n);

	(void)state;
	open_websocket(&w, &s, 0);
	cleanup_free char *accept = accept_of(&w);
	say_switch(&w, accept, "");
	uw_run(&w, 20);
	assert_int_equal(s.status, 101);
	o = w.origins;
	buf_clear(&o->in);
	/* It has nothing more to say, and reads nothing yet. */
	assert_int_equal(shutdown(o->fd, SHUT_WR), 0);
	uw_run(&w, 5);
	assert_int_equal(s.dones, 1);
	assert_non_null(s.u);
	use_send(&s, bytes, n);
	use_end(&s);
	upstream_release(s.u, false);
	s.u = NULL;
	uw_run(&w, 200);
	assert_int_equal(buf_len(&o->in), n);
	assert_true(o->eof);
	free(bytes);
	use_free(&s);
	uw_end(&w);
}

static void
slow_websocket_reader_stops_the_origin(void **state)
{
	struct uw w;
	struct use s;
	size_t n = 4u << 20, left;
	char *bytes = xcalloc(1, n);

	(void)state;
	open_websocket(&w, &s, 0);
	cleanup_free char *accept = accept_of(&w);
	say_switch(&w, accept, "");
	uw_run(&w, 20);
	s.take = 10;
	w.chunk = 65536;
	origin_say(&w, bytes, n);
	uw_run(&w, 500);
	left = buf_len(&w.origins->out);
	/* Its socket is full. */
	assert_true(left > n / 2);
	assert_int_equal(buf_len(&s.body), 10);
	s.take = SIZE_MAX;
	upstream_resume(s.u);
	for (int i = 0; i < 2000 && buf_len(&s.body) < n; i++)
		uw_run(&w, 1);
	assert_int_equal(buf_len(&s.body), n);
	free(bytes);
	use_free(&s);
	uw_end(&w);
}

static void
switch_that_is_no_answer_is_refused(void **state)
{
	static const char *const heads[] = {
		"Upgrade: websocket\r\nConnection: Upgrade\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
		"Upgrade: h2c\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n",
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		"Upgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Accept: x\r\n",
	};

	(void)state;
	for (size_t i = 0; i < nitems(heads); i++) {
		struct uw w;
		struct use s;
		struct buf b = { 0 };
		const char *at = strstr(heads[i], "%s");

		open_websocket(&w, &s, 0);
		cleanup_free char *accept = accept_of(&w);
		buf_printf(&b, "HTTP/1.1 101 Switching Protocols\r\n");
		if (at != NULL)
			buf_printf(&b, "%.*s%s%s\r\n", (int)(at - heads[i]),
			    heads[i], accept, at + 2);
		else
			buf_printf(&b, "%s\r\n", heads[i]);
		origin_say(&w, buf_head(&b), buf_len(&b));
		assert_true(use_finish(&s));
		assert_int_equal(s.heads, 0);
		assert_int_equal(s.how, UPSTREAM_BROKEN);
		buf_free(&b);
		use_free(&s);
		uw_end(&w);
	}
}

static void
switch_that_nobody_asked_for_is_refused(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	uw_start(&w, false);
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	uw_run(&w, 5);
	say_switch(&w, "x", "");
	assert_true(use_finish(&s));
	assert_int_equal(s.heads, 0);
	assert_int_equal(s.fails, 1);
	use_free(&s);
	uw_end(&w);
}

static void
refused_websocket_is_an_ordinary_answer(void **state)
{
	struct uw w;
	struct use s;

	(void)state;
	open_websocket(&w, &s, 0);
	s.hold = false;
	say(&w, "HTTP/1.1 403 No\r\nContent-Length: 4\r\n\r\nsad\n");
	assert_true(use_finish(&s));
	assert_int_equal(s.status, 403);
	assert_int_equal(s.kind, BODY_LENGTH);
	assert_int_equal(buf_len(&s.body), 4);
	use_free(&s);
	/* What was said for a WebSocket serves nothing else. */
	use_init(&s, &w, "GET", "/x", BODY_NONE, 0);
	use_start(&s);
	assert_int_equal(w.dials, 2);
	use_free(&s);
	uw_end(&w);
}

static void
websocket_waits_for_no_shared_connection(void **state)
{
	struct uw w;
	struct use s, ws;

	(void)state;
	uw_start(&w, true);
	use_init(&s, &w, "GET", "/hold", BODY_NONE, 0);
	use_start(&s);
	uw_run(&w, 20);
	assert_int_equal(s.heads, 1);
	use_init(&ws, &w, "GET", "/ws", BODY_STREAM, 0);
	free(ws.head.protocol);
	ws.head.protocol = xstrdup("websocket");
	w.h2 = false;
	use_start(&ws);
	assert_int_equal(w.dials, 2);
	assert_false(w.offered_h2);
	uw_run(&w, 10);
	assert_true(got(&w, "Upgrade: websocket"));
	use_free(&ws);
	use_free(&s);
	uw_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_follow_each_other),
		cmocka_unit_test(unused_connection_that_speaks_is_dropped),
		cmocka_unit_test(
		    websocket_passes_bytes_both_ways_at_any_chunking),
		cmocka_unit_test(last_bytes_of_a_websocket_go_out),
		cmocka_unit_test(slow_websocket_reader_stops_the_origin),
		cmocka_unit_test(switch_that_is_no_answer_is_refused),
		cmocka_unit_test(switch_that_nobody_asked_for_is_refused),
		cmocka_unit_test(refused_websocket_is_an_ordinary_answer),
		cmocka_unit_test(websocket_waits_for_no_shared_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
