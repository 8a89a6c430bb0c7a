/*
 * A token bucket: how often something may happen.  All bytes 0 is a full one.
 */
#ifndef BRIG_RATE_H
#define BRIG_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
	uint64_t since; /* ms */
	unsigned int tokens;
	unsigned int dropped; /* in vain; the owner sets it back */
};

/* Take a token of at most burst, one of which comes back each ms. */
bool rate_take(struct rate *r, unsigned int burst, uint64_t ms);

#endif
