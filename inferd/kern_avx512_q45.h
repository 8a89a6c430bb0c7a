/*
 * Eight rows of Q4_K or Q5_K by one row of activations, for kern_avx512.c.
 * A block has four times 32 bytes, with one sub-block of 32 codes in the lower
 * halves of bytes and one in the upper ones.  Each such 32 bytes become one of
 * the 128-bit lanes, of Q5_K two of them: of all their products, those with
 * codes of lower halves are summed in lower words, the others in upper ones,
 * until one instruction multiplies both with their scales.
 */
#ifndef BRIG_INFERD_KERN_AVX512_Q45_H
#define BRIG_INFERD_KERN_AVX512_Q45_H

#include "inferd/kern_avx512.h"
#include "inferd/kern_avx512_load.h"

struct heads {
	__m256i dw;    /* d and dmin of eight rows */
	__m256i off;   /* sums of offsets */
	__m512i sc[2]; /* of four rows each, 8 words a row: scales of 32
			  elements, weights' times activations' */
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

always_inline __m512i
four_times_8(const int16_t *words)
{
	return four_times(_mm_load_si128((const void *)words));
}

always_inline struct head_acts
head_acts(const struct act_super *x)
{
	return (struct head_acts){ four_times_8(x->m16), four_times_8(x->first),
		four_times_8(x->second) };
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
		h->sc[i] =
		    _mm512_mullo_epi16(_mm512_unpacklo_epi8(b, zero), x->m);
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

/* Of two registers: the first and third lanes, the second and fourth ones. */
always_inline void
first_and_last(__m512i a, __m512i b, __m512i out[2])
{
	out[0] = _mm512_shuffle_i32x4(a, b, 0x88);
	out[1] = _mm512_shuffle_i32x4(a, b, 0xdd);
}

/* What is multiplied with the lower halves of bytes, with the upper ones. */
struct halves {
	__m512i low[2], high[2];
};

/*
 * For Q5_K: of the first, of the last two 32 bytes.  For Q4_K: of the first
 * half of all four, of the second one.
 */
always_inline void
sort_acts(enum tensor_type t, const struct act_super *x, struct halves *q)
{
	__m512i v[4], low[2], high[2];

	_Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) v[c] =
	    _mm512_load_si512(x->q + 64 * c);
	_Pragma("GCC unroll 2") for (int c = 0; c < 2; c++)
	{
		low[c] = _mm512_shuffle_i32x4(v[2 * c], v[2 * c + 1], 0x44);
		high[c] = _mm512_shuffle_i32x4(v[2 * c], v[2 * c + 1], 0xee);
	}
	if (t == TT_Q5_K) {
		*q =
		    (struct halves){ { low[0], low[1] }, { high[0], high[1] } };
		return;
	}
	first_and_last(low[0], low[1], q->low);
	first_and_last(high[0], high[1], q->high);
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
 * Sums of four, two times: in each 32 bits of all elements of lower halves,
 * and 65536 times those of the upper halves.  Sums may be negative: 16384, or
 * more than any of them, is added.
 */
always_inline void
sums_q4(const uint8_t *p, const struct halves *x, __m512i s[1])
{
	const __m512i low = _mm512_set1_epi8(15);
	__m512i v[2], t = _mm512_set1_epi32(4);

	first_and_last(load_once(p + 16), load_once(p + 80), v);
	/* sixteen times what they are */
	t = _mm512_dpbusd_epi32(t, _mm512_andnot_si512(low, v[0]), x->high[0]);
	t = _mm512_dpbusd_epi32(t, _mm512_andnot_si512(low, v[1]), x->high[1]);
	t = _mm512_slli_epi32(t, 12);
	t = _mm512_dpbusd_epi32(t, _mm512_and_si512(low, v[0]), x->low[0]);
	s[0] = _mm512_dpbusd_epi32(t, _mm512_and_si512(low, v[1]), x->low[1]);
}

/* The same, but one register for each time: sums are twice as large. */
always_inline void
sums_q5(const uint8_t *p, const struct halves *x, __m512i s[2])
{
	const __m512i low = _mm512_set1_epi8(15), high = _mm512_set1_epi8(0x78);
	const __m512i bit4 = _mm512_set1_epi8(16),
		      bit7 = _mm512_set1_epi8(-128);
	/* bit k of each byte is of elements 32 k to 32 k + 31 */
	const __m512i f = _mm512_srlv_epi16(twice_32(p + 16), shifts(0, 2));

	_Pragma("GCC unroll 2") for (int i = 0; i < 2; i++)
	{
		__m512i v = load_once(p + 48 + 64 * i);
		__m512i a = _mm512_and_si512(v, low);
		__m512i b = _mm512_and_si512(_mm512_srli_epi16(v, 1), high);
		__m512i t = _mm512_set1_epi32(2);

		/* a | (f & bit) */
		a = _mm512_ternarylogic_epi64(
		    a, i == 0 ? _mm512_slli_epi16(f, 4) : f, bit4, 0xf8);
		/* eight times what they are */
		b = _mm512_ternarylogic_epi64(
		    b, _mm512_slli_epi16(f, i == 0 ? 6 : 2), bit7, 0xf8);
		t = _mm512_slli_epi32(
		    _mm512_dpbusd_epi32(t, b, x->high[i]), 13);
		s[i] = _mm512_dpbusd_epi32(t, a, x->low[i]);
	}
}

/*
 * Which pairs of scales are multiplied with what add_two() puts side by side,
 * of rows 2 i and 2 i + 1: of Q4_K, of the first and of the second half of
 * Q5_K.
 */
always_inline __m512i
scales_of(enum tensor_type t, int i, int half)
{
	__m512i pair =
	    _mm512_setr_epi32(0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4);
	__m512i lane = t == TT_Q4_K ? _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1,
					  2, 2, 2, 2, 3, 3, 3, 3)
				    : _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0,
					  1, 1, 1, 1, 1, 1, 1, 1);

	return _mm512_add_epi32(
	    _mm512_add_epi32(pair, lane), _mm512_set1_epi32(8 * i + 2 * half));
}

/* Of two rows in turn: sums of two within lanes, without what was added. */
always_inline __m512i
add_two(__m512i a, __m512i b)
{
	return _mm512_xor_si512(_mm512_add_epi32(_mm512_unpacklo_epi32(a, b),
				    _mm512_unpackhi_epi32(a, b)),
	    _mm512_set1_epi32(0x8000));
}

/* Sums over a block of four rows: of each, four that are to be added. */
always_inline __m512i
four_rows(enum tensor_type t, const uint8_t *const p[ROWS], size_t row,
    size_t at, const struct ahead *ahead, __m512i sc, const struct halves *x)
{
	const int parts = t == TT_Q4_K ? 1 : 2;
	__m512i acc[2];

	_Pragma("GCC unroll 2") for (int i = 0; i < 2; i++)
	{
		__m512i v[2][2];

		_Pragma("GCC unroll 2") for (int k = 0; k < 2; k++)
		{
			const size_t r = row + 2 * (size_t)i + (size_t)k;

			if (t == TT_Q4_K)
				sums_q4(p[r] + at, x, v[k]);
			else
				sums_q5(p[r] + at, x, v[k]);
			fetch_ahead(ahead, tensor_type_bytes(t), r, ROWS);
		}
		acc[i] = _mm512_setzero_si512();
		_Pragma("GCC unroll 2") for (int k = 0; k < parts; k++) acc[i] =
		    _mm512_dpwssd_epi32(acc[i], add_two(v[0][k], v[1][k]),
			_mm512_permutexvar_epi32(scales_of(t, i, k), sc));
	}
	return _mm512_add_epi32(_mm512_unpacklo_epi64(acc[0], acc[1]),
	    _mm512_unpackhi_epi64(acc[0], acc[1]));
}

always_inline __m256
rows_q45(enum tensor_type t, const uint8_t *const p[ROWS], struct ahead ahead,
    size_t n, const struct act_super *x)
{
	const size_t bytes = tensor_type_bytes(t);
	__m256 acc = _mm256_setzero_ps();

	for (size_t at = 0; n > 0; n -= QUANT_SUPER, x++, at += bytes) {
		const struct head_acts ha = head_acts(x);
		__m256 dx = _mm256_set1_ps(x->d);
		__m512i sum[2];
		struct halves xq;
		struct heads h;

		take_heads(p, at, &ha, &h);
		sort_acts(t, x, &xq);
		_Pragma("GCC unroll 2") for (int i = 0; i < 2; i++)
		{
			sum[i] = four_rows(
			    t, p, 4 * (size_t)i, at, &ahead, h.sc[i], &xq);
		}
		step_ahead(&ahead, ROWS * bytes);
		acc = _mm256_fmadd_ps(_mm256_mul_ps(half_floats(h.dw), dx),
		    _mm256_cvtepi32_ps(join_lanes(sum)), acc);
		acc = _mm256_fnmadd_ps(
		    _mm256_mul_ps(half_floats(_mm256_srli_epi32(h.dw, 16)), dx),
		    _mm256_cvtepi32_ps(h.off), acc);
	}
	return acc;
}

#endif
