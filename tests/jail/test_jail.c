/* The life of a jail as its caller sees it. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/ahead.h"
#include "sandbox/doctor.h"
#include "sandbox/jail.h"

#define ROOT_ONLY()                                                            \
	do {                                                                   \
		if (geteuid() != 0)                                            \
			skip();                                                \
	} while (0)

static char *const sleep_argv[] = { (char[]){ "sleep" }, (char[]){ "1000" },
	NULL };
static char *const true_argv[] = { (char[]){ "true" }, NULL };

static struct jail_config
config(char *const *argv)
{
	return (struct jail_config){ .host_uid = 64322,
		.host_gid = 64322,
		.workspace_fd = -1,
		.ca_fd = -1,
		.trust_fd = -1,
		.image_fd = -1,
		.home_fd = -1,
		.argv = argv,
		.read_default = true,
		.write_default = true,
		.workspace_exec = true,
		.tmp_exec = true,
		.stdio = { -1, -1, -1 } };
}

static int
open_fds(void)
{
	int fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
wait_event(struct jail *j, struct jail_event *ev)
{
	struct pollfd p = { .fd = j->ctl_fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_int_equal(jail_event(j, ev), 1);
}

static void
build_and_destroy_leak_no_descriptor(void **state)
{
	struct jail_config c = config(true_argv);
	struct jail_event ev;
	struct jail j;
	int before;

	ROOT_ONLY();
	before = open_fds();
	assert_int_equal(jail_build(&c, &j, NULL), 0);
	assert_true(j.job_pid > 0 && j.job_pid != j.init_pid);
	assert_int_equal(jail_event(&j, &ev), 0);
	assert_int_equal(jail_go(&j, NULL), 0);
	wait_event(&j, &ev);
	assert_int_equal(ev.kind, JAIL_EXIT);
	assert_int_equal(ev.exit, EXIT_CODE);
	assert_int_equal(ev.code, 0);
	jail_destroy(&j);
	assert_int_equal(open_fds(), before);
}

static void
failure_names_the_step_and_leaves_nothing(void **state)
{
	const struct jail_rule rule = { .pattern = "nowhere/x" };
	struct jail_config c = config(true_argv);
	struct error err = { 0 };
	struct jail j;
	int before;

	ROOT_ONLY();
	before = open_fds();
	c.rules = &rule; /* fails in pid 1 */
	c.nrules = 1;
	assert_int_equal(jail_build(&c, &j, &err), -1);
	assert_true(str_starts(err.msg, "path rule: "));
	assert_int_equal(open_fds(), before);
	c = config(true_argv);
	c.ca_fd = 250; /* fails in the caller */
	assert_int_equal(jail_build(&c, &j, &err), -1);
	assert_true(str_starts(err.msg, "tree: ssl/certs/ca-cert"));
	assert_int_equal(open_fds(), before);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void
root_is_refused(void **state)
{
	struct jail_config c = config(true_argv);
	struct jail j;

	c.host_uid = 0;
	assert_int_equal(jail_build(&c, &j, NULL), -1);
	c = config(true_argv);
	c.host_gid = 0;
	assert_int_equal(jail_build(&c, &j, NULL), -1);
}

static void
workspace_must_be_the_one_that_was_opened(void **state)
{
	struct jail_config c = config(true_argv);
	struct error err = { 0 };
	struct jail j;

	ROOT_ONLY();
	c.workspace = "/var/tmp";
	c.workspace_fd = open("/usr", O_PATH | O_CLOEXEC);
	assert_int_equal(jail_build(&c, &j, &err), -1);
	assert_non_null(strstr(err.msg, "is not the directory"));
	fd_close(&c.workspace_fd);
	c.workspace = "/";
	c.workspace_fd = open("/", O_PATH | O_CLOEXEC);
	assert_int_equal(jail_build(&c, &j, &err), -1);
	fd_close(&c.workspace_fd);
}

static void
signal_reaches_the_workload(void **state)
{
	struct jail_config c = config(sleep_argv);
	struct jail_event ev;
	struct jail j;

	ROOT_ONLY();
	assert_int_equal(jail_build(&c, &j, NULL), 0);
	assert_int_equal(jail_go(&j, NULL), 0);
	assert_int_equal(jail_signal(&j, SIGTERM), 0);
	wait_event(&j, &ev);
	assert_int_equal(ev.kind, JAIL_EXIT);
	assert_int_equal(ev.exit, EXIT_SIGNAL);
	assert_int_equal(ev.code, SIGTERM);
	jail_destroy(&j);
}

static void
kill_of_pid_1_ends_everything(void **state)
{
	struct jail_config c = config(sleep_argv);
	struct jail_event ev;
	struct jail j;
	pid_t job;

	ROOT_ONLY();
	assert_int_equal(jail_build(&c, &j, NULL), 0);
	assert_int_equal(jail_go(&j, NULL), 0);
	job = j.job_pid;
	assert_int_equal(jail_signal(&j, SIGKILL), 0);
	wait_event(&j, &ev);
	assert_int_equal(ev.kind, JAIL_GONE);
	jail_destroy(&j);
	assert_int_equal(kill(job, 0), -1);
}

static void
unstarted_jail_can_be_destroyed(void **state)
{
	struct jail_config c = config(sleep_argv);
	struct jail j;
	pid_t job;

	ROOT_ONLY();
	assert_int_equal(jail_build(&c, &j, NULL), 0);
	job = j.job_pid;
	jail_destroy(&j);
	assert_int_equal(kill(job, 0), -1);
	jail_destroy(&j);
}

static void
tracer_sees_the_first_exec(void **state)
{
	struct jail_config c = config(true_argv);
	struct jail j;
	int st;

	ROOT_ONLY();
	assert_int_equal(jail_build(&c, &j, NULL), 0);
	assert_int_equal(ptrace(PTRACE_SEIZE, j.job_pid, NULL,
			     PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL),
	    0);
	assert_int_equal(jail_go(&j, NULL), 0);
	assert_int_equal(waitpid(j.job_pid, &st, __WALL), j.job_pid);
	assert_int_equal(st >> 8, SIGTRAP | (PTRACE_EVENT_EXEC << 8));
	/* Stopped and traced: destroying must not hang on it. */
	jail_destroy(&j);
}

static void
death_of_the_caller_ends_the_jail(void **state)
{
	struct jail_config c = config(sleep_argv);
	struct jail j;
	int p[2], i;
	pid_t pid, job = 0;

	ROOT_ONLY();
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (jail_build(&c, &j, NULL) < 0 || jail_go(&j, NULL) < 0 ||
		    write(p[1], &j.job_pid, sizeof(j.job_pid)) < 0)
			_exit(1);
		(void)pause();
		_exit(0);
	}
	assert_int_equal(read(p[0], &job, sizeof(job)), sizeof(job));
	assert_int_equal(kill(job, 0), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	for (i = 0; i < 200 && kill(job, 0) == 0; i++)
		(void)usleep(10000);
	assert_int_equal(kill(job, 0), -1);
	fd_close(&p[0]);
	fd_close(&p[1]);
}

static void
root_fd_shows_the_jails_tree(void **state)
{
	struct jail_config c = config(sleep_argv);
	struct stat in, out;
	struct jail j;

	ROOT_ONLY();
	assert_int_equal(jail_build(&c, &j, NULL), 0);
	assert_int_equal(fstatat(j.root_fd, "usr/bin/env", &in, 0), 0);
	assert_int_equal(stat("/usr/bin/env", &out), 0);
	assert_true(in.st_ino == out.st_ino && in.st_dev == out.st_dev);
	assert_int_equal(fstatat(j.root_fd, "root", &in, 0), -1);
	jail_destroy(&j);
}

static void
environment_has_one_entry_per_name(void **state)
{
	char *const given[] = { (char[]){ "HOME=/evil" }, (char[]){ "A=1" },
		(char[]){ "A=2" }, (char[]){ "bad" }, (char[]){ "=x" },
		(char[]){ "PATH=/p" }, NULL };
	struct jail_config c = config(true_argv);
	int home = 0, a = 0, path = 0;
	char **env;
	size_t i;

	c.env = given;
	env = jail_env(&c);
	for (i = 0; env[i] != NULL; i++) {
		home += str_eq(env[i], "HOME=" JAIL_HOME);
		assert_false(str_eq(env[i], "HOME=/evil"));
		assert_non_null(strchr(env[i], '='));
		assert_true(env[i][0] != '=');
		a += str_starts(env[i], "A=");
		path += str_starts(env[i], "PATH=");
	}
	assert_int_equal(home, 1);
	assert_int_equal(a, 1);
	assert_int_equal(path, 1);
	jail_env_free(env);
}

static void
count_fatal(void *arg, const struct doctor_row *row)
{
	assert_true(row->id[0] != '\0' && row->protection[0] != '\0');
	assert_true(row->mechanism[0] != '\0' && row->detail[0] != '\0');
	assert_true(row->state >= DOCTOR_FATAL && row->state <= DOCTOR_NOTE);
	*(int *)arg += row->state == DOCTOR_FATAL;
}

static void
doctor_agrees_that_jails_can_be_built(void **state)
{
	int fatal = 0;
	struct doctor d = { .report = count_fatal, .arg = &fatal };

	ROOT_ONLY();
	d.state_dir = "/var/lib/brig/not/made/yet";
	d.job_uid_base = 64322;
	d.job_uid_count = 10;
	doctor_run(&d);
	assert_int_equal(fatal, 0);
	d.workspace = "/nonexistent";
	doctor_run(&d);
	assert_int_equal(fatal, 1);
}

static bool
fits_with(const struct jail_ahead *a, const char *pattern, bool allow)
{
	struct jail_rule r = { .allow = allow, .pattern = pattern };
	const struct jail_config c = { .ca_fd = -1,
		.trust_fd = -1,
		.image_fd = -1,
		.home_fd = -1,
		.rules = &r,
		.nrules = 1 };

	return ahead_fits(a, &c);
}

static void
a_tree_made_ahead_is_for_those_it_fits(void **state)
{
	const char *const trees[] = { "/opt" };
	struct jail_config c = {
		.ca_fd = -1, .trust_fd = -1, .image_fd = -1, .home_fd = -1
	};
	struct jail_ahead a;
	struct error err = { 0 };

	if (getuid() != 0)
		skip();
	assert_int_equal(ahead_make(&a, -1, -1, &err), 0);
	assert_true(ahead_fits(&a, &c));
	c.image_fd = 0;
	assert_false(ahead_fits(&a, &c));
	c.image_fd = -1;
	c.ca_fd = 0;
	assert_false(ahead_fits(&a, &c));
	c.ca_fd = -1;
	c.trees = trees;
	c.ntrees = 1;
	assert_false(ahead_fits(&a, &c));
	assert_true(fits_with(&a, "/usr/**", true));
	assert_true(fits_with(&a, "workspace/**", true));
	assert_true(fits_with(&a, "/etc/shadow", false));
	assert_false(fits_with(&a, "/etc/shadow", true));
	assert_false(fits_with(&a, "/us*/local", true));
	assert_false(fits_with(&a, "/opt/**", true));
	ahead_close(&a);
	assert_false(ahead_fits(&a, &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(build_and_destroy_leak_no_descriptor),
		cmocka_unit_test(failure_names_the_step_and_leaves_nothing),
		cmocka_unit_test(root_is_refused),
		cmocka_unit_test(workspace_must_be_the_one_that_was_opened),
		cmocka_unit_test(signal_reaches_the_workload),
		cmocka_unit_test(kill_of_pid_1_ends_everything),
		cmocka_unit_test(unstarted_jail_can_be_destroyed),
		cmocka_unit_test(tracer_sees_the_first_exec),
		cmocka_unit_test(death_of_the_caller_ends_the_jail),
		cmocka_unit_test(root_fd_shows_the_jails_tree),
		cmocka_unit_test(environment_has_one_entry_per_name),
		cmocka_unit_test(a_tree_made_ahead_is_for_those_it_fits),
		cmocka_unit_test(doctor_agrees_that_jails_can_be_built),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
