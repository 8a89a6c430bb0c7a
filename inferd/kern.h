/*
 * The arithmetic of the engine: products of quantised weights and activations,
 * and the vector operations between them.  The engine's threads call this with
 * what the loader has checked; nothing here checks shapes or fails.
 *
 * Every result is the same, bit for bit, on every instruction set, for any
 * split of rows over threads and any company of other activation rows: sums
 * within a block of weights are exact integers, and blocks are added in order
 * with fused multiply-adds.  Sums of floats run in 16 lanes which are joined
 * in one fixed order.
 */
#ifndef BRIG_INFERD_KERN_H
#define BRIG_INFERD_KERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/tensor_type.h"

enum kern_isa {
	KERN_SCALAR,
	KERN_AVX2,
	KERN_AVXVNNI,
	KERN_AVX512VNNI,
	KERN_NEON,
	KERN_NEON_DOT,  /* with products of four bytes */
	KERN_NEON_I8MM, /* with products of matrices of bytes */
	KERN_ISAS       /* how many */
};

/* The best instruction set that this processor and this build have. */
enum kern_isa kern_best(void);
bool kern_has(enum kern_isa isa);
const char *kern_isa_name(enum kern_isa isa);
/*
 * Use that one from now on, in the whole process; it must be there.  Before
 * the first call kern_best() is used.  Not while other threads compute.
 */
void kern_use(enum kern_isa isa);
enum kern_isa kern_used(void);

/*
 * What a row of activations is turned into, once for all products with it.
 * The kind is a function of the weights' type, so that tensors of one kind
 * share the row.
 */
enum act_kind {
	ACT_FLOAT, /* as it is: weights F32, F16, BF16 */
	ACT_SUPER, /* blocks of 256: the K types, IQ4_XS, IQ2_XXS */
	ACT_SMALL  /* blocks of 32: Q8_0, Q4_0, IQ4_NL, MXFP4 */
};

enum act_kind act_kind(enum tensor_type weight);
/* Bytes of a row of n activations, a multiple of 64. */
size_t act_bytes(enum tensor_type weight, size_t n);
/*
 * Turn n floats, a multiple of the weights' block, into a row at out, which is
 * aligned to 64 bytes and has act_bytes(weight, n).
 */
void act_quantise(enum tensor_type weight, const float *x, size_t n, void *out);

/*
 * y[r] = (row r of w) . x for rows r0 to r1 (exclusive); rows are of n
 * elements and follow each other without gaps.
 */
void kern_matvec(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, float *y);
/*
 * The same for nt rows of activations, xq_stride bytes apart (a multiple of
 * 64): y[i * y_stride + r] = (row r of w) . (row i of x).  Of next, the weights
 * that the caller comes to after these, the first ones are fetched meanwhile;
 * NULL: those that follow in memory.
 */
void kern_matmul(enum tensor_type t, const void *w, size_t n, size_t r0,
    size_t r1, const void *xq, size_t xq_stride, size_t nt, float *y,
    size_t y_stride, const void *next);

enum glu {
	GLU_SILU, /* silu(g) * u */
	GLU_OAI   /* g <= 7, -7 <= u <= 7: g sigmoid(1.702 g) (u + 1) */
};

/* h = glu(g + gbias, u + ubias); the biases may be NULL, h may be g or u. */
void kern_glu_join(enum glu kind, const float *g, const float *u,
    const float *gbias, const float *ubias, size_t n, float *h);

/* Sum of a[i] b[i]. */
float kern_dot_f32(const float *a, const float *b, size_t n);
/* y += a x */
void kern_axpy_f32(float a, const float *x, size_t n, float *y);
/* y = x * weight / sqrt(mean of squares + eps); weight may be NULL, y may be
 * x. */
void kern_rms_norm(
    const float *x, const float *weight, float eps, size_t n, float *y);
/* The largest of x; -INFINITY for none. */
float kern_max(const float *x, size_t n);
/* x = exp(x - max); returns the sum.  What is 87 below max or less gives 0. */
float kern_exp_sum(float *x, size_t n, float max);
/* x = exp(x) / sum of exp(x) */
void kern_softmax(float *x, size_t n);
/* x = exp(x) */
void kern_exp(float *x, size_t n);
/* x = a x */
void kern_scale(float *x, size_t n, float a);
/* y = y sigmoid(g) */
void kern_gate(const float *g, size_t n, float *y);

/*
 * y = silu(sum of x[t][i] w[t][i]) over t below taps; rows of w are w_stride
 * floats apart.
 */
void kern_conv(const float *const *x, const float *w, size_t w_stride,
    size_t taps, size_t n, float *y);

/*
 * A step of the gated delta rule (Yang et al., 2024) on a state of `rows` rows
 * of n values: it fades, what it then says to k is corrected towards v, and q
 * is asked.
 *	s = decay s;  s += k (beta (v - s k));  y = s q
 */
struct delta_step {
	const float *k, *q; /* [rows] */
	const float *v;     /* [n] */
	float kq;           /* k . q */
	float decay, beta;
};
void kern_delta(
    float *s, size_t rows, size_t n, const struct delta_step *x, float *y);

/*
 * The inner loops of attention over rows of a cache, stride bytes apart, whose
 * type is F32, F16, BF16 or Q8_0.
 */
/* y[i] = row i . x */
void kern_dot_rows(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *x, size_t n, float *y);
/* y += sum of a[i] (row i), rows in order. */
void kern_axpy_rows(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *a, size_t n, float *y);
/* The same for nx rows of x, or of a, and of y; their strides in floats. */
void kern_dot_group(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *x, size_t x_stride, size_t nx, size_t n,
    float *y, size_t y_stride);
void kern_axpy_group(enum tensor_type t, const void *rows, size_t stride,
    size_t nrows, const float *a, size_t a_stride, size_t nx, size_t n,
    float *y, size_t y_stride);
/* Store n floats as a row of type F32, F16 or Q8_0. */
void kern_store_row(enum tensor_type t, const float *x, size_t n, void *row);

#endif
