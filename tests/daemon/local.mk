# tests/daemon

# The control process and its parts.
CONTROL_TEST_LIBS = libcontrol.a libproxy.a libpolicy.a libjobspec.a libbase.a \
	$(CMOCKA_LIBS) $(JANSSON_LIBS) $(SQLITE_LIBS)
CONTROL_TESTS = tests/daemon/test_conf tests/daemon/test_store \
	tests/daemon/test_proc tests/daemon/test_control \
	tests/daemon/test_ask
check_PROGRAMS += $(CONTROL_TESTS)
TESTS += $(CONTROL_TESTS)
tests_daemon_test_conf_SOURCES = tests/daemon/test_conf.c
tests_daemon_test_conf_LDADD = $(CONTROL_TEST_LIBS)
tests_daemon_test_store_SOURCES = tests/daemon/test_store.c
tests_daemon_test_store_LDADD = $(CONTROL_TEST_LIBS)
tests_daemon_test_proc_SOURCES = tests/daemon/test_proc.c
tests_daemon_test_proc_LDADD = $(CONTROL_TEST_LIBS)
tests_daemon_test_control_SOURCES = tests/daemon/test_control.c \
	tests/daemon/ctlbox.c tests/daemon/ctlbox.h
tests_daemon_test_control_LDADD = $(CONTROL_TEST_LIBS)
tests_daemon_test_ask_SOURCES = tests/daemon/test_ask.c \
	tests/daemon/ctlbox.c tests/daemon/ctlbox.h
tests_daemon_test_ask_LDADD = $(CONTROL_TEST_LIBS)

# The job's streams and those who watch them.
RELAY_TESTS = tests/daemon/test_relay tests/daemon/test_ring \
	tests/daemon/test_replay
check_PROGRAMS += $(RELAY_TESTS)
TESTS += $(RELAY_TESTS)
tests_daemon_test_ring_SOURCES = tests/daemon/test_ring.c
tests_daemon_test_ring_LDADD = librelay.a libbase.a $(CMOCKA_LIBS)
tests_daemon_test_relay_SOURCES = tests/daemon/test_relay.c
tests_daemon_test_relay_LDADD = librelay.a libbase.a $(CMOCKA_LIBS)
tests_daemon_test_replay_SOURCES = tests/daemon/test_replay.c
tests_daemon_test_replay_LDADD = libcli.a libbase.a $(CMOCKA_LIBS)

TESTS += tests/daemon/load.sh tests/daemon/processes.sh \
	tests/daemon/start.sh tests/daemon/limits.sh tests/daemon/stage.sh \
	tests/daemon/capacity.sh tests/daemon/exhaust.sh tests/daemon/stress.sh
EXTRA_DIST += tests/daemon/load.sh tests/daemon/processes.sh \
	tests/daemon/start.sh tests/daemon/limits.sh tests/daemon/stage.sh \
	tests/daemon/capacity.sh tests/daemon/exhaust.sh tests/daemon/stress.sh

# Kept homes and roots.
TESTS += tests/daemon/homes.sh tests/daemon/badconfig.sh
EXTRA_DIST += tests/daemon/homes.sh tests/daemon/badconfig.sh

# What Java trusts.
check_PROGRAMS += tests/daemon/test_truststore
TESTS += tests/daemon/test_truststore
tests_daemon_test_truststore_SOURCES = tests/daemon/test_truststore.c \
	daemon/parent_roots.c daemon/truststore.c
tests_daemon_test_truststore_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS) \
	$(PROXY_LIBS)

# What a job staged.
STAGE_TEST_LIBS = libstage.a libjobspec.a libsandbox.a libbase.a \
	$(CMOCKA_LIBS) $(SECCOMP_LIBS) $(CAP_LIBS) $(CRYPTO_LIBS) $(MD_LIBS)
STAGE_TESTS = tests/daemon/test_stage_apply tests/daemon/test_stage_text
check_PROGRAMS += $(STAGE_TESTS)
TESTS += $(STAGE_TESTS)
tests_daemon_test_stage_apply_SOURCES = tests/daemon/test_stage_apply.c
tests_daemon_test_stage_apply_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_daemon_test_stage_apply_LDADD = $(STAGE_TEST_LIBS) -lpthread
tests_daemon_test_stage_text_SOURCES = tests/daemon/test_stage_text.c
tests_daemon_test_stage_text_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	$(JANSSON_CFLAGS)
tests_daemon_test_stage_text_LDADD = libcli.a $(STAGE_TEST_LIBS) \
	$(JANSSON_LIBS)
