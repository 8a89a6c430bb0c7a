#include "inferd/kern_impl.h"

#include <math.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/compat.h"
#include "base/log.h"

static const struct kern_ops *ops;
static enum kern_isa used;

#if defined(__x86_64__)
/* Not every compiler's cpu_supports knows the name.  Whether the system keeps
 * the registers is asked for AVX2. */
static bool
has_avxvnni(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 &&
	       (a >> 4 & 1) != 0;
}

static bool
has_avx2(void)
{
	return __builtin_cpu_supports("avx2") &&
	       __builtin_cpu_supports("fma") && __get_cpuid_max(0, NULL) >= 7;
}

static bool
has_f16c(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> 29 & 1) != 0;
}

static bool
cpu_has(enum kern_isa isa)
{
	if (isa == KERN_SCALAR)
		return true;
	if (!has_avx2() || !has_f16c())
		return false;
	if (isa == KERN_AVX2)
		return true;
	if (isa == KERN_AVXVNNI)
		return has_avxvnni();
	return isa == KERN_AVX512VNNI && __builtin_cpu_supports("avx512f") &&
	       __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vnni");
}
#elif defined(__aarch64__)
static bool
cpu_has(enum kern_isa isa)
{
	if (isa == KERN_NEON_DOT)
		return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
	if (isa == KERN_NEON_I8MM)
		return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 &&
		       (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
	return isa == KERN_SCALAR || isa == KERN_NEON;
}
#else
static bool
cpu_has(enum kern_isa isa)
{
	return isa == KERN_SCALAR;
}
#endif

static const struct kern_ops *
isa_ops(enum kern_isa isa)
{
	switch (isa) {
	case KERN_SCALAR:
		return kern_ops_scalar;
	case KERN_AVX2:
		return kern_ops_avx2;
	case KERN_AVXVNNI:
		return kern_ops_avxvnni;
	case KERN_AVX512VNNI:
		return kern_ops_avx512;
	case KERN_NEON:
		return kern_ops_neon;
	case KERN_NEON_DOT:
		return kern_ops_neon_dot;
	case KERN_NEON_I8MM:
		return kern_ops_neon_i8mm;
	case KERN_ISAS:
		break;
	}
	return NULL;
}

bool
kern_has(enum kern_isa isa)
{
	return isa < KERN_ISAS && isa_ops(isa) != NULL && cpu_has(isa);
}

enum kern_isa
kern_best(void)
{
	for (int isa = KERN_ISAS - 1; isa > KERN_SCALAR; isa--)
		if (kern_has((enum kern_isa)isa))
			return (enum kern_isa)isa;
	return KERN_SCALAR;
}

const char *
kern_isa_name(enum kern_isa isa)
{
	static const char *const names[KERN_ISAS] = { "scalar", "avx2",
		"avx-vnni", "avx512-vnni", "neon", "neon-dot", "neon-i8mm" };

	return isa < KERN_ISAS ? names[isa] : "unknown";
}

void
kern_use(enum kern_isa isa)
{
	if (!kern_has(isa))
		fatalx("kern_use: no %s here", kern_isa_name(isa));
	ops = isa_ops(isa);
	used = isa;
}

/* Before main(), so that no call has to look. */
__attribute__((constructor)) static void
choose(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
#endif
	kern_use(kern_best());
}

enum kern_isa
kern_used(void)
{
	return used;
}

enum act_kind
act_kind(enum tensor_type weight)
{
	switch (weight) {
	case TT_Q8_0:
	case TT_Q4_0:
	case TT_IQ4_NL:
	case TT_MXFP4:
		return ACT_SMALL;
	case TT_Q2_K:
	case TT_Q3_K:
	case TT_Q4_K:
	case TT_Q5_K:
	case TT_Q6_K:
	case TT_IQ2_XXS:
	case TT_IQ4_XS:
		return ACT_SUPER;
	case TT_F32:
	case TT_F16:
	case TT_BF16:
	case TT_MAX:
		break;
	}
	return ACT_FLOAT;
}

size_t
act_bytes(enum tensor_type weight, size_t n)
{
	size_t bytes = n * sizeof(float);

	if (act_kind(weight) == ACT_SUPER)
		bytes = n / QUANT_SUPER * sizeof(struct act_super);
	else if (act_kind(weight) == ACT_SMALL)
		bytes = n + n / QUANT_SMALL * (sizeof(float) + sizeof(int32_t));
	return (bytes + 63) / 64 * 64;
}

void
act_quantise(enum tensor_type weight, const float *x, size_t n, void *out)
{
	float *d = (void *)((int8_t *)out + n);

	switch (act_kind(weight)) {
	case ACT_FLOAT:
		memcpy(out, x, n * sizeof(*x));
		return;
	case ACT_SUPER:
		ops->act_super(x, n, out);
		return;
	case ACT_SMALL:
		ops->act_small(x, n, out, d, (void *)(d + n / QUANT_SMALL));
		return;
	}
}

static void
matvec(enum tensor_type t, const uint8_t *w, size_t n, size_t r0, size_t r1,
    const void *xq, float *y, const void *next)
{
	size_t bytes;

	if (r0 >= r1)
		return;
	if (act_kind(t) != ACT_FLOAT) {
		ops->matvec(t, w, n, r0, r1, xq, y, next);
		return;
	}
	bytes = tensor_row_bytes(t, n);
	ops->dot_rows(t, w + r0 * bytes, bytes, r1 - r0, xq, n, y + r0);
}

void
kern_matvec(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, float *y)
{
	matvec(t, w, n, r0, r1, xq, y, NULL);
}

void
kern_matmul(enum tensor_type t, const void *w, size_t n, size_t r0, size_t r1,
    const void *xq, size_t xq_stride, size_t nt, float *y, size_t y_stride,
    const void *next)
{
	/* rows of weights that stay in the nearest cache for all of x */
	enum {
		NEAR = 16384
	};
	const uint8_t *x = xq;
	size_t step;

	if (r0 >= r1)
		return;
	if (nt == 1) {
		matvec(t, w, n, r0, r1, xq, y, next);
		return;
	}
	if (act_kind(t) != ACT_FLOAT) {
		ops->matmul(t, w, n, r0, r1, xq, xq_stride, nt, y, y_stride);
		return;
	}
	step = NEAR / (tensor_row_bytes(t, n) + 1) / 8 * 8;
	if (step < 8)
		step = 8;
	for (; r0 < r1; r0 += step)
		for (size_t i = 0; i < nt; i++)
			kern_matvec(t, w, n, r0,
			    r1 - r0 < step ? r1 : r0 + step, x + i * xq_stride,
			    y + i * y_stride);
}

void
kern_glu_join(enum glu kind, const float *g, const float *u, const float *gbias,
    const float *ubias, size_t n, float *h)
{
	ops->glu_join(kind, g, u, gbias, ubias, n, h);
}

float
kern_dot_f32(const float *a, const float *b, size_t n)
{
	float y;

	ops->dot_rows(TT_F32, a, n * sizeof(*a), 1, b, n, &y);
	return y;
}

void
kern_axpy_f32(float a, const float *x, size_t n, float *y)
{
	ops->axpy(a, x, n, y);
}

void
kern_rms_norm(
    const float *x, const float *weight, float eps, size_t n, float *y)
{
	ops->rms_norm(x, weight, eps, n, y);
}

float
kern_max(const float *x, size_t n)
{
	return ops->max(x, n);
}

float
kern_exp_sum(float *x, size_t n, float max)
{
	return ops->exp_sum(x, n, max);
}

void
kern_softmax(float *x, size_t n)
{
	float sum = ops->exp_sum(x, n, ops->max(x, n));

	ops->scale(x, n, 1.0f / sum);
}

void
kern_exp(float *x, size_t n)
{
	ops->exp(x, n);
}

void
kern_scale(float *x, size_t n, float a)
{
	ops->scale(x, n, a);
}

void
kern_gate(const float *g, size_t n, float *y)
{
	ops->gate(g, n, y);
}

void
kern_conv(const float *const *x, const float *w, size_t w_stride, size_t taps,
    size_t n, float *y)
{
	ops->conv(x, w, w_stride, taps, n, y);
}

void
kern_delta(
    float *s, size_t rows, size_t n, const struct delta_step *x, float *y)
{
	ops->delta(s, rows, n, x, y);
}

void
kern_dot_rows(enum tensor_type t, const void *rows, size_t stride, size_t nrows,
    const float *x, size_t n, float *y)
{
	ops->dot_rows(t, rows, stride, nrows, x, n, y);
}

void
kern_axpy_rows(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *a, size_t n, float *y)
{
	ops->axpy_rows(t, rows, stride, nrows, a, n, y);
}

void
kern_dot_group(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *x, size_t x_stride, size_t nx, size_t n,
    float *y, size_t y_stride)
{
	ops->dot_group(t, rows, stride, nrows, x, x_stride, nx, n, y, y_stride);
}

void
kern_axpy_group(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *a, size_t a_stride, size_t nx, size_t n,
    float *y, size_t y_stride)
{
	ops->axpy_group(
	    t, rows, stride, nrows, a, a_stride, nx, n, y, y_stride);
}

void
kern_store_row(enum tensor_type t, const float *x, size_t n, void *row)
{
	ops->store_row(t, x, n, row);
}
