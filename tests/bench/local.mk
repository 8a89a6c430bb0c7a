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

# make bench-infer: the local engine beside llama.cpp, which make
# bench-infer-peers unpacks into the build folder.
tests_bench_bandwidth_SOURCES = tests/bench/bandwidth.c
tests_bench_bandwidth_LDADD = -lpthread
EXTRA_PROGRAMS += tests/bench/bandwidth
CLEANFILES += tests/bench/bandwidth tests/bench/bench.gguf
EXTRA_DIST += tests/bench/infer.py tests/bench/infer-peers.sh

bench-infer: inferd/inferd inferd/inferd-mkmodel tests/bench/bandwidth
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		python3 $(top_srcdir)/tests/bench/infer.py $(BENCH)

bench-infer-peers:
	sh $(top_srcdir)/tests/bench/infer-peers.sh \
		'$(abs_top_builddir)/tests/bench/llama.cpp'

.PHONY: bench-infer bench-infer-peers
