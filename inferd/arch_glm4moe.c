/*
 * GLM-4.5 and later ones with experts: biases on queries, keys and values, a
 * part of each head is turned, and in the larger ones heads of queries and keys
 * are normed one by one.
 */
#include "inferd/block.h"
#include "inferd/net.h"

const struct arch_def arch_glm4moe = {
	.arch = ARCH_GLM4MOE,
	.qk_norm = QK_NORM_HEAD,
	.qk_norm_optional = true,
	.rope = ROPE_HALVES,
	.glu = GLU_SILU,
	.ffn_norm = "post_attention_norm",
	.layer = block_decoder,
};
