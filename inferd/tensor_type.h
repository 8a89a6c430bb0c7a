/*
 * The tensor types that inferd computes with, by GGUF's numbers, and how many
 * bytes their blocks take.
 */
#ifndef BRIG_INFERD_TENSOR_TYPE_H
#define BRIG_INFERD_TENSOR_TYPE_H

#include <stddef.h>
#include <stdint.h>

enum tensor_type {
	TT_F32 = 0,
	TT_F16 = 1,
	TT_Q4_0 = 2,
	TT_Q8_0 = 8,
	TT_Q2_K = 10,
	TT_Q3_K = 11,
	TT_Q4_K = 12,
	TT_Q5_K = 13,
	TT_Q6_K = 14,
	TT_IQ2_XXS = 16,
	TT_IQ4_NL = 20,
	TT_IQ4_XS = 23,
	TT_BF16 = 30,
	TT_MXFP4 = 39,
	TT_MAX = 40
};

/* Of tables, which hold numbers: nothing is multiplied with them, so that it is
 * none of the above. */
#define TT_I32 ((enum tensor_type)26)

/* Elements of the largest block: a row of any type is a multiple of it. */
#define TENSOR_BLOCK_MAX 256u

struct tensor_type_info {
	const char *name;
	uint32_t block; /* elements */
	uint32_t bytes; /* of a block */
};

/* What is known of a type; NULL: not one of ours. */
const struct tensor_type_info *tensor_type_info(uint32_t type);
/* The name of any type of GGUF, ours or not, for messages; never NULL. */
const char *tensor_type_name(uint32_t type);
/* The type of that name (case is ignored), which weights may be of; -1: none of
 * ours. */
int tensor_type_find(const char *name);
/*
 * Bytes of a row of n elements, n a multiple of the block; 0 if n is not, or
 * does not fit.
 */
size_t tensor_row_bytes(enum tensor_type type, uint64_t n);

#endif
