#include "inferd/model_vocab.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define KEY(name) "tokenizer.ggml." name

static int
get_name(const struct gguf *g, const char *key, char *out, size_t size,
    struct error *err)
{
	struct gguf_str s = { "", 0 };

	if (gguf_get_str(g, key, &s, err) < 0)
		return -1;
	if (s.n >= size || memchr(s.p, 0, s.n) != NULL)
		return error_set(err, 0, "%s is too long", key);
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return 0;
}

static int
get_model(const struct gguf *g, struct vocab_table *v, struct error *err)
{
	char model[64];

	if (get_name(g, KEY("model"), model, sizeof(model), err) < 0 ||
	    get_name(g, KEY("pre"), v->pre, sizeof(v->pre), err) < 0)
		return -1;
	if (!str_eq(model, "gpt2") && !str_eq(model, "llama")) {
		/* What models of tests have. */
		if (model[0] != '\0' && !str_eq(model, "none") &&
		    !str_eq(model, "no_vocab") && !str_eq(model, "test"))
			return error_set(err, 0,
			    "tokeniser '%s' is not supported (gpt2 and llama "
			    "are)",
			    model);
		strlcpy(model, "none", sizeof(model));
	}
	strlcpy(v->model, model, sizeof(v->model));
	return 0;
}

static int
get_scores(const struct gguf *g, struct vocab_table *v, struct error *err)
{
	struct cur c;
	uint32_t n;

	if (gguf_get_array(
		g, KEY("scores"), GGUF_F32, MODEL_VOCAB_MAX, &c, &n, err) < 0)
		return -1;
	if (n == 0 && str_eq(v->model, "gpt2"))
		return 0;
	if (n != v->n)
		return error_set(err, 0, "%u scores for %u tokens", n, v->n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t u = cur_u32(&c);

		memcpy(&v->tokens[i].score, &u, sizeof(u));
		if (!isfinite(v->tokens[i].score))
			return error_set(
			    err, 0, "the score of token %u is not finite", i);
	}
	return 0;
}

static int
get_types(const struct gguf *g, struct vocab_table *v, struct error *err)
{
	struct cur c;
	uint32_t n;

	if (gguf_get_array(g, KEY("token_type"), GGUF_I32, MODEL_VOCAB_MAX, &c,
		&n, err) < 0)
		return -1;
	if (n != 0 && n != v->n)
		return error_set(err, 0, "%u types for %u tokens", n, v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		uint32_t u = n == 0 ? TOKEN_NORMAL : cur_u32(&c);

		if (u < TOKEN_NORMAL || u > TOKEN_BYTE)
			return error_set(
			    err, 0, "token %u is of unknown type %u", i, u);
		v->tokens[i].type = (uint8_t)u;
	}
	return 0;
}

static int
get_tokens(const struct gguf *g, struct vocab_table *v, uint32_t *count,
    struct error *err)
{
	struct cur c;
	uint32_t n;

	if (gguf_get_array(g, KEY("tokens"), GGUF_STRING, MODEL_VOCAB_MAX, &c,
		&n, err) < 0)
		return -1;
	*count = n;
	if (str_eq(v->model, "none"))
		return 0;
	if (n == 0)
		return error_set(err, 0, "the vocabulary is empty");
	v->n = n;
	v->tokens = xcalloc(n, sizeof(*v->tokens));
	for (uint32_t i = 0; i < n; i++) {
		struct gguf_str s = gguf_next_str(&c);

		if (s.n > MODEL_TOKEN_MAX)
			return error_set(err, 0,
			    "token %u has %zu bytes, at most %u", i, s.n,
			    MODEL_TOKEN_MAX);
		v->tokens[i].p = s.p;
		v->tokens[i].len = (uint32_t)s.n;
	}
	return 0;
}

/*
 * Tokens by their text: open addressing, ids + 1, a power of two of places,
 * half of them free.  Texts made to collide cost time, of which the parser's
 * process has not much.
 */
struct index {
	const struct vocab_table *v;
	uint32_t *slot;
	uint32_t mask;
};

/* FNV-1a over the parts one after the other. */
static uint32_t
hash(struct gguf_str a, struct gguf_str b)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < a.n; i++)
		h = (h ^ (uint8_t)a.p[i]) * 16777619u;
	for (size_t i = 0; i < b.n; i++)
		h = (h ^ (uint8_t)b.p[i]) * 16777619u;
	return h ^ h >> 15;
}

static bool
is_text(const struct vocab_token *t, struct gguf_str a, struct gguf_str b)
{
	return t->len == a.n + b.n && memcmp(t->p, a.p, a.n) == 0 &&
	       memcmp(t->p + a.n, b.p, b.n) == 0;
}

/* Where a followed by b is, or would be. */
static uint32_t *
lookup(const struct index *x, struct gguf_str a, struct gguf_str b)
{
	uint32_t i = hash(a, b) & x->mask;

	while (x->slot[i] != 0 && !is_text(&x->v->tokens[x->slot[i] - 1], a, b))
		i = (i + 1) & x->mask;
	return &x->slot[i];
}

static void
index_tokens(struct index *x, const struct vocab_table *v)
{
	uint32_t places = 16;

	while (places < 2 * v->n)
		places *= 2;
	x->v = v;
	x->mask = places - 1;
	x->slot = xcalloc(places, sizeof(*x->slot));
	for (uint32_t i = 0; i < v->n; i++) {
		struct gguf_str s = { v->tokens[i].p, v->tokens[i].len };

		/* Of two tokens with one text the later is meant. */
		*lookup(x, s, (struct gguf_str){ "", 0 }) = i + 1;
	}
}

static int
get_merge(const struct index *x, struct gguf_str s, struct vocab_merge *m)
{
	/* A token may begin with a space, but holds none further on. */
	const char *sp = s.n < 3 ? NULL : memchr(s.p + 1, ' ', s.n - 1);
	const struct gguf_str none = { "", 0 };
	struct gguf_str a, b;
	uint32_t l, r, both;

	if (sp == NULL)
		return -1;
	a = (struct gguf_str){ s.p, (size_t)(sp - s.p) };
	b = (struct gguf_str){ sp + 1, s.n - a.n - 1 };
	l = *lookup(x, a, none);
	r = *lookup(x, b, none);
	both = *lookup(x, a, b);
	if (l == 0 || r == 0 || both == 0)
		return -1;
	*m = (struct vocab_merge){ l - 1, r - 1, both - 1 };
	return 0;
}

static int
get_merges(const struct gguf *g, struct vocab_table *v, struct error *err)
{
	struct index x;
	struct cur c;
	uint32_t n;
	int rc = 0;

	if (gguf_get_array(g, KEY("merges"), GGUF_STRING, MODEL_MERGES_MAX, &c,
		&n, err) < 0)
		return -1;
	if (!str_eq(v->model, "gpt2"))
		return 0;
	if (gguf_find(g, KEY("merges")) == NULL)
		return error_set(err, 0, "the tokeniser has no merges");
	v->merges = xcalloc((size_t)n + 1, sizeof(*v->merges));
	index_tokens(&x, v);
	for (uint32_t i = 0; i < n && rc == 0; i++) {
		struct gguf_str s = gguf_next_str(&c);

		if (get_merge(&x, s, &v->merges[i]) < 0)
			rc = error_set(err, 0,
			    "merge %u ('%.*s') is not of tokens", i,
			    s.n > 64 ? 64 : (int)s.n, s.p);
	}
	v->nmerges = n;
	free(x.slot);
	return rc;
}

static int
get_special(const struct gguf *g, const struct vocab_table *v, const char *key,
    int32_t *id, struct error *err)
{
	const struct gguf_pair *p = gguf_find(g, key);
	struct error why;
	uint32_t n = 0;

	if (p == NULL)
		return 0;
	if (gguf_get_u32(g, key, 0, UINT32_MAX, &n, &why) < 0 ||
	    n == UINT32_MAX) {
		*id = MODEL_NO_TOKEN;
		return 0;
	}
	if (n >= v->n)
		return error_set(
		    err, 0, "%s is %u, of %u tokens", key, n, v->n);
	*id = (int32_t)n;
	return 0;
}

static int
get_specials(const struct gguf *g, struct vocab_table *v, struct error *err)
{
	const struct {
		const char *key;
		int32_t *id;
	} want[] = {
		{ KEY("bos_token_id"), &v->bos },
		{ KEY("eos_token_id"), &v->eos },
		{ KEY("eot_token_id"), &v->eot },
		{ KEY("padding_token_id"), &v->pad },
		{ KEY("unknown_token_id"), &v->unk },
	};

	for (size_t i = 0; i < nitems(want); i++)
		if (get_special(g, v, want[i].key, want[i].id, err) < 0)
			return -1;
	return 0;
}

/* What holds where a file does not say: as its makers' own program has it. */
static void
defaults(struct vocab_table *v)
{
	v->bos = v->eos = v->eot = v->pad = v->unk = MODEL_NO_TOKEN;
	if (str_eq(v->model, "llama") && v->n > 2) {
		v->unk = 0;
		v->bos = 1;
		v->eos = 2;
		v->add_bos = v->add_space_prefix = true;
	}
	if (str_eq(v->pre, "llama-bpe") || str_eq(v->pre, "llama3") ||
	    str_eq(v->pre, "llama-v3"))
		v->add_bos = true;
}

int
model_vocab_read(const struct gguf *g, struct vocab_table *v, uint32_t *count,
    struct error *err)
{
	if (get_model(g, v, err) < 0 || get_tokens(g, v, count, err) < 0)
		return -1;
	defaults(v);
	if (str_eq(v->model, "none"))
		return 0;
	if (get_scores(g, v, err) < 0 || get_types(g, v, err) < 0 ||
	    get_merges(g, v, err) < 0 || get_specials(g, v, err) < 0 ||
	    gguf_get_bool(g, KEY("add_bos_token"), &v->add_bos, err) < 0 ||
	    gguf_get_bool(g, KEY("add_eos_token"), &v->add_eos, err) < 0)
		return -1;
	return gguf_get_bool(
	    g, KEY("add_space_prefix"), &v->add_space_prefix, err);
}
