# Tests of the local model engine.
check_PROGRAMS += tests/inferd/test_model_table
TESTS += tests/inferd/test_model_table
tests_inferd_test_model_table_SOURCES = tests/inferd/test_model_table.c
tests_inferd_test_model_table_LDADD = libgguf.a libbase.a $(CMOCKA_LIBS)

GGUF_TESTS = tests/inferd/test_gguf tests/inferd/test_gguf_low_rank \
	tests/inferd/test_gguf_mixed tests/inferd/test_gguf_state tests/inferd/test_gguf_streams
check_PROGRAMS += $(GGUF_TESTS)
TESTS += $(GGUF_TESTS)
tests_inferd_test_gguf_SOURCES = tests/inferd/test_gguf.c \
	tests/inferd/gguf_change.h tests/inferd/gguf_run.h
tests_inferd_test_gguf_LDADD = libgguf.a libbase.a $(MD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_gguf_low_rank_SOURCES = tests/inferd/test_gguf_low_rank.c \
	tests/inferd/gguf_change.h tests/inferd/gguf_run.h
tests_inferd_test_gguf_low_rank_LDADD = libgguf.a libbase.a $(MD_LIBS) \
	$(CMOCKA_LIBS)
tests_inferd_test_gguf_streams_SOURCES = tests/inferd/test_gguf_streams.c \
	tests/inferd/gguf_change.h tests/inferd/gguf_run.h
tests_inferd_test_gguf_streams_LDADD = libgguf.a libbase.a $(MD_LIBS) \
	$(CMOCKA_LIBS)
tests_inferd_test_gguf_mixed_SOURCES = tests/inferd/test_gguf_mixed.c \
	tests/inferd/gguf_change.h tests/inferd/gguf_run.h
tests_inferd_test_gguf_mixed_LDADD = libgguf.a libbase.a $(MD_LIBS) \
	$(CMOCKA_LIBS)

tests_inferd_test_gguf_state_SOURCES = tests/inferd/test_gguf_state.c \
	tests/inferd/gguf_change.h tests/inferd/gguf_run.h
tests_inferd_test_gguf_state_LDADD = libgguf.a libbase.a $(MD_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_model_load
TESTS += tests/inferd/test_model_load
tests_inferd_test_model_load_SOURCES = tests/inferd/test_model_load.c \
	tests/inferd/gguf_run.h
tests_inferd_test_model_load_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_quantise
TESTS += tests/inferd/test_quantise
tests_inferd_test_quantise_SOURCES = tests/inferd/test_quantise.c
tests_inferd_test_quantise_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_mkmodel
TESTS += tests/inferd/test_mkmodel
tests_inferd_test_mkmodel_SOURCES = tests/inferd/test_mkmodel.c
tests_inferd_test_mkmodel_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)

TESTS += tests/inferd/mkmodel.sh tests/inferd/cli.sh
EXTRA_DIST += tests/inferd/mkmodel.sh tests/inferd/cli.sh

include tests/inferd/kern.mk
include tests/inferd/chat.mk
include tests/inferd/run.mk
include tests/inferd/engine.mk
include tests/inferd/cache.mk
include tests/inferd/serve.mk
include tests/inferd/compl.mk
include tests/inferd/server.mk
