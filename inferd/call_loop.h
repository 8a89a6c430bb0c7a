/*
 * Calls that are made over and over, for whoever ends loops: how often one is
 * alike among the last ones, and, while it is being written, whether it may
 * still become the one that is too many.  Alike are calls with one name and
 * the same bytes of arguments, but for space between values.
 *
 * What is counted begins anew with every call that is new among the last ones,
 * or has come back with another result than before: who changes a file and
 * runs its tests each time, or waits for something, goes round in no circle.
 *
 * Nothing is kept of a call but hashes: of its beginnings of 8, 16, 32 and so
 * on bytes, so that a call that differs early is known to early.  Pure.
 */
#ifndef BRIG_INFERD_CALL_LOOP_H
#define BRIG_INFERD_CALL_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/template.h"

#define CALL_LOOP_LAST 32u  /* that are looked at; so many alike at most */
#define CALL_LOOP_MARKS 16u /* 8 bytes to 256 KiB; longer ones at their end */

struct call_seen {
	uint64_t name, hash;
	uint64_t n;          /* bytes of arguments */
	uint64_t id, result; /* hashes, too; 0: not known */
	uint64_t mark[CALL_LOOP_MARKS];
};

/* Zeroed at first. */
struct call_loop {
	struct call_seen last[CALL_LOOP_LAST];
	unsigned int n;
	/* The call that is being written. */
	struct call_seen now;
	uint32_t like; /* which of the last ones it may be like */
	unsigned int max;
	bool in_string, escaped;
};

/*
 * A call begins, gets more arguments.  True: it may be the max-th one alike;
 * once it cannot it never can.  max 0: there is no limit.
 */
bool call_loop_begin(
    struct call_loop *l, const char *name, size_t n, unsigned int max);
bool call_loop_args(struct call_loop *l, const char *p, size_t n);
/* It is whole: how often it has been made, itself included. */
unsigned int call_loop_end(struct call_loop *l);

/* One of the history, all at once. */
unsigned int call_loop_add(struct call_loop *l, const struct chat_call *call);
/* What came of the last call with this id. */
void call_loop_result(
    struct call_loop *l, struct chat_text id, struct chat_text text);

#endif
