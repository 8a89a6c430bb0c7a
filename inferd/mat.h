/*
 * Products of matrices and rows of activations, spread over the threads.
 */
#ifndef BRIG_INFERD_MAT_H
#define BRIG_INFERD_MAT_H

#include <stddef.h>
#include <stdint.h>

#include "inferd/net.h"
#include "inferd/pool.h"

/*
 * Rows of activations, in each form that weights want to be multiplied with;
 * a form is made when it is first asked for.
 */
struct acts;

struct acts *acts_new(struct pool *pool, size_t max_rows, size_t max_cols);
void acts_free(struct acts *a); /* NULL is fine */
/* From now on x, [rows][cols], which stays until the last use. */
void acts_set(struct acts *a, const float *x, size_t rows, size_t cols);
/* In the form for weights of this type: the first row; *stride in bytes. */
const uint8_t *acts_for(struct acts *a, enum tensor_type type, size_t *stride);

/* y[row][r] = (W row)[r] * scale + bias, stride in floats. */
struct product {
	const struct matrix *m;
	float *y;
	size_t stride;
};

#define PRODUCTS_MAX 4u

/* Up to PRODUCTS_MAX products with the same activations. */
void mat_mul(
    struct pool *pool, struct acts *a, const struct product *p, size_t n);

/*
 * Of each part of a row a product with a matrix of its own, expert by expert
 * of m: y[row][part] = m[part] x[row][part].  The activations are set: those
 * of `parts` for each of `rows`; stride: floats from part to part of y.
 */
void mat_mul_each(struct pool *pool, struct acts *a, const struct matrix *m,
    size_t rows, size_t parts, float *y, size_t stride);

/* Where row r of expert e (0 if there are none) lies. */
const uint8_t *mat_row(const struct matrix *m, size_t e, size_t r);
/*
 * Rows [r0, r1) of expert e for nt rows in form xq.  next: what the thread
 * reads after them, as of kern_matmul().
 */
void mat_rows(const struct matrix *m, size_t e, size_t r0, size_t r1,
    const uint8_t *xq, size_t xq_stride, size_t nt, float *y, size_t stride,
    const void *next);

/* How many rows make a piece that is worth a thread's while. */
size_t mat_piece(const struct matrix *m);

#endif
