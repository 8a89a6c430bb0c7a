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

# The pure parts of back.
if HAVE_CMOCKA
BACK_LIST = tests/proxy/test_netaddr tests/proxy/test_scrub \
	tests/proxy/test_swap
check_PROGRAMS += $(BACK_LIST)
TESTS += $(BACK_LIST)

tests_proxy_test_netaddr_SOURCES = tests/proxy/test_netaddr.c
tests_proxy_test_netaddr_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_scrub_SOURCES = tests/proxy/test_scrub.c
tests_proxy_test_scrub_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
tests_proxy_test_swap_SOURCES = tests/proxy/test_swap.c
tests_proxy_test_swap_LDADD = libproxy.a libbase.a $(CMOCKA_LIBS)
endif
