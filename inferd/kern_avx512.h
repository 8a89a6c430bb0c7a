/* Between kern_avx512.c (one activation row) and kern_avx512_mm.c (many). */
#ifndef BRIG_INFERD_KERN_AVX512_H
#define BRIG_INFERD_KERN_AVX512_H

#include "inferd/kern_impl.h"

void avx512_matvec(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y);
void avx512_matmul(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, size_t xq_stride, size_t nt, float *y,
    size_t y_stride);

#endif
