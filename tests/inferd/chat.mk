# Tokenizers, prompts and answers.
check_PROGRAMS += tests/inferd/test_unicode
TESTS += tests/inferd/test_unicode
tests_inferd_test_unicode_SOURCES = tests/inferd/test_unicode.c
tests_inferd_test_unicode_LDADD = libchat.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_tok_pre
TESTS += tests/inferd/test_tok_pre
tests_inferd_test_tok_pre_SOURCES = tests/inferd/test_tok_pre.c
tests_inferd_test_tok_pre_LDADD = libchat.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_tok
TESTS += tests/inferd/test_tok
tests_inferd_test_tok_SOURCES = tests/inferd/test_tok.c \
	tests/inferd/vocab_file.c tests/inferd/vocab_file.h \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h
tests_inferd_test_tok_LDADD = libchat.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_template
TESTS += tests/inferd/test_template
tests_inferd_test_template_SOURCES = tests/inferd/test_template.c \
	tests/inferd/template_golden.h \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h
tests_inferd_test_template_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_toolcall
TESTS += tests/inferd/test_toolcall
tests_inferd_test_toolcall_SOURCES = tests/inferd/test_toolcall.c
tests_inferd_test_toolcall_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_api_read
TESTS += tests/inferd/test_api_read
tests_inferd_test_api_read_SOURCES = tests/inferd/test_api_read.c \
	tests/inferd/api_run.c tests/inferd/api_run.h
tests_inferd_test_api_read_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_api_history
TESTS += tests/inferd/test_api_history
tests_inferd_test_api_history_SOURCES = tests/inferd/test_api_history.c \
	tests/inferd/api_run.c tests/inferd/api_run.h
tests_inferd_test_api_history_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_api_write
TESTS += tests/inferd/test_api_write
tests_inferd_test_api_write_SOURCES = tests/inferd/test_api_write.c \
	tests/inferd/api_run.c tests/inferd/api_run.h \
	tests/inferd/api_answer.h
tests_inferd_test_api_write_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_api_ends
TESTS += tests/inferd/test_api_ends
tests_inferd_test_api_ends_SOURCES = tests/inferd/test_api_ends.c \
	tests/inferd/api_run.c tests/inferd/api_run.h \
	tests/inferd/api_answer.h
tests_inferd_test_api_ends_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_schema
TESTS += tests/inferd/test_schema
tests_inferd_test_schema_SOURCES = tests/inferd/test_schema.c
tests_inferd_test_schema_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_mask
TESTS += tests/inferd/test_mask
tests_inferd_test_mask_SOURCES = tests/inferd/test_mask.c \
	tests/inferd/vocab_file.c tests/inferd/vocab_file.h
tests_inferd_test_mask_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_draft
TESTS += tests/inferd/test_draft
tests_inferd_test_draft_SOURCES = tests/inferd/test_draft.c
tests_inferd_test_draft_LDADD = libchat.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_schema_random
TESTS += tests/inferd/test_schema_random
tests_inferd_test_schema_random_SOURCES = tests/inferd/test_schema_random.c
tests_inferd_test_schema_random_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)
