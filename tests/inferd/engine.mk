# Tests of the engine thread and what it goes by.
ENGINE_TESTS = tests/inferd/test_agent tests/inferd/test_engine \
	tests/inferd/test_guess tests/inferd/test_ledger \
	tests/inferd/test_sched tests/inferd/test_worker
check_PROGRAMS += $(ENGINE_TESTS)
TESTS += $(ENGINE_TESTS)
tests_inferd_test_agent_SOURCES = tests/inferd/test_agent.c
tests_inferd_test_agent_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_ledger_SOURCES = tests/inferd/test_ledger.c
tests_inferd_test_ledger_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_sched_SOURCES = tests/inferd/test_sched.c
tests_inferd_test_sched_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_worker_SOURCES = tests/inferd/test_worker.c \
	tests/inferd/engine_world.c tests/inferd/engine_world.h \
	tests/inferd/worker_bench.c tests/inferd/worker_bench.h
tests_inferd_test_worker_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_guess_SOURCES = tests/inferd/test_guess.c \
	tests/inferd/engine_world.c tests/inferd/engine_world.h \
	tests/inferd/worker_bench.c tests/inferd/worker_bench.h
tests_inferd_test_guess_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_engine_SOURCES = tests/inferd/test_engine.c \
	tests/inferd/engine_world.c tests/inferd/engine_world.h
tests_inferd_test_engine_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)
