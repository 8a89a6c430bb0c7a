/*
 * Shared by the files of the tokenizer; nobody else includes it.
 */
#ifndef BRIG_INFERD_TOK_INT_H
#define BRIG_INFERD_TOK_INT_H

#include "inferd/tok.h"
#include "inferd/tok_pre.h"

#define TOK_NONE UINT32_MAX

/* Ids by their bytes. */
struct tok_map {
	uint32_t *slot; /* id + 1; 0: free */
	uint32_t mask;
};

/* Ids in the order of their bytes. */
struct tok_sorted {
	uint32_t *id;
	uint32_t n;
};

struct tok_merge {
	uint64_t pair; /* left << 32 | right; UINT64_MAX: free */
	uint32_t rank;
	uint32_t result;
};

struct tok {
	bool spm;
	enum tok_pre pre;
	bool whole_words;  /* a word that is a token needs no merges */
	bool space_prefix; /* SentencePiece: text begins with a space */
	bool split_spaces; /* SentencePiece: no token holds a later space */
	uint32_t n;
	char *text;    /* the bytes of all tokens */
	uint32_t *off; /* n + 1 */
	uint8_t *type;
	float *score;
	uint32_t longest; /* bytes of the longest token that text can make */
	int32_t byte_id[256];
	int32_t eos, eot;          /* -1: none */
	struct tok_map map;        /* tokens that text can make */
	struct tok_sorted special; /* control and user-defined tokens */
	struct tok_sorted plain;   /* user-defined ones without markup */
	struct tok_merge *merges;
	uint32_t merge_mask;
};

/* A piece of a word while it is put together. */
struct tok_node {
	uint32_t off, len;
	uint32_t prev, next;
	uint32_t id;   /* TOK_NONE: bytes that are no token */
	uint32_t key;  /* of joining it with the next: the lowest goes first */
	uint32_t join; /* and the token that this makes */
};

/* Memory of one tok_encode(). */
struct tok_work {
	struct tok_node *node;
	size_t node_cap;
	uint64_t *heap;
	size_t nheap, heap_cap;
};

void tok_work_free(struct tok_work *w);

static inline size_t
tok_len(const struct tok *t, uint32_t id)
{
	return t->off[id + 1] - t->off[id];
}

/* tok_map.c */
void tok_map_init(struct tok_map *m, uint32_t n);
/* The first id with these bytes stays. */
void tok_map_add(const struct tok *t, struct tok_map *m, uint32_t id);
uint32_t tok_map_find(
    const struct tok *t, const struct tok_map *m, const void *p, size_t n);
void tok_sorted_make(const struct tok *t, struct tok_sorted *s);
/* The longest that p begins with, or TOK_NONE. */
uint32_t tok_sorted_longest(
    const struct tok *t, const struct tok_sorted *s, const char *p, size_t n);

/* tok_merge.c: one word of at most TOK_WORD_MAX bytes, to ids. */
void tok_word_bpe(const struct tok *t, struct tok_work *w, const char *p,
    size_t n, struct tok_ids *out);
void tok_word_spm(const struct tok *t, struct tok_work *w, const char *p,
    size_t n, struct tok_ids *out);

/* tok_vocab.c */
bool tok_is_markup(const char *p, size_t n);
/* Fills t from v. */
int tok_vocab_bpe(
    struct tok *t, const struct vocab_table *v, struct error *err);
int tok_vocab_spm(
    struct tok *t, const struct vocab_table *v, struct error *err);

#endif
