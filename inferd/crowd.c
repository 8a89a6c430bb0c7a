#include "inferd/crowd.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

static int64_t
ns(const struct timespec *t)
{
	return t->tv_sec * SECOND_NS + t->tv_nsec;
}

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec t = { 0 };

	clock_gettime(clock, &t);
	return ns(&t);
}

bool
crowd_turn_is_over(const struct crowd *c)
{
	return c->polite && clock_ns(CLOCK_MONOTONIC) >= c->until;
}

/* Whether the thread was put aside since the last call. */
static bool
was_put_aside(struct crowd *c)
{
	const long before = c->switches;
	struct rusage u;

	if (getrusage(RUSAGE_THREAD, &u) != 0)
		return false;
	c->switches = u.ru_nivcsw;
	return u.ru_nivcsw != before;
}

bool
crowd_judge(struct crowd *c, int64_t now, bool hit, bool left)
{
	if (c->polite && c->on_trial && left && !hit) {
		c->polite = false;
		c->eased_at = now;
		c->hits = 0;
		return false;
	}
	if (c->polite)
		return left || hit;
	if (!hit)
		return false;
	c->hits = now - c->hit_at < CROWD_NEAR_NS ? c->hits + 1 : 1;
	c->hit_at = now;
	if (c->hits < CROWD_HITS &&
	    (c->eased_at == 0 || now - c->eased_at >= CROWD_RECENT_NS))
		return false;
	c->polite = true;
	c->turns = 0;
	c->every = CROWD_LONG_FIRST;
	return true;
}

bool
crowd_is_beside(struct crowd *c, int64_t now, bool same)
{
	if (!same) {
		c->beside = 0;
		return false;
	}
	if (c->beside == 0)
		c->beside = now;
	if (now - c->beside < CROWD_BESIDE_NS)
		return false;
	c->beside = now;
	return true;
}

bool
crowd_steps_aside(struct crowd *c, unsigned stalls, bool left, int cpu)
{
	const bool same = sched_getcpu() == cpu;
	bool hit = false;

	if (same || c->beside != 0)
		hit = crowd_is_beside(c, clock_ns(CLOCK_MONOTONIC), same);
	if (stalls != c->stalls) {
		hit |= was_put_aside(c);
		c->stalls = stalls;
	}
	if (!hit && !left)
		return false;
	return crowd_judge(c, clock_ns(CLOCK_MONOTONIC), hit, left);
}

int64_t
crowd_begin(struct crowd *c, int64_t now, int64_t tick, bool rested)
{
	int64_t wait = 0;

	c->on_trial = rested || ++c->turns >= c->every;
	if (c->on_trial) {
		c->turns = 0;
		if (c->every < CROWD_LONG_MOST)
			c->every *= 2;
		c->until = now + CROWD_LONG_NS;
		return 0;
	}
	tick -= CROWD_TICK_NS;
	if (tick - now < CROWD_LEAST_NS) {
		wait = tick + 2 * CROWD_TICK_NS - now;
		if (wait < 0)
			wait = 0;
		c->until = now + wait + CROWD_TURN_NS;
	} else if (tick - now < CROWD_TURN_NS) {
		c->until = tick;
	} else {
		c->until = now + CROWD_TURN_NS;
	}
	return wait;
}

static void
sleep_ns(int64_t n)
{
	const struct timespec t = { n / SECOND_NS, n % SECOND_NS };

	/* A signal ends it early, which does no harm. */
	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
}

/* A thread that wakes is put where it was, whoever is there now. */
static void
move_from(int cpu)
{
	cpu_set_t all, others;

	if (sched_getcpu() != cpu || sched_getaffinity(0, sizeof(all), &all))
		return;
	others = all;
	CPU_CLR(cpu, &others);
	if (CPU_COUNT(&others) == 0)
		return;
	if (sched_setaffinity(0, sizeof(others), &others) == 0)
		sched_setaffinity(0, sizeof(all), &all);
}

void
crowd_step_aside(struct crowd *c, int cpu, bool rested)
{
	struct timespec tick = { 0 };
	int64_t next, wait;

	sleep_ns(CROWD_ASIDE_NS);
	move_from(cpu);
	/* The coarse clock is as of the last tick. */
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	next = clock_ns(CLOCK_MONOTONIC_COARSE) + ns(&tick);
	wait = crowd_begin(c, clock_ns(CLOCK_MONOTONIC), next, rested);
	if (wait > 0)
		sleep_ns(wait);
	was_put_aside(c);
}
