#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)

#include "inferd/kern_avx512.h"
#include "inferd/kern_v16_avx512.h"
#include "inferd/kern_float.h"
#include "inferd/kern_avx512_load.h"

/* Rows of weights side by side: their sums are joined into one register. */
#define ROWS 8
#define EACH_ROW _Pragma("GCC unroll 8") for (int r = 0; r < ROWS; r++)

/* Codes that are too large for pairs of products in 16 bits. */
always_inline bool
is_wide(enum tensor_type t)
{
	return t == TT_IQ4_XS;
}

/* The sums of eight registers, in one. */
always_inline __m256i
join(const __m256i s[ROWS])
{
	__m256i a = _mm256_hadd_epi32(
	    _mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
	__m256i b = _mm256_hadd_epi32(
	    _mm256_hadd_epi32(s[4], s[5]), _mm256_hadd_epi32(s[6], s[7]));

	return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
	    _mm256_permute2x128_si256(a, b, 0x31));
}

always_inline __m256i
halves(__m512i a)
{
	return _mm256_add_epi32(
	    _mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
}

/* Sum of scale times code times activation over a block, in eight lanes. */
always_inline __m256i
block_sum(bool wide, const struct super *s, __m256i m, const __m512i x[4])
{
	__m512i sc = _mm512_castsi256_si512(_mm256_mullo_epi16(s->sc, m));
	__m512i acc = _mm512_setzero_si512();

	if (wide) {
		__m512i sc32 =
		    _mm512_cvtepi16_epi32(_mm512_castsi512_si256(sc));

		for (int c = 0; c < 4; c++) {
			__m512i idx = _mm512_setr_epi32(
			    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
			__m512i dot = _mm512_dpbusd_epi32(
			    _mm512_setzero_si512(), s->q[c], x[c]);

			idx = _mm512_add_epi32(idx, _mm512_set1_epi32(4 * c));
			acc = _mm512_add_epi32(
			    acc, _mm512_mullo_epi32(
				     dot, _mm512_permutexvar_epi32(idx, sc32)));
		}
		return halves(acc);
	}
	for (int c = 0; c < 4; c++) {
		__m512i idx =
		    _mm512_add_epi16(_mm512_set1_epi16((short)(4 * c)),
			_mm512_set_epi64(0x3000300030003, 0x3000300030003,
			    0x2000200020002, 0x2000200020002, 0x1000100010001,
			    0x1000100010001, 0, 0));

		acc = _mm512_dpwssd_epi32(acc,
		    _mm512_maddubs_epi16(s->q[c], x[c]),
		    _mm512_permutexvar_epi16(idx, sc));
	}
	return halves(acc);
}

/* Eight words, each the bits of a half float. */
always_inline __m256
half_floats(__m256i words)
{
	return _mm256_cvtph_ps(_mm256_cvtepi32_epi16(words));
}

always_inline uint32_t
d_bits(enum tensor_type t, const uint8_t *p)
{
	p += place_of_d(t);
	return has_offsets(t) ? u32_at(p) : quant_u16(p);
}

always_inline __m256i
d_words(enum tensor_type t, const uint8_t *const p[ROWS])
{
	return _mm256_setr_epi32((int)d_bits(t, p[0]), (int)d_bits(t, p[1]),
	    (int)d_bits(t, p[2]), (int)d_bits(t, p[3]), (int)d_bits(t, p[4]),
	    (int)d_bits(t, p[5]), (int)d_bits(t, p[6]), (int)d_bits(t, p[7]));
}

always_inline __m256
rows_super(enum tensor_type t, const uint8_t *p[ROWS], struct ahead ahead,
    size_t n, const struct act_super *x)
{
	const size_t bytes = tensor_type_bytes(t);
	const int zero = (int)quant_zero_of(t);
	__m256 acc = _mm256_setzero_ps();

	for (; n > 0; n -= QUANT_SUPER, x++) {
		__m512i xq[4];
		__m256i m = _mm256_load_si256((const void *)x->m);
		__m256i xs = _mm256_load_si256((const void *)x->sum);
		__m256i sum[ROWS], off[ROWS], dw = d_words(t, p);
		__m256 d, dx = _mm256_set1_ps(x->d);

		for (int c = 0; c < 4; c++)
			xq[c] = _mm512_load_si512(x->q + 64 * c);
		EACH_ROW
		{
			struct super s;

			load_super(t, p[r], &s);
			fetch_ahead(&ahead, bytes, (size_t)r, ROWS);
			p[r] += bytes;
			sum[r] = block_sum(is_wide(t), &s, m, xq);
			off[r] =
			    _mm256_madd_epi16(has_offsets(t) ? s.mn : s.sc, xs);
			if (!has_offsets(t))
				sum[r] = _mm256_sub_epi32(
				    sum[r], _mm256_slli_epi32(off[r],
						__builtin_ctz((unsigned)zero)));
		}
		step_ahead(&ahead, ROWS * bytes);
		d = half_floats(dw);
		if (t == TT_IQ2_XXS)
			d = _mm256_mul_ps(d, _mm256_set1_ps(0.125f));
		acc = _mm256_fmadd_ps(
		    _mm256_mul_ps(d, dx), _mm256_cvtepi32_ps(join(sum)), acc);
		if (has_offsets(t))
			acc = _mm256_fnmadd_ps(
			    _mm256_mul_ps(
				half_floats(_mm256_srli_epi32(dw, 16)), dx),
			    _mm256_cvtepi32_ps(join(off)), acc);
	}
	return acc;
}

/* Of eight registers: quarters of the sums of the first four, of the others. */
always_inline void
join_quarters(const __m512i s[ROWS], __m512i out[2])
{
	__m512i a[4];

	_Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) a[i] =
	    _mm512_add_epi32(_mm512_unpacklo_epi32(s[2 * i], s[2 * i + 1]),
		_mm512_unpackhi_epi32(s[2 * i], s[2 * i + 1]));
	_Pragma("GCC unroll 2") for (int i = 0; i < 2; i++) out[i] =
	    _mm512_add_epi32(_mm512_unpacklo_epi64(a[2 * i], a[2 * i + 1]),
		_mm512_unpackhi_epi64(a[2 * i], a[2 * i + 1]));
}

/* Of two registers: sums of the first and second, third and fourth lanes. */
always_inline __m512i
add_lanes(const __m512i q[2])
{
	return _mm512_add_epi32(_mm512_shuffle_i32x4(q[0], q[1], 0x88),
	    _mm512_shuffle_i32x4(q[0], q[1], 0xdd));
}

/* Of two registers: the sums of their lanes, of one after the other. */
always_inline __m256i
join_lanes(const __m512i q[2])
{
	__m512i t = add_lanes(q);

	t = _mm512_add_epi32(t, _mm512_shuffle_i32x4(t, t, 0xb1));
	return _mm512_castsi512_si256(_mm512_shuffle_i32x4(t, t, 0x08));
}

/* The sums of the two halves of eight registers: the first ones', the rest. */
always_inline __m512i
join_halves(const __m512i s[ROWS])
{
	const __m512i order = _mm512_setr_epi64(0, 1, 4, 5, 2, 3, 6, 7);
	__m512i q[2];

	join_quarters(s, q);
	return _mm512_permutexvar_epi64(order, add_lanes(q));
}

#include "inferd/kern_avx512_q45.h"

/* Half of 2^(e - 127) for eight e; see quant_e8m0_half(). */
always_inline __m256
e8m0_halves(__m256i e)
{
	__m256i normal =
	    _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
	__m256i tiny = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e);

	return _mm256_castsi256_ps(_mm256_mask_blend_epi32(
	    _mm256_cmplt_epi32_mask(e, _mm256_set1_epi32(2)), normal, tiny));
}

always_inline __m256
small_d(enum tensor_type t, const uint8_t *const p[ROWS], size_t at)
{
	if (t == TT_MXFP4)
		return e8m0_halves(_mm256_cvtepu8_epi32(_mm_setr_epi8(
		    (char)p[0][at], (char)p[1][at], (char)p[2][at],
		    (char)p[3][at], (char)p[4][at], (char)p[5][at],
		    (char)p[6][at], (char)p[7][at], 0, 0, 0, 0, 0, 0, 0, 0)));
	return _mm256_cvtph_ps(_mm_setr_epi16((short)quant_u16(p[0] + at),
	    (short)quant_u16(p[1] + at), (short)quant_u16(p[2] + at),
	    (short)quant_u16(p[3] + at), (short)quant_u16(p[4] + at),
	    (short)quant_u16(p[5] + at), (short)quant_u16(p[6] + at),
	    (short)quant_u16(p[7] + at)));
}

/* One block of eight rows: acc += d x (sums - zero times sum of x). */
always_inline __m256
add_small(enum tensor_type t, const uint8_t *const p[ROWS], size_t at,
    const struct act_small *x, size_t b, __m256i sum, __m256 acc)
{
	const int zero = (int)quant_zero_of(t);

	sum = _mm256_sub_epi32(sum, _mm256_set1_epi32(zero * x->sum[b]));
	return _mm256_fmadd_ps(
	    _mm256_mul_ps(small_d(t, p, at), _mm256_set1_ps(x->d[b])),
	    _mm256_cvtepi32_ps(sum), acc);
}

always_inline __m256
rows_small(enum tensor_type t, const uint8_t *const p[ROWS], struct ahead ahead,
    size_t n, const struct act_small *x)
{
	const size_t bytes = tensor_type_bytes(t), blocks = n / QUANT_SMALL;
	__m256 acc = _mm256_setzero_ps();
	size_t b = 0, at = 0;

	for (; b + 2 <= blocks; b += 2, at += 2 * bytes) {
		__m512i q = _mm512_loadu_si512(x->q + QUANT_SMALL * b);
		__m512i sum[ROWS], all;

		EACH_ROW
		{
			const uint8_t *w = p[r] + at;

			sum[r] = _mm512_dpbusd_epi32(_mm512_setzero_si512(),
			    _mm512_inserti64x4(
				_mm512_castsi256_si512(load_small(t, w)),
				load_small(t, w + bytes), 1),
			    q);
			fetch_ahead(&ahead, 2 * bytes, (size_t)r, ROWS);
		}
		step_ahead(&ahead, ROWS * 2 * bytes);
		all = join_halves(sum);
		acc =
		    add_small(t, p, at, x, b, _mm512_castsi512_si256(all), acc);
		acc = add_small(t, p, at + bytes, x, b + 1,
		    _mm512_extracti64x4_epi64(all, 1), acc);
	}
	if (b < blocks) {
		__m256i q =
		    _mm256_loadu_si256((const void *)(x->q + QUANT_SMALL * b));
		__m256i sum[ROWS];

		EACH_ROW
		{
			sum[r] = _mm256_dpbusd_epi32(_mm256_setzero_si256(),
			    load_small(t, p[r] + at), q);
		}
		acc = add_small(t, p, at, x, b, join(sum), acc);
	}
	return acc;
}

always_inline void
matvec_type(enum tensor_type t, const uint8_t *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y, const void *next)
{
	const size_t bytes = n / tensor_type_block(t) * tensor_type_bytes(t);
	struct act_small small = act_small(xq, n);
	const uint8_t *end = w + r1 * bytes;

	for (size_t r = r0; r < r1; r += ROWS) {
		const uint8_t *at = w + r * bytes, *p[ROWS];
		const struct ahead ahead = ahead_from(at, end, next);
		size_t rows = r1 - r < ROWS ? r1 - r : ROWS;
		__m256 v;

		/* where rows are missing the last one is done again */
		for (size_t k = 0; k < ROWS; k++)
			p[k] = at + (k < rows ? k : rows - 1) * bytes;
		if (t == TT_Q4_K || t == TT_Q5_K)
			v = rows_q45(t, p, ahead, n, xq);
		else if (tensor_type_block(t) == QUANT_SUPER)
			v = rows_super(t, p, ahead, n, xq);
		else
			v = rows_small(t, p, ahead, n, &small);
		_mm256_mask_storeu_ps(y + r, (__mmask8)((1u << rows) - 1), v);
	}
}

void
avx512_matvec(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, float *y, const void *next)
{
	switch (t) {
#define CASE(type)                                                             \
	case type:                                                             \
		matvec_type(type, w, n, r0, r1, xq, y, next);                  \
		return
		CASE(TT_Q8_0);
		CASE(TT_Q4_0);
		CASE(TT_IQ4_NL);
		CASE(TT_MXFP4);
		CASE(TT_Q2_K);
		CASE(TT_Q3_K);
		CASE(TT_Q4_K);
		CASE(TT_Q5_K);
		CASE(TT_Q6_K);
		CASE(TT_IQ2_XXS);
		CASE(TT_IQ4_XS);
#undef CASE
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_MAX:
		return;
	}
}

static const struct kern_ops ops = {
	.matvec = avx512_matvec,
	.matmul = avx512_matmul,
	KERN_FLOAT_OPS,
};

const struct kern_ops *const kern_ops_avx512 = &ops;

#else

const struct kern_ops *const kern_ops_avx512 = NULL;

#endif
