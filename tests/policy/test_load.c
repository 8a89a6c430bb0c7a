#include "tests/policy/policytest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define MISTAKES 20

static void
samples_load_and_pass_their_tests(void **state)
{
	static const char *const names[] = { "coding", "research", "ci",
		"default" };
	struct policy_source s[nitems(names)];
	struct policy_diags ds;
	struct policy *p;
	struct buf b;
	char *text[nitems(names)], path[64], name[32];
	size_t i, len;

	for (i = 0; i < nitems(names); i++) {
		snprintf(
		    path, sizeof(path), "contrib/policies/%s.policy", names[i]);
		snprintf(name, sizeof(name), "%s.policy", names[i]);
		text[i] = slurp(path, &len);
		s[i] =
		    (struct policy_source){ xstrdup(name), text[i], len, true };
	}
	p = policy_load(s, nitems(names), &ds);
	buf_init(&b, 0);
	policy_diags_print(&ds, &b);
	if (buf_len(&b) > 0)
		fwrite(buf_head(&b), 1, buf_len(&b), stderr);
	buf_free(&b);
	assert_non_null(p);
	assert_int_equal(policy_profiles(p), 4);
	policy_free(p);
	policy_diags_free(&ds);
	for (i = 0; i < nitems(names); i++) {
		free(text[i]);
		free((void *)(uintptr_t)s[i].name);
	}
}

/* Each line of the file with a mistake ends in "#@ COL TEXT". */
static void
twenty_mistakes_are_each_reported_at_their_place(void **state)
{
	struct policy_source s;
	struct policy_diags ds;
	size_t len, k = 0;
	unsigned int line = 1, col;
	char *text = slurp("tests/policy/mistakes.policy", &len), *p, *mark;
	char *want;

	s = (struct policy_source){ "mistakes.policy", text, len, true };
	assert_null(policy_load(&s, 1, &ds));
	for (p = text; *p != '\0'; p = strchr(p, '\n') + 1, line++) {
		mark = strstr(p, "#@ ");
		if (mark == NULL || mark > strchr(p, '\n'))
			continue;
		col = (unsigned int)strtoul(mark + 3, &want, 10);
		if (k < ds.n && (ds.d[k].line != line || ds.d[k].col != col))
			fprintf(stderr, "# %u:%u expected, %u:%u: %s\n", line,
			    col, ds.d[k].line, ds.d[k].col, ds.d[k].text);
		assert_true(k < ds.n);
		assert_int_equal(ds.d[k].line, line);
		assert_int_equal(ds.d[k].col, col);
		want = xstrndup(want + 1, strcspn(want + 1, "\n"));
		if (strstr(ds.d[k].text, want) == NULL)
			fprintf(stderr, "# line %u: \"%s\" lacks \"%s\"\n",
			    line, ds.d[k].text, want);
		assert_non_null(strstr(ds.d[k].text, want));
		free(want);
		k++;
	}
	if (k < ds.n)
		fprintf(stderr, "# %u:%u: %s\n", ds.d[k].line, ds.d[k].col,
		    ds.d[k].text);
	assert_int_equal(k, ds.n);
	assert_int_equal(k, MISTAKES);
	policy_diags_free(&ds);
	free(text);
}

static void
failing_test_blocks_the_load_at_its_place(void **state)
{
	assert_non_null(strstr(
	    first_mistake("profile p {\n default exec allow;\n}\n"
			  "test \"p\" {\n  expect deny exec [\"ls\"];\n}\n"),
	    "5:3: test failed: expected deny, got allow (default exec"));
}

static void
caret_stands_under_the_column(void **state)
{
	struct policy_source s = { "t", "\tallow exce ls;", 15, true };
	struct policy_diags ds;
	struct buf b;

	assert_null(policy_load(&s, 1, &ds));
	buf_init(&b, 0);
	policy_diags_print(&ds, &b);
	buf_put_u8(&b, 0);
	assert_string_equal((char *)buf_head(&b),
	    "t:1:8: expected a class (exec, read, write, http, net or model), "
	    "found "
	    "\"exce\" (did you mean \"exec\"?)\n"
	    "   allow exce ls;\n"
	    "         ^\n");
	buf_free(&b);
	policy_diags_free(&ds);
}

static void
hidden_characters_are_refused(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *want;
	} t[] = {
		{ "# \0\n", 4, "NUL" },
		{ "# \xff\n", 4, "UTF-8" },
		{ "# \xc0\xaf\n", 5, "UTF-8" },
		{ "# \xe2\x80\xae\n", 6, "direction" },
		{ "# \xe2\x80\x8b\n", 6, "invisible" },
		{ "# \x1b[2K\n", 7, "control" },
		{ "#\r\n", 3, "carriage return" },
		{ "\xef\xbb\xbf#\n", 5, "byte order" },
	};
	struct policy_source s = { "t", NULL, 0, true };
	struct policy_diags ds;
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		s.bytes = t[i].text;
		s.len = t[i].len;
		assert_null(policy_load(&s, 1, &ds));
		assert_true(ds.n > 0);
		assert_non_null(strstr(ds.d[0].text, t[i].want));
		policy_diags_free(&ds);
	}
}

static void
later_features_are_named_as_not_supported(void **state)
{
	static const char *const t[][2] = {
		{ "ask read /x;", "1:5: ask read is not supported" },
		{ "ask write /x;", "1:5: ask write is not supported" },
		{ "default write ask;", "1:15: default write ask is not" },
		{ "allow mcp a/b;", "1:7: class mcp is not supported" },
		{ "ask mcp a/b;", "1:5: class mcp is not supported" },
		{ "budget money 1 USD;", "1:1: budget is not supported" },
		{ "mode plan { }", "1:1: mode is not supported" },
		{ "allow exec ls when a == b;", "1:15: when is not supported" },
		{ "allow exec ls ... mode plan;", "1:19: mode is not" },
		{ "ask hold 90s;", "1:5: ask hold is not supported" },
		{ "limit asks 40 per hour;", "1:7: limit asks is not" },
		{ "default mcp ask;", "1:9: class mcp is not supported" },
	};
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		const char *got = first_mistake(t[i][0]);

		if (!str_starts(got, t[i][1]))
			fprintf(stderr, "# %s: %s\n", t[i][0], got);
		assert_true(str_starts(got, t[i][1]));
		assert_non_null(strstr(got, "not supported by this version"));
	}
}

static void
sandbox_and_limit_values_are_checked(void **state)
{
	static const char *const t[][2] = {
		{ "sandbox root usr;", "1:14: expected the absolute path" },
		{ "sandbox home keep ../x;", "1:19: expected the name" },
		{ "sandbox seccomp none;", "1:17: expected default" },
		{ "sandbox tree /a/../b;", "1:14: expected the absolute" },
		{ "limit cpu 50;", "1:11: expected a share" },
		{ "limit cpu-weight 10001;", "1:18: out of range" },
	};
	size_t i;

	for (i = 0; i < nitems(t); i++) {
		const char *got = first_mistake(t[i][0]);

		if (!str_starts(got, t[i][1]))
			fprintf(stderr, "# %s: %s\n", t[i][0], got);
		assert_true(str_starts(got, t[i][1]));
	}
}

static void
variables_are_named_one_by_one_and_known(void **state)
{
	static const char text[] =
	    "profile a { sandbox variable LD_LIBRARY_PATH;\n"
	    " sandbox variable PAGER; }\n"
	    "profile b extends a { sandbox variable GIT_EDITOR; }\n"
	    "profile c extends a { }\n";
	static const char *const bad[] = { "LD_*", "HOME", "GIT_DIR", "PAGER=x",
		"ld_preload", "" };
	struct policy_source src = { "t", text, sizeof(text) - 1, true };
	struct policy_diags ds;
	struct policy *p = policy_load(&src, 1, &ds);
	const struct profile *a, *b, *c;

	(void)state;
	assert_non_null(p);
	a = policy_profile(p, "a");
	b = policy_profile(p, "b");
	c = policy_profile(p, "c");
	assert_true(profile_lets_variable(a, "LD_LIBRARY_PATH"));
	assert_true(profile_lets_variable(a, "PAGER=less"));
	assert_false(profile_lets_variable(a, "LD_LIBRARY_PATH_2=x"));
	assert_false(profile_lets_variable(a, "LD_LIBRARY"));
	assert_false(profile_lets_variable(a, "LD_PRELOAD"));
	assert_true(profile_lets_variable(c, "PAGER"));
	assert_true(profile_lets_variable(b, "GIT_EDITOR"));
	assert_false(profile_lets_variable(b, "PAGER"));
	policy_free(p);
	for (size_t i = 0; i < nitems(bad); i++) {
		char one[80];

		snprintf(one, sizeof(one), "profile a { sandbox variable %s; }",
		    bad[i]);
		src.bytes = one;
		src.len = strlen(one);
		assert_null(policy_load(&src, 1, &ds));
		policy_diags_free(&ds);
	}
}

static void
sandbox_settings_are_inherited_and_replaced(void **state)
{
	static const char text[] =
	    "profile a { sandbox tree /opt/a; sandbox tree /opt/b;\n"
	    " sandbox seccomp nested; limit cpu 150%;\n"
	    " sandbox home keep mine; sandbox root /srv/a.tar;\n"
	    " sandbox workspace staged; }\n"
	    "profile b extends a { sandbox tree /opt/c;\n"
	    " sandbox home fresh; sandbox workspace direct; }\n"
	    "profile c extends a { sandbox root /srv/b; }\n";
	struct policy_source src = { "t", text, sizeof(text) - 1, true };
	const struct profile_settings *a, *b, *c;
	struct policy_diags ds;
	struct policy *p = policy_load(&src, 1, &ds);

	assert_non_null(p);
	a = profile_settings(policy_profile(p, "a"));
	b = profile_settings(policy_profile(p, "b"));
	assert_int_equal(a->ntrees, 2);
	assert_string_equal(a->trees[1], "/opt/b");
	assert_true(a->protect && a->workspace_staged);
	assert_false(b->workspace_staged);
	assert_int_equal(b->ntrees, 1);
	assert_string_equal(b->trees[0], "/opt/c");
	assert_string_equal(a->home_keep, "mine");
	assert_null(b->home_keep);
	assert_string_equal(b->root, "/srv/a.tar");
	c = profile_settings(policy_profile(p, "c"));
	assert_string_equal(c->home_keep, "mine");
	assert_string_equal(c->root, "/srv/b");
	assert_int_equal(b->seccomp, SECCOMP_LEVEL_NESTED);
	assert_int_equal(b->cpu_percent, 150);
	policy_free(p);
}

static void
one_missing_semicolon_is_one_mistake(void **state)
{
	struct policy_source s = { "t", NULL, 0, true };
	struct policy_diags ds;
	const char *text = "profile p {\n allow exec ls ...\n"
			   " allow exec cat ...;\n deny exec rm\n"
			   " deny exec mv ...;\n}\n";

	s.bytes = text;
	s.len = strlen(text);
	assert_null(policy_load(&s, 1, &ds));
	assert_int_equal(ds.n, 2);
	assert_int_equal(ds.d[0].line, 3);
	assert_int_equal(ds.d[1].line, 5);
	policy_diags_free(&ds);
}

static void
include_reaches_other_files_but_not_itself(void **state)
{
	static const char a[] = "include \"b.inc\";\nprofile p { include "
				"\"c.inc\"; }\n";
	static const char b[] = "deny exec rm ...;\n";
	static const char c[] = "allow exec {rm,ls} ...;\n";
	static const char ring[] = "include \"a.policy\";\n";
	struct policy_source s[] = {
		{ "a.policy", a, sizeof(a) - 1, true },
		{ "b.inc", b, sizeof(b) - 1, false },
		{ "c.inc", c, sizeof(c) - 1, false },
	};
	struct policy_diags ds;
	struct policy *p = policy_load(s, 3, &ds);

	assert_non_null(p);
	assert_int_equal(on_exec(p, "rm", "x", NULL), EFFECT_DENY);
	assert_string_equal(last.rule, "b.inc:1");
	assert_int_equal(on_exec(p, "ls", NULL), EFFECT_ALLOW);
	policy_free(p);
	policy_diags_free(&ds);
	s[1].bytes = ring;
	s[1].len = sizeof(ring) - 1;
	assert_null(policy_load(s, 3, &ds));
	assert_string_equal(ds.d[0].file, "b.inc");
	assert_non_null(strstr(ds.d[0].text, "include itself"));
	policy_diags_free(&ds);
}

static void
extends_inherits_and_rings_are_refused(void **state)
{
	struct policy *p = must_load(
	    "profile a { default exec allow; deny exec rm ...; limit wall 1h; "
	    "sandbox tmp noexec; }\n"
	    "profile p extends a { limit wall 2h; }\n");
	const struct profile *pr = policy_profile(p, "p");

	assert_int_equal(on_exec(p, "rm", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "ls", NULL), EFFECT_ALLOW);
	assert_int_equal(profile_settings(pr)->wall_s, 7200);
	assert_false(profile_settings(pr)->tmp_exec);
	policy_free(p);
	assert_non_null(strstr(first_mistake("profile a extends b {\n}\n"
					     "profile b extends a {\n}\n"),
	    "1:19: profile a would extend itself"));
	assert_non_null(strstr(first_mistake("profile coding {\n}\n"
					     "profile b extends codin {\n}\n"),
	    "3:19: no profile \"codin\" (did you mean \"coding\"?)"));
}

static void
settings_have_their_defaults(void **state)
{
	struct policy *p = must_load("profile p {\n}\n");
	const struct profile *pr = policy_profile(p, "p");
	const struct profile_settings *s = profile_settings(pr);
	int c;

	for (c = 0; c < POLICY_CLASSES; c++)
		assert_int_equal(
		    profile_default(pr, (enum policy_class)c), EFFECT_DENY);
	assert_true(s->workspace_exec && s->tmp_exec && s->trace);
	assert_false(
	    s->memfd_exec || s->workspace_staged || s->ask_unattended_deny);
	assert_int_equal(s->ask_timeout_s, 300);
	assert_int_equal(s->output, 64 << 20);
	policy_free(p);
	p = must_load("limit memory 2G; limit procs 7; ask timeout 2m then "
		      "deny;\nprofile p { limit files 9; }\n");
	s = profile_settings(policy_profile(p, "p"));
	assert_int_equal(s->memory, 2ull << 30);
	assert_int_equal(s->procs, 7);
	assert_int_equal(s->files, 9);
	assert_int_equal(s->ask_timeout_s, 120);
	policy_free(p);
	assert_non_null(strstr(
	    first_mistake("limit wall 9999999d;"), "1:12: out of range"));
	assert_non_null(
	    strstr(first_mistake("limit wall 5;"), "expected a duration"));
	assert_non_null(strstr(
	    first_mistake("limit wall 5m; limit wall 6m;"), "1:22: set twice"));
}

static void
bundle_carries_the_same_policy(void **state)
{
	static const char a[] = "include \"b\"; profile p { }\n";
	static const char b[] = "default exec allow;\n";
	struct policy_source s[] = { { "a", a, sizeof(a) - 1, true },
		{ "b", b, sizeof(b) - 1, false } };
	struct policy_diags ds;
	struct policy *p, *q;
	struct buf buf;
	size_t n;

	p = policy_load(s, 2, &ds);
	assert_non_null(p);
	buf_init(&buf, 0);
	assert_int_equal(policy_bundle_write(&buf, s, 2), 0);
	q = policy_bundle_load(buf_head(&buf), buf_len(&buf), &ds);
	assert_non_null(q);
	assert_string_equal(policy_fingerprint(p), policy_fingerprint(q));
	assert_int_equal(on_exec(q, "ls", NULL), EFFECT_ALLOW);
	policy_free(p);
	policy_free(q);
	for (n = 0; n < buf_len(&buf); n++) {
		assert_null(policy_bundle_load(buf_head(&buf), n, &ds));
		assert_int_equal(ds.n, 1);
		policy_diags_free(&ds);
	}
	buf_free(&buf);
}

static void
limits_are_refusals_not_crashes(void **state)
{
	static const char braces[] =
	    "profile p { allow exec ls {a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"
	    "{a,b}; }\n";
	char *big = xmalloc(6000);

	assert_non_null(strstr(first_mistake(braces), "too many alternatives"));
	memset(big, 'a', 5999);
	big[5999] = '\0';
	assert_non_null(strstr(first_mistake(big), "longer than 4096"));
	big[0] = '"';
	assert_non_null(strstr(first_mistake(big), "not closed"));
	free(big);
	assert_non_null(strstr(
	    first_mistake("profile p {\n"
			  "deny read /a/{0,1,2,3}{0,1,2,3}{0,1,2,3}{0,1,2,3};\n"
			  "deny read /b/{0,1,2,3}{0,1,2,3}{0,1,2,3}{0,1,2,3};\n"
			  "deny read /c/{0,1,2,3}{0,1,2,3}{0,1,2,3}{0,1,2,3};\n"
			  "deny read /d/{0,1,2,3}{0,1,2,3}{0,1,2,3}{0,1,2,3};\n"
			  "deny read /e;\n}\n"),
	    "1:9: profile p has 1025 patterns"));
	assert_non_null(strstr(
	    first_mistake("allow exec ls {,a} {,a} {,a} {,a} {,a} {,a} {,a} "
			  "{,a} {,a};"),
	    "optional"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_load_and_pass_their_tests),
		cmocka_unit_test(
		    twenty_mistakes_are_each_reported_at_their_place),
		cmocka_unit_test(failing_test_blocks_the_load_at_its_place),
		cmocka_unit_test(caret_stands_under_the_column),
		cmocka_unit_test(hidden_characters_are_refused),
		cmocka_unit_test(later_features_are_named_as_not_supported),
		cmocka_unit_test(sandbox_and_limit_values_are_checked),
		cmocka_unit_test(sandbox_settings_are_inherited_and_replaced),
		cmocka_unit_test(variables_are_named_one_by_one_and_known),
		cmocka_unit_test(one_missing_semicolon_is_one_mistake),
		cmocka_unit_test(include_reaches_other_files_but_not_itself),
		cmocka_unit_test(extends_inherits_and_rings_are_refused),
		cmocka_unit_test(settings_have_their_defaults),
		cmocka_unit_test(bundle_carries_the_same_policy),
		cmocka_unit_test(limits_are_refusals_not_crashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
