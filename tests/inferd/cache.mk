CACHE_TESTS = tests/inferd/test_kvdisk tests/inferd/test_prefix \
	tests/inferd/test_prefix_state tests/inferd/test_delta_prefix \
	tests/inferd/test_public tests/inferd/test_tenants \
	tests/inferd/test_volatile
check_PROGRAMS += $(CACHE_TESTS)
TESTS += $(CACHE_TESTS)
tests_inferd_test_prefix_SOURCES = tests/inferd/test_prefix.c \
	tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_prefix_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_delta_prefix_SOURCES = tests/inferd/test_delta_prefix.c \
	tests/inferd/kvdisk_world.h tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_delta_prefix_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_prefix_state_SOURCES = tests/inferd/test_prefix_state.c \
	tests/inferd/kvdisk_world.h
tests_inferd_test_prefix_state_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_volatile_SOURCES = tests/inferd/test_volatile.c
tests_inferd_test_volatile_LDADD = libchat.a libbase.a $(CMOCKA_LIBS)
tests_inferd_test_kvdisk_SOURCES = tests/inferd/test_kvdisk.c \
	tests/inferd/kvdisk_world.h tests/inferd/tiny.c tests/inferd/tiny.h
tests_inferd_test_kvdisk_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
tests_inferd_test_public_SOURCES = tests/inferd/test_public.c \
	tests/inferd/vocab_small.c tests/inferd/vocab_small.h
tests_inferd_test_public_LDADD = libchat.a libproxy.a libbase.a $(CMOCKA_LIBS)
TENANTS = tests/inferd/tenants.c tests/inferd/tenants.h \
	tests/inferd/engine_world.c tests/inferd/engine_world.h
tests_inferd_test_tenants_SOURCES = tests/inferd/test_tenants.c $(TENANTS)
tests_inferd_test_tenants_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)

# make bench-tenants: does time tell one agent what another has asked, and how
# soon is the engine free of who hangs up?
tests_bench_tenants_SOURCES = tests/bench/tenants.c $(TENANTS)
tests_bench_tenants_LDADD = libmkmodel.a $(INFERD_LIBS) $(CMOCKA_LIBS)
EXTRA_PROGRAMS += tests/bench/tenants
CLEANFILES += tests/bench/tenants
EXTRA_DIST += tests/bench/hangup.py
CLEANFILES += tests/bench/hangup.gguf
bench-tenants: tests/bench/tenants inferd/inferd inferd/inferd-mkmodel
	@tests/bench/tenants
	@inferd/inferd-mkmodel --layers 12 --embd 1024 --heads 8 --kv-heads 4 \
	    --head 128 --experts 16 --used 4 --expert-ff 512 --vocab 32000 \
	    tests/bench/hangup.gguf
	@python3 $(top_srcdir)/tests/bench/hangup.py inferd/inferd \
	    tests/bench/hangup.gguf
.PHONY: bench-tenants
