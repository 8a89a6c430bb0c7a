# make check-arm64: what differs by machine, compiled for the other one.
EXTRA_DIST += tests/arm64/check-arm64.sh

check-arm64: all
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		CC='$(CC)' \
		sh $(top_srcdir)/tests/arm64/check-arm64.sh

.PHONY: check-arm64
