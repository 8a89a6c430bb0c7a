/*
 * Requests of agents: the fields of each protocol, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/grammar.h"
#include "tests/inferd/api_run.h"

#define HI "'messages':[{'role':'user','content':'hi'}]"

static bool
is(struct chat_text t, const char *s)
{
	return t.n == strlen(s) && (t.n == 0 || memcmp(t.p, s, t.n) == 0);
}

static void
what_is_not_said_stays_unsaid(void **state)
{
	struct api_request q;

	api_run_request(API_CHAT, "{" HI "}", &q);
	assert_int_equal(q.kind, API_CHAT);
	assert_string_equal(q.model, "");
	assert_false(q.stream);
	assert_true(q.temperature < 0 && q.top_p < 0 && q.min_p < 0);
	assert_true(q.top_k == -1 && q.seed == -1 && q.thinking_max == -1);
	assert_int_equal(q.max_tokens, 0);
	assert_int_equal(q.nstop, 0);
	assert_int_equal(q.tool_choice, TOOLS_NONE);
	assert_false(q.chat.no_thinking);
	assert_null(q.chat.effort);
	assert_true(is(q.schema, "") && !q.json_object && !q.one_call);
	api_request_free(&q);
	api_request_free(&q);
}

static void
sampling_is_read(void **state)
{
	struct api_request q;

	api_run_request(API_CHAT,
	    "{" HI ",'model':'m','temperature':0.5,'top_p':0.25,'min_p':0.125,"
	    "'top_k':40,'seed':18446744073709551615,'stream':true,"
	    "'stream_options':{'include_usage':true},'n':1,"
	    "'max_completion_tokens':77,'max_tokens':88}",
	    &q);
	assert_string_equal(q.model, "m");
	assert_true(q.stream && q.stream_usage);
	assert_true(q.temperature == 0.5f && q.top_p == 0.25f);
	assert_true(q.min_p == 0.125f && q.top_k == 40);
	assert_true(q.seed == INT64_MAX);
	assert_int_equal(q.max_tokens, 77);
	api_request_free(&q);
	api_run_request(API_CHAT,
	    "{" HI ",'temperature':0,'top_k':-1,'seed':-1,'top_p':null}", &q);
	assert_true(q.temperature == 0 && q.top_k == 0);
	assert_true(q.seed == -1 && q.top_p < 0);
	api_request_free(&q);
}

static void
what_nobody_waits_for_is_known_by_its_tier(void **state)
{
	struct api_request q;

	api_run_request(API_CHAT, "{" HI ",'service_tier':'flex'}", &q);
	assert_true(q.flex);
	api_request_free(&q);
	api_run_request(API_CHAT, "{" HI ",'service_tier':'priority'}", &q);
	assert_false(q.flex);
	api_request_free(&q);
	api_run_request(API_CHAT, "{" HI ",'service_tier':['flex']}", &q);
	assert_false(q.flex);
	api_request_free(&q);
	api_run_request(API_CHAT, "{" HI "}", &q);
	assert_false(q.flex);
	api_request_free(&q);
}

static void
max_tokens_is_clamped(void **state)
{
	static const struct {
		const char *json;
		uint32_t want;
	} cases[] = {
		{ "{" HI ",'max_tokens':0}", 1 },
		{ "{" HI ",'max_tokens':0.5}", 1 },
		{ "{" HI ",'max_tokens':-1}", 0 },
		{ "{" HI ",'max_tokens':32000.0}", 32000 },
		{ "{" HI ",'max_tokens':1e18}", UINT32_MAX },
		{ "{" HI ",'max_output_tokens':5}", 5 },
	};
	struct api_request q;
	size_t i;

	for (i = 0; i < nitems(cases); i++) {
		api_run_request(API_CHAT, cases[i].json, &q);
		assert_int_equal(q.max_tokens, cases[i].want);
		api_request_free(&q);
	}
}

static void
stops_are_a_string_or_strings(void **state)
{
	struct api_request q;

	api_run_request(API_CHAT, "{" HI ",'stop':'a\\nb'}", &q);
	assert_int_equal(q.nstop, 1);
	assert_true(is(q.stop[0], "a\nb"));
	api_request_free(&q);
	api_run_request(API_CHAT, "{" HI ",'stop':['x','','y']}", &q);
	assert_int_equal(q.nstop, 2);
	assert_true(is(q.stop[1], "y"));
	api_request_free(&q);
	api_run_request(
	    API_MESSAGES, "{" HI ",'stop_sequences':['z'],'stop':'no'}", &q);
	assert_int_equal(q.nstop, 1);
	assert_true(is(q.stop[0], "z"));
	api_request_free(&q);
	assert_api(API_CHAT, "{" HI ",'stop':[1]}",
	    "400 stop: stop must be a string or strings");
	assert_api(API_CHAT, "{" HI ",'stop':{}}",
	    "400 stop: stop must be a string or strings");
}

static void
too_many_or_too_long_stops_are_refused(void **state)
{
	cleanup_buf struct buf b = { 0 };
	size_t i;

	buf_printf(&b, "{" HI ",'stop':['0'");
	for (i = 0; i < API_STOPS_MAX; i++)
		buf_printf(&b, ",'x'");
	buf_printf(&b, "]}");
	buf_put_u8(&b, 0);
	assert_api(API_CHAT, (const char *)buf_head(&b),
	    "400 stop: stop has more than 63 texts");
	buf_clear(&b);
	buf_printf(
	    &b, "{" HI ",'stop':'%0*d'}", (int)API_STOP_BYTES_MAX + 1, 0);
	buf_put_u8(&b, 0);
	assert_api(API_CHAT, (const char *)buf_head(&b),
	    "400 stop: stop is longer than 4096 bytes");
}

static void
thinking_is_asked_for_in_many_ways(void **state)
{
	static const struct {
		enum api_kind kind;
		const char *json;
		bool off;
		int max;
		const char *effort;
	} cases[] = {
		{ API_CHAT, "'reasoning_effort':'high'", false, -1, "high" },
		{ API_CHAT, "'reasoning_effort':'minimal'", false, -1, "low" },
		{ API_CHAT, "'reasoning_effort':'xhigh'", false, -1, "high" },
		{ API_CHAT, "'reasoning_effort':'none'", true, 0, NULL },
		{ API_CHAT, "'reasoning_effort':'new'", false, -1, NULL },
		{ API_CHAT, "'chat_template_kwargs':{'enable_thinking':false}",
		    true, 0, NULL },
		{ API_CHAT, "'chat_template_kwargs':{'enable_thinking':true}",
		    false, -1, NULL },
		{ API_CHAT, "'enable_thinking':false", true, 0, NULL },
		{ API_CHAT, "'reasoning':{'max_tokens':9}", false, 9, NULL },
		{ API_CHAT, "'reasoning':{'enabled':false}", true, 0, NULL },
		{ API_CHAT, "'thinking':{'type':'disabled'}", true, 0, NULL },
		{ API_RESPONSES,
		    "'reasoning':{'effort':'low','summary':'auto'}", false, -1,
		    "low" },
		{ API_MESSAGES, "'x':0", true, 0, NULL },
		{ API_MESSAGES, "'thinking':{'type':'adaptive'}", false, -1,
		    NULL },
		{ API_MESSAGES,
		    "'thinking':{'type':'enabled','budget_tokens':2048}", false,
		    2048, NULL },
		{ API_MESSAGES, "'thinking':{'type':'disabled'}", true, 0,
		    NULL },
		{ API_MESSAGES, "'output_config':{'effort':'medium'}", true, 0,
		    "medium" },
		{ API_MESSAGES,
		    "'thinking':{'type':'adaptive'},"
		    "'output_config':{'effort':'max'}",
		    false, -1, "high" },
	};
	struct api_request q;
	size_t i;

	for (i = 0; i < nitems(cases); i++) {
		cleanup_free char *json = xasprintf("{%s,%s}", cases[i].json,
		    cases[i].kind == API_RESPONSES ? "'input':'hi'" : HI);

		api_run_request(cases[i].kind, json, &q);
		if (q.chat.no_thinking != cases[i].off ||
		    q.thinking_max != cases[i].max ||
		    !(cases[i].effort == NULL
			    ? q.chat.effort == NULL
			    : str_eq(q.chat.effort, cases[i].effort)))
			fail_msg("%s", cases[i].json);
		api_request_free(&q);
	}
	assert_api(API_MESSAGES, "{" HI ",'thinking':{'type':'much'}}",
	    "400 thinking.type: 'much' is none of enabled, disabled, adaptive");
	assert_api(API_MESSAGES, "{" HI ",'thinking':true}",
	    "400 thinking: thinking must be an object");
}

static void
formats_are_read(void **state)
{
	static const struct {
		enum api_kind kind;
		const char *json;
		bool object;
		const char *schema;
	} cases[] = {
		{ API_CHAT, "'response_format':{'type':'text'}", false, "" },
		{ API_CHAT, "'response_format':{'type':'json_object'}", true,
		    "" },
		{ API_CHAT,
		    "'response_format':{'type':'json_schema','json_schema':"
		    "{'name':'n','strict':true,'schema':{\"a\": 1}}}",
		    false, "{\"a\": 1}" },
		{ API_RESPONSES,
		    "'text':{'verbosity':'low','format':{'type':'json_schema',"
		    "'name':'n','schema':{\"b\":2}}}",
		    false, "{\"b\":2}" },
		{ API_MESSAGES,
		    "'output_config':{'format':{'type':'json_schema','schema':"
		    "{\"c\":3}}}",
		    false, "{\"c\":3}" },
		{ API_MESSAGES,
		    "'output_format':{'type':'json_schema','schema':{}}", false,
		    "{}" },
	};
	struct api_request q;
	size_t i;

	for (i = 0; i < nitems(cases); i++) {
		cleanup_free char *json = xasprintf("{%s,%s}", cases[i].json,
		    cases[i].kind == API_RESPONSES ? "'input':'hi'" : HI);

		api_run_request(cases[i].kind, json, &q);
		if (q.json_object != cases[i].object ||
		    !is(q.schema, cases[i].schema))
			fail_msg("%s", cases[i].json);
		api_request_free(&q);
	}
	assert_api(API_CHAT, "{" HI ",'response_format':{'type':'xml'}}",
	    "400 response_format.type: 'xml' is none of text, json_object, "
	    "json_schema");
	assert_api(API_CHAT,
	    "{" HI ",'response_format':{'type':'json_schema','json_schema':"
	    "{'schema':7}}}",
	    "400 response_format.json_schema.schema: schema must be an "
	    "object");
	assert_api(API_RESPONSES,
	    "{'input':'x','text':{'format':{'type':'json_schema'}}}",
	    "400 text.format.schema: there is no schema");
}

static void
wrong_types_are_refused_by_name(void **state)
{
	static const struct {
		const char *json, *want;
	} cases[] = {
		{ "{" HI ",'model':1}", "400 model: model must be a string" },
		{ "{" HI ",'stream':'yes'}",
		    "400 stream: stream must be true or false" },
		{ "{" HI ",'stream_options':[]}",
		    "400 stream_options: stream_options must be an object" },
		{ "{" HI ",'temperature':'hot'}",
		    "400 temperature: temperature must be a number" },
		{ "{" HI ",'temperature':-0.1}",
		    "400 temperature: temperature must be between 0 and 100" },
		{ "{" HI ",'temperature':1e999}",
		    "400 temperature: temperature must be between 0 and 100" },
		{ "{" HI ",'top_p':1.5}",
		    "400 top_p: top_p must be between 0 and 1" },
		{ "{" HI ",'seed':1.5}",
		    "400 seed: seed must be an integer of 64 bits" },
		{ "{" HI ",'n':2}", "400 n: n must be 1" },
		{ "{" HI ",'max_tokens':'9'}",
		    "400 max_tokens: max_tokens must be a number" },
		{ "{'messages':{}}",
		    "400 messages: messages must be an array" },
		{ "{'messages':[]}", "400 messages: there are no messages" },
		{ "{}", "400 messages: there are no messages" },
		{ "[]", "400 : the request is not a JSON object" },
		{ "{'messages':[1]}",
		    "400 messages[0]: a message must be an object" },
		{ "", "400 : the request is not valid JSON: a number that is "
		      "none at byte 0" },
	};
	size_t i;

	for (i = 0; i < nitems(cases); i++)
		assert_api(API_CHAT, cases[i].json, cases[i].want);
}

static void
unknown_fields_are_ignored_and_the_last_of_two_counts(void **state)
{
	struct api_request q;

	api_run_request(API_CHAT,
	    "{" HI ",'store':false,'x':[{'y':[[[]]]}],'model':'a',"
	    "'model':'b','logprobs':true,'metadata':{'z':null}}",
	    &q);
	assert_string_equal(q.model, "b");
	api_request_free(&q);
}

static void
half_a_surrogate_pair_is_read_as_a_mark(void **state)
{
	assert_api(API_CHAT,
	    "{'messages':[{'role':'user','content':"
	    "'\\ud83d\\ude00 \\ud83d \\ude00\\ud83d\\\\ud83d \\uD800\\uDFFF'"
	    "}]}",
	    "U:\xf0\x9f\x98\x80 \xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\\ud83d "
	    "\xf0\x90\x8f\xbf");
}

static void
what_is_too_long_is_413(void **state)
{
	struct api_request q;
	struct api_error err;

	assert_int_equal(
	    api_read(API_CHAT, "", (size_t)API_BODY_MAX + 1, &q, &err), -1);
	assert_int_equal(err.status, 413);
	api_request_free(&q);
}

static void
more_than_the_limits_is_refused(void **state)
{
	cleanup_buf struct buf b = { 0 };
	size_t i;

	buf_printf(&b, "{'messages':[");
	for (i = 0; i <= API_MESSAGES_MAX; i++)
		buf_printf(
		    &b, "%s{'role':'user','content':''}", i > 0 ? "," : "");
	buf_printf(&b, "]}");
	buf_put_u8(&b, 0);
	assert_api(API_CHAT, (const char *)buf_head(&b),
	    "400 messages[16384]: there are more than 16384 messages");
	buf_clear(&b);
	buf_printf(&b, "{" HI ",'tools':[");
	for (i = 0; i <= API_TOOLS_MAX; i++)
		buf_printf(&b,
		    "%s{'type':'function','function':{'name':'t%zu'}}",
		    i > 0 ? "," : "", i);
	buf_printf(&b, "]}");
	buf_put_u8(&b, 0);
	assert_api(API_CHAT, (const char *)buf_head(&b),
	    "400 tools[1024].function: there are more than 1024 tools");
	buf_clear(&b);
	buf_printf(&b, "{" HI);
	for (i = 1; i < API_FIELDS_MAX; i++)
		buf_printf(&b, ",'\\u0073tream':true");
	buf_printf(&b, "}");
	buf_put_u8(&b, 0);
	assert_api(API_CHAT, (const char *)buf_head(&b), "U:hi");
	buf_clear(&b);
	buf_printf(&b, "{" HI);
	for (i = 0; i < API_FIELDS_MAX; i++)
		buf_printf(&b, ",'x':0");
	buf_printf(&b, "}");
	buf_put_u8(&b, 0);
	assert_api(API_CHAT, (const char *)buf_head(&b),
	    "400 : the request has more than 4096 fields");
}

static void
completions_take_one_text(void **state)
{
	struct api_request q;

	api_run_request(API_COMPLETIONS,
	    "{'model':'m','prompt':'once','echo':true,'max_tokens':3,"
	    "'thinking':'any','stop':'.'}",
	    &q);
	assert_true(is(q.prompt, "once") && q.echo && q.max_tokens == 3);
	assert_int_equal(q.nstop, 1);
	api_request_free(&q);
	api_run_request(API_COMPLETIONS, "{'prompt':['one']}", &q);
	assert_true(is(q.prompt, "one"));
	api_request_free(&q);
	assert_api(API_COMPLETIONS, "{'prompt':['a','b']}",
	    "400 prompt: prompt must be one string; tokens and several "
	    "prompts are not supported");
	assert_api(API_COMPLETIONS, "{'prompt':[1]}",
	    "400 prompt: prompt must be one string; tokens and several "
	    "prompts are not supported");
	assert_api(API_COMPLETIONS, "{}", "400 prompt: there is no prompt");
	assert_api(API_COMPLETIONS, "{'prompt':'a','suffix':'b'}",
	    "400 suffix: suffix is not supported");
}

/* -- Tools -- */

#define FN(name) "{'type':'function','function':{'name':'" name "'}}"

static void
choices_are_read_in_each_shape(void **state)
{
	static const struct {
		enum api_kind kind;
		const char *json;
		enum tool_choice want;
		const char *name;
		bool one;
	} cases[] = {
		{ API_CHAT, "'x':0", TOOLS_AUTO, "", false },
		{ API_CHAT, "'tool_choice':'auto'", TOOLS_AUTO, "", false },
		{ API_CHAT, "'tool_choice':'none'", TOOLS_NONE, "", false },
		{ API_CHAT, "'tool_choice':'required'", TOOLS_REQUIRED, "",
		    false },
		{ API_CHAT,
		    "'tool_choice':{'type':'function','function':{'name':'b'}}",
		    TOOLS_NAMED, "b", false },
		{ API_CHAT, "'parallel_tool_calls':false", TOOLS_AUTO, "",
		    true },
		{ API_CHAT,
		    "'tool_choice':{'type':'allowed_tools','allowed_tools':"
		    "{'mode':'required','tools':[" FN("b") "]}}",
		    TOOLS_REQUIRED, "", false },
		{ API_RESPONSES, "'tool_choice':{'type':'function','name':'a'}",
		    TOOLS_NAMED, "a", false },
		{ API_RESPONSES,
		    "'tool_choice':{'type':'allowed_tools','mode':'auto',"
		    "'tools':[{'type':'function','name':'a'},"
		    "{'type':'web_search'}]}",
		    TOOLS_AUTO, "", false },
		{ API_MESSAGES, "'tool_choice':{'type':'any'}", TOOLS_REQUIRED,
		    "", false },
		{ API_MESSAGES,
		    "'tool_choice':{'type':'auto',"
		    "'disable_parallel_tool_use':true}",
		    TOOLS_AUTO, "", true },
		{ API_MESSAGES, "'tool_choice':{'type':'none'}", TOOLS_NONE, "",
		    false },
		{ API_MESSAGES, "'tool_choice':{'type':'tool','name':'a'}",
		    TOOLS_NAMED, "a", false },
	};
	static const char *const tools[] = {
		[API_CHAT] = HI ",'tools':[" FN("a") "," FN("b") "]",
		[API_RESPONSES] = "'input':'hi','tools':[{'type':'function',"
				  "'name':'a'},{'type':'web_search'}]",
		[API_MESSAGES] = HI ",'tools':[{'name':'a','input_schema':{}},"
				    "{'type':'web_search_20250305',"
				    "'name':'web_search'}]",
	};
	struct api_request q;
	size_t i;

	for (i = 0; i < nitems(cases); i++) {
		cleanup_free char *json =
		    xasprintf("{%s,%s}", tools[cases[i].kind], cases[i].json);

		api_run_request(cases[i].kind, json, &q);
		if (q.tool_choice != cases[i].want ||
		    q.one_call != cases[i].one ||
		    !is(q.tool_name, cases[i].name))
			fail_msg("%s", cases[i].json);
		api_request_free(&q);
	}
}

static void
choices_that_cannot_be_are_refused(void **state)
{
	assert_api(API_CHAT,
	    "{" HI ",'tools':[" FN("a") "],'tool_choice':{'type':'function',"
					"'function':{'name':'c'}}}",
	    "400 tool_choice: there is no tool 'c'");
	assert_api(API_CHAT, "{" HI ",'tool_choice':'required'}",
	    "400 tool_choice: a call is demanded, and there is no tool");
	assert_api(API_CHAT, "{" HI ",'tool_choice':'maybe'}",
	    "400 tool_choice: tool_choice 'maybe' is not known");
	assert_api(API_CHAT, "{" HI ",'tool_choice':7}",
	    "400 tool_choice: tool_choice must be a string or an object");
	assert_api(API_RESPONSES,
	    "{'input':'x','tools':[{'type':'web_search'}],"
	    "'tool_choice':{'type':'web_search'}}",
	    "400 tool_choice: there is no tool 'web_search' that this model "
	    "can be offered");
	assert_api(API_MESSAGES,
	    "{" HI ",'tools':[{'type':'web_search_20250305','name':"
	    "'web_search'}],'tool_choice':{'type':'any'}}",
	    "400 tool_choice: a call is demanded, and there is no tool that "
	    "this model can be offered");
}

static void
allowed_tools_are_the_only_ones_offered(void **state)
{
	assert_api(API_CHAT,
	    "{" HI ",'tools':[" FN("a") "," FN("b") "," FN(
		"c") "],"
		     "'tool_choice':{'type':'allowed_tools','allowed_tools':"
		     "{'mode':'auto','tools':[" FN("c") "," FN("a") "]}}}",
	    "U:hi # a; c");
}

static void
tools_are_read_in_each_shape(void **state)
{
	assert_api(API_CHAT,
	    "{" HI ",'tools':[{'type':'function','function':{'name':'a',"
	    "'description':'d\\n','parameters':{'type': 'object'},"
	    "'strict':true}},{'type':'function','function':{'name':'b',"
	    "'parameters':null,'strict':null}},{'type':'web_search'}]}",
	    "U:hi # a ~d\n {\"type\": \"object\"} strict; b");
	assert_api(API_RESPONSES,
	    "{'input':'hi','tools':[{'type':'function','name':'a','strict':"
	    "false,'description':'d','parameters':{}},{'type':'web_search',"
	    "'external_web_access':true},{'type':'local_shell'}]}",
	    "U:hi # a ~d {}");
	assert_api(API_MESSAGES,
	    "{" HI ",'tools':[{'name':'Bash','description':'d','input_schema':"
	    "{},'cache_control':{'type':'ephemeral'}},{'type':'custom','name':"
	    "'b','input_schema':{},'strict':true},{'type':'bash_20250124',"
	    "'name':'bash'}]}",
	    "U:hi # Bash ~d {}; b {} strict");
}

static void
namespaces_become_names_and_are_remembered(void **state)
{
	assert_api(API_RESPONSES,
	    "{'input':'hi','tools':[{'type':'namespace','name':'mcp__fs__',"
	    "'tools':[{'type':'function','name':'read'}]},{'type':'namespace',"
	    "'name':'web','tools':[{'type':'function','name':'run'}]}]}",
	    "U:hi # mcp__fs__read=mcp__fs__/read; web__run=web/run");
	assert_api(API_RESPONSES,
	    "{'input':'hi','tools':[{'type':'namespace','name':'',"
	    "'tools':[]}]}",
	    "400 tools[0].name: the name of a namespace has between 1 and 128 "
	    "bytes");
}

static void
custom_tools_take_their_input_as_a_member(void **state)
{
	assert_api(API_RESPONSES,
	    "{'input':'hi','tools':[{'type':'custom','name':'apply_patch',"
	    "'description':'d','format':{'type':'grammar','syntax':'lark',"
	    "'definition':'start: x'}}]}",
	    "U:hi # apply_patch ~d\nThe input must match this grammar:\n"
	    "start: x {\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
	    "\"string\"}},\"required\":[\"input\"],\"additionalProperties\":"
	    "false} strict custom");
	assert_api(API_CHAT,
	    "{" HI ",'tools':[{'type':'custom','custom':{'name':'p'}}]}",
	    "U:hi # p {\"type\":\"object\",\"properties\":{\"input\":{\"type\":"
	    "\"string\"}},\"required\":[\"input\"],\"additionalProperties\":"
	    "false} strict custom");
}

static void
the_schema_of_a_custom_tool_lets_any_text_through(void **state)
{
	static const char args[] = "{\"input\": \"*** Begin\\n\"}";
	struct api_request q;
	struct error err;
	struct grammar *g;
	struct grammar_state *s;

	api_run_request(API_RESPONSES,
	    "{'input':'hi','tools':[{'type':'custom','name':'p'}]}", &q);
	assert_true(q.strict_tools);
	g = schema_compile(
	    q.chat.tools[0].schema.p, q.chat.tools[0].schema.n, &err);
	assert_non_null(g);
	s = grammar_start(g);
	assert_false(grammar_take(s, "{}", 2));
	assert_true(grammar_take(s, args, sizeof(args) - 1));
	assert_true(grammar_done(s));
	grammar_state_free(s);
	grammar_free(g);
	api_request_free(&q);
}

static void
tools_that_make_no_sense_are_refused(void **state)
{
	assert_api(API_CHAT, "{" HI ",'tools':[" FN("a") "," FN("a") "]}",
	    "400 tools[1].function.name: there are two tools 'a'");
	assert_api(API_CHAT, "{" HI ",'tools':[" FN("a b") "]}",
	    "400 tools[0].function.name: the name of a tool is made of "
	    "letters, digits, '-', '_', '.', ':' and '/'");
	assert_api(API_CHAT, "{" HI ",'tools':[" FN("a\\u0000") "]}",
	    "400 tools[0].function.name: the name of a tool is made of "
	    "letters, digits, '-', '_', '.', ':' and '/'");
	assert_api(API_CHAT, "{" HI ",'tools':[" FN("") "]}",
	    "400 tools[0].function.name: the name of a tool has between 1 and "
	    "128 bytes");
	assert_api(API_CHAT, "{" HI ",'tools':[{'type':'function'}]}",
	    "400 tools[0].function: there is no function");
	assert_api(API_CHAT, "{" HI ",'tools':[7]}",
	    "400 tools[0]: a tool must be an object");
	assert_api(API_MESSAGES,
	    "{" HI ",'tools':[{'name':'a','input_schema':[]}]}",
	    "400 tools[0].input_schema: input_schema must be an object");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_said_stays_unsaid),
		cmocka_unit_test(sampling_is_read),
		cmocka_unit_test(what_nobody_waits_for_is_known_by_its_tier),
		cmocka_unit_test(max_tokens_is_clamped),
		cmocka_unit_test(stops_are_a_string_or_strings),
		cmocka_unit_test(too_many_or_too_long_stops_are_refused),
		cmocka_unit_test(thinking_is_asked_for_in_many_ways),
		cmocka_unit_test(formats_are_read),
		cmocka_unit_test(wrong_types_are_refused_by_name),
		cmocka_unit_test(
		    unknown_fields_are_ignored_and_the_last_of_two_counts),
		cmocka_unit_test(half_a_surrogate_pair_is_read_as_a_mark),
		cmocka_unit_test(what_is_too_long_is_413),
		cmocka_unit_test(more_than_the_limits_is_refused),
		cmocka_unit_test(completions_take_one_text),
		cmocka_unit_test(choices_are_read_in_each_shape),
		cmocka_unit_test(choices_that_cannot_be_are_refused),
		cmocka_unit_test(allowed_tools_are_the_only_ones_offered),
		cmocka_unit_test(tools_are_read_in_each_shape),
		cmocka_unit_test(namespaces_become_names_and_are_remembered),
		cmocka_unit_test(custom_tools_take_their_input_as_a_member),
		cmocka_unit_test(
		    the_schema_of_a_custom_tool_lets_any_text_through),
		cmocka_unit_test(tools_that_make_no_sense_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
