# daemon/: sources, added to the one makefile.

# The description of a job, also read by the shim.
noinst_LIBRARIES += libjobspec.a
libjobspec_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libjobspec_a_SOURCES = daemon/jobspec.c daemon/jobspec.h
