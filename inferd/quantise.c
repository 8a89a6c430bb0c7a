#include "inferd/quantise.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "inferd/quant.h"

#define E8M0_BIAS 127
#define E8M0_MIN 1
#define E8M0_MAX 254

uint16_t
quantise_f16(float v)
{
	uint32_t u, sign, frac, rest;
	int exp;

	memcpy(&u, &v, sizeof(u));
	sign = u >> 16 & 0x8000;
	exp = (int)(u >> 23 & 255) - 112;
	frac = u & 0x7fffff;
	if (exp >= 31)
		return (uint16_t)(sign | 0x7c00);
	if (exp <= 0) {
		/* Subnormal: in units of 2^-24. */
		if (exp < -10)
			return (uint16_t)sign;
		frac |= 0x800000;
		rest = frac & ((1u << (14 - exp)) - 1);
		frac >>= 14 - exp;
		u = 1u << (13 - exp);
	} else {
		rest = frac & 0x1fff;
		frac = (uint32_t)exp << 10 | frac >> 13;
		u = 0x1000;
	}
	if (rest > u || (rest == u && (frac & 1) != 0))
		frac++;
	return (uint16_t)(sign | frac);
}

static uint16_t
to_bf16(float v)
{
	uint32_t u;

	memcpy(&u, &v, sizeof(u));
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

int
quantise_round(float v, int lo, int hi)
{
	float r = floorf(v + 0.5f);

	/* Also where v is not a number, from a scale of 0. */
	if (!(r > (float)lo))
		return lo;
	return r < (float)hi ? (int)r : hi;
}

float
quantise_peak(const float *x, size_t n)
{
	float peak = 0;

	for (size_t i = 0; i < n; i++)
		if (fabsf(x[i]) > fabsf(peak))
			peak = x[i];
	return peak;
}

unsigned
quantise_nearest(const uint8_t values[16], unsigned zero, float d, float x)
{
	float best = INFINITY;
	unsigned at = 0;

	for (unsigned i = 0; i < 16; i++) {
		float off = fabsf(d * (float)((int)values[i] - (int)zero) - x);

		if (off < best) {
			best = off;
			at = i;
		}
	}
	return at;
}

static void
put_nibbles(uint8_t *p, const unsigned *code)
{
	for (size_t i = 0; i < 16; i++)
		p[i] = (uint8_t)(code[i] | code[i + 16] << 4);
}

static void
to_q8_0(const float *x, uint8_t *p)
{
	uint16_t h = quantise_f16(fabsf(quantise_peak(x, QUANT_SMALL)) / 127);
	float d = quant_f16(h);

	quantise_put_u16(p, h);
	for (size_t i = 0; i < QUANT_SMALL; i++)
		p[2 + i] =
		    d == 0 ? 0 : (uint8_t)quantise_round(x[i] / d, -127, 127);
}

static void
to_q4_0(const float *x, uint8_t *p)
{
	uint16_t h = quantise_f16(quantise_peak(x, QUANT_SMALL) / -8);
	float d = quant_f16(h);
	unsigned code[QUANT_SMALL];

	quantise_put_u16(p, h);
	for (size_t i = 0; i < QUANT_SMALL; i++)
		code[i] =
		    d == 0 ? 8 : (unsigned)quantise_round(x[i] / d + 8, 0, 15);
	put_nibbles(p + 2, code);
}

static void
to_iq4_nl(const float *x, uint8_t *p)
{
	uint16_t h = quantise_f16(quantise_peak(x, QUANT_SMALL) / -127);
	float d = quant_f16(h);
	unsigned code[QUANT_SMALL];

	quantise_put_u16(p, h);
	for (size_t i = 0; i < QUANT_SMALL; i++)
		code[i] = quantise_nearest(quant_iq4_values, 128, d, x[i]);
	put_nibbles(p + 2, code);
}

/* The largest value comes to stand between 4 and 8 times the scale. */
static void
to_mxfp4(const float *x, uint8_t *p)
{
	unsigned code[QUANT_SMALL];
	int exp, e = E8M0_MIN;

	if (quantise_peak(x, QUANT_SMALL) != 0) {
		(void)frexpf(quantise_peak(x, QUANT_SMALL), &exp);
		e = exp - 3 + E8M0_BIAS;
	}
	e = e < E8M0_MIN ? E8M0_MIN : e > E8M0_MAX ? E8M0_MAX : e;
	p[0] = (uint8_t)e;
	for (size_t i = 0; i < QUANT_SMALL; i++)
		code[i] = quantise_nearest(
		    quant_mxfp4_values, 12, quant_e8m0_half((uint8_t)e), x[i]);
	put_nibbles(p + 1, code);
}

void
quantise_row(enum tensor_type type, const float *x, size_t n, void *out)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	uint8_t *p = out;

	if (info == NULL || n % info->block != 0)
		fatalx("quantise_row: %zu of type %u", n, (unsigned)type);
	for (size_t i = 0; i < n; i += info->block, p += info->bytes) {
		switch (type) {
		case TT_F32:
			memcpy(p, &x[i], sizeof(*x));
			break;
		case TT_F16:
			quantise_put_u16(p, quantise_f16(x[i]));
			break;
		case TT_BF16:
			quantise_put_u16(p, to_bf16(x[i]));
			break;
		case TT_Q8_0:
			to_q8_0(&x[i], p);
			break;
		case TT_Q4_0:
			to_q4_0(&x[i], p);
			break;
		case TT_IQ4_NL:
			to_iq4_nl(&x[i], p);
			break;
		case TT_MXFP4:
			to_mxfp4(&x[i], p);
			break;
		case TT_Q2_K:
		case TT_Q3_K:
		case TT_Q4_K:
		case TT_Q5_K:
		case TT_Q6_K:
		case TT_IQ2_XXS:
		case TT_IQ4_XS:
			quantise_super(type, &x[i], p);
			break;
		case TT_MAX:
			return;
		}
	}
}
