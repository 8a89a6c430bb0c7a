/* Qwen3-Next: three of four layers keep a state; heads of values that share
 * one of keys are neighbours. */
#include "inferd/block.h"
#include "inferd/delta.h"
#include "inferd/net.h"

const struct arch_def arch_qwen3next = {
	.arch = ARCH_QWEN3NEXT,
	.qk_norm = QK_NORM_HEAD,
	.rope = ROPE_HALVES,
	.glu = GLU_SILU,
	.q_gate = true,
	.delta_grouped = true,
	.expert_scales = true,
	.ffn_norm = "post_attention_norm",
	.kv = delta_kv,
	.bind = delta_bind,
	.scratch = delta_scratch,
	.layer = delta_layer,
};
