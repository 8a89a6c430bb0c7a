#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

#define FIRST_CAP 256u /* what most buffers hold, so that they grow once */

void
buf_init(struct buf *b, size_t limit)
{
	memset(b, 0, sizeof(*b));
	b->limit = limit;
}

void
buf_init_wipe(struct buf *b, size_t limit)
{
	buf_init(b, limit);
	b->wipe = true;
}

static void
give_up(struct buf *b)
{
	if (b->wipe && b->data != NULL)
		explicit_bzero(b->data, b->cap);
	free(b->data);
}

void
buf_free(struct buf *b)
{
	size_t limit = b->limit;
	bool wipe = b->wipe;

	give_up(b);
	buf_init(b, limit);
	b->wipe = wipe;
}

void
buf_clear(struct buf *b)
{
	b->off = b->len = 0;
	b->failed = false;
}

bool
buf_failed(const struct buf *b)
{
	return b->failed;
}

/* realloc(3) would leave a copy of the bytes behind. */
static uint8_t *
move_wiping(struct buf *b, size_t cap)
{
	uint8_t *bigger = xmalloc(cap);

	if (b->len > 0)
		memcpy(bigger, b->data, b->len);
	give_up(b);
	return bigger;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
	size_t want, live = buf_len(b);

	if (b->failed)
		return NULL;
	if (__builtin_add_overflow(live, n, &want) ||
	    (b->limit > 0 && want > b->limit)) {
		b->failed = true;
		return NULL;
	}
	if (b->data != NULL && n <= b->cap - b->len)
		return b->data + b->len;
	/* Reuse the consumed front when that makes room. */
	if (b->off > 0) {
		memmove(b->data, b->data + b->off, live);
		b->off = 0;
		b->len = live;
	}
	if (b->data == NULL || want > b->cap) {
		size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;

		while (cap < want)
			if (__builtin_mul_overflow(cap, 2u, &cap))
				fatalx("buffer of %zu bytes", want);
		if (b->limit > 0 && cap > b->limit)
			cap = b->limit;
		b->data = b->wipe ? move_wiping(b, cap)
				  : xreallocarray(b->data, cap, 1);
		b->cap = cap;
	}
	return b->data + b->len;
}

void
buf_commit(struct buf *b, size_t n)
{
	if (n > b->cap - b->len)
		fatalx("buf_commit: %zu over %zu", n, b->cap - b->len);
	b->len += n;
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > buf_len(b))
		fatalx("buf_consume: %zu over %zu", n, buf_len(b));
	b->off += n;
	if (b->off == b->len)
		b->off = b->len = 0;
}

void
buf_cut(struct buf *b, size_t n)
{
	if (n > buf_len(b))
		fatalx("buf_cut: %zu over %zu", n, buf_len(b));
	b->len = b->off + n;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *q;

	if (n == 0 || (q = buf_reserve(b, n)) == NULL)
		return;
	memcpy(q, p, n);
	b->len += n;
}

static void
put_le(struct buf *b, uint64_t v, size_t n)
{
	uint8_t le[8];

	for (size_t i = 0; i < n; i++)
		le[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, le, n);
}

void
buf_put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void
buf_put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void
buf_put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void
buf_put_be32(struct buf *b, uint32_t v)
{
	put_le(b, __builtin_bswap32(v), 4);
}

void
buf_put_blob(struct buf *b, const void *p, size_t n)
{
	if (n > UINT32_MAX) {
		b->failed = true;
		return;
	}
	buf_put_u32(b, (uint32_t)n);
	buf_put(b, p, n);
}

void
buf_put_str(struct buf *b, const char *s)
{
	buf_put_blob(b, s, s == NULL ? 0 : strlen(s));
}

void
buf_put_text(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_put_dec(struct buf *b, uint64_t v, size_t width)
{
	char text[20]; /* UINT64_MAX */
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0 || sizeof(text) - at < width);
	buf_put(b, text + at, sizeof(text) - at);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	size_t room = b->data == NULL ? 0 : b->cap - b->len;
	uint8_t *q = room == 0 ? NULL : b->data + b->len;
	va_list ap;
	int n;

	if (b->failed)
		return;
	/* Nearly always there is room; else the result says how much it takes,
	 * with one more for the NUL that vsnprintf insists on. */
	va_start(ap, fmt);
	n = vsnprintf((char *)q, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		fatalx("buf_printf: bad format");
	if ((size_t)n >= room) {
		if ((q = buf_reserve(b, (size_t)n + 1)) == NULL)
			return;
		va_start(ap, fmt);
		vsnprintf((char *)q, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->len += (size_t)n;
}

void
buf_patch_u32(struct buf *b, size_t off, uint32_t v)
{
	if (b->failed)
		return;
	if (off + 4 > b->len || off + 4 < off)
		fatalx("buf_patch_u32: %zu outside %zu", off, b->len);
	for (size_t i = 0; i < 4; i++)
		b->data[off + i] = (uint8_t)(v >> (8 * i));
}

void
cur_init(struct cur *c, const void *p, size_t n)
{
	c->p = p;
	c->left = n;
	c->failed = false;
}

const uint8_t *
cur_bytes(struct cur *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->failed || n > c->left) {
		c->failed = true;
		return NULL;
	}
	c->left -= n;
	if (n > 0)
		c->p += n;
	return p;
}

static uint64_t
get_le(struct cur *c, size_t n)
{
	const uint8_t *p = cur_bytes(c, n);
	uint64_t v = 0;

	if (p == NULL)
		return 0;
	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t
cur_u8(struct cur *c)
{
	return (uint8_t)get_le(c, 1);
}

uint16_t
cur_u16(struct cur *c)
{
	return (uint16_t)get_le(c, 2);
}

uint32_t
cur_u32(struct cur *c)
{
	return (uint32_t)get_le(c, 4);
}

uint64_t
cur_u64(struct cur *c)
{
	return get_le(c, 8);
}

uint32_t
cur_be32(struct cur *c)
{
	return __builtin_bswap32(cur_u32(c));
}

bool
cur_bool(struct cur *c)
{
	uint8_t v = cur_u8(c);

	if (v > 1)
		c->failed = true;
	return v == 1 && !c->failed;
}

const uint8_t *
cur_blob(struct cur *c, size_t max, size_t *n)
{
	uint32_t len = cur_u32(c);
	const uint8_t *p;

	*n = 0;
	if (len > max)
		c->failed = true;
	if ((p = cur_bytes(c, len)) == NULL)
		return NULL;
	*n = len;
	/* An empty blob at the very end of a NULL source still is a blob. */
	return p != NULL ? p : (const uint8_t *)"";
}

char *
cur_str(struct cur *c, size_t max)
{
	size_t n;
	const uint8_t *p = cur_blob(c, max, &n);

	if (p == NULL)
		return NULL;
	if (memchr(p, 0, n) != NULL) {
		c->failed = true;
		return NULL;
	}
	return xstrndup((const char *)p, n);
}

void
cur_str_into(struct cur *c, char *dst, size_t size)
{
	size_t n;
	const uint8_t *p = cur_blob(c, size - 1, &n);

	dst[0] = '\0';
	if (p == NULL)
		return;
	if (memchr(p, 0, n) != NULL) {
		c->failed = true;
		return;
	}
	memcpy(dst, p, n);
	dst[n] = '\0';
}

uint32_t
cur_count(struct cur *c, uint32_t max, size_t min_each)
{
	uint32_t n = cur_u32(c);
	size_t need;

	if (n > max || __builtin_mul_overflow(n, min_each, &need) ||
	    need > c->left)
		c->failed = true;
	return c->failed ? 0 : n;
}

int
cur_end(const struct cur *c)
{
	return c->failed || c->left > 0 ? -1 : 0;
}
