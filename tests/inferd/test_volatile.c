/*
 * What changes with every request and says nothing is made to stay the same;
 * everything else is left as it is.
 */
#include "inferd/volatile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/str.h"

#define HEADER "x-anthropic-billing-header: "

static void
becomes(const char *from, const char *to)
{
	cleanup_free char *s = xstrdup(from);

	volatile_calm(s, strlen(s));
	assert_string_equal(s, to);
}

static void
the_hashes_of_a_request_become_zeros(void **state)
{
	becomes(HEADER "cc_version=2.1.177.01c; cc_entrypoint=sdk-cli; "
		       "cch=36ee5;",
	    HEADER "cc_version=2.1.177.000; cc_entrypoint=sdk-cli; "
		   "cch=00000;");
	becomes(HEADER "cc_version=2.1.37.3a3; cch=abc123\nYou are",
	    HEADER "cc_version=2.1.37.000; cch=000000\nYou are");
	becomes("You are.\n\n" HEADER "cch=A1;\r\nMore cch=A1;",
	    "You are.\n\n" HEADER "cch=00;\r\nMore cch=A1;");
	becomes("x-anthropic-billing-header:cch=1",
	    "x-anthropic-billing-header:"
	    "cch=0");
}

static void
everything_else_stays(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		HEADER,
		"x-anthropic-billing-header:",
		"x-anthropic-billing-header",
		" " HEADER "cch=36ee5;",
		"the line " HEADER "cch=36ee5;",
		"cch=36ee5;",
		HEADER "cc_version=2.1.177; cc_entrypoint=cli;",
		HEADER "cc_version=2.1.177.; cch=;",
		HEADER "cc_version=a.1.2.01c; xcch=36ee5;",
		HEADER "cch=36ee5 or so; cch=see;",
		HEADER "cch",
		HEADER ";;; ; cch",
		HEADER "Today is 2026-11-21;",
		"Today's date is 2026-11-21.\nabc123",
	};

	for (size_t i = 0; i < nitems(texts); i++)
		becomes(texts[i], texts[i]);
	becomes(HEADER "cch=0123456789012345678901234567890123456789012345678"
		       "901234567890123456789",
	    HEADER "cch=0123456789012345678901234567890123456789012345678"
		   "901234567890123456789");
}

static void
text_that_does_not_end_in_nul_is_not_read_beyond(void **state)
{
	static const char text[] = HEADER "cc_version=2.1.177.01c; cch=3";

	for (size_t n = 0; n < sizeof(text); n++) {
		cleanup_free char *s = xmalloc(n + 1);

		memcpy(s, text, n);
		s[n] = 'f';
		volatile_calm(s, n);
		assert_int_equal(s[n], 'f');
	}
}

#define TEXT(s)                                                                \
	{                                                                      \
		(s), sizeof(s) - 1                                             \
	}

static void
only_system_messages_of_a_conversation_are_copied(void **state)
{
	static const char line[] = HEADER "cch=36ee5;";
	const struct chat_message messages[] = {
		{ .role = CHAT_SYSTEM, .text = TEXT("Be good.") },
		{ .role = CHAT_SYSTEM, .text = TEXT(line) },
		{ .role = CHAT_SYSTEM },
		{ .role = CHAT_USER, .text = TEXT(line) },
		{ .role = CHAT_TOOL, .text = TEXT(line) },
	};
	struct chat chat = { .messages = messages, .nmessages = 5 };
	struct volatile_copy v;

	assert_int_equal(volatile_chat(&chat, &v), 5);
	assert_ptr_not_equal(chat.messages, messages);
	assert_memory_equal(chat.messages[0].text.p, "Be good.", 8);
	assert_memory_equal(
	    chat.messages[1].text.p, HEADER "cch=00000;", sizeof(line) - 1);
	assert_int_equal(chat.messages[2].text.n, 0);
	for (size_t i = 3; i < 5; i++)
		assert_memory_equal(
		    &chat.messages[i], &messages[i], sizeof(messages[i]));
	assert_string_equal(line, HEADER "cch=36ee5;");
	volatile_free(&v);
	/* Nothing to do: nothing done. */
	chat = (struct chat){ .messages = messages, .nmessages = 1 };
	assert_int_equal(volatile_chat(&chat, &v), 0);
	assert_ptr_equal(chat.messages, messages);
	volatile_free(&v);
	chat = (struct chat){ 0 };
	assert_int_equal(volatile_chat(&chat, &v), 0);
	volatile_free(&v);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hashes_of_a_request_become_zeros),
		cmocka_unit_test(everything_else_stays),
		cmocka_unit_test(
		    text_that_does_not_end_in_nul_is_not_read_beyond),
		cmocka_unit_test(
		    only_system_messages_of_a_conversation_are_copied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
