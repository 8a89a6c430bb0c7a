/*
 * Products of rows of weights with rows of activations, eight rows of weights
 * side by side, written once over registers of eight lanes.  Included by one
 * file for each instruction set, after what it is made of (kern_ymm*.h,
 * kern_neon*.h):
 *	COLS		how many rows of activations are done at once
 *	v8 v8i		eight floats, eight integers; their arithmetic
 *	part		a row's integers that are still to be added up
 *	join(part[8])	... the sums, a lane each
 *	struct super	a block: codes q[8], and 16 words each: scales sc and
 *			offsets mn; load_super(), load_small() (codes alone)
 *	zero_here(t)	the zero of the codes as they are loaded
 *	block_sum()	part: scale times code times activation over a block
 *	words_sum()	part: words times sums of activations
 *	small_sum()	part: code times activation over a small block
 *	sum_words()	what sums of activations have to be multiplied with
 *	widen()		half of 16 words, as integers
 *	transpose()	eight rows of eight integers become columns
 *	arrange()	codes of eight rows, in the order that groups() wants
 *	groups()	products of them with columns of activations
 *	four_codes()	four bytes in each lane
 *	dot_words()	adds two products of words to each lane
 */
#ifndef BRIG_INFERD_KERN_ROWS_H
#define BRIG_INFERD_KERN_ROWS_H

#define LANES 8
/* Activation rows for which a block of weights is taken apart once. */
#define CHUNK 128
/* Below this the weights are used as they are, once for each. */
#define FEW 4

always_inline float
block_d(enum tensor_type t, const uint8_t *p)
{
	float d;

	if (t == TT_MXFP4)
		return quant_e8m0_half(p[0]);
	d = half_float(quant_u16(p + place_of_d(t)));
	return t == TT_IQ2_XXS ? d * 0.125f : d;
}

always_inline float
block_dmin(enum tensor_type t, const uint8_t *p)
{
	return half_float(quant_u16(p + place_of_d(t) + 2));
}

always_inline v8
rows_super(enum tensor_type t, const uint8_t *p[LANES], const uint8_t *ahead,
    size_t n, const struct act_super *x)
{
	v8 acc = v8_zero();

	for (; n > 0; n -= QUANT_SUPER, x++) {
		part sum[LANES], off[LANES];
		v8 dx = v8_set1(x->d);
		_Alignas(32) float d[LANES], dmin[LANES];

		for (int r = 0; r < LANES; r++) {
			struct super s;

			load_super(t, p[r], &s);
			sum[r] = block_sum(t, &s, x);
			d[r] = block_d(t, p[r]);
			if (has_offsets(t)) {
				dmin[r] = block_dmin(t, p[r]);
				off[r] = words_sum(s.mn, x->sum);
			}
			fetch(ahead, tensor_type_bytes(t));
			ahead += tensor_type_bytes(t);
			p[r] += tensor_type_bytes(t);
		}
		acc = v8_fma(v8_mul(v8_load(d), dx), v8_of(join(sum)), acc);
		if (has_offsets(t))
			acc = v8_fnma(
			    v8_mul(v8_load(dmin), dx), v8_of(join(off)), acc);
	}
	return acc;
}

always_inline v8
rows_small(enum tensor_type t, const uint8_t *p[LANES], const uint8_t *ahead,
    size_t n, const struct act_small *x)
{
	const int zero = zero_here(t);
	v8 acc = v8_zero();

	for (size_t b = 0; b < n / QUANT_SMALL; b++) {
		part sum[LANES];
		_Alignas(32) float d[LANES];

		for (int r = 0; r < LANES; r++) {
			sum[r] = small_sum(
			    t, load_small(t, p[r]), x->q + QUANT_SMALL * b);
			d[r] = block_d(t, p[r]);
			fetch(ahead, 1);
			ahead += tensor_type_bytes(t);
			p[r] += tensor_type_bytes(t);
		}
		acc = v8_fma(v8_mul(v8_load(d), v8_set1(x->d[b])),
		    v8_of(v8i_sub(join(sum), v8i_set1(zero * x->sum[b]))), acc);
	}
	return acc;
}

/* Rows r and on; where fewer are left, the last one is done again. */
always_inline void
row_pointers(enum tensor_type t, const uint8_t *w, size_t n, size_t r,
    size_t r1, const uint8_t *p[LANES])
{
	size_t bytes = n / tensor_type_block(t) * tensor_type_bytes(t);

	for (size_t k = 0; k < LANES; k++)
		p[k] = w + (r + k < r1 ? r + k : r1 - 1) * bytes;
}

always_inline void
store_rows(float *y, size_t r, size_t r1, v8 v)
{
	float tmp[LANES];

	if (r1 - r >= LANES) {
		v8_store(y + r, v);
		return;
	}
	v8_store(tmp, v);
	memcpy(y + r, tmp, (r1 - r) * sizeof(*y));
}

always_inline void
matvec_type(enum tensor_type t, const uint8_t *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y, const void *next)
{
	const size_t bytes = n / tensor_type_block(t) * tensor_type_bytes(t);
	const size_t ahead = ahead_of(LANES * bytes);
	struct act_small small = act_small(xq, n);
	const uint8_t *p[LANES];

	for (size_t r = r0; r < r1; r += LANES) {
		const uint8_t *from =
		    beyond(w + r * bytes, ahead, w + r1 * bytes, next);

		row_pointers(t, w, n, r, r1, p);
		if (tensor_type_block(t) == QUANT_SUPER)
			store_rows(y, r, r1, rows_super(t, p, from, n, xq));
		else
			store_rows(y, r, r1, rows_small(t, p, from, n, &small));
	}
}

/* Whether sums of activations have a part in the product. */
always_inline bool
is_summed(enum tensor_type t)
{
	return has_offsets(t) || zero_here(t) != 0;
}

/*
 * 256 columns of 8 rows of weights, so that each lane has a row: codes four
 * and four, scales, pairs of offsets, factors.
 */
struct panel {
	v8i q[64];
	v8i sc[16];
	v8i mn[8];
	v8 d[8]; /* [0] of super-blocks; of each of 8 small blocks */
	v8 dmin;
};

always_inline void
pack_super(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    struct panel *p)
{
	v8i q[8][LANES], sc[2][LANES], mn[LANES];
	_Alignas(32) float d[LANES], dmin[LANES] = { 0 };

	for (int r = 0; r < LANES; r++) {
		struct super s;

		load_super(t, rows[r] + at, &s);
		for (int k = 0; k < 8; k++)
			q[k][r] = s.q[k];
		sc[0][r] = widen(s.sc, 0);
		sc[1][r] = widen(s.sc, 1);
		if (is_summed(t))
			mn[r] = sum_words(t, &s);
		d[r] = block_d(t, rows[r] + at);
		if (has_offsets(t))
			dmin[r] = block_dmin(t, rows[r] + at);
	}
	for (int k = 0; k < 8; k++)
		arrange(q[k], p->q + 8 * k);
	transpose(sc[0], p->sc);
	transpose(sc[1], p->sc + 8);
	if (is_summed(t))
		transpose(mn, p->mn);
	p->d[0] = v8_load(d);
	p->dmin = v8_load(dmin);
}

always_inline void
pack_small(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    size_t blocks, struct panel *p)
{
	for (size_t b = 0; b < blocks; b++) {
		v8i q[LANES];
		_Alignas(32) float d[LANES];

		for (int r = 0; r < LANES; r++) {
			const uint8_t *w =
			    rows[r] + at + b * tensor_type_bytes(t);

			q[r] = load_small(t, w);
			d[r] = block_d(t, w);
		}
		arrange(q, p->q + 8 * b);
		p->d[b] = v8_load(d);
	}
}

/* f[c] += panel . block of activations c */
always_inline void
tile_super(enum tensor_type t, const struct panel *p,
    const struct act_super *const x[COLS], v8 *f)
{
	const int8_t *q[COLS];
	v8i tot[COLS], acc[COLS];

	for (int c = 0; c < COLS; c++) {
		q[c] = x[c]->q;
		tot[c] = v8i_zero();
	}
	for (int j = 0; j < (is_fine(t) ? 16 : 8); j++) {
		const int step = is_fine(t) ? 4 : 8;
		const int sub = is_fine(t) ? j : 2 * j;

		groups(t, p->q, q, step * j, step * (j + 1), acc);
		for (int c = 0; c < COLS; c++)
			tot[c] =
			    v8i_add(tot[c], v8i_mul(v8i_mul(acc[c], p->sc[sub]),
						v8i_set1(x[c]->m32[sub / 2])));
	}
	for (int c = 0; c < COLS; c++) {
		v8 dx = v8_set1(x[c]->d);
		v8 d = v8_mul(p->d[0], dx);
		v8i off = v8i_zero();

		for (int k = 0; k < 8 && is_summed(t); k++)
			off = dot_words(
			    off, p->mn[k], four_codes(x[c]->sum + 2 * k));
		if (!has_offsets(t))
			tot[c] = v8i_sub(tot[c], off);
		f[c] = v8_fma(d, v8_of(tot[c]), f[c]);
		if (has_offsets(t))
			f[c] = v8_fnma(v8_mul(p->dmin, dx), v8_of(off), f[c]);
	}
}

/* The same for up to 8 small blocks, from block `first` of the rows. */
always_inline void
tile_small(enum tensor_type t, const struct panel *p,
    const struct act_small x[COLS], size_t first, size_t blocks, v8 *f)
{
	const int zero = zero_here(t);
	const int8_t *q[COLS];

	for (int c = 0; c < COLS; c++)
		q[c] = x[c].q + QUANT_SMALL * first;
	for (size_t b = 0; b < blocks; b++) {
		v8i acc[COLS];

		groups(t, p->q, q, 8 * (int)b, 8 * (int)b + 8, acc);
		for (int c = 0; c < COLS; c++) {
			v8i off = v8i_set1(zero * x[c].sum[first + b]);
			v8 dx = v8_set1(x[c].d[first + b]);

			f[c] = v8_fma(v8_mul(p->d[b], dx),
			    v8_of(v8i_sub(acc[c], off)), f[c]);
		}
	}
}

/* 8 rows from row r and at most CHUNK activation rows. */
always_inline void
rows_by_columns(enum tensor_type t, const uint8_t *w, size_t n, size_t r,
    size_t r1, const uint8_t *xq, size_t stride, size_t nt, float *y,
    size_t y_stride)
{
	const size_t bytes =
	    QUANT_SUPER / tensor_type_block(t) * tensor_type_bytes(t);
	const size_t ahead =
	    ahead_of(LANES * (n / tensor_type_block(t)) * tensor_type_bytes(t));
	const uint8_t *rows[LANES], *next;
	struct panel p;
	v8 f[CHUNK];

	row_pointers(t, w, n, r, r1, rows);
	next = rows[0] + ahead;
	for (size_t i = 0; i < (nt + COLS - 1) / COLS * COLS; i++)
		f[i] = v8_zero();
	for (size_t b = 0; b * QUANT_SUPER < n; b++) {
		size_t left = n / QUANT_SMALL - 8 * b;
		size_t blocks = left < 8 ? left : 8;

		if (tensor_type_block(t) == QUANT_SUPER)
			pack_super(t, rows, b * bytes, &p);
		else
			pack_small(t, rows, b * bytes, blocks, &p);
		fetch(next + b * LANES * bytes, LANES * bytes);
		for (size_t i = 0; i < nt; i += COLS) {
			const struct act_super *x[COLS];
			struct act_small s[COLS];

			/* the last again where some miss: f has room */
			for (size_t c = 0; c < COLS; c++) {
				const void *row =
				    xq + (i + c < nt ? i + c : nt - 1) * stride;

				x[c] = (const struct act_super *)row + b;
				s[c] = act_small(row, n);
			}
			if (tensor_type_block(t) == QUANT_SUPER)
				tile_super(t, &p, x, f + i);
			else
				tile_small(t, &p, s, 8 * b, blocks, f + i);
		}
	}
	for (size_t i = 0; i < nt; i++)
		store_rows(y + i * y_stride, r, r1, f[i]);
}

#define EACH_TYPE(CASE)                                                        \
	CASE(TT_Q8_0);                                                         \
	CASE(TT_Q4_0);                                                         \
	CASE(TT_IQ4_NL);                                                       \
	CASE(TT_MXFP4);                                                        \
	CASE(TT_Q2_K);                                                         \
	CASE(TT_Q3_K);                                                         \
	CASE(TT_Q4_K);                                                         \
	CASE(TT_Q5_K);                                                         \
	CASE(TT_Q6_K);                                                         \
	CASE(TT_IQ2_XXS);                                                      \
	CASE(TT_IQ4_XS);                                                       \
	case TT_F32:                                                           \
	case TT_F16:                                                           \
	case TT_BF16:                                                          \
	case TT_MAX:                                                           \
		return

static void
rows_matvec(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, float *y, const void *next)
{
	switch (t) {
#define CASE(type)                                                             \
	case type:                                                             \
		matvec_type(type, w, n, r0, r1, xq, y, next);                  \
		return
		EACH_TYPE(CASE);
#undef CASE
	}
}

static void
rows_of_type(enum tensor_type t, const uint8_t *w, size_t n, size_t r,
    size_t r1, const uint8_t *xq, size_t stride, size_t nt, float *y,
    size_t y_stride)
{
	switch (t) {
#define CASE(type)                                                             \
	case type:                                                             \
		rows_by_columns(                                               \
		    type, w, n, r, r1, xq, stride, nt, y, y_stride);           \
		return
		EACH_TYPE(CASE);
#undef CASE
	}
}

static void
rows_matmul(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, size_t xq_stride, size_t nt, float *y, size_t y_stride)
{
	const uint8_t *x = xq;

	for (size_t i = 0; i < nt && nt >= FEW; i += CHUNK)
		for (size_t r = r0; r < r1; r += LANES)
			rows_of_type(t, w, n, r, r1, x + i * xq_stride,
			    xq_stride, nt - i < CHUNK ? nt - i : CHUNK,
			    y + i * y_stride, y_stride);
	if (nt >= FEW)
		return;
	for (size_t r = r0; r < r1; r += LANES)
		for (size_t i = 0; i < nt; i++)
			rows_matvec(t, w, n, r, r1 - r < LANES ? r1 : r + LANES,
			    x + i * xq_stride, y + i * y_stride, NULL);
}

#endif
