/*
 * Pre-tokenisers, against the pieces that the models' own regular expressions
 * make of the same texts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "inferd/tok_pre.h"

/* clang-format off */
static const char *const texts[] = {
	"Hello, y'all! I'LL 'tis  been\t\n\n  12345 apples 2\xc2"
	"\xbd \xe2\x80\x94 na\xc3\xafve CamelCASEWords e\xcc\x81tud"
	"e\xcc\x81",
	"  \n x   \r\n\t",
	"\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95"
	"\x8c\xe3\x82\xab\xe3\x83\xbc\xe3\x81\xae\xe3\x83\xbb\xe3"
	"\x82\x9b\xed\x95\x9c\xea\xb5\xad \xe2\x91\xa0\xe2\x91\xa1"
	"\xe2\x91\xa2\xe2\x91\xa3 \xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6 ",
	"if (a!=b) {\n\treturn x[10]/=2;//done\n}\n\n",
	"ABCdef XMLHttpREQUEST's\xc7\x85\xca\xb0 don'T \xc5\xbf'S "
	"\xc2\xaa\xc2\xba",
	"\xe3\x80\x80\xc2\xa0x \xe2\x80\xa8y\xc2\x85z \xe2\x80\x8bq"
	"\xcc\x81\xcc\x81! \xcc\x81",
	"\xf0\x9f\x9a\x80\xf0\x9f\x9a\x80 \xf0\x9f\x98\xb6\xe2\x80"
	"\x8d\xf0\x9f\x8c\xab\xef\xb8\x8f!!! ...\n\n/a //\n/",
	"\xe3\x80\x85\xe3\x80\x87\xe6\xbc\xa2\xe5\xad\x97kanji 12"
	"\xe5\xb9\xb4\xe5\xba\xa6\xe3\x80\x80\xe5\x85\xa8\xe8\xa7"
	"\x92\xef\xbc\xa1\xef\xbc\xa2\xef\xbd\x83\xef\xbc\x91\xef"
	"\xbc\x92\xef\xbc\x93\xe3\x80\x82\xe3\x80\x8c\xe5\xbc\x95"
	"\xe7\x94\xa8\xe3\x80\x8d"
};
/* clang-format on */

/* Bytes of each piece. */
static const struct {
	const char *pre;
	unsigned int text;
	const char *pieces;
} cases[] = {
	{ "gpt-2", 0, "5 1 2 1 3 1 2 1 2 2 3 1 5 4 6 7 4 4 7 15 2 2 4 2" },
	{ "gpt-2", 1, "3 2 6" },
	{ "gpt-2", 2, "6 3 15 6 6 13 9 1" },
	{ "gpt-2", 3, "2 2 1 2 1 1 2 1 1 6 2 1 2 3 1 3 4 1 1 2" },
	{ "gpt-2", 4, "6 15 2 4 4 1 1 3 1 1 5" },
	{ "gpt-2", 5, "3 2 1 1 3 1 2 1 4 1 5 3" },
	{ "gpt-2", 6, "8 18 4 1 1 1 1 3 1 1" },
	{ "gpt-2", 7, "3 3 11 3 6 3 15 9 6 6 3" },
	{ "llama-bpe", 0,
	    "5 1 2 4 1 2 3 2 3 1 5 3 1 1 3 2 7 1 3 4 7 15 2 6 2" },
	{ "llama-bpe", 1, "3 2 5 1" },
	{ "llama-bpe", 2, "6 18 6 6 1 9 3 1 6 2 1" },
	{ "llama-bpe", 3, "2 2 1 2 1 1 3 7 2 1 2 3 1 3 4 1 3" },
	{ "llama-bpe", 4, "6 15 2 4 4 2 3 2 5" },
	{ "llama-bpe", 5, "3 3 1 4 3 4 1 5 3" },
	{ "llama-bpe", 6, "8 18 6 2 4 1" },
	{ "llama-bpe", 7, "3 3 11 1 2 6 18 9 6 6 3" },
	{ "qwen2", 0,
	    "5 1 2 4 1 2 3 2 3 1 5 3 1 1 1 1 1 1 1 7 1 1 2 4 7 15 2 6 2" },
	{ "qwen2", 1, "3 2 5 1" },
	{ "qwen2", 2, "6 18 6 6 1 3 3 3 3 1 2 2 2 2 1" },
	{ "qwen2", 3, "2 2 1 2 1 1 3 7 2 1 1 1 3 1 3 4 1 3" },
	{ "qwen2", 4, "6 15 2 4 4 2 3 2 5" },
	{ "qwen2", 5, "3 3 1 4 3 4 1 5 3" },
	{ "qwen2", 6, "8 18 6 2 4 1" },
	{ "qwen2", 7, "3 3 11 1 1 1 6 18 3 3 3 6 6 3" },
	{ "qwen35", 0,
	    "5 1 2 4 1 2 3 2 3 1 5 3 1 1 1 1 1 1 1 7 1 1 2 4 7 15 10" },
	{ "qwen35", 1, "3 2 5 1" },
	{ "qwen35", 2, "6 18 6 6 1 3 3 3 3 1 2 2 2 2 1" },
	{ "qwen35", 3, "2 2 1 2 1 1 3 7 2 1 1 1 3 1 3 4 1 3" },
	{ "qwen35", 4, "6 15 2 4 4 2 3 2 5" },
	{ "qwen35", 5, "3 3 1 4 3 4 5 1 3" },
	{ "qwen35", 6, "8 12 3 3 6 2 4 1" },
	{ "qwen35", 7, "3 3 11 1 1 1 6 18 3 3 3 6 6 3" },
	{ "gpt-4o", 0, "5 1 2 4 1 5 2 3 1 5 3 1 1 3 2 7 1 3 4 7 6 9 10" },
	{ "gpt-4o", 1, "3 2 5 1" },
	{ "gpt-4o", 2, "6 18 6 6 1 9 3 1 6 2 1" },
	{ "gpt-4o", 3, "2 2 1 2 1 1 3 7 2 1 2 3 1 3 4 1 3" },
	{ "gpt-4o", 4, "6 8 9 4 6 5 5" },
	{ "gpt-4o", 5, "3 3 1 4 3 4 5 1 3" },
	{ "gpt-4o", 6, "8 18 7 1 5" },
	{ "gpt-4o", 7, "3 3 11 1 2 6 18 9 6 6 3" },
	{ "kimi-k2", 0, "5 1 2 4 1 5 2 3 1 5 3 1 1 3 2 7 1 3 4 7 6 9 10" },
	{ "kimi-k2", 1, "3 2 5 1" },
	{ "kimi-k2", 2, "6 3 6 9 6 6 1 9 3 1 6 2 1" },
	{ "kimi-k2", 3, "2 2 1 2 1 1 3 7 2 1 2 3 1 3 4 1 3" },
	{ "kimi-k2", 4, "6 8 9 4 6 5 5" },
	{ "kimi-k2", 5, "3 3 1 4 3 4 5 1 3" },
	{ "kimi-k2", 6, "8 18 6 2 4 1" },
	{ "kimi-k2", 7, "12 5 1 2 6 3 6 9 9 6 6 3" },
	{ "deepseek-v3", 0, "5 1 2 4 1 2 3 2 3 1 5 3 2 3 2 7 1 3 4 7 15 10" },
	{ "deepseek-v3", 1, "3 2 5 1" },
	{ "deepseek-v3", 2, "6 3 15 6 6 1 9 3 1 6 2 1" },
	{ "deepseek-v3", 3, "2 2 1 2 1 1 3 7 2 1 2 3 1 3 4 1 3" },
	{ "deepseek-v3", 4, "6 15 2 4 4 2 3 2 5" },
	{ "deepseek-v3", 5, "3 3 1 4 3 1 8 1 3" },
	{ "deepseek-v3", 6, "8 5 3 4 3 3 6 2 4 1" },
	{ "deepseek-v3", 7, "3 3 6 5 1 2 6 3 6 9 9 6 6 3" },
	{ "deepseek-llm", 0,
	    "5 1 2 1 3 1 2 1 2 2 3 1 5 1 1 1 2 5 7 1 3 1 3 3 2 2 15 2 2 4 2" },
	{ "deepseek-llm", 1, "2 1 2 3 1 1 1" },
	{ "deepseek-llm", 2, "6 3 27 1 12 1 8 1" },
	{ "deepseek-llm", 3, "2 2 1 2 1 1 2 1 7 2 1 2 3 1 3 4 1 1 1 1" },
	{ "deepseek-llm", 4, "6 15 1 1 2 2 4 1 1 3 1 1 5" },
	{ "deepseek-llm", 5, "3 3 1 3 1 3 1 3 1 4 1 3" },
	{ "deepseek-llm", 6, "13 3 7 3 4 1 1 1 1 3 1 1" },
	{ "deepseek-llm", 7, "3 3 6 5 1 2 6 3 6 9 9 3 12" },
};

static void
on_piece(const char *p, size_t n, void *arg)
{
	struct buf *b = arg;

	assert_non_null(p);
	buf_printf(b, "%s%zu", buf_len(b) == 0 ? "" : " ", n);
}

static void
pieces_are_those_of_the_expressions(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		const char *text = texts[cases[i].text];
		cleanup_buf struct buf b = { 0 };

		tok_pre_split(tok_pre_find(cases[i].pre), text, strlen(text),
		    on_piece, &b);
		buf_put_u8(&b, 0);
		if (strcmp((char *)buf_head(&b), cases[i].pieces) != 0)
			fail_msg("%s, text %u: %s, not %s", cases[i].pre,
			    cases[i].text, (char *)buf_head(&b),
			    cases[i].pieces);
	}
}

struct whole {
	const char *at;
	size_t total;
};

static void
add_piece(const char *p, size_t n, void *arg)
{
	struct whole *w = arg;

	assert_true(n > 0);
	assert_ptr_equal(p, w->at);
	w->at += n;
	w->total += n;
}

static void
pieces_are_the_text_whatever_its_bytes(void **state)
{
	static const char *const names[] = { "gpt-2", "llama-bpe", "glm4",
		"qwen2", "qwen35", "gpt-4o", "kimi-k2", "deepseek-v3",
		"deepseek-llm" };
	static const char likely[] = "aZ1 '\n.\xe4\xbd\xa0\xcc\x81";
	char text[64];
	unsigned int seed = 1, k, i, round;
	size_t n;

	(void)state;
	for (k = 0; k < nitems(names); k++)
		for (round = 0; round < 2000; round++) {
			struct whole w = { .at = text };

			n = (size_t)rand_r(&seed) % sizeof(text);
			for (i = 0; i < n; i++)
				text[i] = round % 2 == 0
					      ? (char)rand_r(&seed)
					      : likely[(size_t)rand_r(&seed) %
						       (sizeof(likely) - 1)];
			tok_pre_split(
			    tok_pre_find(names[k]), text, n, add_piece, &w);
			assert_int_equal(w.total, n);
		}
}

static void
unknown_name_is_told(void **state)
{
	(void)state;
	assert_int_equal(tok_pre_find("qwen9"), TOK_PRE_NONE);
	assert_int_equal(tok_pre_find(""), TOK_PRE_NONE);
	assert_int_equal(tok_pre_find("default"), TOK_PRE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_those_of_the_expressions),
		cmocka_unit_test(pieces_are_the_text_whatever_its_bytes),
		cmocka_unit_test(unknown_name_is_told),
	};

	return cmocka_run_group_tests_name("tok_pre", tests, NULL, NULL);
}
