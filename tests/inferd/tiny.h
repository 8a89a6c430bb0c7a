/*
 * Small models with weights of chance, made in memory.
 */
#ifndef BRIG_TESTS_INFERD_TINY_H
#define BRIG_TESTS_INFERD_TINY_H

#include <stdint.h>

#include "inferd/model_table.h"

#define TINY_VOCAB 96u

/*
 * Of an architecture, its matrices of the type F32, F16 or Q8_0; experts: 0
 * for a dense one.  A glm4moe has norms of queries and keys and groups of
 * experts with 8 or more, and a share of its shared expert with less; a
 * deepseek2 has queries of low rank with 8 or more, and a qwen3next with less
 * the matrices of old files.  Free with tiny_free().
 */
struct model_table *tiny_new(
    enum arch arch, enum tensor_type type, uint32_t experts, uint64_t seed);
void tiny_free(struct model_table *t);

#endif
