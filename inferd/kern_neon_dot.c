#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)

#include "inferd/kern_v16_neon.h"
#include "inferd/kern_float.h"

#define dot_bytes vdotq_s32
#define dot_lane vdotq_laneq_s32

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

const struct kern_ops *const kern_ops_neon_dot = &ops;

#else

const struct kern_ops *const kern_ops_neon_dot = NULL;

#endif
