/*
 * The control socket: a client that breaks the protocol loses its connection
 * and nothing else; jobs start only when they are on record.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/control.h"
#include "tests/daemon/ctlbox.h"

#define HELLO "{\"v\":1,\"id\":1,\"op\":\"hello\"}"
#define RUN                                                                    \
	"{\"v\":1,\"id\":2,\"op\":\"job.run\",\"argv\":[\"true\"],"            \
	"\"detach\":true}"

static struct box box;

static int
setup(void **state)
{
	(void)state;
	return box_start(&box, false);
}

static int
teardown(void **state)
{
	(void)state;
	box_free(&box);
	return 0;
}

/* The process serves others as before. */
static void
assert_serves(void)
{
	int fd = box_connect(&box, 0);

	assert_true(fd >= 0);
	assert_string_equal(box_error(box_call(&box, fd, HELLO)), "");
	close(fd);
}

/* A request that cannot be granted is answered; the connection stays. */
static void
assert_answered(const char *line)
{
	int fd = box_connect(&box, 0);

	assert_true(fd >= 0);
	box_send(fd, line, strlen(line), NULL, 0);
	assert_string_equal(box_error(box_reply(&box, fd)), "bad_request");
	assert_string_equal(box_error(box_call(&box, fd, HELLO)), "");
	close(fd);
}

/* These bytes get one error and end this connection only. */
static void
assert_refused(const void *p, size_t n)
{
	int other = box_connect(&box, 0), fd = box_connect(&box, 0);

	assert_true(fd >= 0 && other >= 0);
	box_send(fd, p, n, NULL, 0);
	assert_string_equal(box_error(box_reply(&box, fd)), "bad_request");
	assert_true(box_closed(&box, fd));
	assert_string_equal(box_error(box_call(&box, other, HELLO)), "");
	close(fd);
	close(other);
}

static void
malformed_line_ends_only_its_connection(void **state)
{
	static const char *const bad[] = {
		"\n",
		"nonsense\n",
		"[]\n",
		"{\n",
		"{\"v\":1,\"id\":1,\"op\":\"hello\",\"op\":\"hello\"}\n",
		"{\"v\":2,\"id\":1,\"op\":\"hello\"}\n",
		"{\"v\":1,\"id\":\"1\",\"op\":\"hello\"}\n",
		"{\"v\":1,\"id\":1,\"op\":7}\n",
		"{\"v\":1,\"id\":1}\n",
		"{\"v\":1,\"id\":1,\"op\":\"hello\xff\"}\n",
		"{\"v\":1,\"id\":1,\"op\":\"he\\u0000llo\"}\n",
		"{\"v\":1,\"id\":1,\"op\":\"hello\"} {}\n",
	};

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_refused(bad[i], strlen(bad[i]));
}

static void
senseless_request_keeps_its_connection(void **state)
{
	static const char *const bad[] = {
		"{\"v\":1,\"id\":1,\"op\":\"no.such\"}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.show\",\"job\":17}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.show\",\"job\":\"j-0\"}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.show\",\"job\":\"17\"}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.list\",\"all\":1}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":\"true\"}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":[]}\n",
		"{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":[\"a\",1]}\n",
		"{\"v\":1,\"id\":1,\"op\":\"ask.answer\",\"ask\":\"A-1\"}\n",
	};

	(void)state;
	for (size_t i = 0; i < nitems(bad); i++)
		assert_answered(bad[i]);
}

static void
deep_nesting_is_refused_before_parsing(void **state)
{
	size_t n = 900000;
	char *s = malloc(n + 1);

	(void)state;
	assert_non_null(s);
	memset(s, '[', n);
	s[n] = '\n';
	assert_refused(s, n + 1);
	free(s);
}

static void
brackets_in_strings_are_no_nesting(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	assert_string_equal(box_error(box_call(&box, fd,
				"{\"v\":1,\"id\":1,\"op\":\"hello\",\"x\":"
				"\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[[[[[[\"}")),
	    "");
	close(fd);
}

static void
oversize_line_is_refused(void **state)
{
	size_t n = 1200000;
	char *s = malloc(n);

	(void)state;
	assert_non_null(s);
	memset(s, ' ', n);
	assert_refused(s, n);
	free(s);
}

static void
truncated_line_is_forgotten(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box_send(fd, HELLO, 12, NULL, 0);
	box_spin(&box, 20);
	close(fd);
	box_spin(&box, 20);
	assert_serves();
}

static void
line_in_single_bytes_is_the_same(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(HELLO) - 1; i++)
		box_send(fd, &HELLO[i], 1, NULL, 0);
	assert_string_equal(box_error(box_call(&box, fd, "")), "");
	close(fd);
}

static void
client_that_does_not_read_is_cut_off(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	/* Many requests, nothing read: no harm to others. */
	for (int i = 0; i < 20000; i++)
		if (send(fd, HELLO "\n", sizeof(HELLO), MSG_NOSIGNAL) < 0)
			break;
	assert_serves();
	close(fd);
	assert_serves();
}

static void
named_descriptor_must_come(void **state)
{
	static const char line[] =
	    "{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":[\"true\"],"
	    "\"fds\":[\"attach\"]}\n";
	static const char without[] =
	    "{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":[\"true\"]}\n";

	(void)state;
	assert_refused(line, strlen(line));
	assert_answered(without);
}

static void
surplus_descriptor_is_refused(void **state)
{
	int fd = box_connect(&box, 0), null = open("/dev/null", O_RDONLY);

	(void)state;
	box_send(fd, HELLO "\n", sizeof(HELLO), &null, 1);
	assert_string_equal(box_error(box_reply(&box, fd)), "");
	assert_string_equal(box_error(box_reply(&box, fd)), "bad_request");
	assert_true(box_closed(&box, fd));
	close(fd);
	close(null);
	assert_serves();
}

static void
secret_must_be_a_sealed_memfd(void **state)
{
	static const char line[] =
	    "{\"v\":1,\"id\":1,\"op\":\"secret.add\",\"name\":\"gh\","
	    "\"hosts\":[\"api.example:443\"],"
	    "\"surfaces\":[\"header:Authorization\"],\"fds\":[\"value\"]}\n";
	int fd = box_connect(&box, 0), null = open("/dev/null", O_RDONLY);
	int value = fd_memfd("value", "ghp_x", 5);

	(void)state;
	box_send(fd, line, strlen(line), &null, 1);
	assert_string_equal(box_error(box_reply(&box, fd)), "bad_request");
	close(fd);
	fd = box_connect(&box, 0);
	box_send(fd, line, strlen(line), &value, 1);
	assert_string_equal(box_error(box_reply(&box, fd)), "");
	close(fd);
	close(null);
	close(value);
}

/* ---- jobs -------------------------------------------------------------- */

static void
job_starts_after_its_record(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	box.audit_silent = true;
	box_send(fd, RUN "\n", sizeof(RUN), NULL, 0);
	box_spin(&box, 100);
	assert_int_equal(box.ncodes, 1);
	assert_string_equal(box.codes[0], "JB101");
	assert_int_equal(box.starts, 0);
	/* Its end is not an answer either. */
	chan_free(box.audit);
	box.audit = NULL;
	assert_string_equal(box_error(box_reply(&box, fd)), "unavailable");
	assert_int_equal(box.starts, 0);
	close(fd);
}

static void
job_is_not_started_without_a_record(void **state)
{
	int fd = box_connect(&box, 0);
	json_t *r;

	(void)state;
	box.audit_refuses = true;
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "unavailable");
	assert_int_equal(box.starts, 0);
	r = box_call(
	    &box, fd, "{\"v\":1,\"id\":1,\"op\":\"job.show\",\"job\":\"j-1\"}");
	assert_string_equal(
	    json_string_value(json_object_get(
		json_object_get(json_object_get(r, "result"), "job"), "state")),
	    "failed");
	json_decref(r);
	close(fd);
}

static const char wait_line[] =
    "{\"v\":1,\"id\":9,\"op\":\"job.wait\",\"job\":\"j-1\"}\n";

static void
job_lives_and_is_waited_for(void **state)
{
	int fd = box_connect(&box, 0);
	const json_t *job, *end;
	json_t *r;

	(void)state;
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	assert_true(box_until(&box, &box.starts, 1));
	box_job_state(&box, box.started, JOB_RUNNING);
	box_send(fd, wait_line, sizeof(wait_line) - 1, NULL, 0);
	box_spin(&box, 50);
	box_job_state(&box, box.started, JOB_DONE);
	r = box_reply(&box, fd);
	job = json_object_get(json_object_get(r, "result"), "job");
	end = json_object_get(job, "exit");
	assert_string_equal(
	    json_string_value(json_object_get(job, "state")), "done");
	assert_int_equal(json_integer_value(json_object_get(end, "code")), 3);
	assert_string_equal(
	    json_string_value(json_object_get(job, "exec_rules")), "enforced");
	json_decref(r);
	assert_string_equal(box.codes[box.ncodes - 1], "JB201");
	close(fd);
}

static void
waiting_client_may_go(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	box_send(fd, wait_line, sizeof(wait_line) - 1, NULL, 0);
	box_spin(&box, 20);
	close(fd);
	box_spin(&box, 20);
	box_job_state(&box, 1, JOB_DONE);
	box_spin(&box, 20);
	assert_serves();
}

static void
unknown_profile_lists_those_there_are(void **state)
{
	int fd = box_connect(&box, 0);
	json_t *r = box_call(&box, fd,
	    "{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":[\"x\"],"
	    "\"profile\":\"codnig\",\"detach\":true}");
	const char *text = json_string_value(
	    json_object_get(json_object_get(r, "error"), "message"));

	(void)state;
	assert_non_null(text);
	assert_non_null(strstr(text, "coding"));
	assert_non_null(strstr(text, "default"));
	assert_string_equal(box_error(r), "not_found");
	close(fd);
}

static void
open_jobs_are_limited(void **state)
{
	int fd = box_connect(&box, 0);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "unavailable");
	close(fd);
}

static void
ended_job_cannot_be_killed(void **state)
{
	static const char line[] =
	    "{\"v\":1,\"id\":1,\"op\":\"job.kill\",\"job\":\"j-1\","
	    "\"signal\":\"SIGINT\"}";
	int fd = box_connect(&box, 0);

	(void)state;
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	assert_string_equal(box_error(box_call(&box, fd, line)), "");
	box_spin(&box, 20);
	assert_int_equal(box.kill_signal, 2);
	box_job_state(&box, 1, JOB_KILLED);
	box_spin(&box, 20);
	assert_string_equal(box_error(box_call(&box, fd, line)), "failed");
	close(fd);
}

static void
job_killed_while_recorded_does_not_start(void **state)
{
	int fd = box_connect(&box, 0), other = box_connect(&box, 0);

	(void)state;
	box.audit_silent = true;
	box_send(fd, RUN "\n", strlen(RUN) + 1, NULL, 0);
	box_spin(&box, 100);
	assert_string_equal(
	    box_error(box_call(&box, other,
		"{\"v\":1,\"id\":1,\"op\":\"job.kill\",\"job\":\"j-1\"}")),
	    "");
	/* The record of the submission is the first that was asked for. */
	box_audit_ack(&box, 1);
	assert_string_equal(box_error(box_reply(&box, fd)), "unavailable");
	assert_int_equal(box.starts, 0);
	close(fd);
	close(other);
}

static void
restart_keeps_told_jobs_and_loses_the_others(void **state)
{
	int fd = box_connect(&box, 0);
	json_t *r;
	const json_t *jobs;

	(void)state;
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	close(fd);
	box_stop(&box);
	assert_int_equal(box_start(&box, true), 0);
	box_job_state(&box, 2, JOB_RUNNING);
	box_sync(&box);
	box_spin(&box, 300);
	fd = box_connect(&box, 0);
	r = box_call(
	    &box, fd, "{\"v\":1,\"id\":1,\"op\":\"job.list\",\"all\":true}");
	jobs = json_object_get(json_object_get(r, "result"), "jobs");
	assert_int_equal(json_array_size(jobs), 2);
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(jobs, 0), "state")),
	    "running");
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(jobs, 1), "state")),
	    "lost");
	json_decref(r);
	close(fd);
}

/* ---- who --------------------------------------------------------------- */

static void
others_see_and_stop_only_their_own_jobs(void **state)
{
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	fd = box_connect(&box, 0);
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	close(fd);
	fd = box_connect(&box, 1879000777);
	assert_true(fd >= 0);
	assert_string_equal(
	    box_error(box_call(&box, fd,
		"{\"v\":1,\"id\":1,\"op\":\"job.show\",\"job\":\"j-1\"}")),
	    "not_found");
	assert_string_equal(
	    box_error(box_call(&box, fd,
		"{\"v\":1,\"id\":1,\"op\":\"job.kill\",\"job\":\"j-1\"}")),
	    "not_found");
	assert_string_equal(box_error(box_call(&box, fd,
				"{\"v\":1,\"id\":1,\"op\":\"secret.list\"}")),
	    "denied");
	assert_string_equal(box_error(box_call(&box, fd,
				"{\"v\":1,\"id\":1,\"op\":\"audit.open\"}")),
	    "denied");
	assert_string_equal(
	    box_error(box_call(&box, fd,
		"{\"v\":1,\"id\":1,\"op\":\"ask.answer\",\"ask\":\"A-1\","
		"\"allow\":true}")),
	    "denied");
	close(fd);
}

static void
job_users_are_not_served(void **state)
{
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	fd = box_connect(&box, 1879100005);
	assert_true(fd >= 0);
	assert_true(box_closed(&box, fd));
	close(fd);
	assert_serves();
}

static void
foreign_workspace_is_refused(void **state)
{
	static const char line[] =
	    "{\"v\":1,\"id\":1,\"op\":\"job.run\",\"argv\":[\"x\"],"
	    "\"workspace\":\"/etc\",\"detach\":true,"
	    "\"fds\":[\"workspace\"]}\n";
	int fd, ws;

	(void)state;
	if (geteuid() != 0)
		skip();
	ws = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	fd = box_connect(&box, 1879000777);
	box_send(fd, line, strlen(line), &ws, 1);
	assert_string_equal(box_error(box_reply(&box, fd)), "denied");
	assert_int_equal(box.starts, 0);
	close(fd);
	close(ws);
}

/* Each may hold a stage process of those that all users share. */
static void
diffs_of_one_user_are_limited(void **state)
{
	char line[] = "{\"v\":1,\"id\":10,\"op\":\"stage.diff\","
		      "\"job\":\"j-1\"}\n";
	int fd, other;
	json_t *r;

	(void)state;
	if (geteuid() != 0)
		skip();
	fd = box_connect(&box, 1879000777);
	assert_string_equal(box_error(box_call(&box, fd, RUN)), "");
	box_job_state(&box, 1, JOB_DONE);
	box_spin(&box, 20);
	for (unsigned int i = 0; i <= STAGINGS_PER_UID_MAX; i++) {
		line[13] = (char)('0' + i);
		box_send(fd, line, strlen(line), NULL, 0);
	}
	r = box_reply(&box, fd);
	assert_int_equal(json_integer_value(json_object_get(r, "id")),
	    10 + STAGINGS_PER_UID_MAX);
	assert_string_equal(box_error(r), "unavailable");
	assert_int_equal(box.stagings, STAGINGS_PER_UID_MAX);
	/* Those of others are not. */
	other = box_connect(&box, 0);
	box_send(other, line, strlen(line), NULL, 0);
	assert_true(box_until(&box, &box.stagings, STAGINGS_PER_UID_MAX + 1));
	close(other);
	close(fd);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(malformed_line_ends_only_its_connection),
		T(senseless_request_keeps_its_connection),
		T(deep_nesting_is_refused_before_parsing),
		T(brackets_in_strings_are_no_nesting),
		T(oversize_line_is_refused),
		T(truncated_line_is_forgotten),
		T(line_in_single_bytes_is_the_same),
		T(client_that_does_not_read_is_cut_off),
		T(named_descriptor_must_come),
		T(surplus_descriptor_is_refused),
		T(secret_must_be_a_sealed_memfd),
		T(job_starts_after_its_record),
		T(job_is_not_started_without_a_record),
		T(job_lives_and_is_waited_for),
		T(waiting_client_may_go),
		T(unknown_profile_lists_those_there_are),
		T(open_jobs_are_limited),
		T(ended_job_cannot_be_killed),
		T(job_killed_while_recorded_does_not_start),
		T(restart_keeps_told_jobs_and_loses_the_others),
		T(others_see_and_stop_only_their_own_jobs),
		T(job_users_are_not_served),
		T(foreign_workspace_is_refused),
		T(diffs_of_one_user_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
