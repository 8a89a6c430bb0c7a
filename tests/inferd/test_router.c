/*
 * Which experts are chosen, and how much each counts, against the same said
 * plainly in double precision.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/str.h"
#include "inferd/router.h"

#define EXPERTS 24u

/* So close together are floats that may stand either way round. */
#define CLOSE 1e-5

static uint64_t state = 1;

static float
chance(void)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (float)(state >> 40) * 0x1p-23f - 1;
}

struct plain {
	double score[EXPERTS], pick[EXPERTS];
	bool out[EXPERTS];
	uint32_t chosen[EXPERTS];
	double weight[EXPERTS];
	bool close; /* two that are all but the same met */
};

static void
plain_scores(const struct hparams *hp, const float *logit, struct plain *p)
{
	double sum = 0;

	for (uint32_t e = 0; e < hp->experts; e++) {
		p->score[e] = (double)logit[e];
		if (hp->gate == GATE_SIGMOID)
			p->score[e] = 1 / (1 + exp(-p->score[e]));
		else if (hp->gate == GATE_ROOT)
			p->score[e] = sqrt(log1p(exp(p->score[e])));
		sum += exp((double)logit[e]);
	}
	if (hp->gate == GATE_SOFTMAX)
		for (uint32_t e = 0; e < hp->experts; e++)
			p->score[e] = exp(p->score[e]) / sum;
}

/* The best of those that are not out. */
static uint32_t
plain_best(struct plain *p, const double *v, const bool *out, uint32_t n)
{
	uint32_t best = n;

	for (uint32_t i = 0; i < n; i++)
		if (!out[i] && (best == n || v[i] > v[best]))
			best = i;
	for (uint32_t i = 0; i < n; i++)
		if (!out[i] && i != best && fabs(v[i] - v[best]) < CLOSE)
			p->close = true;
	return best;
}

static void
plain_groups(const struct hparams *hp, struct plain *p)
{
	const uint32_t each = hp->experts / hp->expert_groups;
	const bool alone = hp->gate == GATE_SOFTMAX;
	double worth[EXPERTS];
	bool used[EXPERTS] = { false };

	for (uint32_t g = 0; g < hp->expert_groups; g++) {
		const double *v = &p->pick[g * each];

		worth[g] = each == 1 ? v[0] : -HUGE_VAL;
		for (uint32_t a = 0; a < each; a++)
			for (uint32_t b = 0; b < a; b++)
				worth[g] = fmax(worth[g],
				    alone ? fmax(v[a], v[b]) : v[a] + v[b]);
	}
	for (uint32_t k = 0; k < hp->groups_used; k++)
		used[plain_best(p, worth, used, hp->expert_groups)] = true;
	for (uint32_t e = 0; e < hp->experts; e++)
		p->out[e] = !used[e / each];
}

static void
plain_choose(const struct hparams *hp, const float *bias, const float *logit,
    struct plain *p)
{
	double sum = 0;

	*p = (struct plain){ .close = false };
	plain_scores(hp, logit, p);
	for (uint32_t e = 0; e < hp->experts; e++)
		p->pick[e] = p->score[e] + (bias == NULL ? 0 : (double)bias[e]);
	if (hp->expert_groups > 0)
		plain_groups(hp, p);
	for (uint32_t k = 0; k < hp->experts_used; k++) {
		const uint32_t e = plain_best(p, p->pick, p->out, hp->experts);

		p->chosen[k] = e;
		p->out[e] = true;
		p->weight[k] = hp->gate == GATE_SOFTMAX_CHOSEN
				   ? exp(p->score[e])
				   : p->score[e];
		sum += p->weight[k];
	}
	for (uint32_t k = 0; k < hp->experts_used; k++) {
		if (hp->expert_norm)
			p->weight[k] /= sum;
		p->weight[k] *= (double)hp->expert_scale;
	}
}

/* Many rows; nearly all of them have to be clear cases. */
static void
compare(const struct hparams *hp, bool biased)
{
	const unsigned rows = 400;
	unsigned compared = 0;

	for (unsigned i = 0; i < rows; i++) {
		float logit[EXPERTS], bias[EXPERTS], weight[EXPERTS];
		uint32_t chosen[EXPERTS];
		struct plain p;

		for (uint32_t e = 0; e < hp->experts; e++) {
			logit[e] = 4 * chance();
			bias[e] = 0.5f * chance();
		}
		plain_choose(hp, biased ? bias : NULL, logit, &p);
		router_choose(hp, biased ? bias : NULL, logit, chosen, weight);
		if (p.close)
			continue;
		compared++;
		for (uint32_t k = 0; k < hp->experts_used; k++) {
			assert_int_equal(chosen[k], p.chosen[k]);
			assert_true(fabs((double)weight[k] - p.weight[k]) <=
				    1e-6 * p.weight[k]);
		}
	}
	assert_true(compared > rows * 9 / 10);
}

static const struct hparams usual = { .experts = EXPERTS,
	.experts_used = 4,
	.expert_norm = true,
	.expert_scale = 1 };

static void
chosen_as_plainly_said(void **s)
{
	for (int gate = 0; gate < GATE_MAX; gate++)
		for (int biased = 0; biased < 2; biased++)
			for (int groups = 0; groups < 3; groups++) {
				struct hparams hp = usual;

				hp.gate = (enum expert_gate)gate;
				hp.expert_groups = groups == 0 ? 0 : 6;
				hp.groups_used = (uint32_t)groups;
				hp.expert_scale = 1 + (float)groups;
				/* it is a softmax over the chosen as it is */
				hp.expert_norm =
				    gate == GATE_SOFTMAX_CHOSEN || groups != 1;
				compare(&hp, biased == 1);
			}
}

static void
a_group_of_one_is_worth_that_one(void **s)
{
	struct hparams hp = usual;

	hp.expert_groups = EXPERTS;
	hp.groups_used = 7;
	hp.gate = GATE_SIGMOID;
	compare(&hp, true);
}

static void
the_first_of_equals_wins(void **s)
{
	struct hparams hp = usual;
	float logit[EXPERTS], weight[4];
	uint32_t chosen[4];

	for (int gate = 0; gate < GATE_MAX; gate++) {
		hp.gate = (enum expert_gate)gate;
		for (uint32_t e = 0; e < EXPERTS; e++)
			logit[e] = e == 9 || e == 11 ? 1 : 0;
		router_choose(&hp, NULL, logit, chosen, weight);
		assert_int_equal(chosen[0], 9);
		assert_int_equal(chosen[1], 11);
		assert_int_equal(chosen[2], 0);
		assert_int_equal(chosen[3], 1);
	}
	/* And of equal groups. */
	hp.expert_groups = 6;
	hp.groups_used = 1;
	for (uint32_t e = 0; e < EXPERTS; e++)
		logit[e] = e / 4 == 2 || e / 4 == 3 ? 1 : 0;
	router_choose(&hp, NULL, logit, chosen, weight);
	for (uint32_t k = 0; k < 4; k++)
		assert_int_equal(chosen[k], 8 + k);
}

static void
a_bias_chooses_and_does_not_weigh(void **s)
{
	struct hparams hp = usual;
	float logit[EXPERTS] = { 0 }, bias[EXPERTS] = { 0 }, weight[4];
	uint32_t chosen[4];

	hp.gate = GATE_SIGMOID;
	hp.expert_norm = false;
	bias[20] = 2;
	bias[3] = 1;
	logit[3] = 3;
	router_choose(&hp, bias, logit, chosen, weight);
	assert_int_equal(chosen[0], 20);
	assert_int_equal(chosen[1], 3);
	assert_true(weight[0] == 0.5f);
	assert_true(fabsf(weight[1] - 0.95257413f) < 1e-6f);
}

static void
roots_weigh_and_a_table_may_choose(void **s)
{
	static const int32_t given[] = { 9, 2, 9, 23 };
	struct hparams hp = usual;
	float logit[EXPERTS] = { 0 }, weight[4];
	uint32_t chosen[4];

	hp.gate = GATE_ROOT;
	hp.expert_norm = false;
	logit[2] = 100;
	logit[9] = 1;
	logit[23] = -100;
	router_given(&hp, given, logit, chosen, weight);
	for (size_t k = 0; k < nitems(given); k++)
		assert_int_equal(chosen[k], given[k]);
	assert_true(weight[1] == 10);
	assert_true(fabsf(weight[0] - sqrtf(1.3132617f)) < 1e-6f);
	assert_true(weight[0] == weight[2]);
	assert_true(weight[3] >= 0 && weight[3] < 1e-20f);
	assert_true(fabsf(logit[0] - sqrtf(logf(2))) < 1e-6f);
	hp.expert_norm = true;
	for (uint32_t e = 0; e < EXPERTS; e++)
		logit[e] = e == 9 ? 3 : 0;
	router_choose(&hp, NULL, logit, chosen, weight);
	assert_int_equal(chosen[0], 9);
	assert_true(weight[0] > weight[1]);
	assert_true(
	    fabsf(weight[0] + weight[1] + weight[2] + weight[3] - 1) < 1e-6f);
}

/* However little the router says, it is not made much of. */
static void
weights_of_next_to_nothing_stay_that(void **s)
{
	struct hparams hp = usual;
	float logit[EXPERTS], weight[4];
	uint32_t chosen[4];

	hp.gate = GATE_SIGMOID;
	for (uint32_t e = 0; e < EXPERTS; e++)
		logit[e] = -200;
	router_choose(&hp, NULL, logit, chosen, weight);
	for (uint32_t k = 0; k < 4; k++)
		assert_true(weight[k] >= 0 && weight[k] < 1e-30f);
	for (uint32_t e = 0; e < EXPERTS; e++)
		logit[e] = 200;
	router_choose(&hp, NULL, logit, chosen, weight);
	for (uint32_t k = 0; k < 4; k++)
		assert_true(weight[k] == 0.25f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chosen_as_plainly_said),
		cmocka_unit_test(a_group_of_one_is_worth_that_one),
		cmocka_unit_test(the_first_of_equals_wins),
		cmocka_unit_test(a_bias_chooses_and_does_not_weigh),
		cmocka_unit_test(roots_weigh_and_a_table_may_choose),
		cmocka_unit_test(weights_of_next_to_nothing_stay_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
