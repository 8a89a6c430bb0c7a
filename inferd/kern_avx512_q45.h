/*
 * Eight rows of Q4_K or Q5_K by one row of activations, for kern_avx512.c.
 * The heads of eight blocks are taken apart together; of the codes, those in
 * the lower and in the upper halves of bytes are multiplied separately and
 * their sums of four, which fit 16 bits, put side by side, so that one
 * instruction multiplies both with their scales.
 */
#ifndef BRIG_INFERD_KERN_AVX512_Q45_H
#define BRIG_INFERD_KERN_AVX512_Q45_H

#include "inferd/kern_avx512.h"
#include "inferd/kern_avx512_load.h"

struct heads {
	__m256i dw;  /* d and dmin of eight rows */
	__m256i off; /* sums of offsets */
	/* of each row: scales of 32 elements, weights' times activations' */
	_Alignas(64) int16_t sc[ROWS][8];
};

/* What activations are to the heads of all rows. */
struct head_acts {
	__m512i m;         /* four times 8 words: scales of 32 elements */
	__m512i even, odd; /* the same of the sums of the first 16, and the
			      others */
};

always_inline __m512i
four_times(__m128i v)
{
	return _mm512_broadcast_i32x4(v);
}

always_inline struct head_acts
head_acts(const struct act_super *x)
{
	__m256i m = _mm256_load_si256((const void *)x->m);
	__m256i s = _mm256_load_si256((const void *)x->sum);

	return (struct head_acts){ four_times(_mm256_cvtepi32_epi16(m)),
		four_times(_mm256_cvtepi32_epi16(s)),
		four_times(_mm256_cvtepi32_epi16(_mm256_srli_epi32(s, 16))) };
}

/* Quarters of d and dmin, a, b, c become 8 scales and 8 offsets, in bytes. */
always_inline __m512i
six_bits(__m512i v)
{
	const __m512i shift_ab =
	    four_times(_mm_setr_epi32(0, 2, 0, 2)); /* a a b b */
	const __m512i mask_ab = four_times(
	    _mm_setr_epi32(0x3f3f3f3f, 0x30303030, 0x3f3f3f3f, 0x30303030));
	const __m512i shift_c = four_times(_mm_setr_epi32(0, 0, 0, 4));
	const __m512i mask_c =
	    four_times(_mm_setr_epi32(0, 0x0f0f0f0f, 0, 0x0f0f0f0f));
	__m512i ab =
	    _mm512_srlv_epi32(_mm512_shuffle_epi32(v, _MM_PERM_CCBB), shift_ab);
	__m512i c =
	    _mm512_srlv_epi32(_mm512_shuffle_epi32(v, _MM_PERM_DDDD), shift_c);

	/* (c & mask_c) | (ab & mask_ab) */
	return _mm512_ternarylogic_epi64(
	    _mm512_and_si512(ab, mask_ab), c, mask_c, 0xf8);
}

always_inline void
take_heads(const uint8_t *const p[ROWS], size_t at, const struct head_acts *x,
    struct heads *h)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i v[2], off[2], lo, hi, t;

	_Pragma("GCC unroll 2") for (int i = 0; i < 2; i++)
	{
		__m512i b, mn;

		v[i] = four_heads(p[4 * i] + at, p[4 * i + 1] + at,
		    p[4 * i + 2] + at, p[4 * i + 3] + at);
		b = six_bits(v[i]);
		_mm512_store_si512(h->sc + 4 * i,
		    _mm512_mullo_epi16(_mm512_unpacklo_epi8(b, zero), x->m));
		mn = _mm512_unpackhi_epi8(b, zero);
		off[i] = _mm512_dpwssd_epi32(
		    _mm512_dpwssd_epi32(zero, mn, x->even), mn, x->odd);
	}
	/* quarter r: sums of rows r and r + 4, in turn */
	lo = _mm512_unpacklo_epi32(off[0], off[1]);
	hi = _mm512_unpackhi_epi32(off[0], off[1]);
	t = _mm512_add_epi32(lo, hi);
	t = _mm512_add_epi32(t, _mm512_shuffle_epi32(t, _MM_PERM_BADC));
	h->off = _mm512_castsi512_si256(_mm512_permutexvar_epi32(
	    _mm512_castsi256_si512(_mm256_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13)),
	    t));
	h->dw = _mm512_castsi512_si256(_mm512_permutex2var_epi32(v[0],
	    _mm512_castsi256_si512(
		_mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28)),
	    v[1]));
}

/* The codes of 128 elements: those of lower halves of bytes, of upper ones. */
struct halves {
	__m512i low, high;
};

/* Elements 32 to 63 of each 64 apart from the others, as codes are. */
always_inline void
sort_acts(const struct act_super *x, struct halves q[2])
{
	_Pragma("GCC unroll 2") for (int c = 0; c < 2; c++)
	{
		__m512i a = _mm512_load_si512(x->q + 128 * c);
		__m512i b = _mm512_load_si512(x->q + 128 * c + 64);

		q[c].low = _mm512_shuffle_i64x2(a, b, 0x44);
		q[c].high = _mm512_shuffle_i64x2(a, b, 0xee);
	}
}

always_inline __m512i
fours(__m512i codes, __m512i x)
{
	return _mm512_dpbusd_epi32(_mm512_setzero_si512(), codes, x);
}

/*
 * The compiler would rather load twice than keep a register; but these loads
 * go over the border of a cache line, which is two loads already.
 */
always_inline __m512i
load_once(const uint8_t *p)
{
	__m512i v = _mm512_loadu_si512(p);

	__asm__("" : "+v"(v));
	return v;
}

/*
 * Sums of four of 128 elements: in each lane one of those of the lower halves
 * and, above it, one of the upper ones.
 */
always_inline __m512i
sums_q4(const uint8_t *p, const struct halves *x)
{
	const __m512i low = _mm512_set1_epi8(15);
	__m512i v = load_once(p);
	__m512i a = fours(_mm512_and_si512(v, low), x->low);
	/* sixteen times what they are */
	__m512i b = fours(_mm512_andnot_si512(low, v), x->high);

	return _mm512_mask_blend_epi16(0xaaaaaaaa, a, _mm512_slli_epi32(b, 12));
}

/* fifth: the elements' fifth bits as bit 4 of the bytes. */
always_inline __m512i
sums_q5(const uint8_t *p, __m512i fifth_low, __m512i fifth_high,
    const struct halves *x)
{
	const __m512i low = _mm512_set1_epi8(15);
	const __m512i bit = _mm512_set1_epi8(16);
	__m512i v = load_once(p);
	/* (fifth & bit) | v: of v, low bits alone are left */
	__m512i a = fours(_mm512_ternarylogic_epi64(
			      _mm512_and_si512(v, low), fifth_low, bit, 0xf8),
	    x->low);
	__m512i b = fours(_mm512_ternarylogic_epi64(
			      _mm512_and_si512(_mm512_srli_epi16(v, 4), low),
			      fifth_high, bit, 0xf8),
	    x->high);

	return _mm512_mask_blend_epi16(0xaaaaaaaa, a, _mm512_slli_epi32(b, 16));
}

/* Two words as all pairs of the lower half, two others as those of the rest. */
always_inline __m512i
pairs_of_scales(const int16_t *sc)
{
	return _mm512_mask_broadcastd_epi32(
	    _mm512_broadcastd_epi32(_mm_loadu_si32(sc)), 0xff00,
	    _mm_loadu_si32(sc + 2));
}

/* Sum of scale times code times activation over a block. */
always_inline __m512i
block_q45(enum tensor_type t, const uint8_t *p, const int16_t *sc,
    const struct halves x[2])
{
	__m512i acc = _mm512_setzero_si512(), s[2];

	if (t == TT_Q4_K) {
		s[0] = sums_q4(p + 16, &x[0]);
		s[1] = sums_q4(p + 80, &x[1]);
	} else {
		/* bit k of each byte is of elements 32 k to 32 k + 31 */
		__m512i f = _mm512_srlv_epi16(twice_32(p + 16), shifts(0, 2));

		s[0] = sums_q5(p + 48, _mm512_slli_epi16(f, 4),
		    _mm512_slli_epi16(f, 3), &x[0]);
		s[1] = sums_q5(p + 112, f, _mm512_srli_epi16(f, 1), &x[1]);
	}
	acc = _mm512_dpwssd_epi32(acc, s[0], pairs_of_scales(sc));
	return _mm512_dpwssd_epi32(acc, s[1], pairs_of_scales(sc + 4));
}

always_inline __m256
rows_q45(enum tensor_type t, const uint8_t *const p[ROWS], size_t ahead,
    size_t n, const struct act_super *x)
{
	const size_t bytes = tensor_type_bytes(t);
	__m256 acc = _mm256_setzero_ps();

	for (size_t at = 0; n > 0; n -= QUANT_SUPER, x++, at += bytes) {
		const struct head_acts ha = head_acts(x);
		__m512i sum[ROWS];
		__m256 dx = _mm256_set1_ps(x->d);
		struct halves xq[2];
		struct heads h;

		take_heads(p, at, &ha, &h);
		sort_acts(x, xq);
		EACH_ROW
		{
			sum[r] = block_q45(t, p[r] + at, h.sc[r], xq);
			fetch_twice(
			    p[0] + ahead + ROWS * at, bytes, (size_t)r, ROWS);
		}
		acc = _mm256_fmadd_ps(_mm256_mul_ps(half_floats(h.dw), dx),
		    _mm256_cvtepi32_ps(join_wide(sum)), acc);
		acc = _mm256_fnmadd_ps(
		    _mm256_mul_ps(half_floats(_mm256_srli_epi32(h.dw, 16)), dx),
		    _mm256_cvtepi32_ps(h.off), acc);
	}
	return acc;
}

#endif
