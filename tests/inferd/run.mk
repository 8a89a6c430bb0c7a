RUN_TESTS = tests/inferd/test_delta tests/inferd/test_kv \
	tests/inferd/test_mla tests/inferd/test_reference \
	tests/inferd/test_router tests/inferd/test_run tests/inferd/test_sample \
	tests/inferd/test_streams
check_PROGRAMS += $(RUN_TESTS)
TESTS += $(RUN_TESTS)
tests_inferd_test_kv_SOURCES = tests/inferd/test_kv.c \
	tests/inferd/large_pages.h tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_kv_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_router_SOURCES = tests/inferd/test_router.c
tests_inferd_test_router_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_mla_SOURCES = tests/inferd/test_mla.c \
	tests/inferd/layer_run.h tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_mla_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_delta_SOURCES = tests/inferd/test_delta.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_delta_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_streams_SOURCES = tests/inferd/test_streams.c \
	tests/inferd/layer_run.h tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_streams_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_run_SOURCES = tests/inferd/test_run.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_run_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_sample_SOURCES = tests/inferd/test_sample.c
tests_inferd_test_sample_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_reference_SOURCES = tests/inferd/test_reference.c \
	tests/inferd/reference.c tests/inferd/reference.h
tests_inferd_test_reference_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)

# make check-llama: beside llama.cpp, which make bench-infer-peers unpacks.
check_PROGRAMS += tests/inferd/same_logits
tests_inferd_same_logits_SOURCES = tests/inferd/same_logits.c \
	tests/inferd/reference.c tests/inferd/reference.h
tests_inferd_same_logits_LDADD = $(INFERD_LIBS)
EXTRA_DIST += tests/inferd/check-llama.sh tests/inferd/llama_logits.c

check-llama: inferd/inferd-mkmodel tests/inferd/same_logits
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		CC='$(CC)' sh $(top_srcdir)/tests/inferd/check-llama.sh

.PHONY: check-llama
