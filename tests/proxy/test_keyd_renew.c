/*
 * keyd has its vault written anew: the test is the parent that makes the file
 * and gives it the name, and that is killed, or kills keyd, at every step.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "tests/proxy/keyd_world.h"

static const struct add second = { "second", "b.example", 443, SURFACE_HEADER,
	"X-Key", "", "" };
static const struct add third = { "third", "c.example", 443, SURFACE_HEADER,
	"X-Key", "", "" };

static size_t
size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (size_t)st.st_size;
}

/* github stays; second was removed, so that its value is to go. */
static void
ready(struct world *w)
{
	world_ready(w);
	add(w, &second, VALUE2);
	send_named(w, M_SECRET_RM, "second", -1);
	expect_audit(w, "KY204", true);
	expect_done(w, true, "");
	raw_expect(&w->parent, M_VAULT_STALE);
	assert_int_equal(cur_end(&w->parent.body), 0);
}

/* Returns the file that keyd writes. */
static int
give_file(struct world *w)
{
	int fd = memfd_create("fresh", MFD_CLOEXEC);

	assert_true(fd >= 0);
	send_open(w, KEYD_KEY, key_fd("0123456789abcdef0123456789abcdef", 32));
	send_open(w, KEYD_FRESH, dup(fd));
	return fd;
}

static void
send_renamed(struct world *w, bool ok)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	raw_send(&w->parent, M_VAULT_RENAMED, 0, 0, &b, -1);
}

static void
expect_written(struct world *w, bool ok)
{
	raw_expect(&w->parent, M_VAULT_WRITTEN);
	assert_int_equal(cur_bool(&w->parent.body), ok);
	assert_int_equal(cur_end(&w->parent.body), 0);
}

static void
kill_keyd(struct world *w)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	raw_close(&w->parent);
	raw_close(&w->control);
	raw_close(&w->audit);
	raw_close(&w->front);
	raw_close(&w->back);
}

/* A keyd on that file has these secrets and no others, and the same stub. */
static void
assert_has(struct world *w, int vault, const char *const *names, size_t n)
{
	char stub[256], name[P_NAME_MAX + 1];
	struct row rows[8];

	w->vault = vault;
	strlcpy(stub, w->stub, sizeof(stub));
	world_start(w);
	raw_send(&w->control, M_SECRET_LIST, 0, 13, NULL, -1);
	raw_expect(&w->control, M_SECRET_LISTED);
	assert_int_equal(cur_u32(&w->control.body), n);
	for (size_t i = 0; i < n; i++) {
		struct cred_spec spec;
		char fp[32];

		cur_str_into(&w->control.body, name, sizeof(name));
		assert_string_equal(name, names[i]);
		assert_int_equal(cred_spec_get(&w->control.body, &spec), 0);
		cur_str_into(&w->control.body, fp, sizeof(fp));
		cur_bool(&w->control.body);
		cur_u64(&w->control.body);
		cur_u64(&w->control.body);
		cur_u32(&w->control.body);
	}
	job_open(w, 7, 'n', "coding");
	raw_expect(&w->parent, M_JOB_STUBS);
	assert_int_equal(expect_bindings(w, rows, 8), n);
	assert_string_equal(rows[0].stub, stub);
	world_stop(w);
}

static const char *const one[] = { "github" };
static const char *const two[] = { "github", "third" };

static void
a_removed_value_leaves_the_file(void **state)
{
	struct world w;
	int fresh, old;

	(void)state;
	ready(&w);
	old = w.vault;
	fresh = give_file(&w);
	expect_written(&w, true);
	assert_true(size_of(fresh) < size_of(old));
	send_renamed(&w, true);
	/* From now on the new one is written, and it alone. */
	size_t before = size_of(old);
	add(&w, &third, VALUE2);
	assert_int_equal(size_of(old), before);
	world_stop(&w);
	assert_has(&w, fresh, two, 2);
	close(old);
	close(fresh);
}

static void
a_change_in_between_is_in_both_files(void **state)
{
	struct world w;
	int fresh, old;

	(void)state;
	ready(&w);
	old = w.vault;
	fresh = give_file(&w);
	expect_written(&w, true);
	add(&w, &third, VALUE2);
	/* Neither of them is told which one it is. */
	kill_keyd(&w);
	assert_has(&w, fresh, two, 2);
	assert_has(&w, old, two, 2);
	close(old);
	close(fresh);
}

static void
killed_at_any_step_it_loses_nothing(void **state)
{
	(void)state;
	for (int at = 0; at < 4; at++) {
		struct world w;
		int fresh = -1, old;

		ready(&w);
		old = w.vault;
		if (at >= 1)
			fresh = give_file(&w);
		if (at >= 2)
			expect_written(&w, true);
		if (at >= 3)
			send_renamed(&w, true);
		kill_keyd(&w);
		/* The name is the old file's until the parent renames. */
		assert_has(&w, old, one, 1);
		if (at >= 2)
			assert_has(&w, fresh, one, 1);
		close(old);
		if (fresh >= 0)
			close(fresh);
	}
}

static void
changes_without_end_do_not_put_it_off(void **state)
{
	struct world w;
	struct row rows[4];
	bool asked = false;

	(void)state;
	world_ready(&w);
	for (int i = 0; i < 100 && !asked; i++) {
		send_named(&w, M_SECRET_ROTATE, "github",
		    value_fd(i % 2 == 0 ? VALUE2 : VALUE));
		expect_audit(&w, "KY202", true);
		raw_expect(&w.back, M_CRED_REVOKED);
		expect_bindings(&w, rows, 4);
		expect_done(&w, true, "");
		if (raw_next(&w.parent, 200) == 0)
			asked = w.parent.type == M_VAULT_STALE;
	}
	assert_true(asked);
	world_free(&w);
}

static void
without_a_file_it_goes_on(void **state)
{
	struct world w;
	int fresh, old;

	(void)state;
	ready(&w);
	old = w.vault;
	send_renamed(&w, false);
	add(&w, &third, VALUE2);
	/* After the next change it asks again; what could not be renamed... */
	raw_expect(&w.parent, M_VAULT_STALE);
	fresh = give_file(&w);
	expect_written(&w, true);
	send_renamed(&w, false);
	close(fresh);
	/* ...or is not empty is not used. */
	send_named(&w, M_SECRET_RM, "third", -1);
	expect_audit(&w, "KY204", true);
	expect_done(&w, true, "");
	raw_expect(&w.parent, M_VAULT_STALE);
	send_open(&w, KEYD_KEY, key_fd("0123456789abcdef0123456789abcdef", 32));
	fresh = memfd_create("fresh", MFD_CLOEXEC);
	assert_int_equal(write(fresh, "something", 9), 9);
	send_open(&w, KEYD_FRESH, fresh);
	expect_written(&w, false);
	send_renamed(&w, false);
	world_stop(&w);
	assert_has(&w, old, one, 1);
	close(old);
}

static void
a_file_unasked_for_ends_the_channel(void **state)
{
	struct world w;

	(void)state;
	world_ready(&w);
	send_open(&w, KEYD_FRESH, memfd_create("fresh", MFD_CLOEXEC));
	assert_int_not_equal(raw_wait(w.pid), -1);
	close(w.vault);
	raw_close(&w.parent);
	raw_close(&w.control);
	raw_close(&w.audit);
	raw_close(&w.front);
	raw_close(&w.back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_removed_value_leaves_the_file),
		cmocka_unit_test(a_change_in_between_is_in_both_files),
		cmocka_unit_test(killed_at_any_step_it_loses_nothing),
		cmocka_unit_test(changes_without_end_do_not_put_it_off),
		cmocka_unit_test(without_a_file_it_goes_on),
		cmocka_unit_test(a_file_unasked_for_ends_the_channel),
	};

	return cmocka_run_group_tests_name("keyd_renew", tests, NULL, NULL);
}
