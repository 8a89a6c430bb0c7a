/*
 * Blocks of weights taken apart into registers: the codes in their order, 64
 * to a register, and the scales as 16 words.  What quant.h's reference does,
 * for kern_avx512*.c.
 */
#ifndef BRIG_INFERD_KERN_AVX512_LOAD_H
#define BRIG_INFERD_KERN_AVX512_LOAD_H

#include <immintrin.h>

struct super {
	__m512i q[4];
	__m256i sc; /* 16 words */
	__m256i mn; /* of the types with offsets */
};

/* 16 bytes from each of four places. */
always_inline __m512i
four_heads(
    const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d)
{
	__m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const void *)a));

	v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)b), 1);
	v = _mm512_inserti32x4(v, _mm_loadu_si128((const void *)c), 2);
	return _mm512_inserti32x4(v, _mm_loadu_si128((const void *)d), 3);
}

always_inline __m512i
twice_32(const uint8_t *p)
{
	return _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)p));
}

/* Different shifts for the lower and upper 32 bytes. */
always_inline __m512i
shifts(int low, int high)
{
	return _mm512_inserti64x4(
	    _mm512_set1_epi16((short)low), _mm256_set1_epi16((short)high), 1);
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
scales_6bit(const uint8_t *p, struct super *s)
{
	uint64_t sc, mn;

	bytes_of_6bit(p, &sc, &mn);
	s->sc = pairs_of_words(sc);
	s->mn = pairs_of_words(mn);
}

always_inline void
load_q4_k(const uint8_t *p, struct super *s)
{
	const __m512i low = _mm512_set1_epi8(15), sh = shifts(0, 4);

	for (int c = 0; c < 4; c++)
		s->q[c] = _mm512_and_si512(
		    low, _mm512_srlv_epi16(twice_32(p + 16 + 32 * c), sh));
	scales_6bit(p + 4, s);
}

always_inline void
load_q5_k(const uint8_t *p, struct super *s)
{
	const __m512i low = _mm512_set1_epi8(15), sh = shifts(0, 4);
	const __m512i fifth = _mm512_set1_epi8(16);
	__m512i high = twice_32(p + 16);

	/* the lower halves' bits are 0, 2, 4, 6, the upper ones' 1, 3, 5, 7 */
	high = _mm512_srlv_epi16(high, shifts(0, 1));
	for (int c = 0; c < 4; c++) {
		__m512i q = _mm512_srlv_epi16(twice_32(p + 48 + 32 * c), sh);
		__m512i h = c < 2 ? _mm512_slli_epi16(high, 4 - 2 * c)
				  : _mm512_srli_epi16(high, 2 * c - 4);

		s->q[c] = _mm512_or_si512(
		    _mm512_and_si512(q, low), _mm512_and_si512(h, fifth));
	}
	scales_6bit(p + 4, s);
}

always_inline void
load_q6_k(const uint8_t *p, struct super *s)
{
	const __m512i low = _mm512_set1_epi8(15);
	const __m512i top = _mm512_set1_epi8(0x30);

	for (int h = 0; h < 2; h++) {
		__m512i l = _mm512_loadu_si512(p + 64 * h);
		__m512i u = twice_32(p + 128 + 32 * h);
		__m512i a =
		    _mm512_and_si512(_mm512_sllv_epi16(u, shifts(4, 2)), top);
		__m512i b =
		    _mm512_and_si512(_mm512_srlv_epi16(u, shifts(0, 2)), top);

		/* (l & low) | a */
		s->q[2 * h] = _mm512_ternarylogic_epi64(l, low, a, 0xea);
		s->q[2 * h + 1] = _mm512_ternarylogic_epi64(
		    _mm512_srli_epi16(l, 4), low, b, 0xea);
	}
	s->sc = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(p + 192)));
}

always_inline void
load_pairs(const uint8_t *p, struct super *s)
{
	const __m512i two = _mm512_set1_epi8(3);

	for (int h = 0; h < 2; h++) {
		__m512i v = twice_32(p + 32 * h);

		s->q[2 * h] =
		    _mm512_and_si512(two, _mm512_srlv_epi16(v, shifts(0, 2)));
		s->q[2 * h + 1] =
		    _mm512_and_si512(two, _mm512_srlv_epi16(v, shifts(4, 6)));
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

always_inline void
load_q3_k(const uint8_t *p, struct super *s)
{
	const __m512i third = _mm512_set1_epi8(4);
	__m512i high = _mm512_srlv_epi16(twice_32(p), shifts(0, 1));
	uint32_t sc[4];

	load_pairs(p + 32, s);
	/* bit i / 32 of byte i % 32: 0 and 1, 2 and 3 and so on */
	for (int k = 0; k < 4; k++) {
		__m512i h = k < 2 ? _mm512_slli_epi16(high, 2 - 2 * k)
				  : _mm512_srli_epi16(high, 2 * k - 2);

		s->q[k] = _mm512_or_si512(s->q[k], _mm512_and_si512(h, third));
	}
	scales_q3_k(p, sc);
	s->sc = _mm256_sub_epi16(_mm256_cvtepu8_epi16(_mm_setr_epi32((int)sc[0],
				     (int)sc[1], (int)sc[2], (int)sc[3])),
	    _mm256_set1_epi16(32));
}

/* 16 bytes of codes a block of 32: the low halves, then the high ones. */
always_inline __m256i
nibbles_32(const uint8_t *p)
{
	__m256i v =
	    _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)p));
	const __m256i sh = _mm256_inserti128_si256(
	    _mm256_setzero_si256(), _mm_set1_epi16(4), 1);

	return _mm256_and_si256(_mm256_srlv_epi16(v, sh), _mm256_set1_epi8(15));
}

always_inline __m256i
look_up(const uint8_t *table, __m256i codes)
{
	return _mm256_shuffle_epi8(
	    _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table)),
	    codes);
}

always_inline void
load_iq4_xs(const uint8_t *p, struct super *s)
{
	uint32_t low = u32_at(p + 4), high = quant_u16(p + 2);
	uint64_t sc = _pdep_u64(low, 0x0f0f0f0f0f0f0f0fULL) |
		      _pdep_u64(high, 0x3030303030303030ULL);

	for (int c = 0; c < 4; c++) {
		const uint8_t *q = p + 8 + 32 * c;

		s->q[c] = _mm512_inserti64x4(
		    _mm512_castsi256_si512(
			look_up(quant_iq4_values, nibbles_32(q))),
		    look_up(quant_iq4_values, nibbles_32(q + 16)), 1);
	}
	s->sc = _mm256_sub_epi16(pairs_of_words(sc), _mm256_set1_epi16(32));
}

always_inline uint32_t
signs_32(uint32_t w)
{
	/* seven of each eight are stored, the eighth makes their number even */
	uint32_t s = _pdep_u32(w, 0x7f7f7f7f), odd = s ^ s >> 4;

	odd ^= odd >> 2;
	odd ^= odd >> 1;
	return s | (odd & 0x01010101) << 7;
}

always_inline __m256i
iq2_32(const uint8_t *p)
{
	const uint64_t *v = quant_iq2_values;
	__m256i q = _mm256_setr_epi64x((long long)v[p[0]], (long long)v[p[1]],
	    (long long)v[p[2]], (long long)v[p[3]]);

	q = _mm256_mask_sub_epi8(
	    q, (__mmask32)signs_32(u32_at(p + 4)), _mm256_setzero_si256(), q);
	return _mm256_add_epi8(q, _mm256_set1_epi8(64));
}

always_inline void
load_iq2_xxs(const uint8_t *p, struct super *s)
{
	uint64_t sc = 0;

	for (int c = 0; c < 4; c++) {
		const uint8_t *b = p + 2 + 16 * c;

		s->q[c] = _mm512_inserti64x4(
		    _mm512_castsi256_si512(iq2_32(b)), iq2_32(b + 8), 1);
		sc |= (uint64_t)(b[7] >> 4) << 16 * c | (uint64_t)(b[15] >> 4)
							    << (16 * c + 8);
	}
	/* 2 s + 1 */
	s->sc = pairs_of_words(sc * 2 + 0x0101010101010101ULL);
}

always_inline void
load_super(enum tensor_type t, const uint8_t *p, struct super *s)
{
	if (t == TT_Q4_K)
		load_q4_k(p, s);
	else if (t == TT_Q5_K)
		load_q5_k(p, s);
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
		return _mm256_xor_si256(_mm256_set1_epi8(-128),
		    _mm256_loadu_si256((const void *)(p + 2)));
	if (t == TT_Q4_0)
		return nibbles_32(p + 2);
	if (t == TT_IQ4_NL)
		return look_up(quant_iq4_values, nibbles_32(p + 2));
	return look_up(quant_mxfp4_values, nibbles_32(p + 1));
}

always_inline float
block_d(enum tensor_type t, const uint8_t *p)
{
	float d;

	if (t == TT_MXFP4)
		return quant_e8m0_half(p[0]);
	d = _cvtsh_ss(quant_u16(p + place_of_d(t)));
	return t == TT_IQ2_XXS ? d * 0.125f : d;
}

#endif
