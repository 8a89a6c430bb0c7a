/* The threads that compute (inferd/pool.h). */
#include "inferd/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct tally {
	atomic_uint *ran;
	unsigned threads;
	atomic_uint outside; /* thread numbers that cannot be */
};

static void
count(size_t piece, unsigned thread, void *arg)
{
	struct tally *t = arg;

	atomic_fetch_add(&t->ran[piece], 1);
	if (thread >= t->threads)
		atomic_fetch_add(&t->outside, 1);
}

static void
run_all(unsigned threads, size_t pieces, int rounds)
{
	struct pool *p = pool_new(threads);
	struct tally t = { calloc(pieces + 1, sizeof(*t.ran)), threads, 0 };

	assert_int_equal(pool_threads(p), threads);
	for (int i = 0; i < rounds; i++)
		pool_run(p, pieces, count, &t);
	for (size_t i = 0; i < pieces; i++)
		assert_int_equal(t.ran[i], rounds);
	assert_int_equal(t.ran[pieces], 0);
	assert_int_equal(t.outside, 0);
	free(t.ran);
	pool_free(p);
}

static void
each_piece_runs_once(void **state)
{
	run_all(1, 100, 10);
	run_all(2, 1, 1000);
	run_all(2, 2, 5000);
	run_all(2, 1000, 50);
	run_all(7, 33, 2000);
	run_all(16, 3, 500);
}

static void
no_pieces_is_no_work(void **state)
{
	run_all(3, 0, 100);
	pool_free(NULL);
}

/* Jobs whose pieces read what the job before wrote. */
struct chain {
	uint64_t a[64], b[64];
	int odd;
};

static void
step(size_t piece, unsigned thread, void *arg)
{
	struct chain *c = arg;
	const uint64_t *from = c->odd ? c->b : c->a;
	uint64_t *to = c->odd ? c->a : c->b;

	to[piece] = from[piece] * 31 + from[(piece + 1) % 64];
}

static void
a_job_sees_what_the_last_one_wrote(void **state)
{
	struct chain one = { .odd = 0 }, many = { .odd = 0 };
	struct pool *p1 = pool_new(1), *p4 = pool_new(4);

	for (size_t i = 0; i < 64; i++)
		one.a[i] = many.a[i] = i + 1;
	for (int i = 0; i < 3000; i++) {
		pool_run(p1, 64, step, &one);
		pool_run(p4, 64, step, &many);
		one.odd = many.odd = !one.odd;
		if (i % 500 == 0)
			usleep(2000); /* so that the threads sleep as well */
	}
	assert_memory_equal(one.a, many.a, sizeof(one.a));
	assert_memory_equal(one.b, many.b, sizeof(one.b));
	pool_free(p1);
	pool_free(p4);
}

static atomic_int spinning;

static void *
neighbour(void *arg)
{
	while (atomic_load(&spinning))
		;
	return NULL;
}

static void
busy_neighbours_change_nothing(void **state)
{
	pthread_t id[4];

	atomic_store(&spinning, 1);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(
		    pthread_create(&id[i], NULL, neighbour, NULL), 0);
	run_all(4, 64, 300);
	atomic_store(&spinning, 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(id[i], NULL);
}

/* A piece that is held up: the others must all have run meanwhile. */
struct held {
	atomic_uint done;
	atomic_uint seen_by_slow;
};

static void
one_waits(size_t piece, unsigned thread, void *arg)
{
	struct held *h = arg;

	if (piece == 0) {
		for (int i = 0; i < 10000 && atomic_load(&h->done) < 63; i++)
			usleep(1000);
		atomic_store(&h->seen_by_slow, atomic_load(&h->done));
	} else
		atomic_fetch_add(&h->done, 1);
}

static void
a_held_up_thread_holds_up_one_piece(void **state)
{
	struct pool *p = pool_new(2);
	struct held h = { 0, 0 };

	pool_run(p, 64, one_waits, &h);
	assert_int_equal(h.seen_by_slow, 63);
	pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_piece_runs_once),
		cmocka_unit_test(no_pieces_is_no_work),
		cmocka_unit_test(a_job_sees_what_the_last_one_wrote),
		cmocka_unit_test(busy_neighbours_change_nothing),
		cmocka_unit_test(a_held_up_thread_holds_up_one_piece),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
