/*
 * DeepSeek's pre-tokenisers: several expressions, each of which splits the
 * pieces that those before it made, whether they matched or lay between.
 */
#include "inferd/tok_pre.h"

#include "base/compat.h"
#include "inferd/unicode.h"

#define STAGES_MAX 6

/* One expression: where its match at i ends, or i if there is none there. */
typedef size_t stage_fn(const struct tok_text *t, size_t i);

/* The letters of deepseek-llm's second expression. */
static const uint32_t letters[][2] = {
	{ 0x41, 0x5a },
	{ 0x61, 0x7a },
	{ 0xb5, 0xb5 },
	{ 0xc0, 0xd6 },
	{ 0xd8, 0xf6 },
	{ 0xf8, 0x1ba },
	{ 0x1bc, 0x1bf },
	{ 0x1c4, 0x293 },
	{ 0x295, 0x2af },
	{ 0x370, 0x373 },
	{ 0x376, 0x376 },
	{ 0x377, 0x377 },
	{ 0x37b, 0x37d },
	{ 0x37f, 0x37f },
	{ 0x386, 0x386 },
	{ 0x388, 0x38a },
	{ 0x38c, 0x38c },
	{ 0x38e, 0x3a1 },
	{ 0x3a3, 0x3f5 },
	{ 0x3f7, 0x481 },
	{ 0x48a, 0x52f },
	{ 0x531, 0x556 },
	{ 0x10a0, 0x10c5 },
	{ 0x13a0, 0x13f5 },
	{ 0x13f8, 0x13fd },
	{ 0x1c90, 0x1cba },
	{ 0x1cbd, 0x1cbf },
	{ 0x1d00, 0x1d2b },
	{ 0x1d6b, 0x1d77 },
	{ 0x1d79, 0x1d9a },
	{ 0x1e00, 0x1f15 },
	{ 0x1f18, 0x1f1d },
	{ 0x1f20, 0x1f45 },
	{ 0x1f48, 0x1f4d },
	{ 0x1f50, 0x1f57 },
	{ 0x1f59, 0x1f59 },
	{ 0x1f5b, 0x1f5b },
	{ 0x1f5d, 0x1f5d },
	{ 0x1f5f, 0x1f7d },
	{ 0x1f80, 0x1fb4 },
	{ 0x1fb6, 0x1fbc },
	{ 0x1fbe, 0x1fbe },
	{ 0x1fc2, 0x1fc4 },
	{ 0x1fc6, 0x1fcc },
	{ 0x1fd0, 0x1fd3 },
	{ 0x1fd6, 0x1fdb },
	{ 0x1fe0, 0x1fec },
	{ 0x1ff2, 0x1ff4 },
	{ 0x1ff6, 0x1ffc },
	{ 0x2102, 0x2102 },
	{ 0x2107, 0x2107 },
	{ 0x210a, 0x2113 },
	{ 0x2115, 0x2115 },
	{ 0x2119, 0x211d },
	{ 0x2124, 0x2124 },
	{ 0x2126, 0x2126 },
	{ 0x2128, 0x2128 },
	{ 0x212a, 0x212d },
	{ 0x212f, 0x2134 },
	{ 0x2139, 0x2139 },
	{ 0x213c, 0x213f },
	{ 0x2145, 0x2149 },
	{ 0x214e, 0x214e },
	{ 0x2183, 0x2183 },
	{ 0x2184, 0x2184 },
	{ 0x2c00, 0x2c7b },
	{ 0x2c7e, 0x2ce4 },
	{ 0x2ceb, 0x2cee },
	{ 0x2cf2, 0x2cf2 },
	{ 0x2cf3, 0x2cf3 },
	{ 0xa640, 0xa66d },
	{ 0xa680, 0xa69b },
	{ 0xa722, 0xa76f },
	{ 0xa771, 0xa787 },
	{ 0xa78b, 0xa78e },
	{ 0xab70, 0xabbf },
	{ 0xfb00, 0xfb06 },
	{ 0xfb13, 0xfb17 },
	{ 0xff21, 0xff3a },
	{ 0xff41, 0xff5a },
	{ 0x10400, 0x1044f },
	{ 0x104b0, 0x104d3 },
	{ 0x104d8, 0x104fb },
	{ 0x10c80, 0x10cb2 },
	{ 0x10cc0, 0x10cf2 },
	{ 0x118a0, 0x118df },
	{ 0x1e900, 0x1e943 },
};

static bool
is_letter(uint32_t cp)
{
	size_t lo = 0, hi = nitems(letters), mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (cp > letters[mid][1])
			lo = mid + 1;
		else if (cp < letters[mid][0])
			hi = mid;
		else
			return true;
	}
	return false;
}

static bool
is_mark(uint32_t cp)
{
	return (cp >= '!' && cp <= '/') || (cp >= ':' && cp <= '~') ||
	       (cp >= 0xff01 && cp <= 0xff0f) ||
	       (cp >= 0xff1a && cp <= 0xff5e) ||
	       (cp >= 0x2018 && cp <= 0x201f) || (cp >= 0x3000 && cp <= 0x3002);
}

static bool
is_east(uint32_t cp)
{
	return (cp >= 0x4e00 && cp <= 0x9fa5) ||
	       (cp >= 0x800 && cp <= 0x4e00) || (cp >= 0xac00 && cp <= 0xd7ff);
}

static bool
is_kana(uint32_t cp)
{
	return (cp >= 0x4e00 && cp <= 0x9fa5) || (cp >= 0x3040 && cp <= 0x30ff);
}

static size_t
run_of(const struct tok_text *t, size_t i, bool (*is)(uint32_t))
{
	size_t next;

	while (i < t->n && is(tok_pre_at(t, i, &next)))
		i = next;
	return i;
}

/* \s?[...]+ */
static size_t
spaced(const struct tok_text *t, size_t i, bool (*is)(uint32_t))
{
	size_t next, end;

	if ((tok_pre_flags(tok_pre_at(t, i, &next)) & TOK_SPACE) != 0) {
		end = run_of(t, next, is);
		if (end > next)
			return end;
	}
	return run_of(t, i, is);
}

static size_t
newline(const struct tok_text *t, size_t i)
{
	return t->p[i] == '\r' || t->p[i] == '\n' ? i + 1 : i;
}

static size_t
spaced_letters(const struct tok_text *t, size_t i)
{
	return spaced(t, i, is_letter);
}

static size_t
spaced_marks(const struct tok_text *t, size_t i)
{
	return spaced(t, i, is_mark);
}

/* \s+$, which a run of other text's spaces is not. */
static size_t
final_spaces(const struct tok_text *t, size_t i)
{
	size_t end = tok_pre_run(t, i, TOK_SPACE);

	return end == t->n ? end : i;
}

static size_t
east(const struct tok_text *t, size_t i)
{
	return run_of(t, i, is_east);
}

static size_t
kana(const struct tok_text *t, size_t i)
{
	return run_of(t, i, is_kana);
}

static size_t
number(const struct tok_text *t, size_t i)
{
	return tok_pre_run(t, i, TOK_N);
}

static size_t
number3(const struct tok_text *t, size_t i)
{
	size_t next;
	int k;

	for (k = 0; k < 3 && i < t->n &&
		    (tok_pre_flags(tok_pre_at(t, i, &next)) & TOK_N) != 0;
	     k++)
		i = next;
	return i;
}

static bool
is_ascii_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/*
 * [!-/:-@[-`{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|
 *  ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
static size_t
v3_words(const struct tok_text *t, size_t i)
{
	size_t next, end, after;
	unsigned int f = tok_pre_flags(tok_pre_at(t, i, &next));

	if ((uint8_t)t->p[i] < 0x80 && (f & (TOK_P | TOK_S)) != 0) {
		for (end = next; end < t->n && is_ascii_letter(t->p[end]);)
			end++;
		if (end > next)
			return end;
	}
	if ((f & (TOK_L | TOK_M)) != 0)
		return tok_pre_run(t, i, TOK_L | TOK_M);
	if ((f & (TOK_NL | TOK_P | TOK_S)) == 0) {
		end = tok_pre_run(t, next, TOK_L | TOK_M);
		if (end > next)
			return end;
	}
	after = t->p[i] == ' ' ? next : i;
	end = tok_pre_run(t, after, TOK_P | TOK_S);
	if (end > after)
		return tok_pre_run(t, end, TOK_NL);
	if ((f & TOK_SPACE) != 0)
		return tok_pre_space(t, i, true);
	return i;
}

static stage_fn *const v3[STAGES_MAX + 1] = { number3, kana, v3_words };
static stage_fn *const llm[STAGES_MAX + 1] = { newline, spaced_letters,
	spaced_marks, final_spaces, east, number };

static void
split(
    stage_fn *const *stage, const struct tok_text *t, tok_pre_fn *fn, void *arg)
{
	struct tok_text piece;
	size_t from = 0, i = 0, end;

	if (t->n == 0)
		return;
	if (*stage == NULL) {
		fn(t->p, t->n, arg);
		return;
	}
	while (i < t->n) {
		end = (*stage)(t, i);
		if (end == i) {
			/* Spaces that are not the last ones: none of them. */
			if (*stage == final_spaces)
				i = tok_pre_run(t, i, TOK_SPACE);
			if (i < t->n)
				tok_pre_at(t, i, &i);
			continue;
		}
		piece = (struct tok_text){ t->p + from, i - from };
		split(stage + 1, &piece, fn, arg);
		piece = (struct tok_text){ t->p + i, end - i };
		split(stage + 1, &piece, fn, arg);
		from = i = end;
	}
	piece = (struct tok_text){ t->p + from, t->n - from };
	split(stage + 1, &piece, fn, arg);
}

void
tok_pre_deepseek(
    enum tok_pre pre, const struct tok_text *t, tok_pre_fn *fn, void *arg)
{
	split(pre == TOK_PRE_DEEPSEEK_V3 ? v3 : llm, t, fn, arg);
}
