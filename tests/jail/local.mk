# tests/jail

check_PROGRAMS += tests/jail/test_trace
TESTS += tests/jail/test_trace
tests_jail_test_trace_SOURCES = tests/jail/test_trace.c
tests_jail_test_trace_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_jail_test_trace_LDADD = libsandbox.a libbase.a $(CMOCKA_LIBS) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
