/*
 * Blocks of weights taken apart into pairs of registers of 16 bytes, for NEON:
 * the codes in their order, less the zero of their type, and the scales as 16
 * words.
 */
#ifndef BRIG_INFERD_KERN_NEON_LOAD_H
#define BRIG_INFERD_KERN_NEON_LOAD_H

#define PAIR(x, y)                                                             \
	(v8i)                                                                  \
	{                                                                      \
		(int32x4_t)(x), (int32x4_t)(y)                                 \
	}
#define BYTES(x) ((uint8x16_t)(x))

always_inline v8i
load_32(const uint8_t *p)
{
	return PAIR(vld1q_u8(p), vld1q_u8(p + 16));
}

always_inline v8i
masked(v8i v, uint8_t mask)
{
	uint8x16_t m = vdupq_n_u8(mask);

	return PAIR(BYTES(v.a) & m, BYTES(v.b) & m);
}

always_inline v8i
right(v8i v, int by)
{
	return PAIR(BYTES(v.a) >> by, BYTES(v.b) >> by);
}

always_inline v8i
left(v8i v, int by)
{
	return PAIR(BYTES(v.a) << by, BYTES(v.b) << by);
}

always_inline v8i
both(v8i x, v8i y)
{
	return PAIR(x.a | y.a, x.b | y.b);
}

always_inline v8i
less_zero(enum tensor_type t, v8i v)
{
	uint8x16_t z = vdupq_n_u8((uint8_t)quant_zero_of(t));

	return PAIR(BYTES(v.a) - z, BYTES(v.b) - z);
}

/* Eight bytes as eight pairs of equal words. */
always_inline v8i
pairs_of_words(uint64_t bytes)
{
	uint16x8_t w = vmovl_u8(vcreate_u8(bytes));

	return PAIR(vzip1q_u16(w, w), vzip2q_u16(w, w));
}

always_inline void
load_q45_k(bool five, const uint8_t *p, struct super *s)
{
	const uint8_t *q = p + (five ? 48 : 16);
	uint64_t sc, mn;

	for (int k = 0; k < 4; k++) {
		v8i v = load_32(q + 32 * k), high;

		s->q[2 * k] = masked(v, 15);
		s->q[2 * k + 1] = right(v, 4);
		if (!five)
			continue;
		high = right(load_32(p + 16), 2 * k);
		s->q[2 * k] = both(s->q[2 * k], left(masked(high, 1), 4));
		s->q[2 * k + 1] =
		    both(s->q[2 * k + 1], left(masked(high, 2), 3));
	}
	bytes_of_6bit(p + 4, &sc, &mn);
	s->sc = pairs_of_words(sc);
	s->mn = pairs_of_words(mn);
}

always_inline void
load_q6_k(const uint8_t *p, struct super *s)
{
	int8x16_t sc = vld1q_s8((const int8_t *)p + 192);

	for (int h = 0; h < 2; h++) {
		v8i a = load_32(p + 64 * h), b = load_32(p + 64 * h + 32);
		v8i u = load_32(p + 128 + 32 * h), *q = s->q + 4 * h;

		q[0] = both(masked(a, 15), masked(left(u, 4), 0x30));
		q[1] = both(masked(b, 15), masked(left(u, 2), 0x30));
		q[2] = both(right(a, 4), masked(u, 0x30));
		q[3] = both(right(b, 4), masked(right(u, 2), 0x30));
		for (int i = 0; i < 4; i++)
			q[i] = less_zero(TT_Q6_K, q[i]);
	}
	s->sc = PAIR(vmovl_s8(vget_low_s8(sc)), vmovl_high_s8(sc));
}

always_inline v8i
words_of(uint8x16_t v)
{
	return PAIR(vmovl_u8(vget_low_u8(v)), vmovl_high_u8(v));
}

always_inline void
load_q2_k(const uint8_t *p, struct super *s)
{
	uint8x16_t v = vld1q_u8(p);

	for (int k = 0; k < 8; k++)
		s->q[k] =
		    masked(right(load_32(p + 16 + k / 4 * 32), k % 4 * 2), 3);
	s->sc = words_of(v & vdupq_n_u8(15));
	s->mn = words_of(v >> 4);
}

always_inline v8i
nibbles_32(const uint8_t *p)
{
	uint8x16_t v = vld1q_u8(p);

	return PAIR(v & vdupq_n_u8(15), v >> 4);
}

always_inline v8i
look_up(const uint8_t *table, v8i codes)
{
	uint8x16_t v = vld1q_u8(table);

	return PAIR(
	    vqtbl1q_u8(v, BYTES(codes.a)), vqtbl1q_u8(v, BYTES(codes.b)));
}

/* 16 words, less 32. */
always_inline v8i
less_32(v8i w)
{
	int16x8_t z = vdupq_n_s16(32);

	return PAIR((int16x8_t)w.a - z, (int16x8_t)w.b - z);
}

always_inline void
load_q3_k(const uint8_t *p, struct super *s)
{
	v8i high = load_32(p);
	uint32_t sc[4];

	for (int k = 0; k < 8; k++) {
		v8i low =
		    masked(right(load_32(p + 32 + k / 4 * 32), k % 4 * 2), 3);

		s->q[k] = less_zero(
		    TT_Q3_K, both(low, left(masked(right(high, k), 1), 2)));
	}
	scales_q3_k(p, sc);
	s->sc = less_32(words_of(vld1q_u8((const uint8_t *)sc)));
}

always_inline void
load_iq4_xs(const uint8_t *p, struct super *s)
{
	for (int k = 0; k < 8; k++)
		s->q[k] = less_zero(TT_IQ4_XS,
		    look_up(quant_iq4_values, nibbles_32(p + 8 + 16 * k)));
	s->sc = less_32(pairs_of_words(scales_iq4_xs(p)));
}

/* 16 values, negative where their bits are set; they have no zero here. */
always_inline uint8x16_t
iq2_16(const uint8_t *p, uint32_t signs)
{
	const uint8x8_t bit = vcreate_u8(0x8040201008040201ULL);
	uint8x16_t v = vcombine_u8(vcreate_u8(quant_iq2_values[p[0]]),
	    vcreate_u8(quant_iq2_values[p[1]]));
	uint8x16_t m = vcombine_u8(vtst_u8(vdup_n_u8((uint8_t)signs), bit),
	    vtst_u8(vdup_n_u8((uint8_t)(signs >> 8)), bit));

	return (v ^ m) - m;
}

always_inline void
load_iq2_xxs(const uint8_t *p, struct super *s)
{
	uint64_t sc = 0;

	for (int k = 0; k < 8; k++) {
		const uint8_t *b = p + 2 + 8 * k;
		const uint32_t signs = signs_iq2(u32_at(b + 4));

		s->q[k] = PAIR(iq2_16(b, signs), iq2_16(b + 2, signs >> 16));
		sc |= (uint64_t)(b[7] >> 4) << 8 * k;
	}
	/* 2 s + 1 */
	s->sc = pairs_of_words(sc * 2 + 0x0101010101010101ULL);
}

always_inline void
load_super(enum tensor_type t, const uint8_t *p, struct super *s)
{
	if (t == TT_Q4_K || t == TT_Q5_K)
		load_q45_k(t == TT_Q5_K, p, s);
	else if (t == TT_Q6_K)
		load_q6_k(p, s);
	else if (t == TT_Q2_K)
		load_q2_k(p, s);
	else if (t == TT_Q3_K)
		load_q3_k(p, s);
	else if (t == TT_IQ4_XS)
		load_iq4_xs(p, s);
	else
		load_iq2_xxs(p, s);
}

always_inline v8i
load_small(enum tensor_type t, const uint8_t *p)
{
	if (t == TT_Q8_0) /* signed as it is */
		return load_32(p + 2);
	if (t == TT_Q4_0)
		return less_zero(t, nibbles_32(p + 2));
	if (t == TT_IQ4_NL)
		return less_zero(
		    t, look_up(quant_iq4_values, nibbles_32(p + 2)));
	return less_zero(t, look_up(quant_mxfp4_values, nibbles_32(p + 1)));
}

#endif
