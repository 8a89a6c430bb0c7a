/*
 * A model ready to compute with: the weights of each layer by their part in
 * it, and what tells one architecture from another.  An architecture is a
 * small file (arch_NAME.c) that says which blocks a layer is made of and with
 * which variations; blocks (block_NAME.c) are shared.
 *
 * Shapes are those that the loader has checked.  Weights are borrowed from the
 * model, which stays while the net is used.
 */
#ifndef BRIG_INFERD_NET_H
#define BRIG_INFERD_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/kern.h"
#include "inferd/model_table.h"

struct run;
struct binding;
struct kv_shape;
struct layer;
struct net;

/* One matrix, or one for each expert: y = (W x) * scale + bias. */
struct matrix {
	enum tensor_type type;
	const uint8_t *w; /* NULL: there is none */
	size_t rows, cols, row_bytes;
	const float *scale; /* [experts], or NULL */
	const float *bias;  /* [experts][rows], or NULL */
};

/* Of layers that keep a state (block_delta.c). */
struct delta_weights {
	struct matrix in;    /* queries, keys and values of all heads */
	struct matrix gate;  /* of what each head of values says */
	struct matrix fused; /* instead of both: head by head of keys */
	struct matrix rates; /* beta, or beta and alpha */
	struct matrix alpha;
	float *conv;         /* [taps][channels], the net's own */
	const float *dt, *a; /* [heads] */
	const float *norm;   /* [values of a head] */
};

/* How residual streams are mixed before a block, and behind it
 * (block_streams.c). */
struct mix_weights {
	struct matrix fn; /* of all streams of a row */
	const float *scale, *base;
};

/* Of positions that are squeezed into a row (block_squeeze.c). */
struct squeeze_weights {
	struct matrix value, score; /* two of a position where rows overlap */
	float *place;      /* [positions][width]: added, the net's own */
	const float *norm; /* [values of a row] */
};

struct layer {
	const float *attn_norm; /* [embd] */
	struct matrix q, k, v, o;
	/* Of low rank: what q is multiplied with is made by q_low, if there is
	 * one, what k and v of each head are by kv_low. */
	struct matrix q_low, kv_low;
	const float *q_norm, *k_norm; /* as enum qk_norm says */
	const float *sinks;           /* [heads], or NULL */
	uint32_t window;              /* positions seen, this one too; 0: all */
	struct delta_weights delta;   /* instead of q, k, v */
	struct mix_weights mix_attn, mix_ffn;
	struct squeeze_weights squeeze;
	struct squeeze_weights index;       /* rows by which those are chosen */
	struct matrix index_q, index_share; /* and who chooses */
	struct matrix o_low;      /* of each group of heads, before o */
	const float *ffn_norm;    /* [embd] */
	struct matrix router;     /* none: a dense layer */
	const float *router_bias; /* [experts] of the choice alone, or NULL */
	int32_t *fixed; /* [vocab][experts_used]: the choice; or NULL */
	struct matrix gate, up,
	    down; /* of each expert where there is a router */
	struct matrix shared_gate, shared_up,
	    shared_down; /* of the expert that all rows have, or none */
	const float *shared_share; /* [embd]: how much of it; NULL: all */
};

enum qk_norm {
	QK_NORM_NONE,
	QK_NORM_HEAD, /* each head by itself, weights [head] */
	QK_NORM_FULL, /* the whole projection, weights [its rows] */
};

enum rope_pairs {
	ROPE_HALVES, /* i and i + dims / 2, "NEOX" */
	ROPE_NEXT,   /* 2 i and 2 i + 1 */
};

struct arch_def {
	enum arch arch;
	enum qk_norm qk_norm;
	bool qk_norm_optional; /* where its tensors are there */
	enum rope_pairs rope;
	enum glu glu;
	bool q_gate; /* behind each head's query: of what the head says */
	bool delta_grouped;   /* heads of values that share one of keys are
			       * neighbours, not apart by their number */
	bool expert_scales;   /* tensors ffn_*_exps.scale count, if there */
	const char *ffn_norm; /* name of the tensor in a layer */
	/* Window of a layer, given that of the model; NULL: the model's. */
	uint32_t (*window)(uint32_t layer, uint32_t window);
	/* What track number i keeps of a sequence; false: there is no such
	 * track.  NULL: each layer keeps the keys and values of kv_heads. */
	bool (*kv)(const struct hparams *hp, uint32_t i, struct kv_shape *out);
	/* Binds what comes before the feed-forward block, which is bound for
	 * all alike; NULL: net_bind_attention(). */
	void (*bind)(struct binding *b, const struct net *n, struct layer *l);
	/* Floats that blocks of its own have for each row, in run.scratch, kept
	 * from one layer to the next; NULL: none. */
	size_t (*scratch)(const struct hparams *hp);
	/* Adds what the layer says to each row of the residual stream. */
	void (*layer)(struct run *r, uint32_t layer);
};

struct net {
	const struct arch_def *def;
	struct hparams hp;
	struct matrix embd, output;
	const float *output_norm;
	struct layer *layers;
	struct mix_weights mix_out; /* of residual streams, if several */
	float *rope_freq;    /* [rope_dims / 2]: radians for each position */
	float *squeeze_freq; /* of layers with squeezed rows, or NULL */
	float rope_gain;     /* of cosine and sine (YaRN's) */
	float attn_scale;
};

/*
 * Bind the tensors of t, whose data is mapped; t is borrowed.  NULL with err
 * naming what is missing or of a type that cannot be used in its place.
 */
struct net *net_new(const struct model_table *t, struct error *err);
void net_free(struct net *n); /* NULL is fine */

/* Of one architecture; NULL: none of ours. */
const struct arch_def *arch_def(enum arch arch);
/* What track number i keeps of a sequence; false: there is no such track. */
bool net_kv_shape(const struct hparams *hp, uint32_t i, struct kv_shape *out);

extern const struct arch_def arch_qwen3moe, arch_qwen3, arch_llama, arch_olmoe,
    arch_gpt_oss, arch_glm4moe, arch_deepseek2, arch_qwen3next, arch_qwen35moe,
    arch_deepseek4;

#endif
