CACHE_TESTS = tests/inferd/test_prefix
check_PROGRAMS += $(CACHE_TESTS)
TESTS += $(CACHE_TESTS)
tests_inferd_test_prefix_SOURCES = tests/inferd/test_prefix.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_prefix_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
