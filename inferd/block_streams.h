/*
 * Several residual streams instead of one (manifold-constrained
 * hyper-connections; Xie et al., 2025).  What a block begins with is a sum of
 * the streams; what it says goes into each of them, and they are mixed with
 * each other by a matrix of which rows and columns sum to one.  The weights of
 * all three are made of the streams, row by row.
 */
#ifndef BRIG_INFERD_BLOCK_STREAMS_H
#define BRIG_INFERD_BLOCK_STREAMS_H

#include "inferd/block.h"

/* Floats of run.scratch for each row; they come first. */
size_t streams_scratch(const struct hparams *hp);

/*
 * A layer: attention, which writes to r->out, and experts.  The first layer
 * begins with the token in each stream, the last one leaves in r->x what the
 * head is to see.
 */
void streams_layer(
    struct run *r, uint32_t layer, void (*attention)(struct run *, uint32_t));

/* The weights of one row, whose products with fn are in x: where n streams
 * are, x is [n] shares of streams in what a block begins with, [n] of what it
 * says in each stream, [n][n] of each stream (first) in each. */
void streams_weights(
    const struct streams_shape *s, const struct mix_weights *w, float *x);

#endif
