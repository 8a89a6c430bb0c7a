# Tests of the server.
check_PROGRAMS += tests/inferd/test_confine
TESTS += tests/inferd/test_confine
tests_inferd_test_confine_SOURCES = tests/inferd/test_confine.c
tests_inferd_test_confine_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
