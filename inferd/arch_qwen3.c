/* Qwen3, dense. */
#include "inferd/block.h"
#include "inferd/net.h"

const struct arch_def arch_qwen3 = {
	.arch = ARCH_QWEN3,
	.qk_norm = QK_NORM_HEAD,
	.rope = ROPE_HALVES,
	.glu = GLU_SILU,
	.ffn_norm = "ffn_norm",
	.layer = block_decoder,
};
