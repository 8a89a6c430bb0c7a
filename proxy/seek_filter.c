#include "proxy/seek_int.h"

#include <string.h>

#include "base/str.h"
#include "proxy/scan.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static void
allow(struct filter *f, size_t i, enum bucket b, uint8_t c)
{
	uint8_t bit = (uint8_t)(1u << b);

	f->at[i][c] |= bit;
	f->low[i][c & 15] |= bit;
	f->high[i][c >> 4] |= bit;
}

static void
allow_any(struct filter *f, size_t i, enum bucket b)
{
	for (unsigned int c = 0; c < 256; c++)
		allow(f, i, b, (uint8_t)c);
}

/* Hex digits come in both cases. */
static void
allow_cases(struct filter *f, size_t i, enum bucket b, uint8_t c)
{
	allow(f, i, b, c);
	if ((c >= 'a' && c <= 'f') || c == 'x')
		allow(f, i, b, (uint8_t)(c & ~0x20u));
}

static void
allow_all(struct filter *f, size_t i, enum bucket b, const char *set)
{
	for (; *set != '\0'; set++)
		allow_cases(f, i, b, (uint8_t)*set);
}

static const enum seek_form escaped[] = { SEEK_PERCENT, SEEK_PERCENT2,
	SEEK_JSON, SEEK_JSON2, SEEK_HTML, SEEK_QUOTED };
static const char intro[] = "%\\&=";

/* The key's first byte as it is; the second may be an escape. */
static void
add_text(struct filter *f, const struct seek_key *k)
{
	char e[ESCAPES_MAX][ESCAPE_MAX];

	for (size_t i = 0; i < FILTER_BYTES; i++)
		if (i < k->n)
			allow(f, i, BUCKET_TEXT, k->p[i]);
		else
			allow_any(f, i, BUCKET_TEXT);
	if (!k->encoded)
		return;
	allow_all(f, 1, BUCKET_TEXT, intro);
	allow_all(f, 2, BUCKET_TEXT, intro);
	for (size_t i = 0; i < nitems(escaped); i++) {
		size_t n = seek_escapes(escaped[i], k->p[1], e);

		for (size_t j = 0; j < n; j++)
			allow_cases(f, 2, BUCKET_TEXT, (uint8_t)e[j][1]);
	}
	allow_all(f, 2, BUCKET_TEXT, "\r\n");
	allow_any(f, 3, BUCKET_TEXT);
}

static void
add_escape(struct filter *f, const struct seek_key *k)
{
	char e[ESCAPES_MAX][ESCAPE_MAX];

	for (size_t i = 0; i < nitems(escaped); i++) {
		size_t n = seek_escapes(escaped[i], k->p[0], e);
		enum bucket b = e[0][0] == '%' || e[0][0] == '='
				    ? BUCKET_PERCENT
				    : BUCKET_SLASH;

		for (size_t j = 0; j < n; j++)
			for (size_t at = 0; at < FILTER_BYTES; at++)
				if (at < strlen(e[j]))
					allow_cases(
					    f, at, b, (uint8_t)e[j][at]);
				else
					allow_any(f, at, b);
	}
}

static void
allow_b64(struct filter *f, size_t i, enum bucket b, const struct seek_key *k,
    unsigned int shift, size_t index)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789";
	unsigned int known,
	    bits = seek_b64_bits(k->p, k->n, shift, index, &known);

	/* All that differ in unknown bits alone. */
	for (unsigned int v = bits;; v = ((v | known) + 1) & ~known & 63) {
		unsigned int c = bits | (v & ~known);

		if (c < 62)
			allow(f, i, b, (uint8_t)digits[c]);
		else
			allow_all(f, i, b, c == 62 ? "+-" : "/_");
		if ((v | known) == 63)
			break;
	}
}

static void
add_b64(struct filter *f, const struct seek_key *k, unsigned int shift)
{
	enum bucket b = (enum bucket)(BUCKET_B64_0 + shift);
	size_t first = shift * 8 / 6;

	/* A line break may stand before any but the first. */
	for (size_t i = 0; i < FILTER_BYTES; i++)
		for (size_t j = i == 0 ? 0 : 1; j <= i; j++)
			allow_b64(f, i, b, k, shift, first + j);
	for (size_t i = 1; i < FILTER_BYTES; i++)
		allow_all(f, i, b, i == 1 ? "\r\n\\" : "\r\n\\rn");
}

static void
add_hex(struct filter *f, const struct seek_key *k)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < FILTER_BYTES; i++) {
		uint8_t c = k->p[i / 2];

		c = i % 2 == 0 ? c >> 4 : c & 15;
		allow_cases(f, i, BUCKET_HEX, (uint8_t)digits[c]);
	}
}

static void
add_utf16(struct filter *f, const struct seek_key *k)
{
	for (size_t i = 0; i < FILTER_BYTES; i++) {
		bool even = i % 2 == 0;

		allow(f, i, BUCKET_HEX, even ? k->p[i / 2] : 0);
		allow(f, i, BUCKET_UTF16BE, even ? 0 : k->p[i / 2]);
	}
}

void
filter_add(struct filter *f, const struct seek_key *k)
{
	add_text(f, k);
	if (!k->encoded)
		return;
	add_escape(f, k);
	for (unsigned int shift = 0; shift < 3; shift++)
		add_b64(f, k, shift);
	add_hex(f, k);
	add_utf16(f, k);
}

uint8_t
filter_look(const struct filter *f, const uint8_t *p, size_t n)
{
	uint8_t mask = 0xff;

	for (size_t i = 0; i < n && i < FILTER_BYTES; i++)
		mask &= f->at[i][p[i]];
	return mask;
}

#ifdef __x86_64__
#define LANES 32u

/*
 * 32 places at a time: what the low half of a byte allows and what the high
 * half does is looked up for all of them in two instructions.
 */
__attribute__((target("avx2"))) static size_t
skip_avx2(const struct filter *f, const uint8_t *p, size_t n, size_t from)
{
	const __m256i half = _mm256_set1_epi8(15);
	__m256i low[FILTER_BYTES], high[FILTER_BYTES];

	for (size_t i = 0; i < FILTER_BYTES; i++) {
		low[i] = _mm256_broadcastsi128_si256(
		    _mm_loadu_si128((const __m128i_u *)f->low[i]));
		high[i] = _mm256_broadcastsi128_si256(
		    _mm_loadu_si128((const __m128i_u *)f->high[i]));
	}
	for (; n - from >= LANES + FILTER_BYTES - 1; from += LANES) {
		__m256i may = _mm256_set1_epi8(-1);
		uint32_t no;

		for (size_t i = 0; i < FILTER_BYTES; i++) {
			__m256i v = _mm256_loadu_si256(
			    (const __m256i_u *)(p + from + i));
			__m256i l = _mm256_and_si256(v, half);
			__m256i h =
			    _mm256_and_si256(_mm256_srli_epi16(v, 4), half);

			l = _mm256_shuffle_epi8(low[i], l);
			h = _mm256_shuffle_epi8(high[i], h);
			may = _mm256_and_si256(may, _mm256_and_si256(l, h));
		}
		no = (uint32_t)_mm256_movemask_epi8(
		    _mm256_cmpeq_epi8(may, _mm256_setzero_si256()));
		for (uint32_t yes = ~no; yes != 0; yes &= yes - 1) {
			size_t at = from + (size_t)__builtin_ctz(yes);

			if (filter_look(f, p + at, FILTER_BYTES) != 0)
				return at;
		}
	}
	return from;
}
#endif

size_t
filter_skip(const struct filter *f, const uint8_t *p, size_t n, size_t from)
{
#ifdef __x86_64__
	if (n > from && n - from >= LANES + FILTER_BYTES - 1 &&
	    __builtin_cpu_supports("avx2")) {
		from = skip_avx2(f, p, n, from);
	}
#endif
	for (; from + FILTER_BYTES <= n; from++)
		if ((f->at[0][p[from]] & f->at[1][p[from + 1]] &
			f->at[2][p[from + 2]] & f->at[3][p[from + 3]]) != 0)
			return from;
	return from;
}
