/*
 * Which experts a row goes to, given what the router says of each.  Pure.
 */
#ifndef BRIG_INFERD_ROUTER_H
#define BRIG_INFERD_ROUTER_H

#include <stdint.h>

#include "inferd/model_table.h"

/*
 * The hp->experts_used best by `score`, best first, and how much each of them
 * counts; the first of equals wins.  bias, if not NULL, is added for the choice
 * alone.  With groups, all come out of those hp->groups_used whose two best are
 * the best together, or whose best is the best where hp->gate is a softmax.
 * Scores are overwritten.
 */
void router_choose(const struct hparams *hp, const float *bias, float *score,
    uint32_t *chosen, float *weight);

/* The same where the choice is made: how much each of them counts. */
void router_given(const struct hparams *hp, const int32_t *given, float *score,
    uint32_t *chosen, float *weight);

/* x = 1 / (1 + exp(-x)) */
void router_sigmoid(float *x, size_t n);

#endif
