#include "inferd/unicode.h"
#include "inferd/unicode_int.h"

enum unicode_class
unicode_class(uint32_t cp)
{
	size_t lo, hi, mid;
	uint32_t cls;

	if (cp > UNICODE_MAX)
		return UNICODE_OTHER;
	lo = unicode_index[cp >> UNICODE_BLOCK_SHIFT];
	hi = unicode_index[(cp >> UNICODE_BLOCK_SHIFT) + 1];
	while (lo < hi) {
		mid = (lo + hi + 1) / 2;
		if (unicode_ranges[mid] >> 4 <= cp)
			lo = mid;
		else
			hi = mid - 1;
	}
	cls = unicode_ranges[lo] & 15u;
	if (cls == UNICODE_EVEN_UPPER)
		return cp % 2 == 0 ? UNICODE_LU : UNICODE_LL;
	if (cls == UNICODE_ODD_UPPER)
		return cp % 2 == 1 ? UNICODE_LU : UNICODE_LL;
	return (enum unicode_class)cls;
}

bool
unicode_is_space(uint32_t cp)
{
	if (cp < 0x80)
		return cp == ' ' || (cp >= 9 && cp <= 13);
	return cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
	       (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
	       cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool
unicode_is_han(uint32_t cp)
{
	size_t lo = 0, hi = unicode_nhan, mid;

	if (cp < unicode_han[0][0])
		return false;
	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (cp > unicode_han[mid][1])
			lo = mid + 1;
		else if (cp < unicode_han[mid][0])
			hi = mid;
		else
			return true;
	}
	return false;
}

/*
 * Bytes that the sequence begun by b takes, 0 if none; and the range that its
 * second byte must be in, which keeps overlong forms, surrogates and what lies
 * above U+10FFFF out.
 */
static size_t
sequence(uint8_t b, uint8_t *lo, uint8_t *hi)
{
	*lo = 0x80;
	*hi = 0xbf;
	if (b < 0x80)
		return 1;
	if (b < 0xc2 || b > 0xf4)
		return 0;
	if (b < 0xe0)
		return 2;
	if (b == 0xe0)
		*lo = 0xa0;
	else if (b == 0xed)
		*hi = 0x9f;
	else if (b == 0xf0)
		*lo = 0x90;
	else if (b == 0xf4)
		*hi = 0x8f;
	return b < 0xf0 ? 3 : 4;
}

uint32_t
unicode_decode(const void *vp, size_t n, size_t *len)
{
	const uint8_t *p = vp;
	uint8_t lo, hi;
	size_t want = sequence(p[0], &lo, &hi), i;
	uint32_t cp;

	*len = 1;
	if (want == 1)
		return p[0];
	if (want == 0 || want > n || p[1] < lo || p[1] > hi)
		return UNICODE_BAD;
	cp = p[0] & (0x7fu >> want);
	for (i = 1; i < want; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return UNICODE_BAD;
		cp = cp << 6 | (p[i] & 0x3fu);
	}
	*len = want;
	return cp;
}

size_t
unicode_encode(uint32_t cp, char out[4])
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xc0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xe0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (char)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | (cp >> 18 & 7));
	out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (char)(0x80 | (cp & 0x3f));
	return 4;
}

size_t
unicode_tail(const void *vp, size_t n)
{
	const uint8_t *p = vp;
	uint8_t lo, hi;
	size_t k, want;

	for (k = 1; k <= 3 && k <= n; k++) {
		if ((p[n - k] & 0xc0) == 0x80)
			continue;
		want = sequence(p[n - k], &lo, &hi);
		if (want <= k)
			return 0;
		if (k > 1 && (p[n - k + 1] < lo || p[n - k + 1] > hi))
			return 0;
		return k;
	}
	return 0;
}

void
unicode_clean(const char *p, size_t n, struct buf *out)
{
	size_t i, len;
	uint32_t cp;
	char utf8[4];

	for (i = 0; i < n; i += len) {
		cp = unicode_decode(p + i, n - i, &len);
		buf_put(out, utf8, unicode_encode(cp, utf8));
	}
}
