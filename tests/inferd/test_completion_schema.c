/*
 * Completions that have to match schemas.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "inferd/json_tree.h"
#include "tests/inferd/completion_rig.h"

static const char number[] =
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},"
    "\"required\":[\"n\"],\"additionalProperties\":false}";

static struct grammar *
compile(const char *schema)
{
	struct error err = { 0 };
	struct grammar *g = schema_compile(schema, strlen(schema), &err);

	if (g == NULL)
		fail_msg("%s", err.msg);
	return g;
}

static void
text_matches_its_schema(void **state)
{
	struct grammar *g = compile(number);
	struct rig r;

	(void)state;
	rig_open(&r, "qwen3");
	r.p.ntools = 0;
	r.p.grammar = g;
	/* Nothing follows, and no end token is asked for. */
	assert_string_equal(play(&r, "{\"n\": 42}"), "T:{\"n\": 42}|stop");
	assert_int_equal(r.usage.sampled, 9);
	assert_string_equal(
	    play(&r, "<think>{}</think>{\"n\": 1}"), "?:{}T:{\"n\": 1}|stop");
	/* An end too early is not taken. */
	r.heat = 40;
	r.p.max_tokens = 60;
	play(&r, "{\"n\"<|im_end|>: 1}");
	assert_null(strstr(r.bytes, "<|im_end|>"));
	play(&r, "<think>a<|im_end|>{\"n\": 1}");
	assert_true(str_ends((char *)buf_head(&r.heard), "|stop") ||
		    str_ends((char *)buf_head(&r.heard), "|length"));
	/* Markup is no text. */
	play(&r, "{\"n\"<think>: 1}");
	assert_null(strstr(r.bytes, "<think>"));
	rig_close(&r);
	rig_open(&r, "plain");
	r.p.chat = false;
	r.p.grammar = g;
	assert_string_equal(play(&r, "{\"n\": -7}zz"), "T:{\"n\": -7}|stop");
	rig_close(&r);
	rig_open(&r, "harmony");
	r.p.grammar = g;
	r.p.ntools = 0;
	assert_string_equal(
	    play(&r, "<|channel|>analysis<|message|>hm<|end|><|start|>"
		     "assistant<|channel|>final<|message|>{\"n\": 3}"),
	    "?:hmT:{\"n\": 3}|stop");
	/* The turn does not end before the answer. */
	r.p.thinking_max = 3;
	play(&r, "<|return|>");
	assert_non_null(strstr(r.bytes, "<|channel|>final<|message|>"));
	assert_true(str_ends((char *)buf_head(&r.heard), "}|stop"));
	rig_close(&r);
	grammar_free(g);
}

/* Whatever a model of chance says, it matches. */
static void
any_model_matches(void **state)
{
	static const char *const families[] = { "qwen3", "qwen35", "mistral",
		"llama3", "harmony", "chatml", "qwen3-coder", "glm45", "glm47",
		"deepseek31" };
	static const char list[] =
	    "{\"type\":\"array\",\"items\":{\"enum\":[\"read\",\"abc\",7]},"
	    "\"minItems\":1,\"maxItems\":3}";
	struct grammar *g = compile(list), *args = compile(number);
	const struct grammar *of_tools[3] = { args, args, args };
	static float logits[SMALL_TOKENS];
	unsigned int i, k, seed, n, whole = 0;

	(void)state;
	for (i = 0; i < nitems(families); i++)
		for (seed = 0; seed < 12; seed++) {
			cleanup_json_tree struct json_tree t = { 0 };
			struct completion *c;
			struct rig r;

			rig_open(&r, families[i]);
			if (seed % 3 == 0) {
				r.p.grammar = g;
				r.p.ntools = 0;
			} else {
				r.p.tool_grammar = of_tools;
				r.p.tool_choice = seed % 3 == 1 ? TOOLS_REQUIRED
								: TOOLS_NAMED;
				r.p.tool_name = tools[1].name;
			}
			r.p.one_call = true;
			r.p.max_tokens = 1500;
			r.p.sample.temperature = 1;
			r.p.sample.seed = seed;
			c = completion_new(r.tok, &r.p, r.ids, NULL, hear, &r);
			for (n = 0; completion_state(c) == GEN_GOING; n++) {
				for (k = 0; k < r.vocab.v.n; k++)
					logits[k] =
					    (float)((k * 7919u + n * 104729u +
							seed * 31u) %
						    17u) /
					    4;
				completion_next(c, logits);
			}
			end(&r, c);
			whole += completion_state(c) != GEN_LENGTH;
			if (completion_state(c) != GEN_LENGTH &&
			    (json_tree_read(&t, (char *)buf_head(&r.json),
				 buf_len(&r.json), NULL) < 0 ||
				(r.p.grammar != NULL
					? t.node[0].type != JSON_ARRAY
					: json_tree_get(&t, 0, "n") == 0)))
				fail_msg("%s %u: %.*s", families[i], seed,
				    (int)buf_len(&r.json),
				    (char *)buf_head(&r.json));
			completion_free(c);
			rig_close(&r);
		}
	assert_true(whole > 60);
	grammar_free(g);
	grammar_free(args);
}

static void
a_call_that_the_model_begins_matches(void **state)
{
	static const struct said cases[] = {
		{ "qwen3", "Ok<tool_call>w{\"n\": 1}",
		    "T:Ok(write {\"n\":1})|calls",
		    "Ok<tool_call>\n{\"name\": \"write\", \"arguments\": "
		    "{\"n\": 1}}\n</tool_call>" },
		{ "qwen35", "<tool_call>w{\"n\": 1}", "(write {\"n\":1})|calls",
		    "<tool_call>\n{\"name\": \"write\", \"arguments\": "
		    "{\"n\": 1}}\n</tool_call>" },
		{ "glm45", "<tool_call>w{\"n\": 1}", "(write {\"n\":1})|calls",
		    "<tool_call>\n{\"name\": \"write\", \"arguments\": "
		    "{\"n\": 1}}\n</tool_call>" },
		{ "mistral", "[TOOL_CALLS]w{\"n\": 1}",
		    "(write {\"n\":1})|calls",
		    "[TOOL_CALLS][{\"name\": \"write\", \"arguments\": "
		    "{\"n\": 1}}]" },
		/* The first bracket is ours by chance. */
		{ "llama3", "{w{\"n\": 1}", "(write {\"n\":1})|calls",
		    "{\"name\": \"write\", \"parameters\": {\"n\": 1}}" },
		{ "harmony",
		    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant"
		    " to=w{\"n\": 1}",
		    "?:hm(write {\"n\":1})|calls", NULL },
		{ "harmony", "<|channel|>commentary to=w{\"n\": 1}",
		    "(write {\"n\":1})|calls",
		    "<|channel|>commentary to=functions.write json<|message|>"
		    "{\"n\": 1}" },
		/* Spelled, it is one all the same; other spellings are none. */
		{ "qwen3", "<function=read>x", "T:<function=read>x|stop",
		    NULL },
		{ "qwen3", "{\"name\":\"read\"}", "T:{\"name\":\"read\"}|stop",
		    NULL },
	};
	struct grammar *args = compile(number);
	const struct grammar *of_tools[3] = { args, args, args };
	struct rig r;
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++) {
		rig_open(&r, cases[i].family);
		r.p.tool_grammar = of_tools;
		r.p.max_tokens = 300;
		assert_said(&r, &cases[i]);
		rig_close(&r);
	}
	/* A second call is held to it as well. */
	rig_open(&r, "qwen3");
	r.p.tool_grammar = of_tools;
	assert_string_equal(
	    play(&r, "<tool_call>w{\"n\": 1}<tool_call>w{\"n\": 2}"),
	    "(write {\"n\":1})(write {\"n\":2})|calls");
	/* A tool without a schema of its own may have any arguments. */
	of_tools[2] = NULL;
	assert_string_equal(play(&r, "<tool_call>w{\"x\": 1}}</tool_call>"),
	    "(write {\"x\":1})|calls");
	rig_close(&r);
	grammar_free(args);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_matches_its_schema),
		cmocka_unit_test(any_model_matches),
		cmocka_unit_test(a_call_that_the_model_begins_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
