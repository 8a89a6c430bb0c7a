/* Sixteen floats, as four registers; see kern_v16_scalar.h. */
#ifndef BRIG_INFERD_KERN_V16_NEON_H
#define BRIG_INFERD_KERN_V16_NEON_H

#include <arm_neon.h>
#include <math.h>

typedef struct {
	float32x4_t a, b, c, d;
} v16;

#define V16_FOUR(name, op)                                                     \
	always_inline v16 name(v16 x, v16 y)                                   \
	{                                                                      \
		return (v16){ op(x.a, y.a), op(x.b, y.b), op(x.c, y.c),        \
			op(x.d, y.d) };                                        \
	}

/* What the other machines do with NaN and with two zeros: y. */
always_inline float32x4_t
v4_max(float32x4_t x, float32x4_t y)
{
	return vbslq_f32(vcgtq_f32(x, y), x, y);
}

always_inline float32x4_t
v4_min(float32x4_t x, float32x4_t y)
{
	return vbslq_f32(vcltq_f32(x, y), x, y);
}

V16_FOUR(v16_add, vaddq_f32)
V16_FOUR(v16_sub, vsubq_f32)
V16_FOUR(v16_mul, vmulq_f32)
V16_FOUR(v16_div, vdivq_f32)
V16_FOUR(v16_max, v4_max)
V16_FOUR(v16_min, v4_min)

always_inline v16
v16_set1(float f)
{
	float32x4_t a = vdupq_n_f32(f);

	return (v16){ a, a, a, a };
}

always_inline v16
v16_load(const float *p)
{
	return (v16){ vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8),
		vld1q_f32(p + 12) };
}

always_inline void
v16_store(float *p, v16 x)
{
	vst1q_f32(p, x.a);
	vst1q_f32(p + 4, x.b);
	vst1q_f32(p + 8, x.c);
	vst1q_f32(p + 12, x.d);
}

always_inline float32x4_t
v4_f16(const uint8_t *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

always_inline v16
v16_f16(const uint8_t *p)
{
	return (
	    v16){ v4_f16(p), v4_f16(p + 8), v4_f16(p + 16), v4_f16(p + 24) };
}

always_inline float32x4_t
v4_bf16(const uint8_t *p)
{
	uint16x4_t w = vreinterpret_u16_u8(vld1_u8(p));

	return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(w), 16));
}

always_inline v16
v16_bf16(const uint8_t *p)
{
	return (v16){ v4_bf16(p), v4_bf16(p + 8), v4_bf16(p + 16),
		v4_bf16(p + 24) };
}

always_inline v16
v16_i8(const uint8_t *p)
{
	int8x16_t v = vreinterpretq_s8_u8(vld1q_u8(p));
	int16x8_t l = vmovl_s8(vget_low_s8(v)), h = vmovl_high_s8(v);

	return (v16){ vcvtq_f32_s32(vmovl_s16(vget_low_s16(l))),
		vcvtq_f32_s32(vmovl_high_s16(l)),
		vcvtq_f32_s32(vmovl_s16(vget_low_s16(h))),
		vcvtq_f32_s32(vmovl_high_s16(h)) };
}

always_inline v16
v16_fma(v16 x, v16 y, v16 z)
{
	return (v16){ vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b),
		vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d) };
}

always_inline v16
v16_abs(v16 x)
{
	return (v16){ vabsq_f32(x.a), vabsq_f32(x.b), vabsq_f32(x.c),
		vabsq_f32(x.d) };
}

always_inline v16
v16_rint(v16 x)
{
	return (v16){ vrndnq_f32(x.a), vrndnq_f32(x.b), vrndnq_f32(x.c),
		vrndnq_f32(x.d) };
}

always_inline v16
v16_if_less(v16 x, v16 limit, v16 yes, v16 no)
{
	return (v16){ vbslq_f32(vcltq_f32(x.a, limit.a), yes.a, no.a),
		vbslq_f32(vcltq_f32(x.b, limit.b), yes.b, no.b),
		vbslq_f32(vcltq_f32(x.c, limit.c), yes.c, no.c),
		vbslq_f32(vcltq_f32(x.d, limit.d), yes.d, no.d) };
}

always_inline float32x4_t
v4_pow2(float32x4_t k)
{
	int32x4_t e = vaddq_s32(vcvtnq_s32_f32(k), vdupq_n_s32(127));

	return vreinterpretq_f32_s32(vshlq_n_s32(e, 23));
}

always_inline v16
v16_pow2(v16 k)
{
	return (v16){ v4_pow2(k.a), v4_pow2(k.b), v4_pow2(k.c), v4_pow2(k.d) };
}

always_inline int32_t
v16_to_i8(int8_t *p, v16 x)
{
	int16x8_t l = vqmovn_high_s32(
	    vqmovn_s32(vcvtnq_s32_f32(x.a)), vcvtnq_s32_f32(x.b));
	int16x8_t h = vqmovn_high_s32(
	    vqmovn_s32(vcvtnq_s32_f32(x.c)), vcvtnq_s32_f32(x.d));

	vst1q_s8(p, vqmovn_high_s16(vqmovn_s16(l), h));
	return vaddvq_s16(vaddq_s16(l, h));
}

always_inline void
v16_to_f16(uint8_t *p, v16 x)
{
	float16x8_t l = vcvt_high_f16_f32(vcvt_f16_f32(x.a), x.b);
	float16x8_t h = vcvt_high_f16_f32(vcvt_f16_f32(x.c), x.d);

	vst1q_u8(p, vreinterpretq_u8_f16(l));
	vst1q_u8(p + 16, vreinterpretq_u8_f16(h));
}

always_inline float
v16_sum(v16 x)
{
	float32x4_t q = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
	float32x2_t h = vadd_f32(vget_low_f32(q), vget_high_f32(q));

	return vget_lane_f32(h, 0) + vget_lane_f32(h, 1);
}

/* The same comparisons in the same order, as NaN wants it. */
always_inline float
v16_hmax(v16 x)
{
	float32x4_t q = v4_max(v4_max(x.d, x.b), v4_max(x.c, x.a));

	q = v4_max(vextq_f32(q, q, 2), q);
	q = v4_max(vextq_f32(q, q, 1), q);
	return vgetq_lane_f32(q, 0);
}

#endif
