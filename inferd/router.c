#include "inferd/router.h"

#include <math.h>
#include <string.h>

#include "base/compat.h"
#include "inferd/kern.h"

/* Weights are divided by no less, as in the peers: the least normal half. */
#define SUM_LEAST 0x1p-14f
#define LINEAR 20.0f /* from there on ln(1 + exp(x)) is x */

void
router_sigmoid(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = -x[i];
	kern_exp(x, n);
	for (size_t i = 0; i < n; i++)
		x[i] = 1 / (1 + x[i]);
}

static uint32_t
best_of(const float *x, uint32_t n)
{
	uint32_t best = 0;

	for (uint32_t i = 1; i < n; i++)
		if (x[i] > x[best])
			best = i;
	return best;
}

/*
 * The two best of a group together, or the best where scores are shares
 * (DeepSeek-V2; another engine adds up the two there, too); of one expert,
 * that.
 */
static float
worth(const struct hparams *hp, const float *pick, uint32_t n)
{
	const uint32_t first = best_of(pick, n);
	float second = -INFINITY;

	if (n == 1 || hp->gate == GATE_SOFTMAX)
		return pick[first];
	for (uint32_t i = 0; i < n; i++)
		if (i != first && pick[i] > second)
			second = pick[i];
	return pick[first] + second;
}

/* Nothing is left of the groups that are not among the best. */
static void
keep_groups(const struct hparams *hp, float *pick)
{
	const uint32_t each = hp->experts / hp->expert_groups;
	float of[MODEL_EXPERTS_MAX] attr_uninit;
	bool kept[MODEL_EXPERTS_MAX] = { false };

	for (uint32_t g = 0; g < hp->expert_groups; g++)
		of[g] = worth(hp, &pick[g * each], each);
	for (uint32_t k = 0; k < hp->groups_used; k++) {
		const uint32_t g = best_of(of, hp->expert_groups);

		kept[g] = true;
		of[g] = -INFINITY;
	}
	for (uint32_t e = 0; e < hp->experts; e++)
		if (!kept[e / each])
			pick[e] = -INFINITY;
}

static void
weigh(const struct hparams *hp, float *weight)
{
	const uint32_t n = hp->experts_used;
	float sum = 0;

	if (hp->gate == GATE_SOFTMAX_CHOSEN)
		kern_softmax(weight, n);
	else if (hp->expert_norm) {
		for (uint32_t k = 0; k < n; k++)
			sum += weight[k];
		for (uint32_t k = 0; k < n; k++)
			weight[k] /= sum > SUM_LEAST ? sum : SUM_LEAST;
	}
	for (uint32_t k = 0; k < n; k++)
		weight[k] *= hp->expert_scale;
}

/* sqrt(ln(1 + exp(x))): what is large stays near its root. */
static void
root_of(float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		x[i] = sqrtf(
		    x[i] > LINEAR ? x[i] : (float)log1p(exp((double)x[i])));
}

static void
judge(const struct hparams *hp, float *score)
{
	if (hp->gate == GATE_SOFTMAX)
		kern_softmax(score, hp->experts);
	else if (hp->gate == GATE_SIGMOID)
		router_sigmoid(score, hp->experts);
	else if (hp->gate == GATE_ROOT)
		root_of(score, hp->experts);
}

void
router_given(const struct hparams *hp, const int32_t *given, float *score,
    uint32_t *chosen, float *weight)
{
	judge(hp, score);
	for (uint32_t k = 0; k < hp->experts_used; k++) {
		chosen[k] = (uint32_t)given[k];
		weight[k] = score[chosen[k]];
	}
	weigh(hp, weight);
}

void
router_choose(const struct hparams *hp, const float *bias, float *score,
    uint32_t *chosen, float *weight)
{
	float pick[MODEL_EXPERTS_MAX] attr_uninit;

	judge(hp, score);
	memcpy(pick, score, hp->experts * sizeof(*pick));
	for (uint32_t e = 0; bias != NULL && e < hp->experts; e++)
		pick[e] += bias[e];
	if (hp->expert_groups > 0)
		keep_groups(hp, pick);
	for (uint32_t k = 0; k < hp->experts_used; k++) {
		const uint32_t e = best_of(pick, hp->experts);

		chosen[k] = e;
		weight[k] = score[e];
		pick[e] = -INFINITY;
	}
	weigh(hp, weight);
}
