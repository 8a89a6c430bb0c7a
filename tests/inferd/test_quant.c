/*
 * The reference dequantisers (inferd/quant.h): against rows with known floats
 * where that data is at hand (BRIG_MODELS), and against sums of random blocks
 * that were computed when the two agreed.
 */
#include "inferd/quant.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compat.h"
#include "tests/inferd/random_blocks.h"

static const enum tensor_type types[] = { TT_F16, TT_BF16, TT_Q8_0, TT_Q4_0,
	TT_Q2_K, TT_Q3_K, TT_Q4_K, TT_Q5_K, TT_Q6_K, TT_IQ2_XXS, TT_IQ4_NL,
	TT_IQ4_XS, TT_MXFP4 };

static void
half_precision_is_exact(void **state)
{
	for (unsigned h = 0; h < 65536; h++) {
		int exp = h >> 10 & 31;
		double want;

		if (exp == 31)
			continue;
		want = exp == 0 ? ldexp(h & 1023, -24)
				: ldexp(1024 + (h & 1023), exp - 25);
		if ((h & 0x8000) != 0)
			want = -want;
		assert_true((double)quant_f16((uint16_t)h) == want);
		assert_int_equal(
		    !signbit(quant_f16((uint16_t)h)), (h & 0x8000) == 0);
	}
	assert_true(isinf(quant_f16(0x7c00)) && quant_f16(0x7c00) > 0);
	assert_true(isinf(quant_f16(0xfc00)) && quant_f16(0xfc00) < 0);
	assert_true(isnan(quant_f16(0x7c01)));
}

static void
mxfp4_exponents_are_halved_powers(void **state)
{
	for (int e = 0; e < 255; e++)
		assert_true(
		    (double)quant_e8m0_half((uint8_t)e) == ldexp(1, e - 128));
}

static uint64_t
sum_of_random_row(enum tensor_type t)
{
	enum {
		N = 4096
	};
	static uint8_t row[4 * N];
	static float out[N];
	uint64_t sum = 0xcbf29ce484222325ULL;
	uint32_t bits;

	random_row(t, 0x9e3779b97f4a7c15ULL + t, row, N);
	dequant_row(t, row, out, N);
	for (size_t i = 0; i < N; i++) {
		memcpy(&bits, &out[i], sizeof(bits));
		sum = (sum ^ bits) * 0x100000001b3ULL;
	}
	return sum;
}

static void
random_rows_give_the_known_sums(void **state)
{
	static const uint64_t want[] = { 0xd5a84e1ba6a98325ULL,
		0xa82d72f3cb0d6325ULL, 0x7bcef5584ff88765ULL,
		0x26349bc2d8197725ULL, 0xf2cfef931029e9acULL,
		0xad7bdecdf3e8c7a5ULL, 0x81e6dbec798feae1ULL,
		0xacb30bc535951cccULL, 0xe345b2a244fe5349ULL,
		0x1471ae29d2da895dULL, 0x03e43be4dbbcf665ULL,
		0x83aa9e8188da3b9bULL, 0x6ad101d38a3b6325ULL };

	for (size_t i = 0; i < nitems(types); i++) {
		uint64_t got = sum_of_random_row(types[i]);

		if (got != want[i])
			fail_msg("%s: sum 0x%016llxULL",
			    tensor_type_info(types[i])->name,
			    (unsigned long long)got);
	}
}

static int
open_rows(enum tensor_type t, FILE **f)
{
	const char *dir = getenv("BRIG_MODELS"), *src = getenv("BRIG_SRCDIR");
	char path[PATH_MAX];

	if (dir != NULL)
		snprintf(path, sizeof(path), "%s/dequant/%s.bin", dir,
		    tensor_type_info(t)->name);
	else
		snprintf(path, sizeof(path),
		    "%s/../shared/models/dequant/%s.bin",
		    src != NULL ? src : ".", tensor_type_info(t)->name);
	*f = fopen(path, "re");
	if (*f == NULL)
		print_message(
		    "# skipped %s: no %s\n", tensor_type_info(t)->name, path);
	return *f != NULL;
}

static void
check_rows(enum tensor_type t, FILE *f)
{
	char magic[8];
	int32_t head[3];
	size_t k, rows, bytes, bad = 0;
	uint8_t *raw;
	float *want, *got;

	assert_int_equal(fread(magic, 1, 8, f), 8);
	assert_memory_equal(magic, "DEQUANT1", 8);
	assert_int_equal(fread(head, 4, 3, f), 3);
	assert_int_equal(head[0], t);
	k = (size_t)head[1];
	rows = (size_t)head[2];
	bytes = tensor_row_bytes(t, k);
	assert_in_range(bytes, 1, 1 << 20);
	assert_in_range(rows, 1, 1000);
	raw = malloc(bytes * rows);
	want = malloc(rows * k * sizeof(*want));
	got = malloc(rows * k * sizeof(*got));
	assert_true(raw != NULL && want != NULL && got != NULL);
	assert_int_equal(fread(raw, bytes, rows, f), rows);
	assert_int_equal(fread(want, sizeof(*want), rows * k, f), rows * k);
	for (size_t r = 0; r < rows; r++)
		dequant_row(t, raw + r * bytes, got + r * k, k);
	for (size_t i = 0; i < rows * k; i++)
		bad += memcmp(&got[i], &want[i], sizeof(float)) != 0;
	if (bad != 0)
		fail_msg("%s: %zu of %zu floats differ",
		    tensor_type_info(t)->name, bad, rows * k);
	free(raw);
	free(want);
	free(got);
}

static void
known_rows_are_bit_equal(void **state)
{
	size_t seen = 0;
	FILE *f;

	for (size_t i = 0; i < nitems(types); i++)
		if (open_rows(types[i], &f)) {
			check_rows(types[i], f);
			fclose(f);
			seen++;
		}
	if (seen == 0)
		skip();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_precision_is_exact),
		cmocka_unit_test(mxfp4_exponents_are_halved_powers),
		cmocka_unit_test(random_rows_give_the_known_sums),
		cmocka_unit_test(known_rows_are_bit_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
