# tests/proxy

# TLS and keyd.
KEYD_TESTS = \
	tests/proxy/test_dial \
	tests/proxy/test_dial_proxy \
	tests/proxy/test_credspec \
	tests/proxy/test_dns \
	tests/proxy/test_keyd \
	tests/proxy/test_keyd_capture \
	tests/proxy/test_keyd_limit \
	tests/proxy/test_keyd_renew \
	tests/proxy/test_mint \
	tests/proxy/test_stub \
	tests/proxy/test_tls \
	tests/proxy/test_vault \
	tests/proxy/test_vault_rewrite
KEYD_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += $(KEYD_TESTS)
TESTS += $(KEYD_TESTS)
tests_proxy_test_dial_SOURCES = tests/proxy/test_dial.c \
	tests/proxy/dial_world.c tests/proxy/dial_world.h
tests_proxy_test_dial_LDADD = $(KEYD_LDADD)
tests_proxy_test_dial_proxy_SOURCES = tests/proxy/test_dial_proxy.c \
	tests/proxy/dial_world.c tests/proxy/dial_world.h
tests_proxy_test_dial_proxy_LDADD = $(KEYD_LDADD)
tests_proxy_test_credspec_SOURCES = tests/proxy/test_credspec.c
tests_proxy_test_credspec_LDADD = $(KEYD_LDADD)
tests_proxy_test_dns_SOURCES = tests/proxy/test_dns.c tests/proxy/chan_raw.h
tests_proxy_test_dns_LDADD = libsandbox.a $(KEYD_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_keyd_SOURCES = tests/proxy/test_keyd.c \
	tests/proxy/chan_raw.h tests/proxy/keyd_world.h
tests_proxy_test_keyd_LDADD = libsandbox.a $(KEYD_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_keyd_capture_SOURCES = tests/proxy/test_keyd_capture.c \
	tests/proxy/chan_raw.h tests/proxy/keyd_world.h
tests_proxy_test_keyd_capture_LDADD = libsandbox.a $(KEYD_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_keyd_limit_SOURCES = tests/proxy/test_keyd_limit.c \
	tests/proxy/chan_raw.h tests/proxy/keyd_world.h
tests_proxy_test_keyd_limit_LDADD = libsandbox.a $(KEYD_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_keyd_renew_SOURCES = tests/proxy/test_keyd_renew.c \
	tests/proxy/chan_raw.h tests/proxy/keyd_world.h
tests_proxy_test_keyd_renew_LDADD = libsandbox.a $(KEYD_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_mint_SOURCES = tests/proxy/test_mint.c
tests_proxy_test_mint_LDADD = $(KEYD_LDADD)
tests_proxy_test_stub_SOURCES = tests/proxy/test_stub.c
tests_proxy_test_stub_LDADD = $(KEYD_LDADD)
tests_proxy_test_tls_SOURCES = tests/proxy/test_tls.c \
	tests/proxy/tls_world.c tests/proxy/tls_world.h
tests_proxy_test_tls_LDADD = $(KEYD_LDADD)
tests_proxy_test_vault_SOURCES = tests/proxy/test_vault.c \
	tests/proxy/vault_world.h
tests_proxy_test_vault_rewrite_SOURCES = tests/proxy/test_vault_rewrite.c \
	tests/proxy/old_vault.h tests/proxy/vault_world.h
tests_proxy_test_vault_rewrite_LDADD = $(KEYD_LDADD)
tests_proxy_test_vault_LDADD = $(KEYD_LDADD)

# back and its pure parts.
BACK_LIST = tests/proxy/test_back tests/proxy/test_back_body \
	tests/proxy/test_back_copy tests/proxy/test_back_elsewhere \
	tests/proxy/test_back_events \
	tests/proxy/test_back_inferd \
	tests/proxy/test_back_policy \
	tests/proxy/test_back_ws tests/proxy/test_codec \
	tests/proxy/test_netaddr \
	tests/proxy/test_scrub tests/proxy/test_scrub_hold tests/proxy/test_seek tests/proxy/test_swap \
	tests/proxy/test_via \
	tests/proxy/test_ws
check_PROGRAMS += $(BACK_LIST)
TESTS += $(BACK_LIST)

check_PROGRAMS += tests/proxy/test_back_capture tests/proxy/test_back_early
TESTS += tests/proxy/test_back_capture tests/proxy/test_back_early
tests_proxy_test_back_early_SOURCES = tests/proxy/test_back_early.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_early_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_capture_SOURCES = tests/proxy/test_back_capture.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_capture_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)

# Connections to origins.
UPSTREAM_LIST = tests/proxy/test_upstream_h1 tests/proxy/test_upstream_h2 \
	tests/proxy/test_upstream_h2_bad
check_PROGRAMS += $(UPSTREAM_LIST)
TESTS += $(UPSTREAM_LIST)
UPSTREAM_LDADD = libproxy.a libbase.a $(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_upstream_h1_SOURCES = tests/proxy/test_upstream_h1.c \
	tests/proxy/upstream_world.c tests/proxy/upstream_world.h
tests_proxy_test_upstream_h1_LDADD = $(UPSTREAM_LDADD)
tests_proxy_test_upstream_h2_SOURCES = tests/proxy/test_upstream_h2.c \
	tests/proxy/later.c tests/proxy/later.h \
	tests/proxy/upstream_world.c tests/proxy/upstream_world.h
tests_proxy_test_upstream_h2_LDADD = $(UPSTREAM_LDADD)
tests_proxy_test_upstream_h2_bad_SOURCES = tests/proxy/test_upstream_h2_bad.c \
	tests/proxy/upstream_world.c tests/proxy/upstream_world.h
tests_proxy_test_upstream_h2_bad_LDADD = $(UPSTREAM_LDADD)

tests_proxy_test_back_SOURCES = tests/proxy/test_back.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS) \
	$(CMOCKA_LIBS)
tests_proxy_test_codec_SOURCES = tests/proxy/test_codec.c
tests_proxy_test_codec_LDADD = libproxy.a libbase.a $(CODEC_LIBS) \
	$(CMOCKA_LIBS)
tests_proxy_test_back_body_SOURCES = tests/proxy/test_back_body.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_body_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_ws_SOURCES = tests/proxy/test_back_ws.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_ws_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_events_SOURCES = tests/proxy/test_back_events.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_events_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_copy_SOURCES = tests/proxy/test_back_copy.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_copy_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_elsewhere_SOURCES = tests/proxy/test_back_elsewhere.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_elsewhere_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_inferd_SOURCES = tests/proxy/test_back_inferd.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_inferd_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_back_policy_SOURCES = tests/proxy/test_back_policy.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_policy_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_ws_SOURCES = tests/proxy/test_ws.c tests/proxy/ws_run.h
tests_proxy_test_ws_LDADD = libproxy.a libbase.a $(CODEC_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_netaddr_SOURCES = tests/proxy/test_netaddr.c
tests_proxy_test_netaddr_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_seek_SOURCES = tests/proxy/test_seek.c
tests_proxy_test_seek_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_scrub_SOURCES = tests/proxy/test_scrub.c \
	tests/proxy/spellings.h
tests_proxy_test_scrub_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_scrub_hold_SOURCES = tests/proxy/test_scrub_hold.c \
	tests/proxy/spellings.h
tests_proxy_test_scrub_hold_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_swap_SOURCES = tests/proxy/test_swap.c
tests_proxy_test_swap_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_via_SOURCES = tests/proxy/test_via.c
tests_proxy_test_via_LDADD = libproxy.a libpolicy.a libbase.a $(PROXY_LIBS) \
	$(CMOCKA_LIBS)

check_PROGRAMS += tests/proxy/test_model
TESTS += tests/proxy/test_model
tests_proxy_test_model_SOURCES = tests/proxy/test_model.c
tests_proxy_test_model_LDADD = libproxy.a libpolicy.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/proxy/test_override
TESTS += tests/proxy/test_override
tests_proxy_test_override_SOURCES = tests/proxy/test_override.c
tests_proxy_test_override_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/proxy/test_json_read
TESTS += tests/proxy/test_json_read
tests_proxy_test_json_read_SOURCES = tests/proxy/test_json_read.c
tests_proxy_test_json_read_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)

# HTTP/1.1, messages between front and back, DNS, front itself.
FRONT_LIST = tests/proxy/test_dnswire tests/proxy/test_front \
	tests/proxy/test_front_capture tests/proxy/test_front_h2 \
	tests/proxy/test_front_h2_refuse tests/proxy/test_front_h2_time \
	tests/proxy/test_front_ws tests/proxy/test_front_refuse tests/proxy/test_http1 \
	tests/proxy/test_vectors tests/proxy/test_wire
check_PROGRAMS += $(FRONT_LIST)
TESTS += $(FRONT_LIST)
FRONT_LDADD = libproxy.a libbase.a $(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_dnswire_SOURCES = tests/proxy/test_dnswire.c
tests_proxy_test_dnswire_LDADD = $(FRONT_LDADD)
tests_proxy_test_front_SOURCES = tests/proxy/test_front.c \
	tests/proxy/fronttest.c tests/proxy/fronttest.h
tests_proxy_test_front_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_front_capture_SOURCES = tests/proxy/test_front_capture.c \
	tests/proxy/fronttest_net.c tests/proxy/fronttest_net.h \
	tests/proxy/fronttest.c tests/proxy/fronttest.h
tests_proxy_test_front_capture_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
FRONT_H2_TEST = tests/proxy/fronttest.c tests/proxy/fronttest.h \
	tests/proxy/h2client.c tests/proxy/h2client.h
tests_proxy_test_front_h2_SOURCES = tests/proxy/test_front_h2.c \
	$(FRONT_H2_TEST)
tests_proxy_test_front_h2_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_front_h2_refuse_SOURCES = tests/proxy/test_front_h2_refuse.c \
	$(FRONT_H2_TEST)
tests_proxy_test_front_h2_refuse_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_front_h2_time_SOURCES = tests/proxy/test_front_h2_time.c \
	tests/proxy/later.c tests/proxy/later.h $(FRONT_H2_TEST)
tests_proxy_test_front_h2_time_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_front_ws_SOURCES = tests/proxy/test_front_ws.c \
	$(FRONT_H2_TEST)
tests_proxy_test_front_ws_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_front_refuse_SOURCES = tests/proxy/test_front_refuse.c \
	tests/proxy/fronttest.c tests/proxy/fronttest.h
tests_proxy_test_front_refuse_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_http1_SOURCES = tests/proxy/test_http1.c \
	tests/proxy/http1_run.h
tests_proxy_test_http1_LDADD = $(FRONT_LDADD)
tests_proxy_test_vectors_SOURCES = tests/proxy/test_vectors.c
tests_proxy_test_vectors_LDADD = $(FRONT_LDADD)
EXTRA_DIST += tests/proxy/vectors/request.txt tests/proxy/vectors/response.txt
tests_proxy_test_wire_SOURCES = tests/proxy/test_wire.c
tests_proxy_test_wire_LDADD = $(FRONT_LDADD)

# Stubs in bodies, and signatures.
SWAP_LIST = tests/proxy/test_back_sign tests/proxy/test_keyd_sign \
	tests/proxy/test_back_inside tests/proxy/test_back_swap \
	tests/proxy/test_sign_mac \
	tests/proxy/test_sign_sigv4 \
	tests/proxy/test_swap_body tests/proxy/test_swap_places
check_PROGRAMS += $(SWAP_LIST)
TESTS += $(SWAP_LIST)
tests_proxy_test_swap_body_SOURCES = tests/proxy/test_swap_body.c
tests_proxy_test_swap_body_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_sign_sigv4_SOURCES = tests/proxy/test_sign_sigv4.c
tests_proxy_test_sign_sigv4_LDADD = libproxy.a libbase.a $(CRYPTO_LIBS) \
	$(CMOCKA_LIBS)

# Through a whole brigd.
PROXY_SH_LIST = tests/proxy/smuggle.sh tests/proxy/certs.sh tests/proxy/mtls.sh \
	tests/proxy/upstream_proxy.sh
TESTS += $(PROXY_SH_LIST)
EXTRA_DIST += $(PROXY_SH_LIST) tests/proxy/smuggle.py tests/proxy/certs_origin.py \
	tests/proxy/corp_proxy.py tests/proxy/mtls_origin.py

# Protocols that are not HTTP.
RAW_LIST = tests/proxy/test_back_raw tests/proxy/test_front_raw \
	tests/proxy/test_pgwire tests/proxy/test_scram tests/proxy/test_ssh
check_PROGRAMS += $(RAW_LIST)
TESTS += $(RAW_LIST)
tests_proxy_test_front_raw_SOURCES = tests/proxy/test_front_raw.c \
	tests/proxy/fronttest_net.c tests/proxy/fronttest_net.h \
	tests/proxy/fronttest.c tests/proxy/fronttest.h
tests_proxy_test_front_raw_LDADD = libsandbox.a $(FRONT_LDADD) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
tests_proxy_test_ssh_SOURCES = tests/proxy/test_ssh.c
tests_proxy_test_ssh_LDADD = $(FRONT_LDADD)
tests_proxy_test_scram_SOURCES = tests/proxy/test_scram.c
tests_proxy_test_scram_LDADD = $(FRONT_LDADD)
tests_proxy_test_pgwire_SOURCES = tests/proxy/test_pgwire.c
tests_proxy_test_pgwire_LDADD = $(FRONT_LDADD)
tests_proxy_test_back_raw_SOURCES = tests/proxy/test_back_raw.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_raw_LDADD = libproxy.a libpolicy.a libbase.a \
	$(PROXY_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_sign_mac_SOURCES = tests/proxy/test_sign_mac.c
tests_proxy_test_sign_mac_LDADD = libproxy.a libpolicy.a libbase.a \
	$(CRYPTO_LIBS) $(CMOCKA_LIBS)
tests_proxy_test_swap_places_SOURCES = tests/proxy/test_swap_places.c
tests_proxy_test_swap_places_LDADD = libproxy.a libpolicy.a libbase.a \
	$(CMOCKA_LIBS)
tests_proxy_test_keyd_sign_SOURCES = tests/proxy/test_keyd_sign.c \
	tests/proxy/chan_raw.h tests/proxy/keyd_world.h
tests_proxy_test_keyd_sign_LDADD = $(tests_proxy_test_keyd_LDADD)
tests_proxy_test_back_sign_SOURCES = tests/proxy/test_back_sign.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_sign_LDADD = $(tests_proxy_test_back_LDADD)
tests_proxy_test_back_inside_SOURCES = tests/proxy/test_back_inside.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_inside_LDADD = $(tests_proxy_test_back_LDADD)
tests_proxy_test_back_swap_SOURCES = tests/proxy/test_back_swap.c \
	tests/proxy/back_seen.c \
	tests/proxy/back_world.c tests/proxy/back_world.h
tests_proxy_test_back_swap_LDADD = $(tests_proxy_test_back_LDADD)
