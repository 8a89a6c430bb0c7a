# sandbox/: sources, added to the one makefile.
noinst_LIBRARIES += libsandbox.a
libsandbox_a_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS) $(CAP_CFLAGS)
libsandbox_a_CFLAGS = $(AM_CFLAGS)
libsandbox_a_SOURCES = \
	sandbox/self.c sandbox/self.h \
	sandbox/self_filter.c sandbox/self_filter.h \
	sandbox/self_landlock.c sandbox/self_landlock.h \
	sandbox/trace.c sandbox/trace.h \
	sandbox/trace_image.c sandbox/trace_image.h
