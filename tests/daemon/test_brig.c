/*
 * The other words of the `brig` program as a user has it, with this test as
 * its daemon.
 */
#include "tests/daemon/brig_play.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

static void
secret_value_goes_in_a_sealed_memfd_only(void **state)
{
	static const char *const args[] = { "secret", "add", "github", "--host",
		"api.github.com", "--env", "GITHUB_TOKEN", NULL };
	cleanup_free char *out = NULL;
	char value[32] = { 0 };
	struct brig b;
	json_t *rq;

	(void)state;
	brig_start(&b, args);
	assert_int_equal(fd_write_all(b.in, "ghp_secret\n\n", 12), 0);
	fd_close(&b.in);
	/* Two newlines: one is stripped, the other no header can carry. */
	assert_int_equal(brig_finish(&b, NULL, &out), 1);
	assert_non_null(strstr(out, "control character at byte 11"));
	assert_null(strstr(out, "ghp_"));
	/* It connected before it read. */
	close(accept(brig_listener, NULL, NULL));
	brig_start(&b, args);
	assert_int_equal(fd_write_all(b.in, "ghp_secret\n", 11), 0);
	fd_close(&b.in);
	rq = brig_expect(&b, "secret.add");
	assert_int_equal(b.nfds, 1);
	assert_true(fd_is_sealed(b.fds[0]));
	assert_int_equal(pread(b.fds[0], value, sizeof(value), 0), 10);
	assert_string_equal(value, "ghp_secret");
	assert_string_equal(
	    json_string_value(json_array_get(json_object_get(rq, "hosts"), 0)),
	    "api.github.com:443");
	assert_string_equal(json_string_value(json_array_get(
				json_object_get(rq, "surfaces"), 0)),
	    "header:Authorization");
	cleanup_free char *text = json_dumps(rq, 0);
	assert_null(strstr(text, "ghp_"));
	json_decref(rq);
	brig_reply(&b, "{\"fingerprint\":\"f1\",\"note\":\"start again\"}");
	free(out);
	cleanup_free char *err = NULL;
	assert_int_equal(brig_finish(&b, &out, &err), 0);
	assert_string_equal(out, "github f1\n");
	assert_string_equal(err, "brig: secret github: start again\n");
	close(b.fds[0]);
}

static void
asks_print_no_raw_byte_of_an_agent(void **state)
{
	static const char *const args[] = { "asks", NULL };
	cleanup_free char *out = NULL;
	struct brig b;

	(void)state;
	brig_start(&b, args);
	json_decref(brig_expect(&b, "ask.list"));
	brig_reply(&b,
	    "{\"asks\":[{\"id\":\"A-1\",\"job\":\"j-1\",\"class\":"
	    "\"exec\",\"state\":\"pending\",\"rule\":\"a:1\",\"lines\":"
	    "[\"rm \\u001b[8m-rf\\u202e\\nA-2  pending\"]}]}");
	assert_int_equal(brig_finish(&b, &out, NULL), 0);
	assert_non_null(
	    strstr(out, "  | rm \\x1b[8m-rf\\u{202e}\\nA-2  pending\n"));
	for (const char *p = out; *p != '\0'; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
}

static void
wait_exits_with_the_status_of_the_job(void **state)
{
	static const char *const args[] = { "wait", "5", NULL };
	struct brig b;
	json_t *rq;

	(void)state;
	brig_start(&b, args);
	rq = brig_expect(&b, "job.wait");
	assert_string_equal(
	    json_string_value(json_object_get(rq, "job")), "j-5");
	json_decref(rq);
	brig_reply(&b, "{\"job\":{\"id\":\"j-5\",\"state\":\"killed\",\"exit\":"
		       "{\"kind\":\"signal\",\"code\":15}}}");
	assert_int_equal(brig_finish(&b, NULL, NULL), 143);
}

static void
logs_come_from_the_descriptor(void **state)
{
	static const char *const args[] = { "logs", "-f", "j-5", NULL };
	cleanup_free char *out = NULL;
	int fd = fd_memfd("log", "line\n\x1b[0m", 9);
	struct brig b;

	(void)state;
	brig_start(&b, args);
	json_decref(brig_expect(&b, "job.logs"));
	brig_reply_fd(&b, "{\"job\":\"j-5\"}", fd);
	json_decref(brig_expect(&b, "job.wait"));
	brig_reply(&b, "{\"job\":{\"id\":\"j-5\",\"state\":\"done\"}}");
	assert_int_equal(brig_finish(&b, &out, NULL), 0);
	/* Onto a pipe as they are. */
	assert_string_equal(out, "line\n\x1b[0m");
	close(fd);
}

static void
policy_mistakes_are_lines_of_their_own(void **state)
{
	static const char *const args[] = { "policy", "reload", NULL };
	cleanup_free char *err = NULL;
	struct brig b;
	cleanup_free char *s = NULL;

	(void)state;
	brig_start(&b, args);
	json_decref(brig_expect(&b, "policy.reload"));
	s = xasprintf(
	    "{\"id\":%lld,\"ok\":false,\"error\":{\"code\":"
	    "\"failed\",\"message\":\"a:1:2: bad\\n  alow\\n  ^\\n\"}}\n",
	    (long long)b.id);
	fd_write_all(b.conn, s, strlen(s));
	assert_int_equal(brig_finish(&b, NULL, &err), 1);
	assert_true(str_starts(err, "a:1:2: bad\n  alow\n  ^\nbrig: "));
}

static void
audit_verify_tells_by_its_status(void **state)
{
	static const struct {
		const char *file;
		int status;
	} files[] = { { "two", 0 }, { "edited", 1 }, { "torn", 2 },
		{ "missing", 3 } };
	const char *src = getenv("BRIG_SRCDIR");
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(files); i++) {
		cleanup_free char *out = NULL;
		cleanup_free char *path = xasprintf("%s/tests/fuzz/corpus/"
						    "audit_verify/%s",
		    src == NULL ? "." : src, files[i].file);
		const char *const args[] = { "audit", "verify", "--file", path,
			NULL };

		brig_start(&b, args);
		assert_int_equal(brig_finish(&b, &out, NULL), files[i].status);
		if (files[i].status == 1)
			assert_non_null(
			    strstr(out, "first bad record 1 at byte 0"));
	}
}

static void
argument_errors_are_one_line_that_helps(void **state)
{
	static const struct {
		const char *args[8];
		int status;
	} bad[] = {
		{ { "frob" }, 64 },
		{ { "--frob", "ps" }, 64 },
		{ { "ps", "extra" }, 64 },
		{ { "ps", "-x" }, 64 },
		{ { "run" }, 125 },
		{ { "run", "-p" }, 125 },
		{ { "run", "-p", "a b", "x" }, 125 },
		{ { "run", "--env", "1x=2", "x" }, 125 },
		{ { "run", "-w", "/nonexistent", "x" }, 125 },
		{ { "run", "\xff" }, 125 },
		{ { "show" }, 64 },
		{ { "show", "j-1", "j-2" }, 64 },
		{ { "kill", "-s", "9x9", "j-1" }, 64 },
		{ { "kill" }, 64 },
		{ { "wait", "x" }, 125 },
		{ { "approve", "j-1" }, 64 },
		{ { "secret" }, 64 },
		{ { "secret", "add", "x" }, 64 },
		{ { "secret", "add", "x", "--host", "a:b:c" }, 64 },
		{ { "secret", "add", "x", "--host", "a", "--surface", "q" },
		    64 },
		{ { "secret", "add", "x", "--host", "a", "value" }, 64 },
		{ { "secret", "add", "x", "--host", "a", "--kind", "q" }, 64 },
		{ { "secret", "add", "x", "--host", "a", "--capture", "/t" },
		    64 },
		{ { "secret", "rotate", "a b" }, 64 },
		{ { "audit" }, 64 },
		{ { "audit", "tail", "-n", "many" }, 64 },
		{ { "audit", "verify", "--expect-head", "x" }, 64 },
	};
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++) {
		cleanup_free char *out = NULL, *err = NULL;
		int status;

		brig_start(&b, bad[i].args);
		status = brig_finish(&b, &out, &err);
		if (status != bad[i].status)
			fail_msg("brig %s %s: exit %d", bad[i].args[0],
			    bad[i].args[1], status);
		assert_string_equal(out, "");
		assert_true(str_starts(err, "brig: "));
		assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
	}
	/* One of them went as far as to connect. */
	close(accept(brig_listener, NULL, NULL));
}

static void
every_command_has_help(void **state)
{
	static const char *const names[] = { "run", "submit", "ps", "show",
		"logs", "wait", "kill", "asks", "approve", "deny", "secret",
		"audit", "status" };
	struct brig b;

	(void)state;
	for (size_t i = 0; i < nitems(names); i++) {
		const char *const args[] = { names[i], "--help", NULL };
		cleanup_free char *out = NULL, *err = NULL;

		brig_start(&b, args);
		assert_int_equal(brig_finish(&b, &out, &err), 0);
		assert_true(str_starts(out, "usage: brig "));
		assert_string_equal(err, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secret_value_goes_in_a_sealed_memfd_only),
		cmocka_unit_test(asks_print_no_raw_byte_of_an_agent),
		cmocka_unit_test(wait_exits_with_the_status_of_the_job),
		cmocka_unit_test(logs_come_from_the_descriptor),
		cmocka_unit_test(policy_mistakes_are_lines_of_their_own),
		cmocka_unit_test(audit_verify_tells_by_its_status),
		cmocka_unit_test(argument_errors_are_one_line_that_helps),
		cmocka_unit_test(every_command_has_help),
	};

	signal(SIGPIPE, SIG_IGN);
	setenv("HOME", "/home/x", 0);
	return cmocka_run_group_tests(
	    tests, brig_group_setup, brig_group_teardown);
}
