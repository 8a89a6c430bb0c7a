/*
 * What layers with a state are made of (kern.h), for kern_float.h: each column
 * of a state is a sum of its own, over rows in order.
 */
#ifndef BRIG_INFERD_KERN_DELTA_H
#define BRIG_INFERD_KERN_DELTA_H

/* Registers of columns that go through a state together: as many sums as are
 * under way at once. */
#if defined(V16_TURNED_SUMS)
#define ABREAST 4
#else
#define ABREAST 2
#endif

static void
float_gate(const float *g, size_t n, float *y)
{
	for (size_t i = 0; i < n; i += 16)
		store_some(y, i, n,
		    v16_mul(load_some(y, i, n, 0),
			v16_sigmoid(load_some(g, i, n, 0))));
}

static void
float_conv(const float *const *x, const float *w, size_t w_stride, size_t taps,
    size_t n, float *y)
{
	for (size_t i = 0; i < n; i += 16) {
		v16 acc = v16_set1(0);

		for (size_t t = 0; t < taps; t++)
			acc = v16_fma(load_some(x[t], i, n, 0),
			    load_some(w + t * w_stride, i, n, 0), acc);
		store_some(y, i, n, v16_mul(acc, v16_sigmoid(acc)));
	}
}

/* Several registers of columns are whole ones. */
always_inline v16
columns(const float *p, size_t i, size_t n, size_t abreast)
{
	return abreast > 1 ? v16_load(p + i) : load_some(p, i, n, 0);
}

always_inline void
store_columns(float *p, size_t i, size_t n, size_t abreast, v16 a)
{
	if (abreast > 1)
		v16_store(p + i, a);
	else
		store_some(p, i, n, a);
}

/* Columns [i, i + 16 * abreast) of n. */
always_inline void
delta_columns(size_t abreast, float *s, size_t rows, size_t n, size_t i,
    const struct delta_step *x, float *y)
{
	const v16 decay = v16_set1(x->decay), beta = v16_set1(x->beta);
	const v16 kq = v16_set1(x->kq);
	v16 seen[ABREAST], told[ABREAST];

	for (size_t c = 0; c < abreast; c++)
		seen[c] = told[c] = v16_set1(0);
	for (size_t r = 0; r < rows; r++) {
		const v16 k = v16_set1(x->k[r]), q = v16_set1(x->q[r]);

		for (size_t c = 0; c < abreast; c++) {
			v16 w = columns(s + r * n, i + 16 * c, n, abreast);

			seen[c] = v16_fma(k, w, seen[c]);
			told[c] = v16_fma(q, w, told[c]);
		}
	}
	for (size_t c = 0; c < abreast; c++) {
		v16 v = columns(x->v, i + 16 * c, n, abreast);

		v = v16_sub(v, v16_mul(decay, seen[c]));
		seen[c] = v16_mul(beta, v);
		v = v16_fma(kq, seen[c], v16_mul(decay, told[c]));
		store_columns(y, i + 16 * c, n, abreast, v);
	}
	for (size_t r = 0; r < rows; r++) {
		const v16 k = v16_set1(x->k[r]);

		for (size_t c = 0; c < abreast; c++) {
			v16 w = columns(s + r * n, i + 16 * c, n, abreast);

			w = v16_fma(k, seen[c], v16_mul(decay, w));
			store_columns(s + r * n, i + 16 * c, n, abreast, w);
		}
	}
}

static void
float_delta(
    float *s, size_t rows, size_t n, const struct delta_step *x, float *y)
{
	size_t i = 0;

	for (; i + 16 * ABREAST <= n; i += 16 * ABREAST)
		delta_columns(ABREAST, s, rows, n, i, x, y);
	for (; i < n; i += 16)
		delta_columns(1, s, rows, n, i, x, y);
}

#undef ABREAST

#endif
