# The server.
check_PROGRAMS += tests/inferd/test_conn
TESTS += tests/inferd/test_conn
tests_inferd_test_conn_SOURCES = tests/inferd/test_conn.c
tests_inferd_test_conn_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_metrics
TESTS += tests/inferd/test_metrics
tests_inferd_test_metrics_SOURCES = tests/inferd/test_metrics.c
tests_inferd_test_metrics_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/inferd/test_share
TESTS += tests/inferd/test_share
tests_inferd_test_share_SOURCES = tests/inferd/test_share.c
tests_inferd_test_share_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)

TESTS += tests/inferd/serve.sh tests/inferd/serve_record.sh
TESTS += tests/inferd/serve_draft.sh
EXTRA_DIST += tests/inferd/serve_draft.sh
EXTRA_DIST += tests/inferd/serve.sh tests/inferd/serve_record.sh \
	tests/inferd/ask.sh tests/inferd/clients.py

TESTS += tests/inferd/serve_limits.sh
EXTRA_DIST += tests/inferd/serve_limits.sh

check_PROGRAMS += tests/inferd/test_turns
TESTS += tests/inferd/test_turns
tests_inferd_test_turns_SOURCES = tests/inferd/test_turns.c
tests_inferd_test_turns_LDADD = $(INFERD_LIBS) $(CMOCKA_LIBS)
