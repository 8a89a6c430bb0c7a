/* The job store: what is written is read again, by the next process, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/str.h"
#include "daemon/store.h"

#define BOOT "6f1a"
#define LATER_BOOT "0b92"

static char dir[64], path[96];

static int
setup(void **state)
{
	struct error err = { 0 };

	snprintf(dir, sizeof(dir), "/tmp/brig-store-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/jobs.db", dir);
	*state = store_open(path, BOOT, &err);
	return *state == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "jobs.db", "jobs.db-wal",
		"jobs.db-journal" };
	char file[128];

	store_close(*state);
	for (size_t i = 0; i < nitems(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
		unlink(file);
	}
	return rmdir(dir);
}

static uint32_t
add_job(struct store *s, uid_t uid)
{
	char sh[] = "sh", c[] = "-c", cmd[] = "echo 'a\nb'", ws[] = "/home/u";
	char profile[] = "coding";
	char *argv[] = { sh, c, cmd, NULL };
	struct store_job j = {
		.uid = uid,
		.gid = 100,
		.profile = profile,
		.argv = argv,
		.workspace = ws,
		.created = 1700000000,
	};

	assert_int_equal(store_job_add(s, &j, NULL), 0);
	return j.id;
}

static void
job_survives_reopening(void **state)
{
	uint32_t id = add_job(*state, 1000);
	struct store_job j;

	store_close(*state);
	*state = store_open(path, BOOT, NULL);
	assert_non_null(*state);
	assert_int_equal(store_job_get(*state, id, &j, NULL), 1);
	assert_string_equal(j.argv[2], "echo 'a\nb'");
	assert_null(j.argv[3]);
	assert_string_equal(j.workspace, "/home/u");
	assert_false(j.has_exit);
	j.state = JOB_DONE;
	j.ended = 1700000009;
	j.has_exit = true;
	j.exit_kind = EXIT_SIGNAL;
	j.exit_code = 9;
	assert_int_equal(store_job_update(*state, &j, NULL), 0);
	store_job_free(&j);
	assert_int_equal(store_job_get(*state, id, &j, NULL), 1);
	assert_int_equal(j.state, JOB_DONE);
	assert_true(j.has_exit);
	assert_int_equal(j.exit_code, 9);
	store_job_free(&j);
}

static void
job_numbers_are_not_used_again(void **state)
{
	uint32_t a = add_job(*state, 1), b = add_job(*state, 1);

	assert_true(b > a);
	store_close(*state);
	*state = store_open(path, BOOT, NULL);
	assert_true(add_job(*state, 1) > b);
}

/* The number of a job of a process that ends as if killed. */
static uint32_t
number_of_a_crashed(const char *boot)
{
	uint32_t id = 0;
	int p[2], st;
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct store *s = store_open(path, boot, NULL);

		id = s == NULL ? 0 : add_job(s, 1);
		_exit(write(p[1], &id, sizeof(id)) == sizeof(id) ? 0 : 1);
	}
	assert_int_equal(read(p[0], &id, sizeof(id)), sizeof(id));
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	close(p[0]);
	close(p[1]);
	return id;
}

static void
job_numbers_are_not_used_again_after_a_crash(void **state)
{
	uint32_t a = add_job(*state, 1), b, c;

	store_close(*state);
	b = number_of_a_crashed(BOOT);
	assert_int_equal(b, a + 1);
	/* Of the process only: nothing can have been lost. */
	c = number_of_a_crashed(BOOT);
	assert_int_equal(c, b + 1);
	/* Of the machine: later rows than this may have been there. */
	*state = store_open(path, LATER_BOOT, NULL);
	assert_non_null(*state);
	a = add_job(*state, 1);
	assert_true(a > c + 400);
	store_close(*state);
	*state = store_open(path, BOOT, NULL);
	assert_int_equal(add_job(*state, 1), a + 1);
}

static void
jobs_wait_for_their_sync_and_asks_do_not(void **state)
{
	char none[] = "";
	char *lines[] = { NULL };
	struct store_ask a = { .rule = none,
		.name = none,
		.because = none,
		.digest = none,
		.lines = lines };

	assert_false(store_unsynced(*state));
	add_job(*state, 1);
	assert_true(store_unsynced(*state));
	assert_int_equal(store_sync(*state, NULL), 0);
	assert_false(store_unsynced(*state));
	add_job(*state, 1);
	assert_int_equal(store_ask_add(*state, &a, NULL), 0);
	assert_false(store_unsynced(*state));
}

/* The descriptor that the write-ahead log is open as. */
static int
wal_fd(void)
{
	char link[32], to[160], want[160];

	snprintf(want, sizeof(want), "%s-wal", path);
	for (int fd = 3; fd < 64; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, to, sizeof(to) - 1);
		to[n < 0 ? 0 : n] = '\0';
		if (str_eq(to, want))
			return fd;
	}
	return -1;
}

static void
no_job_is_taken_when_one_did_not_get_to_disk(void **state)
{
	char text[] = "x";
	char *argv[] = { text, NULL };
	struct store_job j = {
		.profile = text, .argv = argv, .workspace = text
	};
	struct error err = { 0 };
	int wal, kept, p[2];

	add_job(*state, 1);
	wal = wal_fd();
	assert_true(wal >= 0);
	kept = dup(wal);
	/* A pipe cannot be synced. */
	assert_int_equal(pipe(p), 0);
	assert_int_equal(dup2(p[1], wal), wal);
	assert_int_equal(store_sync(*state, &err), -1);
	assert_int_equal(dup2(kept, wal), wal);
	assert_int_equal(store_job_add(*state, &j, &err), -1);
	assert_int_equal(store_sync(*state, &err), -1);
	close(kept);
	close(p[0]);
	close(p[1]);
}

static void
count_job(const struct store_job *j, void *arg)
{
	unsigned int *n = arg;

	(void)j;
	(*n)++;
}

static void
listing_is_filtered(void **state)
{
	struct store_filter f = { .open_only = true, .one_uid = true };
	struct store_job j;
	unsigned int n = 0;
	uint32_t id;

	add_job(*state, 1);
	id = add_job(*state, 2);
	f.uid = 2;
	assert_int_equal(store_job_list(*state, &f, count_job, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(store_job_get(*state, id, &j, NULL), 1);
	j.state = JOB_LOST;
	assert_int_equal(store_job_update(*state, &j, NULL), 0);
	store_job_free(&j);
	n = 0;
	assert_int_equal(store_job_list(*state, &f, count_job, &n, NULL), 0);
	assert_int_equal(n, 0);
}

static void
missing_row_is_not_found(void **state)
{
	struct store_job j = { .id = 99 };
	struct store_ask a;

	assert_int_equal(store_job_get(*state, 99, &j, NULL), 0);
	assert_int_equal(store_ask_get(*state, 99, &a, NULL), 0);
	assert_int_equal(store_job_update(*state, &j, NULL), -1);
}

static void
ask_survives_reopening(void **state)
{
	char rule[] = "p:3", text[] = "x", digest[] = "00";
	char *lines[] = { text, NULL };
	struct store_ask a = {
		.job = 1,
		.class = 3,
		.rule = rule,
		.name = text,
		.because = text,
		.digest = digest,
		.lines = lines,
		.created = 5,
		.expires = 305,
	};
	struct store_ask b;

	assert_int_equal(store_ask_add(*state, &a, NULL), 0);
	store_close(*state);
	*state = store_open(path, BOOT, NULL);
	assert_int_equal(store_ask_get(*state, a.id, &b, NULL), 1);
	assert_int_equal(b.state, ASK_PENDING);
	assert_string_equal(b.lines[0], "x");
	assert_int_equal(b.expires, 305);
	store_ask_free(&b);
}

static void
damaged_file_is_refused(void **state)
{
	struct error err = { 0 };
	int fd;

	for (int i = 0; i < 50; i++)
		add_job(*state, 1);
	store_close(*state);
	*state = NULL;
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	for (off_t at = 4096; at < 3 * 4096; at += 16)
		assert_int_equal(pwrite(fd, "garbage", 7, at), 7);
	close(fd);
	assert_null(store_open(path, BOOT, &err));
	assert_true(err.msg[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    job_survives_reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    job_numbers_are_not_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    job_numbers_are_not_used_again_after_a_crash, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    jobs_wait_for_their_sync_and_asks_do_not, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    no_job_is_taken_when_one_did_not_get_to_disk, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    listing_is_filtered, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    missing_row_is_not_found, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    ask_survives_reopening, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    damaged_file_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
