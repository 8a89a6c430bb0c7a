# What is kept between requests.
libinferd_a_SOURCES += \
	inferd/prefix.c inferd/prefix.h
