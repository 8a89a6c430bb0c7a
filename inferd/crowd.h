/*
 * A thread that shares its processor with somebody else's.  The scheduler puts
 * it aside in the middle of a piece, and all others wait for that piece until
 * it is its turn again: milliseconds, for a piece of microseconds.  A thread
 * that has seen this happen becomes polite: it leaves the processor by itself,
 * between two pieces, a little before the scheduler would take it away, and
 * comes back when the neighbour has had its turn.  The others go on without it
 * in the meantime.  Now and then it takes a long turn; when nobody puts it
 * aside in that, the neighbour is gone and it is polite no more.
 *
 * The neighbour may also have a processor for itself, and the thread be on that
 * of the one which gives out the jobs: where services have equal shares, the
 * scheduler puts all threads of one side by side (CPUWeight= in
 * systemd.resource-control(5)).  They wait for each other all the time then,
 * so to be there for long is the same as to be put aside.
 *
 * Linux's fair scheduler gives a turn of 0.7 ms times 1 + log2(processors, at
 * most 8) (sched(7), base_slice_ns) and looks at each clock tick whether it is
 * over, so a polite turn is shorter than that and ends before a tick.
 */
#ifndef BRIG_INFERD_CROWD_H
#define BRIG_INFERD_CROWD_H

#include <stdbool.h>
#include <stdint.h>

/* Put aside so often, each within CROWD_NEAR_NS of the last: polite. */
#define CROWD_HITS 3u
#define CROWD_NEAR_NS INT64_C(30000000)
/* So long beside the thread that gives out the jobs is like being put aside;
 * threads that have just been woken may be for some milliseconds. */
#define CROWD_BESIDE_NS INT64_C(10000000)
/* A polite turn, what is left to others after it, a long turn. */
#define CROWD_TURN_NS INT64_C(1200000)
#define CROWD_ASIDE_NS INT64_C(1400000)
#define CROWD_LONG_NS INT64_C(50000000)
/* After so many turns there is a long one: at first, then after twice as many
 * each time, at most; many neighbours are gone at once. */
#define CROWD_LONG_FIRST 16u
#define CROWD_LONG_MOST 256u
/* Who was polite so short a time ago is so again at the first hit. */
#define CROWD_RECENT_NS INT64_C(1000000000)
/* A turn ends so long before a tick, and is not begun for less than this. */
#define CROWD_TICK_NS INT64_C(100000)
#define CROWD_LEAST_NS INT64_C(200000)

/* Of one thread and for it alone; all zero at first.  Times: CLOCK_MONOTONIC.
 */
struct crowd {
	bool polite;
	bool on_trial;    /* this turn is a long one */
	unsigned turns;   /* since it is polite, or since the last long one */
	unsigned every;   /* after so many there is a long one */
	unsigned hits;    /* one soon after the other */
	int64_t hit_at;   /* the last one */
	int64_t eased_at; /* when it ceased to be polite; 0: never was */
	int64_t until;    /* this turn's end */
	int64_t beside;   /* since when; 0: it is not */
	unsigned stalls;  /* of the pool, at the last look */
	long switches;    /* involuntary ones, at the last look */
};

/* Whether a polite thread's turn is over; asked between two pieces. */
bool crowd_turn_is_over(const struct crowd *c);

/*
 * A thread has done what it could of a job.  stalls: how often the pool has had
 * to wait long for a piece; left: it went because its turn was over; cpu: the
 * processor of the thread that gives out the jobs.  True: it steps aside now.
 */
bool crowd_steps_aside(struct crowd *c, unsigned stalls, bool left, int cpu);

/*
 * Sleep, and begin a turn; not on processor `cpu`, that of the thread which
 * everything waits for, if there is another.  rested: it has been away for so
 * long that the neighbour may be gone, which a long turn shows.
 */
void crowd_step_aside(struct crowd *c, int cpu, bool rested);

/* ---- the parts of it, for its tests ------------------------------------- */

/* As crowd_steps_aside(); hit: the pool waited and the thread was put aside. */
bool crowd_judge(struct crowd *c, int64_t now, bool hit, bool left);

/* Whether it has been beside the thread that gives out the jobs for long, since
 * it was or since this was last so. */
bool crowd_is_beside(struct crowd *c, int64_t now, bool same);

/*
 * Begin a turn.  tick: when the clock ticks next.  Returns 0, or for how many
 * nanoseconds to sleep on before it is worth while; the turn is counted from
 * then.
 */
int64_t crowd_begin(struct crowd *c, int64_t now, int64_t tick, bool rested);

#endif
