/*
 * Attention over a window of positions and, of all that is before, rows of
 * several positions (block_squeeze.h): all of those of many positions, and of
 * those of a few the ones that small heads choose.  A row is key and value of
 * all heads.
 *
 * Layer i has the tracks i (a row for each position), layers + i (squeezed
 * rows) and 2 layers + i (rows to choose them by).
 */
#ifndef BRIG_INFERD_BLOCK_SPARSE_H
#define BRIG_INFERD_BLOCK_SPARSE_H

#include "inferd/block.h"
#include "inferd/kv.h"

/* For a table of an architecture (net.h). */
bool sparse_kv(const struct hparams *hp, uint32_t i, struct kv_shape *out);
void sparse_bind(struct binding *b, const struct net *n, struct layer *l);
/* Floats of run.scratch for each row, behind those of block_streams.h. */
size_t sparse_scratch(const struct hparams *hp);

/* What attention says, into r->out. */
void block_sparse(struct run *r, uint32_t layer);

/* Of n scores the `most` best, in order of their numbers, into out; of equals
 * those that come first.  Fed one by one: */
struct best {
	struct {
		float score;
		uint32_t number;
	} heap[INDEX_TOP_MAX]; /* the worst is first */
	uint32_t n, most;
};
void best_add(struct best *b, float score, uint32_t number);
void best_end(const struct best *b, uint32_t *out);

#endif
