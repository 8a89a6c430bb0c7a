/*
 * Weights of a mapped file come into memory when they are first looked at, a
 * few pages at a time, and from the disk if nobody has read the file of late:
 * the first requests would pay for it in layers that take a second.  This
 * thread touches all weights in order while the engine already answers.
 *
 * A file that has been written or read in small portions is in the kernel's
 * cache in small pages, whose addresses take time to look up: one thread reads
 * a fifth less of it.  Where the file system has large
 * pages (ext4 and XFS of late), what is in small ones is dropped from the cache
 * and read again, some MiB at a time.
 */
#ifndef BRIG_INFERD_WARM_H
#define BRIG_INFERD_WARM_H

#include "inferd/model_load.h"

struct warm;

/*
 * t: of a model whose tensors have data; maps: of its files, [t->nfiles].  The
 * table and what is mapped stay as long as this.  NULL, which the others take,
 * if no thread could be had, or if the weights take more than WARM_OF_MEMORY of
 * 100 parts of the machine's memory: what was read first would be gone by the
 * end.
 */
#define WARM_OF_MEMORY 75
struct warm *warm_start(
    const struct model_table *t, const struct model_map *maps);
/* The same for a model that is open. */
struct warm *warm_model(const struct model *m);

/* Until all are in memory. */
void warm_wait(struct warm *w);

/* Leaves off where it is, and frees. */
void warm_free(struct warm *w);

#endif
