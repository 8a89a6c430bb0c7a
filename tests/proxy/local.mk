# tests/proxy

# TLS and keyd.
if HAVE_CMOCKA
KEYD_TESTS = \
	tests/proxy/test_mint \
	tests/proxy/test_tls
KEYD_LDADD = libproxy.a libbase.a $(SSL_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += $(KEYD_TESTS)
TESTS += $(KEYD_TESTS)
tests_proxy_test_mint_SOURCES = tests/proxy/test_mint.c
tests_proxy_test_mint_LDADD = $(KEYD_LDADD)
tests_proxy_test_tls_SOURCES = tests/proxy/test_tls.c
tests_proxy_test_tls_LDADD = $(KEYD_LDADD)
endif
