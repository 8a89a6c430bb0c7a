#include "inferd/tok_pre.h"

#include "base/str.h"
#include "inferd/unicode.h"

#define UP (TOK_L | TOK_UPPER)
#define LOW (TOK_L | TOK_LOWER)

static const struct {
	const char *name;
	enum tok_pre pre;
} names[] = {
	{ "gpt-2", TOK_PRE_GPT2 },
	{ "gpt2", TOK_PRE_GPT2 },
	{ "phi-2", TOK_PRE_GPT2 },
	{ "olmo", TOK_PRE_GPT2 },
	{ "llama-bpe", TOK_PRE_LLAMA_BPE },
	{ "llama-v3", TOK_PRE_LLAMA_BPE },
	{ "llama3", TOK_PRE_LLAMA_BPE },
	{ "glm4", TOK_PRE_GLM4 },
	{ "chatglm-bpe", TOK_PRE_GLM4 },
	{ "dbrx", TOK_PRE_GLM4 },
	{ "smaug-bpe", TOK_PRE_GLM4 },
	{ "qwen2", TOK_PRE_QWEN2 },
	{ "deepseek-r1-qwen", TOK_PRE_QWEN2 },
	{ "qwen35", TOK_PRE_QWEN35 },
	{ "gpt-4o", TOK_PRE_GPT4O },
	{ "llama4", TOK_PRE_GPT4O },
	{ "minimax-m2", TOK_PRE_GPT4O },
	{ "kimi-k2", TOK_PRE_KIMI_K2 },
	{ "deepseek-v3", TOK_PRE_DEEPSEEK_V3 },
	{ "joyai-llm", TOK_PRE_DEEPSEEK_V3 },
	{ "deepseek-llm", TOK_PRE_DEEPSEEK_LLM },
};

/* ASCII is most of what is asked for. */
static const uint16_t ascii[128] = {
	['\t'] = TOK_SPACE,
	['\v'] = TOK_SPACE,
	['\f'] = TOK_SPACE,
	[' '] = TOK_SPACE,
	['\n'] = TOK_SPACE | TOK_NL,
	['\r'] = TOK_SPACE | TOK_NL,
	['!' ... '#'] = TOK_P,
	['$'] = TOK_S,
	['%' ... '*'] = TOK_P,
	['+'] = TOK_S,
	[',' ... '/'] = TOK_P,
	['0' ... '9'] = TOK_N,
	[':' ... ';'] = TOK_P,
	['<' ... '>'] = TOK_S,
	['?' ... '@'] = TOK_P,
	['A' ... 'Z'] = UP,
	['[' ... ']'] = TOK_P,
	['^'] = TOK_S,
	['_'] = TOK_P,
	['`'] = TOK_S,
	['a' ... 'z'] = LOW,
	['{'] = TOK_P,
	['|'] = TOK_S,
	['}'] = TOK_P,
	['~'] = TOK_S,
};

enum tok_pre
tok_pre_find(const char *name)
{
	size_t i;

	for (i = 0; i < nitems(names); i++)
		if (str_eq(name, names[i].name))
			return names[i].pre;
	return TOK_PRE_NONE;
}

unsigned int
tok_pre_flags(uint32_t cp)
{
	unsigned int han;

	if (cp < 128)
		return ascii[cp];
	if (unicode_is_space(cp))
		return TOK_SPACE;
	han = unicode_is_han(cp) ? TOK_HAN : 0;
	switch (unicode_class(cp)) {
	case UNICODE_LU:
	case UNICODE_LT:
		return UP;
	case UNICODE_LL:
		return LOW;
	case UNICODE_LM:
	case UNICODE_LO:
		return UP | LOW | han;
	case UNICODE_M:
		return TOK_M | TOK_UPPER | TOK_LOWER;
	case UNICODE_N:
		return TOK_N | han;
	case UNICODE_P:
		return TOK_P;
	case UNICODE_S:
		return TOK_S | han;
	case UNICODE_Z:
	case UNICODE_OTHER:
		return 0;
	}
	return 0;
}

uint32_t
tok_pre_at(const struct tok_text *t, size_t i, size_t *next)
{
	size_t len;
	uint32_t cp = unicode_decode(t->p + i, t->n - i, &len);

	*next = i + len;
	return cp;
}

static unsigned int
at(const struct tok_text *t, size_t i, size_t *next)
{
	return tok_pre_flags(tok_pre_at(t, i, next));
}

size_t
tok_pre_run(const struct tok_text *t, size_t i, unsigned int flags)
{
	size_t next;

	while (i < t->n && (at(t, i, &next) & flags) != 0)
		i = next;
	return i;
}

/* Past all code points that have none of these flags. */
static size_t
run_not(const struct tok_text *t, size_t i, unsigned int flags)
{
	size_t next;

	while (i < t->n && (at(t, i, &next) & flags) == 0)
		i = next;
	return i;
}

size_t
tok_pre_space(const struct tok_text *t, size_t i, bool newlines)
{
	size_t end = i, last = i, newline = 0, next;
	unsigned int f;

	while (end < t->n && ((f = at(t, end, &next)) & TOK_SPACE) != 0) {
		last = end;
		end = next;
		if ((f & TOK_NL) != 0)
			newline = end;
	}
	if (newlines && newline != 0)
		return newline;
	/* The last one belongs to the word behind it, if that is not all. */
	if (end < t->n && last > i)
		return last;
	return end;
}

/* 's 't 're 've 'm 'll 'd at i: where it ends, or i. */
static size_t
contraction(const struct tok_text *t, size_t i, bool any_case)
{
	static const char pairs[][2] = { "re", "ve", "ll" };
	char c[2] = { 0 };
	size_t k;

	if (t->n - i < 2 || t->p[i] != '\'')
		return i;
	for (k = 0; k < 2 && i + 1 + k < t->n; k++) {
		c[k] = t->p[i + 1 + k];
		if (any_case && c[k] >= 'A' && c[k] <= 'Z')
			c[k] = (char)(c[k] + 32);
	}
	if (c[0] == 's' || c[0] == 't' || c[0] == 'm' || c[0] == 'd')
		return i + 2;
	for (k = 0; k < nitems(pairs); k++)
		if (c[0] == pairs[k][0] && c[1] == pairs[k][1])
			return i + 3;
	return i;
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t
gpt2(const struct tok_text *t, size_t i)
{
	size_t end = contraction(t, i, false), from = i, next;
	unsigned int f;

	if (end > i)
		return end;
	f = at(t, i, &next);
	if (t->p[i] == ' ' && next < t->n) {
		from = next;
		f = at(t, from, &next);
	}
	if ((f & TOK_L) != 0)
		return tok_pre_run(t, from, TOK_L);
	if ((f & TOK_N) != 0)
		return tok_pre_run(t, from, TOK_N);
	if ((f & TOK_SPACE) == 0)
		return run_not(t, from, TOK_SPACE | TOK_L | TOK_N);
	return tok_pre_space(t, i, false);
}

/* \p{N}{1,max} */
static size_t
digits(const struct tok_text *t, size_t i, unsigned int max)
{
	size_t next;

	while (max-- > 0 && i < t->n && (at(t, i, &next) & TOK_N) != 0)
		i = next;
	return i;
}

/*
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?LETTER+|\p{N}{1,max}|
 *  ?[^\s LETTER \p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * where LETTER is \p{L} or [\p{L}\p{M}].
 */
static size_t
llama(const struct tok_text *t, size_t i, unsigned int letter,
    unsigned int max_digits)
{
	size_t end = contraction(t, i, true), next, after;
	unsigned int f, g = 0;

	if (end > i)
		return end;
	f = at(t, i, &next);
	if ((f & letter) != 0)
		return tok_pre_run(t, next, letter);
	if ((f & TOK_N) != 0)
		return digits(t, i, max_digits);
	if (next < t->n)
		g = at(t, next, &after);
	if ((f & TOK_NL) == 0 && (g & letter) != 0)
		return tok_pre_run(t, next, letter);
	end = t->p[i] == ' ' ? next : i;
	after = run_not(t, end, TOK_SPACE | TOK_N | letter);
	if (after > end)
		return tok_pre_run(t, after, TOK_NL);
	return tok_pre_space(t, i, true);
}

/* Past code points that have one of these flags and not those. */
static size_t
cased(const struct tok_text *t, size_t i, unsigned int want, unsigned int not )
{
	unsigned int f;
	size_t next;

	while (
	    i < t->n && ((f = at(t, i, &next)) & want) != 0 && (f & not ) == 0)
		i = next;
	return i;
}

/*
 * UPPER*LOWER+ at i, or else UPPER+LOWER*: where it ends, or i.  The sets
 * overlap: the second part may take back what the first took.
 */
static size_t
camel(const struct tok_text *t, size_t i, unsigned int not, bool second)
{
	size_t end = i, both = 0, next;
	unsigned int f;

	while (end < t->n && ((f = at(t, end, &next)) & TOK_UPPER) != 0 &&
	       (f & not ) == 0) {
		end = next;
		if ((f & TOK_LOWER) != 0)
			both = end;
	}
	if (second)
		return end;
	next = cased(t, end, TOK_LOWER, not );
	if (next > end)
		return next;
	return both > i ? both : i;
}

/*
 * [^\r\n\p{L}\p{N}]?UPPER*LOWER+CONTRACTION?|
 * [^\r\n\p{L}\p{N}]?UPPER+LOWER*CONTRACTION?|\p{N}{1,3}|
 *  ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * Kimi K2 has Han apart, before all, and no slash.
 */
static size_t
gpt4o(const struct tok_text *t, size_t i, bool kimi)
{
	unsigned int not = kimi ? TOK_HAN : 0, f, pass;
	size_t next, end, from;

	f = at(t, i, &next);
	if (kimi && (f & TOK_HAN) != 0)
		return tok_pre_run(t, i, TOK_HAN);
	for (pass = 0; pass < 4; pass++) {
		from = i;
		if (pass % 2 == 0) {
			if ((f & (TOK_NL | TOK_L | TOK_N)) != 0)
				continue;
			from = next;
		}
		end = camel(t, from, not, pass >= 2);
		if (end > from)
			return end < t->n ? contraction(t, end, true) : end;
	}
	if ((f & TOK_N) != 0)
		return digits(t, i, 3);
	from = t->p[i] == ' ' ? next : i;
	end = run_not(t, from, TOK_SPACE | TOK_L | TOK_N);
	if (end == from)
		return tok_pre_space(t, i, true);
	while (end < t->n && (t->p[end] == '\r' || t->p[end] == '\n' ||
				 (!kimi && t->p[end] == '/')))
		end++;
	return end;
}

static size_t
piece(enum tok_pre pre, const struct tok_text *t, size_t i)
{
	switch (pre) {
	case TOK_PRE_GPT2:
		return gpt2(t, i);
	case TOK_PRE_LLAMA_BPE:
	case TOK_PRE_GLM4:
		return llama(t, i, TOK_L, 3);
	case TOK_PRE_QWEN2:
		return llama(t, i, TOK_L, 1);
	case TOK_PRE_QWEN35:
		return llama(t, i, TOK_L | TOK_M, 1);
	case TOK_PRE_GPT4O:
		return gpt4o(t, i, false);
	case TOK_PRE_KIMI_K2:
		return gpt4o(t, i, true);
	case TOK_PRE_DEEPSEEK_V3:
	case TOK_PRE_DEEPSEEK_LLM:
	case TOK_PRE_NONE:
		break;
	}
	return t->n;
}

void
tok_pre_split(
    enum tok_pre pre, const char *p, size_t n, tok_pre_fn *fn, void *arg)
{
	struct tok_text t = { p, n };
	size_t i, end;

	if (pre == TOK_PRE_DEEPSEEK_V3 || pre == TOK_PRE_DEEPSEEK_LLM) {
		tok_pre_deepseek(pre, &t, fn, arg);
		return;
	}
	for (i = 0; i < n; i = end) {
		end = piece(pre, &t, i);
		fn(p + i, end - i, arg);
	}
}
