/*
 * Products on pairs of registers of 16 bytes, for kern_rows.h.  Included by
 * kern_neon*.c, which say how products are added to a lane:
 *	dot_bytes(acc, w, x)		each lane has four of both
 *	dot_lane(acc, w, x, lane)	four of w, and those of one lane of x
 * Codes are signed bytes here, less the zero of their type.
 */
#ifndef BRIG_INFERD_KERN_NEON_H
#define BRIG_INFERD_KERN_NEON_H

#define COLS 4

typedef struct {
	float32x4_t a, b;
} v8;
typedef struct {
	int32x4_t a, b;
} v8i;
typedef int32x4_t part;

struct super {
	v8i q[8];
	v8i sc; /* 16 words */
	v8i mn; /* of the types with offsets */
};

always_inline int
zero_here(enum tensor_type t)
{
	return 0;
}

always_inline v8
v8_set1(float f)
{
	return (v8){ vdupq_n_f32(f), vdupq_n_f32(f) };
}

always_inline v8
v8_zero(void)
{
	return v8_set1(0);
}

always_inline v8
v8_load(const float *p)
{
	return (v8){ vld1q_f32(p), vld1q_f32(p + 4) };
}

always_inline void
v8_store(float *p, v8 x)
{
	vst1q_f32(p, x.a);
	vst1q_f32(p + 4, x.b);
}

always_inline v8
v8_mul(v8 x, v8 y)
{
	return (v8){ vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b) };
}

/* z + x y */
always_inline v8
v8_fma(v8 x, v8 y, v8 z)
{
	return (v8){ vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b) };
}

/* z - x y */
always_inline v8
v8_fnma(v8 x, v8 y, v8 z)
{
	return (v8){ vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b) };
}

always_inline v8
v8_of(v8i x)
{
	return (v8){ vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b) };
}

always_inline v8i
v8i_set1(int32_t i)
{
	return (v8i){ vdupq_n_s32(i), vdupq_n_s32(i) };
}

always_inline v8i
v8i_zero(void)
{
	return v8i_set1(0);
}

always_inline v8i
v8i_add(v8i x, v8i y)
{
	return (v8i){ vaddq_s32(x.a, y.a), vaddq_s32(x.b, y.b) };
}

always_inline v8i
v8i_sub(v8i x, v8i y)
{
	return (v8i){ vsubq_s32(x.a, y.a), vsubq_s32(x.b, y.b) };
}

always_inline v8i
v8i_mul(v8i x, v8i y)
{
	return (v8i){ vmulq_s32(x.a, y.a), vmulq_s32(x.b, y.b) };
}

always_inline float
half_float(uint16_t h)
{
	__fp16 f;

	memcpy(&f, &h, sizeof(f));
	return (float)f;
}

/* The sums of four registers, in one. */
always_inline int32x4_t
join_4(const int32x4_t s[4])
{
	return vpaddq_s32(vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]));
}

always_inline v8i
join(const part s[8])
{
	return (v8i){ join_4(s), join_4(s + 4) };
}

/* 16 codes times activations, in four lanes. */
always_inline int32x4_t
dot_16(int32x4_t acc, int32x4_t w, const int8_t *x)
{
	return dot_bytes(acc, (int8x16_t)w, vld1q_s8(x));
}

always_inline part
small_sum(enum tensor_type t, v8i w, const int8_t *x)
{
	return dot_16(dot_16(vdupq_n_s32(0), w.a, x), w.b, x + 16);
}

/* Sum of scale times code times activation over a block, in four lanes. */
always_inline part
block_sum(enum tensor_type t, const struct super *s, const struct act_super *x)
{
	const int32x4_t none = vdupq_n_s32(0);
	int32x4_t acc = none;

	for (int k = 0; k < 4 && is_fine(t); k++) {
		const v8i *q = s->q + 2 * k;
		const int8_t *v = x->q + 64 * k;
		int32x4_t sum[4] = { dot_16(none, q[0].a, v),
			dot_16(none, q[0].b, v + 16),
			dot_16(none, q[1].a, v + 32),
			dot_16(none, q[1].b, v + 48) };
		int16x8_t sc = (int16x8_t)(k < 2 ? s->sc.a : s->sc.b);
		int16x8_t m = vld1q_s16(x->m + k / 2 * 8);

		acc = vmlaq_s32(acc, join_4(sum),
		    k % 2 == 0 ? vmull_s16(vget_low_s16(sc), vget_low_s16(m))
			       : vmull_high_s16(sc, m));
	}
	for (int k = 0; k < 2 && !is_fine(t); k++) {
		int32x4_t sum[4];
		/* words come in equal pairs */
		int32x4_t sc = vshrq_n_s32(k == 0 ? s->sc.a : s->sc.b, 16);

		for (int i = 0; i < 4; i++)
			sum[i] = small_sum(
			    t, s->q[4 * k + i], x->q + 128 * k + 32 * i);
		acc = vmlaq_s32(
		    acc, join_4(sum), vmulq_s32(sc, vld1q_s32(x->m32 + 4 * k)));
	}
	return acc;
}

always_inline part
words_sum(v8i w, const int16_t *x)
{
	int16x8_t a = (int16x8_t)w.a, b = (int16x8_t)w.b;
	int16x8_t u = vld1q_s16(x), v = vld1q_s16(x + 8);
	int32x4_t acc = vmull_s16(vget_low_s16(a), vget_low_s16(u));

	acc = vmlal_high_s16(acc, a, u);
	acc = vmlal_s16(acc, vget_low_s16(b), vget_low_s16(v));
	return vmlal_high_s16(acc, b, v);
}

always_inline v8i
sum_words(enum tensor_type t, const struct super *s)
{
	return s->mn;
}

/* Lower or upper words, as integers. */
always_inline v8i
widen(v8i w, int half)
{
	int16x8_t v = (int16x8_t)(half == 0 ? w.a : w.b);

	return (v8i){ vmovl_s16(vget_low_s16(v)), vmovl_high_s16(v) };
}

always_inline int32x4_t
dot_words_4(int32x4_t acc, int32x4_t a, int32x4_t b)
{
	int16x8_t u = (int16x8_t)a, v = (int16x8_t)b;

	return vaddq_s32(
	    acc, vpaddq_s32(vmull_s16(vget_low_s16(u), vget_low_s16(v)),
		     vmull_high_s16(u, v)));
}

always_inline v8i
dot_words(v8i acc, v8i a, v8i b)
{
	return (
	    v8i){ dot_words_4(acc.a, a.a, b.a), dot_words_4(acc.b, a.b, b.b) };
}

always_inline v8i
four_codes(const void *x)
{
	int32_t v;

	memcpy(&v, x, sizeof(v));
	return v8i_set1(v);
}

/* 4 rows of 4 words become columns. */
always_inline void
transpose_4(const int32x4_t in[4], int32x4_t out[4])
{
	int64x2_t a = (int64x2_t)vtrn1q_s32(in[0], in[1]);
	int64x2_t b = (int64x2_t)vtrn2q_s32(in[0], in[1]);
	int64x2_t c = (int64x2_t)vtrn1q_s32(in[2], in[3]);
	int64x2_t d = (int64x2_t)vtrn2q_s32(in[2], in[3]);

	out[0] = (int32x4_t)vtrn1q_s64(a, c);
	out[1] = (int32x4_t)vtrn1q_s64(b, d);
	out[2] = (int32x4_t)vtrn2q_s64(a, c);
	out[3] = (int32x4_t)vtrn2q_s64(b, d);
}

/* 8 rows of 8 words become columns. */
always_inline void
transpose(const v8i in[8], v8i out[8])
{
	int32x4_t a[8], b[8];

	for (int h = 0; h < 2; h++) {
		const v8i *r = in + 4 * h;

		transpose_4(
		    (int32x4_t[]){ r[0].a, r[1].a, r[2].a, r[3].a }, a + 4 * h);
		transpose_4(
		    (int32x4_t[]){ r[0].b, r[1].b, r[2].b, r[3].b }, b + 4 * h);
	}
	for (int k = 0; k < 4; k++) {
		out[k] = (v8i){ a[k], a[4 + k] };
		out[4 + k] = (v8i){ b[k], b[4 + k] };
	}
}

/* acc[c] = codes of groups from to to, a row in each lane, and activations. */
always_inline void
groups_by_lanes(
    const v8i *w, const int8_t *const x[COLS], int from, int to, v8i acc[COLS])
{
#define LANE(c, v, lane)                                                       \
	acc[c].a = dot_lane(acc[c].a, (int8x16_t)w[g + lane].a, v, lane);      \
	acc[c].b = dot_lane(acc[c].b, (int8x16_t)w[g + lane].b, v, lane)

	for (int c = 0; c < COLS; c++)
		acc[c] = v8i_zero();
	for (int g = from; g < to; g += 4)
		for (int c = 0; c < COLS; c++) {
			int8x16_t v = vld1q_s8(x[c] + 4 * g);

			LANE(c, v, 0);
			LANE(c, v, 1);
			LANE(c, v, 2);
			LANE(c, v, 3);
		}
#undef LANE
}

#endif
