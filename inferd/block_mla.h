/*
 * Attention over rows of low rank (multi-head latent attention; DeepSeek-V2,
 * 2024).  A position keeps one row for all heads: the low-rank values of which
 * each head's keys and values are products, and a key of positions that all
 * heads share.
 *
 * Neither keys nor values of heads are ever computed.  The matrix that would
 * make keys is applied to queries instead, the one that would make values to
 * the sum of rows: both are small and of each row of the batch, not of each
 * position before it.
 */
#ifndef BRIG_INFERD_BLOCK_MLA_H
#define BRIG_INFERD_BLOCK_MLA_H

#include "inferd/block.h"
#include "inferd/kv.h"

/* For a table of an architecture (net.h). */
bool block_mla_kv(const struct hparams *hp, uint32_t i, struct kv_shape *out);
void block_mla_bind(struct binding *b, const struct net *n, struct layer *l);
size_t block_mla_scratch(const struct hparams *hp);

/* What attention says, into r->out. */
void block_mla(struct run *r, uint32_t layer);

#endif
