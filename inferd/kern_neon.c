#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#include "inferd/kern_v16_neon.h"
#include "inferd/kern_float.h"

/* Pairs of products of signed bytes fit 16 bits, since no x is -128. */
always_inline int32x4_t
dot_bytes(int32x4_t acc, int8x16_t w, int8x16_t x)
{
	return vpadalq_s16(
	    acc, vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)),
		     vmull_high_s8(w, x)));
}

#define dot_lane(acc, w, x, lane)                                              \
	dot_bytes(acc, w, (int8x16_t)vdupq_laneq_s32((int32x4_t)(x), lane))

#include "inferd/kern_neon.h"
#include "inferd/kern_neon_load.h"

#define arrange transpose
#define groups(t, w, x, from, to, acc) groups_by_lanes(w, x, from, to, acc)

#include "inferd/kern_rows.h"

static const struct kern_ops ops = {
	.matvec = rows_matvec,
	.matmul = rows_matmul,
	KERN_FLOAT_OPS,
};

const struct kern_ops *const kern_ops_neon = &ops;

#else

const struct kern_ops *const kern_ops_neon = NULL;

#endif
