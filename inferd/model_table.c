#include "inferd/model_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* The layout below; a table never outlives the program that made it. */
#define TABLE_MAGIC 0x31544d42u
#define TENSOR_WIRE_MIN (4u + 4 * 3 + 8 * 6)
#define TOKEN_WIRE_MIN (4u + 4 + 1)
#define MERGE_WIRE 12u

static const char *const arch_names[ARCH_MAX] = {
	[ARCH_NONE] = "none",
	[ARCH_QWEN3MOE] = "qwen3moe",
	[ARCH_QWEN3] = "qwen3",
	[ARCH_LLAMA] = "llama",
	[ARCH_OLMOE] = "olmoe",
	[ARCH_GPT_OSS] = "gpt-oss",
	[ARCH_GLM4MOE] = "glm4moe",
	[ARCH_DEEPSEEK2] = "deepseek2",
	[ARCH_QWEN3NEXT] = "qwen3next",
	[ARCH_QWEN35MOE] = "qwen35moe",
	[ARCH_DEEPSEEK4] = "deepseek4",
};

const char *
arch_name(enum arch arch)
{
	return arch < ARCH_MAX ? arch_names[arch] : "?";
}

enum arch
arch_find(const char *name)
{
	for (int i = ARCH_NONE + 1; i < ARCH_MAX; i++)
		if (str_eq(name, arch_names[i]))
			return (enum arch)i;
	return ARCH_NONE;
}

void
model_table_free(struct model_table *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->ntensors; i++)
		free(t->tensors[i].name);
	free(t->tensors);
	free(t->vocab.tokens);
	free(t->vocab.merges);
	free(t->text);
	free(t->name);
	free(t);
}

void
model_table_cleanup(struct model_table **t)
{
	model_table_free(*t);
	*t = NULL;
}

static int
by_name(const void *key, const void *member)
{
	return strcmp(key, ((const struct tensor *)member)->name);
}

const struct tensor *
model_table_find(const struct model_table *t, const char *name)
{
	if (t->ntensors == 0)
		return NULL;
	return bsearch(
	    name, t->tensors, t->ntensors, sizeof(*t->tensors), by_name);
}

static void
put_f32(struct buf *b, float v)
{
	uint32_t u;

	memcpy(&u, &v, sizeof(u));
	buf_put_u32(b, u);
}

static float
get_f32(struct cur *c)
{
	uint32_t u = cur_u32(c);
	float v;

	memcpy(&v, &u, sizeof(v));
	return v;
}

static void
put_hparams(struct buf *b, const struct hparams *h)
{
	const uint32_t v[] = { h->arch, h->layers, h->embd, h->ff, h->heads,
		h->kv_heads, h->head_k, h->head_v, h->rope_dims, h->experts,
		h->experts_used, h->expert_ff, h->vocab, h->ctx_train,
		h->window, h->yarn.ctx_orig, h->idle_layers, h->dense_layers,
		h->shared_ff, h->expert_groups, h->groups_used, h->gate,
		h->q_rank, h->kv_rank, h->delta.every, h->delta.taps,
		h->delta.key_heads, h->delta.heads, h->delta.key,
		h->delta.value, h->rope_sections[0], h->rope_sections[1],
		h->rope_sections[2], h->rope_sections[3], h->streams.n,
		h->streams.rounds, h->streams.out_groups, h->streams.out_rank,
		h->streams.index_heads, h->streams.index_key,
		h->streams.index_top, h->streams.hash_layers };
	const float f[] = { h->rms_eps, h->rope_base, h->rope_scale,
		h->yarn.factor, h->yarn.beta_fast, h->yarn.beta_slow,
		h->expert_scale, h->yarn.log_mul, h->streams.eps,
		h->streams.squeeze_base, h->streams.limit,
		h->streams.shared_limit };

	for (size_t i = 0; i < nitems(v); i++)
		buf_put_u32(b, v[i]);
	for (size_t i = 0; i < nitems(f); i++)
		put_f32(b, f[i]);
	buf_put_u8(b, h->yarn.on);
	buf_put_u8(b, h->expert_norm);
	buf_put_u8(b, h->delta.fused);
	if (h->streams.n > 0)
		buf_put(b, h->streams.squeeze, sizeof(h->streams.squeeze));
}

struct range {
	uint32_t *v;
	const char *name;
	uint32_t min, max;
};

static int
get_numbers(struct cur *c, struct hparams *h, struct error *err)
{
	uint32_t gate = 0;
	const struct range want[] = {
		{ &h->layers, "layers", 0, MODEL_LAYERS_MAX },
		{ &h->embd, "embedding", 0, MODEL_EMBD_MAX },
		{ &h->ff, "feed-forward", 0, MODEL_FF_MAX },
		{ &h->heads, "heads", 0, MODEL_HEADS_MAX },
		{ &h->kv_heads, "KV heads", 0, MODEL_HEADS_MAX },
		{ &h->head_k, "key length", 0, MODEL_HEAD_MAX },
		{ &h->head_v, "value length", 0, MODEL_HEAD_MAX },
		{ &h->rope_dims, "rotated values", 0, MODEL_HEAD_MAX },
		{ &h->experts, "experts", 0, MODEL_EXPERTS_MAX },
		{ &h->experts_used, "used experts", 0, MODEL_EXPERTS_MAX },
		{ &h->expert_ff, "expert feed-forward", 0, MODEL_FF_MAX },
		{ &h->vocab, "vocabulary", 0, MODEL_VOCAB_MAX },
		{ &h->ctx_train, "context", 0, MODEL_CTX_MAX },
		{ &h->window, "window", 0, MODEL_CTX_MAX },
		{ &h->yarn.ctx_orig, "YaRN context", 0, MODEL_CTX_MAX },
		{ &h->idle_layers, "idle layers", 0, MODEL_LAYERS_MAX },
		{ &h->dense_layers, "dense layers", 0, MODEL_LAYERS_MAX },
		{ &h->shared_ff, "shared feed-forward", 0, MODEL_FF_MAX },
		{ &h->expert_groups, "groups", 0, MODEL_EXPERTS_MAX },
		{ &h->groups_used, "used groups", 0, MODEL_EXPERTS_MAX },
		{ &gate, "gate of experts", 0, GATE_MAX - 1 },
		{ &h->q_rank, "rank of queries", 0, MODEL_EMBD_MAX },
		{ &h->kv_rank, "rank of keys", 0, MODEL_HEAD_MAX },
		{ &h->delta.every, "interval", 0, MODEL_LAYERS_MAX },
		{ &h->delta.taps, "taps", 0, DELTA_TAPS_MAX },
		{ &h->delta.key_heads, "heads of keys", 0, MODEL_HEADS_MAX },
		{ &h->delta.heads, "heads of values", 0, MODEL_HEADS_MAX },
		{ &h->delta.key, "key of a state", 0, MODEL_HEAD_MAX },
		{ &h->delta.value, "value of a state", 0, MODEL_HEAD_MAX },
		{ &h->rope_sections[0], "pairs by time", 0, MODEL_HEAD_MAX },
		{ &h->rope_sections[1], "pairs by height", 0, MODEL_HEAD_MAX },
		{ &h->rope_sections[2], "pairs by width", 0, MODEL_HEAD_MAX },
		{ &h->rope_sections[3], "other pairs", 0, MODEL_HEAD_MAX },
		{ &h->streams.n, "streams", 0, STREAMS_MAX },
		{ &h->streams.rounds, "rounds", 0, STREAMS_ROUNDS_MAX },
		{ &h->streams.out_groups, "groups of heads", 0,
		    MODEL_HEADS_MAX },
		{ &h->streams.out_rank, "rank of a group", 0, MODEL_EMBD_MAX },
		{ &h->streams.index_heads, "heads that choose", 0,
		    MODEL_HEADS_MAX },
		{ &h->streams.index_key, "key of choice", 0, MODEL_HEAD_MAX },
		{ &h->streams.index_top, "chosen rows", 0, INDEX_TOP_MAX },
		{ &h->streams.hash_layers, "fixed layers", 0,
		    MODEL_LAYERS_MAX },
	};

	for (size_t i = 0; i < nitems(want); i++) {
		*want[i].v = cur_u32(c);
		if (*want[i].v < want[i].min || *want[i].v > want[i].max)
			return error_set(err, 0,
			    "model table: %s %u not in %u-%u", want[i].name,
			    *want[i].v, want[i].min, want[i].max);
	}
	h->gate = (enum expert_gate)gate;
	return 0;
}

static int
get_squeeze(struct cur *c, struct hparams *h, struct error *err)
{
	for (size_t i = 0; i < nitems(h->streams.squeeze); i++) {
		const uint8_t v = cur_u8(c);

		if (v != 0 && v != SQUEEZE_FEW && v != SQUEEZE_MANY)
			return error_set(
			    err, 0, "model table: rows of %u positions", v);
		h->streams.squeeze[i] = v;
	}
	return 0;
}

static int
get_hparams(struct cur *c, struct hparams *h, struct error *err)
{
	float *f[] = { &h->rms_eps, &h->rope_base, &h->rope_scale,
		&h->yarn.factor, &h->yarn.beta_fast, &h->yarn.beta_slow,
		&h->expert_scale, &h->yarn.log_mul, &h->streams.eps,
		&h->streams.squeeze_base, &h->streams.limit,
		&h->streams.shared_limit };
	uint32_t arch = cur_u32(c);

	if (arch >= ARCH_MAX)
		return error_set(err, 0, "model table: architecture %u", arch);
	h->arch = (enum arch)arch;
	if (get_numbers(c, h, err) < 0)
		return -1;
	for (size_t i = 0; i < nitems(f); i++) {
		*f[i] = get_f32(c);
		if (!isfinite(*f[i]) || *f[i] < 0)
			return error_set(
			    err, 0, "model table: bad real number %zu", i);
	}
	h->yarn.on = cur_bool(c);
	h->expert_norm = cur_bool(c);
	h->delta.fused = cur_bool(c);
	if (h->streams.n > 0)
		return get_squeeze(c, h, err);
	return 0;
}

static void
put_tensor(struct buf *b, const struct tensor *t)
{
	buf_put_str(b, t->name);
	buf_put_u32(b, t->type);
	buf_put_u32(b, t->ndims);
	buf_put_u32(b, t->file);
	for (size_t i = 0; i < nitems(t->dims); i++)
		buf_put_u64(b, t->dims[i]);
	buf_put_u64(b, t->offset);
	buf_put_u64(b, t->bytes);
}

static bool
is_tensor_name(const char *s)
{
	return s != NULL && s[0] != '\0' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._") == strlen(s);
}

/* The type's size of the shape is what the tensor says it has. */
static int
check_shape(const struct tensor *t, struct error *err)
{
	uint64_t bytes;

	if (tensor_type_info(t->type) == NULL)
		return error_set(err, 0, "model table: %s is of type %u",
		    t->name, (unsigned)t->type);
	if (t->ndims < 1 || t->ndims > nitems(t->dims))
		return error_set(err, 0, "model table: %s has %u dimensions",
		    t->name, t->ndims);
	bytes = tensor_row_bytes(t->type, t->dims[0]);
	for (uint32_t i = 0; i < nitems(t->dims); i++) {
		if (t->dims[i] < 1 || t->dims[i] > MODEL_DIM_MAX ||
		    (i >= t->ndims && t->dims[i] != 1))
			return error_set(err, 0,
			    "model table: dimension %u of %s is %llu", i,
			    t->name, (unsigned long long)t->dims[i]);
		if (i > 0 && __builtin_mul_overflow(bytes, t->dims[i], &bytes))
			bytes = 0;
	}
	if (bytes == 0 || bytes > MODEL_BYTES_MAX || bytes != t->bytes ||
	    t->offset > MODEL_BYTES_MAX || t->offset % MODEL_ALIGN_MIN != 0)
		return error_set(err, 0,
		    "model table: size or place of %s does not fit its shape",
		    t->name);
	return 0;
}

static int
get_tensor(struct cur *c, struct tensor *t, struct error *err)
{
	uint32_t type;

	t->name = cur_str(c, MODEL_NAME_MAX);
	if (!is_tensor_name(t->name))
		return error_set(err, 0, "model table: bad tensor name");
	type = cur_u32(c);
	t->type = type < TT_MAX ? (enum tensor_type)type : TT_MAX;
	t->ndims = cur_u32(c);
	t->file = cur_u32(c);
	for (size_t i = 0; i < nitems(t->dims); i++)
		t->dims[i] = cur_u64(c);
	t->offset = cur_u64(c);
	t->bytes = cur_u64(c);
	return c->failed ? error_set(err, 0, "model table: short")
			 : check_shape(t, err);
}

static int
by_place(const void *pa, const void *pb)
{
	const struct tensor *a = *(const struct tensor *const *)pa;
	const struct tensor *b = *(const struct tensor *const *)pb;

	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static int
check_overlap(const struct model_table *t, struct error *err)
{
	cleanup_free const struct tensor **v = NULL;

	if (t->ntensors == 0)
		return 0;
	v = xcalloc(t->ntensors, sizeof(*v));
	for (size_t i = 0; i < t->ntensors; i++)
		v[i] = &t->tensors[i];
	qsort(v, t->ntensors, sizeof(*v), by_place);
	for (size_t i = 1; i < t->ntensors; i++)
		if (v[i]->file == v[i - 1]->file &&
		    v[i]->offset - v[i - 1]->offset < v[i - 1]->bytes)
			return error_set(err, 0, "tensors %s and %s overlap",
			    v[i - 1]->name, v[i]->name);
	return 0;
}

static int
get_tensors(struct cur *c, struct model_table *t, struct error *err)
{
	uint32_t n;

	t->nfiles = cur_u32(c);
	n = cur_count(c, MODEL_TENSORS_MAX, TENSOR_WIRE_MIN);
	if (c->failed || t->nfiles < 1 || t->nfiles > MODEL_FILES_MAX)
		return error_set(err, 0, "model table: bad counts");
	t->tensors = xcalloc((size_t)n + 1, sizeof(*t->tensors));
	for (uint32_t i = 0; i < n; i++) {
		struct tensor *ti = &t->tensors[t->ntensors++];

		if (get_tensor(c, ti, err) < 0)
			return -1;
		if (ti->file >= t->nfiles)
			return error_set(err, 0,
			    "model table: %s is in file %u", ti->name,
			    ti->file);
		if (i > 0 && strcmp(ti[-1].name, ti->name) >= 0)
			return error_set(
			    err, 0, "model table: %s is there twice", ti->name);
	}
	return check_overlap(t, err);
}

static void
put_vocab(struct buf *b, const struct vocab_table *v)
{
	const int32_t id[] = { v->bos, v->eos, v->eot, v->pad, v->unk };

	buf_put_str(b, v->model);
	buf_put_str(b, v->pre);
	buf_put_u32(b, v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		buf_put_blob(b, v->tokens[i].p, v->tokens[i].len);
		put_f32(b, v->tokens[i].score);
		buf_put_u8(b, v->tokens[i].type);
	}
	buf_put_u32(b, v->nmerges);
	for (uint32_t i = 0; i < v->nmerges; i++) {
		buf_put_u32(b, v->merges[i].left);
		buf_put_u32(b, v->merges[i].right);
		buf_put_u32(b, v->merges[i].result);
	}
	for (size_t i = 0; i < nitems(id); i++)
		buf_put_u32(b, (uint32_t)id[i]);
	buf_put_u8(b, v->add_bos);
	buf_put_u8(b, v->add_eos);
	buf_put_u8(b, v->add_space_prefix);
}

static int
get_tokens(struct cur *c, struct vocab_table *v, struct error *err)
{
	v->n = cur_count(c, MODEL_VOCAB_MAX, TOKEN_WIRE_MIN);
	v->tokens = xcalloc((size_t)v->n + 1, sizeof(*v->tokens));
	for (uint32_t i = 0; i < v->n; i++) {
		struct vocab_token *k = &v->tokens[i];
		size_t n;

		k->p = (const char *)cur_blob(c, MODEL_TOKEN_MAX, &n);
		k->len = (uint32_t)n;
		k->score = get_f32(c);
		k->type = cur_u8(c);
		if (c->failed || !isfinite(k->score) ||
		    k->type < TOKEN_NORMAL || k->type > TOKEN_BYTE)
			return error_set(
			    err, 0, "model table: bad token %u", i);
	}
	return 0;
}

static int
get_merges(struct cur *c, struct vocab_table *v, struct error *err)
{
	v->nmerges = cur_count(c, MODEL_MERGES_MAX, MERGE_WIRE);
	v->merges = xcalloc((size_t)v->nmerges + 1, sizeof(*v->merges));
	for (uint32_t i = 0; i < v->nmerges; i++) {
		struct vocab_merge *m = &v->merges[i];

		m->left = cur_u32(c);
		m->right = cur_u32(c);
		m->result = cur_u32(c);
		if (m->left >= v->n || m->right >= v->n || m->result >= v->n)
			return error_set(
			    err, 0, "model table: bad merge %u", i);
	}
	return 0;
}

static int
get_vocab(struct cur *c, struct vocab_table *v, struct error *err)
{
	int32_t *id[] = { &v->bos, &v->eos, &v->eot, &v->pad, &v->unk };

	cur_str_into(c, v->model, sizeof(v->model));
	cur_str_into(c, v->pre, sizeof(v->pre));
	if (get_tokens(c, v, err) < 0 || get_merges(c, v, err) < 0)
		return -1;
	for (size_t i = 0; i < nitems(id); i++) {
		*id[i] = (int32_t)cur_u32(c);
		if (*id[i] < MODEL_NO_TOKEN || *id[i] >= (int32_t)v->n)
			return error_set(err, 0,
			    "model table: special token %d is not one of %u",
			    *id[i], v->n);
	}
	v->add_bos = cur_bool(c);
	v->add_eos = cur_bool(c);
	v->add_space_prefix = cur_bool(c);
	return 0;
}

void
model_table_encode(const struct model_table *t, struct buf *b)
{
	buf_put_u32(b, TABLE_MAGIC);
	put_hparams(b, &t->hp);
	put_vocab(b, &t->vocab);
	buf_put_str(b, t->template_sha256);
	buf_put_str(b, t->name);
	buf_put_u32(b, t->nfiles);
	buf_put_u32(b, (uint32_t)t->ntensors);
	for (size_t i = 0; i < t->ntensors; i++)
		put_tensor(b, &t->tensors[i]);
}

static int
get_title(struct cur *c, struct model_table *t, struct error *err)
{
	cur_str_into(c, t->template_sha256, sizeof(t->template_sha256));
	t->name = cur_str(c, MODEL_TITLE_MAX);
	if (c->failed || t->name == NULL ||
	    !str_is_utf8(t->name, strlen(t->name)) ||
	    strspn(t->template_sha256, "0123456789abcdef") !=
		strlen(t->template_sha256) ||
	    (t->template_sha256[0] != '\0' &&
		strlen(t->template_sha256) != sizeof(t->template_sha256) - 1))
		return error_set(err, 0, "model table: bad name or hash");
	return 0;
}

struct model_table *
model_table_decode(const void *p, size_t n, struct error *err)
{
	cleanup_model_table struct model_table *t = xcalloc(1, sizeof(*t));
	struct cur c;

	if (n > MODEL_TABLE_MAX) {
		error_set(err, 0, "model table: %zu bytes", n);
		return NULL;
	}
	t->text = xmemdup(p, n);
	cur_init(&c, t->text, n);
	if (cur_u32(&c) != TABLE_MAGIC) {
		error_set(err, 0, "model table: not one");
		return NULL;
	}
	if (get_hparams(&c, &t->hp, err) < 0 ||
	    get_vocab(&c, &t->vocab, err) < 0 || get_title(&c, t, err) < 0 ||
	    get_tensors(&c, t, err) < 0)
		return NULL;
	if (cur_end(&c) < 0) {
		error_set(err, 0, "model table: bytes left or missing");
		return NULL;
	}
	return steal_ptr(&t);
}

int
model_table_fits(const struct model_table *t, const uint64_t *file_size,
    uint32_t nfiles, struct error *err)
{
	if (t->nfiles != nfiles)
		return error_set(
		    err, 0, "model table: %u files, not %u", t->nfiles, nfiles);
	for (size_t i = 0; i < t->ntensors; i++) {
		const struct tensor *ti = &t->tensors[i];
		uint64_t size = file_size[ti->file];

		if (ti->offset > size || ti->bytes > size - ti->offset)
			return error_set(err, 0,
			    "tensor %s ends after the end of its file",
			    ti->name);
	}
	return 0;
}
