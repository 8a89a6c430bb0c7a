/*
 * Turns that are said again as they were sampled, and those that are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/json_tree.h"
#include "inferd/replay.h"
#include "tests/inferd/vocab_small.h"

#define T(s)                                                                   \
	((struct chat_text){                                                   \
	    (s),                                                               \
	    sizeof(s) - 1,                                                     \
	})
#define SAMPLED "<think>\nhm\n</think>\n\nOk.\n<tool_call>\nx</tool_call>"

static const int32_t tokens[] = { 5, 6, 7 };

static void
tell(struct replay_turn *t, enum gen_event_type type, const char *s,
    const char *id)
{
	const struct gen_event e = {
		.type = type, .p = s, .n = strlen(s), .call_id = id
	};

	replay_turn_event(t, &e);
}

static void
keep_as(
    struct replay *r, uint32_t space, const char *id, enum gen_finish finish)
{
	struct replay_turn *t = replay_turn_new(r, space);
	const struct gen_event e = { .type = GEN_END,
		.p = SAMPLED,
		.n = strlen(SAMPLED),
		.tokens = tokens,
		.ntokens = 3,
		.finish = finish };

	tell(t, GEN_PROGRESS, "", NULL);
	tell(t, GEN_THINKING, "hm", NULL);
	tell(t, GEN_TEXT, "O", NULL);
	tell(t, GEN_TEXT, "k.", NULL);
	tell(t, GEN_CALL_BEGIN, "read", id);
	tell(t, GEN_CALL_ARGS, "{\"a\":1,", NULL);
	tell(t, GEN_CALL_ARGS, "\"b\":[\"\xc3\xa9\"]}", NULL);
	tell(t, GEN_CALL_END, "", NULL);
	tell(t, GEN_CALL_BEGIN, "now", "call_second");
	tell(t, GEN_CALL_ARGS, "{}", NULL);
	tell(t, GEN_CALL_END, "", NULL);
	replay_turn_event(t, &e);
	replay_turn_free(t);
}

static bool
found(struct replay *r, uint32_t space, const struct chat_message *m)
{
	cleanup_replay_copy struct replay_copy c = { 0 };
	struct chat_message all[2] = { { .role = CHAT_USER }, *m };
	struct chat chat = { .messages = all, .nmessages = 2 };

	replay_chat(r, space, &chat, &c);
	assert_null(chat.messages[0].sampled.p);
	if (chat.messages[1].sampled.n == 0) {
		assert_int_equal(c.turns, 0);
		return false;
	}
	assert_int_equal(c.turns, 1);
	assert_null(all[1].sampled.p);
	assert_int_equal(chat.messages[1].sampled.n, strlen(SAMPLED));
	assert_memory_equal(
	    chat.messages[1].sampled.p, SAMPLED, strlen(SAMPLED));
	assert_int_equal(chat.messages[1].nids, 3);
	assert_memory_equal(chat.messages[1].ids, tokens, sizeof(tokens));
	return true;
}

static bool
asked(struct replay *r, uint32_t space, const char *id)
{
	const struct chat_call calls[] = {
		{ { id, strlen(id) }, T("read"),
		    T("{\"a\": 1, \"b\": [\"\xc3\xa9\"]}") },
		{ T("call_second"), T("now"), T("{}") },
	};
	const struct chat_message m = { .role = CHAT_ASSISTANT,
		.text = T("Ok."),
		.calls = calls,
		.ncalls = 2 };

	return found(r, space, &m);
}

static void
a_turn_is_found_by_its_calls(void **state)
{
	struct replay *r = replay_new(REPLAY_BYTES, REPLAY_TURNS);

	(void)state;
	assert_false(asked(r, 1, "call_first"));
	keep_as(r, 1, "call_first", GEN_CALLS);
	assert_true(asked(r, 1, "call_first"));
	/* Nobody else finds it. */
	assert_false(asked(r, 2, "call_first"));
	assert_false(asked(r, 1, "call_fjrst"));
	keep_as(r, 2, "call_of_two", GEN_CALLS);
	replay_forget(r, 1);
	assert_false(asked(r, 1, "call_first"));
	assert_true(asked(r, 2, "call_of_two"));
	/* What was cut short is not kept. */
	keep_as(r, 1, "call_cut", GEN_LENGTH);
	keep_as(r, 1, "call_cut", GEN_CANCELLED);
	assert_false(asked(r, 1, "call_cut"));
	replay_forget(r, 2);
	assert_int_equal(replay_bytes(r), 0);
	replay_free(r);
}

/* A call has one place: to compare and to say it costs as much as it is long.
 */
static void
a_turn_is_said_once_in_a_conversation(void **state)
{
	static const struct chat_call calls[] = {
		{ T("call_first"), T("read"),
		    T("{\"a\": 1, \"b\": [\"\xc3\xa9\"]}") },
		{ T("call_second"), T("now"), T("{}") },
	};
	struct replay *r = replay_new(REPLAY_BYTES, REPLAY_TURNS);
	struct chat_message m[100];
	struct chat chat = { .messages = m, .nmessages = nitems(m) };
	cleanup_replay_copy struct replay_copy c = { 0 };

	(void)state;
	keep_as(r, 1, "call_first", GEN_CALLS);
	for (size_t i = 0; i < nitems(m); i++)
		m[i] = (struct chat_message){ .role = CHAT_ASSISTANT,
			.text = T("Ok."),
			.calls = calls,
			.ncalls = 2 };
	replay_chat(r, 1, &chat, &c);
	assert_int_equal(c.turns, 1);
	assert_int_equal(chat.messages[0].nids, 3);
	for (size_t i = 1; i < nitems(m); i++)
		assert_int_equal(chat.messages[i].nids, 0);
	/* And in the next one again. */
	assert_true(asked(r, 1, "call_first"));
	replay_free(r);
}

static void
what_a_client_changed_is_not_used(void **state)
{
	static const struct {
		struct chat_text id, name, args;
		bool want;
	} cases[] = {
		{ T("call_first"), T("read"),
		    T("{\"b\":[\"\\u00e9\"],\"a\":1}"), true },
		{ T("call_first"), T("read"),
		    T("{\"a\":1.0,\"b\":[\"\xc3\xa9"
		      "\"]}"),
		    true },
		{ T("call_first"), T("read"),
		    T("{\"a\":2,\"b\":[\"\xc3\xa9\"]}"), false },
		{ T("call_first"), T("read"), T("{\"a\":1}"), false },
		{ T("call_first"), T("read"), T("{\"a\":1,\"b\":[\"e\"]}"),
		    false },
		{ T("call_first"), T("write"),
		    T("{\"a\":1,\"b\":[\"\xc3\xa9\"]}"), false },
		{ T("call_first"), T("read"), T("no JSON"), false },
	};
	struct replay *r = replay_new(REPLAY_BYTES, REPLAY_TURNS);
	struct chat_call calls[2] = { { .id = T("call_first") },
		{ T("call_second"), T("now"), T("{}") } };
	struct chat_message m = { .role = CHAT_ASSISTANT,
		.text = T("Ok.\n"),
		.calls = calls,
		.ncalls = 2 };
	size_t i;

	(void)state;
	keep_as(r, 1, "call_first", GEN_CALLS);
	for (i = 0; i < nitems(cases); i++) {
		calls[0] = (struct chat_call){ cases[i].id, cases[i].name,
			cases[i].args };
		assert_int_equal(found(r, 1, &m), cases[i].want);
	}
	calls[0].args = cases[0].args;
	calls[0].name = T("read");
	assert_true(found(r, 1, &m));
	m.thinking = T("hm");
	assert_true(found(r, 1, &m));
	m.thinking = T("Aha!");
	assert_false(found(r, 1, &m));
	m.thinking = T("");
	m.text = T("Ok!");
	assert_false(found(r, 1, &m));
	m.text = T("Ok.");
	calls[1].id = T("call_another");
	assert_false(found(r, 1, &m));
	m.ncalls = 1;
	assert_false(found(r, 1, &m));
	replay_free(r);
}

static void
it_is_bounded_and_the_heaviest_pays(void **state)
{
	struct replay *r = replay_new(REPLAY_BYTES, 6);
	struct replay *small = replay_new(2000, REPLAY_TURNS);
	char id[32];
	int i;

	(void)state;
	keep_as(r, 7, "call_quiet", GEN_CALLS);
	for (i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "call_%d", i);
		keep_as(r, 1, id, GEN_CALLS);
		/* What is asked for stays. */
		assert_true(asked(r, 1, "call_0"));
	}
	assert_true(asked(r, 7, "call_quiet"));
	assert_true(asked(r, 1, "call_19"));
	assert_false(asked(r, 1, "call_9"));
	for (i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "call_%d", i);
		keep_as(small, (uint32_t)i % 3, id, GEN_CALLS);
		assert_true(replay_bytes(small) <= 2000);
	}
	assert_true(asked(small, 199 % 3, "call_199"));
	replay_free(r);
	replay_free(small);
}

/* Small turns take places from nobody who keeps few large ones. */
static void
of_too_many_turns_those_go_of_who_has_most(void **state)
{
	const struct gen_event end = {
		.type = GEN_END, .p = "s", .n = 1, .finish = GEN_CALLS
	};
	struct replay *r = replay_new(REPLAY_BYTES, 6);
	char id[32];
	int i;

	(void)state;
	keep_as(r, 7, "call_large", GEN_CALLS);
	keep_as(r, 7, "call_large_too", GEN_CALLS);
	for (i = 0; i < 20; i++) {
		struct replay_turn *t = replay_turn_new(r, 1);

		snprintf(id, sizeof(id), "call_%d", i);
		tell(t, GEN_CALL_BEGIN, "f", id);
		replay_turn_event(t, &end);
		replay_turn_free(t);
		assert_true(asked(r, 7, "call_large"));
		assert_true(asked(r, 7, "call_large_too"));
	}
	replay_free(r);
}

static void
a_prompt_has_the_tokens_that_were_sampled(void **state)
{
	/* "aa" is one token, but was sampled as two. */
	static const int32_t own[] = { 'a', 'a' };
	struct chat_message m[] = {
		{ .role = CHAT_USER, .text = T("aa") },
		{ .role = CHAT_ASSISTANT, .sampled = T("aa") },
		{ .role = CHAT_USER, .text = T("aa") },
		{ .role = CHAT_ASSISTANT,
		    .sampled = T("aa"),
		    .ids = own,
		    .nids = 2 },
		{ .role = CHAT_USER, .text = T("aa") },
	};
	const struct chat chat = { .messages = m, .nmessages = 5 };
	struct tok_ids plain = { 0 }, ids = { 0 };
	cleanup_prompt struct prompt p = { 0 };
	struct vocab_small v;
	struct tok *t;
	size_t i, k, apart = 0;

	(void)state;
	vocab_small_bpe(&v, "qwen2");
	t = tok_new(&v.v, NULL);
	assert_int_equal(template_render(CHAT_CHATML, &chat, &p, NULL), 0);
	assert_int_equal(prompt_encode(&p, t, &plain), 0);
	assert_int_equal(prompt_encode_chat(&p, &chat, t, &ids), 0);
	assert_int_equal(ids.n, plain.n + 1);
	for (i = k = 0; i < plain.n; i++, k++)
		if (ids.id[k] != plain.id[i]) {
			assert_int_equal(plain.id[i], 259);
			assert_memory_equal(&ids.id[k], own, sizeof(own));
			assert_true(i > plain.n / 2);
			apart++;
			k++;
		}
	assert_int_equal(apart, 1);
	tok_ids_free(&plain);
	tok_ids_free(&ids);
	tok_free(t);
}

static void
json_is_compared_by_meaning(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "{\"a\":1,\"b\":2}", "{ \"b\" : 2, \"a\" : 1e0 }", true },
		{ "{\"a\":1,\"a\":1}", "{\"a\":1,\"b\":1}", false },
		{ "{\"a\":1,\"b\":1}", "{\"a\":1,\"a\":1}", false },
		{ "{\"a\":{}}", "{\"a\":[]}", false },
		{ "[1,2]", "[1,2,3]", false },
		{ "[1,2]", "[2,1]", false },
		{ "[true]", "[false]", false },
		{ "\"\\u0061\"", "\"a\"", true },
		{ "\"\"", "\"\"", true },
		{ "{", "{", true },
		{ "{", "[", false },
		{ "12345678901234567890", "12345678901234567000", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < nitems(cases); i++)
		assert_int_equal(json_same(cases[i].a, strlen(cases[i].a),
				     cases[i].b, strlen(cases[i].b)),
		    cases[i].same);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_turn_is_found_by_its_calls),
		cmocka_unit_test(a_turn_is_said_once_in_a_conversation),
		cmocka_unit_test(what_a_client_changed_is_not_used),
		cmocka_unit_test(it_is_bounded_and_the_heaviest_pays),
		cmocka_unit_test(of_too_many_turns_those_go_of_who_has_most),
		cmocka_unit_test(a_prompt_has_the_tokens_that_were_sampled),
		cmocka_unit_test(json_is_compared_by_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
