# The origin that tests and the demo talk to.  Built with `make all`, since the
# demo needs it; never installed.
noinst_PROGRAMS += tests/origin/brig-origin
tests_origin_brig_origin_SOURCES = tests/origin/origin.c \
	tests/origin/origin_coded.c tests/origin/origin_http.c \
	tests/origin/origin_ws.c tests/origin/origin.h
tests_origin_brig_origin_LDADD = libproxy.a libbase.a $(PROXY_LIBS) -lpthread
