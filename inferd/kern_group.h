/*
 * Rows of a cache for several queries at once, so that a row is turned into
 * floats once for all: for kern_float.h.  What comes out is to the last bit
 * what each query alone would give.
 */
#ifndef BRIG_INFERD_KERN_GROUP_H
#define BRIG_INFERD_KERN_GROUP_H

#define TILE 4 /* rows, queries and registers of columns of a tile */

#if defined(V16_TURNED_SUMS)

always_inline void
dot_tile(enum tensor_type t, const uint8_t *rows, size_t stride, const float *x,
    size_t x_stride, size_t n, float *y, size_t y_stride)
{
	v16 acc[TILE * TILE];
	float sums[TILE * TILE];

	for (size_t k = 0; k < TILE * TILE; k++)
		acc[k] = v16_set1(0);
	for (size_t i = 0; i < n; i += 16)
		for (size_t r = 0; r < TILE; r++) {
			v16 w = row_lanes(t, rows + r * stride, i);

			for (size_t g = 0; g < TILE; g++)
				acc[TILE * r + g] =
				    v16_fma(w, v16_load(x + g * x_stride + i),
					acc[TILE * r + g]);
		}
	v16_turned_sums(acc, sums);
	for (size_t g = 0; g < TILE; g++)
		memcpy(y + g * y_stride, sums + TILE * g, TILE * sizeof(*sums));
}

always_inline void
axpy_tile(enum tensor_type t, const uint8_t *rows, size_t stride, size_t nrows,
    const float *a, size_t a_stride, size_t i, float *y, size_t y_stride)
{
	v16 acc[TILE][TILE];

	for (size_t g = 0; g < TILE; g++)
		for (size_t k = 0; k < TILE; k++)
			acc[g][k] = v16_load(y + g * y_stride + i + 16 * k);
	for (size_t r = 0; r < nrows; r++) {
		v16 w[TILE];

		for (size_t k = 0; k < TILE; k++)
			w[k] = row_lanes(t, rows + r * stride, i + 16 * k);
		for (size_t g = 0; g < TILE; g++) {
			v16 s = v16_set1(a[g * a_stride + r]);

			for (size_t k = 0; k < TILE; k++)
				acc[g][k] = v16_fma(s, w[k], acc[g][k]);
		}
	}
	for (size_t g = 0; g < TILE; g++)
		for (size_t k = 0; k < TILE; k++)
			v16_store(y + g * y_stride + i + 16 * k, acc[g][k]);
}

/* How many of a number are in whole tiles. */
#define WHOLE(n) ((n) / TILE * TILE)

#else

#define WHOLE(n) 0

static inline void
dot_tile(enum tensor_type t, const uint8_t *rows, size_t stride, const float *x,
    size_t x_stride, size_t n, float *y, size_t y_stride)
{
}

static inline void
axpy_tile(enum tensor_type t, const uint8_t *rows, size_t stride, size_t nrows,
    const float *a, size_t a_stride, size_t i, float *y, size_t y_stride)
{
}

#endif

always_inline void
dot_group_type(enum tensor_type t, const uint8_t *rows, size_t stride,
    size_t nrows, const float *x, size_t x_stride, size_t nx, size_t n,
    float *y, size_t y_stride)
{
	const size_t whole = n % 16 == 0 ? WHOLE(nx) : 0;
	const size_t done = whole > 0 ? WHOLE(nrows) : 0;

	for (size_t g = 0; g < whole; g += TILE)
		for (size_t r = 0; r < done; r += TILE)
			dot_tile(t, rows + r * stride, stride, x + g * x_stride,
			    x_stride, n, y + g * y_stride + r, y_stride);
	for (size_t g = 0; g < nx; g++) {
		const size_t r = g < whole ? done : 0;

		float_dot_rows(t, rows + r * stride, stride, nrows - r,
		    x + g * x_stride, n, y + g * y_stride + r);
	}
}

static void
float_dot_group(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *x, size_t x_stride, size_t nx, size_t n,
    float *y, size_t y_stride)
{
	if (t == TT_F16)
		dot_group_type(TT_F16, rows, stride, nrows, x, x_stride, nx, n,
		    y, y_stride);
	else if (t == TT_Q8_0)
		dot_group_type(TT_Q8_0, rows, stride, nrows, x, x_stride, nx, n,
		    y, y_stride);
	else
		for (size_t g = 0; g < nx; g++)
			float_dot_rows(t, rows, stride, nrows, x + g * x_stride,
			    n, y + g * y_stride);
}

always_inline void
axpy_group_type(enum tensor_type t, const uint8_t *rows, size_t stride,
    size_t nrows, const float *a, size_t a_stride, size_t nx, size_t n,
    float *y, size_t y_stride)
{
	const size_t whole = n % (16 * TILE) == 0 ? WHOLE(nx) : 0;

	for (size_t g = 0; g < whole; g += TILE)
		for (size_t i = 0; i < n; i += 16 * TILE)
			axpy_tile(t, rows, stride, nrows, a + g * a_stride,
			    a_stride, i, y + g * y_stride, y_stride);
	for (size_t g = whole; g < nx; g++)
		float_axpy_rows(t, rows, stride, nrows, a + g * a_stride, n,
		    y + g * y_stride);
}

static void
float_axpy_group(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *a, size_t a_stride, size_t nx, size_t n,
    float *y, size_t y_stride)
{
	if (t == TT_F16)
		axpy_group_type(TT_F16, rows, stride, nrows, a, a_stride, nx, n,
		    y, y_stride);
	else if (t == TT_Q8_0)
		axpy_group_type(TT_Q8_0, rows, stride, nrows, a, a_stride, nx,
		    n, y, y_stride);
	else
		for (size_t g = 0; g < nx; g++)
			float_axpy_rows(t, rows, stride, nrows,
			    a + g * a_stride, n, y + g * y_stride);
}

#undef TILE
#undef WHOLE

#endif
