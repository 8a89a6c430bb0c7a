# Tests of the local model engine.
check_PROGRAMS += tests/inferd/test_model_table
TESTS += tests/inferd/test_model_table
tests_inferd_test_model_table_SOURCES = tests/inferd/test_model_table.c
tests_inferd_test_model_table_LDADD = libgguf.a libbase.a $(CMOCKA_LIBS)
