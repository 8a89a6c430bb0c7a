/* OLMoE: queries and keys are normed as a whole; the weights of the experts
 * taken do not sum to one. */
#include "inferd/block.h"
#include "inferd/net.h"

const struct arch_def arch_olmoe = {
	.arch = ARCH_OLMOE,
	.qk_norm = QK_NORM_FULL,
	.rope = ROPE_HALVES,
	.glu = GLU_SILU,
	.ffn_norm = "ffn_norm",
	.layer = block_decoder,
};
