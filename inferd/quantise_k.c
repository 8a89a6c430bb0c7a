#include <math.h>
#include <string.h>

#include "base/log.h"
#include "inferd/quant.h"
#include "inferd/quantise.h"

/* A block of 256 before it is packed; the reverse of struct quant_block. */
struct codes {
	unsigned q[QUANT_SUPER];
	int sc[QUANT_SUBS], mn[QUANT_SUBS]; /* of sub-blocks, first ones used */
	uint16_t d, dmin;
};

/*
 * Sub-blocks of len elements with a scale and an offset, both 0 to most, and
 * codes 0 to levels: x = d sc q - dmin mn.
 */
static void
with_offsets(const float *x, size_t len, int levels, int most, struct codes *c)
{
	float scale[QUANT_SUBS], low[QUANT_SUBS], d, dmin;
	size_t subs = QUANT_SUPER / len;

	for (size_t j = 0; j < subs; j++) {
		float min = 0, max = 0;

		for (size_t i = 0; i < len; i++) {
			min = fminf(min, x[j * len + i]);
			max = fmaxf(max, x[j * len + i]);
		}
		scale[j] = (max - min) / (float)levels;
		low[j] = -min;
	}
	c->d = quantise_f16(quantise_peak(scale, subs) / (float)most);
	c->dmin = quantise_f16(quantise_peak(low, subs) / (float)most);
	d = quant_f16(c->d);
	dmin = quant_f16(c->dmin);
	for (size_t j = 0; j < subs; j++) {
		float s, m;

		c->sc[j] = quantise_round(scale[j] / d, 0, most);
		c->mn[j] = quantise_round(low[j] / dmin, 0, most);
		s = d * (float)c->sc[j];
		m = dmin * (float)c->mn[j];
		for (size_t i = j * len; i < (j + 1) * len; i++)
			c->q[i] =
			    (unsigned)quantise_round((x[i] + m) / s, 0, levels);
	}
}

/* The scales of sub-blocks, from least to most, as parts of c->d. */
static void
scales(const float *scale, size_t subs, int least, int most, struct codes *c)
{
	float d;

	c->d = quantise_f16(fabsf(quantise_peak(scale, subs)) / (float)most);
	d = quant_f16(c->d);
	for (size_t j = 0; j < subs; j++)
		c->sc[j] =
		    d == 0 ? 0 : quantise_round(scale[j] / d, least, most);
}

/* Sub-blocks of 16 with codes 0 to 2 zero - 1: x = d sc (q - zero). */
static void
about_zero(const float *x, int zero, int least, int most, struct codes *c)
{
	float scale[QUANT_SUBS];

	for (size_t j = 0; j < QUANT_SUBS; j++)
		scale[j] = quantise_peak(&x[16 * j], 16) / (float)-zero;
	scales(scale, QUANT_SUBS, least, most, c);
	for (size_t i = 0; i < QUANT_SUPER; i++) {
		float s = quant_f16(c->d) * (float)c->sc[i / 16];

		c->q[i] = s == 0 ? (unsigned)zero
				 : (unsigned)quantise_round(
				       x[i] / s + (float)zero, 0, 2 * zero - 1);
	}
}

static void
pack_q45(const struct codes *c, uint8_t *p, uint8_t *high, uint8_t *low)
{
	uint8_t *s = p + 4;

	quantise_put_u16(p, c->d);
	quantise_put_u16(p + 2, c->dmin);
	for (size_t j = 0; j < 4; j++) {
		unsigned sc = (unsigned)c->sc[j + 4];
		unsigned mn = (unsigned)c->mn[j + 4];

		s[j] = (uint8_t)((unsigned)c->sc[j] | sc >> 4 << 6);
		s[j + 4] = (uint8_t)((unsigned)c->mn[j] | mn >> 4 << 6);
		s[j + 8] = (uint8_t)((sc & 15) | (mn & 15) << 4);
	}
	if (high != NULL)
		memset(high, 0, 32);
	for (size_t k = 0; k < 4; k++)
		for (size_t i = 0; i < 32; i++) {
			unsigned a = c->q[64 * k + i],
				 b = c->q[64 * k + 32 + i];

			low[32 * k + i] = (uint8_t)((a & 15) | (b & 15) << 4);
			if (high != NULL)
				high[i] |= (uint8_t)((a >> 4) << 2 * k |
						     (b >> 4) << (2 * k + 1));
		}
}

static void
pack_q6(const struct codes *c, uint8_t *p)
{
	memset(p, 0, 192);
	for (size_t i = 0; i < QUANT_SUPER; i++) {
		size_t h = i / 128, k = i % 128;

		p[64 * h + k % 64] |= (uint8_t)((c->q[i] & 15) << k / 64 * 4);
		p[128 + 32 * h + k % 32] |=
		    (uint8_t)(c->q[i] >> 4 << k / 32 * 2);
	}
	for (size_t j = 0; j < QUANT_SUBS; j++)
		p[192 + j] = (uint8_t)c->sc[j];
	quantise_put_u16(p + 208, c->d);
}

/* Codes of two bits, 64 bytes. */
static void
pack_pairs(const struct codes *c, uint8_t *p)
{
	memset(p, 0, 64);
	for (size_t i = 0; i < QUANT_SUPER; i++)
		p[i / 128 * 32 + i % 32] |=
		    (uint8_t)((c->q[i] & 3) << i % 128 / 32 * 2);
}

static void
pack_q2(const struct codes *c, uint8_t *p)
{
	for (size_t j = 0; j < QUANT_SUBS; j++)
		p[j] = (uint8_t)(c->sc[j] | c->mn[j] << 4);
	pack_pairs(c, p + 16);
	quantise_put_u16(p + 80, c->d);
	quantise_put_u16(p + 82, c->dmin);
}

static void
pack_q3(const struct codes *c, uint8_t *p)
{
	uint8_t *s = p + 96;

	memset(p, 0, 32);
	memset(s, 0, 12);
	for (size_t i = 0; i < QUANT_SUPER; i++)
		p[i % 32] |= (uint8_t)(c->q[i] >> 2 << i / 32);
	pack_pairs(c, p + 32);
	for (size_t j = 0; j < QUANT_SUBS; j++) {
		unsigned v = (unsigned)(c->sc[j] + 32);

		s[j % 8] |= (uint8_t)((v & 15) << j / 8 * 4);
		s[8 + j % 4] |= (uint8_t)(v >> 4 << j / 4 * 2);
	}
	quantise_put_u16(p + 108, c->d);
}

static void
to_iq4_xs(const float *x, uint8_t *p)
{
	float scale[8];
	struct codes c;
	unsigned high = 0;

	for (size_t j = 0; j < 8; j++)
		scale[j] = quantise_peak(&x[32 * j], 32) / -127;
	scales(scale, 8, -32, 31, &c);
	quantise_put_u16(p, c.d);
	memset(p + 4, 0, 4);
	for (size_t j = 0; j < 8; j++) {
		unsigned v = (unsigned)(c.sc[j] + 32);
		float s = quant_f16(c.d) * (float)c.sc[j];
		uint8_t *out = p + 8 + 16 * j;

		high |= v >> 4 << 2 * j;
		p[4 + j / 2] |= (uint8_t)((v & 15) << j % 2 * 4);
		for (size_t i = 0; i < 16; i++) {
			unsigned a = quantise_nearest(
			    quant_iq4_values, 128, s, x[32 * j + i]);
			unsigned b = quantise_nearest(
			    quant_iq4_values, 128, s, x[32 * j + 16 + i]);

			out[i] = (uint8_t)(a | b << 4);
		}
	}
	quantise_put_u16(p + 2, (uint16_t)high);
}

/* The book's entry nearest to eight magnitudes, in units of the scale. */
static unsigned
book(const float *v)
{
	static const float magnitude[4] = { 8, 25, 43, 0 };
	float best = INFINITY;
	unsigned at = 0;

	for (unsigned k = 0; k < 256; k++) {
		float off = 0;

		for (unsigned i = 0; i < 8; i++) {
			float e =
			    magnitude[quant_iq2_grid[k] >> 2 * i & 3] - v[i];

			off += e * e;
		}
		if (off < best) {
			best = off;
			at = k;
		}
	}
	return at;
}

/*
 * Magnitudes and seven signs of eight elements; the eighth sign makes the
 * number of negative ones even, so where it is odd the smallest is turned.
 */
static unsigned
signs(const float *x, float s, float *v)
{
	unsigned bits = 0, least = 0;

	for (unsigned i = 0; i < 8; i++) {
		v[i] = s == 0 ? 0 : fabsf(x[i]) / s;
		bits |= (unsigned)(x[i] < 0) << i;
		if (v[i] < v[least])
			least = i;
	}
	if (__builtin_parity(bits)) {
		bits ^= 1u << least;
		v[least] = -v[least];
	}
	return bits & 127;
}

static void
to_iq2_xxs(const float *x, uint8_t *p)
{
	float scale[8], d, v[8];
	uint16_t h;

	/* A little less than the peak needs: most values are far below it. */
	for (size_t j = 0; j < 8; j++)
		scale[j] = fabsf(quantise_peak(&x[32 * j], 32)) / 50;
	h = quantise_f16(quantise_peak(scale, 8) * 8 / 31);
	d = quant_f16(h) * 0.125f;
	quantise_put_u16(p, h);
	for (size_t j = 0; j < 8; j++) {
		int sc = quantise_round((scale[j] / d - 1) / 2, 0, 15);
		float s = d * (float)(2 * sc + 1);
		uint8_t *g = p + 2 + 8 * j;
		uint32_t w = (uint32_t)sc << 28;

		for (size_t k = 0; k < 4; k++) {
			w |= signs(&x[32 * j + 8 * k], s, v) << 7 * k;
			g[k] = (uint8_t)book(v);
		}
		quantise_put_u16(g + 4, (uint16_t)w);
		quantise_put_u16(g + 6, (uint16_t)(w >> 16));
	}
}

void
quantise_super(enum tensor_type type, const float *x, uint8_t *p)
{
	struct codes c;

	switch (type) {
	case TT_Q4_K:
		with_offsets(x, 32, 15, 63, &c);
		pack_q45(&c, p, NULL, p + 16);
		return;
	case TT_Q5_K:
		with_offsets(x, 32, 31, 63, &c);
		pack_q45(&c, p, p + 16, p + 48);
		return;
	case TT_Q2_K:
		with_offsets(x, 16, 3, 15, &c);
		pack_q2(&c, p);
		return;
	case TT_Q6_K:
		about_zero(x, 32, -128, 127, &c);
		pack_q6(&c, p);
		return;
	case TT_Q3_K:
		about_zero(x, 4, -32, 31, &c);
		pack_q3(&c, p);
		return;
	case TT_IQ4_XS:
		to_iq4_xs(x, p);
		return;
	case TT_IQ2_XXS:
		to_iq2_xxs(x, p);
		return;
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_Q8_0:
	case TT_Q4_0:
	case TT_IQ4_NL:
	case TT_MXFP4:
	case TT_MAX:
		break;
	}
	fatalx("quantise_super: type %u", (unsigned)type);
}
