#include "tests/policy/policytest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define P(body) must_load("profile p {\n" body "\n}\n")

static enum effect
judge(const struct policy *p, const struct exec_request *rq)
{
	policy_exec(p, policy_profile(p, "p"), rq, &last);
	return last.effect;
}

static void
deny_beats_ask_beats_allow_in_any_order(void **state)
{
	static const char *const rules[] = { "allow exec ls ...;",
		"ask exec ls -a;", "deny exec ls -a b;" };
	static const int order[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 },
		{ 0, 2, 1 } };
	struct policy *p;
	char *text;
	size_t i;

	for (i = 0; i < nitems(order); i++) {
		text = xasprintf(
		    "profile p {\n ask exec ls -a b;\n %s %s %s\n}",
		    rules[order[i][0]], rules[order[i][1]], rules[order[i][2]]);
		p = must_load(text);
		assert_int_equal(
		    on_exec(p, "ls", "-a", "b", NULL), EFFECT_DENY);
		assert_int_equal(on_exec(p, "ls", "-a", NULL), EFFECT_ASK);
		assert_int_equal(on_exec(p, "ls", "b", NULL), EFFECT_ALLOW);
		policy_free(p);
		free(text);
	}
}

static void
nothing_matched_is_the_default_and_deny_if_unset(void **state)
{
	struct policy *p = P("allow exec ls;");

	assert_int_equal(on_exec(p, "cat", NULL), EFFECT_DENY);
	assert_int_equal(last.by, BY_DEFAULT);
	assert_string_equal(last.rule, "default exec");
	policy_free(p);
	p = P("default exec ask;");
	assert_int_equal(on_exec(p, "cat", NULL), EFFECT_ASK);
	policy_free(p);
}

static void
pattern_without_dots_is_the_exact_argv(void **state)
{
	struct policy *p = P("allow exec make {,test,check};"
			     "allow exec echo a*z;"
			     "allow exec printf \"%*s\" ...;");

	assert_int_equal(on_exec(p, "make", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "make", "test", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "make", "test", "x", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "make", "install", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "echo", "abcz", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "echo", "az", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "echo", "abc", NULL), EFFECT_DENY);
	/* Quoted: the star is a star. */
	assert_int_equal(on_exec(p, "printf", "%*s", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "printf", "%99s", NULL), EFFECT_DENY);
	policy_free(p);
}

static void
git_options_do_not_hide_the_subcommand(void **state)
{
	struct policy *p = P("default exec deny; allow exec git status ...;"
			     "ask exec git push ...;"
			     "deny exec git push ... with arg {-f,--force};");

	assert_int_equal(
	    on_exec(p, "git", "-C", "/r", "push", NULL), EFFECT_ASK);
	assert_string_equal(last.normal, "git push");
	assert_int_equal(on_exec(p, "git", "--git-dir", "x", "--work-tree=y",
			     "--no-pager", "status", NULL),
	    EFFECT_ALLOW);
	assert_int_equal(
	    on_exec(p, "git", "-C", "push", "status", NULL), EFFECT_ALLOW);
	assert_int_equal(
	    on_exec(p, "git", "-P", "push", "-f", NULL), EFFECT_DENY);
	assert_int_equal(
	    on_exec(p, "git", "--git-dir=/r", "push", "--forc", NULL),
	    EFFECT_DENY);
	policy_free(p);
}

static void
git_settings_on_the_command_line_turn_allow_into_ask(void **state)
{
	struct policy *p = P("allow exec git {status,log} ...;");

	assert_int_equal(
	    on_exec(p, "git", "-c", "core.pager=sh", "log", NULL), EFFECT_ASK);
	assert_int_equal(
	    on_exec(p, "git", "--exec-path=.", "status", NULL), EFFECT_ASK);
	assert_int_equal(
	    on_exec(p, "git", "--config-env", "a=B", "status", NULL),
	    EFFECT_ASK);
	assert_int_equal(
	    on_exec(p, "git", "--config-env=a=B", "status", NULL), EFFECT_ASK);
	assert_int_equal(
	    on_exec(p, "git", "--from-the-future", "status", NULL), EFFECT_ASK);
	/* Not git's own: an argument of log. */
	assert_int_equal(on_exec(p, "git", "log", "-c", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
git_by_another_name_is_its_subcommand(void **state)
{
	static const char *const words[] = { "git" };
	static const char *const argv[] = { "git-push", "--force" };
	struct exec_request rq = { .path = "/usr/bin/git",
		.words = words,
		.nwords = 1,
		.argv = argv,
		.argc = 2 };
	struct policy *p = P("default exec allow;"
			     "deny exec git push ... with arg --force;");

	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
}

static void
multicall_programs_are_the_applet_they_run(void **state)
{
	static const char *const words[] = { "busybox", "cat", "ls", "rm" };
	static const char *const as_rm[] = { "rm", "x" };
	static const char *const as_ls[] = { "/bin/ls", "x" };
	static const char *const twice[] = { "busybox", "busybox", "rm" };
	struct exec_request rq = { .path = "/bin/busybox",
		.words = words,
		.nwords = 4,
		.argv = as_rm,
		.argc = 2 };
	struct policy *p = P("allow exec {ls,cat} ...; deny exec rm ...;");

	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	rq.argv = as_ls;
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	rq.argv = twice;
	rq.argc = 3;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_string_equal(last.rule, "t.policy:2");
	assert_int_equal(on_exec(p, "busybox", "rm", "x", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "busybox", "ls", "x", NULL), EFFECT_ALLOW);
	assert_int_equal(
	    on_exec(p, "coreutils", "--coreutils-prog=rm", "x", NULL),
	    EFFECT_DENY);
	assert_string_equal(last.rule, "t.policy:2");
	policy_free(p);
}

static void
toybox_runners_are_a_question(void **state)
{
	struct policy *p = P("allow exec {toybox,find,xargs,rm} ...;");

	assert_int_equal(on_exec(p, "toybox", "rm", "x", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "toybox", "xargs", "rm", NULL), EFFECT_ASK);
	assert_int_equal(
	    on_exec(p, "toybox", "toybox", "find", ".", NULL), EFFECT_ASK);
	assert_int_equal(on_exec(p, "xargs", "rm", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
a_rule_for_rm_makes_busybox_known(void **state)
{
	struct policy *p = P("deny exec rm ...;");
	const struct profile *pr = policy_profile(p, "p");
	bool busybox = false, rm = false;
	size_t i;

	for (i = 0; i < profile_programs(pr); i++) {
		busybox =
		    busybox || str_eq(profile_program_word(pr, i), "busybox");
		if (str_eq(profile_program_word(pr, i), "rm")) {
			rm = true;
			assert_string_equal(
			    profile_program_paths(pr, i)[1], "/usr/bin/rm");
		}
	}
	assert_true(busybox && rm);
	policy_free(p);
}

static void
flags_are_seen_in_bundles_and_not_behind_dashes(void **state)
{
	struct policy *p = P("allow exec rm ... without arg "
			     "{-*r*,-*R*,--recursive};"
			     "ask exec rm ... with arg "
			     "{-*r*,-*R*,--recursive};");

	assert_int_equal(on_exec(p, "rm", "x", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "rm", "-f", "x", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "rm", "-fr", "x", NULL), EFFECT_ASK);
	assert_int_equal(on_exec(p, "rm", "-r", "-f", "x", NULL), EFFECT_ASK);
	assert_int_equal(
	    on_exec(p, "rm", "--recursive", "x", NULL), EFFECT_ASK);
	assert_int_equal(on_exec(p, "rm", "--recur", "x", NULL), EFFECT_ASK);
	assert_int_equal(on_exec(p, "rm", "x", "-R", NULL), EFFECT_ASK);
	assert_int_equal(on_exec(p, "rm", "--", "-rf", NULL), EFFECT_ALLOW);
	assert_int_equal(
	    on_exec(p, "rm", "-f", "--", "-rf", NULL), EFFECT_ALLOW);
	/* --force is no bundle with an r in it. */
	assert_int_equal(on_exec(p, "rm", "--force", "x", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
dashes_that_may_be_a_value_hide_no_flag(void **state)
{
	struct policy *p = P("allow exec curl ...;"
			     "deny exec curl ... with arg {-d*,--data*};");

	assert_int_equal(
	    on_exec(p, "curl", "-H", "--", "-d", "@f", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "curl", "-sd@f", "u", NULL), EFFECT_DENY);
	assert_int_equal(
	    on_exec(p, "curl", "--data-binary=@f", "u", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "curl", "-s", "u", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
a_flag_that_permits_is_matched_exactly(void **state)
{
	struct policy *p = P("allow exec rm ... with arg {-i,--interactive};"
			     "deny exec mv ... without arg -n;"
			     "allow exec mv ...;");

	assert_int_equal(on_exec(p, "rm", "-i", "x", NULL), EFFECT_ALLOW);
	assert_int_equal(
	    on_exec(p, "rm", "--interactive=never", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "rm", "-fi", "x", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "rm", "--inter", "x", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "mv", "-fn", "a", "b", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "mv", "-n", "a", "b", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
except_takes_out_of_its_rule_only(void **state)
{
	struct policy *p = P("allow exec npm ... except npm publish ...;"
			     "deny exec cargo ... except cargo build ...;"
			     "allow exec cargo ...;");

	assert_int_equal(on_exec(p, "npm", "test", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "npm", "publish", NULL), EFFECT_DENY);
	assert_int_equal(last.by, BY_DEFAULT);
	assert_int_equal(on_exec(p, "cargo", "build", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "cargo", "publish", NULL), EFFECT_DENY);
	assert_int_equal(last.by, BY_RULE);
	policy_free(p);
}

static void
argv0_and_path_names_are_not_believed(void **state)
{
	static const char *const rm[] = { "rm" };
	static const char *const argv[] = { "git", "status" };
	struct exec_request rq = { .path = "/usr/bin/rm",
		.words = rm,
		.nwords = 1,
		.argv = argv,
		.argc = 2 };
	struct policy *p = P("allow exec git ...; deny exec rm ...;");

	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_int_equal(last.by, BY_RULE);
	/* A copy of git in the workspace has not git's identity. */
	rq.path = "/workspace/git";
	rq.nwords = 0;
	rq.in_workspace = true;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_int_equal(last.by, BY_DEFAULT);
	policy_free(p);
}

static void
no_file_lifts_the_built_in_refusals(void **state)
{
	static const char *const loader[] = { "ld.so", "/bin/rm" };
	static const char *const ls[] = { "ls" };
	static const char *const preload[] = { "LD_PRELOAD" };
	static const char *const bad[] = { "/usr/../bin/ls", "bin/ls",
		"/usr//bin/ls", "/usr/./ls", "" };
	static const char *const loaders[] = {
		"/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
		"/lib/ld-musl-x86_64.so.1", "/usr/bin/ld.so", "/lib/libc.so",
		"/lib64/ld64.so.2"
	};
	struct exec_request rq = { .argv = loader, .argc = 2 };
	struct policy *p = P("default exec allow; allow exec /** ...;");
	size_t i;

	for (i = 0; i < nitems(loaders); i++) {
		rq.path = loaders[i];
		assert_int_equal(judge(p, &rq), EFFECT_DENY);
		assert_int_equal(last.by, BY_FAILSAFE);
	}
	rq.argv = ls;
	rq.argc = 1;
	for (i = 0; i < nitems(bad); i++) {
		rq.path = bad[i];
		assert_int_equal(judge(p, &rq), EFFECT_DENY);
		assert_int_equal(last.by, BY_FAILSAFE);
	}
	rq.path = NULL;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	rq.memfd = true;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_int_equal(last.by, BY_FAILSAFE);
	rq.memfd = false;
	rq.path = "/usr/bin/ls";
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	rq.risky_env = preload;
	rq.nrisky = 1;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_int_equal(last.by, BY_FAILSAFE);
	rq.nrisky = 0;
	rq.argc = 0;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	/* ld is a linker, not the loader. */
	rq.argc = 1;
	rq.path = "/usr/bin/ld";
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	policy_free(p);
}

static void
memfd_may_run_where_the_profile_says_so(void **state)
{
	static const char *const argv[] = { "x" };
	struct exec_request rq = { .argv = argv, .argc = 1, .memfd = true };
	struct policy *p = P("default exec ask; sandbox memfd-exec yes;");

	assert_int_equal(judge(p, &rq), EFFECT_ASK);
	policy_free(p);
}

static void
a_path_of_another_file_is_no_path(void **state)
{
	static const char *const argv[] = { "x" };
	static const char *const rm[] = { "rm" };
	struct exec_request rq = {
		.path = "/usr/games/x", .argv = argv, .argc = 1
	};
	struct policy *p = P("default exec ask; allow exec /usr/games/* ...; "
			     "deny exec rm ...; sandbox memfd-exec yes;");

	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	rq.elsewhere = true;
	assert_int_equal(judge(p, &rq), EFFECT_ASK);
	/* A program stays that program, with another name or with none. */
	rq.words = rm;
	rq.nwords = 1;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	rq.path = NULL;
	rq.elsewhere = false;
	rq.memfd = true;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
}

static void
risky_environment_turns_allow_into_ask(void **state)
{
	static const char *const vars[] = { "PAGER", "GIT_SSH_COMMAND",
		"LESSOPEN", "BASH_ENV", "ENV", "NODE_OPTIONS", "PYTHONSTARTUP",
		"PERL5OPT", "RUBYOPT" };
	static const char *const argv[] = { "git", "log" };
	static const char *const git[] = { "git" };
	struct exec_request rq = { .path = "/usr/bin/git",
		.words = git,
		.nwords = 1,
		.argv = argv,
		.argc = 2,
		.nrisky = 1 };
	struct policy *p = P("allow exec git ...;");
	size_t i;
	bool deny;

	for (i = 0; i < nitems(vars); i++) {
		rq.risky_env = &vars[i];
		assert_true(policy_env_risky(vars[i], &deny));
		assert_false(deny);
		assert_int_equal(judge(p, &rq), EFFECT_ASK);
		assert_non_null(strstr(last.because, vars[i]));
	}
	assert_true(policy_env_risky("LD_AUDIT", &deny));
	assert_true(deny);
	assert_false(policy_env_risky("GIT_TERMINAL_PROMPT", &deny));
	assert_false(policy_env_risky("GIT_DIR", &deny));
	assert_true(policy_env_risky("GIT_SSH_COMMAND", &deny));
	assert_false(policy_env_risky("PYTHONUNBUFFERED", &deny));
	assert_false(policy_env_risky("HOME", &deny));
	assert_false(policy_env_risky("MYPAGER", &deny));
	policy_free(p);
	p = P("deny exec git ...;");
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
}

static void
variable_that_is_let_be_changes_nothing(void **state)
{
	static const char *const vars[] = { "LD_LIBRARY_PATH", "PAGER",
		"LD_PRELOAD" };
	static const char *const argv[] = { "git", "log" };
	static const char *const git[] = { "git" };
	struct exec_request rq = { .path = "/usr/bin/git",
		.words = git,
		.nwords = 1,
		.argv = argv,
		.argc = 2,
		.risky_env = vars,
		.nrisky = 2 };
	struct policy *p = P("allow exec git ...;");

	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
	p = P("allow exec git ...; sandbox variable LD_LIBRARY_PATH;");
	assert_int_equal(judge(p, &rq), EFFECT_ASK);
	assert_non_null(strstr(last.because, "PAGER"));
	policy_free(p);
	p = P("allow exec git ...; sandbox variable LD_LIBRARY_PATH;"
	      "sandbox variable PAGER;");
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	/* It speaks for no other. */
	rq.nrisky = 3;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
	p = P("deny exec git ...; sandbox variable LD_LIBRARY_PATH;");
	rq.nrisky = 1;
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
}

static void
a_workspace_script_needs_its_rule_and_its_interpreters(void **state)
{
	static const char *const sh[] = { "sh" };
	static const char *const argv[] = { "/bin/sh", "./run.sh", "-x" };
	struct exec_request rq = { .path = "/usr/bin/dash",
		.words = sh,
		.nwords = 1,
		.argv = argv,
		.argc = 3,
		.script = "/workspace/run.sh" };
	struct policy *p = P("default exec ask; allow exec sh ...;");

	assert_int_equal(judge(p, &rq), EFFECT_ASK);
	policy_free(p);
	p = P("allow exec sh ...; allow exec workspace/** ...;");
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	policy_free(p);
	p = P("allow exec sh ...; allow exec workspace/** ...;"
	      "deny exec workspace/run.sh -x;");
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_int_equal(last.by, BY_RULE);
	policy_free(p);
	p = P("deny exec sh ...; allow exec workspace/** ...;");
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
	p = P("default exec allow; sandbox workspace exec no;");
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
	p = P("default exec allow;");
	rq.script = "run.sh";
	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	assert_int_equal(last.by, BY_FAILSAFE);
	policy_free(p);
}

static void
a_system_script_is_known_by_its_own_words(void **state)
{
	static const char *const node[] = { "node" };
	static const char *const npm[] = { "npm" };
	static const char *const argv[] = { "node", "/usr/bin/npm", "publish" };
	struct exec_request rq = { .path = "/usr/bin/node",
		.words = node,
		.nwords = 1,
		.argv = argv,
		.argc = 3,
		.script = "/usr/lib/node_modules/npm/bin/npm",
		.script_words = npm,
		.nscript_words = 1 };
	struct policy *p = P("allow exec node ...; deny exec npm publish ...;");

	assert_int_equal(judge(p, &rq), EFFECT_DENY);
	policy_free(p);
	p = P("allow exec node ...; allow exec npm ...;");
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	policy_free(p);
	/* No rule names it: what its interpreter may, it may. */
	p = P("allow exec node ...;");
	assert_int_equal(judge(p, &rq), EFFECT_ALLOW);
	policy_free(p);
}

static void
workspace_and_scratch_can_be_closed_for_exec(void **state)
{
	struct policy *p = P("default exec allow; sandbox workspace exec no;"
			     "sandbox tmp noexec;");

	assert_int_equal(on_exec(p, "workspace/a.out", NULL), EFFECT_DENY);
	assert_int_equal(last.by, BY_FAILSAFE);
	assert_int_equal(on_exec(p, "/tmp/a.out", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "home/a.out", NULL), EFFECT_DENY);
	assert_int_equal(last.by, BY_FAILSAFE);
	assert_int_equal(on_exec(p, "/workspaces", NULL), EFFECT_ALLOW);
	policy_free(p);
	p = P("default exec allow;");
	assert_int_equal(on_exec(p, "workspace/a.out", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "scratch/a.out", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
program_statement_moves_the_identity(void **state)
{
	struct policy *p =
	    must_load("program tool = /opt/tool/bin/tool, /usr/bin/tool-2;\n"
		      "profile p { allow exec tool ...; }\n");

	assert_int_equal(on_exec(p, "/opt/tool/bin/tool", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "/usr/bin/tool-2", NULL), EFFECT_ALLOW);
	assert_int_equal(on_exec(p, "/usr/bin/tool", NULL), EFFECT_DENY);
	assert_int_equal(on_exec(p, "tool", NULL), EFFECT_ALLOW);
	policy_free(p);
}

static void
what_is_shown_is_escaped_and_says_when_cut(void **state)
{
	struct policy *p = P("default exec ask;");
	char *big = xmalloc(3000);

	assert_int_equal(
	    on_exec(p, "ls", "a\x1b[2K\r", "\xe2\x80\xae", NULL), EFFECT_ASK);
	assert_null(strpbrk(last.normal, "\x1b\r\xe2"));
	memset(big, 'x', 2999);
	big[2999] = '\0';
	assert_int_equal(on_exec(p, "ls", big, "tail", NULL), EFFECT_ASK);
	assert_string_equal(last.normal, "ls [cut]");
	free(big);
	policy_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deny_beats_ask_beats_allow_in_any_order),
		cmocka_unit_test(
		    nothing_matched_is_the_default_and_deny_if_unset),
		cmocka_unit_test(pattern_without_dots_is_the_exact_argv),
		cmocka_unit_test(git_options_do_not_hide_the_subcommand),
		cmocka_unit_test(
		    git_settings_on_the_command_line_turn_allow_into_ask),
		cmocka_unit_test(git_by_another_name_is_its_subcommand),
		cmocka_unit_test(multicall_programs_are_the_applet_they_run),
		cmocka_unit_test(toybox_runners_are_a_question),
		cmocka_unit_test(a_rule_for_rm_makes_busybox_known),
		cmocka_unit_test(
		    flags_are_seen_in_bundles_and_not_behind_dashes),
		cmocka_unit_test(dashes_that_may_be_a_value_hide_no_flag),
		cmocka_unit_test(a_flag_that_permits_is_matched_exactly),
		cmocka_unit_test(except_takes_out_of_its_rule_only),
		cmocka_unit_test(argv0_and_path_names_are_not_believed),
		cmocka_unit_test(no_file_lifts_the_built_in_refusals),
		cmocka_unit_test(memfd_may_run_where_the_profile_says_so),
		cmocka_unit_test(a_path_of_another_file_is_no_path),
		cmocka_unit_test(risky_environment_turns_allow_into_ask),
		cmocka_unit_test(variable_that_is_let_be_changes_nothing),
		cmocka_unit_test(
		    a_workspace_script_needs_its_rule_and_its_interpreters),
		cmocka_unit_test(a_system_script_is_known_by_its_own_words),
		cmocka_unit_test(workspace_and_scratch_can_be_closed_for_exec),
		cmocka_unit_test(program_statement_moves_the_identity),
		cmocka_unit_test(what_is_shown_is_escaped_and_says_when_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
