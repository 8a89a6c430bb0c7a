# daemon/: sources, added to the one makefile.

# The description of a job, also read by the shim.
noinst_LIBRARIES += libjobspec.a
libjobspec_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libjobspec_a_SOURCES = daemon/jobspec.c daemon/jobspec.h \
	daemon/stage_wire.c daemon/stage_wire.h

# The control process, the job store, configuration.
noinst_LIBRARIES += libcontrol.a
libcontrol_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS)
libcontrol_a_CFLAGS = $(AM_CFLAGS)
libcontrol_a_SOURCES = \
	daemon/ask.c daemon/ask.h \
	daemon/conf.c daemon/conf.h daemon/conf_resolve.c \
	daemon/conf_uids.c \
	daemon/control.c daemon/control.h \
	daemon/control_ask.c \
	daemon/control_attach.c \
	daemon/control_ca.c \
	daemon/control_client.c \
	daemon/control_freeze.c \
	daemon/control_home.c \
	daemon/control_info.c \
	daemon/control_job.c \
	daemon/control_ops.c \
	daemon/control_secret.c \
	daemon/control_stage.c \
	daemon/control_state.c \
	daemon/cred_json.c daemon/cred_json.h \
	daemon/proc.c daemon/proc.h \
	daemon/store.c daemon/store.h

# The stage process; its own library, so that the tests link what it is made of.
noinst_LIBRARIES += libstage.a
libstage_a_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libstage_a_SOURCES = \
	daemon/stage.c daemon/stage.h \
	daemon/stage_apply.c \
	daemon/stage_check.c \
	daemon/stage_journal.c \
	daemon/stage_lines.c \
	daemon/stage_ops.c \
	daemon/stage_out.c \
	daemon/stage_patch.c \
	daemon/stage_paths.c \
	daemon/stage_protect.c \
	daemon/stage_rename.c \
	daemon/stage_scan.c

sbin_PROGRAMS += brigd
brigd_SOURCES = \
	daemon/main.c \
	daemon/parent.c daemon/parent.h \
	daemon/parent_attach.c \
	daemon/parent_audit.c \
	daemon/parent_cgroup.c daemon/parent_cgroup.h \
	daemon/parent_home.c \
	daemon/parent_inferd.c \
	daemon/parent_job.c \
	daemon/parent_msg.c \
	daemon/parent_proc.c \
	daemon/parent_roots.c daemon/parent_roots.h \
	daemon/parent_setup.c \
	daemon/parent_stage.c \
	daemon/parent_spare.c \
	daemon/parent_status.c \
	daemon/parent_uids.c daemon/parent_files.c daemon/parent_vault.c \
	daemon/parent_wire.c \
	daemon/truststore.c daemon/truststore.h
brigd_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
brigd_CFLAGS = $(AM_CFLAGS)
brigd_LDADD = libcontrol.a libstage.a libaudit.a libproxy.a libsandbox.a \
	libpolicyfiles.a libpolicy.a libjobspec.a libbase.a \
	$(JANSSON_LIBS) $(SQLITE_LIBS) $(SECCOMP_LIBS) $(CAP_LIBS) \
	$(PROXY_LIBS) $(MD_LIBS)

dist_man5_MANS += man/brigd.conf.5
dist_man7_MANS += man/brig-control.7
dist_man8_MANS += man/brigd.8
