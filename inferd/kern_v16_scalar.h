/*
 * Sixteen floats, in plain C.  The other kern_v16_*.h say the same in an
 * instruction set each; kern_float.h is written once over them.
 */
#ifndef BRIG_INFERD_KERN_V16_SCALAR_H
#define BRIG_INFERD_KERN_V16_SCALAR_H

#include <math.h>

typedef struct {
	float f[16];
} v16;

#define V16_EACH(expr)                                                         \
	v16 r;                                                                 \
	for (int i = 0; i < 16; i++)                                           \
		r.f[i] = (expr);                                               \
	return r

always_inline v16
v16_set1(float a)
{
	V16_EACH(a);
}

always_inline v16
v16_load(const float *p)
{
	v16 r;

	memcpy(&r, p, sizeof(r));
	return r;
}

always_inline void
v16_store(float *p, v16 a)
{
	memcpy(p, &a, sizeof(a));
}

always_inline v16
v16_f16(const uint8_t *p)
{
	V16_EACH(quant_f16(quant_u16(p + 2 * i)));
}

always_inline v16
v16_bf16(const uint8_t *p)
{
	V16_EACH(quant_bf16(quant_u16(p + 2 * i)));
}

always_inline v16
v16_i8(const uint8_t *p)
{
	V16_EACH((float)(int8_t)p[i]);
}

always_inline v16
v16_add(v16 a, v16 b)
{
	V16_EACH(a.f[i] + b.f[i]);
}

always_inline v16
v16_sub(v16 a, v16 b)
{
	V16_EACH(a.f[i] - b.f[i]);
}

always_inline v16
v16_mul(v16 a, v16 b)
{
	V16_EACH(a.f[i] * b.f[i]);
}

always_inline v16
v16_div(v16 a, v16 b)
{
	V16_EACH(a.f[i] / b.f[i]);
}

always_inline v16
v16_fma(v16 a, v16 b, v16 c)
{
	V16_EACH(fmaf(a.f[i], b.f[i], c.f[i]));
}

/* b where either is NaN, as the instructions have it. */
always_inline v16
v16_max(v16 a, v16 b)
{
	V16_EACH(a.f[i] > b.f[i] ? a.f[i] : b.f[i]);
}

always_inline v16
v16_min(v16 a, v16 b)
{
	V16_EACH(a.f[i] < b.f[i] ? a.f[i] : b.f[i]);
}

always_inline v16
v16_abs(v16 a)
{
	V16_EACH(fabsf(a.f[i]));
}

always_inline v16
v16_rint(v16 a)
{
	V16_EACH(rintf(a.f[i]));
}

/* r where a < limit, else b. */
always_inline v16
v16_if_less(v16 a, v16 limit, v16 x, v16 b)
{
	V16_EACH(a.f[i] < limit.f[i] ? x.f[i] : b.f[i]);
}

/* 2^k for integers k from -126 to 127 */
always_inline v16
v16_pow2(v16 k)
{
	V16_EACH(quant_float((uint32_t)(lrintf(k.f[i]) + 127) << 23));
}

/* Integers from -127 to 127 as bytes; returns their sum. */
always_inline int32_t
v16_to_i8(int8_t *p, v16 a)
{
	int32_t sum = 0;

	for (int i = 0; i < 16; i++)
		sum += p[i] = (int8_t)lrintf(a.f[i]);
	return sum;
}

always_inline uint16_t
f16_from_float(float f)
{
	uint32_t x, sign, exp;

	memcpy(&x, &f, sizeof(x));
	sign = x >> 16 & 0x8000;
	x &= 0x7fffffff;
	if (x > 0x7f800000) /* NaN, made quiet */
		return (uint16_t)(sign | 0x7e00 | (x >> 13 & 0x3ff));
	if (x >= 0x477ff000) /* rounds to more than 65504 */
		return (uint16_t)(sign | 0x7c00);
	if (x < 0x38800000) /* subnormal: in steps of 2^-24 */
		return (uint16_t)(sign | (uint32_t)lrintf(fabsf(f) * 0x1p24f));
	exp = x - (112u << 23);
	/* to the nearest, ties to even */
	return (uint16_t)(sign | (exp + 0xfff + (exp >> 13 & 1)) >> 13);
}

always_inline void
v16_to_f16(uint8_t *p, v16 a)
{
	for (int i = 0; i < 16; i++) {
		uint16_t h = f16_from_float(a.f[i]);

		memcpy(p + 2 * i, &h, sizeof(h));
	}
}

/* The one order in which lanes are joined. */
always_inline float
v16_sum(v16 a)
{
	for (int n = 8; n > 0; n /= 2)
		for (int i = 0; i < n; i++)
			a.f[i] += a.f[i + n];
	return a.f[0];
}

always_inline float
v16_hmax(v16 a)
{
	for (int n = 8; n > 0; n /= 2)
		for (int i = 0; i < n; i++)
			if (a.f[i + n] > a.f[i])
				a.f[i] = a.f[i + n];
	return a.f[0];
}

#endif
