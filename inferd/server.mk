# Connections, and what they are for.
libinferd_a_SOURCES += \
	inferd/conn.c inferd/conn.h \
	inferd/metrics.c inferd/metrics.h \
	inferd/sockets.c inferd/sockets.h
