# inferd/: the local model engine.
# What reads bytes of model files, strictly.
noinst_LIBRARIES += libgguf.a
libgguf_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libgguf_a_SOURCES = \
	inferd/filter.h \
	inferd/gguf.c inferd/gguf.h \
	inferd/gguf_write.c inferd/gguf_write.h \
	inferd/model_child.c inferd/model_child.h \
	inferd/model_numbers.c \
	inferd/model_parse.c inferd/model_parse.h \
	inferd/model_scan.c inferd/model_scan.h \
	inferd/model_shape.c inferd/model_shape.h \
	inferd/model_table.c inferd/model_table.h \
	inferd/model_vocab.c inferd/model_vocab.h \
	inferd/tensor_type.c inferd/tensor_type.h

# The rest of the engine.
noinst_LIBRARIES += libinferd.a
libinferd_a_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
libinferd_a_CFLAGS = $(AM_CFLAGS)
libinferd_a_SOURCES = inferd/model_load.c inferd/model_load.h \
	inferd/warm.c inferd/warm.h

include inferd/kern.mk
include inferd/chat.mk
include inferd/run.mk
include inferd/serve.mk
include inferd/server.mk
include inferd/cache.mk

# In this order on a command line.
INFERD_LIBS = libinferd.a $(KERN_LIBS) libchat.a libgguf.a libproxy.a \
	libbase.a $(CRYPTO_LIBS) $(MD_LIBS) -lm -lpthread

sbin_PROGRAMS += inferd/inferd
inferd_inferd_SOURCES = inferd/main.c \
	inferd/chat.c inferd/chat.h \
	inferd/check.c inferd/check.h \
	inferd/options.c inferd/options.h \
	inferd/perplexity.c inferd/perplexity.h \
	inferd/speed.c inferd/speed.h \
	inferd/speed_draft.c inferd/speed_draft.h \
	inferd/tokenize.c inferd/tokenize.h
inferd_inferd_LDADD = $(INFERD_LIBS)

# Models of random weights.
noinst_LIBRARIES += libmkmodel.a
libmkmodel_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT) $(KERN_CFLAGS)
libmkmodel_a_SOURCES = \
	inferd/mkmodel.c inferd/mkmodel.h \
	inferd/mkmodel_vocab.c \
	inferd/quantise.c inferd/quantise.h \
	inferd/quantise_k.c

sbin_PROGRAMS += inferd/inferd-mkmodel
inferd_inferd_mkmodel_SOURCES = inferd/mkmodel_main.c
inferd_inferd_mkmodel_LDADD = libmkmodel.a $(INFERD_LIBS)

dist_man8_MANS += man/inferd.8 man/inferd-mkmodel.8
