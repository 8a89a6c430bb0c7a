/*
 * Exact replay: what a model sampled in a turn with calls is kept by the ids
 * of the calls, which nobody can guess, and stands in the history again as it
 * was: the same tokens, so that their keys and values are still good.  A turn
 * that a client has changed is written anew.
 *
 * Bounded: when it is full, what has not been asked for longest goes, of the
 * agent that keeps most: bytes, or turns if it is those.  Nothing of one
 * agent's space is found for another. The main thread's.
 */
#ifndef BRIG_INFERD_REPLAY_H
#define BRIG_INFERD_REPLAY_H

#include <stddef.h>
#include <stdint.h>

#include "inferd/gen.h"

#define REPLAY_BYTES (64u << 20)
#define REPLAY_TURNS 100000u

struct replay;

struct replay *replay_new(size_t max_bytes, size_t max_turns);
void replay_free(struct replay *r); /* NULL is fine */
/* Forgets all of a space. */
void replay_forget(struct replay *r, uint32_t space);
size_t replay_bytes(const struct replay *r);

/* One turn while it is sampled. */
struct replay_turn;
struct replay_turn *replay_turn_new(struct replay *r, uint32_t space);
void replay_turn_free(struct replay_turn *t); /* NULL is fine */
/* Every event of its completion; at GEN_END it is kept, if it has calls and
 * was not cut short. */
void replay_turn_event(struct replay_turn *t, const struct gen_event *e);

/* What replay_chat() has made. */
struct replay_copy {
	struct chat_message *messages;
	size_t turns; /* that are said as they were sampled */
};

/*
 * Finds the kept turns of a conversation whose calls and words are unchanged
 * in meaning: chat's messages are those in c from here on, if there are any.
 * What they point to stays until the next event of a turn.
 */
void replay_chat(
    struct replay *r, uint32_t space, struct chat *chat, struct replay_copy *c);
void replay_copy_free(struct replay_copy *c); /* safe on a zeroed one */
#define cleanup_replay_copy attr_cleanup(replay_copy_free)

#endif
