/* Qwen3.5 and 3.6 with experts: as Qwen3-Next, but beta and alpha are matrices
 * of their own, and heads of values are in another order. */
#include "inferd/block.h"
#include "inferd/delta.h"
#include "inferd/net.h"

const struct arch_def arch_qwen35moe = {
	.arch = ARCH_QWEN35MOE,
	.qk_norm = QK_NORM_HEAD,
	.rope = ROPE_HALVES,
	.glu = GLU_SILU,
	.q_gate = true,
	.expert_scales = true,
	.ffn_norm = "post_attention_norm",
	.kv = delta_kv,
	.bind = delta_bind,
	.scratch = delta_scratch,
	.layer = delta_layer,
};
