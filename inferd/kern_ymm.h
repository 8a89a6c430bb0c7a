/*
 * Products on registers of 32 bytes, for kern_rows.h.  Included by kern_avx2.c
 * and kern_avxvnni.c, which say how four products are added to a lane:
 *	dot_bytes(acc, u, s)	unsigned and signed bytes; pairs of products fit
 *				16 bits
 *	dot_words(acc, a, b)	pairs of words
 */
#ifndef BRIG_INFERD_KERN_YMM_H
#define BRIG_INFERD_KERN_YMM_H

#define COLS 4

typedef __m256 v8;
typedef __m256i v8i;
typedef __m256i part;

#define v8_zero _mm256_setzero_ps
#define v8_set1 _mm256_set1_ps
#define v8_load _mm256_load_ps
#define v8_store _mm256_storeu_ps
#define v8_mul _mm256_mul_ps
#define v8_fma _mm256_fmadd_ps
#define v8_fnma _mm256_fnmadd_ps
#define v8_of _mm256_cvtepi32_ps
#define v8i_zero _mm256_setzero_si256
#define v8i_set1 _mm256_set1_epi32
#define v8i_add _mm256_add_epi32
#define v8i_sub _mm256_sub_epi32
#define v8i_mul _mm256_mullo_epi32

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
join(const __m256i s[8])
{
	__m256i a = _mm256_hadd_epi32(
	    _mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
	__m256i b = _mm256_hadd_epi32(
	    _mm256_hadd_epi32(s[4], s[5]), _mm256_hadd_epi32(s[6], s[7]));

	return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
	    _mm256_permute2x128_si256(a, b, 0x31));
}

always_inline __m256i
words_sum(__m256i w, const int16_t *x)
{
	return _mm256_madd_epi16(w, _mm256_load_si256((const void *)x));
}

/* Sum of scale times code times activation over a block, in eight lanes. */
always_inline __m256i
block_sum(enum tensor_type t, const struct super *s, const struct act_super *x)
{
	const int zero = zero_here(t);
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

		if (is_signed(t)) {
			v = _mm256_sign_epi8(v, w);
			w = _mm256_abs_epi8(w);
		}
		acc = dot_words(acc, _mm256_maddubs_epi16(w, v),
		    _mm256_shuffle_epi8(half[k / 4], idx));
	}
	if (zero != 0)
		acc = _mm256_sub_epi32(
		    acc, _mm256_mullo_epi32(words_sum(s->sc, x->sum),
			     _mm256_set1_epi32(zero)));
	return acc;
}

always_inline __m256i
small_sum(enum tensor_type t, __m256i w, const int8_t *x)
{
	return dot_codes(is_signed(t), _mm256_setzero_si256(), w,
	    load_32((const uint8_t *)x));
}

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

#define arrange transpose

/* Lower or upper words, as integers. */
always_inline __m256i
widen(__m256i w, int half)
{
	return _mm256_cvtepi16_epi32(half == 0
					 ? _mm256_castsi256_si128(w)
					 : _mm256_extracti128_si256(w, 1));
}

always_inline __m256i
sum_words(enum tensor_type t, const struct super *s)
{
	return has_offsets(t) ? s->mn
			      : _mm256_mullo_epi16(s->sc,
				    _mm256_set1_epi16((short)zero_here(t)));
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
groups(enum tensor_type t, const __m256i *w, const int8_t *const x[COLS],
    int from, int to, __m256i acc[COLS])
{
	for (int c = 0; c < COLS; c++)
		acc[c] = _mm256_setzero_si256();
	for (int g = from; g < to; g++)
		for (int c = 0; c < COLS; c++)
			acc[c] = dot_codes(is_signed(t), acc[c], w[g],
			    four_codes(x[c] + 4 * g));
}

#endif
