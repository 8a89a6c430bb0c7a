#include "inferd/mat.h"

#include <stdlib.h>

#include "base/str.h"
#include "inferd/kern.h"

#define PIECE_BYTES 65536u /* of weights: some microseconds of a thread */
#define PIECE_ROWS 8u      /* a multiple of: kernels take so many at once */
#define FORMS (ACT_SMALL + 1)
#define BLOCK_ROWS 64u /* of activations quantised by one piece */

struct acts {
	struct pool *pool;
	size_t max_rows, max_cols;
	const float *x;
	size_t rows, cols;
	struct form {
		uint8_t *q;
		size_t size;
		size_t stride;
		bool made;
	} form[FORMS];
};

struct acts *
acts_new(struct pool *pool, size_t max_rows, size_t max_cols)
{
	struct acts *a = xcalloc(1, sizeof(*a));

	a->pool = pool;
	a->max_rows = max_rows;
	a->max_cols = max_cols;
	return a;
}

void
acts_free(struct acts *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < FORMS; i++)
		free(a->form[i].q);
	free(a);
}

void
acts_set(struct acts *a, const float *x, size_t rows, size_t cols)
{
	a->x = x;
	a->rows = rows;
	a->cols = cols;
	for (size_t i = 0; i < FORMS; i++)
		a->form[i].made = false;
}

struct quantise {
	struct acts *a;
	struct form *f;
	enum tensor_type type;
};

static void
quantise_piece(size_t piece, unsigned thread, void *arg)
{
	const struct quantise *q = arg;
	const struct acts *a = q->a;
	const size_t first = piece * BLOCK_ROWS;
	const size_t last =
	    first + BLOCK_ROWS < a->rows ? first + BLOCK_ROWS : a->rows;

	(void)thread;
	for (size_t i = first; i < last; i++)
		act_quantise(q->type, &a->x[i * a->cols], a->cols,
		    q->f->q + i * q->f->stride);
}

const uint8_t *
acts_for(struct acts *a, enum tensor_type type, size_t *stride)
{
	struct form *f = &a->form[act_kind(type)];

	if (!f->made) {
		struct quantise q = { a, f, type };

		f->stride = act_bytes(type, a->cols);
		if (f->size < f->stride * a->rows) {
			free(f->q);
			f->size = act_bytes(type, a->max_cols) * a->max_rows;
			if (f->size < f->stride * a->rows)
				f->size = f->stride * a->rows;
			f->q = xaligned(64, f->size);
		}
		pool_run(a->pool, (a->rows + BLOCK_ROWS - 1) / BLOCK_ROWS,
		    quantise_piece, &q);
		f->made = true;
	}
	*stride = f->stride;
	return f->q;
}

size_t
mat_piece(const struct matrix *m)
{
	const size_t n = PIECE_BYTES / m->row_bytes;

	return n < PIECE_ROWS ? PIECE_ROWS : n & ~(size_t)(PIECE_ROWS - 1);
}

const uint8_t *
mat_row(const struct matrix *m, size_t e, size_t r)
{
	return m->w + (e * m->rows + r) * m->row_bytes;
}

void
mat_rows(const struct matrix *m, size_t e, size_t r0, size_t r1,
    const uint8_t *xq, size_t xq_stride, size_t nt, float *y, size_t stride,
    const void *next)
{
	const float *bias = m->bias == NULL ? NULL : &m->bias[e * m->rows];

	kern_matmul(m->type, mat_row(m, e, r0), m->cols, 0, r1 - r0, xq,
	    xq_stride, nt, y, stride, next);
	if (m->scale != NULL)
		for (size_t t = 0; t < nt; t++)
			for (size_t r = 0; r < r1 - r0; r++)
				y[t * stride + r] *= m->scale[e];
	if (bias != NULL)
		for (size_t t = 0; t < nt; t++)
			for (size_t r = 0; r < r1 - r0; r++)
				y[t * stride + r] += bias[r0 + r];
}

struct products {
	struct {
		const struct product *p;
		const uint8_t *xq;
		size_t xq_stride;
		size_t first, piece; /* pieces before it; rows of one */
	} of[PRODUCTS_MAX];
	size_t n, rows;
};

static void
product_piece(size_t piece, unsigned thread, void *arg)
{
	const struct products *ps = arg;
	size_t i = ps->n - 1, r0, r1;
	const struct product *p;

	(void)thread;
	while (ps->of[i].first > piece)
		i--;
	p = ps->of[i].p;
	r0 = (piece - ps->of[i].first) * ps->of[i].piece;
	r1 = r0 + ps->of[i].piece < p->m->rows ? r0 + ps->of[i].piece
					       : p->m->rows;
	mat_rows(p->m, 0, r0, r1, ps->of[i].xq, ps->of[i].xq_stride, ps->rows,
	    &p->y[r0], p->stride,
	    r1 == p->m->rows && i + 1 < ps->n ? ps->of[i + 1].p->m->w : NULL);
}

void
mat_mul(struct pool *pool, struct acts *a, const struct product *p, size_t n)
{
	struct products ps = { .n = n, .rows = a->rows };
	size_t pieces = 0;

	for (size_t i = 0; i < n; i++) {
		ps.of[i].p = &p[i];
		ps.of[i].xq = acts_for(a, p[i].m->type, &ps.of[i].xq_stride);
		ps.of[i].first = pieces;
		ps.of[i].piece = mat_piece(p[i].m);
		pieces += (p[i].m->rows + ps.of[i].piece - 1) / ps.of[i].piece;
	}
	pool_run(pool, pieces, product_piece, &ps);
}

struct each {
	const struct matrix *m;
	const uint8_t *xq; /* [rows][parts] */
	size_t xq_stride, rows, parts;
	float *y;
	size_t stride;
	size_t chunk, chunks; /* rows of a piece; pieces of a part */
};

static void
each_piece(size_t piece, unsigned thread, void *arg)
{
	const struct each *x = arg;
	const size_t part = piece / x->chunks;
	const size_t r0 = piece % x->chunks * x->chunk;
	const size_t r1 =
	    r0 + x->chunk < x->m->rows ? r0 + x->chunk : x->m->rows;

	(void)thread;
	mat_rows(x->m, part, r0, r1, x->xq + part * x->xq_stride,
	    x->parts * x->xq_stride, x->rows, &x->y[part * x->stride + r0],
	    x->parts * x->stride, NULL);
}

void
mat_mul_each(struct pool *pool, struct acts *a, const struct matrix *m,
    size_t rows, size_t parts, float *y, size_t stride)
{
	struct each e = { .m = m,
		.rows = rows,
		.parts = parts,
		.y = y,
		.stride = stride,
		.chunk = mat_piece(m) };

	e.xq = acts_for(a, m->type, &e.xq_stride);
	e.chunks = (m->rows + e.chunk - 1) / e.chunk;
	pool_run(pool, parts * e.chunks, each_piece, &e);
}
