/*
 * Pre-tokenisers: where byte-level BPE may not merge.  Each is a small state
 * machine that does what the model's regular expressions do, in linear time.
 * Pure.
 */
#ifndef BRIG_INFERD_TOK_PRE_H
#define BRIG_INFERD_TOK_PRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tok_pre {
	TOK_PRE_NONE, /* not a name that is known */
	TOK_PRE_GPT2,
	TOK_PRE_LLAMA_BPE,
	TOK_PRE_GLM4,
	TOK_PRE_QWEN2,
	TOK_PRE_QWEN35,
	TOK_PRE_GPT4O,
	TOK_PRE_KIMI_K2,
	TOK_PRE_DEEPSEEK_V3,
	TOK_PRE_DEEPSEEK_LLM,
};

/* By the name that GGUF has in tokenizer.ggml.pre. */
enum tok_pre tok_pre_find(const char *name);

typedef void tok_pre_fn(const char *p, size_t n, void *arg);
/* The pieces of n bytes, in order, none empty; together they are the text. */
void tok_pre_split(
    enum tok_pre pre, const char *p, size_t n, tok_pre_fn *fn, void *arg);

/* What a code point is to the expressions; tok_pre_deepseek.c uses them too. */
#define TOK_L 0x001u
#define TOK_M 0x002u
#define TOK_N 0x004u
#define TOK_P 0x008u
#define TOK_S 0x010u
#define TOK_SPACE 0x020u
#define TOK_NL 0x040u    /* \r \n */
#define TOK_UPPER 0x080u /* Lu Lt Lm Lo M */
#define TOK_LOWER 0x100u /* Ll Lm Lo M */
#define TOK_HAN 0x200u

struct tok_text {
	const char *p;
	size_t n;
};

/* The code point at i and where the next begins; i < t->n. */
uint32_t tok_pre_at(const struct tok_text *t, size_t i, size_t *next);
unsigned int tok_pre_flags(uint32_t cp);
/* From i, past all code points that have one of these flags. */
size_t tok_pre_run(const struct tok_text *t, size_t i, unsigned int flags);
/*
 * White space at i: where \s*[\r\n]+|\s+(?!\S)|\s+ ends; without newlines:
 * \s+(?!\S)|\s+.
 */
size_t tok_pre_space(const struct tok_text *t, size_t i, bool newlines);

/* tok_pre_deepseek.c */
void tok_pre_deepseek(
    enum tok_pre pre, const struct tok_text *t, tok_pre_fn *fn, void *arg);

#endif
