#include "inferd/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/kern.h"

/*
 * Candidates are put in order coarsely first; only those of one step are
 * sorted then, where a draw or a cut lies.  A vocabulary has 150,000 tokens,
 * and with a temperature most of them have a chance.
 */
#define STEPS 1024u

struct candidate {
	float logit, weight;
	uint32_t token, step;
};

struct sampler {
	uint32_t vocab, n; /* n: candidates */
	struct candidate *c, *sorted;
	float *p;
	struct {
		uint32_t n;
		double weight;
	} step[STEPS];
};

struct sampler *
sampler_new(uint32_t vocab)
{
	struct sampler *s = xcalloc(1, sizeof(*s));

	s->vocab = vocab;
	s->c = xcalloc(vocab, sizeof(*s->c));
	s->sorted = xcalloc(vocab, sizeof(*s->sorted));
	s->p = xcalloc(vocab, sizeof(*s->p));
	return s;
}

void
sampler_free(struct sampler *s)
{
	if (s == NULL)
		return;
	free(s->c);
	free(s->sorted);
	free(s->p);
	free(s);
}

/* A number in [0, 1) for each draw of a seed: SplitMix64 (Steele et al., 2014).
 */
static double
uniform(uint64_t seed, uint64_t draw)
{
	uint64_t z = seed + (draw + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	z ^= z >> 31;
	return (double)(z >> 11) * 0x1p-53;
}

static int
likelier(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return x->token < y->token ? -1 : x->token > y->token;
}

static bool
is_allowed(const uint8_t *allowed, uint32_t token)
{
	return allowed == NULL || (allowed[token / 8] >> token % 8 & 1) != 0;
}

/* The likeliest token that is allowed; false: no logit is a number. */
static bool
likeliest(const struct sampler *s, const float *logits, const uint8_t *allowed,
    uint32_t *best)
{
	bool found = false;

	*best = 0;
	for (uint32_t i = 0; i < s->vocab; i++) {
		if (!is_allowed(allowed, i) || isnan(logits[i]))
			continue;
		if (!found || logits[i] > logits[*best])
			*best = i;
		found = true;
	}
	return found;
}

/* A step for each candidate, the likelier the lower, and what is in it. */
static void
make_steps(struct sampler *s, float best, float lowest)
{
	const float range = best - lowest,
		    scale = range > 0 ? (float)STEPS / range : 0;

	memset(s->step, 0, sizeof(s->step));
	for (uint32_t i = 0; i < s->n; i++) {
		struct candidate *c = &s->c[i];
		const float x = (best - c->logit) * scale;

		/* Of an infinite one, too, that there is no number for. */
		c->step = x < (float)(STEPS - 1) ? (uint32_t)x : STEPS - 1;
		c->weight = s->p[i];
		s->step[c->step].n++;
		s->step[c->step].weight += (double)c->weight;
	}
}

/* Those of a step in order; how many. */
static uint32_t
sort_step(struct sampler *s, uint32_t step)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n && n < s->step[step].n; i++)
		if (s->c[i].step == step)
			s->sorted[n++] = s->c[i];
	qsort(s->sorted, n, sizeof(*s->sorted), likelier);
	return n;
}

/* So many of the likeliest, what they weigh, and the last of them. */
struct place {
	uint32_t n, token;
	double weight;
};

/* As few as have that weight, or max. */
static struct place
reach(struct sampler *s, uint32_t max, double weight)
{
	struct place at = { 0 };
	uint32_t k, n;

	/* One is reached at least, the likeliest weighs 1; with some
	 * temperatures weight is no number. */
	weight = fmax(weight, 0x1p-60);
	for (k = 0; k < STEPS - 1 && at.weight + s->step[k].weight < weight &&
		    at.n + s->step[k].n < max;
	     k++) {
		at.n += s->step[k].n;
		at.weight += s->step[k].weight;
	}
	n = sort_step(s, k);
	for (uint32_t i = 0; i < n && at.weight < weight && at.n < max; i++) {
		at.n++;
		at.weight += (double)s->sorted[i].weight;
		at.token = s->sorted[i].token;
	}
	return at;
}

uint32_t
sampler_draw(struct sampler *s, const struct sample_params *p,
    const float *logits, const uint8_t *allowed, uint64_t draw)
{
	const float low = 87; /* what is below has no weight, see kern.h */
	struct place all = { 0 };
	uint32_t best, n = 0;
	float floor, lowest;
	double weight;

	if (!likeliest(s, logits, allowed, &best) || !(p->temperature > 0) ||
	    !isfinite(logits[best]))
		return best;
	floor = p->min_p > 0 && p->min_p <= 1 ? -logf(p->min_p) : low;
	floor = logits[best] - fminf(floor, low) * p->temperature;
	lowest = logits[best];
	for (uint32_t i = 0; i < s->vocab; i++)
		if (logits[i] >= floor && is_allowed(allowed, i)) {
			s->p[n] = logits[i] / p->temperature;
			s->c[n++] = (struct candidate){ .logit = logits[i],
				.token = i };
			if (isfinite(logits[i]))
				lowest = fminf(lowest, logits[i]);
		}
	s->n = n;
	(void)kern_exp_sum(s->p, n, logits[best] / p->temperature);
	all.n = n;
	make_steps(s, logits[best], lowest);
	for (uint32_t i = 0; i < STEPS; i++)
		all.weight += s->step[i].weight;
	if (p->top_k > 0 && n > p->top_k)
		all = reach(s, p->top_k, INFINITY);
	if (p->top_p > 0 && p->top_p < 1)
		all = reach(s, all.n, (double)p->top_p * all.weight);
	weight = uniform(p->seed, draw) * all.weight;
	return reach(s, all.n, weight).token;
}
