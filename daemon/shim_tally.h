/*
 * Keeps a loop of allowed executions from filling the log, and from waiting
 * for it: what repeats within a second is counted and told once, and beyond a
 * budget of records executions are counted by program.  Nothing is left out
 * of the counts; only allowed executions come here.  Owned by the judge.
 */
#ifndef BRIG_SHIM_TALLY_H
#define BRIG_SHIM_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/audit_event.h"
#include "base/ev.h"

#define TALLY_MS 1000u      /* repetitions are told after this long */
#define TALLY_KINDS 256u    /* counted at a time; the oldest is told early */
#define TALLY_BURST 16384u  /* records of one job that may come at once */
#define TALLY_PER_SECOND 64 /* and how many it is granted again */

struct tally;

/*
 * fields: the encoded fields of the records that count stands for, nfields of
 * them.  0, or -1 when it cannot be told at present: it is kept.
 */
typedef int tally_fn(
    const struct buf *fields, uint32_t nfields, uint64_t count, void *arg);

struct tally *tally_new(struct ev *ev, tally_fn *fn, void *arg);
void tally_free(struct tally *t); /* what is not told is lost */

/*
 * A record is due with these fields (e: an event with nothing in it that
 * differs from one execution to the next).  True: it repeats one that was
 * told within the last second, and has been counted.
 */
bool tally_repeats(struct tally *t, const struct audit_ev *e);
/* Take one record out of the budget; false: count it by program instead. */
bool tally_budget(struct tally *t);
/* Count, without a record of its own.  -1: no room for it. */
int tally_count(struct tally *t, const struct audit_ev *e);
/* Tell every count now: the job has ended. */
void tally_tell(struct tally *t);

#endif
