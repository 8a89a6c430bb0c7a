/* Qwen3 with experts: heads of queries and keys are normed one by one. */
#include "inferd/block.h"
#include "inferd/net.h"

const struct arch_def arch_qwen3moe = {
	.arch = ARCH_QWEN3MOE,
	.qk_norm = QK_NORM_HEAD,
	.rope = ROPE_HALVES,
	.glu = GLU_SILU,
	.expert_scales = true,
	.ffn_norm = "ffn_norm",
	.layer = block_decoder,
};
