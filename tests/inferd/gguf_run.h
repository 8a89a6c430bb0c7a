/*
 * A small valid model in memory, piece by piece, and all that the parser's
 * process and its parent do with its bytes, in one process.
 */
#ifndef BRIG_TESTS_INFERD_GGUF_RUN_H
#define BRIG_TESTS_INFERD_GGUF_RUN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/gguf.h"
#include "inferd/gguf_write.h"
#include "inferd/model_parse.h"
#include "inferd/model_shape.h"

/*
 * Parsed, sent, received and checked: n bytes of a file of so many.  NULL with
 * err.
 */
static inline struct model_table *
gguf_run_sized(
    const void *p, size_t n, uint64_t size, bool vocab_only, struct error *err)
{
	const struct model_bytes file = { p, n, size };
	cleanup_model_table struct model_table *made = NULL;
	struct model_table *got;
	struct buf b;

	made = model_parse(&file, 1, vocab_only, err);
	if (made == NULL)
		return NULL;
	buf_init(&b, 0);
	model_table_encode(made, &b);
	got = model_table_decode(buf_head(&b), buf_len(&b), err);
	buf_free(&b);
	if (got != NULL && (model_table_fits(got, &size, 1, err) < 0 ||
			       model_shape_check(got, err) < 0)) {
		model_table_free(got);
		got = NULL;
	}
	return got;
}

static inline struct model_table *
gguf_run(const void *p, size_t n, bool vocab_only, struct error *err)
{
	return gguf_run_sized(p, n, n, vocab_only, err);
}

/* What a model is made of; each piece is one pair or one tensor. */
#define PIECES_MAX 192
struct piece {
	char name[72]; /* key, or name of the tensor */
	struct buf b;
};
struct pieces {
	struct piece pair[PIECES_MAX], tensor[PIECES_MAX];
	size_t npairs, ntensors;
	uint64_t data; /* bytes of it so far */
};

static inline struct buf *
pieces_pair(struct pieces *s, const char *key)
{
	struct piece *p = &s->pair[s->npairs++];

	if (s->npairs > PIECES_MAX)
		abort();
	strlcpy(p->name, key, sizeof(p->name));
	buf_init(&p->b, 0);
	return &p->b;
}

static inline void
pieces_u32(struct pieces *s, const char *key, uint32_t v)
{
	gguf_put_u32(pieces_pair(s, key), key, v);
}

static inline void
pieces_tensor(struct pieces *s, const char *name, uint32_t type, uint32_t ndims,
    const uint64_t *dims, uint64_t offset)
{
	struct piece *p = &s->tensor[s->ntensors++];

	if (s->ntensors > PIECES_MAX)
		abort();
	strlcpy(p->name, name, sizeof(p->name));
	buf_init(&p->b, 0);
	gguf_put_tensor(&p->b, name, type, ndims, dims, offset);
}

static inline void
pieces_tensors(
    struct pieces *s, const struct hparams *hp, const char *prefix, int layer)
{
	struct tensor_want w;

	for (size_t i = 0; model_shape_want(hp, layer, i, &w); i++) {
		uint64_t n = 4;
		char name[72];

		if (w.optional && strcmp(w.name, "output.weight") != 0)
			continue;
		snprintf(name, sizeof(name), "%s%s", prefix, w.name);
		for (size_t k = 0; k < nitems(w.dims); k++)
			n *= w.dims[k];
		pieces_tensor(s, name, w.kind == CLASS_TABLE ? TT_I32 : TT_F32,
		    w.ndims, w.dims, s->data);
		s->data += (n + 31) / 32 * 32;
	}
}

static const char *const pieces_tokens[] = { "<|end|>", "a", "b", "c", "ab",
	"abc", "d", "e" };

static inline void
pieces_vocab(struct pieces *s)
{
	static const char *const merges[] = { "a b", "ab c" };
	struct buf *b;

	gguf_put_str(pieces_pair(s, "tokenizer.ggml.model"),
	    "tokenizer.ggml.model", "gpt2");
	gguf_put_str(pieces_pair(s, "tokenizer.ggml.pre"), "tokenizer.ggml.pre",
	    "qwen2");
	b = pieces_pair(s, "tokenizer.ggml.tokens");
	gguf_put_array(
	    b, "tokenizer.ggml.tokens", GGUF_STRING, nitems(pieces_tokens));
	for (size_t i = 0; i < nitems(pieces_tokens); i++)
		gguf_put_text(b, pieces_tokens[i], strlen(pieces_tokens[i]));
	b = pieces_pair(s, "tokenizer.ggml.token_type");
	gguf_put_array(
	    b, "tokenizer.ggml.token_type", GGUF_I32, nitems(pieces_tokens));
	for (size_t i = 0; i < nitems(pieces_tokens); i++)
		buf_put_u32(b, i == 0 ? TOKEN_CONTROL : TOKEN_NORMAL);
	b = pieces_pair(s, "tokenizer.ggml.scores");
	gguf_put_array(
	    b, "tokenizer.ggml.scores", GGUF_F32, nitems(pieces_tokens));
	for (size_t i = 0; i < nitems(pieces_tokens); i++)
		gguf_put_real(b, (float)i);
	b = pieces_pair(s, "tokenizer.ggml.merges");
	gguf_put_array(b, "tokenizer.ggml.merges", GGUF_STRING, nitems(merges));
	for (size_t i = 0; i < nitems(merges); i++)
		gguf_put_text(b, merges[i], strlen(merges[i]));
	pieces_u32(s, "tokenizer.ggml.eos_token_id", 0);
	gguf_put_bool(pieces_pair(s, "tokenizer.ggml.add_bos_token"),
	    "tokenizer.ggml.add_bos_token", false);
	gguf_put_str(pieces_pair(s, "tokenizer.chat_template"),
	    "tokenizer.chat_template", "{{ messages }}");
}

static const struct hparams pieces_hp = { .arch = ARCH_QWEN3MOE,
	.layers = 2,
	.embd = 16,
	.heads = 2,
	.kv_heads = 1,
	.head_k = 8,
	.head_v = 8,
	.rope_dims = 8,
	.experts = 2,
	.experts_used = 1,
	.expert_ff = 8,
	.vocab = 8,
	.ctx_train = 64 };

/* A number of its architecture. */
static inline void
pieces_number(
    struct pieces *s, const struct hparams *h, const char *name, uint32_t v)
{
	char key[72];

	snprintf(key, sizeof(key), "%s.%s", arch_name(h->arch), name);
	pieces_u32(s, key, v);
}

static inline void
pieces_real(
    struct pieces *s, const struct hparams *h, const char *name, float v)
{
	char key[72];

	snprintf(key, sizeof(key), "%s.%s", arch_name(h->arch), name);
	gguf_put_f32(pieces_pair(s, key), key, v);
}

/* Of this shape, with experts. */
static inline void
pieces_make_of(struct pieces *s, const struct hparams *h)
{
	memset(s, 0, sizeof(*s));
	gguf_put_str(pieces_pair(s, "general.architecture"),
	    "general.architecture", arch_name(h->arch));
	gguf_put_str(
	    pieces_pair(s, "general.name"), "general.name", "a small one");
	pieces_u32(s, "general.alignment", 32);
	pieces_number(s, h, "block_count", h->layers + h->idle_layers);
	pieces_number(s, h, "context_length", h->ctx_train);
	pieces_number(s, h, "embedding_length", h->embd);
	pieces_number(s, h, "attention.head_count", h->heads);
	pieces_number(s, h, "attention.head_count_kv", h->kv_heads);
	pieces_number(s, h, "attention.key_length", h->head_k);
	pieces_number(s, h, "attention.value_length", h->head_v);
	pieces_real(s, h, "attention.layer_norm_rms_epsilon", 1e-6f);
	pieces_real(s, h, "rope.freq_base", 1e6f);
	pieces_number(s, h, "expert_count", h->experts);
	pieces_number(s, h, "expert_used_count", h->experts_used);
	pieces_number(s, h, "expert_feed_forward_length", h->expert_ff);
	pieces_vocab(s);
	pieces_tensors(s, h, "", -1);
	for (uint32_t i = 0; i < h->layers + h->idle_layers; i++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "blk.%u.", i);
		pieces_tensors(s, h, prefix, (int)i);
	}
}

static inline void
pieces_make(struct pieces *s)
{
	pieces_make_of(s, &pieces_hp);
}

static inline void
pieces_free(struct pieces *s)
{
	for (size_t i = 0; i < PIECES_MAX; i++) {
		buf_free(&s->pair[i].b);
		buf_free(&s->tensor[i].b);
	}
}

/* The whole file; ends[] (if not NULL): where each piece ends. */
static inline void
pieces_write(const struct pieces *s, struct buf *b, size_t *ends, size_t *nends)
{
	size_t n = 0;

	buf_init(b, 0);
	gguf_put_head(b, s->ntensors, s->npairs);
	for (size_t i = 0; i < s->npairs + s->ntensors; i++) {
		const struct buf *p =
		    i < s->npairs ? &s->pair[i].b : &s->tensor[i - s->npairs].b;

		buf_put(b, buf_head(p), buf_len(p));
		if (ends != NULL)
			ends[n++] = buf_len(b);
	}
	gguf_put_padding(b, 32);
	for (uint64_t i = 0; i < s->data; i += 8)
		buf_put_u64(b, 0);
	if (nends != NULL)
		*nends = n;
}

#endif
