/*
 * The encoders of block formats: what they write is read back near to what it
 * was, by the reference that reads models.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/compat.h"
#include "inferd/quant.h"
#include "inferd/quantise.h"

#define N 4096

/* Bell-shaped, as weights are. */
static void
draw(float *x, float sigma)
{
	uint64_t s = 1;

	for (size_t i = 0; i < N; i++) {
		float sum = 0;

		for (int k = 0; k < 4; k++) {
			s = s * 6364136223846793005u + 1442695040888963407u;
			sum += (float)(s >> 40) / 0x1p24f - 0.5f;
		}
		x[i] = sum * sigma;
	}
}

static double
error_of(enum tensor_type type, const float *x)
{
	static uint8_t blocks[4 * N];
	static float y[N];
	double off = 0, all = 0;

	assert_true(tensor_row_bytes(type, N) <= sizeof(blocks));
	quantise_row(type, x, N, blocks);
	dequant_row(type, blocks, y, N);
	for (size_t i = 0; i < N; i++) {
		double e = (double)y[i] - (double)x[i];

		assert_true(isfinite(y[i]));
		off += e * e;
		all += (double)x[i] * (double)x[i];
	}
	return sqrt(off / all);
}

static void
encoded_values_are_near(void **state)
{
	/* Largest error, relative and root of mean squares. */
	static const struct {
		enum tensor_type type;
		double most;
	} want[] = {
		{ TT_F32, 0 },
		{ TT_F16, 0.0005 },
		{ TT_BF16, 0.004 },
		{ TT_Q8_0, 0.01 },
		{ TT_Q6_K, 0.03 },
		{ TT_Q5_K, 0.05 },
		{ TT_Q4_K, 0.09 },
		{ TT_Q4_0, 0.12 },
		{ TT_IQ4_NL, 0.11 },
		{ TT_IQ4_XS, 0.11 },
		{ TT_MXFP4, 0.15 },
		{ TT_Q3_K, 0.22 },
		{ TT_Q2_K, 0.35 },
		{ TT_IQ2_XXS, 0.55 },
	};
	static const float sigma[] = { 1, 0.02f, 30 };
	static float x[N];

	for (size_t k = 0; k < nitems(sigma); k++) {
		draw(x, sigma[k]);
		for (size_t i = 0; i < nitems(want); i++) {
			double e = error_of(want[i].type, x);

			if (!(e <= want[i].most))
				fail_msg("%s: %f",
				    tensor_type_name(want[i].type), e);
		}
	}
}

static void
zeros_and_single_values_encode(void **state)
{
	static float x[N], y[N];
	static uint8_t blocks[4 * N];

	for (uint32_t t = 0; t < TT_MAX; t++) {
		if (tensor_type_info(t) == NULL || t == TT_I32)
			continue;
		memset(x, 0, sizeof(x));
		quantise_row((enum tensor_type)t, x, N, blocks);
		dequant_row((enum tensor_type)t, blocks, y, N);
		for (size_t i = 0; i < N; i++)
			assert_true(y[i] == 0);
		for (size_t i = 0; i < N; i += 256)
			x[i] = i % 512 == 0 ? 1 : -1;
		quantise_row((enum tensor_type)t, x, N, blocks);
		dequant_row((enum tensor_type)t, blocks, y, N);
		for (size_t i = 0; i < N; i += 256)
			assert_true(fabsf(y[i] - x[i]) < 0.4f);
	}
}

static void
half_precision_is_the_reverse(void **state)
{
	for (uint32_t h = 0; h < 0x10000; h++) {
		if ((h & 0x7c00) == 0x7c00)
			continue;
		assert_int_equal(quantise_f16(quant_f16((uint16_t)h)), h);
	}
	assert_int_equal(quantise_f16(65536), 0x7c00);
	assert_int_equal(quantise_f16(-1e30f), 0xfc00);
	assert_int_equal(quantise_f16(1e-30f), 0);
	/* Half way between two: the even one. */
	assert_int_equal(quantise_f16(1 + 0x1p-11f), 0x3c00);
	assert_int_equal(quantise_f16(1 + 0x3p-11f), 0x3c02);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encoded_values_are_near),
		cmocka_unit_test(zeros_and_single_values_encode),
		cmocka_unit_test(half_precision_is_the_reverse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
