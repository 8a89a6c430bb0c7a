/*
 * The output of a job in the order and at the times at which it came, from
 * its two logs (daemon/timing.h).  Used by `brig replay`.
 */
#ifndef BRIG_REPLAY_H
#define BRIG_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "daemon/timing.h"

#define REPLAY_CHUNK 65536u

enum replay_kind {
	REPLAY_END,
	REPLAY_OUTPUT, /* bytes */
	REPLAY_SIZE,   /* rows, cols */
};

struct replay_event {
	enum replay_kind kind;
	uint64_t us; /* since the start */
	const uint8_t *bytes;
	size_t n;
	uint16_t rows, cols;
};

struct replay {
	int log_fd, timing_fd; /* the caller's */
	double speed;          /* times are divided by it */
	uint64_t idle_us;      /* no longer pause than this; 0: as it was */

	uint64_t log_at, timing_at;
	struct buf lines;    /* of the times, read ahead */
	bool no_times;       /* their end is reached, or they are damaged */
	uint64_t left;       /* bytes of the current entry */
	double us;           /* the current time */
	uint16_t rows, cols; /* that were told; 0: not yet */
	uint8_t *chunk;
};

void replay_init(struct replay *r, int log_fd, int timing_fd, double speed,
    uint64_t idle_us);
void replay_free(struct replay *r);
/*
 * The next event; its bytes are valid until the next call.  What the log has
 * beyond its times comes at the end, at once.  0, or -1 with err.
 */
int replay_next(struct replay *r, struct replay_event *e, struct error *err);

/*
 * Valid UTF-8 out of a stream of bytes: appends to out what is whole of carry
 * and p, with U+FFFD for what is none, and keeps an unfinished end in carry.
 */
void replay_utf8(
    struct buf *carry, const uint8_t *p, size_t n, bool end, struct buf *out);

#endif
