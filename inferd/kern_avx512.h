/* Between kern_avx512.c (one activation row) and kern_avx512_mm.c (many). */
#ifndef BRIG_INFERD_KERN_AVX512_H
#define BRIG_INFERD_KERN_AVX512_H

#include "inferd/kern_impl.h"

/*
 * Where a product is as fast as memory, what the processor has no room for when
 * it is asked for is left out: each line is asked for a second time nearer by,
 * and then into the first cache, where the second one's answer would be waited
 * for.  Of an EPYC's tokens/s the second time gave a sixth, the third an
 * eleventh.
 */
#define FAR 28672 /* bytes ahead */
#define NEAR 11264
#define CLOSE 4096

/* The next weights at these distances. */
struct ahead {
	const uint8_t *far, *near, *close;
};

/* Of p, which ends at `end`; next: as of beyond(). */
always_inline struct ahead
ahead_from(const uint8_t *p, const uint8_t *end, const uint8_t *next)
{
	return (struct ahead){ beyond(p, FAR, end, next),
		beyond(p, NEAR, end, next), beyond(p, CLOSE, end, next) };
}

/*
 * Row r's part of the lines of the next rows * bytes.  A block is seldom a
 * whole number of them: the rows share them.
 */
always_inline void
fetch_ahead(const struct ahead *a, size_t bytes, size_t r, size_t rows)
{
	const size_t lines = (rows * bytes + LINE - 1) / LINE;

	_Pragma("GCC unroll 4") for (size_t i = r * lines / rows;
				     i < (r + 1) * lines / rows; i++)
	{
		__builtin_prefetch(a->far + i * LINE, 0, 2);
		__builtin_prefetch(a->near + i * LINE, 0, 2);
		__builtin_prefetch(a->close + i * LINE, 0, 3);
	}
	/* without that, a compiler puts those of all rows in one place */
	__asm__ volatile("");
}

/* So many bytes have been asked for. */
always_inline void
step_ahead(struct ahead *a, size_t bytes)
{
	a->far += bytes;
	a->near += bytes;
	a->close += bytes;
}

void avx512_matvec(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y, const void *next);
void avx512_matmul(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, size_t xq_stride, size_t nt, float *y,
    size_t y_stride);

#endif
