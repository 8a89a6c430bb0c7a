/*
 * What is kept of a job's output for those who come later.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/str.h"
#include "daemon/shim_ring.h"

static void
ring_keeps_the_last_bytes_in_order(void **state)
{
	struct ring r = { 0 };
	uint8_t chunk[7001], got[5000], type;
	uint64_t n = 0, at;

	(void)state;
	while (n < 3 * (uint64_t)RING_MAX) {
		for (size_t i = 0; i < sizeof(chunk); i++)
			chunk[i] = (uint8_t)((n + i) * 31 >> 3);
		ring_put(&r, 1, chunk, sizeof(chunk));
		n += sizeof(chunk);
	}
	assert_int_equal(r.head, n);
	assert_int_equal(r.head - r.tail, RING_MAX);
	for (at = r.tail; at < r.head;) {
		size_t k = ring_get(&r, at, &type, got, sizeof(got));

		assert_true(k > 0);
		for (size_t i = 0; i < k; i++)
			assert_int_equal(got[i], (uint8_t)((at + i) * 31 >> 3));
		at += k;
	}
	assert_int_equal(ring_get(&r, r.head, &type, got, 1), 0);
	assert_int_equal(ring_get(&r, r.tail - 1, &type, got, 1), 0);
	ring_free(&r);
}

static void
ring_takes_memory_as_output_comes(void **state)
{
	struct ring r = { 0 };

	(void)state;
	assert_int_equal(r.cap, 0);
	ring_put(&r, 1, "x", 1);
	assert_true(r.cap <= 4096);
	ring_free(&r);
}

static void
ring_tells_streams_apart_within_bounds(void **state)
{
	struct ring r = { 0 };
	uint8_t got[16], type;

	(void)state;
	ring_put(&r, 1, "ab", 2);
	ring_put(&r, 2, "c", 1);
	ring_put(&r, 2, "d", 1);
	ring_put(&r, 1, "e", 1);
	assert_int_equal(ring_get(&r, 1, &type, got, 16), 1);
	assert_int_equal(type, 1);
	assert_int_equal(ring_get(&r, 2, &type, got, 16), 2);
	assert_int_equal(type, 2);
	assert_memory_equal(got, "cd", 2);
	/* A stream for each byte: fewer are kept. */
	for (size_t i = 0; i < 100000; i++)
		ring_put(&r, (uint8_t)(1 + i % 2), "x", 1);
	assert_true(r.runs_cap <= RING_RUNS_MAX);
	assert_true(r.head - r.tail <= RING_RUNS_MAX);
	for (uint64_t at = r.tail; at < r.head; at++) {
		assert_int_equal(ring_get(&r, at, &type, got, 16), 1);
		assert_int_equal(type, 1 + (at - 5) % 2);
	}
	ring_free(&r);
}

static void
ring_takes_more_than_it_holds(void **state)
{
	size_t n = 2 * RING_MAX + 17;
	cleanup_free uint8_t *all = xmalloc(n);
	struct ring r = { 0 };
	uint8_t got, type;

	(void)state;
	for (size_t i = 0; i < n; i++)
		all[i] = (uint8_t)(i % 251);
	ring_put(&r, 1, all, n);
	assert_int_equal(r.tail, n - RING_MAX);
	assert_int_equal(ring_get(&r, r.tail, &type, &got, 1), 1);
	assert_int_equal(got, r.tail % 251);
	assert_int_equal(ring_get(&r, n - 1, &type, &got, 1), 1);
	assert_int_equal(got, (n - 1) % 251);
	ring_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_keeps_the_last_bytes_in_order),
		cmocka_unit_test(ring_takes_memory_as_output_comes),
		cmocka_unit_test(ring_tells_streams_apart_within_bounds),
		cmocka_unit_test(ring_takes_more_than_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
