RUN_TESTS = tests/inferd/test_kv tests/inferd/test_reference \
	tests/inferd/test_run tests/inferd/test_sample
check_PROGRAMS += $(RUN_TESTS)
TESTS += $(RUN_TESTS)
tests_inferd_test_kv_SOURCES = tests/inferd/test_kv.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_kv_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_run_SOURCES = tests/inferd/test_run.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_run_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_sample_SOURCES = tests/inferd/test_sample.c
tests_inferd_test_sample_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_reference_SOURCES = tests/inferd/test_reference.c
tests_inferd_test_reference_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
