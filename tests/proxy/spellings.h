/* Ways to write a value down, and random numbers, for tests of the search. */
#ifndef BRIG_TESTS_SPELLINGS_H
#define BRIG_TESTS_SPELLINGS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

/* Fixed seed: a failure can be repeated. */
static uint32_t seed = 12345;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static char *
b64(const char *pre, const char *mid, const char *post, bool url)
{
	static const char *const sets[] = {
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234567"
		"89+/",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01234567"
		"89-_"
	};
	cleanup_free char *t = xasprintf("%s%s%s", pre, mid, post);
	size_t n = strlen(t), at = 0;
	char *out = xcalloc(1, n * 2 + 8);

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)t[i] << 16;
		v |= i + 1 < n ? (uint32_t)(uint8_t)t[i + 1] << 8 : 0;
		v |= i + 2 < n ? (uint8_t)t[i + 2] : 0;
		out[at++] = sets[url][v >> 18];
		out[at++] = sets[url][(v >> 12) & 63];
		if (i + 1 < n)
			out[at++] = sets[url][(v >> 6) & 63];
		if (i + 2 < n)
			out[at++] = sets[url][v & 63];
	}
	return out;
}

/* ---- every way to write a value down ------------------------------------ */

struct way {
	const char *name;
	/* One byte; i is its number. */
	void (*put)(struct buf *b, uint8_t c, size_t i);
};

static void
put_raw(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_put_u8(b, c);
}

static void
put_percent(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_printf(b, "%%%02X", c);
}

static void
put_percent_twice(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_printf(b, "%%25%02X", c);
}

static void
put_percent_some(struct buf *b, uint8_t c, size_t i)
{
	buf_printf(b, i % 3 == 1 ? "%%%02X" : "%c", c);
}

static void
put_hex(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_printf(b, "%02x", c);
}

static void
put_json(struct buf *b, uint8_t c, size_t i)
{
	buf_printf(b, i % 2 == 0 ? "\\u00%02x" : "%c", c);
}

static void
put_json_x(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_printf(b, "\\x%02x", c);
}

static void
put_json_twice(struct buf *b, uint8_t c, size_t i)
{
	buf_printf(b, i % 4 == 3 ? "\\\\u00%02x" : "%c", c);
}

static void
put_html(struct buf *b, uint8_t c, size_t i)
{
	if (i % 3 == 0)
		buf_printf(b, "&#%03u;", c);
	else if (i % 3 == 1)
		buf_printf(b, "&#x%02X;", c);
	else
		buf_put_u8(b, c);
}

static void
put_quoted(struct buf *b, uint8_t c, size_t i)
{
	buf_printf(b, i % 7 == 5 ? "=\r\n%c" : i % 7 == 6 ? "=%02X" : "%c", c);
}

static void
put_utf16le(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_put_u8(b, c);
	buf_put_u8(b, 0);
}

static void
put_utf16be(struct buf *b, uint8_t c, size_t i)
{
	(void)i;
	buf_put_u8(b, 0);
	buf_put_u8(b, c);
}

static const struct way ways[] = {
	{ "raw", put_raw },
	{ "percent", put_percent },
	{ "percent twice", put_percent_twice },
	{ "percent here and there", put_percent_some },
	{ "hex", put_hex },
	{ "\\u in JSON", put_json },
	{ "\\x in JSON", put_json_x },
	{ "JSON in JSON", put_json_twice },
	{ "HTML", put_html },
	{ "quoted-printable", put_quoted },
	{ "UTF-16LE", put_utf16le },
	{ "UTF-16BE", put_utf16be },
};

static void
write_down(struct buf *b, const struct way *w, const char *value)
{
	for (size_t i = 0; value[i] != '\0'; i++)
		w->put(b, (uint8_t)value[i], i);
}

#endif
