# The audit log and the `brig` command.
noinst_LIBRARIES += libaudit.a
libaudit_a_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libaudit_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libaudit_a_SOURCES = \
	daemon/audit.c daemon/roles.h \
	daemon/audit_render.c daemon/audit_render.h \
	daemon/audit_verify.c daemon/audit_verify.h
