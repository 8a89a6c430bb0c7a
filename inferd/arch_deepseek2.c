/*
 * DeepSeek V2 and V3 with those made like them (Kimi K2, GLM-4.7-Flash):
 * attention over rows of low rank.
 */
#include "inferd/block_mla.h"

static void
layer(struct run *r, uint32_t layer)
{
	block_around(r, layer, block_mla);
}

const struct arch_def arch_deepseek2 = {
	.arch = ARCH_DEEPSEEK2,
	.qk_norm = QK_NORM_NONE,
	.rope = ROPE_NEXT,
	.glu = GLU_SILU,
	.ffn_norm = "ffn_norm",
	.kv = block_mla_kv,
	.bind = block_mla_bind,
	.scratch = block_mla_scratch,
	.layer = layer,
};
