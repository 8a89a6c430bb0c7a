# make check-kernel: the kernel's own tests of what the jail is made of.
KERNEL_LEVELS = default nested
EXTRA_DIST += tests/kernel/check-kernel.sh tests/kernel/default.expected \
	tests/kernel/nested.expected

check-kernel: all
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		CC='$(CC)' bash $(top_srcdir)/tests/kernel/check-kernel.sh \
		$(KERNEL_LEVELS)

.PHONY: check-kernel
