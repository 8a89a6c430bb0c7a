/*
 * The vault written anew: what counts is kept, and whichever file a crash
 * leaves under the name is whole.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/proxy/vault_world.h"

/* All that a vault says, as text. */
static char *
describe(const struct vault *v)
{
	struct buf b = { 0 };
	size_t n = 0;
	char *text;

	buf_printf(&b, "next %u ca %zu", vault_next_id(v),
	    vault_ca_key(v, VAULT_CA) == NULL
		? 0
		: secret_len(vault_ca_key(v, VAULT_CA)));
	(void)vault_ca_cert(v, VAULT_CA, &n);
	buf_printf(&b, " %zu", n);
	for (size_t i = 0; i < vault_count(v); i++) {
		const struct credential *c = vault_at(v, i);

		buf_printf(&b, "; %u %s %s %u %u %d %llu %.*s", c->id, c->name,
		    c->spec.hosts[0].host, c->parent, c->job, c->revoked,
		    (unsigned long long)c->changed, (int)secret_len(c->value),
		    (const char *)secret_bytes(c->value));
	}
	text = xstrndup((const char *)buf_head(&b), buf_len(&b));
	buf_free(&b);
	return text;
}

/* What the file would say after a crash now. */
static void
assert_file_says(int fd, const char *want)
{
	struct buf f;
	struct error err;
	struct vault *v;
	char *text;

	buf_init(&f, 0);
	assert_int_equal(fd_pread_all(fd, &f, 1 << 20), 0);
	v = open_bytes(f.data, f.len, NULL, &err);
	if (v == NULL)
		fail_msg("%s", err.msg);
	text = describe(v);
	assert_string_equal(text, want);
	free(text);
	vault_free(v);
	buf_free(&f);
}

static size_t
size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (size_t)st.st_size;
}

static void
rewriting_keeps_what_counts_and_nothing_else(void **state)
{
	struct error err;
	int fd, fresh = file_of(NULL, 0);
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	char *text;

	(void)state;
	for (unsigned int i = 0; i < STEPS; i++) {
		assert_int_equal(do_step(v, i), 0);
		/* Until a value is removed. */
		assert_int_equal(vault_is_stale(v), i >= 5);
	}
	text = describe(v);
	assert_int_equal(vault_rewrite(v, dup(fresh), master, &err), 0);
	assert_false(vault_is_stale(v));
	assert_file_says(fd, text);
	assert_file_says(fresh, text);
	assert_true(size_of(fresh) < size_of(fd));
	vault_switched(v, true);
	free(text);
	text = describe(v);
	assert_file_says(fresh, text);
	assert_false(vault_is_stale(v));
	free(text);
	vault_free(v);
	/* And the same when it is loaded. */
	v = vault_open(fresh, master, &err);
	assert_non_null(v);
	assert_false(vault_is_stale(v));
	assert_int_equal(vault_next_id(v), 4);
	vault_free(v);
	v = vault_open(fd, master, &err);
	assert_true(vault_is_stale(v));
	vault_free(v);
}

/*
 * Whichever file a crash leaves under the name, it is whole and has all that
 * was acknowledged.
 */
static void
both_files_are_whole_until_it_is_decided(void **state)
{
	for (int renamed = 0; renamed < 2; renamed++) {
		struct error err;
		int fd, fresh = file_of(NULL, 0);
		struct vault *v = open_bytes(NULL, 0, &fd, &err);
		char *text = NULL;

		(void)state;
		for (unsigned int i = 0; i < STEPS; i++) {
			if (i == 3)
				assert_int_equal(
				    vault_rewrite(v, dup(fresh), master, &err),
				    0);
			assert_int_equal(do_step(v, i), 0);
			free(text);
			text = describe(v);
			assert_file_says(fd, text);
			if (i >= 3)
				assert_file_says(fresh, text);
		}
		free(text);
		vault_switched(v, renamed == 1);
		/* From now on one of them has everything. */
		put(v, "last", "last.example", "ghp_ffffffffffffffff");
		text = describe(v);
		assert_file_says(renamed == 1 ? fresh : fd, text);
		/* What was removed meanwhile makes it stale again. */
		assert_true(vault_is_stale(v));
		free(text);
		vault_free(v);
		close(fd);
		close(fresh);
	}
}

static void
a_new_file_that_cannot_be_written_changes_nothing(void **state)
{
	struct error err;
	int fd, fresh = file_of(NULL, 0);
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	char *text;

	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(do_step(v, i), 0);
	text = describe(v);
	/* At once... */
	assert_int_equal(fcntl(fresh, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(vault_rewrite(v, fresh, master, &err), -1);
	assert_file_says(fd, text);
	/* ...or later, when it already counts. */
	fresh = file_of(NULL, 0);
	assert_int_equal(vault_rewrite(v, dup(fresh), master, &err), 0);
	assert_int_equal(fcntl(fresh, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(vault_remove(v, 2, &err), -1);
	assert_file_says(fd, text);
	assert_file_says(fresh, text);
	/* Not before it is decided. */
	assert_int_equal(vault_remove(v, 1, &err), -1);
	vault_switched(v, false);
	assert_int_equal(vault_remove(v, 2, &err), 0);
	free(text);
	text = describe(v);
	free(text);
	vault_free(v);
	v = vault_open(fd, master, &err);
	assert_non_null(v);
	assert_null(vault_by_name(v, "two"));
	vault_free(v);
	close(fresh);
}

static void
half_of_it_dead_makes_it_stale(void **state)
{
	struct error err;
	int fd;
	struct vault *v = open_bytes(NULL, 0, &fd, &err);
	unsigned int n = 0;

	(void)state;
	put(v, "one", "one.example", "ghp_aaaaaaaaaaaaaaaa");
	while (!vault_is_stale(v) && n < 1000) {
		put_captured(v, 1, 7, "tok_aaaaaaaaaaaaaaaa");
		assert_int_equal(vault_forget_job(v, 7, &err), 0);
		n++;
	}
	assert_in_range(size_of(fd), 16384, 17000);
	vault_free(v);
	close(fd);
}

/* A file as the first format had it. */
static void
a_file_of_the_first_format_is_read_and_replaced(void **state)
{
	static const uint8_t old[] = {
#include "tests/proxy/old_vault.h"
	};
	struct error err;
	int fd, fresh = file_of(NULL, 0);
	struct vault *v = open_bytes(old, sizeof(old), &fd, &err);
	char *text;

	(void)state;
	if (v == NULL)
		fail_msg("%s", err.msg);
	assert_int_equal(vault_count(v), 1);
	assert_string_equal(
	    vault_by_name(v, "old")->spec.hosts[0].host, "old.example");
	assert_true(vault_is_stale(v));
	/* It goes on as it is... */
	put(v, "more", "more.example", "ghp_bbbbbbbbbbbbbbbb");
	text = describe(v);
	assert_file_says(fd, text);
	/* ...and into a new one. */
	assert_int_equal(vault_rewrite(v, dup(fresh), master, &err), 0);
	assert_file_says(fresh, text);
	vault_switched(v, true);
	assert_false(vault_is_stale(v));
	free(text);
	vault_free(v);
	close(fd);
	close(fresh);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rewriting_keeps_what_counts_and_nothing_else),
		cmocka_unit_test(both_files_are_whole_until_it_is_decided),
		cmocka_unit_test(
		    a_new_file_that_cannot_be_written_changes_nothing),
		cmocka_unit_test(half_of_it_dead_makes_it_stale),
		cmocka_unit_test(
		    a_file_of_the_first_format_is_read_and_replaced),
	};

	return cmocka_run_group_tests_name(
	    "vault_rewrite", tests, setup, teardown);
}
