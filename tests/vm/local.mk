# make check-vm: the tests of the jail on another kernel.  VM_TESTS names them.
VM_TESTS = tests/unit/test_self tests/jail/jail.sh tests/jail/tree.sh \
	tests/jail/home.sh tests/jail/image.sh tests/jail/stage.sh \
	tests/jail/whatcanisee.sh tests/jail/calls.sh tests/jail/nested.sh \
	tests/jail/test_jail tests/jail/test_landlock tests/jail/test_calltab \
	tests/jail/test_cgroup tests/jail/test_pathwalk \
	tests/jail/test_trace tests/jail/test_trace_hard tests/jail/test_trace_attack \
	tests/jail/test_tally \
	tests/jail/test_shim tests/jail/test_shim_script \
	tests/daemon/limits.sh tests/daemon/stage.sh tests/daemon/load.sh \
	tests/daemon/processes.sh tests/daemon/start.sh tests/e2e/run.sh \
	$(ATTACK_LIST) tests/policy/bypass.sh tests/policy/allowed.sh \
	tests/vm/systemd.sh
EXTRA_DIST += tests/vm/check-vm.sh tests/vm/guest.sh tests/vm/root.sh \
	tests/vm/into.sh tests/vm/systemd.sh tests/vm/check-systemd.sh

check-vm: all
	$(MAKE) $(check_PROGRAMS)
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		sh $(top_srcdir)/tests/vm/check-vm.sh $(VM_TESTS)

# The unit below a systemd of its own, with this kernel.
check-systemd: all
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		sh $(top_srcdir)/tests/vm/check-systemd.sh

.PHONY: check-vm check-systemd
