#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "inferd/gguf_write.h"
#include "inferd/mkmodel.h"
#include "inferd/unicode.h"

#define KEY(name) "tokenizer.ggml." name
#define SPACE "\xc4\xa0"         /* byte-level BPE's stand-in for a space */
#define SPM_SPACE "\xe2\x96\x81" /* SentencePiece's */
#define TEXT_MAX 32u

/* Frequent ones first, so that ordinary text does merge. */
static const char letters[] = "etaoinshrdlucmfwypvbgkjqxz";
#define LETTERS (sizeof(letters) - 1)

static const char *const words[] = { "the", "and", "of", "to", "in", "is",
	"that", "it", "was", "for" };

static const struct {
	const char *text;
	enum token_type type;
} specials[] = {
	{ "<|endoftext|>", TOKEN_CONTROL },
	{ "<|im_start|>", TOKEN_CONTROL },
	{ "<|im_end|>", TOKEN_CONTROL },
	{ "<think>", TOKEN_USER_DEFINED },
	{ "</think>", TOKEN_USER_DEFINED },
	{ "<tool_call>", TOKEN_USER_DEFINED },
	{ "</tool_call>", TOKEN_USER_DEFINED },
};

static const char chatml[] =
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + "
    "m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
    "{% endif %}";

/* A vocabulary as it grows: members of the arrays, encoded. */
struct vocab {
	struct buf tokens, types, scores, merges;
	uint32_t n, room, nmerges;
	bool spm;
};

static void
add(struct vocab *v, const char *text, enum token_type type, float score)
{
	gguf_put_text(&v->tokens, text, strlen(text));
	buf_put_u32(&v->types, type);
	gguf_put_real(&v->scores, score);
	v->n++;
}

/* The token of a and b, and the merge to it; nothing once all is taken. */
static void
join(struct vocab *v, const char *a, const char *b)
{
	char text[2 * TEXT_MAX];

	if (v->n >= v->room)
		return;
	snprintf(text, sizeof(text), "%s%s", a, b);
	/* SentencePiece has scores for merges: the earlier, the higher. */
	add(v, text, TOKEN_NORMAL, v->spm ? -(float)v->n : 0);
	if (v->spm)
		return;
	snprintf(text, sizeof(text), "%s %s", a, b);
	gguf_put_text(&v->merges, text, strlen(text));
	v->nmerges++;
}

/* The first n letters of words[i] behind a space are there already. */
static bool
is_known(size_t i, size_t n)
{
	for (size_t k = 0; k < i; k++)
		if (strncmp(words[k], words[i], n) == 0 &&
		    strlen(words[k]) >= n)
			return true;
	return false;
}

static bool
is_begun(const char *text)
{
	for (size_t k = 0; k < nitems(words); k++)
		if (str_starts(words[k], text))
			return true;
	return false;
}

static void
join_words(struct vocab *v, const char *space)
{
	for (size_t i = 0; i < nitems(words); i++)
		for (size_t n = 1; n <= strlen(words[i]); n++) {
			char a[TEXT_MAX], b[2] = { words[i][n - 1], '\0' };

			snprintf(a, sizeof(a), "%s%.*s", space, (int)n - 1,
			    words[i]);
			if (!is_known(i, n))
				join(v, a, b);
		}
	for (size_t i = 0; i < LETTERS; i++) {
		char b[2] = { letters[i], '\0' };

		if (!is_begun(b))
			join(v, space, b);
	}
}

/* Pair number i of letters, the frequent ones first. */
static void
pair(size_t i, char text[3])
{
	size_t sum = 0, first;

	/* Along the diagonals of the square. */
	for (;; sum++) {
		size_t from = sum < LETTERS ? 0 : sum - LETTERS + 1;
		size_t n = sum + 1 - 2 * from;

		if (i < n) {
			first = from + i;
			break;
		}
		i -= n;
	}
	text[0] = letters[first];
	text[1] = letters[sum - first];
	text[2] = '\0';
}

#define PAIRS (LETTERS * LETTERS)

static void
join_letters(struct vocab *v, const char *space)
{
	char p[3], q[3], a[TEXT_MAX];

	for (size_t i = 0; i < PAIRS; i++) {
		char first[2] = { 0 }, second[2] = { 0 };

		pair(i, p);
		first[0] = p[0];
		second[0] = p[1];
		join(v, first, second);
	}
	for (size_t i = 0; i < PAIRS; i++) {
		char second[2] = { 0 };

		pair(i, p);
		second[0] = p[1];
		snprintf(a, sizeof(a), "%s%c", space, p[0]);
		if (!is_begun(p))
			join(v, a, second);
	}
	for (size_t i = 0; i < LETTERS && v->n < v->room; i++)
		for (size_t k = 0; k < PAIRS; k++) {
			char last[2] = { letters[i], '\0' };

			pair(k, p);
			join(v, p, last);
		}
	for (size_t i = 0; i < PAIRS && v->n < v->room; i++)
		for (size_t k = 0; k < PAIRS && v->n < v->room; k++) {
			pair(i, p);
			pair(k, q);
			join(v, p, q);
		}
}

/* The tokens that every vocabulary of bytes has. */
static void
add_bytes(struct vocab *v)
{
	uint32_t other = 256;

	for (uint32_t b = 0; b < 256; b++) {
		bool plain = (b >= '!' && b <= '~') ||
			     (b >= 161 && b <= 255 && b != 173);
		char utf8[5] = "";

		unicode_encode(plain ? b : other++, utf8);
		add(v, utf8, TOKEN_NORMAL, 0);
	}
}

static void
add_spm_first(struct vocab *v)
{
	char text[TEXT_MAX];

	add(v, "<unk>", TOKEN_UNKNOWN, 0);
	add(v, "<s>", TOKEN_CONTROL, 0);
	add(v, "</s>", TOKEN_CONTROL, 0);
	for (unsigned b = 0; b < 256; b++) {
		snprintf(text, sizeof(text), "<0x%02X>", b);
		add(v, text, TOKEN_BYTE, 0);
	}
	add(v, SPM_SPACE, TOKEN_NORMAL, -1e6f);
	for (size_t i = 0; i < LETTERS; i++) {
		char one[2] = { letters[i], '\0' };

		add(v, one, TOKEN_NORMAL, -1e6f);
	}
}

static void
fill(struct vocab *v, const struct mkmodel *k)
{
	const char *space = v->spm ? SPM_SPACE : SPACE;

	v->room = k->hp.vocab - (v->spm ? 0 : (uint32_t)nitems(specials));
	if (v->spm)
		add_spm_first(v);
	else
		add_bytes(v);
	join_words(v, space);
	join_letters(v, space);
	while (v->n < v->room) {
		char text[TEXT_MAX];

		snprintf(text, sizeof(text), "<|unused_%u|>", v->n);
		add(v, text, TOKEN_UNUSED, 0);
	}
	for (size_t i = 0; i < nitems(specials) && !v->spm; i++)
		add(v, specials[i].text, specials[i].type, 0);
}

static void
put_array(struct buf *b, const char *key, enum gguf_type of, uint32_t n,
    struct buf *members)
{
	gguf_put_array(b, key, of, n);
	buf_put(b, buf_head(members), buf_len(members));
}

uint32_t
mkmodel_put_vocab(struct buf *b, const struct mkmodel *k)
{
	struct vocab v = { .spm = k->vocab == MKMODEL_SPM };
	uint32_t pairs = 9, first = 0;

	if (k->vocab == MKMODEL_NO_VOCAB) {
		gguf_put_str(b, KEY("model"), "none");
		return 1;
	}
	buf_init(&v.tokens, 0);
	buf_init(&v.types, 0);
	buf_init(&v.scores, 0);
	buf_init(&v.merges, 0);
	fill(&v, k);
	first = v.n - (uint32_t)nitems(specials);
	gguf_put_str(b, KEY("model"), v.spm ? "llama" : "gpt2");
	gguf_put_str(b, KEY("pre"), v.spm ? "default" : k->pre);
	put_array(b, KEY("tokens"), GGUF_STRING, v.n, &v.tokens);
	put_array(b, KEY("token_type"), GGUF_I32, v.n, &v.types);
	if (v.spm)
		put_array(b, KEY("scores"), GGUF_F32, v.n, &v.scores);
	else
		put_array(b, KEY("merges"), GGUF_STRING, v.nmerges, &v.merges);
	gguf_put_u32(b, KEY("bos_token_id"), v.spm ? 1 : first);
	gguf_put_u32(b, KEY("eos_token_id"), v.spm ? 2 : first + 2);
	gguf_put_u32(b, KEY("padding_token_id"), v.spm ? 0 : first);
	gguf_put_bool(b, KEY("add_bos_token"), v.spm);
	if (k->template) {
		gguf_put_str(b, "tokenizer.chat_template", chatml);
		pairs++;
	}
	buf_free(&v.tokens);
	buf_free(&v.types);
	buf_free(&v.scores);
	buf_free(&v.merges);
	return pairs;
}
