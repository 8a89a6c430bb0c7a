# Audit log and command line client.
check_PROGRAMS += tests/daemon/test_audit tests/daemon/test_audit_main
TESTS += tests/daemon/test_audit tests/daemon/test_audit_main

tests_daemon_test_audit_SOURCES = tests/daemon/test_audit.c
tests_daemon_test_audit_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	$(JANSSON_CFLAGS)
tests_daemon_test_audit_LDADD = libaudit.a libbase.a $(MD_LIBS) \
	$(CMOCKA_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS)
tests_daemon_test_audit_main_SOURCES = tests/daemon/test_audit_main.c
tests_daemon_test_audit_main_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS)
tests_daemon_test_audit_main_LDADD = libaudit.a libbase.a $(MD_LIBS) \
	$(CMOCKA_LIBS) $(CRYPTO_LIBS)

FUZZ_LIST += tests/fuzz/fuzz_audit_event
tests_fuzz_fuzz_audit_event_SOURCES = tests/fuzz/fuzz_audit_event.c \
	$(FUZZ_FEED)
tests_fuzz_fuzz_audit_event_LDADD = libaudit.a libbase.a $(MD_LIBS)
tests_fuzz_fuzz_audit_event_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

FUZZ_LIST += tests/fuzz/fuzz_audit_verify
tests_fuzz_fuzz_audit_verify_SOURCES = tests/fuzz/fuzz_audit_verify.c \
	$(FUZZ_FEED)
tests_fuzz_fuzz_audit_verify_LDADD = libaudit.a libbase.a $(MD_LIBS)
tests_fuzz_fuzz_audit_verify_LDFLAGS = $(AM_LDFLAGS) $(BRIG_FUZZ_LDFLAGS)

check_PROGRAMS += tests/daemon/test_client tests/daemon/test_brig \
	tests/daemon/test_brig_run
TESTS += tests/daemon/test_client tests/daemon/test_brig \
	tests/daemon/test_brig_run

tests_daemon_test_client_SOURCES = tests/daemon/test_client.c
tests_daemon_test_client_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	$(JANSSON_CFLAGS)
tests_daemon_test_client_LDADD = libcli.a libbase.a $(JANSSON_LIBS) \
	$(CMOCKA_LIBS)
BRIG_PLAY = tests/daemon/brig_play.c tests/daemon/brig_play.h
tests_daemon_test_brig_SOURCES = tests/daemon/test_brig.c $(BRIG_PLAY)
tests_daemon_test_brig_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	$(JANSSON_CFLAGS)
tests_daemon_test_brig_LDADD = libbase.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_daemon_test_brig_run_SOURCES = tests/daemon/test_brig_run.c $(BRIG_PLAY)
tests_daemon_test_brig_run_CPPFLAGS = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) \
	$(JANSSON_CFLAGS)
tests_daemon_test_brig_run_LDADD = libbase.a $(JANSSON_LIBS) $(CMOCKA_LIBS)
