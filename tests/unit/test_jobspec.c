/*
 * The description of a job survives the way from process to process, and
 * nothing malformed does.
 */
#include "daemon/jobspec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"

static char profile[] = "coding", sh[] = "sh", arg[] = "two\nlines",
	    env1[] = "A=1", env2[] = "_B2=", dir[] = "/srv/w", term[] = "xterm",
	    host[] = "brig-j-7", stub[] = "TOKEN=ghp_x";
static char *argv[] = { sh, arg, NULL }, *env[] = { env1, env2, NULL },
	    *stubs[] = { stub, NULL };

static void
make(struct shim_spec *s)
{
	*s = (struct shim_spec){ .job = { .job = 7,
				     .uid = 1000,
				     .gid = 1001,
				     .profile = profile,
				     .argv = argv,
				     .env = env,
				     .workspace = dir,
				     .tty = true,
				     .rows = 24,
				     .cols = 80,
				     .term = term },
		.host_uid = 60001,
		.hostname = host,
		.stub_env = stubs };
}

/* Encode s and decode it again. */
static int
through(const struct shim_spec *s, struct shim_spec *out)
{
	struct buf b;
	struct cur c;
	int rc;

	buf_init(&b, 0);
	assert_int_equal(shim_spec_put(&b, s), 0);
	cur_init(&c, buf_head(&b), buf_len(&b));
	rc = shim_spec_get(&c, out);
	if (rc == 0)
		assert_int_equal(cur_end(&c), 0);
	buf_free(&b);
	return rc;
}

static void
round_trip_keeps_everything(void **state)
{
	struct shim_spec s, got;

	make(&s);
	assert_int_equal(through(&s, &got), 0);
	assert_int_equal(got.job.job, 7);
	assert_int_equal(got.job.uid, 1000);
	assert_int_equal(got.job.gid, 1001);
	assert_string_equal(got.job.argv[1], arg);
	assert_null(got.job.argv[2]);
	assert_string_equal(got.job.env[1], env2);
	assert_string_equal(got.job.workspace, dir);
	assert_true(got.job.tty);
	assert_int_equal(got.job.cols, 80);
	assert_int_equal(got.host_uid, 60001);
	assert_string_equal(got.stub_env[0], stub);
	shim_spec_free(&got);
}

static void
truncated_at_any_byte_is_refused(void **state)
{
	struct shim_spec s, got;
	struct buf b;
	struct cur c;

	make(&s);
	buf_init(&b, 0);
	assert_int_equal(shim_spec_put(&b, &s), 0);
	for (size_t n = 0; n < buf_len(&b); n++) {
		cur_init(&c, buf_head(&b), n);
		assert_int_equal(shim_spec_get(&c, &got), -1);
	}
	buf_free(&b);
}

static void
what_no_job_may_be_is_refused(void **state)
{
	char none[] = "", bad_env[] = "A B=1", relative[] = "w",
	     bad_name[] = "../x";
	char *no_argv[] = { NULL }, *empty_argv[] = { none, NULL },
	     *bad_envs[] = { bad_env, NULL };
	struct shim_spec s, got;

	make(&s);
	s.job.job = 0;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.job.argv = no_argv;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.job.argv = empty_argv;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.job.env = bad_envs;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.stub_env = bad_envs;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.job.workspace = relative;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.job.profile = bad_name;
	assert_int_equal(through(&s, &got), -1);
	make(&s);
	s.host_uid = 0;
	assert_int_equal(through(&s, &got), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_keeps_everything),
		cmocka_unit_test(truncated_at_any_byte_is_refused),
		cmocka_unit_test(what_no_job_may_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
