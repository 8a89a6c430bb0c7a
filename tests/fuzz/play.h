/*
 * Plays the peers of one process for a fuzz harness: real channels, raw
 * messages.  The input is a list of steps, each
 *
 *	u8 from		0: the parent, 1..n: the n-th peer_def, others: left
 *			to the harness; 0x80 set: a descriptor comes along
 *	u8 type, u8 job, u8 serial
 *	u16 length (little endian), body
 *	if from & 0x80: u16 length, contents of a sealed memfd; one byte
 *	alone is /dev/null, a socket, or a directory
 *
 * What the parent says goes to the handlers directly, since a mistake of the
 * parent may be fatal; a peer that breaks the protocol is cut off and comes
 * back as a new one.
 */
#ifndef BRIG_FUZZ_PLAY_H
#define BRIG_FUZZ_PLAY_H

#include "base/peer.h"

#define PLAY_FD 0x80u
#define PLAY_PEERS_MAX 8u

struct play_step {
	uint8_t from;
	uint16_t type;
	uint32_t job, serial;
	const uint8_t *body;
	size_t n;
	int fd; /* -1: none; owned by whoever takes the step */
};

struct play {
	struct ev *ev;
	struct peers *peers;
	struct peer parent; /* ctx of the parent's handlers */
	const struct msg_rule *rules;
	size_t nrules;
	uint64_t spent; /* rules of the parent that may come once */
	const struct peer_def *defs;
	size_t ndefs;
	uint32_t job; /* of the peers that belong to one */
	int parent_fd;
	int ends[PLAY_PEERS_MAX];
	size_t answered; /* bytes that the process has sent */
	/* Is told each message that the process sends; NULL: nobody is. */
	void (*hears)(uint16_t type, struct cur *body);
	struct buf heard[PLAY_PEERS_MAX]; /* not yet whole */
};

/* Steps so far that broke the protocol; tests/fuzz/feed.c looks at it. */
extern unsigned int play_faults;

/* The next step; false at the end of the input. */
bool play_next(const uint8_t **data, size_t *size, struct play_step *st);
/* Write st as a message to the far end of a channel. */
void play_write(int end, const struct play_step *st);
/* Read and drop what is there; false once the other side has closed. */
bool play_drain(int end, size_t *bytes);

/* Makes the peers of owner.  job 0: all peers are singletons. */
void play_start(struct play *p, struct ev *ev, const struct msg_rule *rules,
    size_t nrules, const struct peer_def *defs, size_t ndefs, uint32_t job,
    void *owner);
/* Do a step; false: it is not for the parent or a peer.  Takes st->fd. */
bool play_do(struct play *p, struct play_step *st);
/* Peers go; the ev stays. */
void play_end(struct play *p);

/* For hears: aborts on what the peer in the proxy would call a fault. */
void play_wire_hears(uint16_t type, struct cur *body);

#endif
