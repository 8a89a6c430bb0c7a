/* Which files the path patterns of a policy name. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/compat.h"
#include "base/fdutil.h"
#include "sandbox/pathwalk.h"
#include "sandbox/sys.h"

static int top = -1;

static int
collect(void *arg, int fd, const char *path, const struct stat *st,
    struct error *err)
{
	buf_printf(arg, "%s%s ", path, S_ISDIR(st->st_mode) ? "/" : "");
	return 0;
}

/* Matches of pattern, each followed by a space; "!" when refused. */
static void
expect(const char *pattern, size_t budget, const char *want)
{
	struct buf b;
	struct pathwalk w = { .found = collect, .arg = &b, .budget = budget };

	buf_init(&b, 0);
	if (pathwalk(&w, top, pattern, NULL) < 0)
		buf_printf(&b, "!");
	buf_put_u8(&b, 0);
	assert_string_equal((const char *)buf_head(&b), want);
	buf_free(&b);
}

static int
setup(void **state)
{
	static const char *const dirs[] = { "a", "a/b", "a/b/c", "z" };
	static const char *const files[] = { "a/.env", "a/b/c/.env", "z/x.pem",
		"top" };
	static char name[] = "/tmp/brig-pathwalk.XXXXXX";
	size_t i;

	if (mkdtemp(name) == NULL)
		return -1;
	*state = name;
	top = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < nitems(dirs); i++)
		if (mkdirat(top, dirs[i], 0755) < 0)
			return -1;
	for (i = 0; i < nitems(files); i++)
		if (mknodat(top, files[i], S_IFREG | 0644, 0) < 0)
			return -1;
	return symlinkat("/etc", top, "out") | symlinkat("a", top, "in");
}

static int
teardown(void **state)
{
	static const char *const all[] = { "a/b/c/.env", "a/.env", "z/x.pem",
		"top", "out", "in" };
	static const char *const dirs[] = { "a/b/c", "a/b", "a", "z" };
	size_t i;

	for (i = 0; i < nitems(all); i++)
		(void)unlinkat(top, all[i], 0);
	for (i = 0; i < nitems(dirs); i++)
		(void)unlinkat(top, dirs[i], AT_REMOVEDIR);
	fd_close(&top);
	return rmdir(*state);
}

static void
star_matches_inside_one_segment(void **state)
{
	assert_true(pathwalk_match("*.pem", 5, "x.pem"));
	assert_true(pathwalk_match("*", 1, ".hidden"));
	assert_true(pathwalk_match("a*b*c", 5, "aXbXbYc"));
	assert_false(pathwalk_match("a*b*c", 5, "aXbXbYd"));
	assert_false(pathwalk_match("", 0, "x"));
	assert_false(pathwalk_match("[ab]", 4, "a"));
	expect("z/*.pem", 100, "z/x.pem ");
	expect("*/.env", 100, "a/.env ");
}

static void
double_star_matches_any_depth(void **state)
{
	expect("a/**/.env", 100, "a/.env a/b/c/.env ");
	expect("**/c/.env", 100, "a/b/c/.env ");
}

static void
trailing_double_star_is_the_directory(void **state)
{
	expect("a/b/**", 100, "a/b/ ");
	expect("top/**", 100, "");
	expect("missing/**", 100, "");
}

static void
links_are_not_followed(void **state)
{
	expect("out/passwd", 100, "");
	expect("in/.env", 100, "");
	expect("out", 100, "");
	expect("out/**", 100, "");
}

static void
dots_and_empty_segments_are_refused(void **state)
{
	expect("../x", 100, "!");
	expect("a/./b", 100, "!");
	expect("a//b", 100, "!");
	expect("", 100, "!");
	expect("a/", 100, "!");
}

static void
spent_budget_is_an_error(void **state)
{
	struct buf b;
	struct pathwalk w = { .found = collect, .arg = &b, .budget = 3 };

	/* What it finds before is up to the order of the directory. */
	buf_init(&b, 0);
	assert_int_equal(pathwalk(&w, top, "**/.env", NULL), -1);
	buf_free(&b);
}

static void
literal_prefix_is_whole_segments(void **state)
{
	assert_int_equal(pathwalk_literal("a/b*/c"), 1);
	assert_int_equal(pathwalk_literal("a/b/**"), 3);
	assert_int_equal(pathwalk_literal("a/b"), 3);
	assert_int_equal(pathwalk_literal("**"), 0);
}

/* Any rename on the host disturbs a look-up with "..", a job's, too. */
static void
renames_elsewhere_do_not_fail_a_look_up(void **state)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH };
	const int tries = 300000;
	int fd, disturbed = 0, failed = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		fd = openat(top, "r1", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		while (fd >= 0 && getppid() != 1)
			if (renameat(top, "r1", top, "r2") < 0 ||
			    renameat(top, "r2", top, "r1") < 0)
				break;
		_exit(0);
	}
	/* Control: it does happen, on more than one processor at once. */
	for (int i = 0; i < tries && disturbed == 0; i++) {
		fd = (int)syscall(SYS_openat2, top, "a/../a/../a/../a/../a",
		    &how, sizeof(how));
		disturbed += fd < 0 && errno == EAGAIN;
		fd_close(&fd);
	}
	for (int i = 0; i < tries / 10; i++) {
		fd = sys_openat2(
		    top, "a/../a/../a/../a/../a", O_PATH, RESOLVE_BENEATH);
		failed += fd < 0;
		fd_close(&fd);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unlinkat(top, "r1", 0);
	unlinkat(top, "r2", 0);
	if (disturbed == 0)
		skip();
	assert_int_equal(failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(star_matches_inside_one_segment),
		cmocka_unit_test(double_star_matches_any_depth),
		cmocka_unit_test(trailing_double_star_is_the_directory),
		cmocka_unit_test(links_are_not_followed),
		cmocka_unit_test(dots_and_empty_segments_are_refused),
		cmocka_unit_test(spent_budget_is_an_error),
		cmocka_unit_test(literal_prefix_is_whole_segments),
		cmocka_unit_test(renames_elsewhere_do_not_fail_a_look_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
