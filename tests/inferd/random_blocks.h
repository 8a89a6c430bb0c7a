/* Random rows of every tensor type, for tests: no infinities, no NaN. */
#ifndef BRIG_TESTS_RANDOM_BLOCKS_H
#define BRIG_TESTS_RANDOM_BLOCKS_H

#include "inferd/quant.h"

static inline uint64_t
random_next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Fill tensor_row_bytes(t, n) bytes of row; the seed is not 0. */
static inline void
random_row(enum tensor_type t, uint64_t seed, uint8_t *row, size_t n)
{
	const struct tensor_type_info *info = tensor_type_info(t);
	size_t bytes = tensor_row_bytes(t, n), at[2] = { 0, 0 };

	for (size_t i = 0; i < bytes; i++)
		row[i] = (uint8_t)(random_next(&seed) >> 24);
	if (t == TT_Q4_K || t == TT_Q5_K)
		at[1] = 2;
	else if (t == TT_Q2_K)
		at[0] = 80, at[1] = 82;
	else if (t == TT_Q3_K)
		at[0] = at[1] = 108;
	else if (t == TT_Q6_K)
		at[0] = at[1] = 208;
	else if (t == TT_F32)
		at[0] = at[1] = 2;
	/* the highest bit of an exponent: what is left is below 2 */
	for (size_t b = 0; b < bytes; b += info->bytes)
		for (size_t i = 0; i < 2; i++)
			if (t == TT_MXFP4)
				row[b] &= 0x7f;
			else
				row[b + at[i] + 1] &= 0xbf;
}

#endif
