/*
 * The next token from logits.  A draw is a function of the parameters, the
 * logits and the number of the draw alone: a completion can be drawn again.
 * Pure, but for the scratch memory of a sampler.
 */
#ifndef BRIG_INFERD_SAMPLE_H
#define BRIG_INFERD_SAMPLE_H

#include <stdint.h>

struct sample_params {
	float temperature; /* 0 or less: the likeliest token */
	float top_p;       /* the likeliest that sum to this; 1: all */
	float min_p;       /* at least this part of the likeliest; 0: all */
	uint32_t top_k;    /* so many of the likeliest; 0: all */
	uint64_t seed;
};

struct sampler;

struct sampler *sampler_new(uint32_t vocab);
void sampler_free(struct sampler *s); /* NULL is fine */

/*
 * Draw number `draw` (0 for the first token of a completion).  allowed: bit i
 * of byte i / 8 for token i, NULL for all; one at least is set.  Of equal
 * logits the lower token comes first.  A logit that is not a number is never
 * drawn; where none is one, token 0 is.
 */
uint32_t sampler_draw(struct sampler *s, const struct sample_params *p,
    const float *logits, const uint8_t *allowed, uint64_t draw);

#endif
