/*
 * Completions out of logits that are made here: one token each time is the
 * likeliest by far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "inferd/api.h"
#include "inferd/call_loop.h"
#include "tests/inferd/completion_rig.h"

static void
thoughts_words_and_calls_are_told(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	assert_string_equal(
	    play(&r, "<think>\nhm\n</think>\n\nOk.\n<tool_call>\n{\"name\": "
		     "\"read\", \"arguments\": {\"path\": \"\xc3\xa9\"}}\n"
		     "</tool_call>"),
	    "?:hmT:Ok.(read {\"path\":\"\xc3\xa9\"})|calls");
	assert_int_equal(r.usage.thinking, 5);
	assert_string_equal(r.bytes,
	    "<think>\nhm\n</think>\n\nOk.\n<tool_call>\n{\"name\": "
	    "\"read\", \"arguments\": {\"path\": \"\xc3\xa9\"}}\n"
	    "</tool_call>");
	assert_string_equal(play(&r, "Ok <|odd|>then."), "T:Ok then.|stop");
	/* A character that never becomes whole. */
	assert_string_equal(
	    play(&r, "a\xe4\xbd<|endoftext|>"), "T:a\xef\xbf\xbd|stop");
	r.p.chat = false;
	assert_string_equal(play(&r, " a<think>\xff\xe4\xbd\n"),
	    "T: a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n|stop");
	r.p.max_tokens = 3;
	assert_string_equal(play(&r, "abcd"), "T:abc|length");
	rig_close(&r);
}

static void
a_stop_text_is_never_said(void **state)
{
	static const struct chat_text stops[] = { T("Stop"), T("xx\xc3\xa9"),
		T("") };
	/* The same text in other tokens. */
	static const char *const cuts[][8] = { { "a", "S", "t", "o", "p", "b" },
		{ "aSt", "opb" }, { "a", "St", "op", "b" },
		{ "aSt", "o", "p", "b" } };
	struct rig r;
	size_t i, k;

	(void)state;
	rig_open(&r, "qwen3");
	r.p.stop = stops;
	r.p.nstop = nitems(stops);
	for (i = 0; i < nitems(cuts); i++)
		for (k = 0; k < 2; k++) {
			struct tok_ids ids = { 0 };
			size_t j;

			r.p.chat = k == 1;
			for (j = 0; cuts[i][j] != NULL; j++)
				tok_ids_push(
				    &ids, (int32_t)token(&r, cuts[i][j]));
			assert_string_equal(
			    play_ids(&r, &ids), "T:a|stop-text=Stop");
			tok_ids_free(&ids);
		}
	assert_string_equal(play(&r, "Sto, StStoP"), "T:Sto, StStoP|stop");
	assert_string_equal(
	    play(&r, "xxxxx\xc3\xa9"), "T:xxx|stop-text=xx\xc3\xa9");
	assert_string_equal(play(&r, "xx\xc3\xa8"), "T:xx\xc3\xa8|stop");
	/* In thoughts and in arguments it is none. */
	assert_string_equal(
	    play(&r, "<think>Stop</think>xx<tool_call>{\"name\":\"read\","
		     "\"arguments\":{\"path\":\"Stop\"}}</tool_call>"),
	    "?:StopT:xx(read {\"path\":\"Stop\"})|calls");
	/* What is held back at the end is said. */
	r.p.max_tokens = 3;
	assert_string_equal(play(&r, "Stop"), "T:Sto|length");
	rig_close(&r);
	rig_open(&r, "plain");
	r.p.ntools = 0;
	assert_string_equal(play(&r, " Hi.\nUser: x"), "T:Hi.|stop");
	rig_close(&r);
}

static void
of_the_most_stops_the_last_is_found(void **state)
{
	static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz!?";
	struct chat_text stops[API_STOPS_MAX];
	char text[API_STOPS_MAX][2];
	struct rig r;
	size_t i;

	(void)state;
	assert_true(sizeof(letters) > API_STOPS_MAX);
	for (i = 0; i < API_STOPS_MAX; i++) {
		text[i][0] = '.';
		text[i][1] = letters[i];
		stops[i] = (struct chat_text){ text[i], 2 };
	}
	/* Its end of a turn is one more. */
	rig_open(&r, "plain");
	r.p.ntools = 0;
	r.p.stop = stops;
	r.p.nstop = API_STOPS_MAX;
	assert_string_equal(play(&r, "a.0"), "T:a|stop-text=.0");
	assert_string_equal(play(&r, "a.!b"), "T:a|stop-text=.!");
	assert_string_equal(play(&r, "a.?\nUser: x"), "T:a.?|stop");
	rig_close(&r);
}

static void
thoughts_end_with_their_budget(void **state)
{
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	r.p.thinking_max = 4;
	r.p.thinking = true;
	assert_string_equal(play(&r, "abcd"), "?:abcd|stop");
	assert_string_equal(r.bytes, "abcd\n</think>\n\n");
	assert_string_equal(play(&r, "abcdOk."), "?:abcdT:Ok.|stop");
	r.p.thinking = false;
	assert_string_equal(play(&r, "<think>abcdOk."), "?:abcdT:Ok.|stop");
	assert_string_equal(play(&r, "<think>a</think>Ok."), "?:aT:Ok.|stop");
	rig_close(&r);
	rig_open(&r, "glm47");
	r.p.thinking_max = 2;
	r.p.thinking = true;
	assert_string_equal(play(&r, "abOk."), "?:abT:Ok.|stop");
	assert_string_equal(r.bytes, "ab</think>Ok.");
	rig_close(&r);
	rig_open(&r, "harmony");
	r.p.thinking_max = 2;
	assert_string_equal(
	    play(&r, "<|channel|>analysis<|message|>ab<|channel|>final"
		     "<|message|>Ok."),
	    "?:abT:Ok.|stop");
	/* And when it goes on thinking. */
	assert_string_equal(
	    play(&r, "<|channel|>analysis<|message|>ab<|channel|>analysis"
		     "<|message|>Ok."),
	    "?:abT:Ok.|stop");
	rig_close(&r);
}

static void
a_call_that_has_to_be_is_begun(void **state)
{
	static const struct said cases[] = {
		{ "qwen3", "{\"path\": \"a\"}}\n</tool_call>",
		    "(write {\"path\":\"a\"})|calls",
		    "<tool_call>\n{\"name\": \"write\", \"arguments\": "
		    "{\"path\": \"a\"}}\n</tool_call>" },
		{ "qwen3", "<think>hm</think>{\"path\": \"a\"}}\n</tool_call>",
		    "?:hm(write {\"path\":\"a\"})|calls", NULL },
		{ "chatml", "{}}", "(write {})|calls", NULL },
		{ "qwen35", "<parameter=n>\n1\n</parameter>\n</function>\n",
		    "(write {\"n\": 1})|calls",
		    "<tool_call>\n<function=write>\n<parameter=n>\n1\n"
		    "</parameter>\n</function>\n" },
		{ "qwen3-coder", "</function>", "(write {})|calls", NULL },
		{ "glm45",
		    "<arg_key>n</arg_key>\n<arg_value>1</arg_value>\n"
		    "</tool_call>",
		    "(write {\"n\": 1})|calls",
		    "<tool_call>write\n<arg_key>n</arg_key>\n"
		    "<arg_value>1</arg_value>\n</tool_call>" },
		{ "glm47", "</tool_call>", "(write {})|calls", NULL },
		{ "deepseek31",
		    "{\"n\": 2}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END,
		    "(write {\"n\":2})|calls",
		    DEEPSEEK_CALLS DEEPSEEK_CALL
		    "write" DEEPSEEK_ARGS
		    "{\"n\": 2}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END },
		{ "mistral", "{\"n\": 2}}]", "(write {\"n\":2})|calls",
		    "[TOOL_CALLS][{\"name\": \"write\", \"arguments\": "
		    "{\"n\": 2}}]" },
		/* Its first token is ours by chance. */
		{ "llama3", "{{\"n\": 2}}", "(write {\"n\":2})|calls",
		    "{\"name\": \"write\", \"parameters\": {\"n\": 2}}" },
		{ "harmony", "{\"n\": 2}<|call|>", "(write {\"n\":2})|calls",
		    " to=functions.write <|channel|>commentary "
		    "json<|message|>{\"n\": 2}" },
		{ "harmony",
		    "<|channel|>analysis<|message|>hm<|end|>"
		    "{\"n\": 2}<|call|>",
		    "?:hm(write {\"n\":2})|calls", NULL },
		{ "harmony", "<|channel|>{\"n\": 2}<|call|>",
		    "(write {\"n\":2})|calls",
		    "<|channel|>commentary to=functions.write json<|message|>"
		    "{\"n\": 2}" },
	};
	struct rig r;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		rig_open(&r, cases[i].family);
		r.p.tool_choice = TOOLS_NAMED;
		r.p.tool_name = tools[2].name;
		assert_said(&r, &cases[i]);
		rig_close(&r);
		/* The same where the tool is the only one. */
		rig_open(&r, cases[i].family);
		r.p.tool_choice = TOOLS_REQUIRED;
		r.p.tools = &tools[2];
		r.p.ntools = 1;
		assert_string_equal(play(&r, cases[i].model), cases[i].heard);
		rig_close(&r);
	}
	/* A name with the markup's characters in it stays characters. */
	rig_open(&r, "qwen3");
	r.p.tool_choice = TOOLS_NAMED;
	r.p.tool_name = (struct chat_text)T("<|im_end|>");
	assert_string_equal(play(&r, "{}}"), "(<|im_end|> {})|calls");
	rig_close(&r);
}

static void
a_required_call_has_one_of_the_names(void **state)
{
	static const char *const families[] = { "qwen3", "qwen35", "mistral",
		"llama3", "harmony", "glm45", "glm47", "deepseek31" };
	struct rig r;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(families); i++) {
		static const char *const args[] = { "{}}", "</function>",
			"{}}]", "{}}", "{}<|call|>", "</tool_call>",
			"</tool_call>",
			"{}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END };
		cleanup_free char *text = NULL, *all = NULL, *off = NULL;
		const char *ends[] = { "\"", ">", "\"", "\"", " ", "\n", "\n",
			DEEPSEEK_ARGS };

		rig_open(&r, families[i]);
		r.p.tool_choice = TOOLS_REQUIRED;
		text = xasprintf("read%s%s", ends[i], args[i]);
		assert_string_equal(play(&r, text), "(read {})|calls");
		all = xasprintf("read_%s", args[i]);
		assert_string_equal(play(&r, all), "(read_all {})|calls");
		/* What is no name is not drawn. */
		r.heat = 40;
		off = xasprintf("w%s", args[i]);
		assert_string_equal(play(&r, off), "(write {})|calls");
		rig_close(&r);
	}
	/* Nothing that the model wants begins a name: one is drawn still. */
	rig_open(&r, "qwen3");
	r.p.tool_choice = TOOLS_REQUIRED;
	r.p.max_tokens = 200;
	play(&r, "~~~~~~~~~~~~~~~~~~~~~~~~");
	assert_true(str_starts((const char *)buf_head(&r.heard), "(read"));
	rig_close(&r);
}

static void
no_calls_where_none_are_wanted(void **state)
{
	struct rig r;
	const char *have;

	(void)state;
	rig_open(&r, "qwen3");
	r.p.tool_choice = TOOLS_NONE;
	r.p.max_tokens = 40;
	r.heat = 40;
	have = play(&r, "<tool_call>{\"name\": \"read\", \"arguments\": {}}");
	assert_null(strchr(have, '('));
	assert_null(strstr(r.bytes, "<tool_call>"));
	have = play(&r, "{\"name\": \"read\", \"arguments\": {}}");
	assert_string_equal(
	    have, "T:{\"name\": \"read\", \"arguments\": {}}|stop");
	rig_close(&r);
	rig_open(&r, "qwen3");
	r.p.ntools = 0;
	have = play(&r, "<function=read></function>.");
	assert_string_equal(have, "T:<function=read></function>.|stop");
	rig_close(&r);
	rig_open(&r, "harmony");
	r.p.ntools = 0;
	have = play(&r, "<|channel|>commentary to=functions.read<|message|>{}");
	assert_string_equal(have, "T:{}|stop");
	rig_close(&r);
}

static void
one_call_is_the_last(void **state)
{
	static const char two[] =
	    "<tool_call>\n{\"name\": \"read\", \"arguments\": {}}\n"
	    "</tool_call>\n<tool_call>\n{\"name\": \"read\", \"arguments\": "
	    "{\"path\":1}}\n</tool_call>";
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	assert_string_equal(
	    play(&r, two), "(read {})(read {\"path\":1})|calls");
	r.p.one_call = true;
	assert_string_equal(play(&r, two), "(read {})|calls");
	assert_string_equal(r.bytes,
	    "<tool_call>\n{\"name\": \"read\", \"arguments\": {}}\n"
	    "</tool_call>");
	rig_close(&r);
	rig_open(&r, "qwen35");
	r.p.one_call = true;
	assert_string_equal(play(&r, "<tool_call><function=read></function>Ok"),
	    "(read {})|calls");
	assert_string_equal(
	    r.bytes, "<tool_call><function=read></function>\n</tool_call>");
	rig_close(&r);
	rig_open(&r, "mistral");
	r.p.one_call = true;
	assert_string_equal(
	    play(&r, "[TOOL_CALLS][{\"name\": \"read\", \"arguments\": {}}, "
		     "{\"name\": \"read\", \"arguments\": {}}]"),
	    "(read {})|calls");
	assert_string_equal(
	    r.bytes, "[TOOL_CALLS][{\"name\": \"read\", \"arguments\": {}}]");
	rig_close(&r);
}

static void
one_call_of_deepseek_is_the_last(void **state)
{
	static const char one[] = DEEPSEEK_CALLS DEEPSEEK_CALL
	    "read" DEEPSEEK_ARGS "{}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END;
	static const char two[] = DEEPSEEK_CALLS DEEPSEEK_CALL
	    "read" DEEPSEEK_ARGS "{}" DEEPSEEK_CALL_END DEEPSEEK_CALL
	    "write" DEEPSEEK_ARGS
	    "{\"n\": 1}" DEEPSEEK_CALL_END DEEPSEEK_CALLS_END;
	struct rig r;

	(void)state;
	rig_open(&r, "deepseek31");
	assert_string_equal(play(&r, two), "(read {})(write {\"n\":1})|calls");
	assert_string_equal(r.bytes, two);
	r.p.one_call = true;
	assert_string_equal(play(&r, two), "(read {})|calls");
	assert_string_equal(r.bytes, one);
	/* Nor is one begun where there is to be none. */
	r.p.one_call = false;
	r.p.tool_choice = TOOLS_NONE;
	r.p.max_tokens = 40;
	r.heat = 40;
	assert_null(strchr(play(&r, one), '('));
	assert_null(strstr(r.bytes, DEEPSEEK_CALLS));
	rig_close(&r);
}

static void
loops_are_broken(void **state)
{
	static const char call[] =
	    "<tool_call>\n{\"name\": \"read\", \"arguments\": {\"path\": "
	    "\"a\"}}\n</tool_call>";
	static const char other[] =
	    "<tool_call>\n{\"name\": \"read\", \"arguments\": {}}\n"
	    "</tool_call>";
	struct call_loop loop = { 0 };
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	r.loop = &loop;
	r.p.loop_max = 3;
	assert_string_equal(play(&r, call), "(read {\"path\":\"a\"})|calls");
	assert_string_equal(play(&r, other), "(read {})|calls");
	assert_string_equal(play(&r, call), "(read {\"path\":\"a\"})|calls");
	assert_string_equal(play(&r, call), "(read {\"path\":\"a\"})|calls");
	/* Who is told of a call makes it: of this one nobody is. */
	assert_string_equal(play(&r, call), "|loop");
	assert_int_equal(r.ncalls, 0);
	r.loop = NULL;
	assert_string_equal(play(&r, call), "(read {\"path\":\"a\"})|calls");
	/* Within one turn, and not what the turn says behind it. */
	assert_string_equal(
	    play(&r, "Ok<tool_call>{\"name\":\"read\",\"arguments\":{}}"
		     "</tool_call><tool_call>{\"name\":\"read\","
		     "\"arguments\":{}}</tool_call><tool_call>{\"name\":"
		     "\"read\",\"arguments\":{}}</tool_call>no<tool_call>"
		     "{\"name\":\"write\",\"arguments\":{}}</tool_call>"),
	    "T:Ok(read {})(read {})|loop");
	rig_close(&r);
}

static void
a_call_that_may_loop_waits_until_it_is_another(void **state)
{
	static const char call[] = "<tool_call>{\"name\": \"read\", "
				   "\"arguments\": {\"path\": \"a\"}}";
	struct call_loop loop = { 0 }, before;
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	r.p.loop_max = 3;
	r.loop = &loop;
	/* As a client writes them again in its history. */
	call_loop_add(&loop, &(struct chat_call){ .name = T("read"),
				 .args = T("{\"path\": \"a\"}") });
	call_loop_add(&loop, &(struct chat_call){ .name = T("read"),
				 .args = T("{\"path\":\"a\"}") });
	before = loop;
	assert_string_equal(play(&r, call), "|loop");
	loop = before;
	/* Others come as they are said, */
	assert_string_equal(
	    play(&r, "<tool_call>{\"name\":\"write\",\"arguments\":{\"path\":"
		     "\"abcdefghijklmn\"}}</tool_call>"),
	    "(write {\"path\":\"abcdefghijklmn\"})|calls");
	assert_true(r.pieces >= 14);
	/* and of the same tool from where they differ, */
	assert_string_equal(
	    play(&r, "<tool_call>{\"name\":\"read\",\"arguments\":{\"path\":"
		     "\"a/bcdefghijklmnopqrstuvwxyz\"}}</tool_call>"),
	    "(read {\"path\":\"a/bcdefghijklmnopqrstuvwxyz\"})|calls");
	assert_true(r.pieces > 20);
	assert_int_equal(r.ncalls, 1);
	assert_string_equal(
	    play(&r, "<tool_call>{\"name\":\"read\",\"arguments\":{\"path\":"
		     "\"b\"}}</tool_call>"),
	    "(read {\"path\":\"b\"})|calls");
	/* One that is cut off has no end, nor a beginning if it is held. */
	loop = before;
	r.p.max_tokens = (uint32_t)strlen(call) - 10 - 2;
	assert_string_equal(play(&r, call), "|length");
	assert_int_equal(r.ncalls, 0);
	r.p.loop_max = 0;
	assert_string_equal(play(&r, call), "(read {\"path\":\"a|length");
	rig_close(&r);
}

/* A warm model: is the second likeliest token ever drawn here? */
static bool
strays(const char *family, const char *before)
{
	struct rig r;
	bool other = false;
	unsigned int seed;

	rig_open(&r, family);
	for (seed = 0; seed < 40 && !other; seed++) {
		struct completion *c;
		static float logits[SMALL_TOKENS];
		const char *p;

		r.ends = 0;
		r.id[0] = '\0';
		buf_clear(&r.heard);
		r.p.sample.temperature = 1;
		r.p.sample.seed = seed;
		c = completion_new(r.tok, &r.p, r.ids, NULL, hear, &r);
		for (p = before; *p != '\0'; p++) {
			want(&r, logits, (uint8_t)*p);
			completion_next(c, logits);
		}
		want(&r, logits, 'q');
		logits['~'] = 50;
		logits['q'] = 50;
		other = completion_next(c, logits) == '~';
		completion_free(c);
	}
	rig_close(&r);
	return other;
}

static void
only_syntax_is_greedy(void **state)
{
#define CALL "<tool_call>\n{\"name\": \""
#define ARGS CALL "read\", \"arguments\": "

	(void)state;
	assert_true(strays("qwen3", ""));
	assert_true(strays("qwen3", "<think>a"));
	assert_true(strays("qwen3", "a"));
	assert_false(strays("qwen3", "<tool_call>"));
	assert_false(strays("qwen3", CALL "re"));
	assert_false(strays("qwen3", CALL "read\", \"arg"));
	assert_false(strays("qwen3", ARGS "{"));
	assert_false(strays("qwen3", ARGS "{\"pa"));
	assert_false(strays("qwen3", ARGS "{\"path\""));
	assert_true(strays("qwen3", ARGS "{\"path\": "));
	assert_true(strays("qwen3", ARGS "{\"path\": \"a"));
	assert_true(strays("qwen3", ARGS "{\"path\": \"{\\\"a"));
	assert_true(strays("qwen3", ARGS "{\"path\": 1"));
	assert_true(strays("qwen3", ARGS "{\"path\": [\"a\", "));
	assert_false(strays("qwen3", ARGS "{\"path\": [{"));
	assert_false(strays("qwen3", ARGS "{\"path\": \"a\", "));
	assert_false(strays("qwen3", ARGS "{\"path\": \"a\"}"));
	assert_true(strays("qwen3", ARGS "{}}\n</tool_call>\nOk"));
	assert_false(strays("qwen35", "<tool_call>\n<function=re"));
	assert_false(strays("qwen35", "<tool_call>\n<function=read>\n"));
	assert_true(strays(
	    "qwen35", "<tool_call>\n<function=read>\n<parameter=path>\nx"));
	assert_false(strays("mistral", "[TOOL_CALLS][{\"na"));
	/* An object may be the answer. */
	assert_true(strays("llama3", "{\"na"));
	assert_true(strays("llama3", "{\"name\": \"read\", \"parameters\": "
				     "{\"path\": \"a"));
}

static void
the_same_again_is_the_same(void **state)
{
	static const char text[] =
	    "<think>hm</think>Ok, St.<tool_call>\n{\"name\": \"read\", "
	    "\"arguments\": {\"path\": \"abc\"}}\n</tool_call>";
	struct rig r;
	unsigned int seed, changed = 0;
	cleanup_free char *id = NULL;

	(void)state;
	rig_open(&r, "qwen3");
	r.heat = 46;
	r.p.sample.temperature = 1;
	r.p.max_tokens = 300;
	for (seed = 0; seed < 20; seed++) {
		cleanup_free char *once = NULL, *bytes = NULL;

		r.p.sample.seed = seed;
		once = xstrdup(play(&r, text));
		bytes = xstrdup(r.bytes);
		assert_string_equal(play(&r, text), once);
		assert_string_equal(r.bytes, bytes);
		changed += strchr(bytes, '~') != NULL;
	}
	assert_true(changed > 0);
	/* Ids of calls are made from the completion's. */
	r.heat = 0;
	play(&r, text);
	id = xstrdup(r.id);
	play(&r, text);
	assert_string_equal(r.id, id);
	r.ids[15]++;
	play(&r, text);
	assert_string_not_equal(r.id, id);
	rig_close(&r);
}

static void
stopped_from_outside_it_says_what_it_holds(void **state)
{
	static const struct chat_text stops[] = { T("Stop") };
	static float logits[SMALL_TOKENS];
	struct completion *c;
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	r.p.stop = stops;
	r.p.nstop = 1;
	c = completion_new(r.tok, &r.p, r.ids, NULL, hear, &r);
	want(&r, logits, (int32_t)token(&r, "aSt"));
	completion_next(c, logits);
	completion_stop(c, GEN_DEADLINE);
	assert_int_equal(completion_state(c), GEN_DEADLINE);
	completion_stop(c, GEN_CANCELLED);
	end(&r, c);
	completion_free(c);
	buf_put_u8(&r.heard, 0);
	assert_string_equal((const char *)buf_head(&r.heard), "T:aSt|deadline");
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thoughts_words_and_calls_are_told),
		cmocka_unit_test(a_stop_text_is_never_said),
		cmocka_unit_test(of_the_most_stops_the_last_is_found),
		cmocka_unit_test(thoughts_end_with_their_budget),
		cmocka_unit_test(a_call_that_has_to_be_is_begun),
		cmocka_unit_test(a_required_call_has_one_of_the_names),
		cmocka_unit_test(no_calls_where_none_are_wanted),
		cmocka_unit_test(one_call_is_the_last),
		cmocka_unit_test(one_call_of_deepseek_is_the_last),
		cmocka_unit_test(loops_are_broken),
		cmocka_unit_test(
		    a_call_that_may_loop_waits_until_it_is_another),
		cmocka_unit_test(only_syntax_is_greedy),
		cmocka_unit_test(the_same_again_is_the_same),
		cmocka_unit_test(stopped_from_outside_it_says_what_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
