/*
 * The kernels of layers with a state: what the textbook says, and the same
 * bits on every instruction set.
 */
#include "inferd/kern.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "tests/inferd/random_blocks.h"

#define SIDE_MAX 130u
#define STEPS 200u

static float
random_float(uint64_t *s)
{
	return (float)(int32_t)(random_next(s) >> 20) * 0x1p-31f;
}

/* All of one head: what comes in at each step, what it leaves. */
struct head {
	size_t rows, n;
	float k[STEPS][SIDE_MAX], q[STEPS][SIDE_MAX], v[STEPS][SIDE_MAX];
	float decay[STEPS], beta[STEPS];
	float s[SIDE_MAX * SIDE_MAX];
	float y[STEPS][SIDE_MAX];
};

static void
unit(float *x, size_t n, uint64_t *seed)
{
	for (size_t i = 0; i < n; i++)
		x[i] = random_float(seed);
	kern_scale(x, n, 1 / sqrtf(kern_dot_f32(x, x, n)));
}

static void
head_make(struct head *h, size_t rows, size_t n)
{
	uint64_t seed = 5 + 1000 * rows + n;

	memset(h, 0, sizeof(*h));
	h->rows = rows;
	h->n = n;
	for (size_t t = 0; t < STEPS; t++) {
		unit(h->k[t], rows, &seed);
		unit(h->q[t], rows, &seed);
		for (size_t i = 0; i < n; i++)
			h->v[t][i] = 3 * random_float(&seed);
		h->decay[t] = 1 - 0.2f * fabsf(random_float(&seed));
		h->beta[t] = fabsf(random_float(&seed));
	}
	/* one that forgets all, one that keeps all, one that learns nothing */
	h->decay[17] = 0;
	h->decay[18] = 1;
	h->beta[19] = 0;
}

static void
head_run(struct head *h)
{
	memset(h->s, 0, sizeof(h->s));
	for (size_t t = 0; t < STEPS; t++) {
		const struct delta_step x = { .k = h->k[t],
			.q = h->q[t],
			.v = h->v[t],
			.kq = kern_dot_f32(h->k[t], h->q[t], h->rows),
			.decay = h->decay[t],
			.beta = h->beta[t] };

		kern_delta(h->s, h->rows, h->n, &x, h->y[t]);
	}
}

/*
 * One column as it is written down: the state fades, the difference between v
 * and what it says to k is learned, then q is asked.
 */
static void
check_column(const struct head *h, size_t i)
{
	double s[SIDE_MAX] = { 0 };

	for (size_t t = 0; t < STEPS; t++) {
		double said = 0, y = 0, learned;

		for (size_t r = 0; r < h->rows; r++) {
			s[r] *= (double)h->decay[t];
			said += s[r] * (double)h->k[t][r];
		}
		learned = (double)h->beta[t] * ((double)h->v[t][i] - said);
		for (size_t r = 0; r < h->rows; r++) {
			s[r] += learned * (double)h->k[t][r];
			y += s[r] * (double)h->q[t][r];
		}
		assert_true(fabs(y - (double)h->y[t][i]) < 2e-5);
	}
	for (size_t r = 0; r < h->rows; r++)
		assert_true(fabs(s[r] - (double)h->s[r * h->n + i]) < 2e-5);
}

static const struct {
	size_t rows, n;
} sides[] = { { 128, 128 }, { 32, 64 }, { 64, 16 }, { 7, 100 }, { 1, 1 },
	{ 130, 33 } };

static void
a_state_learns_by_the_delta_rule(void **state)
{
	struct head *h = malloc(sizeof(*h));

	assert_non_null(h);
	for (size_t i = 0; i < nitems(sides); i++) {
		head_make(h, sides[i].rows, sides[i].n);
		head_run(h);
		for (size_t c = 0; c < h->n; c++)
			check_column(h, c);
		/* nothing is written behind it */
		for (size_t c = h->rows * h->n; c < nitems(h->s); c++)
			assert_true(h->s[c] == 0);
		for (size_t c = h->n; c < SIDE_MAX; c++)
			assert_true(h->y[STEPS - 1][c] == 0);
	}
	free(h);
}

static void
a_convolution_is_its_sum(void **state)
{
	enum {
		N = 75,
		TAPS = 4
	};
	float w[TAPS][N + 3], x[TAPS][N], y[N + 1];
	const float *in[TAPS];
	uint64_t seed = 8;

	for (size_t t = 0; t < TAPS; t++) {
		in[t] = x[t];
		for (size_t i = 0; i < N; i++) {
			w[t][i] = random_float(&seed);
			x[t][i] = 4 * random_float(&seed);
		}
	}
	y[N] = 7;
	kern_conv(in, w[0], N + 3, TAPS, N, y);
	for (size_t i = 0; i < N; i++) {
		double sum = 0;

		for (size_t t = 0; t < TAPS; t++)
			sum += (double)w[t][i] * (double)x[t][i];
		assert_true(fabs(sum / (1 + exp(-sum)) - (double)y[i]) < 2e-6);
	}
	assert_true(y[N] == 7);
}

static void
a_gate_lets_its_part_through(void **state)
{
	float g[19], y[20];
	uint64_t seed = 4;

	for (size_t i = 0; i < nitems(g); i++) {
		g[i] = 40 * random_float(&seed);
		y[i] = (float)i - 9;
	}
	g[3] = -200;
	g[4] = 200;
	y[nitems(g)] = 7;
	kern_gate(g, nitems(g), y);
	for (size_t i = 0; i < nitems(g); i++)
		assert_true(fabs(((double)i - 9) / (1 + exp(-(double)g[i])) -
				 (double)y[i]) < 1e-6 * (1 + fabs((double)i)));
	assert_true(fabsf(y[3]) < 1e-30f);
	assert_true(y[4] == 4 - 9);
	assert_true(y[nitems(g)] == 7);
}

/* FNV-1a */
static uint32_t
hash(uint32_t h, const void *p, size_t n)
{
	for (const uint8_t *b = p; n > 0; n--, b++)
		h = (h ^ *b) * 16777619u;
	return h;
}

static uint32_t
hash_all(struct head *h)
{
	const float *in[3] = { h->v[0], h->v[1], h->v[2] };
	uint32_t sum = 2166136261u;

	for (size_t i = 0; i < nitems(sides); i++) {
		head_make(h, sides[i].rows, sides[i].n);
		head_run(h);
		sum = hash(sum, h->y, sizeof(h->y));
		sum = hash(sum, h->s, sizeof(h->s));
		kern_conv(in, h->s, 5, 3, h->n, h->y[0]);
		kern_gate(h->v[3], h->n, h->y[0]);
		sum = hash(sum, h->y[0], sizeof(h->y[0]));
	}
	return sum;
}

static void
bits_are_those_of_any_processor(void **state)
{
	struct head *h = malloc(sizeof(*h));

	assert_non_null(h);
	for (int isa = 0; isa < KERN_ISAS; isa++) {
		if (!kern_has((enum kern_isa)isa))
			continue;
		kern_use((enum kern_isa)isa);
		assert_int_equal(hash_all(h), 0x5357c038);
	}
	kern_use(kern_best());
	free(h);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_learns_by_the_delta_rule),
		cmocka_unit_test(a_convolution_is_its_sum),
		cmocka_unit_test(a_gate_lets_its_part_through),
		cmocka_unit_test(bits_are_those_of_any_processor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
