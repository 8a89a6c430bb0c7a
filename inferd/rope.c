#include "inferd/rope.h"

#include <math.h>

static float
clamp(float x, float low, float high)
{
	return x < low ? low : x > high ? high : x;
}

/* The dimension whose wave turns `turns` times within the original context. */
static float
yarn_dim(const struct hparams *hp, float turns)
{
	const float pi = 3.14159265358979f;

	return (float)hp->rope_dims *
	       logf((float)hp->yarn.ctx_orig / (turns * 2 * pi)) /
	       (2 * logf(hp->rope_base));
}

/*
 * Models that see images turn pairs by time, height and width in turn, as many
 * by each as its section says, and those that are left by a fourth number.
 * Text has the first three of its position, and the fourth is 0.
 */
static bool
is_turned(const struct hparams *hp, uint32_t pair)
{
	const uint32_t *s = hp->rope_sections;
	const uint32_t all = s[0] + s[1] + s[2] + s[3];

	if (all == 0)
		return true;
	pair %= all;
	return pair < 3 * s[pair % 3];
}

void
rope_frequencies(
    const struct hparams *hp, const float *factors, float *freq, float *gain)
{
	const uint32_t pairs = hp->rope_dims / 2;
	float low = 0, high = 0;

	*gain = 1;
	if (hp->yarn.on) {
		const float last = (float)hp->rope_dims - 1;

		low = clamp(floorf(yarn_dim(hp, hp->yarn.beta_fast)), 0, last);
		high = clamp(ceilf(yarn_dim(hp, hp->yarn.beta_slow)), 0, last);
		if (hp->yarn.log_mul == 0)
			*gain = 1 + 0.1f * logf(hp->yarn.factor);
	}
	for (uint32_t i = 0; i < pairs; i++) {
		double f = pow(
		    (double)hp->rope_base, -2.0 * i / (double)hp->rope_dims);

		if (factors != NULL)
			f /= (double)factors[i];
		if (hp->yarn.on) {
			/* 0: a slow wave, stretched; 1: a fast one, kept. */
			const float span = fmaxf(0.001f, high - low);
			const double keep =
			    1 - (double)clamp(((float)i - low) / span, 0, 1);

			f = f / (double)hp->yarn.factor * (1 - keep) + f * keep;
		} else
			f /= (double)hp->rope_scale;
		freq[i] = is_turned(hp, i) ? (float)f : 0;
	}
}

void
rope_streams(const struct hparams *hp, float *near, float *far)
{
	struct hparams of = *hp;
	float gain;

	of.rope_base = hp->streams.squeeze_base;
	rope_frequencies(&of, NULL, far, &gain);
	of = *hp;
	of.yarn.on = false;
	of.rope_scale = 1;
	rope_frequencies(&of, NULL, near, &gain);
}

float
rope_grows(const struct hparams *hp)
{
	const float side = 1 + hp->yarn.log_mul * logf(hp->yarn.factor);

	return hp->yarn.on ? side * side : 1;
}

void
rope_turn_by(const struct net *n, const float *freq, float gain, uint32_t pos,
    float *turn)
{
	const uint32_t pairs = n->hp.rope_dims / 2;

	for (uint32_t i = 0; i < pairs; i++) {
		const double angle = (double)pos * (double)freq[i];

		turn[i] = (float)cos(angle) * gain;
		turn[pairs + i] = (float)sin(angle) * gain;
	}
}

void
rope_turn(const struct net *n, uint32_t pos, float *turn)
{
	rope_turn_by(n, n->rope_freq, n->rope_gain, pos, turn);
}

/* sign: of the sines. */
static void
turn_pairs(const struct net *n, const float *turn, float sign, float *head)
{
	const uint32_t pairs = n->hp.rope_dims / 2;
	const bool next = n->def->rope == ROPE_NEXT;

	for (uint32_t i = 0; i < pairs; i++) {
		float *a = &head[next ? 2 * i : i];
		float *b = next ? a + 1 : a + pairs;
		const float x = *a, y = *b, sine = sign * turn[pairs + i];

		*a = x * turn[i] - y * sine;
		*b = x * sine + y * turn[i];
	}
}

void
rope_apply(const struct net *n, const float *turn, float *head)
{
	turn_pairs(n, turn, 1, head);
}

void
rope_undo(const struct net *n, const float *turn, float *head)
{
	turn_pairs(n, turn, -1, head);
}
