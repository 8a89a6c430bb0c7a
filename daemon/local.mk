# daemon/: sources, added to the one makefile.

# The description of a job, also read by the shim.
noinst_LIBRARIES += libjobspec.a
libjobspec_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libjobspec_a_SOURCES = daemon/jobspec.c daemon/jobspec.h

# The control process, the job store, configuration.
noinst_LIBRARIES += libcontrol.a
libcontrol_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS)
libcontrol_a_CFLAGS = $(AM_CFLAGS)
libcontrol_a_SOURCES = \
	daemon/ask.c daemon/ask.h \
	daemon/conf.c daemon/conf.h daemon/conf_resolve.c \
	daemon/control.c daemon/control.h \
	daemon/control_ask.c \
	daemon/control_client.c \
	daemon/control_info.c \
	daemon/control_job.c \
	daemon/control_ops.c \
	daemon/control_secret.c \
	daemon/control_state.c \
	daemon/proc.c daemon/proc.h \
	daemon/store.c daemon/store.h
