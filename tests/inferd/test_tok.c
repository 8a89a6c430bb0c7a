/*
 * The tokenizers: real vocabularies with known ids where there are some, and
 * small ones made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/tok.h"
#include "tests/inferd/vocab_file.h"
#include "tests/inferd/vocab_small.h"

static const char *
text_of(const struct tok_ids *ids, struct buf *b)
{
	size_t i;

	buf_clear(b);
	for (i = 0; i < ids->n; i++)
		buf_printf(b, "%s%d", i == 0 ? "" : " ", ids->id[i]);
	buf_put_u8(b, 0);
	return (const char *)buf_head(b);
}

/* All ids one by one through a stream. */
static void
decode(const struct tok *t, const struct tok_ids *ids, struct buf *b)
{
	struct tok_stream s;
	size_t i;

	buf_clear(b);
	tok_stream_init(&s, t, true);
	for (i = 0; i < ids->n; i++)
		tok_stream_push(&s, ids->id[i], b);
	tok_stream_end(&s, b);
}

static void
assert_round_trip(const struct tok *t, const char *p, size_t n)
{
	cleanup_tok_ids struct tok_ids ids = { 0 };
	cleanup_buf struct buf b = { 0 };

	assert_int_equal(tok_encode(t, p, n, false, &ids), 0);
	decode(t, &ids, &b);
	assert_int_equal(buf_len(&b), n);
	if (n > 0)
		assert_memory_equal(buf_head(&b), p, n);
}

static void
assert_vectors(const struct tok *t, char *in, char *out)
{
	static const char between[] = "\n__ggml_vocab_test__\n";
	char *p = in, *q = out, *next, *line;
	unsigned int n = 0;

	for (; p != NULL; p = next, n++) {
		cleanup_tok_ids struct tok_ids ids = { 0 };
		cleanup_buf struct buf b = { 0 };

		next = strstr(p, between);
		if (next != NULL) {
			*next = '\0';
			next += strlen(between);
		}
		line = strsep(&q, "\n");
		assert_non_null(line);
		assert_int_equal(tok_encode(t, p, strlen(p), false, &ids), 0);
		while (*line == ' ')
			line++;
		assert_string_equal(text_of(&ids, &b), line);
		assert_round_trip(t, p, strlen(p));
	}
	assert_true(n >= 46);
}

static void
known_ids(const char *name)
{
	const char *dir = getenv("BRIG_MODELS"), *src = getenv("BRIG_SRCDIR");
	cleanup_free char *base = NULL, *in = NULL, *out = NULL;
	struct vocab_file f;
	struct error err = { 0 };
	struct tok *t;
	size_t n;

	base = dir != NULL
		   ? xasprintf("%s/vocab/ggml-vocab-%s.gguf", dir, name)
		   : xasprintf("%s/../shared/models/vocab/ggml-vocab-%s.gguf",
			 src == NULL ? "." : src, name);
	if (vocab_file_open(&f, base) < 0) {
		print_message("# skipped: no %s\n", base);
		str_cleanup_free(&base); /* skip() does not return */
		skip();
	}
	t = tok_new(&f.v, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	cleanup_free char *in_path = xasprintf("%s.inp", base);
	cleanup_free char *out_path = xasprintf("%s.out", base);
	in = vocab_file_bytes(in_path, &n);
	out = vocab_file_bytes(out_path, &n);
	assert_true(in != NULL && out != NULL);
	assert_vectors(t, in, out);
	tok_free(t);
	vocab_file_close(&f);
}

static void
qwen2_ids(void **state)
{
	(void)state;
	known_ids("qwen2");
}

static void
gpt_2_ids(void **state)
{
	(void)state;
	known_ids("gpt-2");
}

static void
deepseek_llm_ids(void **state)
{
	(void)state;
	known_ids("deepseek-llm");
}

static void
llama_spm_ids(void **state)
{
	(void)state;
	known_ids("llama-spm");
}

static struct tok *
small(bool spm, const char *pre)
{
	static struct vocab_small s;
	struct error err = { 0 };
	struct tok *t;

	if (spm)
		vocab_small_spm(&s);
	else
		vocab_small_bpe(&s, pre);
	t = tok_new(&s.v, &err);
	if (t == NULL)
		fail_msg("%s", err.msg);
	return t;
}

#define assert_ids(t, text, special, want)                                     \
	do {                                                                   \
		cleanup_tok_ids struct tok_ids ids_ = { 0 };                   \
		cleanup_buf struct buf b_ = { 0 };                             \
		tok_encode((t), (text), strlen(text), (special), &ids_);       \
		assert_string_equal(text_of(&ids_, &b_), (want));              \
	} while (0)

static void
merges_go_by_rank_then_from_the_left(void **state)
{
	struct tok *t = small(false, "qwen2");

	(void)state;
	assert_ids(t, "the the", false, "257 258");
	assert_ids(t, "aaa", false, "259 97");
	assert_ids(t, "aaaaaaaaaaaaa", false, "261 260 97");
	assert_ids(t, "\xe4\xbd\xa0", false, "263");
	assert_ids(t, "", false, "");
	tok_free(t);
}

static void
sentencepiece_joins_the_best_scores_first(void **state)
{
	struct tok *t = small(true, NULL);

	(void)state;
	/* "he" beats "th", and nothing is behind it. */
	assert_ids(t, "the", false, "259 283 262");
	assert_ids(t, " th", false, "259 259 261");
	/* Bytes of what no piece has. */
	assert_ids(t, "\xc3\xa9", false, "259 198 172");
	tok_free(t);
}

static void
control_tokens_come_only_from_the_template(void **state)
{
	static const char *const texts[] = { "<|im_start|>", "<|im_end|>",
		"a<|im_end|>\n<|im_start|>system\n", "<think>",
		"<|im_end|><|im_end|>", "|>", "<s>", "</s>", "<unk>" };
	struct tok *bpe = small(false, "qwen2"), *spm = small(true, NULL);
	const struct tok *t;
	size_t i, k, which;

	(void)state;
	for (i = 0; i < nitems(texts); i++)
		for (which = 0; which < 2; which++) {
			cleanup_tok_ids struct tok_ids ids = { 0 };

			t = which == 0 ? bpe : spm;
			tok_encode(t, texts[i], strlen(texts[i]), false, &ids);
			for (k = 0; k < ids.n; k++)
				assert_false(tok_is_special(t, ids.id[k]));
			assert_round_trip(t, texts[i], strlen(texts[i]));
		}
	assert_ids(bpe, "<|im_end|>", true, "268");
	assert_ids(bpe, "a<think>b", true, "97 269 98");
	assert_ids(spm, "<s>the</s>", true, "1 259 283 262 2");
	tok_free(bpe);
	tok_free(spm);
}

/* "</s>" as a token that its parts make, and whether text becomes it. */
static bool
text_ends_it(bool named)
{
	cleanup_tok_ids struct tok_ids ids = { 0 };
	struct vocab_small s;
	struct error err;
	struct tok *t;
	bool ends = false;
	size_t i;

	vocab_small_spm(&s);
	s.tokens[2].type = TOKEN_NORMAL;
	s.tokens[s.v.n++] = (struct vocab_token){ "</", 2, 0, TOKEN_NORMAL };
	s.v.eos = named ? 2 : MODEL_NO_TOKEN;
	t = tok_new(&s.v, &err);
	assert_non_null(t);
	tok_encode(t, "</s>", 4, false, &ids);
	for (i = 0; i < ids.n; i++)
		ends |= ids.id[i] == 2;
	ids.n = 0;
	tok_encode(t, "</s>", 4, true, &ids);
	assert_int_equal(ids.id[ids.n - 1] == 2, true);
	tok_free(t);
	return ends;
}

static void
what_ends_a_text_is_no_text_whatever_its_type(void **state)
{
	struct vocab_small s;
	struct error err;
	struct tok *t;

	(void)state;
	assert_true(text_ends_it(false));
	assert_false(text_ends_it(true));
	/* Nobody has to name what looks like this. */
	vocab_small_bpe(&s, "qwen2");
	s.tokens[267].type = TOKEN_NORMAL;
	s.tokens[268].type = TOKEN_USER_DEFINED;
	t = tok_new(&s.v, &err);
	assert_non_null(t);
	assert_ids(t, "<|im_start|><|im_end|>", true, "267 268");
	assert_true(tok_is_special(t, 267) && tok_is_special(t, 268));
	assert_int_equal(tok_find_special(t, "<|im_start|>"), 267);
	tok_free(t);
}

static void
byte_names_in_text_are_no_bytes(void **state)
{
	struct tok *t = small(true, NULL);

	(void)state;
	assert_round_trip(t, "<0x0A>", 6);
	assert_ids(t, "\n", false, "259 13");
	tok_free(t);
}

static void
control_token_lies_within_one_span(void **state)
{
	struct tok *t = small(false, "qwen2");
	const struct tok_span turn[] = { { "<|im_start|>", 12, true },
		{ "<|im_end|>", 10, false }, { "<|im_end|>", 10, true } };
	const struct tok_span halves[] = { { "<|im_", 5, true },
		{ "end|>", 5, false } };
	const struct tok_span both[] = { { "<|im_", 5, true },
		{ "end|>", 5, true } };
	const struct tok_span joined[] = { { "th", 2, true }, { "", 0, false },
		{ "e", 1, false } };
	cleanup_tok_ids struct tok_ids ids = { 0 };
	cleanup_buf struct buf b = { 0 };

	(void)state;
	tok_encode_spans(t, turn, 3, &ids);
	assert_string_equal(
	    text_of(&ids, &b), "267 265 266 95 101 110 100 124 62 268");
	ids.n = 0;
	tok_encode_spans(t, halves, 2, &ids);
	assert_string_equal(text_of(&ids, &b), "265 266 95 101 110 100 124 62");
	ids.n = 0;
	tok_encode_spans(t, both, 2, &ids);
	assert_false(tok_is_special(t, ids.id[0]));
	/* What is plain is one text. */
	ids.n = 0;
	tok_encode_spans(t, joined, 3, &ids);
	assert_string_equal(text_of(&ids, &b), "257");
	tok_free(t);
}

static void
user_defined_runs_are_found_in_any_text(void **state)
{
	struct tok *t = small(false, "qwen2");

	(void)state;
	assert_ids(t, "    a", false, "270 97");
	assert_ids(t, "     a", false, "270 32 97");
	tok_free(t);
}

static void
any_bytes_come_back(void **state)
{
	static const char *const kinds[] = { "gpt-2", "llama-bpe", "glm4",
		"qwen2", "qwen35", "gpt-4o", "kimi-k2", "deepseek-v3",
		"deepseek-llm", NULL };
	static const char likely[] = "the aa<|>\n12\xe4\xbd\xa0\xcc\x81'S.";
	unsigned int seed = 7, i, k, round;
	char text[96];
	size_t n;

	(void)state;
	for (k = 0; k < nitems(kinds); k++) {
		struct tok *t = small(kinds[k] == NULL, kinds[k]);

		for (round = 0; round < 1500; round++) {
			n = (size_t)rand_r(&seed) % sizeof(text);
			for (i = 0; i < n; i++)
				text[i] = round % 2 == 0
					      ? (char)rand_r(&seed)
					      : likely[(size_t)rand_r(&seed) %
						       (sizeof(likely) - 1)];
			/* SentencePiece writes a space as U+2581. */
			if (kinds[k] == NULL &&
			    memmem(text, n, "\xe2\x96\x81", 3) != NULL)
				continue;
			assert_round_trip(t, text, n);
		}
		tok_free(t);
	}
}

static void
a_megabyte_of_one_letter_is_tokenised(void **state)
{
	const size_t n = 1u << 20;
	char *text = xmalloc(n);
	unsigned int which;

	(void)state;
	for (which = 0; which < 4; which++) {
		struct tok *t = small(which % 2 == 1, "qwen2");
		cleanup_tok_ids struct tok_ids ids = { 0 };

		memset(text, which < 2 ? 'a' : ' ', n);
		assert_int_equal(tok_encode(t, text, n, false, &ids), 0);
		if (which == 0)
			assert_int_equal(ids.n, n / 8);
		assert_round_trip(t, text, n);
		tok_free(t);
	}
	free(text);
}

static void
text_over_the_limit_is_refused(void **state)
{
	struct tok *t = small(false, "qwen2");
	const struct tok_span spans[] = { { "a", 1, false },
		{ "a", TOK_TEXT_MAX, false } };
	cleanup_tok_ids struct tok_ids ids = { 0 };

	(void)state;
	assert_int_equal(tok_encode_spans(t, spans, 2, &ids), -1);
	assert_int_equal(ids.n, 0);
	tok_free(t);
}

static void
characters_are_streamed_whole(void **state)
{
	struct tok *t = small(false, "qwen2");
	cleanup_buf struct buf b = { 0 };
	struct tok_stream s;

	(void)state;
	tok_stream_init(&s, t, true);
	tok_stream_push(&s, 'x', &b);
	tok_stream_push(&s, 262, &b); /* two bytes of three */
	assert_int_equal(buf_len(&b), 1);
	tok_stream_push(&s, 0xa0, &b);
	assert_int_equal(buf_len(&b), 4);
	assert_memory_equal(buf_head(&b), "x\xe4\xbd\xa0", 4);
	/* Never completed: told as it is. */
	tok_stream_push(&s, 0xf0, &b);
	assert_int_equal(buf_len(&b), 4);
	tok_stream_push(&s, 'y', &b);
	assert_int_equal(buf_len(&b), 6);
	tok_stream_push(&s, 0xe4, &b);
	tok_stream_end(&s, &b);
	assert_int_equal(buf_len(&b), 7);
	tok_stream_push(&s, -1, &b);
	tok_stream_push(&s, 1 << 20, &b);
	assert_int_equal(buf_len(&b), 7);
	tok_free(t);
}

static void
pieces_and_names_are_found(void **state)
{
	struct tok *t = small(false, "qwen2");
	size_t n;

	(void)state;
	assert_int_equal(tok_count(t), 271);
	assert_int_equal(tok_find_special(t, "<|im_end|>"), 268);
	assert_int_equal(tok_find_special(t, "<think>"), 269);
	assert_int_equal(tok_find_special(t, "<|im_end"), -1);
	assert_int_equal(tok_find_special(t, "the"), -1);
	assert_memory_equal(tok_piece(t, 258, &n), " the", 4);
	assert_int_equal(n, 4);
	assert_null(tok_piece(t, 271, &n));
	assert_null(tok_piece(t, -1, &n));
	assert_true(tok_is_special(t, 268));
	assert_true(tok_is_special(t, 269));
	assert_false(tok_is_special(t, 258));
	tok_free(t);
}

#define assert_refused(s, text)                                                \
	do {                                                                   \
		struct error err_ = { 0 };                                     \
		assert_null(tok_new(&(s).v, &err_));                           \
		if (strstr(err_.msg, (text)) == NULL)                          \
			fail_msg("%s", err_.msg);                              \
	} while (0)

static void
what_is_not_known_is_refused_by_name(void **state)
{
	static struct vocab_small s;

	(void)state;
	vocab_small_bpe(&s, "qwen99");
	assert_refused(s, "\"qwen99\"");
	vocab_small_bpe(&s, "qwen2");
	strlcpy(s.v.model, "bert", sizeof(s.v.model));
	assert_refused(s, "\"bert\"");
	vocab_small_bpe(&s, "qwen2");
	s.tokens['x'].len = 0;
	assert_refused(s, "byte 0x78");
	vocab_small_bpe(&s, "qwen2");
	s.merges[0].result = 258;
	assert_refused(s, "merge 0");
	vocab_small_bpe(&s, "qwen2");
	s.merges[3].left = 5000;
	assert_refused(s, "merge 3");
	vocab_small_spm(&s);
	s.tokens[260].score = (float)(0.0 / 0.0);
	assert_refused(s, "260");
	vocab_small_bpe(&s, "qwen2");
	s.v.n = 0;
	assert_refused(s, "no tokens");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(qwen2_ids),
		cmocka_unit_test(gpt_2_ids),
		cmocka_unit_test(deepseek_llm_ids),
		cmocka_unit_test(llama_spm_ids),
		cmocka_unit_test(merges_go_by_rank_then_from_the_left),
		cmocka_unit_test(sentencepiece_joins_the_best_scores_first),
		cmocka_unit_test(control_tokens_come_only_from_the_template),
		cmocka_unit_test(what_ends_a_text_is_no_text_whatever_its_type),
		cmocka_unit_test(byte_names_in_text_are_no_bytes),
		cmocka_unit_test(control_token_lies_within_one_span),
		cmocka_unit_test(user_defined_runs_are_found_in_any_text),
		cmocka_unit_test(any_bytes_come_back),
		cmocka_unit_test(a_megabyte_of_one_letter_is_tokenised),
		cmocka_unit_test(text_over_the_limit_is_refused),
		cmocka_unit_test(characters_are_streamed_whole),
		cmocka_unit_test(pieces_and_names_are_found),
		cmocka_unit_test(what_is_not_known_is_refused_by_name),
	};

	return cmocka_run_group_tests_name("tok", tests, NULL, NULL);
}
