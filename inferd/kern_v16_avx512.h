/* Sixteen floats, as one register; see kern_v16_scalar.h. */
#ifndef BRIG_INFERD_KERN_V16_AVX512_H
#define BRIG_INFERD_KERN_V16_AVX512_H

#include <immintrin.h>
#include <math.h>

typedef __m512 v16;

always_inline v16
v16_set1(float a)
{
	return _mm512_set1_ps(a);
}

always_inline v16
v16_load(const float *p)
{
	return _mm512_loadu_ps(p);
}

always_inline void
v16_store(float *p, v16 a)
{
	_mm512_storeu_ps(p, a);
}

always_inline v16
v16_f16(const uint8_t *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

always_inline v16
v16_bf16(const uint8_t *p)
{
	__m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p));

	return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));
}

always_inline v16
v16_i8(const uint8_t *p)
{
	return _mm512_cvtepi32_ps(
	    _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p)));
}

always_inline v16
v16_add(v16 a, v16 b)
{
	return _mm512_add_ps(a, b);
}

always_inline v16
v16_sub(v16 a, v16 b)
{
	return _mm512_sub_ps(a, b);
}

always_inline v16
v16_mul(v16 a, v16 b)
{
	return _mm512_mul_ps(a, b);
}

always_inline v16
v16_div(v16 a, v16 b)
{
	return _mm512_div_ps(a, b);
}

always_inline v16
v16_fma(v16 a, v16 b, v16 c)
{
	return _mm512_fmadd_ps(a, b, c);
}

always_inline v16
v16_max(v16 a, v16 b)
{
	return _mm512_max_ps(a, b);
}

always_inline v16
v16_min(v16 a, v16 b)
{
	return _mm512_min_ps(a, b);
}

always_inline v16
v16_abs(v16 a)
{
	return _mm512_abs_ps(a);
}

always_inline v16
v16_rint(v16 a)
{
	return _mm512_roundscale_ps(a, 0);
}

always_inline v16
v16_if_less(v16 a, v16 limit, v16 x, v16 b)
{
	return _mm512_mask_blend_ps(
	    _mm512_cmp_ps_mask(a, limit, _CMP_LT_OQ), b, x);
}

always_inline v16
v16_pow2(v16 k)
{
	__m512i e = _mm512_cvtps_epi32(k);

	return _mm512_castsi512_ps(
	    _mm512_slli_epi32(_mm512_add_epi32(e, _mm512_set1_epi32(127)), 23));
}

always_inline int32_t
v16_to_i8(int8_t *p, v16 a)
{
	__m512i i = _mm512_cvtps_epi32(a);

	_mm_storeu_si128((void *)p, _mm512_cvtsepi32_epi8(i));
	return _mm512_reduce_add_epi32(i);
}

always_inline void
v16_to_f16(uint8_t *p, v16 a)
{
	_mm256_storeu_si256((void *)p,
	    _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

always_inline float
v16_sum(v16 a)
{
	__m256 h = _mm256_add_ps(
	    _mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 q =
	    _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

#define V16_TURNED_SUMS

always_inline __m512
add_halves(__m512 a, __m512 b, int which)
{
	if (which == 0)
		return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
		    _mm512_shuffle_f32x4(a, b, 0xee));
	return _mm512_add_ps(
	    _mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

/* out[4 i + k] = v16_sum(a[4 k + i]): the same additions, for all at once. */
always_inline void
v16_turned_sums(const v16 a[16], float out[16])
{
	__m512 q[4], d[2];

	_Pragma("GCC unroll 4") for (int k = 0; k < 4; k++) q[k] =
	    add_halves(add_halves(a[4 * k], a[4 * k + 1], 0),
		add_halves(a[4 * k + 2], a[4 * k + 3], 0), 1);
	_Pragma("GCC unroll 2") for (int k = 0; k < 2; k++)
	{
		__m512d x = _mm512_castps_pd(q[2 * k]);
		__m512d y = _mm512_castps_pd(q[2 * k + 1]);

		d[k] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
		    _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
	}
	_mm512_storeu_ps(out, _mm512_add_ps(_mm512_shuffle_ps(d[0], d[1], 0x88),
				  _mm512_shuffle_ps(d[0], d[1], 0xdd)));
}

always_inline float
v16_hmax(v16 a)
{
	return _mm512_reduce_max_ps(a);
}

#endif
