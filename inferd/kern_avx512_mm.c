#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)

#include "inferd/kern_avx512.h"
#include "inferd/kern_avx512_pack.h"

/* Registers of rows, and of activation rows, that are multiplied at once. */
#define VECS 2
#define COLS 4
/* Activation rows for which a block of weights is taken apart once. */
#define CHUNK 128
/* Below this the weights are used as they are, once for each. */
#define FEW 4

always_inline __m512i
four_codes(const int8_t *x)
{
	int32_t v;

	memcpy(&v, x, sizeof(v));
	return _mm512_set1_epi32(v);
}

/* acc[v][c] += codes of groups from to to, of a panel and activations. */
always_inline void
groups(const struct panel *p, int cols, const int8_t *const x[COLS], int from,
    int to, __m512i acc[VECS][COLS])
{
	for (int v = 0; v < VECS; v++)
		for (int c = 0; c < cols; c++)
			acc[v][c] = _mm512_setzero_si512();
	_Pragma("GCC unroll 8") for (int g = from; g < to; g++)
	{
		__m512i w0 = p[0].q[g], w1 = p[1].q[g];

		for (int c = 0; c < cols; c++) {
			__m512i v = four_codes(x[c] + 4 * g);

			acc[0][c] = _mm512_dpbusd_epi32(acc[0][c], w0, v);
			acc[1][c] = _mm512_dpbusd_epi32(acc[1][c], w1, v);
		}
	}
}

/* f[c][v] += panel . block of activations c */
always_inline void
tile_super(enum tensor_type t, const struct panel *p, int cols,
    const struct act_super *const x[COLS], __m512 (*f)[VECS])
{
	const int8_t *q[COLS];
	__m512i tot[VECS][COLS], acc[VECS][COLS];

	for (int c = 0; c < cols; c++) {
		q[c] = x[c]->q;
		for (int v = 0; v < VECS; v++)
			tot[v][c] = _mm512_setzero_si512();
	}
	for (int j = 0; j < 8; j++) {
		if (!is_fine(t)) {
			groups(p, cols, q, 8 * j, 8 * j + 8, acc);
			for (int c = 0; c < cols; c++)
				for (int v = 0; v < VECS; v++)
					acc[v][c] = _mm512_mullo_epi32(
					    acc[v][c], p[v].sc[2 * j]);
		} else {
			__m512i low[VECS][COLS];

			groups(p, cols, q, 8 * j, 8 * j + 4, low);
			for (int c = 0; c < cols; c++)
				for (int v = 0; v < VECS; v++)
					low[v][c] = _mm512_mullo_epi32(
					    low[v][c], p[v].sc[2 * j]);
			groups(p, cols, q, 8 * j + 4, 8 * j + 8, acc);
			for (int c = 0; c < cols; c++)
				for (int v = 0; v < VECS; v++)
					acc[v][c] = _mm512_add_epi32(low[v][c],
					    _mm512_mullo_epi32(
						acc[v][c], p[v].sc[2 * j + 1]));
		}
		for (int c = 0; c < cols; c++) {
			__m512i m = _mm512_set1_epi32(x[c]->m32[j]);

			for (int v = 0; v < VECS; v++)
				tot[v][c] = _mm512_add_epi32(tot[v][c],
				    _mm512_mullo_epi32(acc[v][c], m));
		}
	}
	for (int c = 0; c < cols; c++)
		for (int v = 0; v < VECS; v++)
			acc[v][c] = _mm512_setzero_si512();
	_Pragma("GCC unroll 8") for (int k = 0; k < 8; k++)
	{
		for (int c = 0; c < cols; c++) {
			__m512i s =
			    four_codes((const int8_t *)(x[c]->sum + 2 * k));

			for (int v = 0; v < VECS; v++)
				acc[v][c] = _mm512_dpwssd_epi32(
				    acc[v][c], p[v].mn[k], s);
		}
	}
	for (int c = 0; c < cols; c++) {
		__m512 dx = _mm512_set1_ps(x[c]->d);

		for (int v = 0; v < VECS; v++) {
			__m512 d = _mm512_mul_ps(p[v].d[0], dx);

			if (!has_offsets(t)) {
				tot[v][c] =
				    _mm512_sub_epi32(tot[v][c], acc[v][c]);
				f[c][v] = _mm512_fmadd_ps(
				    d, _mm512_cvtepi32_ps(tot[v][c]), f[c][v]);
				continue;
			}
			f[c][v] = _mm512_fmadd_ps(
			    d, _mm512_cvtepi32_ps(tot[v][c]), f[c][v]);
			f[c][v] = _mm512_fnmadd_ps(_mm512_mul_ps(p[v].dmin, dx),
			    _mm512_cvtepi32_ps(acc[v][c]), f[c][v]);
		}
	}
}

/* The same for up to 8 small blocks, from block `first` of the rows. */
always_inline void
tile_small(enum tensor_type t, const struct panel *p, int cols,
    const struct act_small x[COLS], size_t first, size_t blocks,
    __m512 (*f)[VECS])
{
	const int zero = (int)quant_zero_of(t);
	const int8_t *q[COLS];
	__m512 sum[COLS][VECS];

	for (int c = 0; c < cols; c++) {
		q[c] = x[c].q + QUANT_SMALL * first;
		for (int v = 0; v < VECS; v++)
			sum[c][v] = f[c][v];
	}
	for (size_t b = 0; b < blocks; b++) {
		__m512i acc[VECS][COLS];

		groups(p, cols, q, 8 * (int)b, 8 * (int)b + 8, acc);
		for (int c = 0; c < cols; c++) {
			__m512i off =
			    _mm512_set1_epi32(zero * x[c].sum[first + b]);
			__m512 dx = _mm512_set1_ps(x[c].d[first + b]);

			for (int v = 0; v < VECS; v++)
				sum[c][v] = _mm512_fmadd_ps(
				    _mm512_mul_ps(p[v].d[b], dx),
				    _mm512_cvtepi32_ps(
					_mm512_sub_epi32(acc[v][c], off)),
				    sum[c][v]);
		}
	}
	for (int c = 0; c < cols; c++)
		for (int v = 0; v < VECS; v++)
			f[c][v] = sum[c][v];
}

/* nt columns of one panel; block: 256 columns of the weights. */
always_inline void
tiles(enum tensor_type t, const struct panel *p, const uint8_t *xq,
    size_t stride, size_t nt, size_t n, size_t block, __m512 (*f)[VECS])
{
	size_t left = n / QUANT_SMALL - 8 * block;
	size_t blocks = left < 8 ? left : 8;

	for (size_t i = 0; i < nt; i += COLS, f += COLS) {
		const struct act_super *x[COLS];
		struct act_small s[COLS];
		size_t cols = nt - i < COLS ? nt - i : COLS;

		/* the last one again, where columns are missing: f has room */
		for (size_t c = 0; c < COLS; c++) {
			const uint8_t *row =
			    xq + (i + (c < cols ? c : cols - 1)) * stride;

			x[c] =
			    (const struct act_super *)(const void *)row + block;
			s[c] = act_small(row, n);
		}
		if (tensor_type_block(t) == QUANT_SUPER)
			tile_super(t, p, COLS, x, f);
		else
			tile_small(t, p, COLS, s, 8 * block, blocks, f);
	}
}

/* VECS * 16 rows from row r and at most CHUNK activation rows. */
always_inline void
rows_by_columns(enum tensor_type t, const uint8_t *w, size_t n, size_t r,
    size_t r1, const uint8_t *xq, size_t stride, size_t nt, float *y,
    size_t y_stride)
{
	const size_t row_bytes =
	    n / tensor_type_block(t) * tensor_type_bytes(t);
	const size_t bytes =
	    QUANT_SUPER / tensor_type_block(t) * tensor_type_bytes(t);
	struct ahead ahead =
	    ahead_from(w + r * row_bytes, w + r1 * row_bytes, NULL);
	const uint8_t *rows[VECS][LANES];
	struct panel p[VECS];
	__m512 f[CHUNK][VECS];

	for (size_t k = 0; k < VECS * LANES; k++)
		rows[k / LANES][k % LANES] =
		    w + (r + k < r1 ? r + k : r1 - 1) * row_bytes;
	for (size_t i = 0; i < (nt + COLS - 1) / COLS * COLS; i++)
		for (int v = 0; v < VECS; v++)
			f[i][v] = _mm512_setzero_ps();
	for (size_t b = 0; b * QUANT_SUPER < n; b++) {
		size_t left = n / QUANT_SMALL - 8 * b;

		for (int v = 0; v < VECS; v++)
			if (tensor_type_block(t) == QUANT_SUPER)
				pack_super(t, rows[v], b * bytes, &p[v]);
			else
				pack_small(t, rows[v], b * bytes,
				    left < 8 ? left : 8, &p[v]);
		fetch_ahead(&ahead, VECS * LANES * bytes, 0, 1);
		step_ahead(&ahead, VECS * LANES * bytes);
		tiles(t, p, xq, stride, nt, n, b, f);
	}
	for (size_t i = 0; i < nt; i++)
		for (size_t v = 0; v < VECS && r + v * LANES < r1; v++) {
			size_t left = r1 - r - v * LANES;
			__mmask16 m = left < LANES
					  ? (__mmask16)((1u << left) - 1)
					  : 0xffff;

			_mm512_mask_storeu_ps(
			    y + i * y_stride + r + v * LANES, m, f[i][v]);
		}
}

always_inline void
matmul_type(enum tensor_type t, const uint8_t *w, size_t n, size_t r0,
    size_t r1, const uint8_t *xq, size_t stride, size_t nt, float *y,
    size_t y_stride)
{
	for (size_t i = 0; i < nt; i += CHUNK)
		for (size_t r = r0; r < r1; r += VECS * LANES)
			rows_by_columns(t, w, n, r, r1, xq + i * stride, stride,
			    nt - i < CHUNK ? nt - i : CHUNK, y + i * y_stride,
			    y_stride);
}

void
avx512_matmul(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, size_t xq_stride, size_t nt, float *y, size_t y_stride)
{
	const uint8_t *x = xq;

	if (nt < FEW) {
		/* eight rows, while they are near */
		for (size_t r = r0; r < r1; r += 8)
			for (size_t i = 0; i < nt; i++)
				avx512_matvec(t, w, n, r,
				    r1 - r < 8 ? r1 : r + 8, x + i * xq_stride,
				    y + i * y_stride, NULL);
		return;
	}
	switch (t) {
#define CASE(type)                                                             \
	case type:                                                             \
		matmul_type(                                                   \
		    type, w, n, r0, r1, xq, xq_stride, nt, y, y_stride);       \
		return
		CASE(TT_Q8_0);
		CASE(TT_Q4_0);
		CASE(TT_IQ4_NL);
		CASE(TT_MXFP4);
		CASE(TT_Q2_K);
		CASE(TT_Q3_K);
		CASE(TT_Q4_K);
		CASE(TT_Q5_K);
		CASE(TT_Q6_K);
		CASE(TT_IQ2_XXS);
		CASE(TT_IQ4_XS);
#undef CASE
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_MAX:
		return;
	}
}

#endif
