/*
 * Blocks of weights taken apart into registers of 32 bytes, for AVX2: the codes
 * in their order and the scales as 16 words.  Codes whose zero is 128 are kept
 * as signed ones, since pairs of products of larger ones do not fit 16 bits.
 */
#ifndef BRIG_INFERD_KERN_YMM_LOAD_H
#define BRIG_INFERD_KERN_YMM_LOAD_H

#include <immintrin.h>

struct super {
	__m256i q[8];
	__m256i sc; /* 16 words */
	__m256i mn; /* of the types with offsets */
};

always_inline bool
is_signed(enum tensor_type t)
{
	return quant_zero_of(t) == 128;
}

/* The zero of the codes as they are here. */
always_inline int
zero_here(enum tensor_type t)
{
	return is_signed(t) ? 0 : (int)quant_zero_of(t);
}

always_inline __m256i
load_32(const uint8_t *p)
{
	return _mm256_loadu_si256((const void *)p);
}

always_inline __m256i
masked(__m256i v, int mask)
{
	return _mm256_and_si256(v, _mm256_set1_epi8((char)mask));
}

/* Eight bytes as eight pairs of equal words. */
always_inline __m256i
pairs_of_words(uint64_t bytes)
{
	const __m256i idx =
	    _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3,
		-1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);

	return _mm256_shuffle_epi8(_mm256_set1_epi64x((long long)bytes), idx);
}

always_inline void
load_q45_k(bool five, const uint8_t *p, struct super *s)
{
	const uint8_t *q = p + (five ? 48 : 16);
	__m256i high = five ? load_32(p + 16) : _mm256_setzero_si256();
	uint64_t sc, mn;

	for (int k = 0; k < 4; k++) {
		__m256i v = load_32(q + 32 * k);

		s->q[2 * k] = masked(v, 15);
		s->q[2 * k + 1] = masked(_mm256_srli_epi16(v, 4), 15);
		if (!five)
			continue;
		s->q[2 * k] = _mm256_or_si256(s->q[2 * k],
		    masked(_mm256_slli_epi16(masked(high, 1), 4), 16));
		s->q[2 * k + 1] = _mm256_or_si256(s->q[2 * k + 1],
		    masked(_mm256_slli_epi16(masked(high, 2), 3), 16));
		high = _mm256_srli_epi16(high, 2);
	}
	bytes_of_6bit(p + 4, &sc, &mn);
	s->sc = pairs_of_words(sc);
	s->mn = pairs_of_words(mn);
}

always_inline void
load_q6_k(const uint8_t *p, struct super *s)
{
	for (int h = 0; h < 2; h++) {
		__m256i a = load_32(p + 64 * h), b = load_32(p + 64 * h + 32);
		__m256i u = load_32(p + 128 + 32 * h), *q = s->q + 4 * h;

		q[0] = _mm256_or_si256(
		    masked(a, 15), masked(_mm256_slli_epi16(u, 4), 0x30));
		q[1] = _mm256_or_si256(
		    masked(b, 15), masked(_mm256_slli_epi16(u, 2), 0x30));
		q[2] = _mm256_or_si256(
		    masked(_mm256_srli_epi16(a, 4), 15), masked(u, 0x30));
		q[3] = _mm256_or_si256(masked(_mm256_srli_epi16(b, 4), 15),
		    masked(_mm256_srli_epi16(u, 2), 0x30));
	}
	s->sc = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(p + 192)));
}

always_inline void
load_pairs(const uint8_t *p, struct super *s)
{
	for (int h = 0; h < 2; h++) {
		__m256i v = load_32(p + 32 * h), *q = s->q + 4 * h;

		q[0] = masked(v, 3);
		q[1] = masked(_mm256_srli_epi16(v, 2), 3);
		q[2] = masked(_mm256_srli_epi16(v, 4), 3);
		q[3] = masked(_mm256_srli_epi16(v, 6), 3);
	}
}

always_inline void
load_q2_k(const uint8_t *p, struct super *s)
{
	const __m128i low = _mm_set1_epi8(15);
	__m128i v = _mm_loadu_si128((const void *)p);

	load_pairs(p + 16, s);
	s->sc = _mm256_cvtepu8_epi16(_mm_and_si128(v, low));
	s->mn = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(v, 4), low));
}

always_inline __m256i
nibbles_32(const uint8_t *p)
{
	__m128i v = _mm_loadu_si128((const void *)p);

	return masked(_mm256_inserti128_si256(
			  _mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1),
	    15);
}

always_inline __m256i
look_up(const uint8_t *table, int flip, __m256i codes)
{
	__m128i v = _mm_xor_si128(
	    _mm_loadu_si128((const void *)table), _mm_set1_epi8((char)flip));

	return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(v), codes);
}

always_inline void
load_q3_k(const uint8_t *p, struct super *s)
{
	__m256i high = load_32(p);
	uint32_t sc[4];

	load_pairs(p + 32, s);
	/* bit i / 32 of byte i % 32 */
	for (int k = 0; k < 8; k++) {
		__m256i h = k < 2 ? _mm256_slli_epi16(high, 2 - k)
				  : _mm256_srli_epi16(high, k - 2);

		s->q[k] = _mm256_or_si256(s->q[k], masked(h, 4));
	}
	scales_q3_k(p, sc);
	s->sc = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_setr_epi32((int)sc[0],
				     (int)sc[1], (int)sc[2], (int)sc[3])),
	    _mm256_set1_epi16(32));
}

always_inline void
load_iq4_xs(const uint8_t *p, struct super *s)
{
	for (int k = 0; k < 8; k++)
		s->q[k] =
		    look_up(quant_iq4_values, 0x80, nibbles_32(p + 8 + 16 * k));
	s->sc = _mm256_sub_epi16(
	    pairs_of_words(scales_iq4_xs(p)), _mm256_set1_epi16(32));
}

/* 32 signs, one in each byte: all its bits, or none. */
always_inline __m256i
signs_32(uint32_t w)
{
	const __m256i idx = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1,
	    1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
	const __m256i bit =
	    _mm256_set1_epi64x((long long)0x8040201008040201ULL);
	const uint32_t s = signs_iq2(w);

	return _mm256_cmpeq_epi8(
	    _mm256_and_si256(
		_mm256_shuffle_epi8(_mm256_set1_epi32((int)s), idx), bit),
	    bit);
}

always_inline void
load_iq2_xxs(const uint8_t *p, struct super *s)
{
	const uint64_t *v = quant_iq2_values;
	uint64_t sc = 0;

	for (int k = 0; k < 8; k++) {
		const uint8_t *b = p + 2 + 8 * k;
		__m256i q = _mm256_setr_epi64x((long long)v[b[0]],
		    (long long)v[b[1]], (long long)v[b[2]], (long long)v[b[3]]);
		__m256i sign = signs_32(u32_at(b + 4));

		q = _mm256_sub_epi8(_mm256_xor_si256(q, sign), sign);
		s->q[k] = _mm256_add_epi8(q, _mm256_set1_epi8(64));
		sc |= (uint64_t)(b[7] >> 4) << 8 * k;
	}
	/* 2 s + 1 */
	s->sc = pairs_of_words(sc * 2 + 0x0101010101010101ULL);
}

always_inline void
load_super(enum tensor_type t, const uint8_t *p, struct super *s)
{
	if (t == TT_Q4_K || t == TT_Q5_K)
		load_q45_k(t == TT_Q5_K, p, s);
	else if (t == TT_Q6_K)
		load_q6_k(p, s);
	else if (t == TT_Q2_K)
		load_q2_k(p, s);
	else if (t == TT_Q3_K)
		load_q3_k(p, s);
	else if (t == TT_IQ4_XS)
		load_iq4_xs(p, s);
	else
		load_iq2_xxs(p, s);
}

always_inline __m256i
load_small(enum tensor_type t, const uint8_t *p)
{
	if (t == TT_Q8_0)
		return load_32(p + 2);
	if (t == TT_Q4_0)
		return nibbles_32(p + 2);
	if (t == TT_IQ4_NL)
		return look_up(quant_iq4_values, 0x80, nibbles_32(p + 2));
	return look_up(quant_mxfp4_values, 0, nibbles_32(p + 1));
}

always_inline float
half_float(uint16_t h)
{
	return _cvtsh_ss(h);
}

#endif
