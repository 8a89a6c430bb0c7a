#include "proxy/seek_int.h"

#include <string.h>

#include "base/str.h"

static void
put_hex(uint8_t *dst, uint8_t c, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	dst[0] = (uint8_t)digits[c >> 4];
	dst[1] = (uint8_t)digits[c & 15];
}

/* c where one character of base64 was, n bytes; repeated where \/ cannot say
 * it, as the length matters more. */
static void
put_b64_unit(uint8_t *dst, size_t n, uint8_t c)
{
	if (n > 2)
		put_hex(dst + n - 2, c, dst[0] == '%');
	else if (n == 1 || c != '/')
		memset(dst, c, n);
}

/* Bits that the key shares with its neighbours stay theirs. */
static void
put_b64(uint8_t *dst, const uint8_t *src, const struct seek_hit *hit,
    const uint8_t *with, size_t n)
{
	static const char std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	bool url = memchr(src, '-', hit->len) || memchr(src, '_', hit->len);
	size_t index = hit->shift * 8u / 6, u;

	for (size_t at = 0; at < hit->len; at += u, index++) {
		unsigned int known, v;
		int old;

		if (at > 0)
			at += seek_b64_gap(src + at, hit->len - at);
		/* As it was matched. */
		if (seek_b64_unit(src + at, hit->len - at, &old, &u) != FOUND)
			return;
		v = seek_b64_bits(with, n, hit->shift, index, &known);
		v |= (unsigned int)old & ~known;
		if (url && v >= 62)
			put_b64_unit(dst + at, u, v == 62 ? '-' : '_');
		else
			put_b64_unit(dst + at, u, (uint8_t)std[v & 63]);
	}
}

/* Offset of the last two hex digits in an escape, 0 if it has none. */
static size_t
hex_digits(enum seek_form form, const uint8_t *p, size_t n)
{
	bool entity = p[n - 1] == ';';

	if (form == SEEK_HTML)
		return entity && n >= 6 && (p[2] | 0x20) == 'x' ? n - 3 : 0;
	if (form == SEEK_JSON || form == SEEK_JSON2)
		return n >= 4 ? (memchr(p, 'u', n) != NULL ||
					    memchr(p, 'x', n) != NULL
					? n - 2
					: 0)
			      : 0;
	return n - 2;
}

/* &#103; with as many digits as there were. */
static bool
put_decimal(uint8_t *dst, size_t n, uint8_t c)
{
	size_t digits = n - 3;

	if (dst[1] != '#' || dst[n - 1] != ';' ||
	    c >= (digits == 1      ? 10
		     : digits == 2 ? 100
				   : 256))
		return false;
	for (size_t i = digits; i > 0; i--, c /= 10)
		dst[1 + i] = (uint8_t)('0' + c % 10);
	return true;
}

/*
 * c in the place of the escape that holds old, n bytes.  Where it cannot be
 * escaped in that many, it is repeated: the length matters more.
 */
static void
put_escape(enum seek_form form, uint8_t *dst, size_t n, uint8_t c, uint8_t old)
{
	size_t hex = hex_digits(form, dst, n);

	if (c == old)
		return;
	if (hex != 0) {
		put_hex(dst + hex, c, form != SEEK_JSON && form != SEEK_JSON2);
		return;
	}
	if (form == SEEK_HTML && put_decimal(dst, n, c))
		return;
	if (c == '"' || c == '\\') {
		memset(dst, '\\', n);
		if (n % 2 == 0)
			dst[n - 1] = c;
		return;
	}
	memset(dst, c, n);
}

static void
put_escaped(const struct seek_key *k, uint8_t *dst, const uint8_t *src,
    const struct seek_hit *hit, const uint8_t *with)
{
	size_t at = 0;

	memcpy(dst, src, hit->len);
	for (size_t i = 0; i < k->n; i++) {
		size_t left = hit->len - at, skip, u;

		/* As it was matched. */
		if (seek_unit(hit->form, k->p[i], src + at, left, &u) != FOUND)
			return;
		skip = hit->form == SEEK_QUOTED
			   ? seek_soft_break(src + at, left)
			   : 0;
		if (u - skip == 1)
			dst[at + skip] = with[i];
		else
			put_escape(hit->form, dst + at + skip, u - skip,
			    with[i], k->p[i]);
		at += u;
	}
}

void
seek_rewrite(const struct seek *s, uint8_t *dst, const uint8_t *src,
    const struct seek_hit *hit, const uint8_t *with)
{
	const struct seek_key *k = &s->key[hit->key];

	switch (hit->form) {
	case SEEK_RAW:
		memcpy(dst, with, k->n);
		return;
	case SEEK_PERCENT:
	case SEEK_PERCENT2:
	case SEEK_JSON:
	case SEEK_JSON2:
	case SEEK_HTML:
	case SEEK_QUOTED:
		put_escaped(k, dst, src, hit, with);
		return;
	case SEEK_B64:
		memcpy(dst, src, hit->len);
		put_b64(dst, src, hit, with, k->n);
		return;
	case SEEK_HEX: {
		bool upper = false;

		for (size_t i = 0; i < hit->len; i++)
			upper |= src[i] >= 'A' && src[i] <= 'F';
		for (size_t i = 0; i < k->n; i++)
			put_hex(dst + 2 * i, with[i], upper);
		return;
	}
	case SEEK_UTF16LE:
	case SEEK_UTF16BE:
		memset(dst, 0, hit->len);
		for (size_t i = 0; i < k->n; i++)
			dst[2 * i + (hit->form == SEEK_UTF16BE)] = with[i];
		return;
	}
}
