/*
 * What agents had used of their budgets when the table of agents forgot them:
 * a few words each, so that many more are told apart than are known at once.
 * Pure; the main thread's.
 */
#ifndef BRIG_INFERD_LEDGER_H
#define BRIG_INFERD_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger;

struct ledger_use {
	uint64_t tokens, cpu_us;
	uint64_t window_ms; /* when its window began */
	uint64_t over_ms;   /* when it is to be forgotten; UINT64_MAX: never */
};

/* max: names at most. */
struct ledger *ledger_new(size_t max);
void ledger_free(struct ledger *l); /* NULL is fine */
/* name is not there yet.  False: no room, what is over at now_ms left out. */
bool ledger_put(struct ledger *l, const char *name,
    const struct ledger_use *use, uint64_t now_ms);
/* Takes it out: true, with *use, if it was there. */
bool ledger_take(struct ledger *l, const char *name, struct ledger_use *use);
size_t ledger_count(const struct ledger *l);

#endif
