#include "tests/inferd/tiny.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/kern.h"
#include "inferd/model_shape.h"

#define EMBD 64u
#define LAYERS 3u
#define HEADS 4u
#define KV_HEADS 2u
#define HEAD 32u
#define FF 96u
#define SHARED_FF 160u
#define RANK 64u

struct maker {
	struct model_table *t;
	enum tensor_type type;
	uint64_t state;
};

static float
chance(struct maker *m)
{
	m->state = m->state * 6364136223846793005u + 1442695040888963407u;
	return (float)(m->state >> 40) * 0x1p-23f - 1;
}

static void
add(struct maker *m, const char *name, enum tensor_type type, uint64_t cols,
    uint64_t rows, uint64_t mats, float middle, float spread)
{
	struct model_table *t = m->t;
	struct tensor *x;
	const size_t row = tensor_row_bytes(type, cols);
	uint8_t *data = xaligned(64, row * rows * mats);
	float *line = xcalloc(cols, sizeof(*line));

	t->tensors =
	    xreallocarray(t->tensors, t->ntensors + 1, sizeof(*t->tensors));
	x = &t->tensors[t->ntensors++];
	*x = (struct tensor){ .name = xstrdup(name),
		.type = type,
		.ndims = 3,
		.dims = { cols, rows, mats, 1 },
		.bytes = row * rows * mats,
		.data = data };
	for (uint64_t r = 0; r < rows * mats; r++) {
		for (uint64_t i = 0; i < cols; i++)
			line[i] = middle + spread * chance(m);
		kern_store_row(type, line, cols, data + r * row);
	}
	free(line);
}

static void
vector(struct maker *m, int layer, const char *name, uint64_t n, float middle)
{
	char full[MODEL_NAME_MAX];

	if (layer < 0)
		snprintf(full, sizeof(full), "%s", name);
	else
		snprintf(full, sizeof(full), "blk.%d.%s", layer, name);
	add(m, full, TT_F32, n, 1, 1, middle, 0.3f);
}

static void
matrix(struct maker *m, int layer, const char *name, enum tensor_type type,
    uint64_t rows, uint64_t cols, uint64_t mats)
{
	char full[MODEL_NAME_MAX];

	if (layer < 0)
		snprintf(full, sizeof(full), "%s.weight", name);
	else
		snprintf(full, sizeof(full), "blk.%d.%s.weight", layer, name);
	add(m, full, type, cols, rows, mats, 0, 2 / sqrtf((float)cols));
}

/* Experts of each token. */
static void
table(struct maker *m, const char *name, uint64_t cols, uint64_t rows)
{
	struct model_table *t = m->t;
	const size_t n = cols * rows;
	int32_t *data = xcalloc(n, sizeof(*data));

	t->tensors =
	    xreallocarray(t->tensors, t->ntensors + 1, sizeof(*t->tensors));
	t->tensors[t->ntensors++] = (struct tensor){ .name = xstrdup(name),
		.type = TT_I32,
		.ndims = 2,
		.dims = { cols, rows, 1, 1 },
		.bytes = n * sizeof(*data),
		.data = data };
	for (size_t i = 0; i < n; i++)
		data[i] = (int32_t)((i / cols * 5 + i % cols) % t->hp.experts);
}

/* What the architecture needs, as it says itself. */
static void
needed(struct maker *m, int i)
{
	struct tensor_want w;

	for (size_t k = 0; model_shape_want(&m->t->hp, i, k, &w); k++) {
		const float spread = 2 / sqrtf((float)w.dims[0]);
		char name[MODEL_NAME_MAX];

		snprintf(name, sizeof(name), "blk.%d.%s", i, w.name);
		if (w.optional)
			continue;
		if (str_eq(w.name, "ssm_a"))
			vector(m, i, w.name, w.dims[0], -0.4f);
		else if (str_eq(w.name, "ssm_dt.bias"))
			vector(m, i, w.name, w.dims[0], -1);
		else if (w.kind == CLASS_TABLE)
			table(m, name, w.dims[0], w.dims[1]);
		else if (w.kind != CLASS_NORM)
			add(m, name, w.kind == CLASS_ROUTER ? TT_F32 : m->type,
			    w.dims[0], w.dims[1], w.dims[2], 0, spread);
		else if (w.ndims == 1)
			vector(m, i, w.name, w.dims[0], 1);
		else
			add(m, name, TT_F32, w.dims[0], w.dims[1], 1, 0.1f,
			    0.6f);
	}
}

/* Attention over rows of low rank. */
static void
low_rank(struct maker *m, int i)
{
	const struct hparams *hp = &m->t->hp;
	const uint64_t q = (uint64_t)HEADS * hp->head_k;

	if (hp->q_rank > 0) {
		matrix(m, i, "attn_q_a", m->type, hp->q_rank, EMBD, 1);
		vector(m, i, "attn_q_a_norm.weight", hp->q_rank, 1);
		matrix(m, i, "attn_q_b", m->type, q, hp->q_rank, 1);
	} else
		matrix(m, i, "attn_q", m->type, q, EMBD, 1);
	matrix(m, i, "attn_kv_a_mqa", m->type, hp->kv_rank + hp->rope_dims,
	    EMBD, 1);
	vector(m, i, "attn_kv_a_norm.weight", hp->kv_rank, 1);
	matrix(m, i, "attn_k_b", m->type, hp->kv_rank,
	    hp->head_k - hp->rope_dims, HEADS);
	matrix(m, i, "attn_v_b", m->type, hp->head_v, hp->kv_rank, HEADS);
	matrix(m, i, "attn_output", m->type, EMBD, HEADS * hp->head_v, 1);
}

static void
attention(struct maker *m, int i)
{
	const struct hparams *hp = &m->t->hp;
	const bool oss = hp->arch == ARCH_GPT_OSS;
	const bool full = hp->arch == ARCH_OLMOE;
	const bool glm = hp->arch == ARCH_GLM4MOE;
	const uint64_t q = HEADS * HEAD, k = KV_HEADS * HEAD;

	matrix(m, i, "attn_q", m->type, q, EMBD, 1);
	matrix(m, i, "attn_k", m->type, k, EMBD, 1);
	matrix(m, i, "attn_v", m->type, k, EMBD, 1);
	matrix(m, i, "attn_output", m->type, EMBD, q, 1);
	if (oss) {
		vector(m, i, "attn_sinks.weight", HEADS, 0);
		vector(m, i, "attn_q.bias", q, 0);
		vector(m, i, "attn_output.bias", EMBD, 0);
		vector(m, i, "ffn_gate_inp.bias", hp->experts, 0);
		vector(m, i, "ffn_up_exps.bias", (uint64_t)FF * hp->experts, 0);
	} else if (hp->arch != ARCH_LLAMA && !(glm && hp->experts < 8)) {
		vector(m, i, "attn_q_norm.weight", full ? q : HEAD, 1);
		vector(m, i, "attn_k_norm.weight", full ? k : HEAD, 1);
	}
	if (glm) {
		vector(m, i, "attn_q.bias", q, 0);
		vector(m, i, "attn_k.bias", k, 0);
		vector(m, i, "attn_v.bias", k, 0);
	}
}

static void
layer(struct maker *m, int i)
{
	const struct hparams *hp = &m->t->hp;
	const bool glm = hp->arch == ARCH_GLM4MOE;

	vector(m, i, "attn_norm.weight", EMBD, 1);
	if (hp->kv_rank > 0)
		low_rank(m, i);
	else
		attention(m, i);
	vector(m, i,
	    glm || hp->arch == ARCH_GPT_OSS ? "post_attention_norm.weight"
					    : "ffn_norm.weight",
	    EMBD, 1);
	if (!model_layer_experts(hp, (uint32_t)i)) {
		matrix(m, i, "ffn_gate", m->type, FF, EMBD, 1);
		matrix(m, i, "ffn_up", m->type, FF, EMBD, 1);
		matrix(m, i, "ffn_down", m->type, EMBD, FF, 1);
		return;
	}
	matrix(m, i, "ffn_gate_inp", TT_F32, hp->experts, EMBD, 1);
	matrix(m, i, "ffn_gate_exps", m->type, FF, EMBD, hp->experts);
	matrix(m, i, "ffn_up_exps", m->type, FF, EMBD, hp->experts);
	matrix(m, i, "ffn_down_exps", m->type, EMBD, FF, hp->experts);
	if (hp->shared_ff == 0)
		return;
	vector(m, i, "exp_probs_b.bias", hp->experts, 0);
	matrix(m, i, "ffn_gate_shexp", m->type, SHARED_FF, EMBD, 1);
	matrix(m, i, "ffn_up_shexp", m->type, SHARED_FF, EMBD, 1);
	matrix(m, i, "ffn_down_shexp", m->type, EMBD, SHARED_FF, 1);
	if (glm && hp->experts < 8)
		vector(m, i, "ffn_gate_inp_shexp.weight", EMBD, 0);
}

/* A layer with a window alone, one that chooses rows, one that sees all. */
static void
streams(struct maker *m)
{
	struct hparams *hp = &m->t->hp;

	hp->kv_heads = 1;
	hp->q_rank = RANK;
	hp->rope_dims = HEAD / 2;
	hp->window = 20;
	hp->shared_ff = SHARED_FF;
	hp->streams = (struct streams_shape){ .n = 4,
		.rounds = 5,
		.eps = 1e-6f,
		.out_groups = 2,
		.out_rank = 32,
		.index_heads = 10,
		.index_key = 32,
		.index_top = 8,
		.hash_layers = 1,
		.squeeze_base = 40000,
		.limit = 0.7f,
		.shared_limit = 0.5f,
		.squeeze = { 0, SQUEEZE_FEW, SQUEEZE_MANY } };
	matrix(m, -1, "output_hc_fn", TT_F32, 4, 4 * EMBD, 1);
	vector(m, -1, "output_hc_base.weight", 4, 0);
	vector(m, -1, "output_hc_scale.weight", 1, 1);
}

static int
by_name(const void *a, const void *b)
{
	const struct tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

struct model_table *
tiny_new(enum arch arch, enum tensor_type type, uint32_t experts, uint64_t seed)
{
	struct model_table *t = xcalloc(1, sizeof(*t));
	struct maker m = { t, type, seed };

	t->hp = (struct hparams){ .arch = arch,
		.layers = LAYERS,
		.embd = EMBD,
		.ff = experts == 0 ? FF : 0,
		.heads = HEADS,
		.kv_heads = KV_HEADS,
		.head_k = HEAD,
		.head_v = HEAD,
		.rope_dims = HEAD,
		.experts = experts,
		.experts_used = experts < 3 ? experts : 3,
		.expert_ff = experts == 0 ? 0 : FF,
		.vocab = TINY_VOCAB,
		.ctx_train = 512,
		.window = arch == ARCH_GPT_OSS ? 24 : 0,
		.rms_eps = 1e-6f,
		.rope_base = 10000,
		.rope_scale = 1,
		.gate = model_usual_gate(arch),
		.expert_norm = arch != ARCH_OLMOE,
		.expert_scale = 1 };
	if (arch == ARCH_GPT_OSS) {
		t->hp.yarn.on = true;
		t->hp.yarn.factor = 4;
		t->hp.yarn.beta_fast = 32;
		t->hp.yarn.beta_slow = 1;
		t->hp.yarn.ctx_orig = 128;
	}
	if (arch == ARCH_GLM4MOE) {
		t->hp.rope_dims = HEAD / 2;
		t->hp.dense_layers = 1;
		t->hp.ff = FF;
		t->hp.shared_ff = SHARED_FF;
		t->hp.expert_scale = 2.5f;
		t->hp.expert_groups = experts < 8 ? 0 : 4;
		t->hp.groups_used = experts < 8 ? 0 : 2;
	}
	if (arch == ARCH_DEEPSEEK2) {
		t->hp.head_k = 2 * HEAD;
		t->hp.kv_heads = 1;
		t->hp.kv_rank = RANK;
		t->hp.q_rank = experts < 8 ? 0 : RANK / 2;
		t->hp.gate = experts < 8 ? GATE_SOFTMAX : GATE_SIGMOID;
		t->hp.expert_norm = experts >= 8;
		t->hp.dense_layers = 1;
		t->hp.ff = FF;
		t->hp.shared_ff = SHARED_FF;
	}
	if ((model_traits(arch) & TRAIT_DELTA) != 0) {
		t->hp.rope_dims = HEAD / 4;
		t->hp.shared_ff = SHARED_FF;
		t->hp.delta = (struct delta_shape){ .every = 2,
			.taps = 4,
			.key_heads = 2,
			.heads = 6,
			.key = 24,
			.value = 16,
			.fused = arch == ARCH_QWEN3NEXT && experts < 8 };
	}
	if (arch == ARCH_DEEPSEEK4)
		streams(&m);
	matrix(&m, -1, "token_embd", type, TINY_VOCAB, EMBD, 1);
	matrix(&m, -1, "output", type, TINY_VOCAB, EMBD, 1);
	vector(&m, -1, "output_norm.weight", EMBD, 1);
	for (int i = 0; i < (int)LAYERS; i++)
		if (t->hp.delta.every > 0 || t->hp.streams.n > 0)
			needed(&m, i);
		else
			layer(&m, i);
	qsort(t->tensors, t->ntensors, sizeof(*t->tensors), by_name);
	return t;
}

void
tiny_free(struct model_table *t)
{
	for (size_t i = 0; i < t->ntensors; i++) {
		union {
			const void *in;
			void *out;
		} data = { t->tensors[i].data };

		free(t->tensors[i].name);
		free(data.out);
	}
	free(t->tensors);
	free(t);
}
