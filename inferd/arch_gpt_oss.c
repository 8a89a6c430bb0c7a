/*
 * gpt-oss: a sink in each head's attention, every other layer sees a window
 * only, and the router's weights are a softmax over the experts taken.
 */
#include "inferd/block.h"
#include "inferd/net.h"

static uint32_t
window(uint32_t layer, uint32_t window)
{
	return layer % 2 == 0 ? window : 0;
}

const struct arch_def arch_gpt_oss = {
	.arch = ARCH_GPT_OSS,
	.qk_norm = QK_NORM_NONE,
	.rope = ROPE_HALVES,
	.glu = GLU_OAI,
	.ffn_norm = "post_attention_norm",
	.window = window,
	.layer = block_decoder,
};
