# What is kept between requests.
libinferd_a_SOURCES += \
	inferd/prefix.c inferd/prefix.h
libchat_a_SOURCES += \
	inferd/volatile.c inferd/volatile.h
