#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include "inferd/kern_v16_avx2.h"
#include "inferd/kern_float.h"
#include "inferd/kern_ymm_load.h"

always_inline __m256i
dot_words(__m256i acc, __m256i a, __m256i b)
{
	return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
}

always_inline __m256i
dot_bytes(__m256i acc, __m256i u, __m256i s)
{
	return dot_words(acc, _mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1));
}

#include "inferd/kern_ymm.h"
#include "inferd/kern_rows.h"

static const struct kern_ops ops = {
	.matvec = rows_matvec,
	.matmul = rows_matmul,
	KERN_FLOAT_OPS,
};

const struct kern_ops *const kern_ops_avx2 = &ops;

#else

const struct kern_ops *const kern_ops_avx2 = NULL;

#endif
