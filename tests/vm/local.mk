# make check-vm: the tests of the jail on another kernel.  VM_TESTS names them.
VM_TESTS = tests/unit/test_self tests/jail/jail.sh tests/jail/test_jail \
	tests/jail/test_pathwalk tests/jail/test_trace tests/jail/test_shim \
	$(ATTACK_LIST) tests/daemon/load.sh tests/daemon/processes.sh \
	tests/daemon/start.sh tests/e2e/run.sh
EXTRA_DIST += tests/vm/check-vm.sh tests/vm/guest.sh

check-vm: all
	$(MAKE) $(check_PROGRAMS)
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		sh $(top_srcdir)/tests/vm/check-vm.sh $(VM_TESTS)

.PHONY: check-vm
