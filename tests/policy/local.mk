# tests/policy
check_LIBRARIES += libpolicytest.a
libpolicytest_a_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
libpolicytest_a_SOURCES = tests/policy/policytest.c tests/policy/policytest.h
POLICY_TEST_LIBS = libpolicytest.a libpolicy.a libbase.a $(CMOCKA_LIBS)

POLICY_TESTS = tests/policy/test_load tests/policy/test_exec \
	tests/policy/test_web tests/policy/test_model
check_PROGRAMS += $(POLICY_TESTS) tests/policy/policy_cmd
TESTS += $(POLICY_TESTS) tests/policy/test_policyfiles.sh

tests_policy_test_load_SOURCES = tests/policy/test_load.c
tests_policy_test_load_LDADD = $(POLICY_TEST_LIBS)
tests_policy_test_exec_SOURCES = tests/policy/test_exec.c
tests_policy_test_exec_LDADD = $(POLICY_TEST_LIBS)
tests_policy_test_web_SOURCES = tests/policy/test_web.c
tests_policy_test_web_LDADD = $(POLICY_TEST_LIBS)
tests_policy_test_model_SOURCES = tests/policy/test_model.c
tests_policy_test_model_LDADD = $(POLICY_TEST_LIBS)

tests_policy_policy_cmd_SOURCES = tests/policy/policy_cmd.c
tests_policy_policy_cmd_LDADD = libcmdpolicy.a libpolicyfiles.a libpolicy.a \
	libbase.a $(JANSSON_LIBS)

EXTRA_DIST += tests/policy/mistakes.policy tests/policy/test_policyfiles.sh
EXTRA_DIST += contrib/policies/default.policy contrib/policies/coding.policy \
	contrib/policies/research.policy contrib/policies/ci.policy

# The corpus of bypasses, and what must stay allowed; README.md has the format.
noinst_PROGRAMS += tests/policy/execprobe
tests_policy_execprobe_SOURCES = tests/policy/execprobe.c
tests_policy_execprobe_LDADD = libbase.a
tests_policy_execprobe_LDFLAGS = $(BRIG_STATIC)
TESTS += tests/policy/bypass.sh tests/policy/allowed.sh
EXTRA_DIST += tests/policy/bypass.sh tests/policy/allowed.sh \
	tests/policy/corpus.sh tests/policy/casefile.py \
	tests/policy/README.md tests/policy/bypass tests/policy/allowed
