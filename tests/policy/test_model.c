/*
 * Class model: names, amounts, and what is said when neither fits.
 */
#include "tests/policy/policytest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define P(body) must_load("profile p {\n" body "\n}\n")

static enum effect
on_model(const struct policy *p, const char *name, uint64_t max_output)
{
	policy_explain_model(
	    p, policy_profile(p, "p"), name, max_output, &last);
	return last.effect;
}

static void
names_match_by_provider_and_glob(void **state)
{
	struct policy *p = P("allow model {anthropic/claude-*,openai/gpt-4o} "
			     "except anthropic/claude-opus-*;"
			     "deny model */*-preview because \"not for work\";"
			     "ask model openai/o3;"
			     "allow model router/*/small;");
	static const struct {
		const char *name;
		enum effect want;
	} t[] = {
		{ "anthropic/claude-haiku-4", EFFECT_ALLOW },
		{ "anthropic/claude-", EFFECT_ALLOW },
		{ "anthropic/claude-opus-4", EFFECT_DENY },
		{ "anthropic/Claude-haiku", EFFECT_DENY },
		{ "openai/claude-haiku", EFFECT_DENY },
		{ "openai/gpt-4o", EFFECT_ALLOW },
		{ "openai/gpt-4o-mini", EFFECT_DENY },
		{ "anthropic/claude-preview", EFFECT_DENY },
		{ "openai/o3", EFFECT_ASK },
		{ "openai/o3-preview", EFFECT_DENY },
		{ "router/a/b/small", EFFECT_ALLOW },
		{ "router/small", EFFECT_DENY },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		if (on_model(p, t[i].name, 0) != t[i].want)
			fprintf(stderr, "# %s\n", t[i].name);
		assert_int_equal(last.effect, t[i].want);
		assert_string_equal(last.normal, t[i].name);
	}
	(void)on_model(p, "x/y-preview", 0);
	assert_string_equal(last.because, "not for work");
	policy_free(p);
}

static void
an_amount_must_be_said_and_fit(void **state)
{
	struct policy *p = P("allow model a/small max-output 1000;"
			     "allow model a/{small,big} max-output 500;"
			     "ask model a/small max-output 4000;");

	(void)state;
	/* ask comes before allow wherever both match. */
	assert_int_equal(on_model(p, "a/small", 1000), EFFECT_ASK);
	assert_int_equal(on_model(p, "a/big", 500), EFFECT_ALLOW);
	assert_string_equal(last.normal, "a/big max-output 500");
	assert_int_equal(on_model(p, "a/big", 501), EFFECT_DENY);
	assert_string_equal(last.because,
	    "the request may take 501 tokens of output; 500 are allowed");
	assert_int_equal(on_model(p, "a/big", 0), EFFECT_DENY);
	assert_string_equal(last.because,
	    "the request sets no limit of its output; 500 tokens are allowed");
	assert_int_equal(on_model(p, "a/small", 4001), EFFECT_DENY);
	assert_int_equal(on_model(p, "a/other", 1), EFFECT_DENY);
	assert_string_equal(last.rule, "default model");
	policy_free(p);
}

static void
nothing_said_is_deny(void **state)
{
	struct policy *p = P("allow http * https://**;");

	(void)state;
	assert_int_equal(on_model(p, "a/b", 1), EFFECT_DENY);
	policy_free(p);
	p = P("default model ask;");
	assert_int_equal(on_model(p, "a/b", 1), EFFECT_ASK);
	policy_free(p);
}

static void
a_name_that_is_none_is_refused_by_force(void **state)
{
	struct policy *p = P("default model allow;");
	static const char *const names[] = { "", "a", "/b", "a/", "a/b c",
		"a/b\n", "a/\xc3\xa4", "a b/c", "*/c" };
	char longest[MODEL_NAME_MAX + 4];

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		assert_int_equal(on_model(p, names[i], 1), EFFECT_DENY);
		assert_int_equal(last.by, BY_FAILSAFE);
	}
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "a/", 2);
	longest[MODEL_NAME_MAX + 2] = '\0';
	assert_int_equal(on_model(p, longest, 1), EFFECT_ALLOW);
	longest[MODEL_NAME_MAX + 2] = 'x';
	longest[MODEL_NAME_MAX + 3] = '\0';
	assert_int_equal(on_model(p, longest, 1), EFFECT_DENY);
	policy_model(p, policy_profile(p, "p"),
	    &(struct model_request){ "a", NULL, 0 }, &last);
	assert_int_equal(last.effect, EFFECT_DENY);
	policy_free(p);
}

static void
mistakes_are_shown_at_their_place(void **state)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{ "allow model claude;", "1:13: expected PROVIDER/MODEL" },
		{ "allow model a*/b;", "1:13: expected PROVIDER/MODEL" },
		{ "allow model a/;", "1:13: expected PROVIDER/MODEL" },
		{ "allow model ;", "1:13: expected PROVIDER/MODEL" },
		{ "allow model a/b max-output;", "1:27: expected a number" },
		{ "allow model a/b max-output 0;", "1:28: expected a number" },
		{ "allow model a/b max-output 5 max-output 6;",
		    "1:30: the rule has two limits" },
		{ "deny model a/b max-output 5;",
		    "1:16: a limit is for what is allowed" },
		{ "allow http GET https://a.b/ max-output 5;",
		    "1:29: only model rules have an output" },
		{ "allow model a/b with arg x;",
		    "1:17: only exec rules have arguments" },
	};

	(void)state;
	for (size_t i = 0; i < nitems(t); i++) {
		const char *got = first_mistake(t[i].text);

		if (!str_starts(got, t[i].want))
			fprintf(stderr, "# %s: %s\n", t[i].text, got);
		assert_true(str_starts(got, t[i].want));
	}
}

static void
tests_in_files_run_at_load(void **state)
{
	(void)state;
	policy_free(P("allow model a/b* max-output 10;\n"
		      "test \"t\" { expect allow model a/b1 max-output 10;\n"
		      " expect deny model a/b1; expect deny model \"a/c\"; }"));
	assert_true(
	    str_starts(first_mistake("profile p { allow model a/b;\n"
				     "test \"t\" { expect deny model a/b; } }"),
		"2:12: test failed: expected deny, got allow"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_match_by_provider_and_glob),
		cmocka_unit_test(an_amount_must_be_said_and_fit),
		cmocka_unit_test(nothing_said_is_deny),
		cmocka_unit_test(a_name_that_is_none_is_refused_by_force),
		cmocka_unit_test(mistakes_are_shown_at_their_place),
		cmocka_unit_test(tests_in_files_run_at_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
