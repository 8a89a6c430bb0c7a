/*
 * The block formats of quantised weights, taken apart: what a block's codes,
 * scales and offsets are.  This is the plain reference which every kernel is
 * compared with; no speed is wanted here.  Blocks come from a model file, any
 * byte pattern is a valid block.
 */
#ifndef BRIG_INFERD_QUANT_H
#define BRIG_INFERD_QUANT_H

#include <stdint.h>
#include <string.h>

#include "inferd/tensor_type.h"

/* Elements of the blocks of the K and IQ families that share one scale. */
#define QUANT_SUPER 256u
/* Elements of a block of the other quantised types. */
#define QUANT_SMALL 32u
/* Sub-blocks of a super-block, 16 elements each, as all families divide. */
#define QUANT_SUBS 16u

/*
 * One block: element i is
 *	d * sc[i / 16] * (q[i] - zero) - dmin * mn[i / 16]
 * with the type's zero.  Small blocks (32 elements) have no sc and mn:
 * element i is d * (q[i] - zero).
 */
struct quant_block {
	uint8_t q[QUANT_SUPER];
	int16_t sc[QUANT_SUBS];
	int16_t mn[QUANT_SUBS];
	float d;
	float dmin; /* 0 for the types without offsets */
};

/* Take the block of a quantised type (not F32, F16, BF16) apart. */
void quant_unpack(enum tensor_type t, const void *block, struct quant_block *);
/* The same for the K and for the IQ types (quant_k.c, quant_iq.c). */
void quant_unpack_k(
    enum tensor_type t, const uint8_t *block, struct quant_block *);
void quant_unpack_iq(
    enum tensor_type t, const uint8_t *block, struct quant_block *);

/* The code that stands for nothing; 0 for the types with offsets. */
unsigned quant_zero(enum tensor_type t);

/* n elements of row `blocks` as floats; n is a multiple of the type's block. */
void dequant_row(enum tensor_type t, const void *blocks, float *out, size_t n);

/* The 16 values of a 4-bit code, plus the type's zero. */
extern const uint8_t quant_iq4_values[16];
extern const uint8_t quant_mxfp4_values[16];
/* 8 codes of IQ2_XXS by index, two bits each: 0, 1, 2 for 8, 25, 43. */
extern const uint16_t quant_iq2_grid[256];
/* The same 8 values of each index, a byte each, the first lowest. */
extern uint64_t quant_iq2_values[256];

static inline uint16_t
quant_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline float
quant_float(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* IEEE 754 half precision to single; infinities and NaN stay what they are. */
static inline float
quant_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000) << 16;
	uint32_t exp = h >> 10 & 31, frac = h & 0x3ff;
	float f;

	if (exp == 0) {
		/* zero and subnormals: exact in a float */
		f = (float)frac * 0x1p-24f;
		return sign != 0 ? -f : f;
	}
	if (exp == 31)
		return quant_float(sign | 0x7f800000 | frac << 13);
	return quant_float(sign | (exp + 112) << 23 | frac << 13);
}

static inline float
quant_bf16(uint16_t h)
{
	return quant_float((uint32_t)h << 16);
}

/* Half of 2^(e - 127): MXFP4's values are kept doubled, as integers. */
static inline float
quant_e8m0_half(uint8_t e)
{
	return quant_float(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

#endif
