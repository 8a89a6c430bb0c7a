# What computes: block formats, kernels, threads.
noinst_LIBRARIES += libkern.a
libkern_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS)
libkern_a_SOURCES = \
	inferd/pool.c inferd/pool.h \
	inferd/quant.c inferd/quant.h \
	inferd/quant_iq.c inferd/quant_k.c

KERN_LIBS = libkern.a
