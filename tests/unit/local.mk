# Unit tests of the base library, and checks on the sources themselves.
UNIT_LIST = tests/unit/test_buf tests/unit/test_msg tests/unit/test_secret \
	tests/unit/test_str
check_PROGRAMS += $(UNIT_LIST)
TESTS += $(UNIT_LIST)

tests_unit_test_buf_SOURCES = tests/unit/test_buf.c
tests_unit_test_buf_LDADD = libbase.a -lcmocka
tests_unit_test_msg_SOURCES = tests/unit/test_msg.c
tests_unit_test_msg_LDADD = libbase.a -lcmocka
tests_unit_test_secret_SOURCES = tests/unit/test_secret.c
tests_unit_test_secret_LDADD = libbase.a -lcmocka
tests_unit_test_str_SOURCES = tests/unit/test_str.c
tests_unit_test_str_LDADD = libbase.a -lcmocka

TESTS += tests/unit/sources.sh
EXTRA_DIST += tests/unit/sources.sh

check_PROGRAMS += tests/unit/test_self
TESTS += tests/unit/test_self
tests_unit_test_self_SOURCES = tests/unit/test_self.c
tests_unit_test_self_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_self_LDADD = libsandbox.a libbase.a $(CMOCKA_LIBS) \
	$(SECCOMP_LIBS) $(CAP_LIBS)

check_PROGRAMS += tests/unit/test_jobspec
TESTS += tests/unit/test_jobspec
tests_unit_test_jobspec_SOURCES = tests/unit/test_jobspec.c daemon/jobspec.c
tests_unit_test_jobspec_LDADD = libbase.a -lcmocka
