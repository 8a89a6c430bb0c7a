/*
 * Answers of models taken apart: each case in one piece and byte by byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/deepseek_marks.h"
#include "inferd/toolcall.h"

#define T(s)                                                                   \
	{                                                                      \
		(s), sizeof(s) - 1                                             \
	}

static const struct chat_tool tools[] = {
	{ T("now"), T(""), T("{}") },
	{ T("write"), T(""),
	    T("{\"type\":\"object\",\"properties\":{\"text\":{\"type\":"
	      "\"string\"},\"n\":{\"type\":\"integer\"},\"on\":{\"type\":"
	      "\"boolean\"},\"list\":{\"type\":\"array\"}}}") },
};

/* T words, ? thoughts, (name args) calls. */
static void
hear(enum toolcall_event event, const char *p, size_t n, void *arg)
{
	static const char *const begins[] = {
		[TOOLCALL_TEXT] = "T:",
		[TOOLCALL_THINKING] = "?:",
		[TOOLCALL_BEGIN] = "(",
		[TOOLCALL_ARGS] = " ",
		[TOOLCALL_END] = ")",
	};
	struct buf *b = arg;
	static enum toolcall_event last;

	if (buf_len(b) == 0 || event != last)
		buf_printf(b, "%s", begins[event]);
	last = event;
	buf_put(b, p, n);
}

static char *
parse(const char *family, bool thinking, const char *text, size_t chunk,
    bool stopped)
{
	cleanup_buf struct buf b = { 0 };
	struct toolcall *t =
	    toolcall_new(template_find(family), thinking, tools, 2, hear, &b);
	size_t n = strlen(text), i, k;

	for (i = 0; i < n; i += k) {
		k = n - i < chunk ? n - i : chunk;
		toolcall_push(t, text + i, k, false);
	}
	if (stopped)
		toolcall_stop(t);
	else
		toolcall_end(t);
	toolcall_free(t);
	buf_put_u8(&b, 0);
	return xstrdup((char *)buf_head(&b));
}

struct one {
	const char *family, *text, *want;
};

static void
check_end(const struct one *c, size_t n, bool stopped)
{
	static const size_t chunks[] = { 1, 2, 7, 100000 };
	size_t i, k;

	for (i = 0; i < n; i++)
		for (k = 0; k < nitems(chunks); k++) {
			cleanup_free char *have =
			    parse(c[i].family, c[i].text[0] == '\1',
				c[i].text + (c[i].text[0] == '\1'), chunks[k],
				stopped);

			if (strcmp(have, c[i].want) != 0)
				fail_msg("%s, by %zu, %s:\n%s\nnot\n%s",
				    c[i].family, chunks[k], c[i].text, have,
				    c[i].want);
		}
}

static void
check(const struct one *c, size_t n)
{
	check_end(c, n, false);
}

static void
calls_as_json_are_told(void **state)
{
	static const struct one cases[] = {
		{ "qwen3", "Hello <b>there</b>.", "T:Hello <b>there</b>." },
		{ "qwen3",
		    "<think>\nhm\n</think>\n\nOk.\n<tool_call>\n{\"name\": "
		    "\"now\", \"arguments\": {}}\n</tool_call>",
		    "?:hmT:Ok.(now {})" },
		{ "qwen3",
		    "<tool_call>\n{\"name\": \"write\", \"arguments\": "
		    "{\"text\": \"a\\nb\", \"list\": [1, 2]}}\n</tool_call>\n"
		    "<tool_call>{\"name\":\"now\",\"arguments\":{}}"
		    "</tool_call>",
		    "(write {\"text\":\"a\\nb\",\"list\":[1,2]})(now {})" },
		{ "qwen3",
		    "<tool_call>{\"arguments\": {\"n\": 1}, \"name\": "
		    "\"write\"}</tool_call>",
		    "(write {\"n\":1})" },
		{ "qwen3",
		    "<tool_call>{\"name\": \"write\", \"arguments\": "
		    "\"{\\\"n\\\": 1}\"}</tool_call>",
		    "(write {\"n\":1})" },
		/* Far apart, as if printed for people. */
		{ "qwen3",
		    "<tool_call>{\"name\": \"write\"                        "
		    "                    , \"arguments\": {\"text\": \"a\"\n   "
		    "                                             "
		    "}}</tool_call>",
		    "(write {\"text\":\"a\"})" },
		{ "mistral",
		    "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}, "
		    "\"id\": \"abcdefgh1\"}, {\"name\": \"write\", "
		    "\"arguments\": {\"n\": 2}}]",
		    "(now {})(write {\"n\":2})" },
		{ "mistral", "Ok [TOOL_CALLS]write[ARGS]{\"n\": 2}",
		    "T:Ok(write {\"n\":2})" },
		{ "llama3",
		    "{\"name\": \"write\", \"parameters\": "
		    "{\"n\": 2}}",
		    "(write {\"n\":2})" },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
calls_as_tags_are_told(void **state)
{
	static const struct one cases[] = {
		{ "qwen35",
		    "\1hm\n</think>\n\nOk.\n\n<tool_call>\n<function=write>\n"
		    "<parameter=text>\nline \"1\"\nline 2\n</parameter>\n"
		    "<parameter=n>\n42\n</parameter>\n<parameter=on>\nTrue\n"
		    "</parameter>\n<parameter=list>\n[1, \"a\"]\n"
		    "</parameter>\n</function>\n</tool_call>",
		    "?:hmT:Ok.(write {\"text\": \"line \\\"1\\\"\\nline 2\", "
		    "\"n\": 42, \"on\": true, \"list\": [1, \"a\"]})" },
		{ "qwen3-coder",
		    "<tool_call>\n<function=now>\n</function>\n</tool_call>",
		    "(now {})" },
		/* No schema: as it looks. */
		{ "qwen35",
		    "<tool_call>\n<function=other>\n<parameter=a>\n1\n"
		    "</parameter>\n<parameter=b>\nx y\n</parameter>\n"
		    "</function>\n</tool_call>",
		    "(other {\"a\": 1, \"b\": \"x y\"})" },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
calls_of_glm_are_told(void **state)
{
	static const struct one cases[] = {
		{ "glm45",
		    "\n<think>hm</think>\nOk.\n<tool_call>write\n"
		    "<arg_key>text</arg_key>\n<arg_value>a\nb\n</arg_value>\n"
		    "<arg_key>n</arg_key>\n<arg_value>2</arg_value>\n"
		    "</tool_call>\n<tool_call>now\n</tool_call>",
		    "?:hmT:Ok.(write {\"text\": \"a\\nb\\n\", \"n\": 2})"
		    "(now {})" },
		{ "glm47",
		    "\1hm</think>Ok.<tool_call>write<arg_key>text</arg_key>"
		    "<arg_value>\n a </arg_value><arg_key>list</arg_key>"
		    "<arg_value>[1, 2]</arg_value></tool_call><tool_call>now"
		    "</tool_call>",
		    "?:hmT:Ok.(write {\"text\": \"\\n a \", \"list\": [1, "
		    "2]})(now {})" },
		/* What stands in a text is its own. */
		{ "glm47",
		    "<tool_call>write<arg_key>text</arg_key><arg_value>"
		    "</tool_call><arg_key> <b></arg_value></tool_call>",
		    "(write {\"text\": \"</tool_call><arg_key> <b>\"})" },
		/* Something is missing. */
		{ "glm45", "<tool_call>now", "(now {})" },
		{ "glm45", "<tool_call>now\n", "(now {})" },
		{ "glm45", "<tool_call>write\n<arg_key>n", "(write {})" },
		{ "glm45", "<tool_call>write\n<arg_key>n</arg_key>",
		    "(write {})" },
		{ "glm45",
		    "<tool_call>write\n<arg_key>n<arg_value>2</arg_value>"
		    "<arg_value>3</arg_value></tool_call>!",
		    "(write {\"n\": 2})T:!" },
		{ "glm45", "<tool_call>write<arg_key>n</arg_key><arg_value>2",
		    "(write {\"n\": 2})" },
		/* Calls of other families are understood, or are text. */
		{ "glm45",
		    "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n"
		    "</tool_call>",
		    "(now {})" },
		{ "glm45", "Use <tool_call> tags here",
		    "T:Use <tool_call>tags"
		    " here" },
		{ "glm47", "<tool_call></tool_call>x", "T:x" },
		{ "qwen3", "a <arg_key>", "T:a <arg_key>" },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
calls_of_deepseek_are_told(void **state)
{
	static const struct one cases[] = {
		{ "deepseek31",
		    "\1hm</think>Ok." DEEPSEEK_CALLS DEEPSEEK_CALL
		    "write" DEEPSEEK_ARGS
		    "{\"text\": \"a\", \"n\": 2}" DEEPSEEK_CALL_END
			DEEPSEEK_CALL "now" DEEPSEEK_ARGS
		    "{}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END,
		    "?:hmT:Ok.(write {\"text\":\"a\",\"n\":2})(now {})" },
		/* What stands in a text is its own. */
		{ "deepseek31",
		    DEEPSEEK_CALLS DEEPSEEK_CALL
		    "write" DEEPSEEK_ARGS "{\"text\": \"" DEEPSEEK_CALL_END
		    "\"}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END "!",
		    "(write {\"text\":\"" DEEPSEEK_CALL_END "\"})T:!" },
		/* Something is missing. */
		{ "deepseek31",
		    DEEPSEEK_CALLS DEEPSEEK_CALL
		    "now" DEEPSEEK_CALL_END DEEPSEEK_CALL "write" DEEPSEEK_ARGS
		    "{\"n\": 2" DEEPSEEK_CALL_END "!",
		    "(now {})(write {\"n\":2})T:!" },
		{ "deepseek31",
		    DEEPSEEK_CALLS DEEPSEEK_CALL
		    "write" DEEPSEEK_ARGS "{\"n\": 2" DEEPSEEK_CALLS_END "Ok",
		    "(write {\"n\":2})T:Ok" },
		{ "deepseek31",
		    DEEPSEEK_CALLS DEEPSEEK_CALL "write" DEEPSEEK_ARGS
						 "{\"n\": 2",
		    "(write {\"n\":2})" },
		{ "qwen3", "a " DEEPSEEK_CALLS, "T:a " DEEPSEEK_CALLS },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
harmony_channels_are_told_apart(void **state)
{
	static const struct one cases[] = {
		{ "harmony",
		    "<|channel|>analysis<|message|>Need it.<|end|><|start|>"
		    "assistant<|channel|>commentary to=functions.write "
		    "<|constrain|>json<|message|>{\"n\":1}<|call|>",
		    "?:Need it.(write {\"n\":1})" },
		{ "harmony",
		    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
		    "<|channel|>final<|message|>Hi.<|return|>",
		    "?:hmT:Hi." },
		{ "harmony",
		    " to=functions.now<|channel|>commentary json<|message|>"
		    "{}<|call|>",
		    "(now {})" },
		{ "harmony",
		    "<|channel|>commentary<|message|>I look.<|end|><|start|>"
		    "assistant to=functions.now<|channel|>commentary json"
		    "<|message|>{",
		    "T:I look.(now {})" },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
malformed_calls_are_repaired(void **state)
{
	static const struct one cases[] = {
		/* Not closed. */
		{ "qwen3",
		    "<tool_call>{\"name\": \"write\", \"arguments\": "
		    "{\"text\": \"abc",
		    "(write {\"text\":\"abc\"})" },
		{ "qwen3",
		    "<tool_call>{\"name\": \"write\", \"arguments\": "
		    "{\"n\": 1}</tool_call>After",
		    "(write {\"n\":1})T:After" },
		/* Bare, of a known tool. */
		{ "qwen3", "{\"name\": \"now\", \"arguments\": {}}",
		    "(now {})" },
		/* Escapes and quotes. */
		{ "qwen3",
		    "<tool_call>{\"name\": \"write\", \"arguments\": {\"text\":"
		    " \"a\\d \"b\" \n\"}}</tool_call>",
		    "(write {\"text\":\"a\\\\d \\\"b\\\" \\n\"})" },
		/* Closed twice, or too much. */
		{ "qwen3",
		    "<tool_call>{\"name\": \"now\", \"arguments\": "
		    "{}}}</tool_call></tool_call>Ok",
		    "(now {})T:Ok" },
		{ "qwen35",
		    "<tool_call>\n<function=write>\n<parameter=n>\n1\n"
		    "</parameter>\n</parameter>\n</function>\n</function>\n"
		    "</tool_call>\n</tool_call>",
		    "(write {\"n\": 1})" },
		/* Tags left out. */
		{ "qwen35",
		    "<function=write>\n<parameter=text>\na\n<parameter=n>\n1\n"
		    "</function>",
		    "(write {\"text\": \"a\", \"n\": 1})" },
		{ "qwen35",
		    "\1I call <tool_call>\n<function=now>\n</function>\n"
		    "</tool_call>",
		    "?:I call(now {})" },
		{ "qwen35",
		    "<tool_call>\n<function=write>\n<parameter=text>"
		    "\nabc",
		    "(write {\"text\": \"abc\"})" },
		/* One family's call in another's words. */
		{ "qwen35",
		    "<tool_call>{\"name\":\"now\",\"arguments\":{}}"
		    "</tool_call>",
		    "(now {})" },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
a_call_that_is_cut_off_has_no_end(void **state)
{
	static const struct one cases[] = {
		/* Whatever is missing may be what matters. */
		{ "qwen3",
		    "<tool_call>{\"name\": \"write\", \"arguments\": "
		    "{\"text\": \"rm -r /a",
		    "(write {\"text\":\"rm -r /a" },
		{ "qwen35",
		    "<tool_call>\n<function=write>\n<parameter=text>\nrm -r /a",
		    "(write {\"text\": \"rm -r /a" },
		{ "qwen35",
		    "<tool_call>\n<function=write>\n<parameter=text>\na\n"
		    "</parameter>\n",
		    "(write {\"text\": \"a\"" },
		{ "harmony",
		    " to=functions.write<|channel|>commentary json<|message|>"
		    "{\"text\":\"a",
		    "(write {\"text\":\"a" },
		{ "mistral",
		    "[TOOL_CALLS][{\"name\": \"now\", \"arguments\": {}}, "
		    "{\"name\": \"write\", \"arguments\": {\"n\": 2",
		    "(now {})(write {\"n\":" },
		{ "llama3", "{\"name\": \"write\", \"parameters\": {\"n\": 2",
		    "(write {\"n\":" },
		/* Those before it have theirs. */
		{ "qwen3",
		    "<tool_call>{\"name\": \"now\", \"arguments\": {}}"
		    "</tool_call>\n<tool_call>{\"name\": \"write\", "
		    "\"arguments\": {\"n\": 1, ",
		    "(now {})(write {\"n\":1" },
		/* What was about to be one is no text that a model reads. */
		{ "qwen3", "Ok.<tool_call>", "T:Ok." },
		{ "qwen3", "Ok.<tool_call>{\"name\": \"wri", "T:Ok." },
		{ "qwen3",
		    "<tool_call>{\"arguments\": {\"n\": 1}, \"name\":"
		    " \"now",
		    "" },
		{ "mistral", "Ok [TOOL_CALLS]wri", "T:Ok" },
		/* An answer that looked like one is. */
		{ "qwen3", "{\"name\": \"now", "T:{\"name\": \"now" },
		{ "qwen3", "{\"parameters\": {}, \"name\": \"now",
		    "T:{\"parameters\": {}, \"name\": \"now" },
		{ "qwen3", "a <tool", "T:a <tool" },
	};

	(void)state;
	check_end(cases, nitems(cases), true);
}

static void
what_is_no_call_is_text(void **state)
{
	static const struct one cases[] = {
		{ "qwen3", "{\"a\": 1}", "T:{\"a\": 1}" },
		{ "qwen3", "{\"name\": \"nobody\", \"arguments\": {}}",
		    "T:{\"name\": \"nobody\", \"arguments\": {}}" },
		{ "qwen3", "see {\"name\": \"now\", \"arguments\": {}}",
		    "T:see {\"name\": \"now\", \"arguments\": {}}" },
		{ "qwen3", "a < b and <tool", "T:a < b and <tool" },
		{ "qwen3", "Use <tool_call> tags.", "T:Use <tool_call>tags." },
		{ "qwen3", "<tool_call>{\"x\": 1}</tool_call>",
		    "T:<tool_call>{\"x\": 1}" },
		{ "chatml", "x<|call|>[TOOL", "T:x<|call|>[TOOL" },
		{ "harmony", "plain words", "T:plain words" },
		{ "plain", "", "" },
	};

	(void)state;
	check(cases, nitems(cases));
}

static void
marks_within_strings_are_text_unless_tokens(void **state)
{
	static const char head[] =
	    "<tool_call>{\"name\": \"write\", \"arguments\": {\"text\": \"a";
	cleanup_buf struct buf b = { 0 };
	struct toolcall *t;

	(void)state;
	t = toolcall_new(CHAT_QWEN3, false, tools, 2, hear, &b);
	toolcall_push(t, head, strlen(head), false);
	toolcall_push(t, "</tool_call>", 12, false);
	toolcall_push(t, "b\"}}", 4, false);
	toolcall_push(t, "</tool_call>", 12, true);
	toolcall_end(t);
	buf_put_u8(&b, 0);
	assert_string_equal(
	    (char *)buf_head(&b), "(write {\"text\":\"a</tool_call>b\"})");
	toolcall_free(t);
	buf_clear(&b);
	t = toolcall_new(CHAT_QWEN3, false, tools, 2, hear, &b);
	toolcall_push(t, head, strlen(head), false);
	toolcall_push(t, "</tool_call>", 12, true);
	toolcall_push(t, "then", 4, false);
	toolcall_end(t);
	assert_int_equal(toolcall_count(t), 1);
	buf_put_u8(&b, 0);
	assert_string_equal(
	    (char *)buf_head(&b), "(write {\"text\":\"a\"})T:then");
	toolcall_free(t);
}

static void
arguments_are_told_as_they_come(void **state)
{
	static const char head[] =
	    "<tool_call>{\"name\": \"write\", \"arguments\": {\"text\": \"abc";
	cleanup_buf struct buf b = { 0 };
	struct toolcall *t =
	    toolcall_new(CHAT_QWEN3, false, tools, 2, hear, &b);

	(void)state;
	toolcall_push(t, head, strlen(head), false);
	assert_int_equal(memcmp(buf_head(&b), "(write {\"text\":\"abc", 19), 0);
	toolcall_free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_as_json_are_told),
		cmocka_unit_test(calls_as_tags_are_told),
		cmocka_unit_test(calls_of_glm_are_told),
		cmocka_unit_test(calls_of_deepseek_are_told),
		cmocka_unit_test(harmony_channels_are_told_apart),
		cmocka_unit_test(malformed_calls_are_repaired),
		cmocka_unit_test(a_call_that_is_cut_off_has_no_end),
		cmocka_unit_test(what_is_no_call_is_text),
		cmocka_unit_test(marks_within_strings_are_text_unless_tokens),
		cmocka_unit_test(arguments_are_told_as_they_come),
	};

	return cmocka_run_group_tests_name("toolcall", tests, NULL, NULL);
}
