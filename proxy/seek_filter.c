#include "proxy/seek_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* A key being added. */
struct adding {
	struct filter *f;
	const struct seek_key *k;
	size_t word;
	unsigned int shift;
	/* Only for at: what makes a difference from the second to the fourth
	 * byte begins with one of the class below. */
	bool classed;
};

static void
allow(struct adding *a, size_t i, enum bucket b, uint8_t c)
{
	struct filter *f = a->f;
	uint8_t bit = (uint8_t)(1u << b);

	f->at[(i * 256 + c) * f->words + a->word] |= (uint64_t)bit << a->shift;
	if (a->classed)
		return;
	f->low[i][c & 15] |= bit;
	f->high[i][c >> 4] |= bit;
}

static void
allow_any(struct adding *a, size_t i, enum bucket b)
{
	struct filter *f = a->f;
	uint8_t bit = (uint8_t)(1u << b);
	uint64_t *at = &f->at[i * 256 * f->words + a->word];

	for (size_t c = 0; c < 256; c++)
		at[c * f->words] |= (uint64_t)bit << a->shift;
	for (size_t h = 0; h < 16 && !a->classed; h++) {
		f->low[i][h] |= bit;
		f->high[i][h] |= bit;
	}
}

/* Hex digits come in both cases. */
static void
allow_cases(struct adding *f, size_t i, enum bucket b, uint8_t c)
{
	allow(f, i, b, c);
	if ((c >= 'a' && c <= 'f') || c == 'x')
		allow(f, i, b, (uint8_t)(c & ~0x20u));
}

static void
allow_all(struct adding *f, size_t i, enum bucket b, const char *set)
{
	for (; *set != '\0'; set++)
		allow_cases(f, i, b, (uint8_t)*set);
}

static const enum seek_form escaped[] = { SEEK_PERCENT, SEEK_PERCENT2,
	SEEK_JSON, SEEK_JSON2, SEEK_HTML, SEEK_QUOTED };
static const char intro[] = "%\\&=";

/* The key's first byte as it is; the second may be an escape. */
static void
add_text(struct adding *f)
{
	char e[ESCAPES_MAX][ESCAPE_MAX];

	for (size_t i = 0; i < FILTER_BYTES; i++)
		if (i < f->k->n)
			allow(f, i, BUCKET_TEXT, f->k->p[i]);
		else
			allow_any(f, i, BUCKET_TEXT);
	if (!f->k->encoded)
		return;
	f->classed = true;
	allow_all(f, 1, BUCKET_TEXT, intro);
	allow_all(f, 2, BUCKET_TEXT, intro);
	for (size_t i = 0; i < nitems(escaped); i++) {
		size_t n = seek_escapes(escaped[i], f->k->p[1], e);

		for (size_t j = 0; j < n; j++)
			allow_cases(f, 2, BUCKET_TEXT, (uint8_t)e[j][1]);
	}
	allow_all(f, 2, BUCKET_TEXT, "\r\n");
	allow_any(f, 3, BUCKET_TEXT);
	f->classed = false;
}

static void
add_escape(struct adding *f)
{
	char e[ESCAPES_MAX][ESCAPE_MAX];

	for (size_t i = 0; i < nitems(escaped); i++) {
		size_t n = seek_escapes(escaped[i], f->k->p[0], e);
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
allow_b64(
    struct adding *f, size_t i, enum bucket b, unsigned int shift, size_t index)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789";
	unsigned int known,
	    bits = seek_b64_bits(f->k->p, f->k->n, shift, index, &known);

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
add_b64(struct adding *f, unsigned int shift)
{
	enum bucket b = (enum bucket)(BUCKET_B64_0 + shift);
	size_t first = shift * 8 / 6;

	for (size_t i = 0; i < FILTER_BYTES; i++)
		allow_b64(f, i, b, shift, first + i);
	/* A line break may stand before any but the first, which alone is
	 * never escaped. */
	f->classed = true;
	for (size_t i = 1; i < FILTER_BYTES; i++) {
		for (size_t j = 1; j < i; j++)
			allow_b64(f, i, b, shift, first + j);
		allow_all(f, i, b, i == 1 ? "\r\n\\%" : "\r\n\\%rn/u025bf");
	}
	f->classed = false;
}

static void
add_hex(struct adding *f)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < FILTER_BYTES; i++) {
		uint8_t c = f->k->p[i / 2];

		c = i % 2 == 0 ? c >> 4 : c & 15;
		allow_cases(f, i, BUCKET_HEX, (uint8_t)digits[c]);
	}
}

static void
add_utf16(struct adding *f)
{
	for (size_t i = 0; i < FILTER_BYTES; i++) {
		bool even = i % 2 == 0;

		allow(f, i, BUCKET_HEX, even ? f->k->p[i / 2] : 0);
		allow(f, i, BUCKET_UTF16BE, even ? 0 : f->k->p[i / 2]);
	}
}

/* Room for one more key. */
static void
grow(struct filter *f, uint32_t key)
{
	size_t words = key / KEYS_A_WORD + 1;
	size_t rows = FILTER_BYTES * (size_t)256;
	uint64_t *at;

	if (words == f->words)
		return;
	at = xcalloc(rows * words, sizeof(*at));
	for (size_t i = 0; i < rows; i++)
		for (size_t w = 0; w < f->words; w++)
			at[i * words + w] = f->at[i * f->words + w];
	filter_free(f);
	f->at = at;
	f->words = words;
}

void
filter_free(struct filter *f)
{
	if (f->at == NULL)
		return;
	explicit_bzero(
	    f->at, FILTER_BYTES * (size_t)256 * f->words * sizeof(*f->at));
	free(f->at);
}

void
filter_add(struct filter *f, uint32_t key, const struct seek_key *k)
{
	struct adding a = { .f = f,
		.k = k,
		.word = key / KEYS_A_WORD,
		.shift = key % KEYS_A_WORD * 8 };

	grow(f, key);
	add_text(&a);
	if (!k->encoded)
		return;
	add_escape(&a);
	for (unsigned int shift = 0; shift < 3; shift++)
		add_b64(&a, shift);
	add_hex(&a);
	add_utf16(&a);
}

uint64_t
filter_look(const struct filter *f, const uint8_t *p, size_t n, size_t w)
{
	uint64_t may = UINT64_MAX;

	for (size_t i = 0; i < n && i < FILTER_BYTES; i++)
		may &= f->at[(i * 256 + p[i]) * f->words + w];
	return may;
}

/* Is there something in any word? */
static inline bool
looks(const struct filter *f, const uint8_t *p)
{
	const uint64_t *row[FILTER_BYTES];

	for (size_t i = 0; i < FILTER_BYTES; i++)
		row[i] = &f->at[(i * 256 + p[i]) * f->words];
	for (size_t w = 0; w < f->words; w++)
		if ((row[0][w] & row[1][w] & row[2][w] & row[3][w]) != 0)
			return true;
	return false;
}

static size_t lanes_max = SIZE_MAX;

void
filter_lanes(size_t max)
{
	lanes_max = max;
}

#ifdef __x86_64__
#define LANES 32u
#define LANES_512 64u
#define CLASSED                                                                \
	(1u << BUCKET_TEXT | 1u << BUCKET_B64_0 | 1u << BUCKET_B64_1 |         \
	    1u << BUCKET_B64_2)

/* The class: intro, CR and LF.  Of those whose high half is 0, 2, 3 and 5. */
static const uint8_t class_low[16] = {
	[0x0a] = 1, [0x0d] = 1 | 4, [5] = 2, [6] = 2, [0x0c] = 8
};
static const uint8_t class_high[16] = { [0] = 1, [2] = 2, [3] = 4, [5] = 8 };

/* A table of 16 in both halves. */
__attribute__((target("avx2"))) static inline __m256i
table(const uint8_t *t)
{
	return _mm256_broadcastsi128_si256(
	    _mm_loadu_si128((const __m128i_u *)t));
}

/*
 * 32 places at a time: what the low half of a byte allows and what the high
 * half does is looked up for all of them in two instructions.
 */
__attribute__((target("avx2"))) static size_t
skip_avx2(const struct filter *f, const uint8_t *p, size_t n, size_t from)
{
	const __m256i half = _mm256_set1_epi8(15);
	const __m256i zero = _mm256_setzero_si256();
	const __m256i classed = _mm256_set1_epi8((char)CLASSED);
	const __m256i clow = table(class_low), chigh = table(class_high);
	__m256i low[FILTER_BYTES], high[FILTER_BYTES];

	for (size_t i = 0; i < FILTER_BYTES; i++) {
		low[i] = table(f->low[i]);
		high[i] = table(f->high[i]);
	}
	for (; n - from >= LANES + FILTER_BYTES - 1; from += LANES) {
		__m256i may = _mm256_set1_epi8(-1), also = zero;
		uint32_t no;

		for (size_t i = 0; i < FILTER_BYTES; i++) {
			__m256i v = _mm256_loadu_si256(
			    (const __m256i_u *)(p + from + i));
			__m256i l = _mm256_and_si256(v, half);
			__m256i h =
			    _mm256_and_si256(_mm256_srli_epi16(v, 4), half);
			__m256i c =
			    _mm256_and_si256(_mm256_shuffle_epi8(clow, l),
				_mm256_shuffle_epi8(chigh, h));

			/* The class may follow what was allowed so far. */
			if (i > 0)
				also = _mm256_or_si256(
				    also, _mm256_andnot_si256(
					      _mm256_cmpeq_epi8(c, zero), may));
			may = _mm256_and_si256(may,
			    _mm256_and_si256(_mm256_shuffle_epi8(low[i], l),
				_mm256_shuffle_epi8(high[i], h)));
		}
		may = _mm256_or_si256(may, _mm256_and_si256(also, classed));
		no = (uint32_t)_mm256_movemask_epi8(
		    _mm256_cmpeq_epi8(may, zero));
		for (uint32_t yes = ~no; yes != 0; yes &= yes - 1) {
			size_t at = from + (size_t)__builtin_ctz(yes);

			if (looks(f, p + at))
				return at;
		}
	}
	return from;
}

__attribute__((target("avx512bw"))) static inline __m512i
table_512(const uint8_t *t)
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i_u *)t));
}

/* The same, 64 at a time. */
__attribute__((target("avx512bw"))) static size_t
skip_avx512(const struct filter *f, const uint8_t *p, size_t n, size_t from)
{
	const __m512i half = _mm512_set1_epi8(15);
	const __m512i classed = _mm512_set1_epi8((char)CLASSED);
	const __m512i clow = table_512(class_low);
	const __m512i chigh = table_512(class_high);
	__m512i low[FILTER_BYTES], high[FILTER_BYTES];

	for (size_t i = 0; i < FILTER_BYTES; i++) {
		low[i] = table_512(f->low[i]);
		high[i] = table_512(f->high[i]);
	}
	for (; n - from >= LANES_512 + FILTER_BYTES - 1; from += LANES_512) {
		__m512i may = _mm512_set1_epi8(-1);
		uint64_t yes = 0;

		for (size_t i = 0; i < FILTER_BYTES; i++) {
			__m512i v = _mm512_loadu_si512(p + from + i);
			__m512i l = _mm512_and_si512(v, half);
			__m512i h =
			    _mm512_and_si512(_mm512_srli_epi16(v, 4), half);

			if (i > 0)
				yes |= _mm512_test_epi8_mask(
					   _mm512_shuffle_epi8(clow, l),
					   _mm512_shuffle_epi8(chigh, h)) &
				       _mm512_test_epi8_mask(may, classed);
			/* All three. */
			may = _mm512_ternarylogic_epi64(may,
			    _mm512_shuffle_epi8(low[i], l),
			    _mm512_shuffle_epi8(high[i], h), 0x80);
		}
		yes |= _mm512_test_epi8_mask(may, may);
		for (; yes != 0; yes &= yes - 1) {
			size_t at = from + (size_t)__builtin_ctzll(yes);

			if (looks(f, p + at))
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
	if (n > from && n - from >= LANES_512 + FILTER_BYTES - 1 &&
	    lanes_max >= LANES_512 && __builtin_cpu_supports("avx512bw"))
		from = skip_avx512(f, p, n, from);
	else if (n > from && n - from >= LANES + FILTER_BYTES - 1 &&
		 lanes_max >= LANES && __builtin_cpu_supports("avx2"))
		from = skip_avx2(f, p, n, from);
#endif
	for (; from + FILTER_BYTES <= n; from++)
		if (looks(f, p + from))
			return from;
	return from;
}
