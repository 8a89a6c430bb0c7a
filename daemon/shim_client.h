/*
 * One client that is attached to a job: its socket, what it has not read yet
 * and how far into the job's output it is.  Run by the shim, used by the
 * relay.  The client is not trusted: it may send anything, or nothing, or not
 * read.
 *
 * The client that started the job gets every byte: what it leaves unread is
 * queued, and the relay stops reading the job when that is much.  All others
 * read from the ring at their own pace, and who falls behind it is sent away.
 */
#ifndef BRIG_SHIM_CLIENT_H
#define BRIG_SHIM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attach.h"
#include "base/ev.h"
#include "daemon/shim_ring.h"

struct sclient {
	struct sclient *next; /* in the relay's list */
	void *owner;          /* the relay */
	int fd;               /* -1: gone */
	struct ev_io *io;
	struct ev_timer *patience; /* for the last bytes to be read */
	struct buf rx, tx;
	uid_t uid;
	bool first;     /* started the job */
	bool read_only; /* may not type */
	uint64_t sized; /* told its size as the Nth of all; 0: has not */
	uint16_t rows, cols;
	bool leaving;  /* nothing is read or added: only flushed */
	uint64_t at;   /* offset of the next byte for it */
	uint64_t live; /* where the replay ends */
	bool live_told;
};

/* Takes fd; wake is called with owner when there is something to do. */
struct sclient *sclient_new(
    struct ev *ev, int fd, ev_io_fn *on_io, ev_fn *on_late, void *owner);
void sclient_close(struct sclient *c);
void sclient_free(struct sclient *c);

/* Each returns NULL, or why the client is lost. */
const char *sclient_read(struct sclient *c);
const char *sclient_flush(struct sclient *c);

/* Queue a frame; left out when a client that lags has no room for it. */
void sclient_put(
    struct sclient *c, enum attach_type type, const void *p, size_t n);
/* Queue what there is for it in the ring; sends it away when it is late. */
void sclient_pump(struct sclient *c, const struct ring *ring);
/* Everything of the ring is queued. */
bool sclient_at_end(const struct sclient *c, const struct ring *ring);
/* The last frame: after it only the queue is flushed, for so long. */
void sclient_bye(struct sclient *c, const char *why);

#endif
