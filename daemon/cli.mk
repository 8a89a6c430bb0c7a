# The audit log and the `brig` command.
noinst_LIBRARIES += libaudit.a
libaudit_a_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libaudit_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libaudit_a_SOURCES = \
	daemon/audit.c daemon/roles.h \
	daemon/audit_render.c daemon/audit_render.h \
	daemon/audit_sha.c \
	daemon/audit_verify.c daemon/audit_verify.h

# Its own library, so that the tests link what the program is made of.
noinst_LIBRARIES += libcli.a
libcli_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libcli_a_SOURCES = \
	daemon/attach_client.c daemon/attach_client.h \
	daemon/cli.h \
	daemon/cli_attach.c daemon/cli_attach.h \
	daemon/cli_prompt.c daemon/cli_prompt.h \
	daemon/cli_util.c daemon/cli_util.h \
	daemon/client.c daemon/client.h \
	daemon/cmd_ask.c \
	daemon/cmd_attach.c \
	daemon/cmd_audit.c \
	daemon/cmd_ca.c \
	daemon/cmd_doctor.c \
	daemon/cmd_home.c \
	daemon/cmd_job.c daemon/cmd_pause.c \
	daemon/cmd_policyd.c daemon/cmd_policyd.h \
	daemon/cmd_replay.c \
	daemon/cmd_run.c \
	daemon/cmd_secret.c \
	daemon/cmd_stage.c \
	daemon/cli_stage.c daemon/cli_stage.h \
	daemon/stage_wire.c daemon/stage_wire.h \
	daemon/cmd_status.c \
	daemon/detach_keys.c daemon/detach_keys.h \
	daemon/replay.c daemon/replay.h \
	daemon/timing.c daemon/timing.h

bin_PROGRAMS += brig
brig_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
brig_SOURCES = daemon/brig.c
brig_LDADD = libcli.a libcontrol.a libaudit.a libcmdpolicy.a libpolicyfiles.a \
	libproxy.a libpolicy.a libsandbox.a libbase.a $(JANSSON_LIBS) $(MD_LIBS) \
	$(SECCOMP_LIBS) $(CAP_LIBS)
dist_man1_MANS += man/brig.1
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = contrib/completions/brig.bash \
	contrib/completions/inferd.bash
