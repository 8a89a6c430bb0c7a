#include "proxy/json_string.h"

#include <stdint.h>
#include <string.h>

static unsigned int
hex4(const char *s)
{
	unsigned int v = 0;

	for (int i = 0; i < 4; i++) {
		char c = s[i];

		v <<= 4;
		if (c >= '0' && c <= '9')
			v |= (unsigned int)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v |= (unsigned int)(c - 'a' + 10);
		else if (c >= 'A' && c <= 'F')
			v |= (unsigned int)(c - 'A' + 10);
	}
	return v;
}

static size_t
put_utf8(char *out, unsigned int c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 63));
		out[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 63));
	out[2] = (char)(0x80 | (c >> 6 & 63));
	out[3] = (char)(0x80 | (c & 63));
	return 4;
}

/* \uXXXX, and the second half of a pair; returns the bytes used of s. */
static size_t
unicode(const char *s, size_t n, char *out, size_t *len)
{
	unsigned int c = hex4(s + 2), low;

	if (c >= 0xd800 && c < 0xdc00 && n >= 12 && s[6] == '\\' &&
	    s[7] == 'u') {
		low = hex4(s + 8);
		if (low >= 0xdc00 && low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			*len = put_utf8(out, c);
			return 12;
		}
	}
	*len = put_utf8(out, c);
	return 6;
}

size_t
json_string_decode(const char *s, size_t n, char *out)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	size_t at = 0, len, i = 0;

	while (i < n) {
		const char *p;

		if (s[i] != '\\' || n - i < 2) {
			out[at++] = s[i++];
			continue;
		}
		if (s[i + 1] == 'u' && n - i >= 6) {
			i += unicode(s + i, n - i, out + at, &len);
			at += len;
			continue;
		}
		p = s[i + 1] == '\0' ? NULL : strchr(from, s[i + 1]);
		out[at++] = p == NULL ? s[i + 1] : to[p - from];
		i += 2;
	}
	return at;
}

void
json_string_encode(struct buf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c == '"' || c == '\\')
			buf_put_u8(b, '\\');
		if (c < 0x20)
			buf_printf(b, "\\u%04x", c);
		else
			buf_put_u8(b, c);
	}
}
