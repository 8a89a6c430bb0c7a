/*
 * Answers in each protocol's shape: the very bytes of a stream, and that what
 * a client puts together from one is what it would get at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/json_tree.h"
#include "tests/inferd/api_answer.h"

static const struct say spoken[] = {
	{ GEN_THINKING, "hm", NULL },
	{ GEN_TEXT, "Hi \"you\"\n", NULL },
	{ GEN_CALL_BEGIN, "f", "call_1" },
	{ GEN_CALL_ARGS, "{\"a\": \"\xc3\xa9\"}", NULL },
	{ GEN_CALL_END, NULL, NULL },
	{ GEN_END, NULL, NULL },
};

#define USAGE                                                                  \
	"{\"prompt_tokens\":10,\"completion_tokens\":7,\"total_tokens\":17,"   \
	"\"prompt_tokens_details\":{\"cached_tokens\":4},"                     \
	"\"completion_tokens_details\":{\"reasoning_tokens\":2}}"

static void
chat_streams_chunks(void **state)
{
	cleanup_free char *got =
	    answer(API_CHAT, true, spoken, 100, GEN_CALLS, NULL);

	assert_string_equal(got,
	    DELTA("\"role\":\"assistant\",\"content\":\"\"") DELTA(
		"\"reasoning_content\":\"hm\"")
		DELTA("\"content\":\"Hi \\\"you\\\"\\n\"") DELTA(
		    "\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":"
		    "\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
		    "\"\"}}]")
		    DELTA("\"tool_calls\":[{\"index\":0,\"function\":{"
			  "\"arguments\":\"{\\\"a\\\": \\\"\xc3\xa9\\\"}\"}}]")
			CHUNK
	    "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
	    "\"tool_calls\"}]}\n\n" CHUNK "\"choices\":[],\"usage\":" USAGE
	    "}\n\ndata: [DONE]\n\n");
}

static void
chat_is_told_at_once(void **state)
{
	cleanup_free char *got =
	    answer(API_CHAT, false, spoken, 1, GEN_CALLS, NULL);

	assert_string_equal(got,
	    "{\"id\":\"chatcmpl-" ID
	    "\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"m\","
	    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
	    "\"content\":\"Hi \\\"you\\\"\\n\",\"refusal\":null,"
	    "\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"call_1\","
	    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":"
	    "\"{\\\"a\\\": \\\"\xc3\xa9\\\"}\"}}]},\"logprobs\":null,"
	    "\"finish_reason\":\"tool_calls\"}],\"usage\":" USAGE "}");
}

#define EV(type, rest)                                                         \
	"event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"

static void
messages_stream_blocks(void **state)
{
	cleanup_free char *got =
	    answer(API_MESSAGES, true, spoken, 100, GEN_CALLS, NULL);

	assert_string_equal(got,
	    EV("message_start",
		",\"message\":{\"id\":\"msg_" ID
		"\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
		"\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":"
		"null,\"usage\":{\"input_tokens\":9,"
		"\"cache_creation_input_tokens\":0,"
		"\"cache_read_input_tokens\":0,\"output_tokens\":0}}")
		EV("content_block_start",
		    ",\"index\":0,\"content_block\":{\"type\":\"thinking\","
		    "\"thinking\":\"\",\"signature\":\"\"}") EV("content_block_"
								"delta",
		    ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
		    "\"thinking\":\"hm\"}") EV("content_block_delta",
		    ",\"index\":0,\"delta\":{\"type\":"
		    "\"signature_delta\",\"signature\":\"" ID
		    "\"}") EV("content_block_stop",
		    ",\"index\":0") EV("content_block_start",
		    ",\"index\":1,\"content_block\":{\"type\":"
		    "\"text\",\"text\":\"\"}") EV("content_block_delta",
		    ",\"index\":1,\"delta\":{\"type\":"
		    "\"text_delta\",\"text\":"
		    "\"Hi \\\"you\\\"\\n\"}") EV("content_block_stop",
		    ",\"index\":1") EV("content_block_start",
		    ",\"index\":2,\"content_block\":{\"type\":\"tool_use\","
		    "\"id\":"
		    "\"call_1\",\"name\":\"f\",\"input\":{}}")
		    EV("content_block_delta",
			",\"index\":2,\"delta\":{\"type\":\"input_json_delta\","
			"\"partial_json\":\"{\\\"a\\\": \\\"\xc3\xa9\\\"}\"}")
			EV("content_block_stop", ",\"index\":2")
			    EV("message_delta",
				",\"delta\":{\"stop_reason\":\"tool_use\","
				"\"stop_sequence\":null},\"usage\":{"
				"\"input_tokens\":6,"
				"\"cache_creation_input_tokens\":0,"
				"\"cache_read_input_tokens\":4,"
				"\"output_tokens\":7}") EV("message_stop", ""));
}

static void
messages_are_told_at_once(void **state)
{
	cleanup_free char *got =
	    answer(API_MESSAGES, false, spoken, 3, GEN_CALLS, NULL);

	assert_string_equal(got,
	    "{\"id\":\"msg_" ID
	    "\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\","
	    "\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
	    "\"signature\":\"" ID "\"},{\"type\":\"text\",\"text\":"
	    "\"Hi \\\"you\\\"\\n\"},{\"type\":\"tool_use\",\"id\":\"call_1\","
	    "\"name\":\"f\",\"input\":{\"a\": \"\xc3\xa9\"}}],"
	    "\"stop_reason\":\"tool_use\",\"stop_sequence\":null,\"usage\":{"
	    "\"input_tokens\":6,\"cache_creation_input_tokens\":0,"
	    "\"cache_read_input_tokens\":4,\"output_tokens\":7}}");
}

static void
responses_stream_items(void **state)
{
	static const struct say with_space[] = {
		{ GEN_THINKING, "hm", NULL },
		{ GEN_TEXT, "Hi", NULL },
		{ GEN_CALL_BEGIN, "n__f", "call_1" },
		{ GEN_CALL_ARGS, "{\"a\":1}", NULL },
		{ GEN_CALL_END, NULL, NULL },
		{ GEN_END, NULL, NULL },
	};
	cleanup_free char *got =
	    answer(API_RESPONSES, true, with_space, 4, GEN_CALLS, NULL);
	cleanup_free char *lines = outline(got);

	assert_string_equal(lines,
	    "response.created 0\n"
	    "response.in_progress 1\n"
	    "response.output_item.added 2 0\n"
	    "response.content_part.added 3 0\n"
	    "response.reasoning_text.delta \"hm\" 4 0\n"
	    "response.reasoning_text.done \"hm\" 5 0\n"
	    "response.content_part.done 6 0\n"
	    "response.output_item.done 7 0\n"
	    "response.output_item.added 8 1\n"
	    "response.content_part.added 9 1\n"
	    "response.output_text.delta \"Hi\" 10 1\n"
	    "response.output_text.done \"Hi\" 11 1\n"
	    "response.content_part.done 12 1\n"
	    "response.output_item.done 13 1\n"
	    "response.output_item.added 14 2\n"
	    "response.function_call_arguments.delta \"{\\\"a\\\"\" 15 2\n"
	    "response.function_call_arguments.delta \":1}\" 16 2\n"
	    "response.function_call_arguments.done \"{\\\"a\\\":1}\" 17 2\n"
	    "response.output_item.done 18 2\n"
	    "response.completed 19\n");
	assert_non_null(strstr(got,
	    "\"item\":{\"id\":\"fc_" ID "2\",\"status\":\"completed\","
	    "\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\","
	    "\"namespace\":\"n\",\"arguments\":\"{\\\"a\\\":1}\"}"));
	assert_non_null(strstr(got,
	    "\"usage\":{\"input_tokens\":10,\"input_tokens_details\":{"
	    "\"cached_tokens\":4},\"output_tokens\":7,"
	    "\"output_tokens_details\":{\"reasoning_tokens\":2},"
	    "\"total_tokens\":17}}}\n\n"));
}

static const struct say patch[] = {
	{ GEN_CALL_BEGIN, "p", "call_1" },
	{ GEN_CALL_ARGS, "{\"input\": \"a\\nb\"}", NULL },
	{ GEN_CALL_END, NULL, NULL },
	{ GEN_END, NULL, NULL },
};

static void
custom_tools_are_called_with_their_text(void **state)
{
	cleanup_free char *got =
	    answer(API_RESPONSES, true, patch, 3, GEN_CALLS, NULL);
	cleanup_free char *lines = outline(got);
	cleanup_free char *chat =
	    answer(API_CHAT, true, patch, 3, GEN_CALLS, NULL);
	cleanup_free char *once =
	    answer(API_CHAT, false, patch, 3, GEN_CALLS, NULL);

	assert_string_equal(lines,
	    "response.created 0\n"
	    "response.in_progress 1\n"
	    "response.output_item.added 2 0\n"
	    "response.custom_tool_call_input.delta \"a\\nb\" 3 0\n"
	    "response.custom_tool_call_input.done \"a\\nb\" 4 0\n"
	    "response.output_item.done 5 0\n"
	    "response.completed 6\n");
	assert_non_null(strstr(got,
	    "\"type\":\"custom_tool_call\",\"call_id\":\"call_1\",\"name\":"
	    "\"p\",\"input\":\"a\\nb\"}"));
	assert_non_null(strstr(chat,
	    DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":"
		  "\"custom\",\"custom\":{\"name\":\"p\",\"input\":\"\"}}]")
		DELTA("\"tool_calls\":[{\"index\":0,\"custom\":{\"input\":"
		      "\"a\\nb\"}}]")));
	assert_non_null(strstr(once,
	    "\"tool_calls\":[{\"id\":\"call_1\",\"type\":\"custom\","
	    "\"custom\":{\"name\":\"p\",\"input\":\"a\\nb\"}}]"));
}

static void
completions_are_text(void **state)
{
	static const struct say words[] = { { GEN_TEXT, "a\tb", NULL },
		{ GEN_END, NULL, NULL } };
	cleanup_free char *got =
	    answer(API_COMPLETIONS, true, words, 9, GEN_LENGTH, NULL);
	cleanup_free char *once =
	    answer(API_COMPLETIONS, false, words, 9, GEN_STOP, NULL);

#define HEAD                                                                   \
	"{\"id\":\"cmpl-" ID "\",\"object\":\"text_completion\",\"created\":1" \
	",\"model\":\"m\",\"choices\":["
	assert_string_equal(got,
	    "data: " HEAD "{\"index\":0,\"text\":\"a\\tb\",\"logprobs\":null,"
	    "\"finish_reason\":null}]}\n\n"
	    "data: " HEAD "{\"index\":0,\"text\":\"\",\"logprobs\":null,"
	    "\"finish_reason\":\"length\"}]}\n\n"
	    "data: " HEAD "],\"usage\":" USAGE "}\n\ndata: [DONE]\n\n");
	assert_string_equal(once,
	    HEAD "{\"index\":0,\"text\":\"a\\tb\",\"logprobs\":null,"
		 "\"finish_reason\":\"stop\"}],\"usage\":" USAGE "}");
}

static void
an_empty_answer_is_one(void **state)
{
	static const struct say nothing[] = { { GEN_END, NULL, NULL } };
	cleanup_free char *messages =
	    answer(API_MESSAGES, false, nothing, 1, GEN_STOP, NULL);
	cleanup_free char *stream =
	    answer(API_MESSAGES, true, nothing, 1, GEN_STOP, NULL);
	cleanup_free char *chat =
	    answer(API_CHAT, false, nothing, 1, GEN_STOP, NULL);
	cleanup_free char *responses =
	    answer(API_RESPONSES, false, nothing, 1, GEN_STOP, NULL);

	assert_non_null(
	    strstr(messages, "\"content\":[],\"stop_reason\":\"end_turn\""));
	assert_null(strstr(stream, "content_block"));
	assert_non_null(strstr(chat, "\"content\":\"\""));
	assert_non_null(strstr(responses, "\"output\":[]"));
	assert_non_null(strstr(responses, "\"status\":\"completed\""));
}

static void
progress_is_told_so_that_clients_go_on_waiting(void **state)
{
	static const struct say wait[] = { { GEN_PROGRESS, NULL, NULL },
		{ GEN_TEXT, "x", NULL }, { GEN_END, NULL, NULL } };
	cleanup_free char *chat =
	    answer(API_CHAT, true, wait, 1, GEN_STOP, NULL);
	cleanup_free char *messages =
	    answer(API_MESSAGES, true, wait, 1, GEN_STOP, NULL);
	cleanup_free char *once =
	    answer(API_MESSAGES, false, wait, 1, GEN_STOP, NULL);

	assert_non_null(
	    strstr(chat, DELTA("\"role\":\"assistant\",\"content\":"
			       "\"\"") ": 3 of 9 tokens read, first "
				       "token in 1.2 s\n" DELTA("")));
	assert_non_null(
	    strstr(messages, ": 3 of 9 tokens read, first token in 1.2 s\n"
			     "event: ping\ndata: {\"type\":\"ping\"}\n\n"
			     "event: content_block_start"));
	assert_null(strstr(once, "ping"));
}

/* Gpt-oss thinks whether it is asked to or not. */
static void
thoughts_that_nobody_asked_for_are_no_block(void **state)
{
	static const char *const forms[] = {
		"{'messages':[{'role':'user','content':'hi'}],'stream':true}",
		"{'messages':[{'role':'user','content':'hi'}]}"
	};
	size_t i, k;

	for (i = 0; i < nitems(forms); i++) {
		const struct gen_event said[] = {
			{ .type = GEN_THINKING, .p = "hm", .n = 2 },
			{ .type = GEN_TEXT, .p = "Hi", .n = 2 },
			{ .type = GEN_END, .finish = GEN_STOP },
		};
		cleanup_buf struct buf out = { 0 };
		struct api_request q;
		struct api_reply *a;
		const char *got;

		api_run_request(API_MESSAGES, forms[i], &q);
		a = api_reply_new(&q, ID, "m", 1);
		for (k = 0; k < nitems(said); k++)
			api_reply_event(a, &said[k], &out);
		buf_put_u8(&out, 0);
		got = (const char *)buf_head(&out);
		assert_null(strstr(got, "hm"));
		assert_null(strstr(got, "\"thinking\""));
		assert_non_null(strstr(got, "Hi"));
		/* It is not silent meanwhile. */
		if (i == 0)
			assert_non_null(strstr(got, "event: ping"));
		api_reply_free(a);
		api_request_free(&q);
	}
}

static void
bytes_that_are_not_utf8_become_marks(void **state)
{
	static const struct say bad[] = {
		{ GEN_TEXT, "a\xff\xc3\xa9\xe2\x82z\x01\x7f", NULL },
		{ GEN_END, NULL, NULL }
	};
	cleanup_free char *got =
	    answer(API_CHAT, false, bad, 100, GEN_STOP, NULL);

	assert_non_null(strstr(got,
	    "\"content\":\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz"
	    "\\u0001\x7f\""));
}

/* -- Put together again as clients do it -- */

static void
append(const struct json_tree *t, uint32_t node, struct buf *b)
{
	if (node != 0 && t->node[node].type == JSON_STR)
		json_tree_str(t, node, b);
}

/* Text under a name, as "{name}" of each change of name. */
static void
piece(const struct json_tree *t, uint32_t node, const char *name, char last[16],
    struct buf *b)
{
	if (node == 0 || t->node[node].type != JSON_STR || t->node[node].n == 0)
		return;
	if (strcmp(last, name) != 0)
		buf_printf(b, "{%s}", name);
	strlcpy(last, name, 16);
	append(t, node, b);
}

static void
chat_part(
    const struct json_tree *t, uint32_t object, char last[16], struct buf *b)
{
	uint32_t calls = json_tree_get(t, object, "tool_calls"), i, fn;

	piece(
	    t, json_tree_get(t, object, "reasoning_content"), "think", last, b);
	piece(t, json_tree_get(t, object, "content"), "text", last, b);
	if (calls == 0)
		return;
	for (i = json_tree_first(t, calls); i != 0; i = t->node[i].next) {
		fn = json_tree_get(t, i, "function");
		if (json_tree_get(t, i, "id") != 0)
			last[0] = '\0';
		piece(t, json_tree_get(t, i, "id"), "id", last, b);
		piece(t, json_tree_get(t, fn, "name"), "name", last, b);
		piece(t, json_tree_get(t, fn, "arguments"), "args", last, b);
	}
}

static void
messages_part(
    const struct json_tree *t, uint32_t block, char last[16], struct buf *b)
{
	uint32_t input = json_tree_get(t, block, "input");

	if (json_tree_get(t, block, "id") != 0)
		last[0] = '\0';
	piece(t, json_tree_get(t, block, "thinking"), "think", last, b);
	piece(t, json_tree_get(t, block, "signature"), "sign", last, b);
	piece(t, json_tree_get(t, block, "text"), "text", last, b);
	piece(t, json_tree_get(t, block, "id"), "id", last, b);
	piece(t, json_tree_get(t, block, "name"), "name", last, b);
	piece(t, json_tree_get(t, block, "partial_json"), "args", last, b);
	if (input != 0 && t->node[input].child != 0) {
		buf_printf(b, "{args}");
		strlcpy(last, "args", 16);
		buf_put(b, t->text + t->node[input].from, t->node[input].n);
	}
}

static void
take_body(
    enum api_kind kind, const struct json_tree *t, char last[16], struct buf *b)
{
	uint32_t list = json_tree_get(t, 0, "choices"), i;

	if (kind == API_CHAT && list != 0 && json_tree_first(t, list) != 0) {
		list = json_tree_first(t, list);
		i = json_tree_get(t, list, "message");
		chat_part(
		    t, i != 0 ? i : json_tree_get(t, list, "delta"), last, b);
		return;
	}
	if (kind != API_MESSAGES)
		return;
	if ((i = json_tree_get(t, 0, "content_block")) != 0 ||
	    (i = json_tree_get(t, 0, "delta")) != 0)
		messages_part(t, i, last, b);
	if ((list = json_tree_get(t, 0, "content")) != 0)
		for (i = json_tree_first(t, list); i != 0; i = t->node[i].next)
			messages_part(t, i, last, b);
}

static char *
put_together(enum api_kind kind, bool stream, const char *bytes)
{
	cleanup_buf struct buf b = { 0 };
	const char *at = bytes, *end;
	char last[16] = "";

	while (at != NULL && *at != '\0') {
		cleanup_json_tree struct json_tree t = { 0 };

		if (stream) {
			if ((at = strstr(at, "data: {")) == NULL)
				break;
			at += strlen("data: ");
		}
		end = stream ? strchr(at, '\n') : at + strlen(at);
		assert_int_equal(
		    json_tree_read(&t, at, (size_t)(end - at), NULL), 0);
		take_body(kind, &t, last, &b);
		at = end;
	}
	buf_put_u8(&b, 0);
	return xstrdup((const char *)buf_head(&b));
}

static void
a_stream_put_together_is_the_whole_in_any_chunks(void **state)
{
	static const struct say much[] = {
		{ GEN_PROGRESS, NULL, NULL },
		{ GEN_THINKING, "Let me \"think\" \xf0\x9f\x98\x80.", NULL },
		{ GEN_TEXT, "Words\n\\ and \xe2\x82\xac\x01 more", NULL },
		{ GEN_CALL_BEGIN, "f", "call_1" },
		{ GEN_CALL_ARGS, "{\"a\": [1, \"\\\"\"], \"b\": {}}", NULL },
		{ GEN_CALL_END, NULL, NULL },
		{ GEN_CALL_BEGIN, "made_up", "call_2" },
		{ GEN_CALL_ARGS, "{\"c\": \"\xc3\xa9\\n\"}", NULL },
		{ GEN_CALL_END, NULL, NULL },
		{ GEN_END, NULL, NULL },
	};
	static const enum api_kind kinds[] = { API_CHAT, API_MESSAGES };
	size_t chunk, k;

	for (k = 0; k < nitems(kinds); k++) {
		cleanup_free char *once =
		    answer(kinds[k], false, much, 99, GEN_CALLS, NULL);
		cleanup_free char *want = put_together(kinds[k], false, once);

		assert_non_null(strstr(want, "{args}{\"c\": \"\xc3\xa9\\n\"}"));
		for (chunk = 1; chunk < 12; chunk++) {
			cleanup_free char *s = answer(
			    kinds[k], true, much, chunk, GEN_CALLS, NULL);
			cleanup_free char *got =
			    put_together(kinds[k], true, s);

			assert_string_equal(got, want);
		}
	}
}

/* A stream of responses ends with the whole, which must be what is told at
 * once. */
static void
responses_end_with_the_whole(void **state)
{
	cleanup_free char *once =
	    answer(API_RESPONSES, false, spoken, 1, GEN_CALLS, NULL);
	cleanup_free char *s =
	    answer(API_RESPONSES, true, spoken, 2, GEN_CALLS, NULL);
	cleanup_free char *want = xasprintf(",\"response\":%s}\n\n", once);

	assert_true(str_ends(s, want));
}

static void
errors_have_each_protocols_shape(void **state)
{
	struct api_error err;
	cleanup_buf struct buf b = { 0 };

	api_fail(&err, 400, NULL, "messages[0].role", "no \"%s\"", "role");
	api_error_body(API_CHAT, &err, &b);
	buf_put_u8(&b, '\n');
	api_error_body(API_MESSAGES, &err, &b);
	buf_put_u8(&b, '\n');
	api_fail(
	    &err, 400, API_CONTEXT_LENGTH, "messages", "prompt is too long");
	api_error_body(API_RESPONSES, &err, &b);
	buf_put_u8(&b, '\n');
	api_error_body(API_COUNT_TOKENS, &err, &b);
	buf_put_u8(&b, '\n');
	api_fail(&err, 503, NULL, "", "busy");
	api_error_body(API_MESSAGES, &err, &b);
	buf_put_u8(&b, '\n');
	api_fail(&err, 400, API_NO_THREADS, "", "no");
	api_error_body(API_MESSAGES, &err, &b);
	buf_put_u8(&b, 0);
	assert_string_equal((const char *)buf_head(&b),
	    "{\"error\":{\"message\":\"no \\\"role\\\"\",\"type\":"
	    "\"invalid_request_error\",\"param\":\"messages[0].role\","
	    "\"code\":null}}\n"
	    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\""
	    ",\"message\":\"messages[0].role: no \\\"role\\\"\"}}\n"
	    "{\"error\":{\"message\":\"prompt is too long\",\"type\":"
	    "\"invalid_request_error\",\"param\":\"messages\",\"code\":"
	    "\"context_length_exceeded\"}}\n"
	    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\""
	    ",\"message\":\"prompt is too long\"}}\n"
	    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
	    "\"message\":\"busy\"}}\n"
	    "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\""
	    ",\"message\":\"no\",\"details\":{\"error_code\":"
	    "\"thread_unsupported_request\",\"unsupported\":[\"thread\"]}}}");
}

static void
a_stream_that_fails_ends_with_the_error(void **state)
{
	static const struct {
		enum api_kind kind;
		const char *want;
	} cases[] = {
		{ API_CHAT,
		    "data: {\"error\":{\"message\":\"no disk\",\"type\":"
		    "\"server_error\",\"param\":null,\"code\":null}}\n\n" },
		{ API_COMPLETIONS,
		    "data: {\"error\":{\"message\":\"no disk\",\"type\":"
		    "\"server_error\",\"param\":null,\"code\":null}}\n\n" },
		{ API_MESSAGES,
		    "event: error\ndata: {\"type\":\"error\",\"error\":{"
		    "\"type\":\"overloaded_error\",\"message\":"
		    "\"no disk\"}}\n\n" },
		{ API_RESPONSES,
		    "event: error\ndata: {\"type\":\"error\","
		    "\"sequence_number\":0,\"code\":\"server_error\","
		    "\"param\":null,\"message\":\"no disk\"}\n\n"
		    "event: response.failed\ndata: {\"type\":"
		    "\"response.failed\",\"sequence_number\":1,\"response\":{"
		    "\"id\":\"resp_" ID "\",\"object\":\"response\","
		    "\"created_at\":1,\"status\":\"failed\",\"background\":"
		    "false,\"error\":{\"code\":\"server_error\",\"message\":"
		    "\"no disk\"},\"incomplete_details\":null," },
	};
	struct api_error e;
	size_t i;

	api_fail(&e, 503, NULL, "", "no disk");
	for (i = 0; i < nitems(cases); i++) {
		const struct api_request q = { .kind = cases[i].kind,
			.stream = true };
		struct api_reply *a = api_reply_new(&q, ID, "m", 1);
		cleanup_buf struct buf b = { 0 };

		api_reply_fail(a, &e, &b);
		buf_put_u8(&b, 0);
		assert_non_null(strstr((char *)buf_head(&b), cases[i].want));
		assert_null(strstr((char *)buf_head(&b), "DONE"));
		api_reply_free(a);
	}
}

static void
models_and_counts_are_told(void **state)
{
	cleanup_buf struct buf b = { 0 };

	api_models_body("a\"b", 4096, 86400, &b);
	buf_put_u8(&b, '\n');
	api_count_body(17, &b);
	buf_put_u8(&b, 0);
	assert_string_equal((const char *)buf_head(&b),
	    "{\"object\":\"list\",\"data\":[{\"id\":\"a\\\"b\",\"object\":"
	    "\"model\",\"type\":\"model\",\"created\":86400,\"created_at\":"
	    "\"1970-01-02T00:00:00Z\",\"owned_by\":\"inferd\","
	    "\"display_name\":\"a\\\"b\",\"max_model_len\":4096,"
	    "\"context_length\":4096,\"max_input_tokens\":4096}],"
	    "\"first_id\":\"a\\\"b\",\"last_id\":\"a\\\"b\",\"has_more\":"
	    "false,\"models\":[]}\n{\"input_tokens\":17}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chat_streams_chunks),
		cmocka_unit_test(chat_is_told_at_once),
		cmocka_unit_test(messages_stream_blocks),
		cmocka_unit_test(messages_are_told_at_once),
		cmocka_unit_test(responses_stream_items),
		cmocka_unit_test(custom_tools_are_called_with_their_text),
		cmocka_unit_test(completions_are_text),
		cmocka_unit_test(an_empty_answer_is_one),
		cmocka_unit_test(
		    progress_is_told_so_that_clients_go_on_waiting),
		cmocka_unit_test(thoughts_that_nobody_asked_for_are_no_block),
		cmocka_unit_test(bytes_that_are_not_utf8_become_marks),
		cmocka_unit_test(
		    a_stream_put_together_is_the_whole_in_any_chunks),
		cmocka_unit_test(responses_end_with_the_whole),
		cmocka_unit_test(errors_have_each_protocols_shape),
		cmocka_unit_test(a_stream_that_fails_ends_with_the_error),
		cmocka_unit_test(models_and_counts_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
