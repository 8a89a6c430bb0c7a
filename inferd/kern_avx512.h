/* Between kern_avx512.c (one activation row) and kern_avx512_mm.c (many). */
#ifndef BRIG_INFERD_KERN_AVX512_H
#define BRIG_INFERD_KERN_AVX512_H

#include "inferd/kern_impl.h"

/*
 * Where a product is as fast as memory, what the processor has no room for when
 * it is asked for is left out: each line is asked for again nearer by.  An
 * EPYC's decoder went from 21 to 25 tokens/s by it, from 29 to 34 by two
 * threads; with AVX2, which is slower itself, it cost a tenth.
 */
#define AGAIN 6144 /* bytes nearer; less than AHEAD */

/* What is AHEAD of what is worked on, and what is so by less. */
struct ahead {
	const uint8_t *far, *near;
};

/*
 * Row r's part of the lines of the next rows * bytes.  A block is seldom a
 * whole number of them: the rows share them.
 */
always_inline void
fetch_twice(const struct ahead *a, size_t bytes, size_t r, size_t rows)
{
	const size_t lines = (rows * bytes + LINE - 1) / LINE;

	_Pragma("GCC unroll 4") for (size_t i = r * lines / rows;
				     i < (r + 1) * lines / rows; i++)
	{
		__builtin_prefetch(a->far + i * LINE, 0, 2);
		__builtin_prefetch(a->near + i * LINE, 0, 2);
	}
	/* without that, a compiler puts those of all rows in one place */
	__asm__ volatile("");
}

/* The next rows * bytes have been asked for. */
always_inline void
step_ahead(struct ahead *a, size_t bytes)
{
	a->far += bytes;
	a->near += bytes;
}

void avx512_matvec(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y, const void *next);
void avx512_matmul(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, size_t xq_stride, size_t nt, float *y,
    size_t y_stride);

#endif
