/*
 * What the engine knows of a model: its shape, its vocabulary, and where each
 * tensor lies.  Made by the throw-away parser of the model file, which nobody
 * trusts; model_table_decode() checks every number of it again, and
 * model_shape.h what an architecture needs.  Behind these two, inference has
 * no checks.  Pure.
 */
#ifndef BRIG_INFERD_MODEL_TABLE_H
#define BRIG_INFERD_MODEL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "inferd/tensor_type.h"

/* More is refused, by name. */
#define MODEL_TENSORS_MAX 65536u
#define MODEL_FILES_MAX 64u
#define MODEL_NAME_MAX 64u   /* of a tensor */
#define MODEL_TITLE_MAX 256u /* general.name */
#define MODEL_DIM_MAX (1ull << 32)
#define MODEL_BYTES_MAX (1ull << 46) /* of a tensor, and as an offset */
#define MODEL_VOCAB_MAX (1u << 20)
#define MODEL_TOKEN_MAX 1024u /* bytes of one token */
#define MODEL_MERGES_MAX (1u << 21)
#define MODEL_LAYERS_MAX 512u
#define MODEL_EMBD_MAX 65536u
#define MODEL_FF_MAX (1u << 20)
#define MODEL_HEADS_MAX 1024u
#define MODEL_HEAD_MAX 1024u /* values of one head */
#define MODEL_EXPERTS_MAX 1024u
#define MODEL_CTX_MAX (1u << 27)
/* Tables are at most this long on the wire. */
#define MODEL_TABLE_MAX (256u << 20)
/* Where a tensor begins within its file; 32 is what files use. */
#define MODEL_ALIGN_MIN 8u

#define MODEL_NO_TOKEN (-1)

struct tensor {
	char *name;
	enum tensor_type type;
	uint32_t ndims;
	uint64_t dims[4]; /* dims[0]: row length, fastest; unused ones are 1 */
	uint32_t file;
	uint64_t offset, bytes; /* within that file */
	const void *data;       /* set by model_open() */
};

enum arch {
	ARCH_NONE, /* vocabulary only */
	ARCH_QWEN3MOE,
	ARCH_QWEN3,
	ARCH_LLAMA,
	ARCH_OLMOE,
	ARCH_GPT_OSS,
	ARCH_GLM4MOE,
	ARCH_DEEPSEEK2,
	ARCH_QWEN3NEXT,
	ARCH_QWEN35MOE,
	ARCH_DEEPSEEK4,
	ARCH_MAX
};

/* What scores of experts are turned into before the best are chosen. */
enum expert_gate {
	GATE_SOFTMAX,        /* over all experts */
	GATE_SOFTMAX_CHOSEN, /* over the best, chosen as they are */
	GATE_SIGMOID,        /* each by itself */
	GATE_ROOT,           /* each by itself: sqrt(ln(1 + exp(x))) */
	GATE_MAX
};

/* Of layers that keep a state; each `every`-th is of attention instead. */
struct delta_shape {
	uint32_t every;            /* 0: there are none */
	uint32_t taps;             /* of the convolution */
	uint32_t key_heads, heads; /* of keys and queries; of values */
	uint32_t key, value;       /* values of a head */
	bool fused;                /* in old files: their first matrices */
};
#define DELTA_TAPS_MAX 8u

/*
 * Of models with several residual streams, whose layers see a window and, of
 * what is before, rows that several positions are squeezed into.
 */
struct streams_shape {
	uint32_t n;      /* streams; 0: it is not such a model */
	uint32_t rounds; /* in which their mixture is evened out */
	float eps;       /* of it */
	uint32_t out_groups, out_rank; /* heads speak in groups, of low rank */
	/* Where one of four positions each is chosen from: */
	uint32_t index_heads, index_key, index_top;
	uint32_t hash_layers; /* the first ones: a token's experts are fixed */
	float squeeze_base;   /* of positions of layers with such rows */
	float limit, shared_limit;         /* of gates and values of experts */
	uint8_t squeeze[MODEL_LAYERS_MAX]; /* positions of a row; 0: none */
};
#define STREAMS_MAX 8u
#define STREAMS_ROUNDS_MAX 1000u
#define INDEX_TOP_MAX 4096u
/* Positions of a row: such as are chosen, and such as are all seen. */
#define SQUEEZE_FEW 4u
#define SQUEEZE_MANY 128u

struct hparams {
	enum arch arch;
	uint32_t layers, embd;
	uint32_t idle_layers; /* behind them in the file, not computed */
	uint32_t ff;          /* of dense layers; 0: there are none */
	uint32_t heads, kv_heads, head_k, head_v;
	uint32_t rope_dims;
	uint32_t q_rank;  /* of queries; 0: they are made in one step */
	uint32_t kv_rank; /* of the row that all heads' keys and values are made
			     of; 0: each head has its own */
	uint32_t experts, experts_used, expert_ff; /* all 0: dense */
	uint32_t dense_layers; /* the first ones, where others have experts */
	uint32_t shared_ff;    /* of the expert that every row goes through */
	uint32_t expert_groups, groups_used; /* 0: chosen out of all */
	enum expert_gate gate;
	struct delta_shape delta;
	struct streams_shape streams;
	uint32_t vocab;
	uint32_t ctx_train;
	uint32_t window; /* 0: none */
	float rms_eps;
	float rope_base;
	float rope_scale; /* positions are divided by it; 1: plain */
	/* Pairs of values that turn by time, height, width and another: for a
	 * text the first three are its position (rope.c); all 0: not so. */
	uint32_t rope_sections[4];
	struct {
		bool on;
		float factor, beta_fast, beta_slow;
		uint32_t ctx_orig;
		/* Not 0: scores grow, by the square of 1 + this * ln(factor),
		 * in place of cosines and sines. */
		float log_mul;
	} yarn;
	bool expert_norm;   /* chosen weights are made to sum to 1 */
	float expert_scale; /* and multiplied by this */
};

enum token_type {
	TOKEN_NORMAL = 1,
	TOKEN_UNKNOWN = 2,
	TOKEN_CONTROL = 3,
	TOKEN_USER_DEFINED = 4,
	TOKEN_UNUSED = 5,
	TOKEN_BYTE = 6
};

struct vocab_token {
	const char *p; /* not ended by NUL, any bytes; in the table's memory */
	uint32_t len;
	float score;
	uint8_t type; /* enum token_type */
};

struct vocab_merge {
	uint32_t left, right, result; /* token ids */
};

struct vocab_table {
	char model[32]; /* "gpt2", "llama" or "none" */
	char pre[32];   /* of the pre-tokeniser; "" if not said */
	uint32_t n;
	struct vocab_token *tokens;
	uint32_t nmerges;
	struct vocab_merge *merges;      /* in rank order */
	int32_t bos, eos, eot, pad, unk; /* or MODEL_NO_TOKEN */
	bool add_bos, add_eos, add_space_prefix;
};

struct model_table {
	struct hparams hp;
	struct vocab_table vocab;
	char template_sha256[65]; /* of tokenizer.chat_template; "" if none */
	char *name;
	uint32_t nfiles;
	size_t ntensors;
	struct tensor *tensors; /* by name, ascending */
	void *text;             /* what the tokens point into */
};

void model_table_free(struct model_table *t); /* NULL is fine */
void model_table_cleanup(struct model_table **t);
#define cleanup_model_table attr_cleanup(model_table_cleanup)

const char *arch_name(enum arch arch); /* as GGUF writes it */
enum arch arch_find(const char *name); /* ARCH_NONE: not one of ours */

/* NULL if there is none of that name. */
const struct tensor *model_table_find(
    const struct model_table *t, const char *name);

/*
 * The table as bytes, and back.  Decoding checks all that can be said without
 * the files: limits, alphabets, shapes against types, no tensor on another,
 * ids inside the vocabulary; NULL with err.  The caller frees the table.
 */
void model_table_encode(const struct model_table *t, struct buf *b);
struct model_table *model_table_decode(
    const void *p, size_t n, struct error *err);

/* Every tensor lies within its file: 0, or -1 with err. */
int model_table_fits(const struct model_table *t, const uint64_t *file_size,
    uint32_t nfiles, struct error *err);

#endif
