/*
 * DeepSeek V4 Flash: several residual streams; attention over a window and
 * squeezed rows; experts that a table chooses in the first layers.
 *
 * The reference of the model keeps its rows in eight bits; what is kept here,
 * as in llama.cpp, is rounded to the type that keys and values are kept in and
 * to no other.
 */
#include "inferd/block_sparse.h"
#include "inferd/block_streams.h"

static size_t
scratch(const struct hparams *hp)
{
	return streams_scratch(hp) + sparse_scratch(hp);
}

static void
layer(struct run *r, uint32_t layer)
{
	streams_layer(r, layer, block_sparse);
}

const struct arch_def arch_deepseek4 = {
	.arch = ARCH_DEEPSEEK4,
	.qk_norm = QK_NORM_NONE,
	.rope = ROPE_NEXT,
	.glu = GLU_SILU,
	.ffn_norm = "ffn_norm",
	.kv = sparse_kv,
	.bind = sparse_bind,
	.scratch = scratch,
	.layer = layer,
};
