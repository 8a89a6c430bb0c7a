/* Llama, dense, and with experts (Mixtral). */
#include "inferd/block.h"
#include "inferd/net.h"

const struct arch_def arch_llama = {
	.arch = ARCH_LLAMA,
	.qk_norm = QK_NORM_NONE,
	.rope = ROPE_NEXT,
	.glu = GLU_SILU,
	.expert_scales = true,
	.ffn_norm = "ffn_norm",
	.layer = block_decoder,
};
