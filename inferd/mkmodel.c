#include "inferd/mkmodel.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/gguf_write.h"
#include "inferd/quantise.h"

#define ALIGN 32u
/* Values of a tensor that are all drawn; a larger one repeats its rows. */
#define DRAWN_MAX ((uint64_t)1 << 22)
#define WRITE_STEP ((size_t)4 << 20)
#define PATH_TAIL ".gguf"

struct plan {
	char name[MODEL_NAME_MAX + 1];
	struct tensor_want want;
	enum tensor_type type;
	uint64_t offset, bytes;
	uint32_t file;
};

struct maker {
	const struct mkmodel *k;
	struct plan *plan;
	size_t n;
};

/* splitmix64: every seed gives a sequence of its own. */
static uint64_t
next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t
seed_of(uint64_t seed, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u ^ seed;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3u;
	return h;
}

/* From 0 to 1, in steps that a float has. */
static float
uniform(uint64_t *s)
{
	return (float)(next(s) >> 40) * 0x1p-24f;
}

/*
 * Bell-shaped with deviation 1: the sum of four numbers of 16 bits, so that no
 * function of a mathematics library has a say.
 */
static float
bell(uint64_t *s)
{
	uint64_t v = next(s);
	int sum = (int)(v & 0xffff) + (int)(v >> 16 & 0xffff) +
		  (int)(v >> 32 & 0xffff) + (int)(v >> 48);

	/* Four times the deviation of one, 65536 / sqrt(12). */
	return (float)(sum - 131070) * (1.7320508f / 65536);
}

void
mkmodel_init(struct mkmodel *k)
{
	*k = (struct mkmodel){ .hp = { .arch = ARCH_QWEN3MOE,
				   .layers = 4,
				   .embd = 256,
				   .heads = 4,
				   .kv_heads = 2,
				   .head_k = 64,
				   .head_v = 64,
				   .rope_dims = 64,
				   .experts = 8,
				   .experts_used = 2,
				   .expert_ff = 256,
				   .vocab = 2048,
				   .ctx_train = 4096,
				   .rms_eps = 1e-6f,
				   .rope_base = 1e6f,
				   .rope_scale = 1,
				   .expert_scale = 1 },
		.vocab = MKMODEL_BPE,
		.pre = "qwen2",
		.template = true,
		.files = 1,
		.seed = 1,
		.gain = 3 };
	for (size_t i = 0; i < MKMODEL_CLASSES; i++)
		k->type[i] = TT_Q4_K;
	k->type[CLASS_NORM] = k->type[CLASS_ROUTER] = TT_F32;
	k->type[CLASS_DOWN] = k->type[CLASS_OUTPUT] = TT_Q6_K;
}

/*
 * A mix has more bits where they matter most: in the first and last eighth of
 * the layers and each third one.
 */
static enum tensor_type
type_of(const struct mkmodel *k, const struct tensor_want *w, uint32_t layer)
{
	const uint32_t eighth = k->hp.layers / 8;
	const bool more =
	    layer < eighth || layer >= k->hp.layers - eighth || layer % 3 == 2;

	if (w->kind == CLASS_TABLE)
		return TT_I32;
	/* Too short for whole blocks of most types, which is done likewise
	 * where models are quantised. */
	if (str_eq(w->name, "attn_k_b.weight") &&
	    tensor_row_bytes(k->type[w->kind], w->dims[0]) == 0)
		return TT_Q8_0;
	if (k->mix && !more && w->kind == CLASS_DOWN)
		return k->type[CLASS_FFN];
	if (k->mix && more && str_eq(w->name, "attn_v.weight"))
		return k->type[CLASS_DOWN];
	return k->type[w->kind];
}

static bool
is_made(const struct mkmodel *k, const struct tensor_want *w)
{
	if (str_eq(w->name, "output.weight"))
		return !k->tied;
	return !w->optional || k->extras ||
	       (k->biases && str_ends(w->name, ".bias")) ||
	       (k->qk_norm && str_ends(w->name, "_norm.weight") &&
		   str_starts(w->name, "attn_"));
}

static int
add_plan(struct maker *m, const char *prefix, uint32_t layer,
    const struct tensor_want *w, struct error *err)
{
	const struct mkmodel *k = m->k;
	struct plan *p;

	if (!is_made(k, w))
		return 0;
	m->plan = xreallocarray(m->plan, m->n + 1, sizeof(*m->plan));
	p = &m->plan[m->n++];
	*p = (struct plan){ .want = *w, .type = type_of(k, w, layer) };
	snprintf(p->name, sizeof(p->name), "%s%s", prefix, w->name);
	p->bytes = tensor_row_bytes(p->type, w->dims[0]);
	if (p->bytes == 0)
		return error_set(err, 0,
		    "rows of %s have %llu values, no multiple of the %u of %s",
		    p->name, (unsigned long long)w->dims[0],
		    tensor_type_info(p->type)->block,
		    tensor_type_name(p->type));
	for (size_t i = 1; i < nitems(w->dims); i++)
		if (__builtin_mul_overflow(p->bytes, w->dims[i], &p->bytes) ||
		    p->bytes > MODEL_BYTES_MAX)
			return error_set(err, 0, "%s is too large", p->name);
	return 0;
}

static int
make_plan(struct maker *m, struct error *err)
{
	const struct hparams *h = &m->k->hp;
	struct tensor_want w;

	for (size_t i = 0; model_shape_want(h, -1, i, &w); i++)
		if (add_plan(m, "", 0, &w, err) < 0)
			return -1;
	for (uint32_t l = 0; l < h->layers + h->idle_layers; l++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "blk.%u.", l);
		for (size_t i = 0; model_shape_want(h, (int)l, i, &w); i++)
			if (add_plan(m, prefix, l, &w, err) < 0)
				return -1;
	}
	if (m->k->files < 1 || m->k->files > MODEL_FILES_MAX ||
	    m->k->files > m->n)
		return error_set(
		    err, 0, "%zu tensors into %u files", m->n, m->k->files);
	/* One after the other, the files of about as many. */
	for (size_t i = 0; i < m->n; i++) {
		struct plan *p = &m->plan[i], *last = i == 0 ? NULL : p - 1;

		p->file = (uint32_t)(i * m->k->files / m->n);
		if (last != NULL && last->file == p->file)
			p->offset = (last->offset + last->bytes + ALIGN - 1) /
				    ALIGN * ALIGN;
	}
	return 0;
}

static int
check_request(const struct mkmodel *k, struct error *err)
{
	uint32_t least = k->vocab == MKMODEL_BPE   ? MKMODEL_BPE_MIN
			 : k->vocab == MKMODEL_SPM ? MKMODEL_SPM_MIN
						   : 1;

	if (k->hp.vocab < least || k->hp.vocab > MODEL_VOCAB_MAX)
		return error_set(err, 0, "a vocabulary of %u, not %u-%u",
		    k->hp.vocab, least, MODEL_VOCAB_MAX);
	if (k->hp.layers > MODEL_LAYERS_MAX || k->hp.embd > MODEL_EMBD_MAX ||
	    k->hp.heads > MODEL_HEADS_MAX || k->hp.head_k > MODEL_HEAD_MAX ||
	    k->hp.head_v > MODEL_HEAD_MAX || k->hp.kv_heads > MODEL_HEADS_MAX ||
	    k->hp.ff > MODEL_FF_MAX || k->hp.experts > MODEL_EXPERTS_MAX ||
	    k->hp.expert_ff > MODEL_FF_MAX || k->hp.shared_ff > MODEL_FF_MAX ||
	    k->hp.q_rank > MODEL_EMBD_MAX || k->hp.kv_rank > MODEL_HEAD_MAX ||
	    k->hp.ctx_train > MODEL_CTX_MAX ||
	    k->hp.delta.heads > MODEL_HEADS_MAX ||
	    k->hp.delta.key_heads > MODEL_HEADS_MAX ||
	    k->hp.delta.key > MODEL_HEAD_MAX ||
	    k->hp.delta.value > MODEL_HEAD_MAX ||
	    k->hp.window > MODEL_CTX_MAX ||
	    k->hp.streams.out_groups > MODEL_HEADS_MAX ||
	    k->hp.streams.out_rank > MODEL_EMBD_MAX ||
	    k->hp.streams.index_heads > MODEL_HEADS_MAX ||
	    k->hp.streams.index_key > MODEL_HEAD_MAX)
		return error_set(err, 0, "the model is too large");
	return model_shape_numbers(&k->hp, err);
}

/* A pair "ARCH.name". */
static uint32_t
put_number(struct buf *b, const struct mkmodel *k, const char *name, uint32_t v)
{
	char key[GGUF_KEY_MAX];

	snprintf(key, sizeof(key), "%s.%s", arch_name(k->hp.arch), name);
	gguf_put_u32(b, key, v);
	return 1;
}

static uint32_t
put_real(struct buf *b, const struct mkmodel *k, const char *name, float v)
{
	char key[GGUF_KEY_MAX];

	snprintf(key, sizeof(key), "%s.%s", arch_name(k->hp.arch), name);
	gguf_put_f32(b, key, v);
	return 1;
}

static uint32_t
put_experts(struct buf *b, const struct mkmodel *k)
{
	const struct hparams *h = &k->hp;
	const unsigned has = model_traits(h->arch);
	uint32_t n = 3;

	put_number(b, k, "expert_count", h->experts);
	put_number(b, k, "expert_used_count", h->experts_used);
	put_number(b, k, "expert_feed_forward_length", h->expert_ff);
	if (h->expert_scale != 1 || h->streams.n > 0)
		n += put_real(b, k, "expert_weights_scale", h->expert_scale);
	if ((has & TRAIT_LEAD) != 0)
		n += put_number(
		    b, k, "leading_dense_block_count", h->dense_layers);
	if ((has & TRAIT_SHARED) != 0) {
		n += put_number(
		    b, k, "expert_shared_count", h->shared_ff / h->expert_ff);
		n += put_number(
		    b, k, "expert_shared_feed_forward_length", h->shared_ff);
	}
	if (h->expert_groups > 0) {
		n += put_number(b, k, "expert_group_count", h->expert_groups);
		n +=
		    put_number(b, k, "expert_group_used_count", h->groups_used);
	}
	if ((has & TRAIT_GATE) != 0) {
		char key[GGUF_KEY_MAX];

		n += put_number(b, k, "expert_gating_func",
		    h->gate == GATE_ROOT      ? 4
		    : h->gate == GATE_SIGMOID ? 2
					      : 1);
		snprintf(key, sizeof(key), "%s.expert_weights_norm",
		    arch_name(h->arch));
		gguf_put_bool(b, key, h->expert_norm);
		n++;
	}
	return n;
}

static uint32_t
put_delta(struct buf *b, const struct mkmodel *k)
{
	const struct delta_shape *d = &k->hp.delta;
	const uint32_t pairs = k->hp.rope_dims / 2;
	char key[GGUF_KEY_MAX];

	if (d->every == 0)
		return 0;
	put_number(b, k, "full_attention_interval", d->every);
	put_number(b, k, "ssm.conv_kernel", d->taps);
	put_number(b, k, "ssm.group_count", d->key_heads);
	put_number(b, k, "ssm.time_step_rank", d->heads);
	put_number(b, k, "ssm.state_size", d->key);
	put_number(b, k, "ssm.inner_size", d->heads * d->value);
	if (k->hp.arch != ARCH_QWEN35MOE)
		return 6;
	/* What it would do with images: a third of the rotation each by time,
	 * height and width. */
	snprintf(key, sizeof(key), "%s.rope.dimension_sections",
	    arch_name(k->hp.arch));
	gguf_put_array(b, key, GGUF_I32, 4);
	for (uint32_t i = 0; i < 3; i++)
		buf_put_u32(b, (pairs + 2 - i) / 3);
	buf_put_u32(b, 0);
	return 7;
}

static uint32_t
put_streams(struct buf *b, const struct mkmodel *k)
{
	const struct hparams *h = &k->hp;
	const struct streams_shape *s = &h->streams;
	char key[GGUF_KEY_MAX];
	uint32_t n = 0;

	if (s->n == 0)
		return 0;
	n += put_number(b, k, "hyper_connection.count", s->n);
	n +=
	    put_number(b, k, "hyper_connection.sinkhorn_iterations", s->rounds);
	n += put_real(b, k, "hyper_connection.epsilon", s->eps);
	n += put_number(b, k, "attention.output_group_count", s->out_groups);
	n += put_number(b, k, "attention.output_lora_rank", s->out_rank);
	n += put_number(b, k, "attention.q_lora_rank", h->q_rank);
	n += put_number(b, k, "attention.indexer.head_count", s->index_heads);
	n += put_number(b, k, "attention.indexer.key_length", s->index_key);
	n += put_number(b, k, "attention.indexer.top_k", s->index_top);
	n += put_number(b, k, "hash_layer_count", s->hash_layers);
	n += put_real(
	    b, k, "attention.compress_rope_freq_base", s->squeeze_base);
	n += put_real(b, k, "swiglu_clamp_exp", s->limit);
	n += put_real(b, k, "swiglu_clamp_shexp", s->shared_limit);
	snprintf(key, sizeof(key), "%s.attention.compress_ratios",
	    arch_name(h->arch));
	gguf_put_array(b, key, GGUF_I32, h->layers + h->idle_layers);
	for (uint32_t i = 0; i < h->layers + h->idle_layers; i++)
		buf_put_u32(b, s->squeeze[i]);
	return n + 1;
}

static uint32_t
put_scaling(struct buf *b, const struct mkmodel *k)
{
	const struct hparams *h = &k->hp;
	char key[GGUF_KEY_MAX];

	if (!h->yarn.on && h->rope_scale == 1)
		return 0;
	snprintf(key, sizeof(key), "%s.rope.scaling.type", arch_name(h->arch));
	gguf_put_str(b, key, h->yarn.on ? "yarn" : "linear");
	put_real(b, k, "rope.scaling.factor",
	    h->yarn.on ? h->yarn.factor : h->rope_scale);
	if (!h->yarn.on)
		return 2;
	put_number(
	    b, k, "rope.scaling.original_context_length", h->yarn.ctx_orig);
	put_real(b, k, "rope.scaling.yarn_beta_fast", h->yarn.beta_fast);
	put_real(b, k, "rope.scaling.yarn_beta_slow", h->yarn.beta_slow);
	if (h->yarn.log_mul == 0)
		return 5;
	put_real(b, k, "rope.scaling.yarn_log_multiplier", h->yarn.log_mul);
	return 6;
}

/* The length of a head, or of the row that all heads are made of. */
static uint32_t
put_lengths(struct buf *b, const struct mkmodel *k)
{
	const struct hparams *h = &k->hp;

	if (h->kv_rank == 0) {
		put_number(b, k, "attention.key_length", h->head_k);
		put_number(b, k, "attention.value_length", h->head_v);
		return 2;
	}
	put_number(b, k, "attention.key_length", h->kv_rank + h->rope_dims);
	put_number(b, k, "attention.value_length", h->kv_rank);
	put_number(b, k, "attention.key_length_mla", h->head_k);
	put_number(b, k, "attention.value_length_mla", h->head_v);
	put_number(b, k, "attention.kv_lora_rank", h->kv_rank);
	if (h->q_rank == 0)
		return 5;
	put_number(b, k, "attention.q_lora_rank", h->q_rank);
	return 6;
}

static uint32_t
put_hparams(struct buf *b, const struct mkmodel *k)
{
	const struct hparams *h = &k->hp;
	uint32_t n = 0;

	n += put_number(b, k, "block_count", h->layers + h->idle_layers);
	if (h->idle_layers > 0)
		n += put_number(b, k, "nextn_predict_layers", h->idle_layers);
	n += put_number(b, k, "context_length", h->ctx_train);
	n += put_number(b, k, "embedding_length", h->embd);
	n += put_number(
	    b, k, "feed_forward_length", h->ff > 0 ? h->ff : h->expert_ff);
	n += put_number(b, k, "attention.head_count", h->heads);
	n += put_number(b, k, "attention.head_count_kv", h->kv_heads);
	n += put_lengths(b, k);
	n += put_number(b, k, "rope.dimension_count", h->rope_dims);
	n += put_number(b, k, "vocab_size", h->vocab);
	n += put_real(b, k, "attention.layer_norm_rms_epsilon", h->rms_eps);
	n += put_real(b, k, "rope.freq_base", h->rope_base);
	n += put_scaling(b, k);
	if (h->experts > 0)
		n += put_experts(b, k);
	n += put_delta(b, k);
	n += put_streams(b, k);
	if (h->window > 0)
		n += put_number(b, k, "attention.sliding_window", h->window);
	return n;
}

static void
put_head(struct buf *b, const struct maker *m, uint32_t file)
{
	const struct mkmodel *k = m->k;
	uint32_t npairs = 0, ntensors = 0;
	cleanup_buf struct buf pairs = { 0 };

	buf_init(&pairs, 0);
	gguf_put_str(&pairs, "general.architecture", arch_name(k->hp.arch));
	gguf_put_u32(&pairs, "general.alignment", ALIGN);
	npairs += 2;
	if (file == 0) {
		char name[64];

		snprintf(name, sizeof(name), "random %s, seed %llu",
		    arch_name(k->hp.arch), (unsigned long long)k->seed);
		gguf_put_str(&pairs, "general.name", name);
		gguf_put_u32(&pairs, "general.quantization_version", 2);
		npairs += 2 + put_hparams(&pairs, k);
		npairs += mkmodel_put_vocab(&pairs, k);
	}
	if (k->files > 1) {
		gguf_put_u32(&pairs, "split.no", file);
		gguf_put_u32(&pairs, "split.count", k->files);
		gguf_put_u32(&pairs, "split.tensors.count", (uint32_t)m->n);
		npairs += 3;
	}
	for (size_t i = 0; i < m->n; i++)
		ntensors += m->plan[i].file == file;
	gguf_put_head(b, ntensors, npairs);
	buf_put(b, buf_head(&pairs), buf_len(&pairs));
	for (size_t i = 0; i < m->n; i++) {
		const struct plan *p = &m->plan[i];

		if (p->file == file)
			gguf_put_tensor(b, p->name, p->type, p->want.ndims,
			    p->want.dims, p->offset);
	}
	gguf_put_padding(b, ALIGN);
}

/* How far weights of a class lie apart, for answers that neither die nor run
 * away over the layers. */
static float
spread(const struct mkmodel *k, const struct tensor_want *w)
{
	float each = 1 / sqrtf((float)w->dims[0]);

	switch (w->kind) {
	case CLASS_EMBD:
		return k->tied ? k->gain * each : 1;
	case CLASS_OUTPUT:
		return k->gain * each;
	case CLASS_ROUTER:
	case CLASS_DOWN:
		return 2 * each;
	case CLASS_ATTN:
	case CLASS_FFN:
		return each;
	case CLASS_NORM:
	case CLASS_TABLE:
		break;
	}
	return 1;
}

/* One value of a vector: a norm's weight, a bias, a sink, a factor. */
static float
small_value(const char *name, uint64_t *s)
{
	/* from a state that is gone at once to one that stays */
	if (str_ends(name, "ssm_a"))
		return -0.02f - uniform(s);
	if (strstr(name, "ssm_conv1d") != NULL)
		return 0.5f * bell(s);
	if (strstr(name, "ssm_dt") != NULL)
		return 2 * bell(s);
	/* so that a state does not drown out attention, which is a mean */
	if (strstr(name, "ssm_norm") != NULL)
		return 0.5f * (0.5f + uniform(s));
	if (str_ends(name, ".bias"))
		return 0.05f * bell(s);
	if (strstr(name, "sinks") != NULL || strstr(name, "_base.") != NULL)
		return bell(s);
	if (str_starts(name, "rope_freqs"))
		return 1 + 3 * uniform(s);
	if (str_ends(name, "scale"))
		return 0.8f + 0.4f * uniform(s);
	return 0.5f + uniform(s);
}

static void
draw_row(const struct mkmodel *k, const struct plan *p, float *row, uint64_t *s)
{
	float sigma = spread(k, &p->want);

	for (uint64_t i = 0; i < p->want.dims[0]; i++)
		row[i] = p->want.kind == CLASS_NORM ? small_value(p->name, s)
						    : sigma * bell(s);
}

/* Numbers of experts, no two of a token alike. */
static void
draw_table(
    const struct mkmodel *k, const struct plan *p, uint8_t *row, uint64_t *s)
{
	const uint64_t n = p->want.dims[0];

	for (uint64_t i = 0; i < n;) {
		const uint32_t e = (uint32_t)(next(s) % k->hp.experts);
		bool other = true;

		for (uint64_t j = 0; j < i; j++)
			other = other && memcmp(&row[4 * j], &e, 4) != 0;
		if (other)
			memcpy(&row[4 * i++], &e, 4);
	}
}

static int
flush(int fd, struct buf *b, size_t keep)
{
	if (buf_len(b) <= keep)
		return 0;
	if (fd_write_all(fd, buf_head(b), buf_len(b)) < 0)
		return -1;
	buf_clear(b);
	return 0;
}

static int
write_tensor(int fd, const struct mkmodel *k, const struct plan *p)
{
	uint64_t rows = p->want.dims[1] * p->want.dims[2] * p->want.dims[3];
	uint64_t drawn = DRAWN_MAX / p->want.dims[0] + 1;
	size_t bytes = tensor_row_bytes(p->type, p->want.dims[0]);
	cleanup_free float *row = xcalloc(p->want.dims[0], sizeof(*row));
	uint64_t s = seed_of(k->seed, p->name);
	cleanup_free uint8_t *pool = NULL;
	cleanup_buf struct buf b = { 0 };

	buf_init(&b, 0);
	if (drawn > rows)
		drawn = rows;
	pool = xcalloc(drawn, bytes);
	for (uint64_t i = 0; i < drawn; i++) {
		if (p->want.kind == CLASS_TABLE) {
			draw_table(k, p, &pool[i * bytes], &s);
			continue;
		}
		draw_row(k, p, row, &s);
		quantise_row(p->type, row, p->want.dims[0], &pool[i * bytes]);
	}
	for (uint64_t i = 0; i < rows; i++) {
		uint64_t at = i < drawn ? i : next(&s) % drawn;

		buf_put(&b, &pool[at * bytes], bytes);
		if (flush(fd, &b, WRITE_STEP) < 0)
			return -1;
	}
	for (uint64_t i = p->bytes; i % ALIGN != 0; i++)
		buf_put_u8(&b, 0);
	return flush(fd, &b, 0);
}

static int
write_all(int fd, const struct maker *m, uint32_t file)
{
	cleanup_buf struct buf head = { 0 };

	buf_init(&head, 0);
	put_head(&head, m, file);
	if (flush(fd, &head, 0) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if (m->plan[i].file == file &&
		    write_tensor(fd, m->k, &m->plan[i]) < 0)
			return -1;
	return 0;
}

static int
write_file(
    const struct maker *m, const char *path, uint32_t file, struct error *err)
{
	cleanup_free char *part = xasprintf("%s.part", path);
	cleanup_fd int fd = open(
	    part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);

	if (fd < 0)
		return error_set(err, errno, "create %s", part);
	if (write_all(fd, m, file) < 0 || rename(part, path) != 0) {
		error_set(err, errno, "write %s", path);
		unlink(part);
		return -1;
	}
	return 0;
}

int
mkmodel_write(const struct mkmodel *k, const char *path, struct error *err)
{
	struct maker m = { .k = k };
	size_t stem = strlen(path);
	int rc = -1;

	if (!str_ends(path, PATH_TAIL))
		return error_set(err, 0, "%s does not end in " PATH_TAIL, path);
	stem -= sizeof(PATH_TAIL) - 1;
	if (check_request(k, err) < 0 || make_plan(&m, err) < 0)
		goto out;
	for (uint32_t i = 0; i < k->files; i++) {
		cleanup_free char *name =
		    k->files == 1 ? xstrdup(path)
				  : xasprintf("%.*s-%05u-of-%05u" PATH_TAIL,
					(int)stem, path, i + 1, k->files);

		if (write_file(&m, name, i, err) < 0)
			goto out;
	}
	rc = 0;
out:
	free(m.plan);
	return rc;
}
