/*
 * The tokens that may come next: the mask says of each what taking its bytes
 * says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "inferd/grammar.h"
#include "inferd/unicode.h"
#include "tests/inferd/vocab_file.h"

static const char *const pieces[] = { "{\"", "\":", "\": \"", "\",", "\"}",
	"\", \"", "\"]", "\"\n", "}}", "]}", "[]", "{}", "true", "false",
	"null", "rue", " {", " \"", "  ", "    ", "\n  ", "\n\t", "\n\n", "abc",
	"the", " the", "a\"", "abc\":", "ab\", \"x", "12", "123", "0.", ".5",
	"e-0", "-1", "\\n", "\\u00", "\\u00e9", "\\ud83d", "\\\"", "\\", "n\"",
	"\xc3\xa9", "\xe2\x82\xac", "\xe2\x82", "\x82\xac", "\xf0\x9f\x98",
	"x\xc3", "\xa9\"", "aaaaaaaaaa", "aaaaaaaaaa\"", "name\": \"", ",\"",
	", ", ": ", "]", "\t", "2024-0", "-29T", "\"\"", "\"\",", "\"a\"",
	"a\xc3\xa9\xe2\x82\xac\"" };
#define PIECES (sizeof(pieces) / sizeof(pieces[0]))
#define TOKENS (256 + PIECES + 1)

static struct vocab_token tokens[TOKENS];
static char text[TOKENS][64];
static struct tok *tok;
static struct mask *mask;

/* Byte-level BPE writes each byte as a character. */
static void
put(uint32_t id, const char *p, size_t n)
{
	uint32_t other, b, k;
	size_t i, len = 0;

	for (i = 0; i < n; i++) {
		b = (uint8_t)p[i];
		for (k = 0, other = 256; k < b; k++)
			other += !((k >= 33 && k <= 126) ||
				   (k >= 161 && k <= 172) || k >= 174);
		if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
			other = b;
		len += unicode_encode(other, &text[id][len]);
	}
	tokens[id] =
	    (struct vocab_token){ text[id], (uint32_t)len, 0, TOKEN_NORMAL };
}

static int
setup(void **state)
{
	struct vocab_table v = { .model = "gpt2",
		.pre = "qwen2",
		.n = TOKENS,
		.tokens = tokens,
		.bos = -1,
		.eos = -1,
		.eot = -1,
		.pad = -1,
		.unk = -1 };
	struct error err;
	uint32_t i;
	char c;

	(void)state;
	for (i = 0; i < 256; i++) {
		c = (char)i;
		put(i, &c, 1);
	}
	for (i = 0; i < PIECES; i++)
		put(256 + i, pieces[i], strlen(pieces[i]));
	put(256 + PIECES, "{}", 2);
	tokens[256 + PIECES].type = TOKEN_CONTROL;
	tok = tok_new(&v, &err);
	if (tok == NULL)
		fail_msg("%s", err.msg);
	mask = mask_new(tok);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	mask_free(mask);
	tok_free(tok);
	return 0;
}

/* Every token of t, one way and the other. */
static uint32_t
agree(const struct tok *t, const struct mask *m, const struct grammar_state *s,
    uint8_t *bits)
{
	uint32_t n = grammar_mask(m, s, bits), i, count = 0;
	cleanup_buf struct buf b = { 0 };
	struct grammar_state *c;
	struct tok_stream ts;
	bool fits, set;

	for (i = 0; i < tok_count(t); i++) {
		buf_clear(&b);
		tok_stream_init(&ts, t, false);
		tok_stream_push(&ts, (int32_t)i, &b);
		tok_stream_end(&ts, &b);
		c = grammar_copy(s);
		fits = !tok_is_special(t, (int32_t)i) && buf_len(&b) > 0 &&
		       grammar_take(c, (const char *)buf_head(&b), buf_len(&b));
		grammar_state_free(c);
		set = (bits[i / 8] >> i % 8 & 1) != 0;
		if (fits != set)
			fail_msg("token %u (%.*s): taken %d, in the mask %d", i,
			    (int)buf_len(&b), (const char *)buf_head(&b), fits,
			    set);
		count += set;
	}
	assert_int_equal(n, count);
	return n;
}

static const struct {
	const char *schema, *doc;
} walks[] = {
	{ "{}", "{\"name\": [1.5e-07, true, \"\\u00e9\\\"\"],\n  \"\": {}}" },
	{ "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":"
	  "\"string\"},\"abc\":{\"type\":\"integer\"},\"x\":{\"enum\":[\"a\","
	  "\"ab\",\"\\u00e9\"]}},\"required\":[\"name\"]}",
	    "{\"name\": \"abc \xe2\x82\xac\", \"x\": \"ab\"}" },
	{ "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":3,"
	  "\"maxLength\":12}}",
	    "[\"abc\", \"aaaaaaaaaab\", \"\\n\xf0\x9f\x98\x80z\\\\\"]" },
	{ "{\"type\":\"string\",\"minLength\":4}",
	    "\"a\xc3\xa9\xe2\x82\xac \\u00e9 and so on\"" },
	{ "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":3},{\"type\":"
	  "\"string\",\"pattern\":\"^a*$\"}]}",
	    "\"aaaaaaaaaaaaaa\"" },
	{ "{\"type\":\"string\",\"format\":\"date-time\"}",
	    "\"2024-02-29T23:59:59.5Z\"" },
	{ "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\","
	  "\"minimum\":-1,\"maximum\":12.5}}",
	    "{\"a\": -0.5, \"b\": 12.5, \"c\": 0}" },
};
#define WALKS (sizeof(walks) / sizeof(walks[0]))

static void
mask_is_what_can_be_taken(void **state)
{
	uint8_t bits[(TOKENS + 7) / 8];
	struct grammar_state *s;
	struct grammar *g;
	struct error err;
	size_t i, k;

	(void)state;
	for (i = 0; i < WALKS; i++) {
		g = schema_compile(
		    walks[i].schema, strlen(walks[i].schema), &err);
		if (g == NULL)
			fail_msg("%s", err.msg);
		s = grammar_start(g);
		for (k = 0; walks[i].doc[k] != '\0'; k++) {
			assert_true(agree(tok, mask, s, bits) > 0);
			if (!grammar_take(s, &walks[i].doc[k], 1))
				fail_msg("%s at %zu", walks[i].doc, k);
		}
		assert_true(grammar_done(s));
		agree(tok, mask, s, bits);
		grammar_state_free(s);
		grammar_free(g);
	}
}

static void
masks_of_real_vocabularies_agree(void **state)
{
	static const char *const names[] = { "qwen2", "llama-spm" };
	const char *dir = getenv("BRIG_MODELS");
	cleanup_buf struct buf path = { 0 };
	struct vocab_file f;
	struct grammar_state *s;
	struct grammar *g;
	struct mask *m;
	struct tok *t;
	uint8_t *bits;
	size_t i, k, n;

	(void)state;
	for (i = 0; i < 2; i++) {
		buf_clear(&path);
		buf_printf(&path, "%s/vocab/ggml-vocab-%s.gguf",
		    dir == NULL ? "../shared/models" : dir, names[i]);
		buf_put_u8(&path, 0);
		if (vocab_file_open(&f, (const char *)buf_head(&path)) < 0) {
			print_message("no %s\n", buf_head(&path));
			skip();
		}
		t = tok_new(&f.v, NULL);
		m = mask_new(t);
		bits = xcalloc(tok_count(t) / 8 + 1, 1);
		g = schema_compile(
		    walks[i + 1].schema, strlen(walks[i + 1].schema), NULL);
		s = grammar_start(g);
		n = strlen(walks[i + 1].doc);
		for (k = 0; k < n; k++) {
			if (k % 5 == 0)
				assert_true(agree(t, m, s, bits) > 0);
			assert_true(grammar_take(s, &walks[i + 1].doc[k], 1));
		}
		grammar_state_free(s);
		grammar_free(g);
		free(bits);
		mask_free(m);
		tok_free(t);
		vocab_file_close(&f);
	}
}

/* Sixteen ways to read each level, so that they cannot all be followed. */
static void
many_ways_end_somewhere(void **state)
{
	uint8_t bits[(TOKENS + 7) / 8];
	cleanup_buf struct buf b = { 0 };
	struct grammar_state *s;
	struct grammar *g;
	struct error err;
	int i;

	(void)state;
	buf_printf(&b, "{\"anyOf\":[{\"type\":\"null\"}");
	for (i = 0; i < 16; i++)
		buf_printf(&b,
		    ",{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":"
		    "\"#\"},\"b%d\":{}}}",
		    i);
	buf_printf(&b, "]}");
	g = schema_compile((const char *)buf_head(&b), buf_len(&b), &err);
	if (g == NULL)
		fail_msg("%s", err.msg);
	s = grammar_start(g);
	for (i = 0; i < 200 && grammar_take(s, "{\"a\": ", 6); i++)
		assert_true(grammar_mask(mask, s, bits) > 0);
	assert_in_range(i, 20, 64); /* as deep as json_tree_read() reads */
	assert_true(grammar_take(s, "null", 4));
	while (i-- > 0)
		assert_true(grammar_take(s, "}", 1));
	assert_true(grammar_full(s));
	grammar_state_free(s);
	grammar_free(g);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mask_is_what_can_be_taken),
		cmocka_unit_test(many_ways_end_somewhere),
		cmocka_unit_test(masks_of_real_vocabularies_agree),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
