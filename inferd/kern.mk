# What computes: block formats, kernels, threads.
noinst_LIBRARIES += libkern.a libkern_avx2.a libkern_avxvnni.a libkern_avx512.a \
	libkern_neon.a libkern_neon_dot.a libkern_neon_i8mm.a
libkern_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS)
libkern_a_SOURCES = \
	inferd/kern.c inferd/kern.h inferd/kern_impl.h \
	inferd/kern_scalar.c inferd/kern_v16_scalar.h inferd/kern_float.h \
	inferd/kern_delta.h inferd/kern_group.h inferd/kern_rows.h \
	inferd/pool.c inferd/pool.h inferd/crowd.c inferd/crowd.h \
	inferd/gain.c inferd/gain.h \
	inferd/thread.c inferd/thread.h \
	inferd/quant.c inferd/quant.h \
	inferd/quant_iq.c inferd/quant_k.c

# Nothing of these runs before kern.c has asked the processor.
libkern_avx2_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS) $(KERN_AVX2)
libkern_avx2_a_SOURCES = inferd/kern_avx2.c inferd/kern_v16_avx2.h \
	inferd/kern_ymm.h inferd/kern_ymm_load.h
libkern_avxvnni_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS) $(KERN_AVXVNNI)
libkern_avxvnni_a_SOURCES = inferd/kern_avxvnni.c
libkern_avx512_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS) $(KERN_AVX512)
libkern_avx512_a_SOURCES = inferd/kern_avx512.c inferd/kern_avx512.h \
	inferd/kern_avx512_mm.c inferd/kern_avx512_load.h \
	inferd/kern_avx512_q45.h inferd/kern_avx512_pack.h \
	inferd/kern_v16_avx512.h
libkern_neon_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS)
libkern_neon_a_SOURCES = inferd/kern_neon.c inferd/kern_neon.h \
	inferd/kern_neon_load.h inferd/kern_v16_neon.h
libkern_neon_dot_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS) $(KERN_NEON_DOT)
libkern_neon_dot_a_SOURCES = inferd/kern_neon_dot.c
libkern_neon_i8mm_a_CFLAGS = $(AM_CFLAGS) $(KERN_CFLAGS) $(KERN_NEON_I8MM)
libkern_neon_i8mm_a_SOURCES = inferd/kern_neon_i8mm.c

KERN_LIBS = libkern.a libkern_avx2.a libkern_avxvnni.a libkern_avx512.a \
	libkern_neon.a libkern_neon_dot.a libkern_neon_i8mm.a \
	libkern.a libgguf.a
