#include "inferd/sample.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/str.h"
#include "inferd/kern.h"

struct candidate {
	float logit;
	uint32_t token;
};

struct sampler {
	uint32_t vocab;
	struct candidate *c;
	float *p;
};

struct sampler *
sampler_new(uint32_t vocab)
{
	struct sampler *s = xcalloc(1, sizeof(*s));

	s->vocab = vocab;
	s->c = xcalloc(vocab, sizeof(*s->c));
	s->p = xcalloc(vocab, sizeof(*s->p));
	return s;
}

void
sampler_free(struct sampler *s)
{
	if (s == NULL)
		return;
	free(s->c);
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

uint32_t
sampler_draw(struct sampler *s, const struct sample_params *p,
    const float *logits, const uint8_t *allowed, uint64_t draw)
{
	const float low = 87; /* what is below has no weight, see kern.h */
	uint32_t best, n = 0;
	float floor, sum;
	double left;

	if (!likeliest(s, logits, allowed, &best) || !(p->temperature > 0) ||
	    !isfinite(logits[best]))
		return best;
	floor = p->min_p > 0 && p->min_p <= 1 ? -logf(p->min_p) : low;
	floor = logits[best] - fminf(floor, low) * p->temperature;
	for (uint32_t i = 0; i < s->vocab; i++)
		if (logits[i] >= floor && is_allowed(allowed, i))
			s->c[n++] = (struct candidate){ logits[i], i };
	qsort(s->c, n, sizeof(*s->c), likelier);
	if (p->top_k > 0 && n > p->top_k)
		n = p->top_k;
	for (uint32_t i = 0; i < n; i++)
		s->p[i] = s->c[i].logit / p->temperature;
	sum = kern_exp_sum(s->p, n, s->c[0].logit / p->temperature);
	if (p->top_p > 0 && p->top_p < 1) {
		float kept = 0;
		uint32_t i = 0;

		while (i < n && kept < p->top_p * sum)
			kept += s->p[i++];
		n = i;
		sum = kept;
	}
	left = uniform(p->seed, draw) * (double)sum;
	for (uint32_t i = 0; i < n; i++) {
		left -= (double)s->p[i];
		if (left < 0)
			return s->c[i].token;
	}
	return s->c[0].token;
}
