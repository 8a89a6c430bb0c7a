/*
 * How answers end in each protocol's shape, and what is left of a call that
 * the model was stopped within.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/inferd/api_answer.h"

static void
each_end_has_its_word(void **state)
{
	static const struct {
		enum gen_finish finish;
		const char *chat, *responses, *messages;
	} cases[] = {
		{ GEN_STOP, "stop", "completed", "end_turn" },
		{ GEN_STOP_TEXT, "stop", "completed", "stop_sequence" },
		{ GEN_LENGTH, "length", "incomplete", "max_tokens" },
		{ GEN_BUDGET, "length", "incomplete", "max_tokens" },
		{ GEN_DEADLINE, "length", "incomplete", "max_tokens" },
		{ GEN_CANCELLED, "length", "incomplete", "max_tokens" },
		{ GEN_LOOP, "stop", "completed", "end_turn" },
	};
	static const struct say words[] = { { GEN_TEXT, "x", NULL },
		{ GEN_END, NULL, NULL } };
	size_t i;

	for (i = 0; i < nitems(cases); i++) {
		enum gen_finish f = cases[i].finish;
		const char *stop = f == GEN_STOP_TEXT ? "\"E\"" : NULL;
		cleanup_free char *c =
		    answer(API_CHAT, false, words, 1, f, stop);
		cleanup_free char *r =
		    answer(API_RESPONSES, true, words, 1, f, stop);
		cleanup_free char *m =
		    answer(API_MESSAGES, false, words, 1, f, stop);
		cleanup_free char *in_c =
		    xasprintf("\"finish_reason\":\"%s\"", cases[i].chat);
		cleanup_free char *in_r =
		    xasprintf("\"type\":\"response.%s\"", cases[i].responses);
		cleanup_free char *in_m = xasprintf(
		    "\"stop_reason\":\"%s\",\"stop_sequence\":%s",
		    cases[i].messages, stop == NULL ? "null" : "\"\\\"E\\\"\"");

		assert_non_null(strstr(c, in_c));
		assert_non_null(strstr(r, in_r));
		assert_non_null(strstr(m, in_m));
	}
}

/* The model was stopped within the second of two calls. */
static const struct say broken[] = {
	{ GEN_CALL_BEGIN, "f", "call_1" },
	{ GEN_CALL_ARGS, "{\"a\":1}", NULL },
	{ GEN_CALL_END, NULL, NULL },
	{ GEN_CALL_BEGIN, "f", "call_2" },
	{ GEN_CALL_ARGS, "{\"a\":\"rm -r /a", NULL },
	{ GEN_END, NULL, NULL },
};

static void
a_call_that_was_cut_off_is_not_told_as_one(void **state)
{
	cleanup_free char *chat =
	    answer(API_CHAT, false, broken, 99, GEN_LENGTH, NULL);
	cleanup_free char *none =
	    answer(API_CHAT, false, broken + 3, 99, GEN_LENGTH, NULL);
	cleanup_free char *messages =
	    answer(API_MESSAGES, false, broken, 99, GEN_BUDGET, NULL);
	cleanup_free char *responses =
	    answer(API_RESPONSES, false, broken, 99, GEN_DEADLINE, NULL);

	assert_non_null(strstr(chat, "call_1"));
	assert_null(strstr(chat, "call_2"));
	assert_non_null(strstr(chat, "\"finish_reason\":\"length\""));
	assert_null(strstr(none, "tool_calls"));
	assert_non_null(strstr(none, "\"content\":\"\""));
	assert_non_null(strstr(messages, "call_1"));
	assert_null(strstr(messages, "call_2"));
	assert_non_null(strstr(messages, "\"stop_reason\":\"max_tokens\""));
	assert_non_null(strstr(responses, "call_1"));
	assert_null(strstr(responses, "call_2"));
}

static void
in_a_stream_its_arguments_break_off(void **state)
{
	cleanup_free char *chat =
	    answer(API_CHAT, true, broken + 3, 99, GEN_LENGTH, NULL);
	cleanup_free char *messages =
	    answer(API_MESSAGES, true, broken + 3, 99, GEN_LENGTH, NULL);
	cleanup_free char *responses =
	    answer(API_RESPONSES, true, broken + 3, 99, GEN_LENGTH, NULL);
	cleanup_free char *lines = outline(responses);

	assert_non_null(strstr(chat,
	    DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":"
		  "\"{\\\"a\\\":\\\"rm -r /a\"}}]") CHUNK
	    "\"choices\":[{\"index\":0,\"delta\":{},"
	    "\"finish_reason\":\"length\"}]}"));
	assert_non_null(strstr(messages,
	    "\"partial_json\":\"{\\\"a\\\":\\\"rm -r /a\"}}\n\n"
	    "event: content_block_stop"));
	assert_string_equal(lines, "response.created 0\n"
				   "response.in_progress 1\n"
				   "response.output_item.added 2 0\n"
				   "response.function_call_arguments.delta "
				   "\"{\\\"a\\\":\\\"rm -r /a\" 3 0\n"
				   "response.incomplete 4\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_end_has_its_word),
		cmocka_unit_test(a_call_that_was_cut_off_is_not_told_as_one),
		cmocka_unit_test(in_a_stream_its_arguments_break_off),
	};

	return cmocka_run_group_tests_name("api_ends", tests, NULL, NULL);
}
