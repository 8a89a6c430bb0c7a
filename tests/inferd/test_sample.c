#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compat.h"
#include "inferd/sample.h"

#define N 8u
#define DRAWS 20000u

static const float logits[N] = { 0, 1, 3, 3, -2, -1000, 2, -INFINITY };

/* How often each token is drawn. */
static void
count(const struct sample_params *p, const uint8_t *allowed, unsigned *n)
{
	struct sampler *s = sampler_new(N);

	memset(n, 0, N * sizeof(*n));
	for (uint64_t i = 0; i < DRAWS; i++) {
		uint32_t t = sampler_draw(s, p, logits, allowed, i);

		assert_true(t < N);
		assert_int_equal(t, sampler_draw(s, p, logits, allowed, i));
		n[t]++;
	}
	sampler_free(s);
}

static void
without_temperature_the_first_of_the_likeliest_comes(void **state)
{
	const struct sample_params p = { .seed = 7 };
	const uint8_t but_two = 0xfb;
	unsigned n[N];

	count(&p, NULL, n);
	assert_int_equal(n[2], DRAWS);
	count(&p, &but_two, n);
	assert_int_equal(n[3], DRAWS);
}

static void
draws_follow_the_softmax(void **state)
{
	const struct sample_params p = { .temperature = 1.5f, .top_p = 1 };
	double e[N], sum = 0;
	unsigned n[N];

	for (size_t i = 0; i < N; i++)
		sum += e[i] = exp((double)logits[i] / 1.5);
	count(&p, NULL, n);
	for (size_t i = 0; i < N; i++) {
		const double want = e[i] / sum;

		/* five standard deviations */
		assert_true(fabs((double)n[i] / DRAWS - want) <=
			    5 * sqrt(want * (1 - want) / DRAWS));
	}
	assert_int_equal(n[5] + n[7], 0);
}

static void
cuts_keep_what_they_say(void **state)
{
	struct sample_params p = { .temperature = 1, .top_k = 3 };
	unsigned n[N];

	count(&p, NULL, n);
	assert_true(n[2] > 0 && n[3] > 0 && n[6] > 0);
	assert_int_equal(n[2] + n[3] + n[6], DRAWS);

	/* 2 and 3 are 0.40 each, 6 is 0.15 */
	p = (struct sample_params){ .temperature = 1, .top_p = 0.5f };
	count(&p, NULL, n);
	assert_true(n[2] > 0 && n[3] > 0);
	assert_int_equal(n[2] + n[3], DRAWS);

	/* 6 is e^-1 = 0.37 of the likeliest, 1 is 0.14 */
	p = (struct sample_params){ .temperature = 1, .min_p = 0.3f };
	count(&p, NULL, n);
	assert_true(n[6] > 0);
	assert_int_equal(n[2] + n[3] + n[6], DRAWS);
	p.min_p = 0.1f;
	count(&p, NULL, n);
	assert_true(n[1] > 0);
}

static void
what_is_not_allowed_is_not_drawn(void **state)
{
	const struct sample_params p = { .temperature = 100, .top_p = 1 };
	const uint8_t few = 0x12;
	unsigned n[N];

	count(&p, &few, n);
	assert_true(n[1] > 0 && n[4] > 0);
	assert_int_equal(n[1] + n[4], DRAWS);
}

static void
seeds_and_numbers_of_draws_matter(void **state)
{
	struct sample_params p = { .temperature = 2, .top_p = 1 };
	struct sampler *s = sampler_new(N);
	unsigned other_seed = 0, other_draw = 0;

	for (uint64_t i = 0; i < 100; i++) {
		uint32_t t;

		p.seed = 1;
		t = sampler_draw(s, &p, logits, NULL, i);
		other_draw += t != sampler_draw(s, &p, logits, NULL, i + 1);
		p.seed = 2;
		other_seed += t != sampler_draw(s, &p, logits, NULL, i);
	}
	assert_true(other_draw > 20 && other_seed > 20);
	sampler_free(s);
}

static void
logits_that_are_no_numbers_are_not_drawn(void **state)
{
	const struct sample_params p = { .temperature = 1, .top_p = 1 };
	const float none[N] = { NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN };
	const float one[N] = { NAN, NAN, -3, NAN, NAN, NAN, NAN, NAN };
	struct sampler *s = sampler_new(N);

	assert_int_equal(sampler_draw(s, &p, none, NULL, 0), 0);
	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(sampler_draw(s, &p, one, NULL, i), 2);
	sampler_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    without_temperature_the_first_of_the_likeliest_comes),
		cmocka_unit_test(draws_follow_the_softmax),
		cmocka_unit_test(cuts_keep_what_they_say),
		cmocka_unit_test(what_is_not_allowed_is_not_drawn),
		cmocka_unit_test(seeds_and_numbers_of_draws_matter),
		cmocka_unit_test(logits_that_are_no_numbers_are_not_drawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
