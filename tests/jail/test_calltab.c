/* The table of system calls: what its reader takes, and its numbers. */
#include <errno.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "sandbox/calltab.h"

static char table[256];

static int
read_text(const char *text, struct calltab *t, struct error *err)
{
	cleanup_fd int fd = memfd_create("table", MFD_CLOEXEC);
	char path[64];

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return calltab_read(t, path, err);
}

static void
numbers_are_those_that_libseccomp_knows(void **state)
{
	static const struct {
		uint32_t arch;
		int column;
	} archs[] = { { SCMP_ARCH_X86_64, 0 }, { SCMP_ARCH_AARCH64, 1 } };
	unsigned int known = 0;
	struct error err = { 0 };
	struct calltab t;

	assert_int_equal(calltab_read(&t, table, &err), 0);
	for (size_t i = 0; i < t.ncalls; i++)
		for (size_t j = 0; j < nitems(archs); j++) {
			int nr = seccomp_syscall_resolve_name_arch(
			    archs[j].arch, t.calls[i].name);

			if (nr < 0)
				continue;
			known++;
			if (nr != t.calls[i].nr[archs[j].column])
				fail_msg("%s is %d", t.calls[i].name, nr);
		}
	assert_true(known > 600);
	calltab_free(&t);
}

/* And the other way round: libseccomp knows none that the table lacks. */
static void
no_call_is_missing(void **state)
{
	static const uint32_t archs[] = { SCMP_ARCH_X86_64, SCMP_ARCH_AARCH64 };
	struct error err = { 0 };
	struct calltab t;

	assert_int_equal(calltab_read(&t, table, &err), 0);
	for (size_t j = 0; j < nitems(archs); j++)
		for (int nr = 0; nr < 600; nr++) {
			char *name =
			    seccomp_syscall_resolve_num_arch(archs[j], nr);
			bool found = name == NULL;

			for (size_t i = 0; i < t.ncalls && !found; i++)
				found = t.calls[i].nr[j] == nr;
			if (!found)
				fail_msg("%s (%d)", name, nr);
			free(name);
		}
	calltab_free(&t);
}

static void
refusal_counts_before_permission(void **state)
{
	uint64_t a[CALL_ARGS_MAX] = { 5, 1 };
	struct error err = { 0 };
	struct calltab t;

	assert_int_equal(read_text("x 1 2 args args EPERM why\n"
				   "| 0=5 allow allow allow\n"
				   "| 0=5 1&1=1 EPERM allow allow\n"
				   "| 1=7..9 EIO EIO EIO\n"
				   "| else ENOSYS ENOSYS ENOSYS\n",
			     &t, &err),
	    0);
	assert_int_equal(t.calls[0].nrules, 5);
	assert_int_equal(call_answer(&t.calls[0], CALL_DEFAULT, a), EPERM);
	assert_int_equal(call_answer(&t.calls[0], CALL_STRICT, a), CALL_ALLOW);
	assert_int_equal(call_answer(&t.calls[0], CALL_NESTED, a), EPERM);
	a[0] |= 1ULL << 40;
	a[1] = 0;
	assert_int_equal(call_answer(&t.calls[0], CALL_DEFAULT, a), CALL_ALLOW);
	a[1] = 8;
	assert_int_equal(call_answer(&t.calls[0], CALL_DEFAULT, a), EIO);
	a[0] = a[1] = 0;
	assert_int_equal(call_answer(&t.calls[0], CALL_DEFAULT, a), ENOSYS);
	calltab_free(&t);
}

static void
bad_tables_are_refused(void **state)
{
	static const char *const bad[] = {
		"x 1 2 allow allow\n",
		"x 1 2 allow allow ENOTHING\n",
		"x one 2 allow allow allow\n",
		"x 1 2 allow allow allow\nx 3 4 allow allow allow\n",
		"x 1 2 allow allow allow\ny 1 3 allow allow allow\n",
		"| 0=1 allow allow allow\n",
		"x 1 2 args args args\n| 9=1 allow allow allow\n",
		"x 1 2 args args args\n| 0&1=2 allow allow allow\n",
		"x 1 2 args args args\n| 0=2..1 allow allow allow\n",
		"x 1 2 args args args\n| 0=1 1=2..3 allow allow allow\n",
		"x 1 2 args args args\n| else EPERM allow allow\n",
		"x 1 2 args allow allow\n",
	};

	for (size_t i = 0; i < nitems(bad); i++) {
		struct error err = { 0 };
		struct calltab t;

		if (read_text(bad[i], &t, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_true(err.msg[0] != '\0');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_that_libseccomp_knows),
		cmocka_unit_test(no_call_is_missing),
		cmocka_unit_test(refusal_counts_before_permission),
		cmocka_unit_test(bad_tables_are_refused),
	};
	const char *src = getenv("BRIG_SRCDIR");

	(void)snprintf(table, sizeof(table), "%s/sandbox/syscalls.tab",
	    src != NULL ? src : ".");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
