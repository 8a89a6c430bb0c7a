#include "inferd/kern_impl.h"

#include "base/compat.h"
#include "inferd/kern_v16_scalar.h"
#include "inferd/kern_float.h"

/*
 * The reference that the other instruction sets are compared with.  Sums are
 * unsigned here: steps in between may wrap, the whole fits.
 */
static uint32_t
sum_of_16(const uint8_t *w, const int8_t *x)
{
	int32_t s = 0;

	for (size_t i = 0; i < 16; i++)
		s += (int32_t)w[i] * x[i];
	return (uint32_t)s;
}

static float
dot_super(
    enum tensor_type t, const uint8_t *w, const struct act_super *x, size_t n)
{
	size_t bytes = tensor_type_info(t)->bytes;
	uint32_t zero = quant_zero(t);
	struct quant_block u;
	float acc = 0;

	for (; n > 0; n -= QUANT_SUPER, w += bytes, x++) {
		uint32_t sum = 0, off = 0;

		quant_unpack(t, w, &u);
		for (size_t k = 0; k < QUANT_SUBS; k++) {
			uint32_t sc = (uint32_t)u.sc[k];
			uint32_t xs = (uint32_t)x->sum[k];

			sum += sc * (uint32_t)x->m[k] *
			       sum_of_16(u.q + 16 * k, x->q + 16 * k);
			sum -= zero * sc * xs;
			off += (uint32_t)u.mn[k] * xs;
		}
		acc = fmaf(u.d * x->d, (float)(int32_t)sum, acc);
		if (zero == 0)
			acc = fmaf(-(u.dmin * x->d), (float)(int32_t)off, acc);
	}
	return acc;
}

static float
dot_small(
    enum tensor_type t, const uint8_t *w, const struct act_small *x, size_t n)
{
	size_t bytes = tensor_type_info(t)->bytes;
	int32_t zero = (int32_t)quant_zero(t);
	struct quant_block u;
	float acc = 0;

	for (size_t b = 0; b < n / QUANT_SMALL; b++, w += bytes) {
		const int8_t *q = x->q + QUANT_SMALL * b;
		uint32_t sum;

		quant_unpack(t, w, &u);
		sum = sum_of_16(u.q, q) + sum_of_16(u.q + 16, q + 16) -
		      (uint32_t)(zero * x->sum[b]);
		acc = fmaf(u.d * x->d[b], (float)(int32_t)sum, acc);
	}
	return acc;
}

static void
scalar_matvec(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, float *y, const void *next)
{
	size_t bytes = tensor_row_bytes(t, n);
	bool is_super = act_kind(t) == ACT_SUPER;
	struct act_small small = act_small(xq, n);

	(void)next;
	for (size_t r = r0; r < r1; r++) {
		const uint8_t *p = (const uint8_t *)w + r * bytes;

		y[r] = is_super ? dot_super(t, p, xq, n)
				: dot_small(t, p, &small, n);
	}
}

static void
scalar_matmul(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, size_t xq_stride, size_t nt, float *y, size_t y_stride)
{
	for (size_t i = 0; i < nt; i++)
		scalar_matvec(t, w, n, r0, r1,
		    (const uint8_t *)xq + i * xq_stride, y + i * y_stride,
		    NULL);
}

static const struct kern_ops ops = {
	.matvec = scalar_matvec,
	.matmul = scalar_matmul,
	KERN_FLOAT_OPS,
};

const struct kern_ops *const kern_ops_scalar = &ops;
