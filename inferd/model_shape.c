#include "inferd/model_shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Lengths that shapes are made of. */
enum dim {
	D_NONE,
	D_ONE,
	D_EMBD,
	D_EMBD_TWICE,
	D_VOCAB,
	D_Q, /* heads x key length */
	D_Q_TWICE,
	D_K, /* KV heads x key length */
	D_V, /* KV heads x value length */
	D_O, /* heads x value length */
	D_HEADS,
	D_HEAD_K,
	D_PLAIN, /* of a key the values that are not rotated */
	D_HEAD_V,
	D_Q_RANK,
	D_KV_RANK,
	D_KV_ROW, /* what a position keeps: of low rank, and rotated */
	D_ROPE,   /* half the rotated values */
	D_FF,
	D_EXPERTS,
	D_EXPERT_FF,
	D_SHARED_FF,
	D_TAPS,
	D_STATES, /* heads that keep a state */
	D_STATES_TWICE,
	D_STATE_V,    /* values of one of them */
	D_STATES_V,   /* of all */
	D_CHANNELS,   /* their queries, keys and values */
	D_CHANNELS_V, /* and as many again as values */
	D_STREAMS,
	D_STREAMS_EMBD, /* a row of all */
	D_MIX,          /* what says how they are mixed */
	D_THREE,
	D_OUT_GROUP, /* what a group of heads says */
	D_OUT_LOW,   /* of all groups, of low rank */
	D_HEAD_K_TWICE,
	D_FEW,
	D_MANY,
	D_INDEX_HEADS,
	D_INDEX_Q,
	D_INDEX_KEY,
	D_INDEX_KEY_TWICE,
	D_USED
};

/* Which models have it. */
#define QWEN3MOE (1u << ARCH_QWEN3MOE)
#define QWEN3 (1u << ARCH_QWEN3)
#define LLAMA (1u << ARCH_LLAMA)
#define OLMOE (1u << ARCH_OLMOE)
#define GPT_OSS (1u << ARCH_GPT_OSS)
#define GLM4MOE (1u << ARCH_GLM4MOE)
#define DEEPSEEK2 (1u << ARCH_DEEPSEEK2)
#define QWEN3NEXT (1u << ARCH_QWEN3NEXT)
#define QWEN35MOE (1u << ARCH_QWEN35MOE)
#define STREAMS (1u << ARCH_DEEPSEEK4)
#define QWEN (QWEN3MOE | QWEN3)
#define DELTA (QWEN3NEXT | QWEN35MOE)
#define ALL                                                                    \
	(QWEN | LLAMA | OLMOE | GPT_OSS | GLM4MOE | DEEPSEEK2 | DELTA | STREAMS)
/* Keys and values of all heads are made of one row. */
#define LOW_RANK DEEPSEEK2
#define PLAIN (ALL & ~LOW_RANK & ~STREAMS)
#define SCALED PLAIN /* whose files may have factors of matrices */
/* The norm between attention and feed-forward is called after the former. */
#define POST_NORM (GPT_OSS | GLM4MOE | DELTA)
#define SHARED (GLM4MOE | DEEPSEEK2 | DELTA | STREAMS)
#define IDLE (GLM4MOE | DEEPSEEK2 | QWEN35MOE | STREAMS)

/* In which layers. */
enum when {
	ALWAYS,
	IF_DENSE,
	IF_EXPERTS,
	IF_SHARED,
	IF_IDLE,
	IF_Q_RANK,
	IF_NO_Q_RANK,
	IF_ATTENTION,
	IF_STATE,
	IF_STATE_FUSED,
	IF_STATE_APART,
	IF_FEW,  /* with rows of a few positions, which are chosen from */
	IF_MANY, /* with rows of many */
	IF_HASHED,
	IF_ROUTED
};

struct want {
	const char *name;
	enum tensor_class kind;
	unsigned must, may; /* architectures */
	enum when when;
	enum dim dims[3];
};

static const struct want whole[] = {
	{ "token_embd.weight", CLASS_EMBD, ALL, 0, ALWAYS,
	    { D_EMBD, D_VOCAB } },
	{ "output_norm.weight", CLASS_NORM, ALL, 0, ALWAYS, { D_EMBD } },
	/* Without it the embedding is used. */
	{ "output.weight", CLASS_OUTPUT, 0, ALL, ALWAYS, { D_EMBD, D_VOCAB } },
	{ "output_hc_fn.weight", CLASS_ROUTER, STREAMS, 0, ALWAYS,
	    { D_STREAMS_EMBD, D_STREAMS } },
	{ "output_hc_base.weight", CLASS_NORM, STREAMS, 0, ALWAYS,
	    { D_STREAMS } },
	{ "output_hc_scale.weight", CLASS_NORM, STREAMS, 0, ALWAYS, { D_ONE } },
	{ "rope_freqs.weight", CLASS_NORM, 0, LLAMA, ALWAYS, { D_ROPE } },
};

static const struct want of_layer[] = {
	{ "attn_norm.weight", CLASS_NORM, ALL, 0, ALWAYS, { D_EMBD } },
	{ "attn_q.weight", CLASS_ATTN, ALL & ~DELTA & ~STREAMS, 0, IF_NO_Q_RANK,
	    { D_EMBD, D_Q } },
	/* With a gate behind each query. */
	{ "attn_q.weight", CLASS_ATTN, DELTA, 0, IF_ATTENTION,
	    { D_EMBD, D_Q_TWICE } },
	{ "attn_k.weight", CLASS_ATTN, PLAIN, 0, IF_ATTENTION,
	    { D_EMBD, D_K } },
	{ "attn_v.weight", CLASS_ATTN, PLAIN, 0, IF_ATTENTION,
	    { D_EMBD, D_V } },
	{ "attn_q_a.weight", CLASS_ATTN, LOW_RANK | STREAMS, 0, IF_Q_RANK,
	    { D_EMBD, D_Q_RANK } },
	{ "attn_q_a_norm.weight", CLASS_NORM, LOW_RANK | STREAMS, 0, IF_Q_RANK,
	    { D_Q_RANK } },
	{ "attn_q_b.weight", CLASS_ATTN, LOW_RANK | STREAMS, 0, IF_Q_RANK,
	    { D_Q_RANK, D_Q } },
	{ "attn_kv_a_mqa.weight", CLASS_ATTN, LOW_RANK, 0, ALWAYS,
	    { D_EMBD, D_KV_ROW } },
	{ "attn_kv_a_norm.weight", CLASS_NORM, LOW_RANK, 0, ALWAYS,
	    { D_KV_RANK } },
	/* One for each head. */
	{ "attn_k_b.weight", CLASS_ATTN, LOW_RANK, 0, ALWAYS,
	    { D_PLAIN, D_KV_RANK, D_HEADS } },
	{ "attn_v_b.weight", CLASS_ATTN, LOW_RANK, 0, ALWAYS,
	    { D_KV_RANK, D_HEAD_V, D_HEADS } },
	{ "attn_output.weight", CLASS_ATTN, ALL & ~STREAMS, 0, IF_ATTENTION,
	    { D_O, D_EMBD } },
	{ "attn_q.bias", CLASS_NORM, GPT_OSS, PLAIN & ~DELTA, ALWAYS, { D_Q } },
	{ "attn_k.bias", CLASS_NORM, GPT_OSS, PLAIN & ~DELTA, ALWAYS, { D_K } },
	{ "attn_v.bias", CLASS_NORM, GPT_OSS, PLAIN & ~DELTA, ALWAYS, { D_V } },
	{ "attn_output.bias", CLASS_NORM, GPT_OSS, LLAMA, ALWAYS, { D_EMBD } },
	{ "attn_q_norm.weight", CLASS_NORM, QWEN | DELTA, GLM4MOE, IF_ATTENTION,
	    { D_HEAD_K } },
	{ "attn_k_norm.weight", CLASS_NORM, QWEN | DELTA, GLM4MOE, IF_ATTENTION,
	    { D_HEAD_K } },
	/* Over all heads at once. */
	{ "attn_q_norm.weight", CLASS_NORM, OLMOE, 0, IF_ATTENTION, { D_Q } },
	{ "attn_k_norm.weight", CLASS_NORM, OLMOE, 0, IF_ATTENTION, { D_K } },
	{ "attn_sinks.weight", CLASS_NORM, GPT_OSS | STREAMS, 0, IF_ATTENTION,
	    { D_HEADS } },
	/* Of one row that is key and value of all heads. */
	{ "attn_kv.weight", CLASS_ATTN, STREAMS, 0, ALWAYS,
	    { D_EMBD, D_HEAD_K } },
	{ "attn_kv_a_norm.weight", CLASS_NORM, STREAMS, 0, ALWAYS,
	    { D_HEAD_K } },
	{ "attn_output_a.weight", CLASS_ATTN, STREAMS, 0, ALWAYS,
	    { D_OUT_GROUP, D_OUT_LOW } },
	{ "attn_output_b.weight", CLASS_ATTN, STREAMS, 0, ALWAYS,
	    { D_OUT_LOW, D_EMBD } },
	/* Of rows that positions are squeezed into. */
	{ "attn_compressor_kv.weight", CLASS_ATTN, STREAMS, 0, IF_FEW,
	    { D_EMBD, D_HEAD_K_TWICE } },
	{ "attn_compressor_gate.weight", CLASS_ATTN, STREAMS, 0, IF_FEW,
	    { D_EMBD, D_HEAD_K_TWICE } },
	{ "attn_compressor_ape.weight", CLASS_ROUTER, STREAMS, 0, IF_FEW,
	    { D_HEAD_K_TWICE, D_FEW } },
	{ "attn_compressor_norm.weight", CLASS_NORM, STREAMS, 0, IF_FEW,
	    { D_HEAD_K } },
	{ "attn_compressor_kv.weight", CLASS_ATTN, STREAMS, 0, IF_MANY,
	    { D_EMBD, D_HEAD_K } },
	{ "attn_compressor_gate.weight", CLASS_ATTN, STREAMS, 0, IF_MANY,
	    { D_EMBD, D_HEAD_K } },
	{ "attn_compressor_ape.weight", CLASS_ROUTER, STREAMS, 0, IF_MANY,
	    { D_HEAD_K, D_MANY } },
	{ "attn_compressor_norm.weight", CLASS_NORM, STREAMS, 0, IF_MANY,
	    { D_HEAD_K } },
	/* And of the choice among them. */
	{ "indexer.proj.weight", CLASS_ROUTER, STREAMS, 0, IF_FEW,
	    { D_EMBD, D_INDEX_HEADS } },
	{ "indexer.attn_q_b.weight", CLASS_ATTN, STREAMS, 0, IF_FEW,
	    { D_Q_RANK, D_INDEX_Q } },
	{ "indexer_compressor_kv.weight", CLASS_ATTN, STREAMS, 0, IF_FEW,
	    { D_EMBD, D_INDEX_KEY_TWICE } },
	{ "indexer_compressor_gate.weight", CLASS_ATTN, STREAMS, 0, IF_FEW,
	    { D_EMBD, D_INDEX_KEY_TWICE } },
	{ "indexer_compressor_ape.weight", CLASS_ROUTER, STREAMS, 0, IF_FEW,
	    { D_INDEX_KEY_TWICE, D_FEW } },
	{ "indexer_compressor_norm.weight", CLASS_NORM, STREAMS, 0, IF_FEW,
	    { D_INDEX_KEY } },
	/* How streams are mixed around attention and around experts. */
	{ "hc_attn_fn.weight", CLASS_ROUTER, STREAMS, 0, ALWAYS,
	    { D_STREAMS_EMBD, D_MIX } },
	{ "hc_attn_base.weight", CLASS_NORM, STREAMS, 0, ALWAYS, { D_MIX } },
	{ "hc_attn_scale.weight", CLASS_NORM, STREAMS, 0, ALWAYS, { D_THREE } },
	{ "hc_ffn_fn.weight", CLASS_ROUTER, STREAMS, 0, ALWAYS,
	    { D_STREAMS_EMBD, D_MIX } },
	{ "hc_ffn_base.weight", CLASS_NORM, STREAMS, 0, ALWAYS, { D_MIX } },
	{ "hc_ffn_scale.weight", CLASS_NORM, STREAMS, 0, ALWAYS, { D_THREE } },
	/* Of layers that keep a state. */
	{ "ssm_in.weight", CLASS_ATTN, QWEN3NEXT, 0, IF_STATE_FUSED,
	    { D_EMBD, D_CHANNELS_V } },
	{ "attn_qkv.weight", CLASS_ATTN, DELTA, 0, IF_STATE_APART,
	    { D_EMBD, D_CHANNELS } },
	{ "attn_gate.weight", CLASS_ATTN, DELTA, 0, IF_STATE_APART,
	    { D_EMBD, D_STATES_V } },
	{ "ssm_ba.weight", CLASS_ATTN, QWEN3NEXT, 0, IF_STATE,
	    { D_EMBD, D_STATES_TWICE } },
	{ "ssm_beta.weight", CLASS_ATTN, QWEN35MOE, 0, IF_STATE,
	    { D_EMBD, D_STATES } },
	{ "ssm_alpha.weight", CLASS_ATTN, QWEN35MOE, 0, IF_STATE,
	    { D_EMBD, D_STATES } },
	{ "ssm_conv1d.weight", CLASS_NORM, DELTA, 0, IF_STATE,
	    { D_TAPS, D_CHANNELS } },
	{ "ssm_dt.bias", CLASS_NORM, DELTA, 0, IF_STATE, { D_STATES } },
	{ "ssm_a", CLASS_NORM, DELTA, 0, IF_STATE, { D_STATES } },
	{ "ssm_norm.weight", CLASS_NORM, DELTA, 0, IF_STATE, { D_STATE_V } },
	{ "ssm_out.weight", CLASS_ATTN, DELTA, 0, IF_STATE,
	    { D_STATES_V, D_EMBD } },
	{ "ffn_norm.weight", CLASS_NORM, ALL & ~POST_NORM, 0, ALWAYS,
	    { D_EMBD } },
	{ "post_attention_norm.weight", CLASS_NORM, POST_NORM, 0, ALWAYS,
	    { D_EMBD } },
	{ "ffn_gate.weight", CLASS_FFN, ALL, 0, IF_DENSE, { D_EMBD, D_FF } },
	{ "ffn_up.weight", CLASS_FFN, ALL, 0, IF_DENSE, { D_EMBD, D_FF } },
	{ "ffn_down.weight", CLASS_DOWN, ALL, 0, IF_DENSE, { D_FF, D_EMBD } },
	{ "ffn_gate_inp.weight", CLASS_ROUTER, ALL, 0, IF_EXPERTS,
	    { D_EMBD, D_EXPERTS } },
	{ "ffn_gate_exps.weight", CLASS_FFN, ALL, 0, IF_EXPERTS,
	    { D_EMBD, D_EXPERT_FF, D_EXPERTS } },
	{ "ffn_up_exps.weight", CLASS_FFN, ALL, 0, IF_EXPERTS,
	    { D_EMBD, D_EXPERT_FF, D_EXPERTS } },
	{ "ffn_down_exps.weight", CLASS_DOWN, ALL, 0, IF_EXPERTS,
	    { D_EXPERT_FF, D_EMBD, D_EXPERTS } },
	/* For the choice alone. */
	{ "exp_probs_b.bias", CLASS_NORM, GLM4MOE, DEEPSEEK2, IF_EXPERTS,
	    { D_EXPERTS } },
	{ "exp_probs_b.bias", CLASS_NORM, STREAMS, 0, IF_ROUTED,
	    { D_EXPERTS } },
	/* The experts of each token. */
	{ "ffn_gate_tid2eid.weight", CLASS_TABLE, STREAMS, 0, IF_HASHED,
	    { D_USED, D_VOCAB } },
	{ "ffn_gate_shexp.weight", CLASS_FFN, SHARED, 0, IF_SHARED,
	    { D_EMBD, D_SHARED_FF } },
	{ "ffn_up_shexp.weight", CLASS_FFN, SHARED, 0, IF_SHARED,
	    { D_EMBD, D_SHARED_FF } },
	{ "ffn_down_shexp.weight", CLASS_DOWN, SHARED, 0, IF_SHARED,
	    { D_SHARED_FF, D_EMBD } },
	/* How much of it, row by row. */
	{ "ffn_gate_inp_shexp.weight", CLASS_NORM, DELTA, 0, IF_SHARED,
	    { D_EMBD } },
	{ "ffn_gate_inp.bias", CLASS_NORM, GPT_OSS, 0, IF_EXPERTS,
	    { D_EXPERTS } },
	{ "ffn_gate_exps.bias", CLASS_NORM, GPT_OSS, 0, IF_EXPERTS,
	    { D_EXPERT_FF, D_EXPERTS } },
	{ "ffn_up_exps.bias", CLASS_NORM, GPT_OSS, 0, IF_EXPERTS,
	    { D_EXPERT_FF, D_EXPERTS } },
	{ "ffn_down_exps.bias", CLASS_NORM, GPT_OSS, 0, IF_EXPERTS,
	    { D_EMBD, D_EXPERTS } },
	/* Of layers that guess the token after the next. */
	{ "nextn.eh_proj.weight", CLASS_FFN, IDLE, 0, IF_IDLE,
	    { D_EMBD_TWICE, D_EMBD } },
	{ "nextn.enorm.weight", CLASS_NORM, IDLE, 0, IF_IDLE, { D_EMBD } },
	{ "nextn.hnorm.weight", CLASS_NORM, IDLE, 0, IF_IDLE, { D_EMBD } },
	{ "nextn.embed_tokens.weight", CLASS_EMBD, 0, IDLE, IF_IDLE,
	    { D_EMBD, D_VOCAB } },
	{ "nextn.shared_head_head.weight", CLASS_OUTPUT, 0, IDLE, IF_IDLE,
	    { D_EMBD, D_VOCAB } },
	{ "nextn.shared_head_norm.weight", CLASS_NORM, 0, IDLE, IF_IDLE,
	    { D_EMBD } },
	/* Factors of whole matrices, or of the matrices of experts. */
	{ "attn_q.scale", CLASS_NORM, 0, SCALED, IF_ATTENTION, { D_ONE } },
	{ "attn_k.scale", CLASS_NORM, 0, SCALED, IF_ATTENTION, { D_ONE } },
	{ "attn_v.scale", CLASS_NORM, 0, SCALED, IF_ATTENTION, { D_ONE } },
	{ "attn_output.scale", CLASS_NORM, 0, SCALED, IF_ATTENTION, { D_ONE } },
	{ "ffn_gate.scale", CLASS_NORM, 0, SCALED, IF_DENSE, { D_ONE } },
	{ "ffn_up.scale", CLASS_NORM, 0, SCALED, IF_DENSE, { D_ONE } },
	{ "ffn_down.scale", CLASS_NORM, 0, SCALED, IF_DENSE, { D_ONE } },
	{ "ffn_gate_exps.scale", CLASS_NORM, 0, SCALED, IF_EXPERTS,
	    { D_EXPERTS } },
	{ "ffn_up_exps.scale", CLASS_NORM, 0, SCALED, IF_EXPERTS,
	    { D_EXPERTS } },
	{ "ffn_down_exps.scale", CLASS_NORM, 0, SCALED, IF_EXPERTS,
	    { D_EXPERTS } },
	/* For engines that quantise activations to types of their own. */
	{ "attn_q.input_scale", CLASS_NORM, 0, SCALED, IF_ATTENTION,
	    { D_ONE } },
	{ "attn_k.input_scale", CLASS_NORM, 0, SCALED, IF_ATTENTION,
	    { D_ONE } },
	{ "attn_v.input_scale", CLASS_NORM, 0, SCALED, IF_ATTENTION,
	    { D_ONE } },
	{ "attn_output.input_scale", CLASS_NORM, 0, SCALED, IF_ATTENTION,
	    { D_ONE } },
	{ "ffn_gate.input_scale", CLASS_NORM, 0, SCALED, IF_DENSE, { D_ONE } },
	{ "ffn_up.input_scale", CLASS_NORM, 0, SCALED, IF_DENSE, { D_ONE } },
	{ "ffn_down.input_scale", CLASS_NORM, 0, SCALED, IF_DENSE, { D_ONE } },
	{ "ffn_gate_exps.input_scale", CLASS_NORM, 0, SCALED, IF_EXPERTS,
	    { D_EXPERTS } },
	{ "ffn_up_exps.input_scale", CLASS_NORM, 0, SCALED, IF_EXPERTS,
	    { D_EXPERTS } },
	{ "ffn_down_exps.input_scale", CLASS_NORM, 0, SCALED, IF_EXPERTS,
	    { D_EXPERTS } },
};

static uint64_t
dim_of(const struct hparams *h, enum dim d)
{
	switch (d) {
	case D_NONE:
	case D_ONE:
		return 1;
	case D_EMBD:
		return h->embd;
	case D_EMBD_TWICE:
		return 2ull * h->embd;
	case D_VOCAB:
		return h->vocab;
	case D_Q:
		return (uint64_t)h->heads * h->head_k;
	case D_Q_TWICE:
		return 2ull * h->heads * h->head_k;
	case D_K:
		return (uint64_t)h->kv_heads * h->head_k;
	case D_V:
		return (uint64_t)h->kv_heads * h->head_v;
	case D_O:
		return (uint64_t)h->heads * h->head_v;
	case D_HEADS:
		return h->heads;
	case D_HEAD_K:
		return h->head_k;
	case D_PLAIN:
		return h->head_k - h->rope_dims;
	case D_HEAD_V:
		return h->head_v;
	case D_Q_RANK:
		return h->q_rank;
	case D_KV_RANK:
		return h->kv_rank;
	case D_KV_ROW:
		return h->kv_rank + h->rope_dims;
	case D_ROPE:
		return h->rope_dims / 2;
	case D_FF:
		return h->ff;
	case D_EXPERTS:
		return h->experts;
	case D_EXPERT_FF:
		return h->expert_ff;
	case D_SHARED_FF:
		return h->shared_ff;
	case D_TAPS:
		return h->delta.taps;
	case D_STATES:
		return h->delta.heads;
	case D_STATES_TWICE:
		return 2ull * h->delta.heads;
	case D_STATE_V:
		return h->delta.value;
	case D_STATES_V:
		return (uint64_t)h->delta.heads * h->delta.value;
	case D_CHANNELS:
		return delta_channels(h);
	case D_CHANNELS_V:
		return delta_channels(h) +
		       (uint64_t)h->delta.heads * h->delta.value;
	case D_STREAMS:
		return h->streams.n;
	case D_STREAMS_EMBD:
		return (uint64_t)h->streams.n * h->embd;
	case D_MIX:
		return (uint64_t)h->streams.n * (h->streams.n + 2);
	case D_THREE:
		return 3;
	case D_OUT_GROUP:
		return (uint64_t)h->heads * h->head_v / h->streams.out_groups;
	case D_OUT_LOW:
		return (uint64_t)h->streams.out_groups * h->streams.out_rank;
	case D_HEAD_K_TWICE:
		return 2ull * h->head_k;
	case D_FEW:
		return SQUEEZE_FEW;
	case D_MANY:
		return SQUEEZE_MANY;
	case D_INDEX_HEADS:
		return h->streams.index_heads;
	case D_INDEX_Q:
		return (uint64_t)h->streams.index_heads * h->streams.index_key;
	case D_INDEX_KEY:
		return h->streams.index_key;
	case D_INDEX_KEY_TWICE:
		return 2ull * h->streams.index_key;
	case D_USED:
		return h->experts_used;
	}
	return 0;
}

unsigned
model_traits(enum arch arch)
{
	static const unsigned traits[ARCH_MAX] = {
		[ARCH_QWEN3MOE] = TRAIT_EXPERTS,
		[ARCH_QWEN3] = TRAIT_DENSE,
		[ARCH_LLAMA] = TRAIT_DENSE | TRAIT_EXPERTS,
		[ARCH_OLMOE] = TRAIT_EXPERTS,
		[ARCH_GPT_OSS] = TRAIT_EXPERTS,
		[ARCH_GLM4MOE] = TRAIT_EXPERTS | TRAIT_LEAD | TRAIT_SHARED |
				 TRAIT_GROUPS | TRAIT_GATE | TRAIT_IDLE,
		[ARCH_DEEPSEEK2] = TRAIT_DENSE | TRAIT_EXPERTS | TRAIT_LEAD |
				   TRAIT_SHARED | TRAIT_GROUPS | TRAIT_GATE |
				   TRAIT_IDLE | TRAIT_LOW_RANK,
		[ARCH_QWEN3NEXT] = TRAIT_EXPERTS | TRAIT_SHARED | TRAIT_DELTA,
		[ARCH_QWEN35MOE] =
		    TRAIT_EXPERTS | TRAIT_SHARED | TRAIT_DELTA | TRAIT_IDLE,
		[ARCH_DEEPSEEK4] = TRAIT_EXPERTS | TRAIT_SHARED | TRAIT_GATE |
				   TRAIT_IDLE | TRAIT_STREAMS,
	};

	return traits[arch];
}

enum expert_gate
model_usual_gate(enum arch arch)
{
	if (arch == ARCH_GPT_OSS)
		return GATE_SOFTMAX_CHOSEN;
	if (arch == ARCH_DEEPSEEK4)
		return GATE_ROOT;
	return arch == ARCH_GLM4MOE ? GATE_SIGMOID : GATE_SOFTMAX;
}

bool
model_layer_experts(const struct hparams *hp, uint32_t layer)
{
	return hp->experts > 0 && layer >= hp->dense_layers;
}

bool
model_layer_delta(const struct hparams *hp, uint32_t layer)
{
	return hp->delta.every > 0 && layer < hp->layers &&
	       (layer + 1) % hp->delta.every != 0;
}

bool
model_layer_hashed(const struct hparams *hp, uint32_t layer)
{
	return layer < hp->streams.hash_layers;
}

uint64_t
delta_channels(const struct hparams *hp)
{
	const struct delta_shape *d = &hp->delta;

	return 2ull * d->key_heads * d->key + (uint64_t)d->heads * d->value;
}

static bool
holds(const struct hparams *h, enum when when, int layer)
{
	switch (when) {
	case ALWAYS:
		return true;
	case IF_DENSE:
		return !model_layer_experts(h, (uint32_t)layer);
	case IF_EXPERTS:
		return model_layer_experts(h, (uint32_t)layer);
	case IF_SHARED:
		return model_layer_experts(h, (uint32_t)layer) &&
		       h->shared_ff > 0;
	case IF_IDLE:
		return layer >= (int)h->layers;
	case IF_Q_RANK:
		return h->q_rank > 0;
	case IF_NO_Q_RANK:
		return h->q_rank == 0;
	case IF_ATTENTION:
		return !model_layer_delta(h, (uint32_t)layer);
	case IF_STATE:
		return model_layer_delta(h, (uint32_t)layer);
	case IF_STATE_FUSED:
		return model_layer_delta(h, (uint32_t)layer) && h->delta.fused;
	case IF_STATE_APART:
		return model_layer_delta(h, (uint32_t)layer) && !h->delta.fused;
	case IF_FEW:
		return h->streams.squeeze[layer] == SQUEEZE_FEW;
	case IF_MANY:
		return h->streams.squeeze[layer] == SQUEEZE_MANY;
	case IF_HASHED:
		return model_layer_hashed(h, (uint32_t)layer);
	case IF_ROUTED:
		return !model_layer_hashed(h, (uint32_t)layer);
	}
	return false;
}

static void
fill(const struct hparams *h, const struct want *w, int layer,
    struct tensor_want *out)
{
	*out = (struct tensor_want){ .name = w->name,
		.kind = w->kind,
		.optional = (w->must & 1u << h->arch) == 0,
		.idle = layer >= (int)h->layers,
		.expert = w->dims[2] != D_NONE };
	for (size_t i = 0; i < nitems(out->dims); i++) {
		enum dim d = i < nitems(w->dims) ? w->dims[i] : D_NONE;

		out->dims[i] = dim_of(h, d);
		out->ndims += d != D_NONE;
	}
}

bool
model_shape_want(
    const struct hparams *hp, int layer, size_t i, struct tensor_want *out)
{
	const struct want *w = layer < 0 ? whole : of_layer;
	size_t n = layer < 0 ? nitems(whole) : nitems(of_layer);

	for (size_t k = 0; k < n; k++)
		if (((w[k].must | w[k].may) & 1u << hp->arch) != 0 &&
		    holds(hp, w[k].when, layer) && i-- == 0) {
			fill(hp, &w[k], layer, out);
			return true;
		}
	return false;
}

static int
check_one(
    const struct tensor *t, const struct tensor_want *w, struct error *err)
{
	/* A vector may be written as a matrix of one row. */
	bool same = t->ndims == w->ndims || w->ndims == 1;

	for (size_t i = 0; i < nitems(t->dims); i++)
		same = same && t->dims[i] == w->dims[i];
	if (!same)
		return error_set(err, 0,
		    "tensor %s is of shape %llu,%llu,%llu,%llu; "
		    "%llu,%llu,%llu,%llu is needed",
		    t->name, (unsigned long long)t->dims[0],
		    (unsigned long long)t->dims[1],
		    (unsigned long long)t->dims[2],
		    (unsigned long long)t->dims[3],
		    (unsigned long long)w->dims[0],
		    (unsigned long long)w->dims[1],
		    (unsigned long long)w->dims[2],
		    (unsigned long long)w->dims[3]);
	if (w->kind == CLASS_NORM && t->type != TT_F32)
		return error_set(err, 0,
		    "tensor %s is of type %s; F32 is needed", t->name,
		    tensor_type_name(t->type));
	if ((w->kind == CLASS_TABLE) != (t->type == TT_I32))
		return error_set(err, 0, "tensor %s is of type %s, which %s",
		    t->name, tensor_type_name(t->type),
		    w->kind == CLASS_TABLE ? "no table is" : "only tables are");
	return 0;
}

/* Checks those of one layer, or of none (prefix ""), and counts them. */
static int
check_group(const struct model_table *t, int layer, const char *prefix,
    size_t *known, struct error *err)
{
	struct tensor_want w;

	for (size_t i = 0; model_shape_want(&t->hp, layer, i, &w); i++) {
		const struct tensor *ti;
		char name[MODEL_NAME_MAX + 1];

		snprintf(name, sizeof(name), "%s%s", prefix, w.name);
		ti = model_table_find(t, name);
		if (ti == NULL && (w.optional || w.idle))
			continue;
		if (ti == NULL)
			return error_set(err, 0,
			    "tensor %s, which %s needs, is missing", name,
			    arch_name(t->hp.arch));
		if (check_one(ti, &w, err) < 0)
			return -1;
		++*known;
	}
	return 0;
}

/* "blk.N.REST": the layer, and what it calls it; -1: of no layer. */
static int
layer_of(const char *name, const char **rest)
{
	unsigned long n;
	char *end;

	*rest = name;
	if (!str_starts(name, "blk."))
		return -1;
	n = strtoul(name + 4, &end, 10);
	if (*end != '.')
		return -1;
	*rest = end + 1;
	return n < MODEL_LAYERS_MAX ? (int)n : (int)MODEL_LAYERS_MAX;
}

static bool
is_wanted(const struct hparams *hp, const char *name)
{
	int layer = layer_of(name, &name);
	struct tensor_want w;

	if (layer >= (int)(hp->layers + hp->idle_layers))
		return false;
	for (size_t i = 0; model_shape_want(hp, layer, i, &w); i++)
		if (str_eq(name, w.name))
			return true;
	return false;
}

/* "blk.N.ffn_gate.E.weight": from before experts were put together. */
static bool
is_single_expert(const char *name)
{
	const char *s = strstr(name, ".ffn_");

	if (s == NULL || (s = strchr(s + 5, '.')) == NULL)
		return false;
	return s[1] >= '0' && s[1] <= '9';
}

/* Keys and values of all heads in one. */
static bool
is_both(const char *name)
{
	return str_ends(name, ".attn_kv_b.weight");
}

static int
unwanted(const struct model_table *t, struct error *err)
{
	for (size_t i = 0; i < t->ntensors; i++) {
		const char *name = t->tensors[i].name;

		if (is_wanted(&t->hp, name))
			continue;
		if (is_single_expert(name))
			return error_set(err, 0,
			    "tensor %s: this old file has one tensor for each "
			    "expert; convert the model anew",
			    name);
		if (is_both(name))
			return error_set(err, 0,
			    "tensor %s: this old file has keys and values in "
			    "one tensor; convert the model anew",
			    name);
		return error_set(err, 0, "tensor %s is none that %s has", name,
		    arch_name(t->hp.arch));
	}
	return error_set(err, 0, "tensors are missing");
}

int
model_shape_check(const struct model_table *t, struct error *err)
{
	const struct hparams *h = &t->hp;
	size_t known = 0;

	if (h->arch == ARCH_NONE)
		return t->ntensors == 0
			   ? 0
			   : error_set(err, 0, "tensors of no architecture");
	if (model_shape_numbers(h, err) < 0)
		return -1;
	if (t->vocab.n != 0 && t->vocab.n != h->vocab)
		return error_set(
		    err, 0, "%u tokens, not %u", t->vocab.n, h->vocab);
	if (check_group(t, -1, "", &known, err) < 0)
		return -1;
	for (uint32_t i = 0; i < h->layers + h->idle_layers; i++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "blk.%u.", i);
		if (check_group(t, (int)i, prefix, &known, err) < 0) {
			/* Perhaps another name explains it better. */
			for (size_t k = 0; k < t->ntensors; k++)
				if (is_single_expert(t->tensors[k].name) ||
				    is_both(t->tensors[k].name))
					return unwanted(t, err);
			return -1;
		}
	}
	return known == t->ntensors ? 0 : unwanted(t, err);
}

bool
model_tensor_idle(const struct model_table *t, const struct tensor *ti)
{
	const char *rest;

	return t->hp.idle_layers > 0 &&
	       layer_of(ti->name, &rest) >= (int)t->hp.layers;
}

/* Which share of a tensor one token reads, as used out of all. */
static void
share(const struct model_table *t, const struct tensor *ti, uint64_t *used,
    uint64_t *all)
{
	*used = *all = 1;
	if (model_tensor_idle(t, ti))
		*used = 0;
	else if (strstr(ti->name, "_exps.") != NULL && t->hp.experts > 0) {
		*used = t->hp.experts_used;
		*all = t->hp.experts;
	} else if (str_eq(ti->name, "token_embd.weight") &&
		   model_table_find(t, "output.weight") != NULL)
		*all = ti->dims[1];
	else if (ti->type == TT_I32)
		*all = ti->dims[1];
}

uint64_t
model_bytes_per_token(const struct model_table *t)
{
	uint64_t n = 0, used, all;

	for (size_t i = 0; i < t->ntensors; i++) {
		share(t, &t->tensors[i], &used, &all);
		n += t->tensors[i].bytes / all * used;
	}
	return n;
}

uint64_t
model_params(const struct model_table *t, uint64_t *active)
{
	uint64_t n = 0, used, all;

	*active = 0;
	for (size_t i = 0; i < t->ntensors; i++) {
		const struct tensor *ti = &t->tensors[i];
		uint64_t k =
		    ti->dims[0] * ti->dims[1] * ti->dims[2] * ti->dims[3];

		n += k;
		share(t, ti, &used, &all);
		*active += k / all * used;
	}
	return n;
}
