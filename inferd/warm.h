/*
 * Weights of a mapped file come into memory when they are first looked at, a
 * few pages at a time, and from the disk if nobody has read the file of late:
 * the first requests would pay for it in layers that take a second.  This
 * thread touches all weights in order while the engine already answers.
 */
#ifndef BRIG_INFERD_WARM_H
#define BRIG_INFERD_WARM_H

#include "inferd/model_table.h"

struct warm;

/*
 * t: of a model whose tensors have data; it stays as long as this.  NULL, which
 * the others take, if no thread could be had, or if the weights take more than
 * WARM_OF_MEMORY of 100 parts of the machine's memory: what was read first
 * would be gone by the end.
 */
#define WARM_OF_MEMORY 75
struct warm *warm_start(const struct model_table *t);

/* Until all are in memory. */
void warm_wait(struct warm *w);

/* Leaves off where it is, and frees. */
void warm_free(struct warm *w);

#endif
