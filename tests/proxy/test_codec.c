/* Content codings: any cut gives the same, and nothing expands for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <brotli/encode.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/str.h"
#include "proxy/charset.h"
#include "proxy/codec.h"

static uint32_t seed = 777;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

/* Text with repetitions, and some noise. */
static void
sample(struct buf *b, size_t n)
{
	while (buf_len(b) < n)
		if (rnd(3) == 0)
			buf_put_u32(b, rnd(1u << 24));
		else
			buf_printf(b, "{\"id\":%u,\"token\":\"abc\"}", rnd(99));
	b->len = b->off + n;
}

/* ---- encoders that are not ours ---------------------------------------- */

static void
z_encode(const struct buf *in, int window, int level, struct buf *out)
{
	z_stream z = { 0 };
	size_t room = buf_len(in) + 4096;

	assert_int_equal(
	    deflateInit2(&z, level, Z_DEFLATED, window, 9, Z_DEFAULT_STRATEGY),
	    Z_OK);
	z.next_in = buf_head(in);
	z.avail_in = (uInt)buf_len(in);
	z.next_out = buf_reserve(out, room);
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(out, room - z.avail_out);
	deflateEnd(&z);
}

static void
br_encode(const struct buf *in, int window_log, struct buf *out)
{
	size_t n = BrotliEncoderMaxCompressedSize(buf_len(in)) + 64;

	assert_true(BrotliEncoderCompress(5, window_log, BROTLI_MODE_GENERIC,
	    buf_len(in), buf_head(in), &n, buf_reserve(out, n)));
	buf_commit(out, n);
}

static void
zstd_encode(const struct buf *in, int window_log, struct buf *out)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t room = ZSTD_compressBound(buf_len(in)), n;
	ZSTD_inBuffer i = { buf_head(in), buf_len(in), 0 };
	ZSTD_outBuffer o = { buf_reserve(out, room + 64), room + 64, 0 };

	ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
	/* In two calls: the size is not known, so the window is declared. */
	n = ZSTD_compressStream2(c, &o, &i, ZSTD_e_flush);
	assert_false(ZSTD_isError(n));
	n = ZSTD_compressStream2(c, &o, &i, ZSTD_e_end);
	assert_int_equal(n, 0);
	buf_commit(out, o.pos);
	ZSTD_freeCCtx(c);
}

static void
foreign(enum coding c, const struct buf *in, struct buf *out)
{
	switch (c) {
	case CODING_GZIP:
		z_encode(in, 31, 9, out);
		return;
	case CODING_DEFLATE:
		z_encode(in, 15, 9, out);
		return;
	case CODING_BR:
		br_encode(in, 24, out);
		return;
	case CODING_ZSTD:
		zstd_encode(in, 21, out);
		return;
	case CODING_IDENTITY:
	case CODING_MAX:
		fail();
	}
}

/* ---- ours -------------------------------------------------------------- */

/* chunk 0: random cuts. */
static int
decode(const struct codings *cs, const struct buf *in, size_t chunk, size_t max,
    struct buf *out, struct error *err)
{
	struct codec_memory m = { 0 };
	struct decoder *d = decoder_new(cs, &m);
	size_t at = 0, used, was;
	int rc = 0;

	do {
		size_t k = chunk == 0 ? rnd(100) : chunk;
		size_t room = max == 0 ? 1 + rnd(300) : max;

		if (k > buf_len(in) - at)
			k = buf_len(in) - at;
		was = buf_len(out);
		rc = decoder_step(
		    d, buf_head(in) + at, k, &used, out, room, err);
		at += used;
		if (at == buf_len(in) && buf_len(out) - was < room)
			break;
	} while (rc == 0);
	if (rc == 0)
		rc = decoder_end(d, err);
	decoder_free(d);
	assert_int_equal(m.used, 0);
	return rc;
}

static void
expect_plain(
    const struct codings *cs, const struct buf *coded, const struct buf *plain)
{
	static const size_t cuts[] = { 1, 7, 0, 1000000 };

	for (size_t i = 0; i < nitems(cuts); i++) {
		cleanup_buf struct buf out = { 0 };
		struct error err = { 0 };

		if (decode(cs, coded, cuts[i], cuts[i] * 3, &out, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(buf_len(&out), buf_len(plain));
		if (buf_len(plain) > 0)
			assert_memory_equal(
			    buf_head(&out), buf_head(plain), buf_len(plain));
	}
}

static void
expect_refused(
    const struct codings *cs, const struct buf *coded, const char *why)
{
	static const size_t cuts[] = { 1, 0, 1000000 };

	for (size_t i = 0; i < nitems(cuts); i++) {
		cleanup_buf struct buf out = { 0 };
		struct error err = { 0 };

		assert_int_equal(
		    decode(cs, coded, cuts[i], 65536, &out, &err), -1);
		if (strstr(err.msg, why) == NULL)
			fail_msg("%s: no \"%s\"", err.msg, why);
	}
}

static struct codings
one(enum coding c)
{
	return (struct codings){ { c }, 1 };
}

static void
others_streams_are_decoded_however_they_are_cut(void **state)
{
	static const size_t sizes[] = { 1, 300, 200000 };

	(void)state;
	for (unsigned int c = CODING_GZIP; c < CODING_MAX; c++)
		for (size_t i = 0; i < nitems(sizes); i++) {
			cleanup_buf struct buf plain = { 0 }, coded = { 0 };
			struct codings cs = one((enum coding)c);

			sample(&plain, sizes[i]);
			foreign((enum coding)c, &plain, &coded);
			expect_plain(&cs, &coded, &plain);
		}
}

static void
two_codings_are_undone_in_their_order(void **state)
{
	(void)state;
	for (unsigned int a = CODING_GZIP; a < CODING_MAX; a++)
		for (unsigned int b = CODING_GZIP; b < CODING_MAX; b++) {
			cleanup_buf struct buf plain = { 0 }, once = { 0 },
					       twice = { 0 };
			struct codings cs = { 0 };
			cleanup_free char *list = xasprintf(
			    " %s,, %s ,identity", coding_name((enum coding)a),
			    coding_name((enum coding)b));

			sample(&plain, 50000);
			foreign((enum coding)a, &plain, &once);
			foreign((enum coding)b, &once, &twice);
			assert_int_equal(codings_add(&cs, list), 0);
			assert_int_equal(cs.n, 2);
			expect_plain(&cs, &twice, &plain);
		}
}

static void
gzip_members_follow_each_other(void **state)
{
	cleanup_buf struct buf plain = { 0 }, coded = { 0 };
	struct codings cs = one(CODING_GZIP);

	(void)state;
	for (int i = 0; i < 5; i++) {
		cleanup_buf struct buf part = { 0 };

		sample(&part, (size_t)i * 700);
		buf_put(&plain, buf_head(&part), buf_len(&part));
		z_encode(&part, 31, 6, &coded);
	}
	expect_plain(&cs, &coded, &plain);
	/* What follows is no member. */
	buf_put(&coded, "garbage", 7);
	expect_refused(&cs, &coded, "not valid");
}

static void
bare_deflate_data_is_known_from_zlib_data(void **state)
{
	struct codings cs = one(CODING_DEFLATE);

	(void)state;
	for (int level = 0; level <= 9; level += 3)
		for (int window = 9; window <= 15; window++) {
			cleanup_buf struct buf plain = { 0 }, bare = { 0 },
					       zlib = { 0 };

			sample(&plain, 3000);
			z_encode(&plain, -window, level, &bare);
			z_encode(&plain, window, level, &zlib);
			expect_plain(&cs, &bare, &plain);
			expect_plain(&cs, &zlib, &plain);
		}
}

static void
what_follows_the_end_is_refused(void **state)
{
	(void)state;
	for (unsigned int c = CODING_GZIP; c < CODING_MAX; c++) {
		cleanup_buf struct buf plain = { 0 }, coded = { 0 };
		struct codings cs = one((enum coding)c);

		sample(&plain, 500);
		foreign((enum coding)c, &plain, &coded);
		buf_put(&coded, "AAAAAAAA", 8);
		expect_refused(&cs, &coded, "not valid");
	}
}

static void
stream_that_is_cut_short_is_refused(void **state)
{
	(void)state;
	for (unsigned int c = CODING_GZIP; c < CODING_MAX; c++) {
		cleanup_buf struct buf plain = { 0 }, coded = { 0 };
		struct codings cs = one((enum coding)c);
		size_t n;

		sample(&plain, 2000);
		foreign((enum coding)c, &plain, &coded);
		for (n = buf_len(&coded) - 1; n > 0; n -= n > 40 ? 13 : 1) {
			coded.len = coded.off + n;
			expect_refused(&cs, &coded, "cut short");
		}
		/* An empty body is one: some answers have the field only. */
		coded.len = coded.off;
		buf_clear(&plain);
		expect_plain(&cs, &coded, &plain);
	}
}

static void
window_that_is_too_large_is_refused(void **state)
{
	cleanup_buf struct buf plain = { 0 }, coded = { 0 };
	struct codings cs = one(CODING_ZSTD);

	(void)state;
	sample(&plain, 1000);
	zstd_encode(&plain, CODEC_WINDOW_LOG_MAX, &coded);
	expect_plain(&cs, &coded, &plain);
	buf_clear(&coded);
	zstd_encode(&plain, CODEC_WINDOW_LOG_MAX + 1, &coded);
	expect_refused(&cs, &coded, "memory");
}

/* Zeros, compressed a thousandfold and more. */
static void
bomb_ends_at_the_ratio(void **state)
{
	cleanup_buf struct buf zeros = { 0 };
	size_t n = 40u << 20;

	(void)state;
	memset(buf_reserve(&zeros, n), 0, n);
	buf_commit(&zeros, n);
	for (unsigned int c = CODING_GZIP; c < CODING_MAX; c++) {
		cleanup_buf struct buf coded = { 0 }, out = { 0 };
		struct codings cs = one((enum coding)c);
		struct error err = { 0 };

		foreign((enum coding)c, &zeros, &coded);
		assert_int_equal(
		    decode(&cs, &coded, 1000, 65536, &out, &err), -1);
		assert_non_null(strstr(err.msg, "expands"));
		assert_true(buf_len(&out) <= CODEC_RATIO_FREE + 65536);
	}
}

static void
one_step_makes_no_more_than_asked(void **state)
{
	cleanup_buf struct buf zeros = { 0 };
	size_t n = 1u << 20;

	(void)state;
	memset(buf_reserve(&zeros, n), 0, n);
	buf_commit(&zeros, n);
	for (unsigned int c = CODING_GZIP; c < CODING_MAX; c++) {
		cleanup_buf struct buf coded = { 0 }, out = { 0 };
		struct codings cs = one((enum coding)c);
		struct codec_memory m = { 0 };
		struct error err = { 0 };
		size_t at = 0, used;

		foreign((enum coding)c, &zeros, &coded);
		struct decoder *d = decoder_new(&cs, &m);
		while (buf_len(&out) < n) {
			size_t was = buf_len(&out);

			assert_int_equal(
			    decoder_step(d, buf_head(&coded) + at,
				buf_len(&coded) - at, &used, &out, 333, &err),
			    0);
			at += used;
			assert_true(buf_len(&out) > was);
			assert_true(buf_len(&out) - was <= 333);
		}
		decoder_free(d);
	}
}

static void
memory_of_all_together_is_bounded(void **state)
{
	static struct decoder *d[64];
	cleanup_buf struct buf plain = { 0 }, coded = { 0 };
	struct codings cs = one(CODING_ZSTD);
	struct codec_memory m = { 0 };
	struct error err = { 0 };
	size_t n = 0, used;

	(void)state;
	sample(&plain, 1000);
	zstd_encode(&plain, CODEC_WINDOW_LOG_MAX, &coded);
	for (; n < nitems(d); n++) {
		cleanup_buf struct buf out = { 0 };

		d[n] = decoder_new(&cs, &m);
		if (decoder_step(d[n], buf_head(&coded), 100, &used, &out, 4096,
			&err) < 0)
			break;
	}
	assert_true(n > 2 && n < 10);
	assert_non_null(strstr(err.msg, "memory"));
	assert_null(encoder_new(CODING_GZIP, &m));
	for (size_t i = 0; i <= n; i++)
		decoder_free(d[i]);
	assert_int_equal(m.used, 0);
}

static void
what_was_encoded_can_be_read_at_once(void **state)
{
	(void)state;
	for (unsigned int c = CODING_GZIP; c < CODING_MAX; c++) {
		struct codings cs = one((enum coding)c);
		struct codec_memory m = { 0 };
		struct encoder *e = encoder_new((enum coding)c, &m);
		struct decoder *d = decoder_new(&cs, &m);
		cleanup_buf struct buf plain = { 0 }, out = { 0 };
		struct error err = { 0 };
		size_t used;

		for (int i = 0; i < 200; i++) {
			cleanup_buf struct buf piece = { 0 }, coded = { 0 };

			sample(&piece, rnd(4) == 0 ? 60000 : 1 + rnd(50));
			buf_put(&plain, buf_head(&piece), buf_len(&piece));
			assert_int_equal(encoder_step(e, buf_head(&piece),
					     buf_len(&piece), &coded, &err),
			    0);
			assert_int_equal(
			    decoder_step(d, buf_head(&coded), buf_len(&coded),
				&used, &out, 1u << 20, &err),
			    0);
			assert_int_equal(used, buf_len(&coded));
			assert_int_equal(buf_len(&out), buf_len(&plain));
		}
		cleanup_buf struct buf end = { 0 };
		assert_int_equal(encoder_end(e, &end, &err), 0);
		assert_int_equal(decoder_step(d, buf_head(&end), buf_len(&end),
				     &used, &out, 100, &err),
		    0);
		assert_int_equal(decoder_end(d, &err), 0);
		assert_memory_equal(
		    buf_head(&out), buf_head(&plain), buf_len(&plain));
		encoder_free(e);
		decoder_free(d);
		assert_int_equal(m.used, 0);
	}
}

static void
unknown_and_too_many_codings_are_refused(void **state)
{
	static const char *const bad[] = { "compress", "gzip;q=1", "gzip gzip",
		"gzip, br, zstd", "dcb", "zstd, aws-chunked" };
	struct codings cs = { 0 };

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		struct codings none = { 0 };

		assert_int_equal(codings_add(&none, bad[i]), -1);
	}
	assert_int_equal(codings_add(&cs, ""), 0);
	assert_int_equal(codings_add(&cs, "Identity , identity"), 0);
	assert_int_equal(cs.n, 0);
	/* Two fields count together. */
	assert_int_equal(codings_add(&cs, "X-GZIP"), 0);
	assert_int_equal(codings_add(&cs, "Br"), 0);
	assert_int_equal(cs.c[0], CODING_GZIP);
	assert_int_equal(cs.c[1], CODING_BR);
	assert_int_equal(codings_add(&cs, "gzip"), -1);
}

static void
offer_is_cut_to_what_can_be_decoded(void **state)
{
	static const struct {
		const char *in, *out;
		uint32_t bits;
	} t[] = {
		{ "gzip, deflate, br, zstd", "gzip, deflate, br, zstd", 30 },
		{ "gzip;q=1.0, compress, *;q=0", "gzip;q=1.0", 2 },
		{ "br;q=0, GZIP ; Q=0.5", "br;q=0, GZIP ; Q=0.5", 2 },
		{ "gzip;q=0.000", "gzip;q=0.000", 0 },
		{ "dcb, dcz, sdch", "", 0 },
		{ "identity", "identity", 0 },
		{ "*", "", 0 },
		{ "", "", 0 },
		{ " ,, x-gzip ,", "x-gzip", 2 },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		cleanup_buf struct buf b = { 0 };

		assert_int_equal(codings_offered(t[i].in, &b), t[i].bits);
		buf_put_u8(&b, 0);
		assert_string_equal((const char *)buf_head(&b), t[i].out);
	}
}

static void
charsets_that_hide_ascii_are_known(void **state)
{
	static const char *const odd[] = { "text/plain; charset=utf-32",
		"text/plain;charset=\"UTF-32LE\"", "a/b; x=y; Charset = utf-7",
		"a/b;charset=ISO-10646-UCS-4", "a/b;charset=unicode-1-1-utf-7",
		"a/b;charset=IBM037", "a/b;charset=cp1047",
		"a/b;charset=x-IBM-930", "a/b;charset=ebcdic-us-37+euro",
		"a/b;charset=cp20273", "a/b;charset=500", "a/b;charset=SCSU",
		"a/b;charset=utf-8;charset=cp037", "a/b;charset=IBM-Thai",
		"a/b;charset=UTF_1" };
	static const char *const plain[] = { "text/plain", "",
		"text/html; charset=utf-8", "text/html;charset=\"UTF-16LE\"",
		"a/b;charset=utf16", "a/b;charset=iso-8859-15",
		"a/b;charset=8859_1", "a/b;charset=windows-1252",
		"a/b;charset=cp1252", "a/b;charset=IBM850", "a/b;charset=cp932",
		"a/b;charset=GB18030", "a/b;charset=Shift_JIS",
		"a/b;charset=koi8-r", "a/b;charset=", "a/b;charset",
		"a/b;boundary=cp037", "a/b;charset=none" };

	(void)state;
	assert_true(charset_is_readable(NULL));
	for (size_t i = 0; i < nitems(odd); i++)
		if (charset_is_readable(odd[i]))
			fail_msg("%s", odd[i]);
	for (size_t i = 0; i < nitems(plain); i++)
		if (!charset_is_readable(plain[i]))
			fail_msg("%s", plain[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    others_streams_are_decoded_however_they_are_cut),
		cmocka_unit_test(two_codings_are_undone_in_their_order),
		cmocka_unit_test(gzip_members_follow_each_other),
		cmocka_unit_test(bare_deflate_data_is_known_from_zlib_data),
		cmocka_unit_test(what_follows_the_end_is_refused),
		cmocka_unit_test(stream_that_is_cut_short_is_refused),
		cmocka_unit_test(window_that_is_too_large_is_refused),
		cmocka_unit_test(bomb_ends_at_the_ratio),
		cmocka_unit_test(one_step_makes_no_more_than_asked),
		cmocka_unit_test(memory_of_all_together_is_bounded),
		cmocka_unit_test(what_was_encoded_can_be_read_at_once),
		cmocka_unit_test(unknown_and_too_many_codings_are_refused),
		cmocka_unit_test(offer_is_cut_to_what_can_be_decoded),
		cmocka_unit_test(charsets_that_hide_ascii_are_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
