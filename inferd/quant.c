#include "inferd/quant.h"

#include "base/compat.h"
#include "base/log.h"

/* 0, .5, 1, 1.5, 2, 3, 4, 6 and their negatives, doubled, plus 12. */
const uint8_t quant_mxfp4_values[16] = { 12, 13, 14, 15, 16, 18, 20, 24, 12, 11,
	10, 9, 8, 6, 4, 0 };

unsigned
quant_zero(enum tensor_type t)
{
	switch (t) {
	case TT_Q4_0:
		return 8;
	case TT_MXFP4:
		return 12;
	case TT_Q3_K:
		return 4;
	case TT_Q6_K:
		return 32;
	case TT_IQ2_XXS:
		return 64;
	case TT_Q8_0:
	case TT_IQ4_NL:
	case TT_IQ4_XS:
		return 128;
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_Q2_K:
	case TT_Q4_K:
	case TT_Q5_K:
	case TT_MAX:
		break;
	}
	return 0;
}

/* 16 bytes of codes: low halves are elements 0 to 15, high ones 16 to 31. */
static void
nibbles(const uint8_t *p, const uint8_t *values, uint8_t *q)
{
	for (size_t i = 0; i < 16; i++) {
		q[i] = p[i] & 15;
		q[i + 16] = p[i] >> 4;
	}
	if (values != NULL)
		for (size_t i = 0; i < QUANT_SMALL; i++)
			q[i] = values[q[i]];
}

void
quant_unpack(enum tensor_type t, const void *block, struct quant_block *u)
{
	const uint8_t *p = block;

	switch (t) {
	case TT_Q8_0:
		u->d = quant_f16(quant_u16(p));
		for (size_t i = 0; i < QUANT_SMALL; i++)
			u->q[i] = p[2 + i] ^ 0x80;
		return;
	case TT_Q4_0:
		u->d = quant_f16(quant_u16(p));
		nibbles(p + 2, NULL, u->q);
		return;
	case TT_IQ4_NL:
		u->d = quant_f16(quant_u16(p));
		nibbles(p + 2, quant_iq4_values, u->q);
		return;
	case TT_MXFP4:
		u->d = quant_e8m0_half(p[0]);
		nibbles(p + 1, quant_mxfp4_values, u->q);
		return;
	case TT_Q2_K:
	case TT_Q3_K:
	case TT_Q4_K:
	case TT_Q5_K:
	case TT_Q6_K:
		quant_unpack_k(t, p, u);
		return;
	case TT_IQ2_XXS:
	case TT_IQ4_XS:
		quant_unpack_iq(t, p, u);
		return;
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_MAX:
		break;
	}
	fatalx("quant_unpack: type %u has no blocks", (unsigned)t);
}

static void
dequant_small(enum tensor_type t, const uint8_t *p, float *out, size_t n)
{
	const struct tensor_type_info *info = tensor_type_info(t);
	int zero = (int)quant_zero(t);
	struct quant_block u;

	for (; n > 0; n -= QUANT_SMALL, p += info->bytes) {
		quant_unpack(t, p, &u);
		for (size_t i = 0; i < QUANT_SMALL; i++)
			*out++ = u.d * (float)(u.q[i] - zero);
	}
}

static void
dequant_super(enum tensor_type t, const uint8_t *p, float *out, size_t n)
{
	const struct tensor_type_info *info = tensor_type_info(t);
	int zero = (int)quant_zero(t);
	struct quant_block u;

	for (; n > 0; n -= QUANT_SUPER, p += info->bytes) {
		quant_unpack(t, p, &u);
		for (size_t i = 0; i < QUANT_SUPER; i++) {
			float d = u.d * u.sc[i / 16];
			float m = u.dmin * u.mn[i / 16];
			float v = d * (float)(u.q[i] - zero);

			*out++ = zero != 0 ? v : v - m;
		}
	}
}

void
dequant_row(enum tensor_type t, const void *blocks, float *out, size_t n)
{
	const uint8_t *p = blocks;

	switch (t) {
	case TT_F32:
		memcpy(out, p, n * sizeof(*out));
		return;
	case TT_F16:
		for (size_t i = 0; i < n; i++)
			out[i] = quant_f16(quant_u16(p + 2 * i));
		return;
	case TT_BF16:
		for (size_t i = 0; i < n; i++)
			out[i] = quant_bf16(quant_u16(p + 2 * i));
		return;
	case TT_Q8_0:
	case TT_Q4_0:
	case TT_IQ4_NL:
	case TT_MXFP4:
		dequant_small(t, p, out, n);
		return;
	case TT_Q2_K:
	case TT_Q3_K:
	case TT_Q4_K:
	case TT_Q5_K:
	case TT_Q6_K:
	case TT_IQ2_XXS:
	case TT_IQ4_XS:
		dequant_super(t, p, out, n);
		return;
	case TT_MAX:
		break;
	}
	fatalx("dequant_row: unknown type %u", (unsigned)t);
}
