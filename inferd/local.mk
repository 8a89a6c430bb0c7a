# inferd/: the local model engine.
# What reads bytes of model files, strictly.
noinst_LIBRARIES += libgguf.a
libgguf_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libgguf_a_SOURCES = \
	inferd/model_table.c inferd/model_table.h \
	inferd/tensor_type.c inferd/tensor_type.h

# The rest of the engine.
noinst_LIBRARIES += libinferd.a
libinferd_a_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libinferd_a_CFLAGS = $(AM_CFLAGS)
libinferd_a_SOURCES =

include inferd/kern.mk
include inferd/chat.mk

# In this order on a command line.
INFERD_LIBS = libinferd.a $(KERN_LIBS) libchat.a libgguf.a libbase.a $(CRYPTO_LIBS) -lm -lpthread

sbin_PROGRAMS += inferd/inferd
inferd_inferd_SOURCES = inferd/main.c
inferd_inferd_LDADD = $(INFERD_LIBS)
