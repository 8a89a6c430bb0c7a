#include "inferd/sched.h"

#include <stdlib.h>

#include "base/str.h"

enum {
	FRONT, /* what somebody waits for */
	BACK,
	CLASSES
};

/* The jobs of one agent; it is there while there are any, or it owes time. */
struct sched_flow {
	struct sched_flow *next;
	uint32_t agent;
	uint32_t started;
	int32_t deficit;
	uint64_t drawn_us;               /* beyond its part */
	bool visited;                    /* in this turn */
	uint64_t served;                 /* the slice when BACK last got one */
	struct sched_job *jobs[CLASSES]; /* in order of arrival */
};

struct sched {
	uint32_t slots, started;
	uint64_t slices, arrivals;
	struct sched_flow *flows; /* in order of arrival */
	struct sched_flow *turn;  /* whose turn it is; NULL: the first one's */
};

struct sched *
sched_new(uint32_t slots)
{
	struct sched *s = xcalloc(1, sizeof(*s));

	s->slots = slots;
	return s;
}

void
sched_free(struct sched *s)
{
	struct sched_flow *f;

	if (s == NULL)
		return;
	while ((f = s->flows) != NULL) {
		s->flows = f->next;
		free(f);
	}
	free(s);
}

static struct sched_flow *
flow_of(struct sched *s, uint32_t agent)
{
	struct sched_flow **at = &s->flows, *f;

	while (*at != NULL && (*at)->agent != agent)
		at = &(*at)->next;
	if (*at != NULL)
		return *at;
	f = xcalloc(1, sizeof(*f));
	f->agent = agent;
	f->served = s->slices;
	*at = f;
	return f;
}

void
sched_add(
    struct sched *s, struct sched_job *j, uint32_t agent, bool interactive)
{
	struct sched_flow *f = flow_of(s, agent);
	struct sched_job **at = &f->jobs[interactive ? FRONT : BACK];

	if (!interactive && *at == NULL)
		f->served = s->slices;
	*j = (struct sched_job){ .flow = f,
		.number = ++s->arrivals,
		.interactive = interactive,
		.hungry = true };
	while (*at != NULL)
		at = &(*at)->next;
	*at = j;
}

static void
free_slot(struct sched *s, struct sched_job *j)
{
	if (!j->started)
		return;
	j->started = false;
	j->flow->started--;
	s->started--;
}

static void
pass_turn(struct sched *s)
{
	s->turn->visited = false;
	s->turn = s->turn->next;
}

static bool
has_jobs(const struct sched_flow *f)
{
	return f->jobs[FRONT] != NULL || f->jobs[BACK] != NULL;
}

/* Those without jobs that owe nothing. */
static void
forget_flows(struct sched *s)
{
	struct sched_flow **at = &s->flows, *f;

	while ((f = *at) != NULL) {
		if (has_jobs(f) || f->deficit < 0 || f->drawn_us > 0) {
			at = &f->next;
			continue;
		}
		if (s->turn == f)
			pass_turn(s);
		*at = f->next;
		free(f);
	}
}

void
sched_remove(struct sched *s, struct sched_job *j)
{
	struct sched_flow *f = j->flow;
	struct sched_job **at = &f->jobs[j->interactive ? FRONT : BACK];

	free_slot(s, j);
	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	j->flow = NULL;
	if (has_jobs(f))
		return;
	if (f->deficit > 0)
		f->deficit = 0;
	forget_flows(s);
}

static bool
may_send(const struct sched *s, const struct sched_job *j)
{
	if (!j->hungry || j->blocked)
		return false;
	return j->started || s->started < s->slots ||
	       (j->flow->started == 0 && s->started < 2 * s->slots);
}

static struct sched_job *
first(const struct sched *s, struct sched_job *j)
{
	while (j != NULL && !may_send(s, j))
		j = j->next;
	return j;
}

/* The next job of an agent; urgent: it goes before others. */
static struct sched_job *
candidate(const struct sched *s, const struct sched_flow *f, bool *urgent)
{
	struct sched_job *front = first(s, f->jobs[FRONT]),
			 *back = first(s, f->jobs[BACK]);

	*urgent = true;
	if (back != NULL && s->slices - f->served >= SCHED_AGE)
		return back;
	if (front != NULL)
		return front;
	*urgent = false;
	return back;
}

struct sched_job *
sched_pick(struct sched *s)
{
	bool any = false, anyone_urgent = false, urgent;

	for (struct sched_flow *f = s->flows; f != NULL; f = f->next)
		if (candidate(s, f, &urgent) != NULL) {
			any = true;
			anyone_urgent |= urgent;
		}
	/* Who went away in debt owes it to those who want something. */
	for (struct sched_flow *f = s->flows; !any && f != NULL; f = f->next)
		if (!has_jobs(f))
			f->deficit = 0;
	forget_flows(s);
	/* Each turn pays a quantum off a debt that has a bound: this ends. */
	while (any) {
		struct sched_job *j;

		if (s->turn == NULL)
			s->turn = s->flows;
		j = candidate(s, s->turn, &urgent);
		if (!has_jobs(s->turn))
			s->turn->deficit += (int32_t)SCHED_QUANTUM;
		if (j == NULL && s->turn->deficit > 0)
			s->turn->deficit = 0; /* nothing is saved up */
		if (j != NULL && (urgent || !anyone_urgent)) {
			if (!s->turn->visited)
				s->turn->deficit += (int32_t)SCHED_QUANTUM;
			s->turn->visited = true;
			if (s->turn->deficit > 0)
				return j;
		}
		pass_turn(s);
	}
	return NULL;
}

void
sched_start(struct sched *s, struct sched_job *j)
{
	if (j->started)
		return;
	j->started = true;
	j->flow->started++;
	s->started++;
}

void
sched_put_back(struct sched *s, struct sched_job *j)
{
	free_slot(s, j);
	j->hungry = true;
}

void
sched_charge(struct sched_job *j, uint32_t rows)
{
	struct sched_flow *f = j->flow;

	if (rows > SCHED_DEBT)
		rows = SCHED_DEBT;
	f->deficit -= (int32_t)rows;
	if (f->deficit < -(int32_t)SCHED_DEBT)
		f->deficit = -(int32_t)SCHED_DEBT;
}

void
sched_slice(struct sched *s, struct sched_job *j, uint32_t rows, bool hungry)
{
	s->slices++;
	if (!j->interactive)
		j->flow->served = s->slices;
	j->hungry = hungry;
	sched_charge(j, rows);
}

void
sched_drew(struct sched_job *j, uint64_t us)
{
	struct sched_flow *f = j->flow;

	f->drawn_us = us < SCHED_DRAW_MAX_US - f->drawn_us ? f->drawn_us + us
							   : SCHED_DRAW_MAX_US;
}

void
sched_passed(struct sched *s, uint64_t us)
{
	uint32_t n = 0;

	for (const struct sched_flow *f = s->flows; f != NULL; f = f->next)
		n += f->started > 0;
	for (struct sched_flow *f = s->flows; n > 0 && f != NULL; f = f->next)
		f->drawn_us -= f->drawn_us < us / n ? f->drawn_us : us / n;
}

bool
sched_rests(const struct sched *s, const struct sched_job *j)
{
	if (j->flow->drawn_us <= SCHED_DRAW_US)
		return false;
	for (const struct sched_flow *f = s->flows; f != NULL; f = f->next)
		if (f != j->flow && f->started > 0 &&
		    f->drawn_us < j->flow->drawn_us - SCHED_DRAW_US)
			return true;
	return false;
}

void
sched_block(struct sched_job *j)
{
	j->blocked = true;
}

void
sched_unblock(struct sched *s)
{
	for (struct sched_flow *f = s->flows; f != NULL; f = f->next)
		for (int c = 0; c < CLASSES; c++)
			for (struct sched_job *j = f->jobs[c]; j != NULL;
			     j = j->next)
				j->blocked = false;
}

uint32_t
sched_started(const struct sched *s)
{
	return s->started;
}

uint32_t
sched_hungry_agents(const struct sched *s)
{
	uint32_t n = 0;
	bool urgent;

	for (const struct sched_flow *f = s->flows; f != NULL; f = f->next)
		n += candidate(s, f, &urgent) != NULL;
	return n;
}

uint32_t
sched_position(const struct sched *s, const struct sched_job *j)
{
	uint32_t n = 1;

	if (j->started)
		return 0;
	for (const struct sched_flow *f = s->flows; f != NULL; f = f->next)
		for (int c = 0; c < CLASSES; c++)
			for (const struct sched_job *o = f->jobs[c]; o != NULL;
			     o = o->next)
				if (!o->started && o->number < j->number &&
				    o->interactive >= j->interactive)
					n++;
	return n;
}
