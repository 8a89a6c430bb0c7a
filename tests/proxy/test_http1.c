/*
 * HTTP/1.1 messages: what is refused, what is understood, and that no way of
 * cutting the bytes changes the outcome.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "tests/proxy/http1_run.h"

#define HOST "Host: a.example\r\n"

/* Everything the parser says about the bytes; caller frees. */
static char *
say(bool response, const char *method, const void *bytes, size_t n)
{
	struct buf log = { 0 };
	char *s;

	run_http1(&log, response, method, bytes, n, n, 0);
	buf_put(&log, "", 1);
	s = xstrdup((const char *)buf_head(&log));
	buf_free(&log);
	return s;
}

static void
assert_said(const char *said, const char *want)
{
	if (strstr(said, want) == NULL)
		fail_msg("\"%s\" is not in \"%s\"", want, said);
}

static void
request_n(const void *bytes, size_t n, const char *want)
{
	char *said = say(false, NULL, bytes, n);

	assert_said(said, want);
	free(said);
}

static void
request(const char *text, const char *want)
{
	request_n(text, strlen(text), want);
}

static void
response(const char *method, const char *text, const char *want)
{
	char *said = say(true, method, text, strlen(text));

	assert_said(said, want);
	free(said);
}

static void
request_line_bare_lf_rejected(void **state)
{
	request("GET / HTTP/1.1\n" HOST "\r\n", "BAD 400 line ends in a bare");
}

static void
field_line_bare_lf_rejected(void **state)
{
	request("GET / HTTP/1.1\r\nHost: a.example\n\r\n", "BAD 400 line ends");
	request("GET / HTTP/1.1\r\n" HOST "\n", "BAD 400 line ends");
}

static void
bare_cr_and_nul_rejected(void **state)
{
	static const char nul[] = "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n";

	request("GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", "BAD 400 bare CR");
	request("GET /\r HTTP/1.1\r\n" HOST "\r\n", "BAD 400 bare CR");
	request("GET / HTTP/1.1\r\r\n" HOST "\r\n", "BAD 400 bare CR");
	request_n(nul, sizeof(nul) - 1, "BAD 400 NUL");
}

static void
cl_and_te_rejected(void **state)
{
	request("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
		"Transfer-Encoding: chunked\r\n\r\nabc",
	    "BAD 400 Content-Length with");
	response("GET",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
	    "Content-Length: 3\r\n\r\nabc",
	    "BAD 400 Content-Length with");
}

static void
odd_lengths_rejected(void **state)
{
	static const char *const odd[] = { "", "+3", "-3", "3,3", "3 3", "0x3",
		"3.0", "3;a" };

	for (size_t i = 0; i < nitems(odd); i++) {
		char *s = xasprintf("POST / HTTP/1.1\r\n" HOST
				    "Content-Length: %s\r\n\r\nabc",
		    odd[i]);
		request(s, "BAD 400 malformed Content-Length");
		free(s);
	}
	request("POST / HTTP/1.1\r\n" HOST
		"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
	    "BAD 400 more than one Content-Length");
	request("POST / HTTP/1.1\r\n" HOST
		"Content-Length: 9223372036854775808\r\n\r\n",
	    "BAD 413");
	request("POST / HTTP/1.1\r\n" HOST
		"Content-Length: 00000000000000000000003\r\n\r\n",
	    "BAD 413");
}

static void
odd_transfer_codings_rejected(void **state)
{
	request("POST / HTTP/1.1\r\n" HOST
		"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	    "BAD 501");
	request("POST / HTTP/1.1\r\n" HOST
		"Transfer-Encoding: identity\r\n\r\n",
	    "BAD 501");
	request("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "BAD 400 more than one Transfer-Encoding");
	request("POST / HTTP/1.0\r\n" HOST
		"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "BAD 400 Transfer-Encoding in HTTP/1.0");
}

static void
obs_fold_rejected(void **state)
{
	request(
	    "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", "BAD 400 folded");
	request(
	    "GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", "BAD 400 folded");
	request("GET / HTTP/1.1\r\n " HOST "\r\n", "BAD 400 folded");
}

static void
malformed_field_names_rejected(void **state)
{
	request("GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n",
	    "BAD 400 malformed header field name");
	request("GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n",
	    "BAD 400 malformed header field name");
	request("GET / HTTP/1.1\r\n" HOST "A(b): c\r\n\r\n",
	    "BAD 400 malformed header field name");
	request("GET / HTTP/1.1\r\n" HOST "A\r\n\r\n",
	    "BAD 400 header field without a colon");
	request("GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n",
	    "BAD 400 control character");
	request("GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n",
	    "BAD 400 control character");
}

static void
host_field_is_one_and_valid(void **state)
{
	request("GET / HTTP/1.1\r\n\r\n", "BAD 400 no Host");
	request("GET / HTTP/1.1\r\n" HOST "host: b\r\n\r\n",
	    "BAD 400 more than one Host");
	request(
	    "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "BAD 400 malformed Host");
	request(
	    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "BAD 400 malformed Host");
	request(
	    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "BAD 400 malformed Host");
	request("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "BAD 400 malformed Host");
	request("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
	    "BAD 400 malformed Host");
	request("GET / HTTP/1.1\r\nHost:\r\n\r\n", "BAD 400 malformed Host");
	request("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "HEAD GET /");
	request("GET / HTTP/1.0\r\n\r\n", "HEAD GET / 0 1.0");
}

static void
malformed_request_lines_rejected(void **state)
{
	static const char *const odd[] = { "GET /", "GET", " GET / HTTP/1.1",
		"GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET / http/1.1",
		"GET / HTTP/1.11", "GET / HTTP/11", "G(T / HTTP/1.1",
		"GET /a b HTTP/1.1", "GET a.example HTTP/1.1",
		"GET /a#b HTTP/1.1", "GET * HTTP/1.1", "GET /\xc3\xa9 HTTP/1.1",
		"GET ftp://a/ HTTP/1.1", "CONNECT / HTTP/1.1",
		"GET\t/ HTTP/1.1" };

	for (size_t i = 0; i < nitems(odd); i++) {
		char *s = xasprintf("%s\r\n" HOST "\r\n", odd[i]);
		request(s, "BAD 400");
		free(s);
	}
	request("GET / HTTP/2.0\r\n" HOST "\r\n", "BAD 505");
	request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "BAD 505");
	request(
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\n\r\n", "BAD 501");
	request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "HEAD OPTIONS *");
	request("CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", "HEAD CONNECT a:443");
}

static void
limits_have_their_own_answers(void **state)
{
	struct buf b = { 0 };

	buf_printf(&b, "GET /");
	while (buf_len(&b) < HTTP_LINE_MAX)
		buf_put(&b, "a", 1);
	request_n(buf_head(&b), buf_len(&b), "BAD 414");
	buf_clear(&b);
	buf_printf(&b, "GET / HTTP/1.1\r\n" HOST);
	for (unsigned int i = 0; i < WIRE_FIELDS_MAX; i++)
		buf_printf(&b, "A%u: b\r\n", i);
	buf_printf(&b, "\r\n");
	request_n(buf_head(&b), buf_len(&b), "BAD 431");
	buf_clear(&b);
	buf_printf(&b, "GET / HTTP/1.1\r\n" HOST);
	for (unsigned int i = 0; i < 4; i++) {
		buf_printf(&b, "A: ");
		for (unsigned int j = 0; j < 10000; j++)
			buf_put(&b, "b", 1);
		buf_printf(&b, "\r\n");
	}
	request_n(buf_head(&b), buf_len(&b), "BAD 431");
	buf_free(&b);
}

static void
unknown_expectation_refused(void **state)
{
	request("POST / HTTP/1.1\r\n" HOST
		"Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
	    "expect=1");
	request("GET / HTTP/1.1\r\n" HOST "Expect: magic\r\n\r\n", "BAD 417");
}

static void
chunked_body_and_trailers_are_read(void **state)
{
	request("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n000\r\nT: u\r\n\r\n",
	    "BODY abc0123456789 DONE [T|u]");
}

static void
malformed_chunks_rejected(void **state)
{
	static const struct {
		const char *body, *want;
	} odd[] = {
		{ "3\nabc\r\n0\r\n\r\n", "BAD 400 line ends" },
		{ "3\r\nabc\n0\r\n\r\n", "BAD 400 chunk is longer" },
		{ "3\r\nabcd\r\n0\r\n\r\n", "BAD 400 chunk is longer" },
		{ "0x3\r\nabc\r\n0\r\n\r\n", "BAD 400 malformed chunk size" },
		{ "3 \r\nabc\r\n0\r\n\r\n", "BAD 400 malformed chunk size" },
		{ " 3\r\nabc\r\n0\r\n\r\n", "BAD 400 malformed chunk size" },
		{ "\r\n", "BAD 400 malformed chunk size" },
		{ "-3\r\nabc\r\n", "BAD 400 malformed chunk size" },
		{ "ffffffffffffffff\r\na", "BAD 413" },
		{ "8000000000000000\r\na", "BAD 413" },
		{ "3;\x01\r\nabc\r\n", "BAD 400 malformed chunk extension" },
		{ "0\r\nContent-Length: 3\r\n\r\n", "BAD 400 forbidden" },
		{ "0\r\nHost: b\r\n\r\n", "BAD 400 forbidden" },
		{ "0\r\n T: b\r\n\r\n", "BAD 400 folded" },
	};

	for (size_t i = 0; i < nitems(odd); i++) {
		char *s = xasprintf("POST / HTTP/1.1\r\n" HOST
				    "Transfer-Encoding: chunked\r\n\r\n%s",
		    odd[i].body);
		request(s, odd[i].want);
		free(s);
	}
}

static void
chunk_extensions_follow_the_grammar(void **state)
{
	static const char *const good[] = { ";x", ";x=y", ";x;y=z", ";x=\"\"",
		";x=\"a; \\\"b\\\\\";y", ";x=\"\t\xc3\xa9\"" };
	static const char *const odd[] = { ";", ";;x", ";x;", ";=y",
		";x=", "; x", ";x ;y", ";x =y", ";x= y", ";x=\"y", ";x=\"y\\\"",
		";x=\"y\\", ";x=\"y\"z", ";x=y\"z\"", ";\"x\"", ";x=\"\x01\"",
		";x=\"\\\x01\"", ";x=\"\x7f\"", ";x/y", ";x=y=z" };

	for (size_t i = 0; i < nitems(good) + nitems(odd); i++) {
		bool ok = i < nitems(good);
		char *s = xasprintf("POST / HTTP/1.1\r\n" HOST
				    "Transfer-Encoding: chunked\r\n\r\n"
				    "3%s\r\nabc\r\n0%s\r\n\r\n",
		    ok ? good[i] : odd[i - nitems(good)], ok ? good[i] : "");
		request(
		    s, ok ? "BODY abc DONE" : "BAD 400 malformed chunk ext");
		free(s);
	}
}

static void
chunk_ext_limit(void **state)
{
	char line[HTTP_CHUNK_LINE_MAX + 2];
	char *s;

	memset(line, 'x', sizeof(line));
	line[0] = '1';
	line[1] = ';';
	line[HTTP_CHUNK_LINE_MAX - 2] = '\0';
	s = xasprintf("POST / HTTP/1.1\r\n" HOST
		      "Transfer-Encoding: chunked\r\n\r\n%s\r\na\r\n0\r\n\r\n",
	    line);
	request(s, "BODY a DONE");
	free(s);
	line[HTTP_CHUNK_LINE_MAX - 2] = 'x';
	line[HTTP_CHUNK_LINE_MAX - 1] = '\0';
	s = xasprintf("POST / HTTP/1.1\r\n" HOST
		      "Transfer-Encoding: chunked\r\n\r\n%s\r\na\r\n0\r\n\r\n",
	    line);
	request(s, "BAD 400 chunk line is too long");
	free(s);
}

static void
responses_without_body_end_at_the_head(void **state)
{
	response("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
	    "kind=1 len=9 keep=1 expect=0 [Content-Length|9] BODY  DONE");
	response("HEAD",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
	    "BODY  DONE");
	response("GET", "HTTP/1.1 204 No Content\r\n\r\n", "BODY  DONE");
	response(
	    "GET", "HTTP/1.1 304 X\r\nContent-Length: 9\r\n\r\n", "BODY  DONE");
	response("GET", "HTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n123456789",
	    "BAD 400 body with a status");
}

static void
interim_responses_come_before_the_answer(void **state)
{
	response("HEAD",
	    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
	    "- - 200 1.1 kind=1 len=7 keep=1 expect=0 [Content-Length|7]"
	    " BODY  DONE");
}

static void
response_until_close_ends_with_it(void **state)
{
	char *said = say(true, "GET", "HTTP/1.0 200\r\n\r\nabc",
	    strlen("HTTP/1.0 200\r\n\r\nabc"));

	assert_said(said, "keep=0");
	assert_said(said, "abc EOF 4");
	free(said);
	/* A length not met is no end. */
	said =
	    say(true, "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		strlen("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"));
	assert_said(said, "abc EOF 0");
	free(said);
}

static void
connection_field_decides_keep_alive(void **state)
{
	request("GET / HTTP/1.1\r\n" HOST "\r\n", "keep=1");
	request(
	    "GET / HTTP/1.1\r\n" HOST "Connection: x, CLOSE\r\n\r\n", "keep=0");
	request("GET / HTTP/1.0\r\n" HOST "\r\n", "keep=0");
	request("GET / HTTP/1.0\r\n" HOST "Connection: Keep-Alive\r\n\r\n",
	    "keep=1");
}

static const struct {
	bool response;
	const char *method, *text;
} table[] = {
	{ false, NULL,
	    "\r\nPOST /a?b=c HTTP/1.1\r\n" HOST
	    "Transfer-Encoding: chunked\r\nA:  b \r\n\r\n"
	    "3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n"
	    "GET /second HTTP/1.1\r\n" HOST "\r\n" },
	{ false, NULL,
	    "PUT http://a.example/x HTTP/1.1\r\n" HOST
	    "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
	    "GET / HTTP/1.0\r\nBad Name: 1\r\n\r\n" },
	{ false, NULL, "GET / HTTP/1.1\r\n" HOST "A: b\n\r\n" },
	{ false, NULL, "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n" },
	{ false, NULL, "\r\n\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n" },
	{ false, NULL,
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\rX" },
	{ false, NULL,
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "3\r\nabc\r\n0\r\nConnection: close\r\n\r\n" },
	{ true, "GET",
	    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
	    "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" },
	{ true, "GET", "HTTP/1.0 200 OK\r\nA: b\r\n\r\nuntil the end" },
	{ true, "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" },
	{ true, "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab" },
	{ true, "GET", "HTTP/1.1 2000 OK\r\n\r\n" },
	{ true, "GET", "ICY 200 OK\r\n\r\n" },
};

static void
any_chunking_same_result(void **state)
{
	for (size_t i = 0; i < nitems(table); i++) {
		size_t n = strlen(table[i].text);
		struct buf whole = { 0 }, b = { 0 };

		run_http1(&whole, table[i].response, table[i].method,
		    table[i].text, n, n, 0);
		for (size_t cut = 0; cut <= n; cut++)
			for (size_t step = 0; step < 3; step++) {
				buf_clear(&b);
				run_http1(&b, table[i].response,
				    table[i].method, table[i].text, n, cut,
				    step);
				assert_int_equal(buf_len(&b), buf_len(&whole));
				assert_memory_equal(buf_head(&b),
				    buf_head(&whole), buf_len(&b));
			}
		buf_free(&whole);
		buf_free(&b);
	}
}

static void
limits_are_the_same_for_any_chunking(void **state)
{
	static const size_t sizes[] = { HTTP_LINE_MAX - 1, HTTP_LINE_MAX,
		HTTP_LINE_MAX + 1, HTTP_HEAD_MAX + 1 };

	for (size_t i = 0; i < nitems(sizes); i++) {
		struct buf in = { 0 }, whole = { 0 }, b = { 0 };

		buf_printf(&in, "GET /");
		while (buf_len(&in) < sizes[i] - 11)
			buf_put(&in, "a", 1);
		buf_printf(&in, " HTTP/1.1\r\n" HOST "\r\n");
		run_http1(&whole, false, NULL, buf_head(&in), buf_len(&in),
		    buf_len(&in), 0);
		run_http1(&b, false, NULL, buf_head(&in), buf_len(&in), 1, 1);
		assert_int_equal(buf_len(&b), buf_len(&whole));
		assert_memory_equal(
		    buf_head(&b), buf_head(&whole), buf_len(&b));
		assert_int_equal(memcmp(buf_head(&b), "HEAD", 4) == 0,
		    sizes[i] <= HTTP_LINE_MAX);
		buf_free(&in);
		buf_free(&whole);
		buf_free(&b);
	}
}

static void
what_is_written_is_read_back(void **state)
{
	struct fields fs = { 0 }, tr = { 0 };
	struct buf b = { 0 };
	char *said;

	fields_set(&fs, "A", "b");
	fields_set(&tr, "T", "u");
	buf_printf(&b, "PUT /x?y HTTP/1.1\r\nHost: a.example:81\r\n");
	http_put_fields(&b, &fs);
	http_put_framing(&b, BODY_STREAM, 0);
	buf_printf(&b, "\r\n");
	http_put_chunk(&b, "hello", 5);
	http_put_chunk(&b, " there", 6);
	http_put_last_chunk(&b, &tr);
	said = say(false, NULL, buf_head(&b), buf_len(&b));
	assert_said(said, "HEAD PUT /x?y");
	assert_said(said, "[Host|a.example:81][A|b]");
	assert_said(said, "BODY hello there DONE [T|u]");
	free(said);
	buf_clear(&b);
	http_put_response(&b, 200, "", &fs, BODY_LENGTH, 2, HTTP_RSP_CLOSE);
	buf_put(&b, "ok", 2);
	said = say(true, "GET", buf_head(&b), buf_len(&b));
	assert_said(said, "keep=0");
	assert_said(said, "BODY ok DONE");
	free(said);
	buf_free(&b);
	fields_free(&fs);
	fields_free(&tr);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_line_bare_lf_rejected),
		cmocka_unit_test(field_line_bare_lf_rejected),
		cmocka_unit_test(bare_cr_and_nul_rejected),
		cmocka_unit_test(cl_and_te_rejected),
		cmocka_unit_test(odd_lengths_rejected),
		cmocka_unit_test(odd_transfer_codings_rejected),
		cmocka_unit_test(obs_fold_rejected),
		cmocka_unit_test(malformed_field_names_rejected),
		cmocka_unit_test(host_field_is_one_and_valid),
		cmocka_unit_test(malformed_request_lines_rejected),
		cmocka_unit_test(limits_have_their_own_answers),
		cmocka_unit_test(unknown_expectation_refused),
		cmocka_unit_test(chunked_body_and_trailers_are_read),
		cmocka_unit_test(malformed_chunks_rejected),
		cmocka_unit_test(chunk_extensions_follow_the_grammar),
		cmocka_unit_test(chunk_ext_limit),
		cmocka_unit_test(responses_without_body_end_at_the_head),
		cmocka_unit_test(interim_responses_come_before_the_answer),
		cmocka_unit_test(response_until_close_ends_with_it),
		cmocka_unit_test(connection_field_decides_keep_alive),
		cmocka_unit_test(any_chunking_same_result),
		cmocka_unit_test(limits_are_the_same_for_any_chunking),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
