/*
 * Messages between brig's processes: a fixed 16-byte header and a body of at
 * most MSG_BODY_MAX bytes over an AF_UNIX stream socketpair, with at most one
 * descriptor.  Message types are in base/proto.h.
 *
 * Each end has one table per peer.  A message that is not in the table, not
 * permitted at the moment, without (or with an unwanted) descriptor, or whose
 * handler returns -1 is a fault of the peer process: the channel's on_fault is
 * called and the channel is dead.  By default a fault on the channel to the
 * parent is fatal(), on any other the channel closes and the parent is told
 * to end the offender (see base/peer.h).
 *
 * Output is queued and written at the end of the loop round, in order.
 *
 * What is secret leaves no copy behind: a channel with a rule for such messages
 * (MSG_WIPE) overwrites the memory that its input gives up, and one that has
 * been given a body of buf_init_wipe() that of its output.
 */
#ifndef BRIG_MSG_H
#define BRIG_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ev.h"

#define MSG_HEADER_SIZE 16u
#define MSG_BODY_MAX 65536u
/* Above this many queued bytes a sender should stop producing. */
#define MSG_QUEUE_HIGH (256u * 1024)
/* Above this many a peer that does not read is a fault. */
#define MSG_QUEUE_MAX (64u * 1024 * 1024)

struct msg {
	uint16_t type;
	uint32_t job;    /* job number, 0 if not about one job */
	uint32_t serial; /* request id chosen by the asker, echoed back */
	struct cur body; /* handler reads all of it, then cur_end() */
	int fd;          /* -1, or owned by the handler if it sets -1 */
};

struct chan;

/* 0, or -1: the message was malformed (a fault of the peer). */
typedef int msg_handler(struct chan *c, struct msg *m, void *ctx);

#define MSG_ALLOWED 1u /* may come now */
#define MSG_ONCE 2u    /* at most once on this channel */
#define MSG_FD 4u      /* must carry a descriptor (else must not) */
#define MSG_WIPE 8u    /* body is overwritten once handled: it is a secret */

struct msg_rule {
	uint16_t type;
	unsigned int flags;
	msg_handler *fn;
};

enum chan_end {
	CHAN_EOF,   /* peer closed or died */
	CHAN_FAULT, /* peer broke the protocol; why says how */
};

/* The channel is freed by the owner (chan_free), also from inside this. */
typedef void chan_end_fn(
    struct chan *c, enum chan_end how, const char *why, void *ctx);

/* Takes ownership of fd.  rules must outlive the channel. */
struct chan *chan_new(struct ev *ev, int fd, const char *peer,
    const struct msg_rule *rules, size_t nrules, chan_end_fn *on_end,
    void *ctx);
/* Whoever owned the channel hands it over: handlers get ctx from now on. */
void chan_set_ctx(struct chan *c, void *ctx);
void chan_free(struct chan *c); /* closes; NULL is fine */
const char *chan_peer(const struct chan *c);
bool chan_alive(const struct chan *c);

/* Permit (or stop permitting) a message type from now on. */
void chan_permit(struct chan *c, uint16_t type, bool allowed);

/*
 * Queue a message.  body may be NULL for an empty one; its bytes are copied,
 * body stays the caller's; with buf_init_wipe() the copy is wiped once it is
 * written.  A failed buf or one over MSG_BODY_MAX is fatal()
 * (our bug).  fd >= 0 is consumed (closed after sending).  Sending on a dead
 * channel is silently dropped: the on_end handler already knows.
 */
void chan_send(struct chan *c, uint16_t type, uint32_t job, uint32_t serial,
    const struct buf *body, int fd);
/* Same with plain bytes. */
void chan_send_bytes(struct chan *c, uint16_t type, uint32_t job,
    uint32_t serial, const void *p, size_t n);

/*
 * Same with bytes that lie in two places.  Large ones are written at once, from
 * where they are, as far as nothing is queued before them.
 */
void chan_send_two(struct chan *c, uint16_t type, uint32_t job, uint32_t serial,
    const void *p, size_t n, const void *q, size_t m);

size_t chan_queued(const struct chan *c); /* bytes not yet written */
/* Called when the queue falls below MSG_QUEUE_HIGH after having been above. */
void chan_on_drain(struct chan *c, ev_fn *fn, void *arg);
/*
 * The peer process is dead: handle what it said before it died, up to the
 * channel's end.
 */
void chan_last_words(struct chan *c);
/* Stop / resume reading from the peer (back-pressure). */
void chan_pause(struct chan *c, bool paused);
/* Write what is queued now, blocking up to ms; 0 when all went out. */
int chan_flush(struct chan *c, int ms);
/*
 * Blocking receive of the next message of a given type for start-up code
 * (other types go through the table).  0, or -1 on end of channel / time-out.
 */
int chan_wait(struct chan *c, uint16_t type, int ms);

#endif
