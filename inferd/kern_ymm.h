/*
 * Products on registers of 32 bytes.  Included by kern_avx2.c and
 * kern_avxvnni.c, which say how four products are added to a lane:
 *	dot_bytes(acc, u, s)	unsigned and signed bytes; pairs of products fit
 *				16 bits
 *	dot_words(acc, a, b)	pairs of words
 */
#ifndef BRIG_INFERD_KERN_YMM_H
#define BRIG_INFERD_KERN_YMM_H

#define LANES 8
#define COLS 4
/* Activation rows for which a block of weights is taken apart once. */
#define CHUNK 128
/* Below this the weights are used as they are, once for each. */
#define FEW 4

/* Weights are signed or not; x are signed. */
always_inline __m256i
dot_codes(bool sign, __m256i acc, __m256i w, __m256i x)
{
	if (sign)
		return dot_bytes(
		    acc, _mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
	return dot_bytes(acc, w, x);
}

/* The sums of eight registers, in one. */
always_inline __m256i
join(const __m256i s[LANES])
{
	__m256i a = _mm256_hadd_epi32(
	    _mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
	__m256i b = _mm256_hadd_epi32(
	    _mm256_hadd_epi32(s[4], s[5]), _mm256_hadd_epi32(s[6], s[7]));

	return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
	    _mm256_permute2x128_si256(a, b, 0x31));
}

/* Sum of scale times code times activation over a block, in eight lanes. */
always_inline __m256i
block_sum(bool sign, const struct super *s, const struct act_super *x)
{
	__m256i sc =
	    _mm256_mullo_epi16(s->sc, _mm256_load_si256((const void *)x->m));
	__m256i half[2] = { _mm256_permute2x128_si256(sc, sc, 0x00),
		_mm256_permute2x128_si256(sc, sc, 0x11) };
	__m256i acc = _mm256_setzero_si256();

	for (int k = 0; k < 8; k++) {
		__m256i v = _mm256_load_si256((const void *)(x->q + 32 * k));
		__m256i w = s->q[k];
		/* words 2 k and 2 k + 1 of 16, each over half a register */
		short at = (short)(0x100 + 0x404 * (k % 4));
		__m256i idx = _mm256_inserti128_si256(_mm256_set1_epi16(at),
		    _mm_set1_epi16((short)(at + 0x202)), 1);

		if (sign) {
			v = _mm256_sign_epi8(v, w);
			w = _mm256_abs_epi8(w);
		}
		acc = dot_words(acc, _mm256_maddubs_epi16(w, v),
		    _mm256_shuffle_epi8(half[k / 4], idx));
	}
	return acc;
}

always_inline __m256
rows_super(enum tensor_type t, const uint8_t *p[LANES], size_t n,
    const struct act_super *x)
{
	const int zero = zero_here(t);
	__m256 acc = _mm256_setzero_ps();

	for (; n > 0; n -= QUANT_SUPER, x++) {
		__m256i xs = _mm256_load_si256((const void *)x->sum);
		__m256i sum[LANES], off[LANES];
		__m256 dx = _mm256_set1_ps(x->d);
		_Alignas(32) float d[LANES], dmin[LANES];

		for (int r = 0; r < LANES; r++) {
			struct super s;

			load_super(t, p[r], &s);
			sum[r] = block_sum(is_signed(t), &s, x);
			d[r] = block_d(t, p[r]);
			if (has_offsets(t)) {
				dmin[r] = block_dmin(t, p[r]);
				off[r] = _mm256_madd_epi16(s.mn, xs);
			} else if (zero != 0)
				sum[r] = _mm256_sub_epi32(
				    sum[r], _mm256_mullo_epi32(
						_mm256_madd_epi16(s.sc, xs),
						_mm256_set1_epi32(zero)));
			p[r] += tensor_type_bytes(t);
		}
		acc = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(d), dx),
		    _mm256_cvtepi32_ps(join(sum)), acc);
		if (has_offsets(t))
			acc = _mm256_fnmadd_ps(
			    _mm256_mul_ps(_mm256_load_ps(dmin), dx),
			    _mm256_cvtepi32_ps(join(off)), acc);
	}
	return acc;
}

always_inline __m256
rows_small(enum tensor_type t, const uint8_t *p[LANES], size_t n,
    const struct act_small *x)
{
	const int zero = zero_here(t);
	__m256 acc = _mm256_setzero_ps();

	for (size_t b = 0; b < n / QUANT_SMALL; b++) {
		__m256i v = load_32((const uint8_t *)x->q + QUANT_SMALL * b);
		__m256i sum[LANES];
		_Alignas(32) float d[LANES];

		for (int r = 0; r < LANES; r++) {
			sum[r] = dot_codes(is_signed(t), _mm256_setzero_si256(),
			    load_small(t, p[r]), v);
			d[r] = block_d(t, p[r]);
			p[r] += tensor_type_bytes(t);
		}
		acc = _mm256_fmadd_ps(
		    _mm256_mul_ps(_mm256_load_ps(d), _mm256_set1_ps(x->d[b])),
		    _mm256_cvtepi32_ps(_mm256_sub_epi32(
			join(sum), _mm256_set1_epi32(zero * x->sum[b]))),
		    acc);
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
store_rows(float *y, size_t r, size_t r1, __m256 v)
{
	float tmp[LANES];

	if (r1 - r >= LANES) {
		_mm256_storeu_ps(y + r, v);
		return;
	}
	_mm256_storeu_ps(tmp, v);
	memcpy(y + r, tmp, (r1 - r) * sizeof(*y));
}

always_inline void
matvec_type(enum tensor_type t, const uint8_t *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y)
{
	struct act_small small = act_small(xq, n);
	const uint8_t *p[LANES];

	for (size_t r = r0; r < r1; r += LANES) {
		row_pointers(t, w, n, r, r1, p);
		if (tensor_type_block(t) == QUANT_SUPER)
			store_rows(y, r, r1, rows_super(t, p, n, xq));
		else
			store_rows(y, r, r1, rows_small(t, p, n, &small));
	}
}

/*
 * 256 columns of 8 rows of weights, so that each lane has a row: codes four
 * and four, scales, pairs of offsets, factors.
 */
struct panel {
	__m256i q[64];
	__m256i sc[16];
	__m256i mn[8];
	__m256 d[8]; /* [0] of super-blocks; of each of 8 small blocks */
	__m256 dmin;
};

/* 8 rows of 8 words become columns. */
always_inline void
transpose(const __m256i in[8], __m256i out[8])
{
	__m256i a[8], b[8];

	for (int i = 0; i < 4; i++) {
		a[2 * i] = _mm256_unpacklo_epi32(in[2 * i], in[2 * i + 1]);
		a[2 * i + 1] = _mm256_unpackhi_epi32(in[2 * i], in[2 * i + 1]);
	}
	for (int g = 0; g < 2; g++) {
		const __m256i *r = a + 4 * g;

		b[4 * g] = _mm256_unpacklo_epi64(r[0], r[2]);
		b[4 * g + 1] = _mm256_unpackhi_epi64(r[0], r[2]);
		b[4 * g + 2] = _mm256_unpacklo_epi64(r[1], r[3]);
		b[4 * g + 3] = _mm256_unpackhi_epi64(r[1], r[3]);
	}
	for (int k = 0; k < 4; k++) {
		out[k] = _mm256_permute2x128_si256(b[k], b[4 + k], 0x20);
		out[4 + k] = _mm256_permute2x128_si256(b[k], b[4 + k], 0x31);
	}
}

always_inline void
pack_super(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    struct panel *p)
{
	const __m256i zero = _mm256_set1_epi16((short)zero_here(t));
	__m256i q[8][LANES], sc[2][LANES], mn[LANES];
	_Alignas(32) float d[LANES], dmin[LANES] = { 0 };

	for (int r = 0; r < LANES; r++) {
		struct super s;

		load_super(t, rows[r] + at, &s);
		for (int k = 0; k < 8; k++)
			q[k][r] = s.q[k];
		sc[0][r] = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(s.sc));
		sc[1][r] =
		    _mm256_cvtepi16_epi32(_mm256_extracti128_si256(s.sc, 1));
		mn[r] = has_offsets(t) ? s.mn : _mm256_mullo_epi16(s.sc, zero);
		d[r] = block_d(t, rows[r] + at);
		if (has_offsets(t))
			dmin[r] = block_dmin(t, rows[r] + at);
	}
	for (int k = 0; k < 8; k++)
		transpose(q[k], p->q + 8 * k);
	transpose(sc[0], p->sc);
	transpose(sc[1], p->sc + 8);
	transpose(mn, p->mn);
	p->d[0] = _mm256_load_ps(d);
	p->dmin = _mm256_load_ps(dmin);
}

always_inline void
pack_small(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    size_t blocks, struct panel *p)
{
	for (size_t b = 0; b < blocks; b++) {
		__m256i q[LANES];
		_Alignas(32) float d[LANES];

		for (int r = 0; r < LANES; r++) {
			const uint8_t *w =
			    rows[r] + at + b * tensor_type_bytes(t);

			q[r] = load_small(t, w);
			d[r] = block_d(t, w);
		}
		transpose(q, p->q + 8 * b);
		p->d[b] = _mm256_load_ps(d);
	}
}

always_inline __m256i
four_codes(const void *x)
{
	int32_t v;

	memcpy(&v, x, sizeof(v));
	return _mm256_set1_epi32(v);
}

/* acc[c] = codes of groups from to to, of a panel and activations. */
always_inline void
groups(bool sign, const struct panel *p, const int8_t *const x[COLS], int from,
    int to, __m256i acc[COLS])
{
	for (int c = 0; c < COLS; c++)
		acc[c] = _mm256_setzero_si256();
	for (int g = from; g < to; g++)
		for (int c = 0; c < COLS; c++)
			acc[c] = dot_codes(
			    sign, acc[c], p->q[g], four_codes(x[c] + 4 * g));
}

/* Whether scales are of 16 elements; else of 32. */
always_inline bool
is_fine(enum tensor_type t)
{
	return t == TT_Q6_K || t == TT_Q3_K || t == TT_Q2_K;
}

/* f[c] += panel . block of activations c */
always_inline void
tile_super(enum tensor_type t, const struct panel *p,
    const struct act_super *const x[COLS], __m256 *f)
{
	const int8_t *q[COLS];
	__m256i tot[COLS], acc[COLS];

	for (int c = 0; c < COLS; c++) {
		q[c] = x[c]->q;
		tot[c] = _mm256_setzero_si256();
	}
	for (int j = 0; j < (is_fine(t) ? 16 : 8); j++) {
		const int step = is_fine(t) ? 4 : 8;
		const int sub = is_fine(t) ? j : 2 * j;

		groups(is_signed(t), p, q, step * j, step * (j + 1), acc);
		for (int c = 0; c < COLS; c++)
			tot[c] = _mm256_add_epi32(
			    tot[c], _mm256_mullo_epi32(
					_mm256_mullo_epi32(acc[c], p->sc[sub]),
					_mm256_set1_epi32(x[c]->m32[sub / 2])));
	}
	for (int c = 0; c < COLS; c++) {
		__m256 dx = _mm256_set1_ps(x[c]->d);
		__m256 d = _mm256_mul_ps(p->d[0], dx);
		__m256i off = _mm256_setzero_si256();

		for (int k = 0; k < 8 && !is_signed(t); k++)
			off = dot_words(
			    off, p->mn[k], four_codes(x[c]->sum + 2 * k));
		if (!has_offsets(t))
			tot[c] = _mm256_sub_epi32(tot[c], off);
		f[c] = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(tot[c]), f[c]);
		if (has_offsets(t))
			f[c] = _mm256_fnmadd_ps(_mm256_mul_ps(p->dmin, dx),
			    _mm256_cvtepi32_ps(off), f[c]);
	}
}

/* The same for up to 8 small blocks, from block `first` of the rows. */
always_inline void
tile_small(enum tensor_type t, const struct panel *p,
    const struct act_small x[COLS], size_t first, size_t blocks, __m256 *f)
{
	const int zero = zero_here(t);
	const int8_t *q[COLS];

	for (int c = 0; c < COLS; c++)
		q[c] = x[c].q + QUANT_SMALL * first;
	for (size_t b = 0; b < blocks; b++) {
		__m256i acc[COLS];

		groups(is_signed(t), p, q, 8 * (int)b, 8 * (int)b + 8, acc);
		for (int c = 0; c < COLS; c++) {
			__m256i off =
			    _mm256_set1_epi32(zero * x[c].sum[first + b]);
			__m256 dx = _mm256_set1_ps(x[c].d[first + b]);

			f[c] = _mm256_fmadd_ps(_mm256_mul_ps(p->d[b], dx),
			    _mm256_cvtepi32_ps(_mm256_sub_epi32(acc[c], off)),
			    f[c]);
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
	const uint8_t *rows[LANES];
	struct panel p;
	__m256 f[CHUNK];

	row_pointers(t, w, n, r, r1, rows);
	for (size_t i = 0; i < (nt + COLS - 1) / COLS * COLS; i++)
		f[i] = _mm256_setzero_ps();
	for (size_t b = 0; b * QUANT_SUPER < n; b++) {
		size_t left = n / QUANT_SMALL - 8 * b;
		size_t blocks = left < 8 ? left : 8;

		if (tensor_type_block(t) == QUANT_SUPER)
			pack_super(t, rows, b * bytes, &p);
		else
			pack_small(t, rows, b * bytes, blocks, &p);
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
ymm_matvec(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, float *y)
{
	switch (t) {
#define CASE(type)                                                             \
	case type:                                                             \
		matvec_type(type, w, n, r0, r1, xq, y);                        \
		return
		EACH_TYPE(CASE);
#undef CASE
	}
}

static void
ymm_rows(enum tensor_type t, const uint8_t *w, size_t n, size_t r, size_t r1,
    const uint8_t *xq, size_t stride, size_t nt, float *y, size_t y_stride)
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
ymm_matmul(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, size_t xq_stride, size_t nt, float *y, size_t y_stride)
{
	const uint8_t *x = xq;

	for (size_t i = 0; i < nt && nt >= FEW; i += CHUNK)
		for (size_t r = r0; r < r1; r += LANES)
			ymm_rows(t, w, n, r, r1, x + i * xq_stride, xq_stride,
			    nt - i < CHUNK ? nt - i : CHUNK, y + i * y_stride,
			    y_stride);
	if (nt >= FEW)
		return;
	for (size_t r = r0; r < r1; r += LANES)
		for (size_t i = 0; i < nt; i++)
			ymm_matvec(t, w, n, r, r1 - r < LANES ? r1 : r + LANES,
			    x + i * xq_stride, y + i * y_stride);
}

#endif
