/* What the kernel says of a process, as the status operation shows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/compat.h"
#include "daemon/proc.h"

static void
own_status_is_read(void **state)
{
	struct proc_status st;

	(void)state;
	assert_int_equal(proc_status_read(getpid(), &st), 0);
	assert_int_equal(st.uid, geteuid());
	assert_int_equal(st.gid, getegid());
	assert_true(st.rss_kb > 0);
}

static void
effective_ids_are_what_counts(void **state)
{
	static const char text[] = "Name:\tUid: 5\nUid:\t1\t2\t3\t4\n"
				   "Gid:\t5\t6\t7\t8\nVmRSS:\t  12 kB\n"
				   "CapPrm:\t00000000000000ff\n"
				   "CapEff:\t0000000000000001\n"
				   "NoNewPrivs:\t1\nSeccomp:\t2\n";
	struct proc_status st;

	(void)state;
	assert_int_equal(proc_status_parse(text, &st), 0);
	assert_int_equal(st.uid, 2);
	assert_int_equal(st.gid, 6);
	assert_int_equal(st.caps_effective, 1);
	assert_int_equal(st.caps_permitted, 0xff);
	assert_int_equal(st.seccomp, 2);
	assert_true(st.no_new_privs);
	assert_int_equal(st.rss_kb, 12);
}

static void
incomplete_status_is_no_status(void **state)
{
	struct proc_status st;

	(void)state;
	assert_int_equal(proc_status_parse("Uid:\t0\t0\t0\t0\n", &st), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_status_is_read),
		cmocka_unit_test(effective_ids_are_what_counts),
		cmocka_unit_test(incomplete_status_is_no_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
