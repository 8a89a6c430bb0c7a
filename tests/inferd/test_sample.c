#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

#define MANY 3000u

static int
by_logit(const void *a, const void *b, void *arg)
{
	const float *all = arg;
	const uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;

	if (all[i] != all[k])
		return all[i] > all[k] ? -1 : 1;
	return i < k ? -1 : 1;
}

/* How many of `order` p leaves, and what they weigh; each weight in w. */
static uint32_t
cut(const struct sample_params *p, const float *all, const uint32_t *order,
    double *w, double *sum)
{
	uint32_t n = p->top_k > 0 ? p->top_k : MANY, i;
	double kept = 0;

	*sum = 0;
	for (i = 0; i < n; i++)
		*sum += w[i] = exp((double)(all[order[i]] - all[order[0]]) /
				   (double)p->temperature);
	if (p->top_p >= 1)
		return n;
	for (i = 0; i < n && kept < (double)p->top_p * *sum; i++)
		kept += w[i];
	*sum = kept;
	return i;
}

static void
draws_are_those_of_a_plain_sort(void **state)
{
	static const float temperature[] = { 0.3f, 1, 50 },
			   top_p[] = { 1, 0.9f, 1e-9f, 0.3f };
	static const uint32_t top_k[] = { 0, 1, 40 };
	static float all[MANY];
	static uint32_t order[MANY], seen[MANY];
	static double w[MANY];
	struct sampler *s = sampler_new(MANY);
	uint64_t z = 1;

	for (uint32_t i = 0; i < MANY; i++) {
		z = z * 6364136223846793005u + 1442695040888963407u;
		/* A long tail, and many of the same. */
		all[i] = (float)(z >> 40) / (float)(1 << 20);
		all[i] = i % 3 == 0 ? roundf(all[i]) : all[i] * all[i] / 20;
		order[i] = i;
	}
	qsort_r(order, MANY, sizeof(*order), by_logit, all);
	for (uint32_t c = 0; c < 36; c++) {
		const struct sample_params p = { .temperature =
						     temperature[c % 3],
			.top_k = top_k[c / 3 % 3],
			.top_p = top_p[c / 9],
			.seed = c };
		double sum, want = 0;
		const uint32_t n = cut(&p, all, order, w, &sum);

		memset(seen, 0, sizeof(seen));
		for (uint64_t i = 0; i < 2000; i++)
			seen[sampler_draw(s, &p, all, NULL, i)]++;
		/* Each beginning of the order has its part of the draws. */
		for (uint32_t i = 0, drawn = 0; i < MANY; i++) {
			want += i < n ? w[i] / sum : 0;
			drawn += seen[order[i]];
			if (i >= n)
				assert_int_equal(seen[order[i]], 0);
			assert_true(
			    fabs(drawn / 2000.0 - want) <=
			    1e-9 + 5 * sqrt(want * fabs(1 - want) / 2000));
		}
	}
	sampler_free(s);
}

/* Not a number comes of dividing by it. */
static void
a_temperature_near_nothing_takes_the_likeliest(void **state)
{
	struct sample_params p = { .temperature = 1e-42f, .top_p = 0.5f };
	struct sampler *s = sampler_new(N);

	for (uint64_t i = 0; i < 50; i++)
		assert_int_equal(sampler_draw(s, &p, logits, NULL, i), 2);
	p.temperature = 3e38f;
	for (uint64_t i = 0; i < 50; i++)
		assert_true(sampler_draw(s, &p, logits, NULL, i) < N);
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
		cmocka_unit_test(draws_are_those_of_a_plain_sort),
		cmocka_unit_test(
		    a_temperature_near_nothing_takes_the_likeliest),
		cmocka_unit_test(seeds_and_numbers_of_draws_matter),
		cmocka_unit_test(logits_that_are_no_numbers_are_not_drawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
