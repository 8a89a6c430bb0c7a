/*
 * The decoder on any bytes.  The first byte names the codings, the second says
 * how to cut the input and the output; the rest is the stream.  However it is
 * cut, the result is the same, memory stays within its bound and all of it
 * comes back; what was decoded can be encoded and decoded again.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/codec.h"

#define OUT_MAX (1024u * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct codings sets[] = {
	{ { CODING_GZIP }, 1 },
	{ { CODING_DEFLATE }, 1 },
	{ { CODING_BR }, 1 },
	{ { CODING_ZSTD }, 1 },
	{ { CODING_DEFLATE, CODING_GZIP }, 2 },
	{ { CODING_BR, CODING_ZSTD }, 2 },
	{ { CODING_ZSTD, CODING_BR }, 2 },
	{ { CODING_GZIP, CODING_GZIP }, 2 },
};

/* 0 complete, 1 more than OUT_MAX, -1 refused. */
static int
decode(const struct codings *cs, const uint8_t *p, size_t n, size_t chunk,
    size_t max, struct buf *out)
{
	struct codec_memory m = { 0 };
	struct decoder *d = decoder_new(cs, &m);
	struct error err = { 0 };
	int rc = 0;

	for (size_t at = 0; rc == 0;) {
		size_t k = n - at < chunk ? n - at : chunk;
		size_t was = buf_len(out), used;

		rc = decoder_step(d, p + at, k, &used, out, max, &err);
		if (used > k || buf_len(out) - was > max ||
		    m.used > 2 * CODEC_MEMORY_MAX)
			abort();
		at += used;
		if (rc == 0 && buf_len(out) > OUT_MAX)
			rc = 1;
		if (rc == 0 && at == n && buf_len(out) - was < max)
			break;
		/* A step without progress would go on for ever. */
		if (rc == 0 && used == 0 && buf_len(out) == was)
			abort();
	}
	if (rc == 0)
		rc = decoder_end(d, &err);
	if ((rc < 0) != (err.msg[0] != '\0'))
		abort();
	decoder_free(d);
	if (m.used != 0)
		abort();
	return rc;
}

static void
same(const struct buf *a, const struct buf *b)
{
	if (buf_len(a) != buf_len(b) ||
	    (buf_len(a) > 0 &&
		memcmp(buf_head(a), buf_head(b), buf_len(a)) != 0))
		abort();
}

static void
there_and_back(enum coding c, const struct buf *plain, size_t chunk)
{
	cleanup_buf struct buf coded = { 0 }, again = { 0 };
	struct codings cs = { { c }, 1 };
	struct codec_memory m = { 0 };
	struct encoder *e = encoder_new(c, &m);
	struct error err = { 0 };

	for (size_t at = 0; at < buf_len(plain); at += chunk)
		if (encoder_step(e, buf_head(plain) + at,
			buf_len(plain) - at < chunk ? buf_len(plain) - at
						    : chunk,
			&coded, &err) < 0)
			abort();
	if (encoder_end(e, &coded, &err) < 0)
		abort();
	encoder_free(e);
	if (m.used != 0)
		abort();
	if (decode(&cs, buf_head(&coded), buf_len(&coded), 4096, 4096, &again) <
	    0)
		abort();
	if (buf_len(plain) <= OUT_MAX)
		same(plain, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf whole = { 0 }, cut = { 0 };
	const struct codings *cs;
	size_t chunk;
	int a, b;

	if (size < 2)
		return 0;
	cs = &sets[data[0] % (sizeof(sets) / sizeof(*sets))];
	chunk = 1 + data[1] % 64;
	data += 2;
	size -= 2;
	a = decode(cs, data, size, size + 1, 65536, &whole);
	b = decode(cs, data, size, chunk, chunk * 7, &cut);
	/* At the bound one may have seen a later fault. */
	if (a == 1 || b == 1)
		return 0;
	if (a != b)
		abort();
	if (a == 0)
		same(&whole, &cut);
	there_and_back(cs->c[0], &cut, chunk * 50);
	return 0;
}
