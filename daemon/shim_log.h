/*
 * The log of a job's output and, beside it, when it came (daemon/timing.h).
 * The bytes are kept as the job wrote them, up to a limit; what comes after
 * it is counted and not kept.  Run by the shim.
 */
#ifndef BRIG_SHIM_LOG_H
#define BRIG_SHIM_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct outlog {
	int fd;         /* append; -1: no log */
	int timing_fd;  /* append; -1: no times */
	uint64_t limit; /* bytes kept; 0: all */
	uint64_t kept, dropped;
	bool full;    /* the limit was reached, or the disk's end */
	char why[64]; /* "" until full */

	uint64_t last_ms;         /* of the last line of the times */
	uint64_t chunk_ms, chunk; /* output not yet in the times */
	uint64_t timed;           /* bytes of times written */
};

/* Takes both descriptors.  rows 0: the job has no terminal. */
void outlog_init(struct outlog *l, int fd, int timing_fd, uint64_t limit,
    uint16_t rows, uint16_t cols);
void outlog_put(struct outlog *l, const void *p, size_t n);
void outlog_size(struct outlog *l, uint16_t rows, uint16_t cols);
/* Write what is not written yet, and close. */
void outlog_end(struct outlog *l);

#endif
