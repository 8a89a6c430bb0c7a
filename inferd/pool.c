#include "inferd/pool.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/log.h"
#include "inferd/crowd.h"
#include "inferd/gain.h"
#include "inferd/thread.h"

#define CACHE_LINE 64
/* How long a wait spins, before it sleeps. */
#define SPIN_NS 15000
/* The clock is read once in so many turns. */
#define SPIN_TURNS 64
/* The caller had to wait so long for a piece: somebody was put aside with it.
 */
#define STALL_NS 500000
/* Who rests looks so often whether the pool ends. */
#define REST_STEP_NS 50000000

/*
 * Pieces nobody has taken: [first, end) as first << 32 | end.  Each thread goes
 * through its own in order, since weights are fetched ahead of what is worked
 * on, into the cache of who works; who has none left takes the last one of
 * somebody else.
 */
struct share {
	_Alignas(CACHE_LINE) atomic_uint_least64_t untaken;
};

struct worker {
	struct pool *pool;
	pthread_t id;
	unsigned number;
	/* It left its processor to others: jobs are cut without it. */
	_Alignas(CACHE_LINE) atomic_bool away;
	struct crowd crowd;
	bool shares;    /* its processor: counted in pool.sharing */
	unsigned rests; /* that it has heard of */
};

struct pool {
	unsigned nthreads;
	struct worker *workers;
	struct share *shares;

	/* The job: written by the caller while no piece is left to take. */
	void (*fn)(size_t, unsigned, void *);
	void *arg;

	/* Pieces not yet done; the caller may sleep on it. */
	_Alignas(CACHE_LINE) atomic_uint undone;
	atomic_bool caller_sleeps;
	/* Counts jobs; threads without work sleep on it. */
	_Alignas(CACHE_LINE) atomic_uint jobs;
	atomic_uint sleepers;
	atomic_bool stop;
	/* Of the caller: its processor at the last job, and its long waits. */
	_Alignas(CACHE_LINE) atomic_int caller_cpu;
	atomic_uint stalls;
	/* Whether those who share their processors are of use. */
	struct gain gain;
	bool judged; /* the last job was */
	/* How many do; how often they have been told to rest, and how long. */
	_Alignas(CACHE_LINE) atomic_uint sharing;
	atomic_uint rests;
	atomic_int_least64_t rest;
};

static void
futex_wait(atomic_uint *word, unsigned seen)
{
	/* woken, changed or interrupted: the callers look again */
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void
futex_wake(atomic_uint *word, int n)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static void
relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spin until *word is no longer `seen`; false: it took too long. */
static bool
spin(atomic_uint *word, unsigned seen)
{
	int64_t end = now_ns() + SPIN_NS;

	do {
		for (int i = 0; i < SPIN_TURNS; i++) {
			if (atomic_load_explicit(word, memory_order_acquire) !=
			    seen)
				return true;
			relax();
		}
	} while (now_ns() < end);
	return false;
}

/*
 * A piece of a share, the first of one's own, the last of another's; false:
 * none is left.  Taking one keeps the job alive, so what is read of it after
 * that belongs to it, whatever the taker saw before.
 */
static bool
take(struct share *s, bool own, size_t *piece)
{
	uint64_t v = atomic_load_explicit(&s->untaken, memory_order_acquire);

	for (;;) {
		const uint64_t first = v >> 32, end = v & UINT32_MAX;

		if (first >= end)
			return false;
		*piece = (size_t)(own ? first : end - 1);
		if (atomic_compare_exchange_weak_explicit(&s->untaken, &v,
			own ? v + (UINT64_C(1) << 32) : v - 1,
			memory_order_acq_rel, memory_order_acquire))
			return true;
	}
}

/* Take and run pieces until none is left, or the thread's turn is over. */
static bool
work(struct pool *p, unsigned thread)
{
	const struct crowd *c = &p->workers[thread].crowd;
	size_t piece;

	for (unsigned i = 0; i < p->nthreads; i++) {
		struct share *s = &p->shares[(thread + i) % p->nthreads];

		for (;;) {
			if (crowd_turn_is_over(c))
				return false;
			if (!take(s, i == 0, &piece))
				break;
			p->fn(piece, thread, p->arg);
			if (atomic_fetch_sub(&p->undone, 1) == 1 &&
			    atomic_load(&p->caller_sleeps))
				futex_wake(&p->undone, 1);
		}
	}
	return true;
}

/* If they have been told to since the last time; whether they have. */
static bool
rest(struct pool *p, struct worker *w)
{
	const struct timespec step = { .tv_nsec = REST_STEP_NS };
	const unsigned rests = atomic_load(&p->rests);
	int64_t left = atomic_load(&p->rest);

	if (rests == w->rests)
		return false;
	w->rests = rests;
	for (; left > 0 && !atomic_load(&p->stop); left -= REST_STEP_NS)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
	return true;
}

/* After some work: leave the processor to a neighbour if there is one. */
static void
give_way(struct pool *p, struct worker *w, bool left)
{
	const unsigned stalls =
	    atomic_load_explicit(&p->stalls, memory_order_relaxed);
	const int cpu =
	    atomic_load_explicit(&p->caller_cpu, memory_order_relaxed);
	const bool aside = crowd_steps_aside(&w->crowd, stalls, left, cpu);

	if (w->shares != w->crowd.polite) {
		w->shares = w->crowd.polite;
		atomic_fetch_add(&p->sharing, w->shares ? 1u : -1u);
	}
	if (!aside)
		return;
	atomic_store(&w->away, true);
	crowd_step_aside(&w->crowd, cpu, rest(p, w));
	atomic_store(&w->away, false);
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;
	struct pool *p = w->pool;
	unsigned seen = 0;

	while (!atomic_load(&p->stop)) {
		if (!spin(&p->jobs, seen)) {
			atomic_fetch_add(&p->sleepers, 1);
			while (atomic_load(&p->jobs) == seen)
				futex_wait(&p->jobs, seen);
			atomic_fetch_sub(&p->sleepers, 1);
		}
		seen = atomic_load_explicit(&p->jobs, memory_order_acquire);
		give_way(p, w, !work(p, w->number));
	}
	return NULL;
}

struct pool *
pool_new(unsigned threads)
{
	struct pool *p = aligned_alloc(CACHE_LINE, sizeof(*p));
	int e = 0;

	if (p == NULL)
		fatalx("out of memory");
	if (threads < 1)
		threads = 1;
	if (threads > POOL_THREADS_MAX)
		threads = POOL_THREADS_MAX;
	*p = (struct pool){ .nthreads = threads };
	p->workers = aligned_alloc(CACHE_LINE, threads * sizeof(*p->workers));
	p->shares = aligned_alloc(CACHE_LINE, threads * sizeof(*p->shares));
	if (p->workers == NULL || p->shares == NULL)
		fatalx("out of memory");
	for (unsigned i = 0; i < threads; i++) {
		atomic_init(&p->shares[i].untaken, 0);
		p->workers[i] = (struct worker){ .pool = p, .number = i };
	}
	for (unsigned i = 1; i < threads && e == 0; i++) {
		struct worker *w = &p->workers[i];

		e = thread_start(&w->id, worker_main, w);
	}
	if (e != 0) {
		errno = e;
		fatal("cannot start %u threads", threads);
	}
	return p;
}

static void
announce(struct pool *p)
{
	atomic_fetch_add(&p->jobs, 1);
	if (atomic_load(&p->sleepers) > 0)
		futex_wake(&p->jobs, INT_MAX);
}

void
pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->stop, true);
	announce(p);
	for (unsigned i = 1; i < p->nthreads; i++)
		pthread_join(p->workers[i].id, NULL);
	free(p->workers);
	free(p->shares);
	free(p);
}

unsigned
pool_threads(const struct pool *p)
{
	return p->nthreads;
}

static uint64_t
cpu_us(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t
pool_cpu_us(const struct pool *p)
{
	uint64_t sum = cpu_us(CLOCK_THREAD_CPUTIME_ID);
	clockid_t clock;

	for (unsigned i = 1; i < p->nthreads; i++)
		if (pthread_getcpuclockid(p->workers[i].id, &clock) == 0)
			sum += cpu_us(clock);
	return sum;
}

/* Cut the job among the threads that are there, the caller at least; are these
 * all? */
static bool
cut(struct pool *p, size_t pieces)
{
	unsigned there[POOL_THREADS_MAX], n = 0;

	for (unsigned i = 0; i < p->nthreads; i++)
		if (!atomic_load_explicit(
			&p->workers[i].away, memory_order_relaxed))
			there[n++] = i;
	for (unsigned i = 0; i < n; i++)
		atomic_store(&p->shares[there[i]].untaken,
		    (uint64_t)(pieces * i / n) << 32 | pieces * (i + 1) / n);
	return n == p->nthreads;
}

/* Wait for the pieces that others have taken. */
static void
wait_done(struct pool *p)
{
	unsigned left;

	while ((left = atomic_load_explicit(&p->undone, memory_order_acquire)) >
	       0) {
		int64_t begin;

		if (spin(&p->undone, left))
			continue;
		begin = now_ns();
		atomic_store(&p->caller_sleeps, true);
		left = atomic_load(&p->undone);
		if (left > 0)
			futex_wait(&p->undone, left);
		atomic_store(&p->caller_sleeps, false);
		if (now_ns() - begin > STALL_NS)
			atomic_fetch_add(&p->stalls, 1);
	}
}

static void
judge(struct pool *p, bool all, size_t pieces, int64_t ns)
{
	const int64_t rest = gain_job(&p->gain, all, pieces, ns);

	if (rest == 0)
		return;
	atomic_store(&p->rest, rest);
	atomic_fetch_add(&p->rests, 1);
}

void
pool_run(struct pool *p, size_t pieces, void (*fn)(size_t, unsigned, void *),
    void *arg)
{
	const bool shared =
	    atomic_load_explicit(&p->sharing, memory_order_relaxed) > 0;
	const int64_t begin = shared ? now_ns() : 0;
	bool all;

	if (pieces > POOL_PIECES_MAX)
		fatalx("pool_run: %zu pieces", pieces);
	if (p->nthreads == 1 || pieces < 2) {
		for (size_t i = 0; i < pieces; i++)
			fn(i, 0, arg);
		return;
	}
	p->fn = fn;
	p->arg = arg;
	atomic_store(&p->undone, (unsigned)pieces);
	atomic_store_explicit(
	    &p->caller_cpu, sched_getcpu(), memory_order_relaxed);
	all = cut(p, pieces);
	announce(p);
	work(p, 0);
	wait_done(p);
	if (shared)
		judge(p, all, pieces, now_ns() - begin);
	else if (p->judged)
		p->gain = (struct gain){ 0 };
	p->judged = shared;
}
