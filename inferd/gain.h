/*
 * Whether it pays that threads take part which share their processors
 * (inferd/crowd.h).  They are put aside in the middle of a piece at times, and
 * where one thread already reads most of what the memory gives, that costs more
 * than they do.  So what is done in a time is compared, with them and without
 * them; if it is less with them they stay away for a while, the longer the more
 * often this is so.  Pure; of the thread that gives out jobs.
 */
#ifndef BRIG_INFERD_GAIN_H
#define BRIG_INFERD_GAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So much time of each kind is compared. */
#define GAIN_WINDOW_NS INT64_C(40000000)
/* How long they stay away: at first, and at most. */
#define GAIN_REST_NS INT64_C(500000000)
#define GAIN_REST_MAX_NS INT64_C(4000000000)
/* It pays from one more in so many pieces on: less is not worth what the
 * neighbour loses by it. */
#define GAIN_LEAST 8u

/* All zero at first. */
struct gain {
	struct {
		uint64_t pieces;
		int64_t ns;
	} with, without;
	int64_t rest; /* the last one; 0: it paid */
};

/*
 * A job of so many pieces has taken so long, and was cut for all threads or
 * without some.  Returns for how many nanoseconds those are to stay away; 0:
 * not at all, or it is too early to tell.
 */
int64_t gain_job(struct gain *g, bool all, size_t pieces, int64_t ns);

#endif
