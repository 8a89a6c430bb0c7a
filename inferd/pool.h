/*
 * The threads that compute.  A job is cut into pieces which the threads, the
 * caller among them, take one after another, so that a thread held up by a
 * neighbour on its processor holds up one piece and not its share.  Waits spin
 * for some microseconds and then sleep: a thread that has nothing to do leaves
 * its processor to one that has; one that a neighbour keeps putting aside
 * leaves before that happens (crowd.h).
 */
#ifndef BRIG_INFERD_POOL_H
#define BRIG_INFERD_POOL_H

#include <stddef.h>
#include <stdint.h>

#define POOL_THREADS_MAX 256u
/* Pieces of one job: what fits its counters. */
#define POOL_PIECES_MAX 0x7fffffffu

struct pool;

/*
 * Start threads - 1 threads (1 to POOL_THREADS_MAX are meant; the caller is
 * the first one).  They block every signal.  fatal() if none can be made: this
 * is done once, at start.  The caller frees with pool_free().
 */
struct pool *pool_new(unsigned threads);

/* Ends and joins the threads; NULL is fine. */
void pool_free(struct pool *p);

unsigned pool_threads(const struct pool *p);

/* CPU time of all its threads so far, the calling one's included. */
uint64_t pool_cpu_us(const struct pool *p);

/*
 * Run fn(piece, thread, arg) for each piece below pieces, each once, in any
 * order, on any thread (thread: below pool_threads(), 0 is the caller), and
 * return when all are done; what they wrote can then be read.  One caller at a
 * time; fn does not call this again.
 */
void pool_run(struct pool *p, size_t pieces,
    void (*fn)(size_t piece, unsigned thread, void *arg), void *arg);

#endif
