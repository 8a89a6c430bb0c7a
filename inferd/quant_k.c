#include "inferd/quant.h"

#include "base/log.h"

/*
 * Q4_K and Q5_K: eight 6-bit scales and eight 6-bit offsets in 12 bytes.  The
 * first four of each are the low six bits of bytes 0-3 and 4-7; of the last
 * four, bytes 8-11 hold the low halves and the top bits of bytes 0-7 the rest.
 */
static void
scales_6bit(const uint8_t *s, struct quant_block *u)
{
	for (size_t j = 0; j < 8; j++) {
		int sc, mn;

		if (j < 4) {
			sc = s[j] & 63;
			mn = s[j + 4] & 63;
		} else {
			sc = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
			mn = s[j + 4] >> 4 | s[j] >> 6 << 4;
		}
		u->sc[2 * j] = u->sc[2 * j + 1] = (int16_t)sc;
		u->mn[2 * j] = u->mn[2 * j + 1] = (int16_t)mn;
	}
}

/* f16 d, f16 dmin, 12 bytes of scales, 32 of fifth bits (Q5_K), 128 of codes:
 * each 32 bytes hold 32 elements in their low and the next 32 in their high
 * halves. */
static void
unpack_q45(const uint8_t *p, const uint8_t *high, const uint8_t *low,
    struct quant_block *u)
{
	u->d = quant_f16(quant_u16(p));
	u->dmin = quant_f16(quant_u16(p + 2));
	scales_6bit(p + 4, u);
	for (size_t c = 0; c < 4; c++)
		for (size_t i = 0; i < 32; i++) {
			uint8_t *q = u->q + 64 * c + i;

			q[0] = low[32 * c + i] & 15;
			q[32] = low[32 * c + i] >> 4;
			if (high == NULL)
				continue;
			q[0] |= (uint8_t)((high[i] >> 2 * c & 1) << 4);
			q[32] |= (uint8_t)((high[i] >> (2 * c + 1) & 1) << 4);
		}
}

/* 128 bytes of low halves, 64 of high bit pairs, 16 signed scales, f16 d. */
static void
unpack_q6(const uint8_t *p, struct quant_block *u)
{
	for (size_t h = 0; h < 2; h++) {
		const uint8_t *low = p + 64 * h, *high = p + 128 + 32 * h;
		uint8_t *q = u->q + 128 * h;

		for (size_t i = 0; i < 64; i++) {
			unsigned top = high[i % 32] >> 2 * (i / 32);

			q[i] = (uint8_t)((low[i] & 15) | (top & 3) << 4);
			q[i + 64] =
			    (uint8_t)(low[i] >> 4 | (top >> 4 & 3) << 4);
		}
	}
	for (size_t j = 0; j < QUANT_SUBS; j++) {
		u->sc[j] = (int8_t)p[192 + j];
		u->mn[j] = 0;
	}
	u->d = quant_f16(quant_u16(p + 208));
	u->dmin = 0;
}

/* Codes of two bits: each 32 bytes hold four times 32 elements. */
static void
pairs(const uint8_t *p, uint8_t *q)
{
	for (size_t i = 0; i < QUANT_SUPER; i++)
		q[i] = p[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
}

/* 16 bytes of scale and offset halves, 64 of codes, f16 d, f16 dmin. */
static void
unpack_q2(const uint8_t *p, struct quant_block *u)
{
	for (size_t j = 0; j < QUANT_SUBS; j++) {
		u->sc[j] = p[j] & 15;
		u->mn[j] = p[j] >> 4;
	}
	pairs(p + 16, u->q);
	u->d = quant_f16(quant_u16(p + 80));
	u->dmin = quant_f16(quant_u16(p + 82));
}

/* 32 bytes of third bits, 64 of codes, 12 of 6-bit scales, f16 d. */
static void
unpack_q3(const uint8_t *p, struct quant_block *u)
{
	const uint8_t *s = p + 96;

	pairs(p + 32, u->q);
	for (size_t i = 0; i < QUANT_SUPER; i++)
		u->q[i] |= (uint8_t)((p[i % 32] >> i / 32 & 1) << 2);
	for (size_t j = 0; j < QUANT_SUBS; j++) {
		int low = s[j % 8] >> j / 8 * 4 & 15;
		int top = s[8 + j % 4] >> j / 4 * 2 & 3;

		u->sc[j] = (int16_t)((low | top << 4) - 32);
		u->mn[j] = 0;
	}
	u->d = quant_f16(quant_u16(p + 108));
	u->dmin = 0;
}

void
quant_unpack_k(enum tensor_type t, const uint8_t *p, struct quant_block *u)
{
	if (t == TT_Q4_K)
		unpack_q45(p, NULL, p + 16, u);
	else if (t == TT_Q5_K)
		unpack_q45(p, p + 16, p + 48, u);
	else if (t == TT_Q6_K)
		unpack_q6(p, u);
	else if (t == TT_Q2_K)
		unpack_q2(p, u);
	else if (t == TT_Q3_K)
		unpack_q3(p, u);
	else
		fatalx("quant_unpack_k: type %u", (unsigned)t);
}
