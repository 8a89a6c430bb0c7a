/*
 * From floats to the block formats of quant.h: simple encoders, for models
 * that are made here.  Scales are taken from the largest values and codes are
 * the nearest; nothing is searched for.  Pure, and the same on every machine.
 */
#ifndef BRIG_INFERD_QUANTISE_H
#define BRIG_INFERD_QUANTISE_H

#include <stddef.h>
#include <stdint.h>

#include "inferd/tensor_type.h"

/* Half precision, to nearest even; too large becomes infinite. */
uint16_t quantise_f16(float v);

/*
 * n finite floats, n a multiple of the type's block, into
 * tensor_row_bytes(type, n) bytes.
 */
void quantise_row(enum tensor_type type, const float *x, size_t n, void *out);

static inline void
quantise_put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

/* The types of 256 elements (quantise_k.c). */
void quantise_super(enum tensor_type type, const float *x, uint8_t *block);
/* For both files: v to the nearest whole number from lo to hi. */
int quantise_round(float v, int lo, int hi);
/* The n floats' value furthest from zero, with its sign. */
float quantise_peak(const float *x, size_t n);
/* Which of 16 values, less zero and times d, is nearest to x. */
unsigned quantise_nearest(
    const uint8_t values[16], unsigned zero, float d, float x);

#endif
