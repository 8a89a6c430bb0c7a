/*
 * Sixteen rows' blocks of 256 weights side by side, so that each lane has a
 * row, for kern_avx512_mm.c.  Q4_K and Q6_K are turned while their codes are
 * still packed: that is half the work, or two thirds.
 */
#ifndef BRIG_INFERD_KERN_AVX512_PACK_H
#define BRIG_INFERD_KERN_AVX512_PACK_H

#include "inferd/kern_avx512_load.h"

#define LANES 16

/*
 * 256 columns of 16 rows of weights: codes four and four, scales, pairs of
 * offsets, factors.
 */
struct panel {
	__m512i q[64];
	__m512i sc[16]; /* of 32 columns: the even ones alone may be there */
	__m512i mn[8];
	__m512 d[8]; /* [0] of super-blocks; of each of 8 small blocks */
	__m512 dmin;
};

/* 16 rows of 16 words become columns. */
always_inline void
transpose(const __m512i in[16], __m512i out[16])
{
	__m512i a[16], b[16];

	_Pragma("GCC unroll 8") for (int i = 0; i < 8; i++)
	{
		a[2 * i] = _mm512_unpacklo_epi32(in[2 * i], in[2 * i + 1]);
		a[2 * i + 1] = _mm512_unpackhi_epi32(in[2 * i], in[2 * i + 1]);
	}
	/* b[4 g + k]: words k of each quarter, of rows 4 g to 4 g + 3 */
	_Pragma("GCC unroll 4") for (int g = 0; g < 4; g++)
	{
		const __m512i *r = a + 4 * g;

		b[4 * g] = _mm512_unpacklo_epi64(r[0], r[2]);
		b[4 * g + 1] = _mm512_unpackhi_epi64(r[0], r[2]);
		b[4 * g + 2] = _mm512_unpacklo_epi64(r[1], r[3]);
		b[4 * g + 3] = _mm512_unpackhi_epi64(r[1], r[3]);
	}
	_Pragma("GCC unroll 4") for (int k = 0; k < 4; k++)
	{
		__m512i lo0 = _mm512_shuffle_i32x4(b[k], b[4 + k], 0x88);
		__m512i hi0 = _mm512_shuffle_i32x4(b[k], b[4 + k], 0xdd);
		__m512i lo1 = _mm512_shuffle_i32x4(b[8 + k], b[12 + k], 0x88);
		__m512i hi1 = _mm512_shuffle_i32x4(b[8 + k], b[12 + k], 0xdd);

		out[k] = _mm512_shuffle_i32x4(lo0, lo1, 0x88);
		out[4 + k] = _mm512_shuffle_i32x4(hi0, hi1, 0x88);
		out[8 + k] = _mm512_shuffle_i32x4(lo0, lo1, 0xdd);
		out[12 + k] = _mm512_shuffle_i32x4(hi0, hi1, 0xdd);
	}
}

/* 64 bytes of each row. */
always_inline void
turn_64(const uint8_t *const rows[LANES], size_t at, __m512i out[16])
{
	__m512i in[LANES];

	_Pragma("GCC unroll 16") for (int r = 0; r < LANES; r++) in[r] =
	    _mm512_loadu_si512(rows[r] + at);
	transpose(in, out);
}

/* 16 bytes of each row. */
always_inline void
turn_16(const uint8_t *const rows[LANES], size_t at, __m512i out[4])
{
	__m512i v[4], a[4];

	_Pragma("GCC unroll 4") for (int k = 0; k < 4; k++) v[k] =
	    four_heads(rows[k] + at, rows[k + 4] + at, rows[k + 8] + at,
		rows[k + 12] + at);
	a[0] = _mm512_unpacklo_epi32(v[0], v[1]);
	a[1] = _mm512_unpackhi_epi32(v[0], v[1]);
	a[2] = _mm512_unpacklo_epi32(v[2], v[3]);
	a[3] = _mm512_unpackhi_epi32(v[2], v[3]);
	out[0] = _mm512_unpacklo_epi64(a[0], a[2]);
	out[1] = _mm512_unpackhi_epi64(a[0], a[2]);
	out[2] = _mm512_unpacklo_epi64(a[1], a[3]);
	out[3] = _mm512_unpackhi_epi64(a[1], a[3]);
}

always_inline __m512
halves_to_floats(__m512i v)
{
	return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v));
}

/* Bits of v from `shift` on, as far as mask has them. */
always_inline __m512i
bits(__m512i v, unsigned shift, int mask)
{
	return _mm512_and_si512(
	    _mm512_srli_epi32(v, shift), _mm512_set1_epi32(mask));
}

always_inline void
pack_q4_k(const uint8_t *const rows[LANES], size_t at, struct panel *p)
{
	const __m512i low = _mm512_set1_epi8(15);
	__m512i w[16], h[4]; /* d and dmin, then scales and offsets */

	_Pragma("GCC unroll 2") for (int c = 0; c < 2; c++)
	{
		__m512i *q = p->q + 32 * c;

		turn_64(rows, at + 16 + 64 * (size_t)c, w);
		_Pragma("GCC unroll 16") for (int i = 0; i < 16; i++)
		{
			__m512i *g = q + (i < 8 ? i : i + 8);

			g[0] = _mm512_and_si512(w[i], low);
			g[8] =
			    _mm512_and_si512(_mm512_srli_epi16(w[i], 4), low);
		}
	}
	turn_16(rows, at, h);
	_Pragma("GCC unroll 4") for (unsigned j = 0; j < 4; j++)
	{
		__m512i mn = bits(h[2], 8 * j, 63);
		__m512i mn4 = _mm512_or_si512(
		    bits(h[3], 8 * j + 4, 15), bits(h[2], 8 * j + 2, 0x30));

		p->sc[2 * j] = bits(h[1], 8 * j, 63);
		p->sc[2 * j + 8] = _mm512_or_si512(
		    bits(h[3], 8 * j, 15), bits(h[1], 8 * j + 2, 0x30));
		p->mn[j] = _mm512_or_si512(mn, _mm512_slli_epi32(mn, 16));
		p->mn[j + 4] = _mm512_or_si512(mn4, _mm512_slli_epi32(mn4, 16));
	}
	p->d[0] = halves_to_floats(h[0]);
	p->dmin = halves_to_floats(_mm512_srli_epi32(h[0], 16));
}

/* (l & 15) | (u & 0x30) of bytes */
always_inline __m512i
six(__m512i l, __m512i u)
{
	return _mm512_ternarylogic_epi64(
	    _mm512_and_si512(l, _mm512_set1_epi8(15)), u,
	    _mm512_set1_epi8(0x30), 0xf8);
}

always_inline void
pack_q6_k(const uint8_t *const rows[LANES], size_t at, struct panel *p)
{
	__m512i l[16], u[16], s[4];
	_Alignas(32) uint16_t d[LANES];

	turn_64(rows, at + 128, u);
	_Pragma("GCC unroll 2") for (int h = 0; h < 2; h++)
	{
		__m512i *q = p->q + 32 * h;

		turn_64(rows, at + 64 * (size_t)h, l);
		_Pragma("GCC unroll 8") for (int k = 0; k < 8; k++)
		{
			__m512i v = u[8 * h + k];

			q[k] = six(l[k], _mm512_slli_epi16(v, 4));
			q[8 + k] = six(l[8 + k], _mm512_slli_epi16(v, 2));
			q[16 + k] = six(_mm512_srli_epi16(l[k], 4), v);
			q[24 + k] = six(_mm512_srli_epi16(l[8 + k], 4),
			    _mm512_srli_epi16(v, 2));
		}
	}
	turn_16(rows, at + 192, s);
	_Pragma("GCC unroll 16") for (unsigned j = 0; j < 16; j++) p->sc[j] =
	    _mm512_srai_epi32(
		_mm512_slli_epi32(s[j / 4], 24 - 8 * (j % 4)), 24);
	/* 32 times the scale */
	_Pragma("GCC unroll 8") for (int k = 0; k < 8; k++) p->mn[k] =
	    _mm512_slli_epi16(_mm512_mask_blend_epi16(0xaaaaaaaa, p->sc[2 * k],
				  _mm512_slli_epi32(p->sc[2 * k + 1], 16)),
		5);
	for (int r = 0; r < LANES; r++)
		d[r] = quant_u16(rows[r] + at + 208);
	p->d[0] = _mm512_cvtph_ps(_mm256_load_si256((const void *)d));
}

/* The other types of 256: each row is taken apart first. */
always_inline void
pack_any(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    struct panel *p)
{
	const short zero = (short)quant_zero_of(t);
	__m512i q[4][LANES], sc[LANES], more[LANES], out[16];

	for (int r = 0; r < LANES; r++) {
		const uint8_t *b = rows[r] + at;
		struct super s;
		__m256i mn, f;
		float d = block_d(t, b), dmin = 0;

		load_super(t, b, &s);
		for (int c = 0; c < 4; c++)
			q[c][r] = s.q[c];
		sc[r] = _mm512_cvtepi16_epi32(s.sc);
		if (has_offsets(t)) {
			dmin = _cvtsh_ss(quant_u16(b + place_of_d(t) + 2));
			mn = s.mn;
		} else
			mn = _mm256_mullo_epi16(s.sc, _mm256_set1_epi16(zero));
		f = _mm256_castps_si256(
		    _mm256_setr_ps(d, dmin, 0, 0, 0, 0, 0, 0));
		more[r] = _mm512_inserti64x4(_mm512_castsi256_si512(mn), f, 1);
	}
	for (int c = 0; c < 4; c++)
		transpose(q[c], p->q + 16 * c);
	transpose(sc, p->sc);
	transpose(more, out);
	for (int k = 0; k < 8; k++)
		p->mn[k] = out[k];
	p->d[0] = _mm512_castsi512_ps(out[8]);
	p->dmin = _mm512_castsi512_ps(out[9]);
}

always_inline void
pack_super(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    struct panel *p)
{
	if (t == TT_Q4_K)
		pack_q4_k(rows, at, p);
	else if (t == TT_Q6_K)
		pack_q6_k(rows, at, p);
	else
		pack_any(t, rows, at, p);
}

always_inline void
pack_small(enum tensor_type t, const uint8_t *const rows[LANES], size_t at,
    size_t blocks, struct panel *p)
{
	const size_t bytes = tensor_type_bytes(t);
	__m512i q[LANES];
	_Alignas(64) float d[8][LANES];

	for (size_t b = 0; b < blocks; b += 2) {
		for (int r = 0; r < LANES; r++) {
			const uint8_t *w = rows[r] + at + b * bytes;

			q[r] = _mm512_castsi256_si512(load_small(t, w));
			d[b][r] = block_d(t, w);
			if (b + 1 == blocks)
				continue;
			q[r] = _mm512_inserti64x4(
			    q[r], load_small(t, w + bytes), 1);
			d[b + 1][r] = block_d(t, w + bytes);
		}
		transpose(q, p->q + 8 * b);
	}
	for (size_t b = 0; b < blocks; b++)
		p->d[b] = _mm512_load_ps(d[b]);
}

#endif
