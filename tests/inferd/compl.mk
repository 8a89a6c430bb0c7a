# Completions, and what is kept of them.
COMPL_TESTS = tests/inferd/test_completion \
	tests/inferd/test_completion_schema tests/inferd/test_replay \
	tests/inferd/test_record tests/inferd/test_steer \
	tests/inferd/test_call_loop
check_PROGRAMS += $(COMPL_TESTS)
TESTS += $(COMPL_TESTS)
tests_inferd_test_completion_schema_SOURCES = \
	tests/inferd/test_completion_schema.c tests/inferd/completion_rig.h \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h
tests_inferd_test_completion_schema_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_completion_SOURCES = tests/inferd/test_completion.c \
	tests/inferd/completion_rig.h \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h
tests_inferd_test_completion_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_replay_SOURCES = tests/inferd/test_replay.c \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h
tests_inferd_test_replay_LDADD = libchat.a libproxy.a libbase.a $(CMOCKA_LIBS)
tests_inferd_test_call_loop_SOURCES = tests/inferd/test_call_loop.c
tests_inferd_test_call_loop_LDADD = libchat.a libproxy.a libbase.a \
	$(CMOCKA_LIBS)
tests_inferd_test_steer_SOURCES = tests/inferd/test_steer.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_steer_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_record_SOURCES = tests/inferd/test_record.c \
	tests/inferd/engine_world.c tests/inferd/engine_world.h
tests_inferd_test_record_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)
