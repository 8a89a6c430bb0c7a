/*
 * Between the kernels' own files: how activations lie in memory, and the table
 * of functions that each instruction set fills.
 */
#ifndef BRIG_INFERD_KERN_IMPL_H
#define BRIG_INFERD_KERN_IMPL_H

#include "inferd/kern.h"
#include "inferd/quant.h"

/* Below this a block of activations counts as zero. */
#define ACT_TINY 1e-30f
/* Steps of the scales within a block of ACT_SUPER. */
#define ACT_STEPS 15

/*
 * 256 activations: x[i] is about d * m[i / 16] * q[i].  Each 32 have a scale
 * m of their own, as an integer, so that sums over a block stay exact: less
 * noise than one scale for all.  The largest possible sum of the worst type
 * (Q6_K: 256 * 32 * 127 * 128 * 15) fits 32 bits.
 */
struct act_super {
	_Alignas(64) int8_t q[QUANT_SUPER];
	int16_t sum[QUANT_SUBS]; /* of each 16: m * (sum of q) */
	int16_t m[QUANT_SUBS];
	/* once for each 32: m, m in words, sums of the first 16, of the rest */
	int32_t m32[QUANT_SUPER / 32];
	int16_t m16[QUANT_SUPER / 32];
	int16_t first[QUANT_SUPER / 32], second[QUANT_SUPER / 32];
	float d;
	uint32_t unused[11];
};

/*
 * A row of n ACT_SMALL activations: n codes, then n / 32 scales, then n / 32
 * sums of codes.
 */
struct act_small {
	const int8_t *q;
	const float *d;
	const int32_t *sum;
};

static inline struct act_small
act_small(const void *row, size_t n)
{
	const int8_t *q = row;
	const float *d = (const void *)(q + n);

	return (struct act_small){ q, d, (const void *)(d + n / QUANT_SMALL) };
}

#define always_inline static inline __attribute__((always_inline))

/* What quant_zero() and tensor_type_info() say, known to the compiler. */
always_inline unsigned
quant_zero_of(enum tensor_type t)
{
	return t == TT_Q4_0                                       ? 8
	       : t == TT_MXFP4                                    ? 12
	       : t == TT_Q3_K                                     ? 4
	       : t == TT_Q6_K                                     ? 32
	       : t == TT_IQ2_XXS                                  ? 64
	       : t == TT_Q8_0 || t == TT_IQ4_NL || t == TT_IQ4_XS ? 128
								  : 0;
}

always_inline size_t
tensor_type_block(enum tensor_type t)
{
	return t == TT_Q8_0 || t == TT_Q4_0 || t == TT_IQ4_NL || t == TT_MXFP4
		   ? QUANT_SMALL
		   : QUANT_SUPER;
}

always_inline size_t
tensor_type_bytes(enum tensor_type t)
{
	return t == TT_Q8_0                     ? 34
	       : t == TT_Q4_0 || t == TT_IQ4_NL ? 18
	       : t == TT_MXFP4                  ? 17
	       : t == TT_Q2_K                   ? 84
	       : t == TT_Q3_K                   ? 110
	       : t == TT_Q4_K                   ? 144
	       : t == TT_Q5_K                   ? 176
	       : t == TT_Q6_K                   ? 210
	       : t == TT_IQ2_XXS                ? 66
						: 136;
}

/* Whether there are offsets, and dmin behind d. */
always_inline bool
has_offsets(enum tensor_type t)
{
	return t == TT_Q4_K || t == TT_Q5_K || t == TT_Q2_K;
}

/* Whether scales are of 16 elements; else of 32. */
always_inline bool
is_fine(enum tensor_type t)
{
	return t == TT_Q6_K || t == TT_Q3_K || t == TT_Q2_K;
}

/* Where a block keeps d. */
always_inline size_t
place_of_d(enum tensor_type t)
{
	if (t == TT_Q2_K)
		return 80;
	if (t == TT_Q3_K)
		return 108;
	return t == TT_Q6_K ? 208 : 0;
}

always_inline uint32_t
u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The scales and offsets of Q4_K and Q5_K, a byte each. */
always_inline void
bytes_of_6bit(const uint8_t *p, uint64_t *sc, uint64_t *mn)
{
	uint32_t a = u32_at(p), b = u32_at(p + 4), c = u32_at(p + 8);
	uint64_t sc_high = (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030);
	uint64_t mn_high = (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030);

	*sc = sc_high << 32 | (a & 0x3f3f3f3f);
	*mn = mn_high << 32 | (b & 0x3f3f3f3f);
}

/*
 * How far ahead weights are fetched from memory, at least.  They are asked for
 * in the order in which they lie there, and into the second cache.  Row by row
 * and into the first one, a thread got 8 GB/s in place of 20 (an EPYC with busy
 * neighbours): a processor has few loads of that kind under way, and the memory
 * was far.
 */
#define AHEAD 12288
#define LINE 64 /* of the caches */

/* Weights that will be wanted soon; it does not matter what is there. */
always_inline void
fetch(const uint8_t *p, size_t bytes)
{
	_Pragma("GCC unroll 4") for (size_t i = 0; i < bytes; i += LINE)
	    __builtin_prefetch(p + i, 0, 2);
}

/* Rows side by side take so many bytes: whole ones of those that follow. */
always_inline size_t
ahead_of(size_t rows)
{
	return (AHEAD / rows + 1) * rows;
}

/*
 * What is so many bytes ahead of p, past the end in what is read next; NULL:
 * that follows.
 */
always_inline const uint8_t *
beyond(const uint8_t *p, size_t bytes, const uint8_t *end, const uint8_t *next)
{
	const size_t left = (size_t)(end - p);

	return bytes < left || next == NULL ? p + bytes : next + (bytes - left);
}

/* Eight fields of 4 or of 2 bits, each as the lowest bits of a byte. */
always_inline uint64_t
spread_4(uint64_t v)
{
	v = (v | v << 16) & 0x0000ffff0000ffffULL;
	v = (v | v << 8) & 0x00ff00ff00ff00ffULL;
	return (v | v << 4) & 0x0f0f0f0f0f0f0f0fULL;
}

always_inline uint64_t
spread_2(uint64_t v)
{
	v = (v | v << 24) & 0x000000ff000000ffULL;
	v = (v | v << 12) & 0x000f000f000f000fULL;
	return (v | v << 6) & 0x0303030303030303ULL;
}

/* Scales of IQ4_XS, a byte each. */
always_inline uint64_t
scales_iq4_xs(const uint8_t *p)
{
	return spread_4(u32_at(p + 4)) | spread_2(quant_u16(p + 2)) << 4;
}

/* Scales of Q3_K, a byte each, in four words. */
always_inline void
scales_q3_k(const uint8_t *p, uint32_t out[4])
{
	uint32_t a = u32_at(p + 96), b = u32_at(p + 100), c = u32_at(p + 104);

	out[0] = (a & 0x0f0f0f0f) | (c << 4 & 0x30303030);
	out[1] = (b & 0x0f0f0f0f) | (c << 2 & 0x30303030);
	out[2] = (a >> 4 & 0x0f0f0f0f) | (c & 0x30303030);
	out[3] = (b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030);
}

/* Signs of 32 values of IQ2_XXS: of each eight seven are stored, the eighth
 * makes their number even. */
always_inline uint32_t
signs_iq2(uint32_t w)
{
	uint32_t s = (w & 0x7f) | (w << 1 & 0x7f00) | (w << 2 & 0x7f0000) |
		     (w << 3 & 0x7f000000);
	uint32_t odd = s ^ s >> 4;

	odd ^= odd >> 2;
	odd ^= odd >> 1;
	return s | (odd & 0x01010101) << 7;
}

struct kern_ops {
	void (*act_super)(const float *x, size_t n, struct act_super *out);
	void (*act_small)(
	    const float *x, size_t n, int8_t *q, float *d, int32_t *sum);
	/* Quantised types only; next: as of kern_matmul(). */
	void (*matvec)(enum tensor_type t, const void *w, size_t n, size_t r0,
	    size_t r1, const void *xq, float *y, const void *next);
	void (*matmul)(enum tensor_type t, const void *w, size_t n, size_t r0,
	    size_t r1, const void *xq, size_t xq_stride, size_t nt, float *y,
	    size_t y_stride);
	void (*glu_join)(enum glu kind, const float *g, const float *u,
	    const float *gbias, const float *ubias, size_t n, float *h);
	void (*axpy)(float a, const float *x, size_t n, float *y);
	void (*rms_norm)(
	    const float *x, const float *weight, float eps, size_t n, float *y);
	float (*max)(const float *x, size_t n);
	float (*exp_sum)(float *x, size_t n, float max);
	void (*scale)(float *x, size_t n, float a);
	void (*exp)(float *x, size_t n);
	void (*dot_rows)(enum tensor_type t, const void *rows, size_t stride,
	    size_t nrows, const float *x, size_t n, float *y);
	void (*axpy_rows)(enum tensor_type t, const void *rows, size_t stride,
	    size_t nrows, const float *a, size_t n, float *y);
	void (*dot_group)(enum tensor_type t, const void *rows, size_t stride,
	    size_t nrows, const float *x, size_t x_stride, size_t nx, size_t n,
	    float *y, size_t y_stride);
	void (*axpy_group)(enum tensor_type t, const void *rows, size_t stride,
	    size_t nrows, const float *a, size_t a_stride, size_t nx, size_t n,
	    float *y, size_t y_stride);
	void (*store_row)(
	    enum tensor_type t, const float *x, size_t n, void *row);
	void (*gate)(const float *g, size_t n, float *y);
	void (*conv)(const float *const *x, const float *w, size_t w_stride,
	    size_t taps, size_t n, float *y);
	void (*delta)(float *s, size_t rows, size_t n,
	    const struct delta_step *x, float *y);
};

/* NULL: not in this build. */
extern const struct kern_ops *const kern_ops_scalar;
extern const struct kern_ops *const kern_ops_avx2;
extern const struct kern_ops *const kern_ops_avxvnni;
extern const struct kern_ops *const kern_ops_avx512;
extern const struct kern_ops *const kern_ops_neon;
extern const struct kern_ops *const kern_ops_neon_dot;
extern const struct kern_ops *const kern_ops_neon_i8mm;

#endif
