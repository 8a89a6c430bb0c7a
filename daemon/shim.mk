# The job's streams, also driven by the tests.
noinst_LIBRARIES += librelay.a
librelay_a_CFLAGS = $(AM_CFLAGS)
librelay_a_SOURCES = \
	daemon/shim_client.c daemon/shim_client.h \
	daemon/shim_log.c daemon/shim_log.h \
	daemon/shim_relay.c daemon/shim_relay.h \
	daemon/shim_ring.c daemon/shim_ring.h \
	daemon/timing.c daemon/timing.h

# brig-shim, one process per job.
pkglibexec_PROGRAMS += brig-shim
brig_shim_SOURCES = \
	daemon/jobspec.c daemon/jobspec.h \
	daemon/shim.c daemon/shim.h \
	daemon/shim_cgroup.c \
	daemon/shim_files.c \
	daemon/shim_start.c daemon/shim_start.h \
	daemon/shim_attach.c daemon/shim_attach.h \
	daemon/shim_facts.c \
	daemon/shim_judge.c daemon/shim_judge.h \
	daemon/shim_tally.c daemon/shim_tally.h
brig_shim_CPPFLAGS = $(AM_CPPFLAGS)
brig_shim_LDADD = librelay.a libsandbox.a libpolicy.a libbase.a $(SECCOMP_LIBS) \
	$(CAP_LIBS) $(MD_LIBS)
