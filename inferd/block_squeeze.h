/*
 * Rows of several positions: of each value a mean over the positions, which is
 * weighed by scores of its own.  Such a row of a few positions overlaps with
 * the one before: each position then has two values and two scores, one for
 * the row that it is in and one for the next.
 *
 * The state of a sequence: values and scores of the last positions of which
 * there are rows to come, [positions][2][width]; position p at p modulo their
 * number.
 */
#ifndef BRIG_INFERD_BLOCK_SQUEEZE_H
#define BRIG_INFERD_BLOCK_SQUEEZE_H

#include "inferd/block.h"
#include "inferd/kv.h"

struct squeeze {
	struct run *r;
	const struct squeeze_weights *w;
	uint32_t track;     /* whose rows are made, and whose state it is */
	uint32_t every;     /* positions of a row: SQUEEZE_FEW or _MANY */
	size_t width;       /* values of a row */
	const float *value; /* [rows][as many for each position] */
	const float *score;
	float *made; /* [rows][width]: at the last position of each */
};

/* Values of one position. */
size_t squeeze_values(uint32_t every, size_t width);
/* What a track of such rows keeps. */
struct kv_shape squeeze_shape(uint32_t every, uint32_t width);
/* place: as many floats as PART_ape has, for the layer to free. */
void squeeze_bind(struct binding *b, const char *part, uint32_t every,
    size_t width, size_t embd, struct squeeze_weights *out);

/* The rows whose last positions are among the run's, into their pages. */
void block_squeeze(struct squeeze *x);

#endif
