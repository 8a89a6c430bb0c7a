/*
 * What the engine's thread does, step by step: every completion that decodes
 * has its next token computed, and one prompt a slice, all in one batch.
 */
#ifndef BRIG_INFERD_WORKER_H
#define BRIG_INFERD_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "inferd/engine_post.h"
#include "inferd/net.h"
#include "inferd/tok.h"

struct worker;

/* All are borrowed; o->context and o->batch_max are not 0. */
struct worker *worker_new(const struct net *n, const struct tok *t,
    const struct engine_opts *o, struct post *p);
/* Keep what is remembered on disk, too; before the first step.  -1 with err. */
int worker_use_disk(struct worker *w, const struct engine_opts *o,
    const char *model_id, struct error *err);
/*
 * Ask n, too, what comes next; it has the same vocabulary and is borrowed.
 * budget: bytes of its keys and values, of this type if its heads allow it;
 * weight: what it reads for a token, as a part of what the other net reads.
 */
void worker_use_guesser(struct worker *w, const struct net *n,
    enum tensor_type type, uint64_t budget, double weight);
/* Ends what is left as cancelled. */
void worker_free(struct worker *w);

/* Nothing comes of this space any more: free what is kept in memory. */
void worker_gone(struct worker *w, uint32_t space);
/* Completions that have come, linked by posted. */
void worker_take(struct worker *w, struct gen *g);
/*
 * One batch.  now_us: CLOCK_MONOTONIC.  False: there was nothing to compute.
 */
bool worker_step(struct worker *w, uint64_t now_us);
/* Do what can wait, when there is nothing to compute; is there more of it? */
bool worker_idle(struct worker *w);
/* Something waits, though nothing can be computed. */
bool worker_waits(const struct worker *w);

/* A row of a step costs so much, as a part of what a step costs besides; it is
 * not measured.  What is guessed is the same every time, then. */
void worker_assume_cost(struct worker *w, double row);

uint64_t worker_now_us(void);

#endif
