#include "inferd/kern_impl.h"

#include "base/compat.h"

#if defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD) &&                  \
    defined(__ARM_FEATURE_MATMUL_INT8)

#include "inferd/kern_v16_neon.h"
#include "inferd/kern_float.h"

#define dot_bytes vdotq_s32
#define dot_lane vdotq_laneq_s32

#include "inferd/kern_neon.h"
#include "inferd/kern_neon_load.h"

always_inline int8x16_t
lower(int32x4_t x, int32x4_t y)
{
	return (int8x16_t)vzip1q_s64((int64x2_t)x, (int64x2_t)y);
}

always_inline int8x16_t
upper(int32x4_t x, int32x4_t y)
{
	return (int8x16_t)vzip2q_s64((int64x2_t)x, (int64x2_t)y);
}

/*
 * 16 codes of each of two rows: the first eight of both, the other eight.  So
 * four pairs of rows, then the same for the next 16 codes.
 */
always_inline void
arrange(const v8i in[8], v8i out[8])
{
	for (int i = 0; i < 4; i++) {
		const v8i x = in[2 * i], y = in[2 * i + 1];

		out[i] = (v8i){ (int32x4_t)lower(x.a, y.a),
			(int32x4_t)upper(x.a, y.a) };
		out[4 + i] = (v8i){ (int32x4_t)lower(x.b, y.b),
			(int32x4_t)upper(x.b, y.b) };
	}
}

/* Two rows by two columns at once. */
always_inline void
groups(enum tensor_type t, const v8i *w, const int8_t *const x[COLS], int from,
    int to, v8i acc[COLS])
{
	int32x4_t s[4][2];

	for (int i = 0; i < 4; i++)
		s[i][0] = s[i][1] = vdupq_n_s32(0);
	for (int g = from; g < to; g += 4)
		for (int j = 0; j < 2; j++) {
			int32x4_t u = (int32x4_t)vld1q_s8(x[2 * j] + 4 * g);
			int32x4_t v = (int32x4_t)vld1q_s8(x[2 * j + 1] + 4 * g);

			for (int i = 0; i < 4; i++) {
				s[i][j] = vmmlaq_s32(s[i][j],
				    (int8x16_t)w[g + i].a, lower(u, v));
				s[i][j] = vmmlaq_s32(s[i][j],
				    (int8x16_t)w[g + i].b, upper(u, v));
			}
		}
	for (int j = 0; j < 2; j++) {
		acc[2 * j] = (v8i){ vuzp1q_s32(s[0][j], s[1][j]),
			vuzp1q_s32(s[2][j], s[3][j]) };
		acc[2 * j + 1] = (v8i){ vuzp2q_s32(s[0][j], s[1][j]),
			vuzp2q_s32(s[2][j], s[3][j]) };
	}
}

#include "inferd/kern_rows.h"

static const struct kern_ops ops = {
	.matvec = rows_matvec,
	.matmul = rows_matmul,
	KERN_FLOAT_OPS,
};

const struct kern_ops *const kern_ops_neon_i8mm = &ops;

#else

const struct kern_ops *const kern_ops_neon_i8mm = NULL;

#endif
