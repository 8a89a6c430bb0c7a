/*
 * Heads between front and back: what is put is got, and a decoder refuses what
 * an encoder never writes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/wire.h"

static void
fill(struct req_head *h)
{
	memset(h, 0, sizeof(*h));
	h->tls = true;
	h->sni = xstrdup("a.example");
	h->dst = xstrdup("a.example");
	h->port = 443;
	h->method = xstrdup("POST");
	h->authority = xstrdup("a.example:443");
	h->target = xstrdup("/x?y=z");
	h->kind = BODY_LENGTH;
	h->length = 1ull << 40;
	h->expect_continue = true;
	fields_set(&h->fields, "Accept", "*/*");
	fields_set(&h->fields, "X-Empty", "");
}

static void
request_head_round_trips(void **state)
{
	struct req_head h, got;
	struct buf b = { 0 };
	struct cur c;

	fill(&h);
	assert_int_equal(req_head_put(&b, &h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(req_head_get(&c, &got), 0);
	assert_true(got.tls);
	assert_string_equal(got.sni, h.sni);
	assert_string_equal(got.dst, h.dst);
	assert_int_equal(got.port, 443);
	assert_string_equal(got.method, "POST");
	assert_string_equal(got.authority, h.authority);
	assert_string_equal(got.target, h.target);
	assert_int_equal(got.kind, BODY_LENGTH);
	assert_true(got.length == h.length);
	assert_true(got.expect_continue);
	assert_int_equal(got.fields.n, 2);
	assert_string_equal(fields_get(&got.fields, "accept", NULL), "*/*");
	assert_string_equal(fields_get(&got.fields, "x-empty", NULL), "");
	req_head_free(&got);
	req_head_free(&h);
	buf_free(&b);
}

static void
every_short_request_head_is_refused(void **state)
{
	struct req_head h, got;
	struct buf b = { 0 };
	struct cur c;

	fill(&h);
	assert_int_equal(req_head_put(&b, &h), 0);
	for (size_t n = 0; n < buf_len(&b); n++) {
		cur_init(&c, buf_head(&b), n);
		assert_int_equal(req_head_get(&c, &got), -1);
	}
	buf_put_u8(&b, 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(req_head_get(&c, &got), -1);
	req_head_free(&h);
	buf_free(&b);
}

/* Is a head refused with *member replaced by text? */
static bool
refused(struct req_head *h, char **member, const char *text)
{
	struct req_head got;
	struct buf b = { 0 };
	struct cur c;
	int rc;

	free(*member);
	*member = xstrdup(text);
	assert_int_equal(req_head_put(&b, h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	rc = req_head_get(&c, &got);
	if (rc == 0)
		req_head_free(&got);
	buf_free(&b);
	return rc < 0;
}

static void
decoder_checks_every_field(void **state)
{
	struct req_head h;

	fill(&h);
	assert_true(refused(&h, &h.sni, "a_b.example"));
	assert_false(refused(&h, &h.sni, ""));
	assert_true(refused(&h, &h.dst, ""));
	assert_true(refused(&h, &h.dst, "a b"));
	assert_false(refused(&h, &h.dst, "2606:2800::1"));
	assert_true(refused(&h, &h.method, ""));
	assert_true(refused(&h, &h.method, "GET /"));
	assert_false(refused(&h, &h.method, "GET"));
	assert_true(refused(&h, &h.authority, "u@a.example"));
	assert_true(refused(&h, &h.authority, "a.example\r\nX: y"));
	assert_false(refused(&h, &h.authority, ""));
	assert_true(refused(&h, &h.target, "http://a/"));
	assert_true(refused(&h, &h.target, "/a b"));
	assert_true(refused(&h, &h.target, "/a\r\nX: y"));
	assert_false(refused(&h, &h.target, "*"));
	fields_set(&h.fields, "Accept", "a\r\nX: y");
	assert_true(refused(&h, &h.target, "/"));
	fields_set(&h.fields, "Accept", " a");
	assert_true(refused(&h, &h.target, "/"));
	fields_remove(&h.fields, "Accept");
	fields_set(&h.fields, "A b", "c");
	assert_true(refused(&h, &h.target, "/"));
	req_head_free(&h);
}

static void
protocol_travels_with_what_it_needs(void **state)
{
	struct req_head h, got;
	struct buf b = { 0 };
	struct cur c;

	(void)state;
	fill(&h);
	/* A WebSocket is GET with a stream, whatever it was on its leg. */
	assert_true(refused(&h, &h.protocol, "websocket"));
	h.kind = BODY_STREAM;
	assert_true(refused(&h, &h.protocol, "websocket"));
	free(h.method);
	h.method = xstrdup("GET");
	assert_false(refused(&h, &h.protocol, "websocket"));
	assert_true(refused(&h, &h.protocol, "WebSocket"));
	assert_true(refused(&h, &h.protocol, "a protocol"));
	assert_true(refused(&h, &h.protocol, "seventeen-letters"));
	assert_false(refused(&h, &h.protocol, ""));
	/* No target only where there is no HTTP. */
	assert_true(refused(&h, &h.target, ""));
	assert_true(refused(&h, &h.protocol, "tcp"));
	free(h.method);
	h.method = xstrdup("CONNECT");
	assert_false(refused(&h, &h.protocol, "tcp"));
	assert_true(refused(&h, &h.protocol, ""));
	free(h.protocol);
	h.protocol = xstrdup("ssh-agent");
	assert_int_equal(req_head_put(&b, &h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(req_head_get(&c, &got), 0);
	assert_string_equal(got.protocol, "ssh-agent");
	assert_string_equal(got.target, "");
	req_head_free(&got);
	req_head_free(&h);
	buf_free(&b);
}

static void
hop_by_hop_fields_never_travel(void **state)
{
	struct rsp_head h = { .status = 200, .kind = BODY_STREAM }, got;
	struct buf b = { 0 };
	struct cur c;

	h.reason = xstrdup("OK");
	fields_set(&h.fields, "Transfer-Encoding", "chunked");
	fields_set(&h.fields, "Content-Length", "5");
	fields_set(&h.fields, "Host", "b");
	fields_set(&h.fields, "Proxy-Anything", "b");
	fields_set(&h.fields, "Sec-WebSocket-Accept", "b");
	fields_set(&h.fields, "Server", "s");
	assert_int_equal(rsp_head_put(&b, &h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(rsp_head_get(&c, &got), 0);
	assert_int_equal(got.fields.n, 1);
	rsp_head_free(&got);
	buf_clear(&b);

	/* Written by somebody who does not know. */
	buf_put_u32(&b, 1);
	buf_put_str(&b, "content-length");
	buf_put_str(&b, "5");
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(trailers_get(&c, &got.fields), -1);
	rsp_head_free(&h);
	buf_free(&b);
}

static void
strip_hop_removes_what_connection_names(void **state)
{
	struct fields fs = { 0 };

	fields_add(&fs, "Connection", 10, "close, X-One", 12);
	fields_add(&fs, "X-One", 5, "1", 1);
	fields_add(&fs, "x-two", 5, "2", 1);
	fields_add(&fs, "connection", 10, "X-TWO", 5);
	fields_add(&fs, "X-Three", 7, "3", 1);
	fields_add(&fs, "TE", 2, "trailers", 8);
	fields_strip_hop(&fs);
	assert_int_equal(fs.n, 1);
	assert_string_equal(fs.f[0].name, "X-Three");
	fields_free(&fs);
}

static void
interim_status_is_no_response_head(void **state)
{
	struct rsp_head h = { .status = 101, .kind = BODY_NONE }, got;
	struct buf b = { 0 };
	struct cur c;

	h.reason = xstrdup("");
	assert_int_equal(rsp_head_put(&b, &h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(rsp_head_get(&c, &got), -1);
	buf_clear(&b);
	/* But what opens another protocol. */
	h.kind = BODY_STREAM;
	assert_int_equal(rsp_head_put(&b, &h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(rsp_head_get(&c, &got), 0);
	assert_int_equal(got.status, 101);
	rsp_head_free(&got);
	buf_clear(&b);
	h.status = 103;
	assert_int_equal(rsp_head_put(&b, &h), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	assert_int_equal(rsp_head_get(&c, &got), -1);
	rsp_head_free(&h);
	buf_free(&b);
}

/* As a scrubbed response of a hostile origin may be. */
static void
field_that_the_reader_would_refuse_is_not_written(void **state)
{
	struct rsp_head h = { .status = 200,
		.reason = (char *)(uintptr_t) "OK" };
	struct buf b = { 0 };

	(void)state;
	fields_set(&h.fields, "X-a/b", "1");
	assert_int_equal(rsp_head_put(&b, &h), -1);
	buf_free(&b);
	assert_int_equal(trailers_put(&b, &h.fields), -1);
	buf_free(&b);
	fields_free(&h.fields);
	fields_set(&h.fields, "X-a", "1\r\nX-b: 2");
	assert_int_equal(rsp_head_put(&b, &h), -1);
	buf_free(&b);
	fields_free(&h.fields);
}

static void
head_over_its_limit_is_not_written(void **state)
{
	struct req_head h;
	struct buf b = { 0 };
	char big[WIRE_VALUE_MAX + 1];

	fill(&h);
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	for (int i = 0; i < 3; i++)
		fields_add(&h.fields, "Big", 3, big, sizeof(big) - 1);
	assert_int_equal(req_head_put(&b, &h), -1);
	req_head_free(&h);
	buf_free(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_head_round_trips),
		cmocka_unit_test(every_short_request_head_is_refused),
		cmocka_unit_test(decoder_checks_every_field),
		cmocka_unit_test(protocol_travels_with_what_it_needs),
		cmocka_unit_test(hop_by_hop_fields_never_travel),
		cmocka_unit_test(strip_hop_removes_what_connection_names),
		cmocka_unit_test(interim_status_is_no_response_head),
		cmocka_unit_test(
		    field_that_the_reader_would_refuse_is_not_written),
		cmocka_unit_test(head_over_its_limit_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
