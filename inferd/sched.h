/*
 * Whose prompt goes through the net next: deficit round robin over agents.
 * Each turn an agent may send SCHED_QUANTUM rows of prompts; what else it made
 * the net compute is counted too, and still owed by one that went away and
 * comes back.  What somebody waits for goes before work in
 * the background, which in turn is served once in SCHED_AGE slices whatever
 * comes.  No clock: time is counted in slices, or told.  Pure.
 *
 * A job is one completion.  It takes one of the slots when it starts and has
 * it until it ends; an agent without a slot may have one beyond them, so that
 * nobody waits for the completions of another to end.
 */
#ifndef BRIG_INFERD_SCHED_H
#define BRIG_INFERD_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#define SCHED_QUANTUM 128u /* rows */
#define SCHED_AGE 16u      /* slices */
/* How far an agent can get behind by what it made compute. */
#define SCHED_DEBT (4 * SCHED_QUANTUM)
/* By how much one may have drawn longer than another. */
#define SCHED_DRAW_US 20000u
#define SCHED_DRAW_MAX_US 1000000u /* what is beyond is forgotten */

struct sched;
struct sched_flow;

/* The caller's; cleared before sched_add(), which sets it. */
struct sched_job {
	struct sched_job *next;
	struct sched_flow *flow;
	uint64_t number; /* in order of arrival */
	bool interactive;
	bool started; /* has a slot */
	bool hungry;  /* has rows of a prompt to be sent */
	bool blocked;
};

/* slots: jobs started at once, 1 and up; twice as many with those beyond. */
struct sched *sched_new(uint32_t slots);
void sched_free(struct sched *s); /* every job has been removed */

/* A new job, hungry and not started. */
void sched_add(
    struct sched *s, struct sched_job *j, uint32_t agent, bool interactive);
void sched_remove(struct sched *s, struct sched_job *j);

/*
 * The job whose slice of at most SCHED_QUANTUM rows is next; NULL: none may
 * send any.  It is asked again until sched_slice() or sched_block() follows.
 */
struct sched_job *sched_pick(struct sched *s);
/* It takes a slot, or gives it back and is hungry again. */
void sched_start(struct sched *s, struct sched_job *j);
void sched_put_back(struct sched *s, struct sched_job *j);
/* A slice of it has been computed; hungry: there are more rows. */
void sched_slice(
    struct sched *s, struct sched_job *j, uint32_t rows, bool hungry);
/* It was made to compute something else that costs as much as so many rows. */
void sched_charge(struct sched_job *j, uint32_t rows);
/*
 * Drawing its tokens took so long, which all others waited for; a step took so
 * long besides, of which each agent may spend its part on that.  Whoever has
 * spent more, while others have not, rests: nothing of it is to be drawn.
 */
void sched_drew(struct sched_job *j, uint64_t us);
void sched_passed(struct sched *s, uint64_t us);
bool sched_rests(const struct sched *s, const struct sched_job *j);
/* It cannot start; not picked until sched_unblock(), which is for all. */
void sched_block(struct sched_job *j);
void sched_unblock(struct sched *s);

uint32_t sched_started(const struct sched *s);
/* Agents that have a prompt to be sent. */
uint32_t sched_hungry_agents(const struct sched *s);
/* Place of a job that has not started, 1 and up; 0: it has. */
uint32_t sched_position(const struct sched *s, const struct sched_job *j);

#endif
