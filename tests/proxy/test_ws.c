/* WebSocket frames: rewritten, well formed, the same however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/str.h"
#include "tests/proxy/ws_run.h"

#define REAL "ghp_REALREALREAL0123456789"
#define STUB "ghp_PLACEHOLDER98765432100"

static const uint8_t key[4] = { 0x11, 0xfe, 0x80, 0x07 };

/* b0: FIN, RSV, opcode. */
static void
frame(struct buf *b, uint8_t b0, bool masked, const void *p, size_t n)
{
	const uint8_t *q = p;
	uint8_t m = masked ? 128 : 0;

	buf_put_u8(b, b0);
	if (n < 126) {
		buf_put_u8(b, (uint8_t)(m | n));
	} else if (n < 65536) {
		buf_put_u8(b, m | 126);
		buf_put_u8(b, (uint8_t)(n >> 8));
		buf_put_u8(b, (uint8_t)n);
	} else {
		buf_put_u8(b, m | 127);
		for (int i = 56; i >= 0; i -= 8)
			buf_put_u8(b, (uint8_t)((uint64_t)n >> i));
	}
	if (masked)
		buf_put(b, key, 4);
	for (size_t i = 0; q != NULL && i < n; i++)
		buf_put_u8(b, masked ? q[i] ^ key[i & 3] : q[i]);
}

static void
text(struct buf *b, uint8_t b0, bool masked, const char *s)
{
	frame(b, b0, masked, s, strlen(s));
}

static void
expect(const struct buf *in, bool masked, bool deflate, const char *want)
{
	for (size_t chunk = 0; chunk < 30; chunk++) {
		struct ws_run r;

		ws_run(&r, masked, deflate, REAL, STUB, buf_head(in),
		    buf_len(in), chunk, chunk == 0 ? 1u << 20 : chunk * 5);
		buf_put_u8(&r.log, 0);
		if (r.code != 0)
			fail_msg("%s", r.err.msg);
		assert_string_equal((char *)buf_head(&r.log), want);
		ws_run_free(&r);
	}
}

static void
expect_closed(const struct buf *in, bool masked, bool deflate,
    unsigned int code, const char *why)
{
	for (size_t chunk = 0; chunk < 9; chunk++) {
		struct ws_run r;

		ws_run(&r, masked, deflate, REAL, STUB, buf_head(in),
		    buf_len(in), chunk, 1000);
		if (r.code != code || strstr(r.err.msg, why) == NULL)
			fail_msg("%u %s", r.code, r.err.msg);
		ws_run_free(&r);
	}
}

static void
messages_and_control_frames_pass(void **state)
{
	(void)state;
	for (int masked = 0; masked < 2; masked++) {
		cleanup_buf struct buf b = { 0 };

		text(&b, 0x81, masked, "hello");
		text(&b, 0x82, masked, "");
		text(&b, 0x89, masked, "are you there");
		text(&b, 0x02, masked, "part one, ");
		text(&b, 0x8a, masked, "");
		text(&b, 0x00, masked, "");
		text(&b, 0x80, masked, "part two");
		frame(&b, 0x88, masked, "\3\350bye", 5);
		text(&b, 0x81, masked, "nobody hears this");
		expect(&b, masked, false,
		    "\nM1 5 hello\nM2 0 \nC9 13 are you there\nC10 0 "
		    "\nM2 18 part one, part two\nC8 5 \3\350bye");
	}
}

static void
value_is_replaced_also_over_fragments(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < strlen(REAL); cut++) {
		cleanup_buf struct buf b = { 0 };

		text(&b, 0x81, false, "t=" REAL);
		frame(&b, 0x01, false, REAL, cut);
		text(&b, 0x89, false, REAL);
		frame(&b, 0x80, false, REAL + cut, strlen(REAL) - cut);
		/* Two messages are no value. */
		frame(&b, 0x82, false, REAL, cut);
		frame(&b, 0x82, false, REAL + cut, strlen(REAL) - cut);
		frame(&b, 0x88, false, "\3\350" REAL, 2 + strlen(REAL));
		cleanup_free char *want =
		    xasprintf("\nM1 28 t=" STUB "\nC9 26 " STUB "\nM1 26 " STUB
			      "\nM2 %zu %.*s\nM2 %zu %s\nC8 28 \3\350" STUB,
			cut, (int)cut, REAL, strlen(REAL) - cut, REAL + cut);
		expect(&b, false, false, want);
	}
}

/* As a client or server does it, history kept from message to message. */
static void
compress_message(z_stream *z, const char *s, struct buf *out)
{
	uint8_t d[1024];

	z->next_in = (Bytef *)(uintptr_t)s;
	z->avail_in = (uInt)strlen(s);
	z->next_out = d;
	z->avail_out = sizeof(d);
	assert_int_equal(deflate(z, Z_SYNC_FLUSH), Z_OK);
	/* RFC 7692 section 7.2.1 */
	buf_put(out, d, sizeof(d) - z->avail_out - 4);
}

static void
compressed_messages_are_read_and_go_on_plain(void **state)
{
	(void)state;
	for (int takeover = 0; takeover < 2; takeover++)
		for (int bits = 9; bits <= 15; bits++) {
			cleanup_buf struct buf b = { 0 }, log = { 0 };
			z_stream z = { 0 };

			deflateInit2(
			    &z, 6, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY);
			for (int i = 0; i < 5; i++) {
				cleanup_buf struct buf c = { 0 };

				compress_message(
				    &z, "{\"token\":\"" REAL "\"}", &c);
				if (!takeover)
					deflateReset(&z);
				/* In two frames, a plain one between. */
				frame(&b, 0x41, true, buf_head(&c), 2);
				text(&b, 0x89, true, "ping");
				frame(&b, 0x80, true, buf_head(&c) + 2,
				    buf_len(&c) - 2);
				text(&b, 0x81, true, "plain " REAL);
				buf_printf(&log,
				    "\nC9 4 ping\nM1 38 {\"token\":\"" STUB
				    "\"}\nM1 32 plain " STUB);
			}
			deflateEnd(&z);
			buf_put_u8(&log, 0);
			expect(&b, true, true, (char *)buf_head(&log));
		}
}

static void
large_frame_goes_out_in_parts_and_a_small_one_whole(void **state)
{
	cleanup_buf struct buf b = { 0 };
	static char big[300000];
	struct ws_run r;

	(void)state;
	memset(big, 'x', sizeof(big));
	frame(&b, 0x82, true, big, sizeof(big));
	frame(&b, 0x82, true, big, WS_KEEP_MAX - 1);
	for (size_t chunk = 1; chunk < 100000; chunk *= 9) {
		ws_run(&r, true, false, REAL, STUB, buf_head(&b), buf_len(&b),
		    chunk, 20000);
		assert_int_equal(r.messages, 2);
		assert_in_range(r.frames, 4, 7);
		assert_true(buf_len(&r.log) > sizeof(big) + WS_KEEP_MAX - 1);
		ws_run_free(&r);
	}
}

static void
bomb_ends_the_connection(void **state)
{
	cleanup_buf struct buf b = { 0 }, c = { 0 };
	static char zeros[1u << 20];
	z_stream z = { 0 };
	struct ws_run r;

	(void)state;
	deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
	z.next_out = buf_reserve(&c, 200000);
	z.avail_out = 200000;
	for (int i = 0; i < 40; i++) {
		z.next_in = (Bytef *)zeros;
		z.avail_in = sizeof(zeros);
		deflate(&z, i < 39 ? Z_NO_FLUSH : Z_SYNC_FLUSH);
	}
	buf_commit(&c, 200000 - z.avail_out - 4);
	deflateEnd(&z);
	frame(&b, 0xc2, false, buf_head(&c), buf_len(&c));
	ws_run(
	    &r, false, true, REAL, STUB, buf_head(&b), buf_len(&b), 0, 65536);
	assert_int_equal(r.code, WS_CLOSE_DATA);
	assert_non_null(strstr(r.err.msg, "expands"));
	ws_run_free(&r);
}

static void
broken_frames_close_with_their_code(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool masked, deflate;
		unsigned int code;
		const char *why;
	} t[] = {
		{ "\x81\x01x", 3, true, false, 1002, "not masked" },
		{ "\x81\x81kkkkx", 7, false, false, 1002, "is masked" },
		{ "\x83\0", 2, false, false, 1002, "unknown kind" },
		{ "\x8b\0", 2, false, false, 1002, "unknown kind" },
		{ "\x80\0", 2, false, false, 1002, "continuation of nothing" },
		{ "\x01\0\x81\0", 4, false, false, 1002, "inside another" },
		{ "\xc1\0", 2, false, false, 1002, "reserved" },
		{ "\xa1\0", 2, false, true, 1002, "reserved" },
		{ "\x91\0", 2, false, true, 1002, "reserved" },
		{ "\x01\0\xc0\0", 4, false, true, 1002, "reserved" },
		{ "\x09\0", 2, false, false, 1002, "control" },
		{ "\xc9\0", 2, false, true, 1002, "control" },
		{ "\x88\x01x", 3, false, false, 1002, "control" },
		{ "\x89\x7e\0\x7e", 4, false, false, 1002, "control" },
		{ "\x81\x7e\0\x7d", 4, false, false, 1002, "bad length" },
		{ "\x81\x7f\0\0\0\0\0\0\xff\xff", 10, false, false, 1002,
		    "bad length" },
		{ "\x81\x7f\x80\0\0\0\0\0\0\0", 10, false, false, 1002,
		    "bad length" },
		{ "\xc1\x02\xff\xff", 4, false, true, 1007, "not valid" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		cleanup_buf struct buf b = { 0 };

		buf_put(&b, t[i].bytes, t[i].n);
		expect_closed(
		    &b, t[i].masked, t[i].deflate, t[i].code, t[i].why);
	}
}

static void
close_frame_is_well_formed(void **state)
{
	cleanup_buf struct buf b = { 0 };
	char why[300];

	(void)state;
	memset(why, 'w', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	ws_put_close(&b, false, WS_CLOSE_POLICY, "no");
	assert_memory_equal(buf_head(&b), "\x88\4\3\360no", 6);
	buf_clear(&b);
	ws_put_close(&b, false, WS_CLOSE_POLICY, why);
	assert_int_equal(buf_len(&b), 2 + WS_CONTROL_MAX);
}

static void
offers_are_cut_to_what_can_be_read(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {
		{ "permessage-deflate; client_max_window_bits",
		    "permessage-deflate; client_max_window_bits" },
		{ "x-webkit-deflate-frame, permessage-deflate",
		    "permessage-deflate" },
		{ "permessage-deflate;server_max_window_bits=10, "
		  "permessage-deflate , bbf-usp-protocol; x=\"a, b\"",
		    "permessage-deflate;server_max_window_bits=10, "
		    "permessage-deflate" },
		{ "a; x=\"permessage-deflate, \"", "" },
		{ "", "" },
	};
	bool deflate = false;

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		cleanup_buf struct buf b = { 0 };

		ws_offer_cut(t[i].in, &b);
		buf_put_u8(&b, 0);
		assert_string_equal((char *)buf_head(&b), t[i].out);
	}
	assert_int_equal(ws_agreed("", &deflate), 0);
	assert_false(deflate);
	assert_int_equal(ws_agreed("permessage-deflate; a=1", &deflate), 0);
	assert_true(deflate);
	assert_int_equal(ws_agreed("permessage-deflate", &deflate), -1);
	assert_int_equal(ws_agreed("other", &deflate), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_and_control_frames_pass),
		cmocka_unit_test(value_is_replaced_also_over_fragments),
		cmocka_unit_test(compressed_messages_are_read_and_go_on_plain),
		cmocka_unit_test(
		    large_frame_goes_out_in_parts_and_a_small_one_whole),
		cmocka_unit_test(bomb_ends_the_connection),
		cmocka_unit_test(broken_frames_close_with_their_code),
		cmocka_unit_test(close_frame_is_well_formed),
		cmocka_unit_test(offers_are_cut_to_what_can_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
