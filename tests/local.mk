# Tests: every test program and script prints TAP.
AM_TESTS_ENVIRONMENT = \
	CMOCKA_MESSAGE_OUTPUT=TAP; export CMOCKA_MESSAGE_OUTPUT; \
	BRIG_SRCDIR='$(abs_top_srcdir)'; export BRIG_SRCDIR; \
	BRIG_BUILDDIR='$(abs_top_builddir)'; export BRIG_BUILDDIR; \
	CC='$(CC)'; export CC;
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) \
	$(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/tap.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
TEST_EXTENSIONS = .sh

include tests/origin/local.mk
include tests/unit/local.mk
include tests/fuzz/local.mk
include tests/jail/local.mk
include tests/proxy/local.mk
include tests/inferd/local.mk
include tests/daemon/local.mk
include tests/daemon/cli.mk
include tests/policy/local.mk
include tests/e2e/local.mk
include tests/attack/local.mk
include tests/bench/local.mk
include tests/vm/local.mk
include tests/kernel/local.mk
include tests/arm64/local.mk
include tests/agents/local.mk
