/*
 * The kernels (inferd/kern.h): every instruction set of this machine gives the
 * bits of the plain one, for any split, and that one computes what the
 * dequantised weights and activations say.
 */
#include "inferd/kern.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "inferd/kern_impl.h"
#include "tests/inferd/random_blocks.h"

static const enum tensor_type types[] = { TT_F32, TT_F16, TT_BF16, TT_Q8_0,
	TT_Q4_0, TT_IQ4_NL, TT_MXFP4, TT_Q2_K, TT_Q3_K, TT_Q4_K, TT_Q5_K,
	TT_Q6_K, TT_IQ2_XXS, TT_IQ4_XS };

/* One product: rows of weights and of activations, as they are and ready. */
struct problem {
	enum tensor_type t;
	size_t n, rows, nt, stride;
	uint8_t *w, *xq;
	float *x;
};

static void *
get(size_t bytes)
{
	void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);

	assert_non_null(p);
	memset(p, 0x55, (bytes + 127) / 64 * 64);
	return p;
}

static float
random_float(uint64_t *s)
{
	return (float)(int32_t)(random_next(s) >> 20) * 0x1p-31f;
}

static void
make(struct problem *p, enum tensor_type t, size_t n, size_t rows, size_t nt)
{
	uint64_t s = 77 + n + 1000 * t;

	p->t = t;
	p->n = n;
	p->rows = rows;
	p->nt = nt;
	p->stride = act_bytes(t, n);
	p->w = get(tensor_row_bytes(t, n) * rows);
	p->x = get(n * nt * sizeof(float));
	p->xq = get(p->stride * nt);
	random_row(t, s, p->w, n * rows);
	for (size_t i = 0; i < n * nt; i++) {
		float f = random_float(&s);

		/* some are much larger, some blocks are zero */
		p->x[i] = i % 97 == 5 ? 40 * f : i / 32 % 7 == 3 ? 0 : f;
	}
	for (size_t i = 0; i < nt; i++)
		act_quantise(t, p->x + i * n, n, p->xq + i * p->stride);
}

static void
drop(struct problem *p)
{
	free(p->w);
	free(p->x);
	free(p->xq);
}

static void
check_same(const struct problem *p, const char *what, const float *got,
    const float *want, size_t k)
{
	for (size_t i = 0; i < k; i++)
		if (memcmp(&got[i], &want[i], sizeof(float)) != 0)
			fail_msg("%s %s n=%zu rows=%zu nt=%zu: [%zu] is %a, "
				 "not %a",
			    kern_isa_name(kern_used()), tensor_type_name(p->t),
			    p->n, p->rows, p->nt, i, (double)got[i],
			    (double)want[i]);
	(void)what;
}

/* All of p at once, then in odd pieces of rows, by each instruction set. */
static void
check_problem(const struct problem *p)
{
	size_t k = p->rows * p->nt;
	float *want = get(k * sizeof(float)), *got = get(k * sizeof(float));
	uint8_t *xq = get(p->stride * p->nt);

	kern_use(KERN_SCALAR);
	for (size_t i = 0; i < p->nt; i++)
		kern_matvec(p->t, p->w, p->n, 0, p->rows, p->xq + i * p->stride,
		    want + i * p->rows);
	for (int isa = 0; isa < KERN_ISAS; isa++) {
		if (!kern_has((enum kern_isa)isa))
			continue;
		kern_use((enum kern_isa)isa);
		memset(xq, 0x55, p->stride * p->nt);
		for (size_t i = 0; i < p->nt; i++)
			act_quantise(
			    p->t, p->x + i * p->n, p->n, xq + i * p->stride);
		assert_memory_equal(xq, p->xq, p->stride * p->nt);
		memset(got, 0, k * sizeof(float));
		for (size_t i = 0; i < p->nt; i++)
			for (size_t r = 0; r < p->rows; r += 11)
				kern_matvec(p->t, p->w, p->n, r,
				    r + 11 < p->rows ? r + 11 : p->rows,
				    xq + i * p->stride, got + i * p->rows);
		check_same(p, "matvec", got, want, k);
		memset(got, 0, k * sizeof(float));
		kern_matmul(p->t, p->w, p->n, 0, p->rows, xq, p->stride, p->nt,
		    got, p->rows, NULL);
		check_same(p, "matmul", got, want, k);
		memset(got, 0, k * sizeof(float));
		for (size_t r = 0; r < p->rows; r += 21)
			kern_matmul(p->t, p->w, p->n, r,
			    r + 21 < p->rows ? r + 21 : p->rows, xq, p->stride,
			    p->nt, got, p->rows, p->w);
		check_same(p, "pieces", got, want, k);
	}
	kern_use(kern_best());
	free(want);
	free(got);
	free(xq);
}

static void
every_isa_gives_the_same_bits(void **state)
{
	static const size_t blocks[] = { 1, 2, 3, 9, 11 };
	static const size_t shape[][2] = { { 1, 1 }, { 7, 2 }, { 8, 3 },
		{ 33, 4 }, { 16, 5 }, { 40, 9 }, { 3, 130 } };
	struct problem p;

	for (size_t i = 0; i < nitems(types); i++)
		for (size_t b = 0; b < nitems(blocks); b++)
			for (size_t s = 0; s < nitems(shape); s++) {
				size_t block =
				    tensor_type_info(types[i])->block;

				if (block == 1)
					block = b == 1 ? 16 : 29;
				make(&p, types[i], blocks[b] * block,
				    shape[s][0], shape[s][1]);
				check_problem(&p);
				drop(&p);
			}
}

/* Where a block keeps its scale; the offsets' follows it. */
static size_t
place_of_scale(enum tensor_type t)
{
	return t == TT_Q2_K ? 80 : t == TT_Q3_K ? 108 : t == TT_Q6_K ? 208 : 0;
}

/* The same bytes everywhere, but scales of one. */
static void
fill_blocks(struct problem *p, uint8_t byte)
{
	const struct tensor_type_info *info = tensor_type_info(p->t);
	const size_t bytes = tensor_row_bytes(p->t, p->n) * p->rows;

	memset(p->w, byte, bytes);
	for (size_t at = 0; at < bytes; at += info->bytes) {
		uint8_t *d = p->w + at + place_of_scale(p->t);

		if (p->t == TT_MXFP4) {
			d[0] = 127;
			continue;
		}
		memcpy(d, "\0\x3c", 2);
		if (p->t == TT_Q2_K || p->t == TT_Q4_K || p->t == TT_Q5_K)
			memcpy(d + 2, "\0\x3c", 2);
	}
}

/* Nothing that is put side by side in a register runs over into the other. */
static void
largest_sums_are_exact(void **state)
{
	static const uint8_t bytes[] = { 0xff, 0x7f, 0x80, 0xf0, 0x0f, 0 };
	struct problem p;

	for (size_t i = 0; i < nitems(types); i++) {
		if (act_kind(types[i]) == ACT_FLOAT)
			continue;
		make(&p, types[i], 768, 17, 5);
		for (size_t k = 0; k < nitems(bytes); k++) {
			fill_blocks(&p, bytes[k]);
			for (size_t j = 0; j < p.n * p.nt; j++) {
				/* signs of 1, 16, 32 or all elements */
				const size_t at = j % p.n;
				const bool less[] = { true, at % 2 == 0,
					at / 16 % 2 == 0, at / 32 % 2 == 0,
					false };

				p.x[j] = less[j / p.n] ? -1 : 1;
			}
			for (size_t r = 0; r < p.nt; r++)
				act_quantise(p.t, p.x + r * p.n, p.n,
				    p.xq + r * p.stride);
			check_problem(&p);
		}
		drop(&p);
	}
}

static void
rows_outside_are_not_written(void **state)
{
	struct problem p;

	for (size_t i = 0; i < nitems(types); i++)
		for (int isa = 0; isa < KERN_ISAS; isa++) {
			float y[4][40];

			if (!kern_has((enum kern_isa)isa))
				continue;
			make(&p, types[i], 512, 40, 4);
			kern_use((enum kern_isa)isa);
			memset(y, 0x77, sizeof(y));
			kern_matmul(p.t, p.w, p.n, 5, 24, p.xq, p.stride, 4,
			    &y[0][0], 40, NULL);
			for (size_t c = 0; c < 4; c++)
				for (size_t r = 0; r < 40; r++) {
					uint32_t bits;

					memcpy(&bits, &y[c][r], 4);
					assert_int_equal(bits == 0x77777777,
					    r < 5 || r >= 24);
				}
			drop(&p);
		}
	kern_use(kern_best());
}

/* What a row of activations stands for. */
static void
act_floats(const struct problem *p, const uint8_t *row, double *out)
{
	const struct act_super *s = (const void *)row;
	struct act_small m = act_small(row, p->n);

	for (size_t i = 0; i < p->n; i++)
		if (act_kind(p->t) == ACT_FLOAT)
			out[i] = (double)((const float *)(const void *)row)[i];
		else if (act_kind(p->t) == ACT_SUPER)
			out[i] = (double)s[i / 256].d *
				 s[i / 256].m[i % 256 / 16] *
				 s[i / 256].q[i % 256];
		else
			out[i] = (double)m.d[i / 32] * m.q[i];
}

static void
the_plain_kernel_is_the_product(void **state)
{
	enum {
		N = 1536,
		ROWS = 5
	};
	static float w[N];
	static double x[N];
	struct problem p;
	float y[ROWS];

	for (size_t i = 0; i < nitems(types); i++) {
		make(&p, types[i], N, ROWS, 1);
		act_floats(&p, p.xq, x);
		kern_use(KERN_SCALAR);
		kern_matvec(p.t, p.w, N, 0, ROWS, p.xq, y);
		for (size_t r = 0; r < ROWS; r++) {
			double sum = 0, size = 0;

			dequant_row(
			    p.t, p.w + r * tensor_row_bytes(p.t, N), w, N);
			for (size_t k = 0; k < N; k++) {
				sum += (double)w[k] * x[k];
				size += fabs((double)w[k] * x[k]);
			}
			if (fabs(sum - (double)y[r]) > 2e-6 * size + 1e-30)
				fail_msg("%s row %zu: %g, not %g",
				    tensor_type_name(p.t), r, (double)y[r],
				    sum);
		}
		drop(&p);
	}
	kern_use(kern_best());
}

static double
largest_of(const float *x, size_t n)
{
	double largest = 0;

	for (size_t i = 0; i < n; i++)
		if (fabs((double)x[i]) > largest)
			largest = fabs((double)x[i]);
	return largest;
}

static void
activations_are_within_half_a_step(void **state)
{
	static double x[1536];
	struct problem p;

	for (size_t i = 0; i < nitems(types); i++) {
		make(&p, types[i], 1536, 1, 1);
		act_floats(&p, p.xq, x);
		for (size_t b = 0; b < 1536; b += 32) {
			const double all = largest_of(p.x + b / 256 * 256, 256);
			double step = largest_of(p.x + b, 32) / 127;

			/* a scale of its own, in fifteenths of the largest */
			if (act_kind(p.t) == ACT_SUPER)
				step += all / 15 / 127;
			for (size_t k = 0; k < 32; k++)
				assert_true(
				    fabs(x[b + k] - (double)p.x[b + k]) <=
				    0.5001 * step);
		}
		drop(&p);
	}
}

static void
activations_that_are_no_numbers_do_not_crash(void **state)
{
	struct problem p;

	for (size_t i = 0; i < nitems(types); i++)
		for (int isa = 0; isa < KERN_ISAS; isa++) {
			float y[8];

			if (!kern_has((enum kern_isa)isa))
				continue;
			make(&p, types[i], 512, 8, 1);
			kern_use((enum kern_isa)isa);
			p.x[3] = NAN;
			p.x[70] = INFINITY;
			p.x[300] = -INFINITY;
			p.x[400] = FLT_MAX;
			p.x[401] = 1e-44f;
			act_quantise(p.t, p.x, p.n, p.xq);
			kern_matvec(p.t, p.w, p.n, 0, 8, p.xq, y);
			drop(&p);
		}
	kern_use(kern_best());
}

static void
glu_is_both_products_joined(void **state)
{
	enum {
		N = 512,
		ROWS = 77
	};
	struct problem g, u;
	float a[ROWS], b[ROWS], gbias[ROWS], ubias[ROWS], h[ROWS], first[ROWS];
	uint64_t s = 5;

	for (size_t i = 0; i < ROWS; i++) {
		gbias[i] = random_float(&s);
		ubias[i] = random_float(&s);
	}
	make(&g, TT_Q4_K, N, ROWS, 1);
	make(&u, TT_Q6_K, N, ROWS, 1);
	for (int isa = 0; isa < KERN_ISAS; isa++) {
		if (!kern_has((enum kern_isa)isa))
			continue;
		kern_use((enum kern_isa)isa);
		kern_matvec(g.t, g.w, N, 0, ROWS, g.xq, a);
		kern_matvec(u.t, u.w, N, 0, ROWS, g.xq, b);
		for (int kind = GLU_SILU; kind <= GLU_OAI; kind++) {
			kern_glu_join((enum glu)kind, a, b, gbias, ubias, 9, h);
			kern_glu_join((enum glu)kind, a + 9, b + 9, gbias + 9,
			    ubias + 9, ROWS - 9, h + 9);
			for (size_t i = 0; i < ROWS; i++) {
				double x = (double)a[i] + (double)gbias[i];
				double y = (double)b[i] + (double)ubias[i], z;

				if (kind == GLU_SILU)
					z = x / (1 + exp(-x)) * y;
				else {
					x = fmin(x, 7);
					y = fmax(fmin(y, 7), -7);
					z = x / (1 + exp(-1.702 * x)) * (y + 1);
				}
				if (fabs(z - (double)h[i]) >
				    1e-5 * (fabs(z) + fabs(x) + fabs(y)))
					fail_msg("%d: %g, not %g", kind,
					    (double)h[i], z);
			}
		}
		if (isa == KERN_SCALAR)
			memcpy(first, h, sizeof(h));
		assert_memory_equal(first, h, sizeof(h));
	}
	kern_use(kern_best());
	drop(&g);
	drop(&u);
}

static void
exp_is_close_and_ends_in_zero(void **state)
{
	static float x[40000], y[40000];

	for (size_t i = 0; i < nitems(x); i++)
		x[i] = y[i] = -88 + (float)i * (176.0f / nitems(x));
	x[0] = y[0] = -INFINITY;
	kern_exp(y, nitems(y));
	for (size_t i = 0; i < nitems(x); i++) {
		double want = exp((double)x[i]);

		if (x[i] < -87.33f)
			assert_true(y[i] == 0);
		else
			assert_true(fabs((double)y[i] - want) <= 2.5e-7 * want);
	}
}

static void
softmax_sums_to_one(void **state)
{
	float x[101], sum = 0;

	for (size_t i = 0; i < nitems(x); i++)
		x[i] = (float)(i * i % 37) - 10 + (i == 7 ? 60.0f : 0);
	x[50] = -INFINITY;
	kern_softmax(x, nitems(x));
	for (size_t i = 0; i < nitems(x); i++) {
		assert_true(x[i] >= 0 && x[i] <= 1);
		sum += x[i];
	}
	assert_true(fabsf(sum - 1) < 1e-6f);
	assert_true(x[50] == 0);
	assert_true(x[7] > 0.99f);
}

/* The floats' operations on each instruction set, for odd lengths. */
static void
vectors(size_t n, float *out)
{
	uint64_t s = 9;
	float *x = get(n * 4), *w = get(n * 4);

	for (size_t i = 0; i < n; i++) {
		x[i] = random_float(&s) * 5;
		w[i] = random_float(&s);
	}
	*out++ = kern_dot_f32(x, w, n);
	*out++ = kern_max(x, n);
	kern_rms_norm(x, w, 1e-6f, n, out);
	kern_axpy_f32(0.3f, x, n, out);
	out += n;
	kern_rms_norm(x, NULL, 1e-6f, n, out);
	out += n;
	*out++ = kern_exp_sum(x, n, 1);
	memcpy(out, x, n * sizeof(*x));
	kern_softmax(out, n);
	free(x);
	free(w);
}

static void
vector_operations_have_the_same_bits(void **state)
{
	static const size_t lengths[] = { 1, 15, 16, 17, 64, 100, 769 };
	static float want[4 * 1000], got[4 * 1000];

	for (size_t i = 0; i < nitems(lengths); i++)
		for (int isa = 0; isa < KERN_ISAS; isa++) {
			if (!kern_has((enum kern_isa)isa))
				continue;
			kern_use((enum kern_isa)isa);
			memset(got, 0, sizeof(got));
			vectors(lengths[i], got);
			if (isa == KERN_SCALAR)
				memcpy(want, got, sizeof(got));
			assert_memory_equal(want, got, sizeof(got));
		}
	kern_use(kern_best());
}

/* FNV-1a */
static uint32_t
hash(uint32_t h, const void *p, size_t n)
{
	for (const uint8_t *b = p; n > 0; n--, b++)
		h = (h ^ *b) * 16777619u;
	return h;
}

/* The same sums as everywhere: what no other case could see is a processor
 * on which the plain kernels, too, give something else. */
static void
bits_are_those_of_any_processor(void **state)
{
	static float y[4 * 1000];
	uint32_t h = 2166136261u;
	struct problem p;

	for (size_t i = 0; i < nitems(types); i++) {
		make(&p, types[i], 1024, 20, 5);
		kern_matmul(
		    p.t, p.w, p.n, 0, 20, p.xq, p.stride, 5, y, 20, NULL);
		h = hash(h, p.xq, p.stride * p.nt);
		h = hash(h, y, 100 * sizeof(*y));
		drop(&p);
	}
	vectors(769, y);
	h = hash(h, y, (2 + 3 * 769) * sizeof(*y));
	for (int kind = GLU_SILU; kind <= GLU_OAI; kind++) {
		kern_glu_join(
		    (enum glu)kind, y, y + 5, y + 9, NULL, 500, y + 2500);
		h = hash(h, y + 2500, 500 * sizeof(*y));
	}
	assert_int_equal(h, 0x5f4ffcee);
}

static void
rms_norm_is_what_its_name_says(void **state)
{
	float x[100], y[100];
	double ss = 0;

	for (size_t i = 0; i < 100; i++) {
		x[i] = (float)i - 30;
		ss += (double)x[i] * (double)x[i];
	}
	kern_rms_norm(x, NULL, 1e-5f, 100, y);
	for (size_t i = 0; i < 100; i++)
		assert_true(fabs((double)y[i] -
				 (double)x[i] / sqrt(ss / 100 + 1e-5)) < 1e-6);
}

static void
cache_rows_of_any_type(void **state)
{
	static const enum tensor_type kv[] = { TT_F32, TT_F16, TT_Q8_0 };
	enum {
		N = 128,
		ROWS = 21,
		QUERIES = 6
	};
	static float x[ROWS][N], back[N], want[ROWS + N], got[ROWS + N];
	static float dots[QUERIES][ROWS], sums[QUERIES][N];
	static uint8_t rows[ROWS][600], first[ROWS][600];
	uint64_t s = 3;

	for (size_t r = 0; r < ROWS; r++)
		for (size_t i = 0; i < N; i++)
			x[r][i] = random_float(&s) * (r == 4 ? 1e-6f : 9);
	memset(x[7], 0, sizeof(x[7]));
	for (size_t k = 0; k < nitems(kv); k++)
		for (int isa = 0; isa < KERN_ISAS; isa++) {
			if (!kern_has((enum kern_isa)isa))
				continue;
			kern_use((enum kern_isa)isa);
			memset(rows, 0, sizeof(rows));
			for (size_t r = 0; r < ROWS; r++) {
				float largest = 0;

				kern_store_row(kv[k], x[r], N, rows[r]);
				dequant_row(kv[k], rows[r], back, N);
				for (size_t i = 0; i < N; i++)
					largest =
					    fmaxf(largest, fabsf(x[r][i]));
				for (size_t i = 0; i < N; i++)
					assert_true(fabsf(back[i] - x[r][i]) <=
						    largest * 0.0042f + 4e-6f);
			}
			memset(got, 0, sizeof(got));
			kern_dot_rows(
			    kv[k], rows, sizeof(rows[0]), ROWS, x[2], N, got);
			kern_axpy_rows(kv[k], rows, sizeof(rows[0]), ROWS, x[3],
			    N, got + ROWS);
			/* several at once are what each alone is */
			memset(sums, 0, sizeof(sums));
			kern_dot_group(kv[k], rows, sizeof(rows[0]), ROWS, x[2],
			    N, QUERIES, N, dots[0], ROWS);
			kern_axpy_group(kv[k], rows, sizeof(rows[0]), ROWS,
			    x[3], N, QUERIES, N, sums[0], N);
			assert_memory_equal(dots[0], got, sizeof(dots[0]));
			assert_memory_equal(
			    sums[0], got + ROWS, sizeof(sums[0]));
			for (size_t g = 0; g < QUERIES; g++) {
				float alone[ROWS + N] = { 0 };

				kern_dot_rows(kv[k], rows, sizeof(rows[0]),
				    ROWS, x[2 + g], N, alone);
				kern_axpy_rows(kv[k], rows, sizeof(rows[0]),
				    ROWS, x[3 + g], N, alone + ROWS);
				assert_memory_equal(
				    dots[g], alone, sizeof(dots[g]));
				assert_memory_equal(
				    sums[g], alone + ROWS, sizeof(sums[g]));
			}
			if (isa == KERN_SCALAR) {
				memcpy(want, got, sizeof(got));
				memcpy(first, rows, sizeof(rows));
			}
			assert_memory_equal(want, got, sizeof(got));
			assert_memory_equal(first, rows, sizeof(rows));
		}
	kern_use(kern_best());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_plain_kernel_is_the_product),
		cmocka_unit_test(every_isa_gives_the_same_bits),
		cmocka_unit_test(largest_sums_are_exact),
		cmocka_unit_test(rows_outside_are_not_written),
		cmocka_unit_test(activations_are_within_half_a_step),
		cmocka_unit_test(activations_that_are_no_numbers_do_not_crash),
		cmocka_unit_test(glu_is_both_products_joined),
		cmocka_unit_test(exp_is_close_and_ends_in_zero),
		cmocka_unit_test(softmax_sums_to_one),
		cmocka_unit_test(vector_operations_have_the_same_bits),
		cmocka_unit_test(bits_are_those_of_any_processor),
		cmocka_unit_test(rms_norm_is_what_its_name_says),
		cmocka_unit_test(cache_rows_of_any_type),
	};

	for (int isa = 0; isa < KERN_ISAS; isa++)
		print_message("# %s: %s\n", kern_isa_name((enum kern_isa)isa),
		    kern_has((enum kern_isa)isa) ? "tested" : "not here");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
