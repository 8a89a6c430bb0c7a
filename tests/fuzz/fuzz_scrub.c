/*
 * The scrubber on any bytes: the first byte says how to cut the input, the
 * next 8 are the real value, the rest is the stream.  Any chunking must give
 * the same bytes, as many as came in, and the value must be gone.
 */
#include <stdlib.h>
#include <string.h>

#include "proxy/scrub.h"

#define KEY 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
scrub(const uint8_t *key, const uint8_t *p, size_t n, size_t chunk,
    struct buf *out)
{
	struct scrub *s = scrub_new();

	scrub_add(s, key, "\1\2\3\4\5\6\7\10", KEY);
	for (size_t at = 0; at < n; at += chunk)
		scrub_feed(s, p + at, n - at < chunk ? n - at : chunk, out);
	scrub_end(s, out);
	scrub_free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_buf struct buf whole = { 0 }, cut = { 0 };
	const uint8_t *key = data + 1, *p;
	size_t n;

	if (size < 1 + KEY)
		return 0;
	for (size_t i = 0; i < KEY; i++)
		if (key[i] < 9) /* the stub must not contain the value */
			return 0;
	p = data + 1 + KEY;
	n = size - 1 - KEY;
	scrub(key, p, n, n + 1, &whole);
	scrub(key, p, n, 1 + data[0] % 16, &cut);
	if (buf_len(&whole) != n || buf_len(&cut) != n)
		abort();
	if (n > 0 && memcmp(buf_head(&whole), buf_head(&cut), n) != 0)
		abort();
	if (n > 0 && memmem(buf_head(&whole), n, key, KEY) != NULL)
		abort();
	return 0;
}
