# What is kept between requests.
libinferd_a_SOURCES += \
	inferd/kvdisk.c inferd/kvdisk.h inferd/kvdisk_int.h \
	inferd/kvdisk_index.c \
	inferd/kvseal.c inferd/kvseal.h \
	inferd/prefix.c inferd/prefix.h inferd/prefix_int.h \
	inferd/prefix_disk.c
libchat_a_SOURCES += \
	inferd/prompt.c inferd/prompt.h \
	inferd/prompt_size.c inferd/prompt_size.h \
	inferd/public.c inferd/public.h \
	inferd/volatile.c inferd/volatile.h
