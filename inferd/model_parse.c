#include "inferd/model_parse.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sha2.h>

#include "base/str.h"
#include "inferd/gguf.h"
#include "inferd/model_shape.h"
#include "inferd/model_vocab.h"

#define ROPE_BASE 10000.0f
#define DELTA_EVERY 4u
#define YARN_BETA_FAST 32.0f
#define YARN_BETA_SLOW 1.0f
#define REAL_KEY_MAX (GGUF_KEY_MAX + 1)

/* How files write which function experts are chosen by. */
#define GATING_NONE 0u
#define GATING_SOFTMAX 1u
#define GATING_SIGMOID 2u
#define GATING_SOFTMAX_WEIGHT 3u
#define GATING_ROOT 4u

#define GLM_FLASH_VOCAB 154880u

/* One file's metadata, with its architecture's prefix for keys. */
struct meta {
	const struct gguf *g;
	const char *arch;
	struct error *err;
};

static void
key_of(const struct meta *m, const char *name, char key[REAL_KEY_MAX])
{
	snprintf(key, REAL_KEY_MAX, "%s.%s", m->arch, name);
}

static int
number(const struct meta *m, const char *name, uint32_t max, uint32_t *out)
{
	char key[REAL_KEY_MAX];

	key_of(m, name, key);
	return gguf_get_u32(m->g, key, 0, max, out, m->err);
}

static int
real(const struct meta *m, const char *name, float *out)
{
	char key[REAL_KEY_MAX];

	key_of(m, name, key);
	return gguf_get_f32(m->g, key, out, m->err);
}

/* A number that must be there. */
static int
needed(const struct meta *m, const char *name, uint32_t max, uint32_t *out)
{
	if (number(m, name, max, out) < 0)
		return -1;
	if (*out == 0)
		return error_set(
		    m->err, 0, "%s.%s is missing or 0", m->arch, name);
	return 0;
}

static int
truth(const struct meta *m, const char *name, bool *out)
{
	char key[REAL_KEY_MAX];

	key_of(m, name, key);
	return gguf_get_bool(m->g, key, out, m->err);
}

/* What would change the computation in a way that is not done here. */
static int
refuse_extras(const struct meta *m, enum arch arch)
{
	static const struct {
		const char *name;
		unsigned trait; /* of architectures that have it */
	} zero[] = {
		{ "leading_dense_block_count", TRAIT_LEAD },
		{ "expert_shared_count", TRAIT_SHARED },
		{ "expert_shared_feed_forward_length", TRAIT_SHARED },
		{ "expert_group_count", TRAIT_GROUPS },
		{ "nextn_predict_layers", TRAIT_IDLE },
		{ "moe_every_n_layers", 0 },
		{ "interleave_moe_layer_step", 0 },
		{ "attention.q_lora_rank", TRAIT_LOW_RANK | TRAIT_STREAMS },
		{ "attention.kv_lora_rank", TRAIT_LOW_RANK },
	};
	static const char *const none[] = { "attention.clamp_kqv",
		"attention.scale", "attention.max_alibi_bias",
		"attention.temperature_scale" };

	for (size_t i = 0; i < nitems(zero); i++) {
		uint32_t v = 0;

		if ((model_traits(arch) & zero[i].trait) != 0)
			continue;
		if (number(m, zero[i].name, UINT32_MAX, &v) < 0)
			return -1;
		if (v != 0)
			return error_set(m->err, 0,
			    "%s.%s is %u, which is not supported", m->arch,
			    zero[i].name, v);
	}
	for (size_t i = 0; i < nitems(none); i++) {
		float v = 0;

		if (real(m, none[i], &v) < 0)
			return -1;
		if (v != 0)
			return error_set(m->err, 0,
			    "%s.%s is %g, which is not supported", m->arch,
			    none[i], (double)v);
	}
	return 0;
}

/* Early files of GLM-4.7-Flash do not say how experts are chosen. */
static bool
is_glm_flash(const struct hparams *h)
{
	return h->arch == ARCH_DEEPSEEK2 && h->vocab == GLM_FLASH_VOCAB;
}

static int
get_gate(const struct meta *m, struct hparams *h)
{
	const bool said = (model_traits(h->arch) & TRAIT_GATE) != 0;
	uint32_t gating = GATING_NONE;

	h->gate = model_usual_gate(h->arch);
	h->expert_norm = !said && h->arch != ARCH_OLMOE;
	if (number(m, "expert_gating_func", UINT32_MAX, &gating) < 0 ||
	    (said && truth(m, "expert_weights_norm", &h->expert_norm) < 0))
		return -1;
	if (gating == GATING_NONE && is_glm_flash(h))
		gating = GATING_SIGMOID;
	if (gating == GATING_NONE ||
	    (gating == GATING_ROOT && h->gate == GATE_ROOT) ||
	    (gating == GATING_SOFTMAX && h->arch == ARCH_GPT_OSS) ||
	    (gating == GATING_SOFTMAX_WEIGHT && h->arch == ARCH_GPT_OSS))
		return 0;
	if (gating == GATING_SOFTMAX)
		h->gate = GATE_SOFTMAX;
	else if (gating == GATING_SIGMOID && said)
		h->gate = GATE_SIGMOID;
	else
		return error_set(m->err, 0,
		    "experts of %s are chosen by function %u, which is not "
		    "supported",
		    m->arch, gating);
	return 0;
}

/* What some architectures have around the experts that others have, too. */
static int
get_more_experts(const struct meta *m, struct hparams *h)
{
	const unsigned has = model_traits(h->arch);
	uint32_t shared = 0;

	if ((has & TRAIT_LEAD) != 0 &&
	    number(m, "leading_dense_block_count", MODEL_LAYERS_MAX,
		&h->dense_layers) < 0)
		return -1;
	if ((has & TRAIT_SHARED) != 0 &&
	    (number(m, "expert_shared_count", MODEL_EXPERTS_MAX, &shared) < 0 ||
		number(m, "expert_shared_feed_forward_length", MODEL_FF_MAX,
		    &h->shared_ff) < 0))
		return -1;
	if ((has & TRAIT_GROUPS) != 0 &&
	    (number(m, "expert_group_count", MODEL_EXPERTS_MAX,
		 &h->expert_groups) < 0 ||
		number(m, "expert_group_used_count", MODEL_EXPERTS_MAX,
		    &h->groups_used) < 0))
		return -1;
	/* Together they are as wide as so many. */
	if (h->shared_ff == 0)
		h->shared_ff = shared * h->expert_ff;
	if (h->expert_groups <= 1)
		h->expert_groups = h->groups_used = 0;
	return 0;
}

static int
get_experts(const struct meta *m, struct hparams *h)
{
	uint32_t ff = 0;

	if (number(m, "expert_count", MODEL_EXPERTS_MAX, &h->experts) < 0 ||
	    number(m, "feed_forward_length", MODEL_FF_MAX, &ff) < 0)
		return -1;
	if (h->experts == 0) {
		h->ff = ff;
		return 0;
	}
	if (needed(m, "expert_used_count", MODEL_EXPERTS_MAX,
		&h->experts_used) < 0 ||
	    number(m, "expert_feed_forward_length", MODEL_FF_MAX,
		&h->expert_ff) < 0 ||
	    real(m, "expert_weights_scale", &h->expert_scale) < 0 ||
	    get_gate(m, h) < 0)
		return -1;
	if (h->expert_ff == 0)
		h->expert_ff =
		    h->arch == ARCH_QWEN3MOE ? ff / h->experts_used : ff;
	if (h->expert_scale == 0)
		h->expert_scale = 1;
	if (get_more_experts(m, h) < 0)
		return -1;
	h->ff = h->dense_layers > 0 ? ff : 0;
	return 0;
}

/* Layers that guess further tokens come last, and count as layers. */
static int
get_idle(const struct meta *m, struct hparams *h)
{
	if ((model_traits(h->arch) & TRAIT_IDLE) == 0)
		return 0;
	if (number(m, "nextn_predict_layers", MODEL_LAYERS_MAX,
		&h->idle_layers) < 0)
		return -1;
	if (h->idle_layers >= h->layers)
		return error_set(m->err, 0,
		    "%s.nextn_predict_layers is %u of %u layers", m->arch,
		    h->idle_layers, h->layers);
	h->layers -= h->idle_layers;
	return 0;
}

static int
get_yarn(const struct meta *m, struct hparams *h, float factor)
{
	const bool grows = (model_traits(h->arch) & TRAIT_LOW_RANK) != 0;
	float attn = 1;

	h->yarn.on = true;
	h->yarn.factor = factor;
	h->yarn.beta_fast = YARN_BETA_FAST;
	h->yarn.beta_slow = YARN_BETA_SLOW;
	if (needed(m, "rope.scaling.original_context_length", MODEL_CTX_MAX,
		&h->yarn.ctx_orig) < 0 ||
	    real(m, "rope.scaling.yarn_beta_fast", &h->yarn.beta_fast) < 0 ||
	    real(m, "rope.scaling.yarn_beta_slow", &h->yarn.beta_slow) < 0 ||
	    real(m, "rope.scaling.attn_factor", &attn) < 0 ||
	    real(m, "rope.scaling.yarn_log_multiplier", &h->yarn.log_mul) < 0)
		return -1;
	if ((attn != 0 && attn != 1) || (h->yarn.log_mul != 0) != grows)
		return error_set(m->err, 0,
		    "YaRN of %s with%s an attention factor is not supported",
		    m->arch, grows && h->yarn.log_mul == 0 ? "out" : "");
	return 0;
}

static int
get_rope(const struct meta *m, struct hparams *h)
{
	struct gguf_str kind = { "", 0 };
	char key[REAL_KEY_MAX];
	float factor = 0;

	h->rope_dims = h->head_k;
	h->rope_base = ROPE_BASE;
	h->rope_scale = 1;
	key_of(m, "rope.scaling.type", key);
	if (number(m, "rope.dimension_count", MODEL_HEAD_MAX, &h->rope_dims) <
		0 ||
	    real(m, "rope.freq_base", &h->rope_base) < 0 ||
	    real(m, "rope.scale_linear", &factor) < 0 ||
	    real(m, "rope.scaling.factor", &factor) < 0 ||
	    gguf_get_str(m->g, key, &kind, m->err) < 0)
		return -1;
	if (factor == 0)
		factor = 1;
	if (gguf_str_eq(kind, "yarn"))
		return get_yarn(m, h, factor);
	if (kind.n == 0 || gguf_str_eq(kind, "linear"))
		h->rope_scale = factor;
	else if (!gguf_str_eq(kind, "none"))
		return error_set(m->err, 0,
		    "rope scaling '%.*s' is not supported",
		    kind.n > 32 ? 32 : (int)kind.n, kind.p);
	return 0;
}

/*
 * What files call keys and values is then the row that is kept; heads made of
 * it have lengths of their own.
 */
static int
get_low_rank(const struct meta *m, struct hparams *h)
{
	const uint32_t key = h->head_k, value = h->head_v;

	if ((model_traits(h->arch) & TRAIT_LOW_RANK) == 0)
		return 0;
	h->head_k = h->head_v = 0;
	if (needed(m, "attention.kv_lora_rank", MODEL_HEAD_MAX, &h->kv_rank) <
		0 ||
	    number(m, "attention.q_lora_rank", MODEL_EMBD_MAX, &h->q_rank) <
		0 ||
	    number(m, "attention.key_length_mla", MODEL_HEAD_MAX, &h->head_k) <
		0 ||
	    number(m, "attention.value_length_mla", MODEL_HEAD_MAX,
		&h->head_v) < 0)
		return -1;
	if (h->head_k == 0 || h->head_v == 0)
		return error_set(m->err, 0,
		    "%s.attention.key_length_mla is missing: this old file "
		    "has keys and values in one tensor; convert the model anew",
		    m->arch);
	if (key != h->kv_rank + h->rope_dims || value != h->kv_rank)
		return error_set(m->err, 0,
		    "rows of %u and %u values are not of rank %u with %u "
		    "rotated",
		    key, value, h->kv_rank, h->rope_dims);
	return 0;
}

static int
get_sections(const struct meta *m, struct hparams *h)
{
	const struct gguf_pair *p;
	char key[REAL_KEY_MAX];
	struct cur c;

	key_of(m, "rope.dimension_sections", key);
	if (h->arch != ARCH_QWEN35MOE || (p = gguf_find(m->g, key)) == NULL)
		return 0;
	cur_init(&c, p->value, p->bytes);
	if (p->type != GGUF_ARRAY || (p->of != GGUF_I32 && p->of != GGUF_U32))
		return error_set(m->err, 0, "%s is no array of numbers", key);
	(void)cur_u32(&c);
	if (cur_u64(&c) != nitems(h->rope_sections))
		return error_set(m->err, 0, "%s is not of four numbers", key);
	for (size_t i = 0; i < nitems(h->rope_sections); i++) {
		h->rope_sections[i] = cur_u32(&c);
		if (c.failed || h->rope_sections[i] > MODEL_HEAD_MAX)
			return error_set(m->err, 0, "%s is out of range", key);
	}
	return 0;
}

/* A number of all layers, or an array with that of each, the same for all. */
static int
get_limit(const struct meta *m, const char *name, uint32_t layers, float *out)
{
	const struct gguf_pair *p;
	char key[REAL_KEY_MAX];
	uint32_t n = 0;
	struct cur c;

	key_of(m, name, key);
	p = gguf_find(m->g, key);
	if (p == NULL || p->type != GGUF_ARRAY)
		return gguf_get_f32(m->g, key, out, m->err);
	if (gguf_get_array(m->g, key, GGUF_F32, UINT32_MAX, &c, &n, m->err) < 0)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t bits = cur_u32(&c);
		float v;

		memcpy(&v, &bits, sizeof(v));
		if (i == 0)
			*out = v;
		if (!(v >= 0) || !(fabsf(v) <= FLT_MAX) ||
		    (i < layers && memcmp(&v, out, sizeof(v)) != 0))
			return error_set(m->err, 0,
			    "%s is not the same for all layers", key);
	}
	return n >= layers ? 0 : error_set(m->err, 0, "%s is too short", key);
}

/* Of each layer, of how many positions a row is. */
static int
get_squeeze(const struct meta *m, struct hparams *h)
{
	const struct gguf_pair *p;
	char key[REAL_KEY_MAX];
	struct cur c;

	key_of(m, "attention.compress_ratios", key);
	if ((p = gguf_find(m->g, key)) == NULL)
		return error_set(m->err, 0, "%s is missing", key);
	if (p->type != GGUF_ARRAY || (p->of != GGUF_I32 && p->of != GGUF_U32))
		return error_set(m->err, 0, "%s is no array of numbers", key);
	cur_init(&c, p->value, p->bytes);
	(void)cur_u32(&c);
	(void)cur_u64(&c);
	for (uint32_t i = 0; i < h->layers + h->idle_layers; i++) {
		const uint32_t v = cur_u32(&c);

		if (c.failed ||
		    (v != 0 && v != SQUEEZE_FEW && v != SQUEEZE_MANY))
			return error_set(m->err, 0,
			    "%s does not say 0, %u or %u of layer %u", key,
			    SQUEEZE_FEW, SQUEEZE_MANY, i);
		h->streams.squeeze[i] = (uint8_t)v;
	}
	return 0;
}

static int
get_streams(const struct meta *m, struct hparams *h)
{
	struct streams_shape *s = &h->streams;

	if ((model_traits(h->arch) & TRAIT_STREAMS) == 0)
		return 0;
	if (needed(m, "hyper_connection.count", STREAMS_MAX, &s->n) < 0 ||
	    needed(m, "hyper_connection.sinkhorn_iterations",
		STREAMS_ROUNDS_MAX, &s->rounds) < 0 ||
	    real(m, "hyper_connection.epsilon", &s->eps) < 0 ||
	    needed(m, "attention.output_group_count", MODEL_HEADS_MAX,
		&s->out_groups) < 0 ||
	    needed(m, "attention.output_lora_rank", MODEL_EMBD_MAX,
		&s->out_rank) < 0 ||
	    needed(m, "attention.q_lora_rank", MODEL_EMBD_MAX, &h->q_rank) <
		0 ||
	    needed(m, "attention.sliding_window", MODEL_CTX_MAX, &h->window) <
		0 ||
	    number(m, "attention.indexer.head_count", MODEL_HEADS_MAX,
		&s->index_heads) < 0 ||
	    number(m, "attention.indexer.key_length", MODEL_HEAD_MAX,
		&s->index_key) < 0 ||
	    number(m, "attention.indexer.top_k", INDEX_TOP_MAX, &s->index_top) <
		0 ||
	    number(m, "hash_layer_count", MODEL_LAYERS_MAX, &s->hash_layers) <
		0 ||
	    real(m, "attention.compress_rope_freq_base", &s->squeeze_base) <
		0 ||
	    get_limit(m, "swiglu_clamp_exp", h->layers, &s->limit) < 0)
		return -1;
	s->shared_limit = s->limit;
	if (get_limit(m, "swiglu_clamp_shexp", h->layers, &s->shared_limit) < 0)
		return -1;
	return get_squeeze(m, h);
}

/* Every other layer of gpt-oss sees a window, the first does. */
static int
get_window(const struct meta *m, struct hparams *h)
{
	const struct gguf_pair *p;
	char key[REAL_KEY_MAX];
	struct cur c;

	if (h->arch != ARCH_GPT_OSS)
		return 0;
	if (needed(m, "attention.sliding_window", MODEL_CTX_MAX, &h->window) <
	    0)
		return -1;
	key_of(m, "attention.sliding_window_pattern", key);
	if ((p = gguf_find(m->g, key)) == NULL)
		return 0;
	if (p->type != GGUF_ARRAY) {
		uint32_t every = 2;

		if (gguf_get_u32(m->g, key, 2, 2, &every, m->err) < 0)
			return -1;
		return 0;
	}
	/* One member a layer, in four bytes or as truth values in one. */
	cur_init(&c, p->value, p->bytes);
	(void)cur_u32(&c);
	(void)cur_u64(&c);
	for (uint32_t i = 0; i < h->layers; i++) {
		uint32_t v = p->of == GGUF_BOOL ? cur_u8(&c) : cur_u32(&c);

		if (c.failed || (v != 0) != (i % 2 == 0))
			return error_set(m->err, 0,
			    "windows of %s are not of every other layer",
			    m->arch);
	}
	return 0;
}

/* Does this say of each layer what the interval says? */
static int
check_interval(const struct meta *m, const struct hparams *h)
{
	const struct gguf_pair *p;
	char key[REAL_KEY_MAX];
	struct cur c;

	key_of(m, "attention.recurrent_layers", key);
	if ((p = gguf_find(m->g, key)) == NULL)
		return 0;
	if (p->type != GGUF_ARRAY)
		return error_set(m->err, 0, "%s is no array", key);
	cur_init(&c, p->value, p->bytes);
	(void)cur_u32(&c);
	(void)cur_u64(&c);
	for (uint32_t i = 0; i < h->layers; i++) {
		uint32_t v = p->of == GGUF_BOOL ? cur_u8(&c) : cur_u32(&c);

		if (c.failed || (v != 0) != model_layer_delta(h, i))
			return error_set(m->err, 0,
			    "layers of %s with a state are not those between "
			    "each %u-th",
			    m->arch, h->delta.every);
	}
	return 0;
}

static int
get_delta(const struct meta *m, struct hparams *h)
{
	struct delta_shape *d = &h->delta;
	uint32_t values = 0;

	if ((model_traits(h->arch) & TRAIT_DELTA) == 0)
		return 0;
	d->every = DELTA_EVERY;
	if (number(m, "full_attention_interval", MODEL_LAYERS_MAX, &d->every) <
		0 ||
	    needed(m, "ssm.conv_kernel", DELTA_TAPS_MAX, &d->taps) < 0 ||
	    needed(m, "ssm.group_count", MODEL_HEADS_MAX, &d->key_heads) < 0 ||
	    needed(m, "ssm.time_step_rank", MODEL_HEADS_MAX, &d->heads) < 0 ||
	    needed(m, "ssm.state_size", MODEL_HEAD_MAX, &d->key) < 0 ||
	    needed(m, "ssm.inner_size", MODEL_HEADS_MAX * MODEL_HEAD_MAX,
		&values) < 0)
		return -1;
	d->value = values / d->heads;
	if (d->value * d->heads != values || d->value > MODEL_HEAD_MAX)
		return error_set(m->err, 0,
		    "%s.ssm.inner_size %u is not of %u heads", m->arch, values,
		    d->heads);
	return check_interval(m, h);
}

static int
get_hparams(const struct meta *m, uint32_t ntokens, struct hparams *h)
{
	h->expert_scale = 1;
	h->vocab = ntokens;
	if (needed(m, "block_count", MODEL_LAYERS_MAX, &h->layers) < 0 ||
	    needed(m, "context_length", MODEL_CTX_MAX, &h->ctx_train) < 0 ||
	    needed(m, "embedding_length", MODEL_EMBD_MAX, &h->embd) < 0 ||
	    needed(m, "attention.head_count", MODEL_HEADS_MAX, &h->heads) < 0)
		return -1;
	h->kv_heads = h->heads;
	h->head_k = h->head_v = h->embd / h->heads;
	if (number(m, "attention.head_count_kv", MODEL_HEADS_MAX,
		&h->kv_heads) < 0 ||
	    number(m, "attention.key_length", MODEL_HEAD_MAX, &h->head_k) < 0 ||
	    number(m, "attention.value_length", MODEL_HEAD_MAX, &h->head_v) <
		0 ||
	    (ntokens == 0 &&
		number(m, "vocab_size", MODEL_VOCAB_MAX, &h->vocab) < 0))
		return -1;
	h->rms_eps = -1;
	if (real(m, "attention.layer_norm_rms_epsilon", &h->rms_eps) < 0)
		return -1;
	if (!(h->rms_eps >= 0))
		return error_set(m->err, 0,
		    "%s.attention.layer_norm_rms_epsilon is missing or "
		    "negative",
		    m->arch);
	if (get_rope(m, h) < 0 || get_low_rank(m, h) < 0 ||
	    get_sections(m, h) < 0 || get_idle(m, h) < 0 ||
	    get_experts(m, h) < 0 || get_window(m, h) < 0 ||
	    get_delta(m, h) < 0 || get_streams(m, h) < 0)
		return -1;
	return refuse_extras(m, h->arch);
}

static int
get_arch(const struct gguf *g, enum arch *arch, struct error *err)
{
	cleanup_buf struct buf names = { 0 };
	struct gguf_str s = { "", 0 };
	char name[64] = "";

	buf_init(&names, 0);
	if (gguf_get_str(g, "general.architecture", &s, err) < 0)
		return -1;
	if (s.n < sizeof(name)) {
		memcpy(name, s.p, s.n);
		name[s.n] = '\0';
		*arch = arch_find(name);
	}
	if (*arch != ARCH_NONE)
		return 0;
	for (size_t i = ARCH_NONE + 1; i < ARCH_MAX; i++)
		buf_printf(&names, "%s%s", i == ARCH_NONE + 1 ? "" : ", ",
		    arch_name((enum arch)i));
	buf_put_u8(&names, 0);
	return error_set(err, 0,
	    "architecture '%.*s' is not supported (%s are)",
	    s.n > 64 ? 64 : (int)s.n, s.p, (const char *)buf_head(&names));
}

/* The names in a table stand in the order of strcmp(3). */
static int
by_name(const void *pa, const void *pb)
{
	return strcmp(((const struct tensor *)pa)->name,
	    ((const struct tensor *)pb)->name);
}

static int
add_tensors(struct model_table *t, const struct gguf *g, uint32_t file,
    struct error *err)
{
	if (g->ntensors > MODEL_TENSORS_MAX - t->ntensors)
		return error_set(
		    err, 0, "more than %u tensors", MODEL_TENSORS_MAX);
	t->tensors = xreallocarray(
	    t->tensors, t->ntensors + g->ntensors + 1, sizeof(*t->tensors));
	for (uint32_t i = 0; i < g->ntensors; i++) {
		const struct gguf_tensor *s = &g->tensors[i];
		struct tensor *d = &t->tensors[t->ntensors];

		if (memchr(s->name.p, 0, s->name.n) != NULL)
			return error_set(
			    err, 0, "a tensor's name has byte 0 in it");
		*d = (struct tensor){ .name = xstrndup(s->name.p, s->name.n),
			.type = s->type,
			.ndims = s->ndims,
			.file = file,
			.offset = s->offset,
			.bytes = s->bytes };
		memcpy(d->dims, s->dims, sizeof(d->dims));
		t->ntensors++;
	}
	return 0;
}

/* What each part of a split model says of itself. */
static int
check_split(
    const struct gguf *g, uint32_t file, uint32_t nfiles, struct error *err)
{
	uint32_t no = 0, count = 1;

	if (gguf_get_u32(g, "split.no", 0, MODEL_FILES_MAX, &no, err) < 0 ||
	    gguf_get_u32(g, "split.count", 0, MODEL_FILES_MAX, &count, err) < 0)
		return -1;
	if (count == 0)
		count = 1;
	if (count != nfiles && nfiles == 1)
		return error_set(err, 0,
		    "this is one of %u files, which must be named "
		    "NAME-00001-of-%05u.gguf and so on: give the first",
		    count, count);
	if (count != nfiles || no != file)
		return error_set(err, 0,
		    "file %u of %u says that it is file %u of %u", file + 1,
		    nfiles, no + 1, count);
	return 0;
}

static int
check_total(
    const struct gguf *g, const struct model_table *t, struct error *err)
{
	uint32_t n = (uint32_t)t->ntensors;

	if (gguf_get_u32(g, "split.tensors.count", 0, UINT32_MAX, &n, err) < 0)
		return -1;
	if (n != t->ntensors)
		return error_set(
		    err, 0, "%zu tensors in all files, not %u", t->ntensors, n);
	return 0;
}

static void
hash_template(const struct gguf *g, struct model_table *t)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	struct gguf_str s = { "", 0 };
	struct error why;
	SHA2_CTX sha;

	/* A template that is no string is none. */
	if (gguf_get_str(g, "tokenizer.chat_template", &s, &why) < 0 ||
	    s.n == 0)
		return;
	SHA256Init(&sha);
	SHA256Update(&sha, (const uint8_t *)s.p, s.n);
	SHA256Final(digest, &sha);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(&t->template_sha256[2 * i], 3, "%02x", digest[i]);
}

static void
get_title(const struct gguf *g, struct model_table *t)
{
	struct gguf_str s = { "", 0 };
	struct error why;

	if (gguf_get_str(g, "general.name", &s, &why) < 0 ||
	    s.n > MODEL_TITLE_MAX || !str_is_utf8(s.p, s.n))
		s.n = 0;
	t->name = xstrndup(s.p, s.n);
}

static int
read_meta(const struct gguf *g, struct model_table *t, bool vocab_only,
    struct error *err)
{
	struct meta m = { g, NULL, err };
	uint32_t ntokens = 0;

	get_title(g, t);
	hash_template(g, t);
	if (!vocab_only && get_arch(g, &t->hp.arch, err) < 0)
		return -1;
	if (model_vocab_read(g, &t->vocab, &ntokens, err) < 0)
		return -1;
	if (vocab_only) {
		t->hp.vocab = ntokens;
		return 0;
	}
	m.arch = arch_name(t->hp.arch);
	return get_hparams(&m, ntokens, &t->hp);
}

/* Files of deepseek4 count layers for guesses that they may not have. */
static void
find_guessing(struct model_table *t)
{
	struct hparams *h = &t->hp;
	char name[MODEL_NAME_MAX];

	snprintf(name, sizeof(name), "blk.%u.nextn.eh_proj.weight", h->layers);
	if ((model_traits(h->arch) & TRAIT_STREAMS) != 0 &&
	    model_table_find(t, name) == NULL) {
		h->layers += h->idle_layers;
		h->idle_layers = 0;
	}
}

struct model_table *
model_parse(const struct model_bytes *files, uint32_t nfiles, bool vocab_only,
    struct error *err)
{
	cleanup_model_table struct model_table *t = xcalloc(1, sizeof(*t));
	cleanup_gguf struct gguf *first = NULL;

	t->nfiles = nfiles;
	for (uint32_t i = 0; i < nfiles; i++) {
		cleanup_gguf struct gguf *g =
		    gguf_parse(files[i].p, files[i].n, files[i].size, err);

		if (g == NULL || check_split(g, i, nfiles, err) < 0 ||
		    (i == 0 && read_meta(g, t, vocab_only, err) < 0) ||
		    (!vocab_only && add_tensors(t, g, i, err) < 0))
			return NULL;
		if (i == 0)
			first = steal_ptr(&g);
	}
	if (!vocab_only && check_total(first, t, err) < 0)
		return NULL;
	if (t->ntensors > 0)
		qsort(t->tensors, t->ntensors, sizeof(*t->tensors), by_name);
	for (size_t i = 1; i < t->ntensors; i++)
		if (by_name(&t->tensors[i - 1], &t->tensors[i]) == 0) {
			error_set(err, 0, "tensor %s is there twice",
			    t->tensors[i].name);
			return NULL;
		}
	find_guessing(t);
	t->hp.delta.fused = t->hp.arch == ARCH_QWEN3NEXT &&
			    model_table_find(t, "blk.0.ssm_in.weight") != NULL;
	return model_shape_check(t, err) < 0 ? NULL : steal_ptr(&t);
}
