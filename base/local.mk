noinst_LIBRARIES += libbase.a
libbase_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libbase_a_SOURCES = \
	base/attach.c base/attach.h \
	base/audit_event.c base/audit_event.h \
	base/buf.c base/buf.h \
	base/compat.c base/compat.h \
	base/error.c base/error.h \
	base/ev.c base/ev.h \
	base/fdutil.c base/fdutil.h \
	base/listen.c base/listen.h \
	base/log.c base/log.h \
	base/msg.c base/msg.h \
	base/notify.c base/notify.h \
	base/peer.c base/peer.h \
	base/procfs.c base/procfs.h \
	base/proto.c base/proto.h \
	base/rate.c base/rate.h \
	base/secret.c base/secret.h \
	base/str.c base/str.h
