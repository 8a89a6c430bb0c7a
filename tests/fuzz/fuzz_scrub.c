/*
 * The scrubber on any bytes: the first byte says how to cut the input, the
 * next 8 and 12 are two real values, the rest is the stream.  Any chunking
 * must give the same bytes, as many as came in, and values of bytes that no
 * encoding writes must be gone.  Pauses let go of their starts only.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/scrub.h"

#define KEY 8u
#define KEY2 12u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
scrub(const uint8_t *key, const uint8_t *p, size_t n, size_t chunk,
    struct buf *out)
{
	struct scrub *s = scrub_new();

	scrub_add(s, key, "\1\2\3\4\5\6\7\10", KEY);
	scrub_add(s, key + KEY, "\1\2\3\4\5\6\7\10\1\2\3\4", KEY2);
	for (size_t at = 0; at < n; at += chunk)
		scrub_feed(s, p + at, n - at < chunk ? n - at : chunk, out);
	scrub_end(s, out);
	if (scrub_held(s) != 0)
		abort();
	scrub_free(s);
}

/* A replacement may not write this value. */
static void
gone(const uint8_t *key, size_t k, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < k; i++)
		if (key[i] < 0x80)
			return;
	if (n > 0 && memmem(p, n, key, k) != NULL)
		abort();
}

static void
pause_often(const uint8_t *key, const uint8_t *p, size_t n, size_t chunk)
{
	struct scrub *s = scrub_new();
	cleanup_buf struct buf out = { 0 };

	scrub_add(s, key, "\1\2\3\4\5\6\7\10", KEY);
	for (size_t at = 0; at < n; at += chunk) {
		scrub_feed(s, p + at, n - at < chunk ? n - at : chunk, &out);
		scrub_quiet(s, &out);
	}
	scrub_end(s, &out);
	scrub_free(s);
	if (buf_len(&out) != n)
		abort();
	gone(key, KEY, buf_head(&out), n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf whole = { 0 }, cut = { 0 };
	const uint8_t *key = data + 1, *p;
	size_t n;

	if (size < 1 + KEY + KEY2)
		return 0;
	p = key + KEY + KEY2;
	n = size - 1 - KEY - KEY2;
	scrub(key, p, n, n + 1, &whole);
	scrub(key, p, n, 1 + data[0] % 48, &cut);
	if (buf_len(&whole) != n || buf_len(&cut) != n)
		abort();
	if (n > 0 && memcmp(buf_head(&whole), buf_head(&cut), n) != 0)
		abort();
	gone(key, KEY, buf_head(&whole), n);
	gone(key + KEY, KEY2, buf_head(&whole), n);
	pause_often(key, p, n, 1 + data[0] % 48);
	return 0;
}
