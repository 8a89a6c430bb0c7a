/*
 * Rows of tokens through a net.  A row is one token at one position of one
 * sequence; rows of any sequences go through together.  What comes out for a
 * row depends on its sequence alone, to the last bit: not on the rows beside
 * it, nor on the number of threads.
 *
 * One thread calls; the pool's threads help.
 */
#ifndef BRIG_INFERD_RUN_H
#define BRIG_INFERD_RUN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/kv.h"
#include "inferd/net.h"
#include "inferd/pool.h"

struct run;

struct row {
	struct kv_seq *seq; /* with room for pos */
	uint32_t pos;
	uint32_t token; /* below the vocabulary's size */
	bool want;      /* its logits */
};

/* All three are borrowed.  max: rows of one call at most. */
struct run *run_new(
    const struct net *n, struct pool *pool, enum tensor_type type, size_t max);
void run_free(struct run *r); /* NULL is fine */

/*
 * The rows of a sequence come in order of their positions, one right behind the
 * other, and all positions before have been here; the sequence's state is that
 * of the position of its first row.  logits: [rows that want them][vocab], in
 * their order; NULL if none does.
 */
void run_rows(struct run *r, const struct row *rows, size_t n, float *logits);
/*
 * The same, but once *stop is not 0 (NULL: never) it goes on from the next
 * layer with the first `keep` rows alone.  Returns how many rows have been
 * computed, n or keep; the others are as if they had not been here, but for the
 * state of their sequences, which is of no position any more.
 */
size_t run_rows_until(struct run *r, const struct row *rows, size_t n,
    size_t keep, float *logits, const atomic_int *stop);

#endif
