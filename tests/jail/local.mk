# The jail, from the inside and from the outside.
JAIL_LIBS = libsandbox.a libbase.a $(SECCOMP_LIBS) $(CAP_LIBS)

noinst_PROGRAMS += tests/jail/brig-jailtest
tests_jail_brig_jailtest_SOURCES = tests/jail/jailtest.c
tests_jail_brig_jailtest_LDADD = $(JAIL_LIBS) $(MD_LIBS)
check_PROGRAMS += tests/jail/probe
tests_jail_probe_SOURCES = tests/jail/probe.c
TESTS += tests/jail/ahead.sh tests/jail/jail.sh tests/jail/stage.sh \
	tests/jail/tree.sh tests/jail/home.sh tests/jail/image.sh
EXTRA_DIST += tests/jail/lib.sh tests/jail/ahead.sh tests/jail/jail.sh \
	tests/jail/stage.sh tests/jail/tree.sh tests/jail/home.sh \
	tests/jail/image.sh

# Also compiled for the other machine, by tests/arm64/check-arm64.sh.
check_PROGRAMS += tests/jail/stub
tests_jail_stub_SOURCES = tests/jail/stub.c
tests_jail_stub_LDADD = libsandbox.a libbase.a
TESTS += tests/jail/stub.sh
EXTRA_DIST += tests/jail/stub.sh

check_PROGRAMS += tests/jail/whatcanisee
tests_jail_whatcanisee_SOURCES = tests/jail/whatcanisee.c
tests_jail_whatcanisee_LDADD = libbase.a
TESTS += tests/jail/whatcanisee.sh
EXTRA_DIST += tests/jail/whatcanisee.sh tests/jail/whatcanisee.expected

check_PROGRAMS += tests/jail/test_trace tests/jail/test_trace_hard \
	tests/jail/test_trace_attack
TESTS += tests/jail/test_trace tests/jail/test_trace_hard \
	tests/jail/test_trace_attack
tests_jail_test_trace_SOURCES = tests/jail/test_trace.c \
	tests/jail/trace_world.c tests/jail/trace_world.h tests/jail/bound.h
tests_jail_test_trace_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_trace_LDADD = libsandbox.a libbase.a $(CMOCKA_LIBS) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_jail_test_trace_hard_SOURCES = tests/jail/test_trace_hard.c \
	tests/jail/trace_world.c tests/jail/trace_world.h tests/jail/bound.h
tests_jail_test_trace_hard_CPPFLAGS = $(tests_jail_test_trace_CPPFLAGS)
tests_jail_test_trace_hard_LDADD = $(tests_jail_test_trace_LDADD)
tests_jail_test_trace_attack_SOURCES = tests/jail/test_trace_attack.c \
	tests/jail/trace_world.c tests/jail/trace_world.h tests/jail/bound.h
tests_jail_test_trace_attack_CPPFLAGS = $(tests_jail_test_trace_CPPFLAGS)
tests_jail_test_trace_attack_LDADD = $(tests_jail_test_trace_LDADD)

# Runs brig-shim; needs root.
check_PROGRAMS += tests/jail/test_shim
TESTS += tests/jail/test_shim
tests_jail_test_shim_SOURCES = tests/jail/test_shim.c \
	tests/jail/shim_world.c tests/jail/shim_world.h tests/jail/bound.h \
	daemon/jobspec.c
tests_jail_test_shim_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_shim_LDADD = libpolicy.a $(JAIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/jail/test_shim_script
TESTS += tests/jail/test_shim_script
tests_jail_test_shim_script_SOURCES = tests/jail/test_shim_script.c \
	tests/jail/shim_world.c tests/jail/shim_world.h tests/jail/bound.h \
	daemon/jobspec.c
tests_jail_test_shim_script_CPPFLAGS = $(tests_jail_test_shim_CPPFLAGS)
tests_jail_test_shim_script_LDADD = $(tests_jail_test_shim_LDADD)

check_PROGRAMS += tests/jail/test_tally
TESTS += tests/jail/test_tally
tests_jail_test_tally_SOURCES = tests/jail/test_tally.c daemon/shim_tally.c
tests_jail_test_tally_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_tally_LDADD = libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/jail/test_pathwalk
TESTS += tests/jail/test_pathwalk
tests_jail_test_pathwalk_SOURCES = tests/jail/test_pathwalk.c
tests_jail_test_pathwalk_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_pathwalk_LDADD = $(JAIL_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/jail/test_jail
TESTS += tests/jail/test_jail
tests_jail_test_jail_SOURCES = tests/jail/test_jail.c
tests_jail_test_jail_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_jail_LDADD = $(JAIL_LIBS) $(CMOCKA_LIBS)

# Makes and removes groups below its own as root.
check_PROGRAMS += tests/jail/test_cgroup
TESTS += tests/jail/test_cgroup
tests_jail_test_cgroup_SOURCES = tests/jail/test_cgroup.c
tests_jail_test_cgroup_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_cgroup_LDADD = libsandbox.a libbase.a $(CMOCKA_LIBS)

# The table of system calls, and what jails make of it.
check_PROGRAMS += tests/jail/brig-calls
tests_jail_brig_calls_SOURCES = tests/jail/calls.c sandbox/calltab.c
tests_jail_brig_calls_LDADD = libbase.a
tests_jail_brig_calls_LDFLAGS = $(AM_LDFLAGS) -pthread
TESTS += tests/jail/calls.sh tests/jail/nested.sh
EXTRA_DIST += tests/jail/calls.sh tests/jail/nested.sh

check_PROGRAMS += tests/jail/test_calltab
TESTS += tests/jail/test_calltab
tests_jail_test_calltab_SOURCES = tests/jail/test_calltab.c sandbox/calltab.c
tests_jail_test_calltab_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	$(SECCOMP_CFLAGS)
tests_jail_test_calltab_LDADD = libbase.a $(CMOCKA_LIBS) $(SECCOMP_LIBS)

check_PROGRAMS += tests/jail/test_landlock
TESTS += tests/jail/test_landlock
tests_jail_test_landlock_SOURCES = tests/jail/test_landlock.c
tests_jail_test_landlock_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_landlock_LDADD = libsandbox.a libbase.a $(CMOCKA_LIBS)
