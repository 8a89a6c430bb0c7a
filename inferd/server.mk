# Connections, and what they are for.
libinferd_a_SOURCES += \
	inferd/backend.c inferd/backend.h \
	inferd/conn.c inferd/conn.h \
	inferd/metrics.c inferd/metrics.h \
	inferd/request.c inferd/request.h \
	inferd/routes.c \
	inferd/serve.c inferd/serve.h \
	inferd/server.c inferd/server.h inferd/server_int.h \
	inferd/share.c inferd/turns.c \
	inferd/sockets.c inferd/sockets.h
