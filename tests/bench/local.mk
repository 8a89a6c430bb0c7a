# make bench: one JSON object a line.  make bench-peers installs what brig is
# measured against; a missing peer is an error.
BENCH_LIST = tests/bench/brig-load tests/bench/brig-spawn tests/bench/kern
EXTRA_PROGRAMS += $(BENCH_LIST)
CLEANFILES += $(BENCH_LIST)
tests_bench_brig_load_SOURCES = tests/bench/load.c
tests_bench_brig_load_LDADD = libbase.a $(SSL_LIBS) -lpthread
tests_bench_brig_spawn_SOURCES = tests/bench/spawn.c
tests_bench_brig_spawn_LDADD = libbase.a
tests_bench_kern_SOURCES = tests/bench/kern.c
tests_bench_kern_LDADD = $(KERN_LIBS) libbase.a -lm -lpthread

EXTRA_DIST += tests/bench/bench.sh tests/bench/peers.sh tests/bench/figures.py \
	tests/bench/proxy.sh tests/bench/events.py

bench: all $(BENCH_LIST)
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		sh $(top_srcdir)/tests/bench/bench.sh $(BENCH)

bench-peers:
	sh $(top_srcdir)/tests/bench/peers.sh

.PHONY: bench bench-peers
