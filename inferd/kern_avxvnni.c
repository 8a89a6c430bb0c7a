#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__AVXVNNI__) && defined(__FMA__) && defined(__F16C__)

#include "inferd/kern_v16_avx2.h"
#include "inferd/kern_float.h"
#include "inferd/kern_ymm_load.h"

always_inline __m256i
dot_words(__m256i acc, __m256i a, __m256i b)
{
	return _mm256_dpwssd_avx_epi32(acc, a, b);
}

always_inline __m256i
dot_bytes(__m256i acc, __m256i u, __m256i s)
{
	return _mm256_dpbusd_avx_epi32(acc, u, s);
}

#include "inferd/kern_ymm.h"
#include "inferd/kern_rows.h"

static const struct kern_ops ops = {
	.matvec = rows_matvec,
	.matmul = rows_matmul,
	KERN_FLOAT_OPS,
};

const struct kern_ops *const kern_ops_avxvnni = &ops;

#else

const struct kern_ops *const kern_ops_avxvnni = NULL;

#endif
