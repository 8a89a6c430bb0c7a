/*
 * The last RING_MAX bytes that a job has printed, for those who come to watch
 * it.  Bytes are named by their offset in all of the output, so a reader keeps
 * a number and notices when what it wanted is gone.  Run by the shim; memory
 * is taken as output comes.
 */
#ifndef BRIG_SHIM_RING_H
#define BRIG_SHIM_RING_H

#include <stddef.h>
#include <stdint.h>

#define RING_MAX (1024u * 1024)
/*
 * Changes between the job's streams that are remembered: where they are more,
 * fewer bytes are.
 */
#define RING_RUNS_MAX 8192u

/* From here on the bytes are of this kind. */
struct ring_run {
	uint64_t at;
	uint8_t type;
};

struct ring {
	uint8_t *data; /* byte n is at n modulo cap */
	size_t cap;
	uint64_t tail, head; /* the oldest byte kept, the next to come */
	struct ring_run *runs;
	size_t runs_cap; /* run n is at n modulo runs_cap */
	uint64_t runs_tail, runs_head;
};

/* A zeroed struct ring is an empty one. */
void ring_free(struct ring *r);
void ring_put(struct ring *r, uint8_t type, const void *p, size_t n);
/*
 * Copy bytes of one kind, at most max of them, from offset at, which must be
 * between tail and head.  Returns how many; 0 only at the head.
 */
size_t ring_get(
    const struct ring *r, uint64_t at, uint8_t *type, void *p, size_t max);

#endif
