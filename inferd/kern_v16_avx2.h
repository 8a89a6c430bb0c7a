/* Sixteen floats, as two registers; see kern_v16_scalar.h. */
#ifndef BRIG_INFERD_KERN_V16_AVX2_H
#define BRIG_INFERD_KERN_V16_AVX2_H

#include <immintrin.h>
#include <math.h>

typedef struct {
	__m256 a, b;
} v16;

always_inline v16
v16_set1(float f)
{
	return (v16){ _mm256_set1_ps(f), _mm256_set1_ps(f) };
}

always_inline v16
v16_load(const float *p)
{
	return (v16){ _mm256_loadu_ps(p), _mm256_loadu_ps(p + 8) };
}

always_inline void
v16_store(float *p, v16 x)
{
	_mm256_storeu_ps(p, x.a);
	_mm256_storeu_ps(p + 8, x.b);
}

always_inline v16
v16_f16(const uint8_t *p)
{
	return (v16){ _mm256_cvtph_ps(_mm_loadu_si128((const void *)p)),
		_mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 16))) };
}

always_inline __m256
v8_bf16(const uint8_t *p)
{
	__m256i w = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p));

	return _mm256_castsi256_ps(_mm256_slli_epi32(w, 16));
}

always_inline v16
v16_bf16(const uint8_t *p)
{
	return (v16){ v8_bf16(p), v8_bf16(p + 16) };
}

always_inline __m256
v8_i8(const uint8_t *p)
{
	return _mm256_cvtepi32_ps(
	    _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p)));
}

always_inline v16
v16_i8(const uint8_t *p)
{
	return (v16){ v8_i8(p), v8_i8(p + 8) };
}

#define V16_BOTH(name, op)                                                     \
	always_inline v16 name(v16 x, v16 y)                                   \
	{                                                                      \
		return (v16){ op(x.a, y.a), op(x.b, y.b) };                    \
	}

V16_BOTH(v16_add, _mm256_add_ps)
V16_BOTH(v16_sub, _mm256_sub_ps)
V16_BOTH(v16_mul, _mm256_mul_ps)
V16_BOTH(v16_div, _mm256_div_ps)
V16_BOTH(v16_max, _mm256_max_ps)
V16_BOTH(v16_min, _mm256_min_ps)

always_inline v16
v16_fma(v16 x, v16 y, v16 z)
{
	return (v16){ _mm256_fmadd_ps(x.a, y.a, z.a),
		_mm256_fmadd_ps(x.b, y.b, z.b) };
}

always_inline v16
v16_abs(v16 x)
{
	__m256 sign = _mm256_set1_ps(-0.0f);

	return (
	    v16){ _mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b) };
}

always_inline v16
v16_rint(v16 x)
{
	return (v16){ _mm256_round_ps(x.a, 0), _mm256_round_ps(x.b, 0) };
}

always_inline v16
v16_if_less(v16 x, v16 limit, v16 yes, v16 no)
{
	return (v16){ _mm256_blendv_ps(
			  no.a, yes.a, _mm256_cmp_ps(x.a, limit.a, _CMP_LT_OQ)),
		_mm256_blendv_ps(
		    no.b, yes.b, _mm256_cmp_ps(x.b, limit.b, _CMP_LT_OQ)) };
}

always_inline __m256
v8_pow2(__m256 k)
{
	__m256i e = _mm256_cvtps_epi32(k);

	return _mm256_castsi256_ps(
	    _mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
}

always_inline v16
v16_pow2(v16 k)
{
	return (v16){ v8_pow2(k.a), v8_pow2(k.b) };
}

always_inline int32_t
v16_to_i8(int8_t *p, v16 x)
{
	__m256i a = _mm256_cvtps_epi32(x.a), b = _mm256_cvtps_epi32(x.b);
	__m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
	__m128i c = _mm_packs_epi16(
	    _mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
	__m256i s = _mm256_add_epi32(a, b);
	__m128i t = _mm_add_epi32(
	    _mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));

	_mm_storeu_si128((void *)p, c);
	t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0x4e));
	t = _mm_add_epi32(t, _mm_shuffle_epi32(t, 0xb1));
	return _mm_cvtsi128_si32(t);
}

always_inline void
v16_to_f16(uint8_t *p, v16 x)
{
	_mm_storeu_si128(
	    (void *)p, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
	_mm_storeu_si128(
	    (void *)(p + 16), _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
}

always_inline float
v16_sum(v16 x)
{
	__m256 h = _mm256_add_ps(x.a, x.b);
	__m128 q =
	    _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

	q = _mm_add_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

always_inline float
v16_hmax(v16 x)
{
	__m256 h = _mm256_max_ps(x.a, x.b);
	__m128 q =
	    _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));

	q = _mm_max_ps(q, _mm_movehl_ps(q, q));
	return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

#endif
