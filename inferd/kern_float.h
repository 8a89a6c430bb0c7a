/*
 * Operations on floats, written once over sixteen lanes (kern_v16_*.h) and
 * compiled for each instruction set.  Included after one of those headers, by
 * one file each.
 */
#ifndef BRIG_INFERD_KERN_FLOAT_H
#define BRIG_INFERD_KERN_FLOAT_H

/* Lanes past n are filled with `fill`. */
always_inline v16
load_some(const float *x, size_t i, size_t n, float fill)
{
	float tmp[16];

	if (i + 16 <= n)
		return v16_load(x + i);
	for (size_t l = 0; l < 16; l++)
		tmp[l] = i + l < n ? x[i + l] : fill;
	return v16_load(tmp);
}

always_inline void
store_some(float *x, size_t i, size_t n, v16 a)
{
	float tmp[16];

	if (i + 16 <= n) {
		v16_store(x + i, a);
		return;
	}
	v16_store(tmp, a);
	for (size_t l = 0; i + l < n; l++)
		x[i + l] = tmp[l];
}

always_inline v16
row_lanes(enum tensor_type t, const uint8_t *p, size_t i)
{
	if (t == TT_F32)
		return v16_load((const float *)(const void *)(p + 4 * i));
	if (t == TT_F16)
		return v16_f16(p + 2 * i);
	if (t == TT_BF16)
		return v16_bf16(p + 2 * i);
	p += i / QUANT_SMALL * 34;
	return v16_mul(
	    v16_set1(quant_f16(quant_u16(p))), v16_i8(p + 2 + i % QUANT_SMALL));
}

/* Elements i to i + 16 of a row of n, zero past its end. */
always_inline v16
row_some(enum tensor_type t, const uint8_t *p, size_t i, size_t n)
{
	uint8_t tmp[64] = { 0 };
	size_t size = t == TT_F32 ? 4 : 2;

	if (i + 16 <= n)
		return row_lanes(t, p, i);
	memcpy(tmp, p + size * i, size * (n - i));
	return row_lanes(t, tmp, 0);
}

always_inline void
dot_rows_type(enum tensor_type t, const uint8_t *rows, size_t stride,
    size_t nrows, const float *x, size_t n, float *y)
{
	const size_t width = t == TT_F32 ? 4 : 2;
	/* weights, which come from memory, have no gaps between rows */
	const bool fetched = t != TT_Q8_0 && stride == n * width;
	const uint8_t *next = rows + ahead_of(8 * stride);
	size_t r = 0;

	/* several rows at once, so that sums do not wait for each other */
	for (; r + 8 <= nrows; r += 8, rows += 8 * stride) {
		v16 acc[8];

		for (size_t k = 0; k < 8; k++)
			acc[k] = v16_set1(0);
		for (size_t i = 0; i < n; i += 16) {
			v16 v = load_some(x, i, n, 0);

			for (size_t k = 0; k < 8; k++)
				acc[k] = v16_fma(
				    row_some(t, rows + k * stride, i, n), v,
				    acc[k]);
			if (fetched)
				fetch(next + 8 * width * i, 8 * 16 * width);
		}
		next += 8 * stride;
		for (size_t k = 0; k < 8; k++)
			y[r + k] = v16_sum(acc[k]);
	}
	for (; r < nrows; r++, rows += stride) {
		v16 acc = v16_set1(0);

		for (size_t i = 0; i < n; i += 16)
			acc = v16_fma(row_some(t, rows, i, n),
			    load_some(x, i, n, 0), acc);
		y[r] = v16_sum(acc);
	}
}

static void
float_dot_rows(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *x, size_t n, float *y)
{
	if (t == TT_F32)
		dot_rows_type(TT_F32, rows, stride, nrows, x, n, y);
	else if (t == TT_F16)
		dot_rows_type(TT_F16, rows, stride, nrows, x, n, y);
	else if (t == TT_BF16)
		dot_rows_type(TT_BF16, rows, stride, nrows, x, n, y);
	else
		dot_rows_type(TT_Q8_0, rows, stride, nrows, x, n, y);
}

always_inline void
axpy_rows_type(enum tensor_type t, const uint8_t *rows, size_t stride,
    size_t nrows, const float *a, size_t n, float *y)
{
	size_t i = 0;

	for (; i + 64 <= n; i += 64) {
		v16 acc[4];

		for (size_t k = 0; k < 4; k++)
			acc[k] = v16_load(y + i + 16 * k);
		for (size_t r = 0; r < nrows; r++) {
			const uint8_t *p = rows + r * stride;
			v16 s = v16_set1(a[r]);

			for (size_t k = 0; k < 4; k++)
				acc[k] = v16_fma(
				    s, row_lanes(t, p, i + 16 * k), acc[k]);
		}
		for (size_t k = 0; k < 4; k++)
			v16_store(y + i + 16 * k, acc[k]);
	}
	for (; i < n; i += 16) {
		v16 acc = load_some(y, i, n, 0);

		for (size_t r = 0; r < nrows; r++)
			acc = v16_fma(v16_set1(a[r]),
			    row_some(t, rows + r * stride, i, n), acc);
		store_some(y, i, n, acc);
	}
}

static void
float_axpy_rows(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *a, size_t n, float *y)
{
	if (t == TT_F32)
		axpy_rows_type(TT_F32, rows, stride, nrows, a, n, y);
	else if (t == TT_F16)
		axpy_rows_type(TT_F16, rows, stride, nrows, a, n, y);
	else if (t == TT_BF16)
		axpy_rows_type(TT_BF16, rows, stride, nrows, a, n, y);
	else
		axpy_rows_type(TT_Q8_0, rows, stride, nrows, a, n, y);
}

static void
float_axpy(float a, const float *x, size_t n, float *y)
{
	for (size_t i = 0; i < n; i += 16)
		store_some(y, i, n,
		    v16_fma(v16_set1(a), load_some(x, i, n, 0),
			load_some(y, i, n, 0)));
}

static void
float_scale(float *x, size_t n, float a)
{
	for (size_t i = 0; i < n; i += 16)
		store_some(
		    x, i, n, v16_mul(load_some(x, i, n, 0), v16_set1(a)));
}

static void
float_rms_norm(
    const float *x, const float *weight, float eps, size_t n, float *y)
{
	v16 acc = v16_set1(0), s;

	for (size_t i = 0; i < n; i += 16) {
		v16 v = load_some(x, i, n, 0);

		acc = v16_fma(v, v, acc);
	}
	s = v16_set1(1.0f / sqrtf(v16_sum(acc) / (float)n + eps));
	for (size_t i = 0; i < n; i += 16) {
		v16 v = v16_mul(load_some(x, i, n, 0), s);

		if (weight != NULL)
			v = v16_mul(v, load_some(weight, i, n, 0));
		store_some(y, i, n, v);
	}
}

/*
 * exp(x) = 2^k exp(r) with |r| <= ln 2 / 2, the latter by its series to the
 * seventh power: within 2 units of the last place.  Below -87.33 it is 0, so
 * that no result is subnormal; above 88.37 it is what it is there.
 */
always_inline v16
v16_exp(v16 x)
{
	v16 low = v16_set1(-87.33f);
	v16 c = v16_min(v16_set1(88.37f), v16_max(low, x));
	v16 k = v16_rint(v16_mul(c, v16_set1(1.44269504f)));
	v16 r = v16_fma(k, v16_set1(-0.693359375f), c), p;

	r = v16_fma(k, v16_set1(2.12194440e-4f), r);
	p = v16_set1(1.98412698e-4f);
	p = v16_fma(p, r, v16_set1(1.38888889e-3f));
	p = v16_fma(p, r, v16_set1(8.33333333e-3f));
	p = v16_fma(p, r, v16_set1(4.16666667e-2f));
	p = v16_fma(p, r, v16_set1(1.66666667e-1f));
	p = v16_fma(p, r, v16_set1(0.5f));
	p = v16_fma(p, r, v16_set1(1.0f));
	p = v16_fma(p, r, v16_set1(1.0f));
	return v16_if_less(x, low, v16_set1(0), v16_mul(p, v16_pow2(k)));
}

static void
float_exp(float *x, size_t n)
{
	for (size_t i = 0; i < n; i += 16)
		store_some(x, i, n, v16_exp(load_some(x, i, n, 0)));
}

static float
float_max(const float *x, size_t n)
{
	v16 m = v16_set1(-INFINITY);

	for (size_t i = 0; i < n; i += 16)
		m = v16_max(load_some(x, i, n, -INFINITY), m);
	return v16_hmax(m);
}

static float
float_exp_sum(float *x, size_t n, float max)
{
	v16 sum = v16_set1(0), m = v16_set1(max);

	for (size_t i = 0; i < n; i += 16) {
		v16 e = v16_exp(v16_sub(load_some(x, i, n, -INFINITY), m));

		sum = v16_add(sum, e);
		store_some(x, i, n, e);
	}
	return v16_sum(sum);
}

always_inline v16
v16_sigmoid(v16 x)
{
	v16 one = v16_set1(1);

	return v16_div(one, v16_add(one, v16_exp(v16_sub(v16_set1(0), x))));
}

static void
float_glu_join(enum glu kind, const float *g, const float *u,
    const float *gbias, const float *ubias, size_t n, float *h)
{
	for (size_t i = 0; i < n; i += 16) {
		v16 a = load_some(g, i, n, 0), b = load_some(u, i, n, 0);

		if (gbias != NULL)
			a = v16_add(a, load_some(gbias, i, n, 0));
		if (ubias != NULL)
			b = v16_add(b, load_some(ubias, i, n, 0));
		if (kind == GLU_SILU) {
			a = v16_mul(a, v16_sigmoid(a));
			store_some(h, i, n, v16_mul(a, b));
			continue;
		}
		a = v16_min(v16_set1(7), a);
		b = v16_min(v16_set1(7), v16_max(v16_set1(-7), b));
		a = v16_mul(a, v16_sigmoid(v16_mul(v16_set1(1.702f), a)));
		store_some(h, i, n, v16_mul(a, v16_add(b, v16_set1(1))));
	}
}

/* Codes of 16 activations; returns their sum. */
always_inline int32_t
codes(const float *x, float inverse, int8_t *q)
{
	v16 v = v16_rint(v16_mul(v16_load(x), v16_set1(inverse)));

	v = v16_max(v16_set1(-127), v16_min(v16_set1(127), v));
	/* NaN is no code */
	v = v16_if_less(v16_abs(v), v16_set1(128), v, v16_set1(0));
	return v16_to_i8(q, v);
}

always_inline float
largest_of_32(const float *x)
{
	return v16_hmax(
	    v16_max(v16_abs(v16_load(x)), v16_abs(v16_load(x + 16))));
}

static void
float_act_super(const float *x, size_t n, struct act_super *out)
{
	for (; n > 0; n -= QUANT_SUPER, x += QUANT_SUPER, out++) {
		float amax[8], largest = 0, d;

		for (size_t j = 0; j < 8; j++) {
			amax[j] = largest_of_32(x + 32 * j);
			if (amax[j] > largest)
				largest = amax[j];
		}
		if (largest < ACT_TINY) {
			memset(out, 0, sizeof(*out));
			continue;
		}
		d = largest / (127.0f * ACT_STEPS);
		out->d = d;
		memset(out->unused, 0, sizeof(out->unused));
		for (size_t j = 0; j < 8; j++) {
			float steps = ceilf(amax[j] * (ACT_STEPS / largest));
			int m = steps < 1           ? 1
				: steps < ACT_STEPS ? (int)steps
						    : ACT_STEPS;
			float inverse = 1.0f / (d * (float)m);

			out->m32[j] = m;
			out->m16[j] = (int16_t)m;
			for (size_t h = 2 * j; h < 2 * j + 2; h++) {
				out->m[h] = (int16_t)m;
				out->sum[h] =
				    (int16_t)(m * codes(x + 16 * h, inverse,
						      out->q + 16 * h));
			}
			out->first[j] = out->sum[2 * j];
			out->second[j] = out->sum[2 * j + 1];
		}
	}
}

static void
float_act_small(const float *x, size_t n, int8_t *q, float *d, int32_t *sum)
{
	for (size_t b = 0; b < n / QUANT_SMALL; b++, x += 32, q += 32) {
		float largest = largest_of_32(x);

		if (largest < ACT_TINY) {
			memset(q, 0, 32);
			d[b] = 0;
			sum[b] = 0;
			continue;
		}
		d[b] = largest / 127.0f;
		sum[b] = codes(x, 127.0f / largest, q);
		sum[b] += codes(x + 16, 127.0f / largest, q + 16);
	}
}

static void
float_store_row(enum tensor_type t, const float *x, size_t n, void *row)
{
	uint8_t *p = row, tmp[32];

	if (t == TT_F32) {
		memcpy(p, x, n * sizeof(*x));
		return;
	}
	if (t == TT_F16) {
		for (size_t i = 0; i < n; i += 16) {
			v16_to_f16(tmp, load_some(x, i, n, 0));
			memcpy(p + 2 * i, tmp, n - i < 16 ? 2 * (n - i) : 32);
		}
		return;
	}
	for (; n > 0; n -= QUANT_SMALL, x += QUANT_SMALL, p += 34) {
		float largest = largest_of_32(x);

		/* the scale is what the codes will be multiplied with */
		v16_to_f16(tmp, v16_set1(largest / 127.0f));
		memcpy(p, tmp, 2);
		largest = quant_f16(quant_u16(p));
		largest = largest > 0 ? 1.0f / largest : 0;
		for (size_t h = 0; h < 2; h++) {
			int8_t q[16];

			codes(x + 16 * h, largest, q);
			memcpy(p + 2 + 16 * h, q, 16);
		}
	}
}

#include "inferd/kern_delta.h"
#include "inferd/kern_group.h"

#define KERN_FLOAT_OPS                                                         \
	.act_super = float_act_super, .act_small = float_act_small,            \
	.glu_join = float_glu_join, .axpy = float_axpy,                        \
	.rms_norm = float_rms_norm, .max = float_max,                          \
	.exp_sum = float_exp_sum, .scale = float_scale, .exp = float_exp,      \
	.dot_rows = float_dot_rows, .axpy_rows = float_axpy_rows,              \
	.dot_group = float_dot_group, .axpy_group = float_axpy_group,          \
	.store_row = float_store_row, .gate = float_gate, .conv = float_conv,  \
	.delta = float_delta

#endif
