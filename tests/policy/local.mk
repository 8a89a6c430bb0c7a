# tests/policy
noinst_LIBRARIES += libpolicytest.a
libpolicytest_a_SOURCES = tests/policy/policytest.c tests/policy/policytest.h

check_PROGRAMS += tests/policy/test_load
TESTS += tests/policy/test_load
tests_policy_test_load_SOURCES = tests/policy/test_load.c
tests_policy_test_load_LDADD = libpolicytest.a libpolicy.a libbase.a \
	$(CMOCKA_LIBS)

EXTRA_DIST += tests/policy/mistakes.policy
EXTRA_DIST += contrib/policies/default.policy contrib/policies/coding.policy \
	contrib/policies/research.policy contrib/policies/ci.policy
