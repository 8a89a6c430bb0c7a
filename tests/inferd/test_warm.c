/* Weights brought into memory before they are asked for (inferd/warm.h). */
#include "inferd/warm.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/inferd/large_pages.h"

#define SIZE (40u << 20)
#define PRESENT (UINT64_C(1) << 63) /* proc_pid_pagemap(5) */

/* *fd_out: its descriptor, the caller's to close. */
static uint8_t *
map_new_file(int *fd_out)
{
	char name[] = "/tmp/brig-warm.XXXXXX";
	const int fd = *fd_out = mkstemp(name);
	uint8_t *p;

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static bool
is_present(const uint8_t *p)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t v = 0;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &v, 8, (off_t)((uintptr_t)p / page * 8)), 8);
	close(fd);
	return (v & PRESENT) != 0;
}

static struct model_table
two_tensors(uint8_t *p, struct tensor t[2])
{
	memset(t, 0, 2 * sizeof(*t));
	/* neither begins where a page does */
	t[0].offset = 12345;
	t[0].data = p + t[0].offset;
	t[0].bytes = 10u << 20;
	t[1].offset = (20u << 20) + 32;
	t[1].data = p + t[1].offset;
	t[1].bytes = 7;
	return (struct model_table){ .tensors = t, .ntensors = 2, .nfiles = 1 };
}

static struct warm *
start(const struct model_table *t, const uint8_t *p, int fd)
{
	const struct model_map map = { fd, p, SIZE };

	return warm_start(t, &map);
}

static void
all_weights_come_and_nothing_else(void **state)
{
	int fd;
	uint8_t *p = map_new_file(&fd);
	struct tensor t[2];
	struct model_table table = two_tensors(p, t);
	struct warm *w;

	assert_false(is_present(p + 12345));
	w = start(&table, p, fd);
	assert_non_null(w);
	warm_wait(w);
	for (size_t at = 12345; at < 12345 + (10u << 20); at += 4096)
		assert_true(is_present(p + at));
	assert_true(is_present(p + 12345 + (10u << 20) - 1));
	assert_true(is_present(p + (20u << 20) + 32));
	assert_false(is_present(p + (35u << 20)));
	warm_wait(w);
	warm_free(w);
	munmap(p, SIZE);
	close(fd);
}

static void
layers_that_are_not_computed_stay_where_they_are(void **state)
{
	static char computed[] = "blk.0.x", idle[] = "blk.1.x";
	int fd;
	uint8_t *p = map_new_file(&fd);
	struct tensor t[2];
	struct model_table table = two_tensors(p, t);
	struct warm *w;

	table.hp.layers = table.hp.idle_layers = 1;
	t[0].name = idle;
	t[1].name = computed;
	w = start(&table, p, fd);
	assert_non_null(w);
	warm_wait(w);
	assert_true(is_present(p + (20u << 20) + 32));
	assert_false(is_present(p + (5u << 20)));
	warm_free(w);
	munmap(p, SIZE);
	close(fd);
}

static void
it_can_be_left_off_at_once(void **state)
{
	int fd;
	uint8_t *p = map_new_file(&fd);
	struct tensor t[2];
	struct model_table table = two_tensors(p, t);

	for (int i = 0; i < 100; i++)
		warm_free(start(&table, p, fd));
	warm_wait(NULL);
	warm_free(NULL);
	munmap(p, SIZE);
	close(fd);
}

static void
what_is_gone_from_the_file_does_no_harm(void **state)
{
	int fd;
	uint8_t *p = map_new_file(&fd);
	struct tensor t[2];
	struct model_table table = two_tensors(p, t);
	struct warm *w;

	assert_int_equal(ftruncate(fd, 4u << 20), 0);
	w = start(&table, p, fd);
	warm_wait(w);
	warm_free(w);
	munmap(p, SIZE);
	close(fd);
}

static void
more_than_memory_is_not_begun(void **state)
{
	struct tensor t = { .bytes = UINT64_C(1) << 50 };
	struct model_table table = {
		.tensors = &t, .ntensors = 1, .nfiles = 1
	};

	assert_null(start(&table, NULL, -1));
}

/* A new file's mapping, in the cache as 4 KiB reads leave it, or not at all. */
static uint8_t *
map_written_file(int *fd_out, bool cached)
{
	uint8_t *p = map_new_file(fd_out), block[4096];

	for (size_t at = 0; at < SIZE; at += sizeof(block)) {
		memset(block, (int)(at >> 12), sizeof(block));
		assert_int_equal(
		    pwrite(*fd_out, block, sizeof(block), (off_t)at),
		    sizeof(block));
	}
	assert_int_equal(fsync(*fd_out), 0);
	if (cached)
		return p;
	assert_int_equal(
	    posix_fadvise(*fd_out, 0, SIZE, POSIX_FADV_DONTNEED), 0);
	return p;
}

/* Does this file system have large pages, when one reads in the right way? */
static bool
has_large_pages(void)
{
	int fd;
	uint8_t *p = map_written_file(&fd, false);
	bool has = madvise(p, SIZE, MADV_HUGEPAGE) == 0;

	for (size_t at = 0; at < SIZE; at += 4096)
		(void)*(volatile uint8_t *)(p + at);
	has = has && large_pages_at(p, "FilePmdMapped:") > SIZE / 2;
	munmap(p, SIZE);
	close(fd);
	return has;
}

static void
small_pages_of_the_cache_become_large_ones(void **state)
{
	int fd;
	uint8_t *p;
	struct tensor t[2];
	struct model_table table;
	struct warm *w;

	if (!has_large_pages()) {
		print_message("no large pages in files of /tmp\n");
		skip();
	}
	p = map_written_file(&fd, true);
	table = two_tensors(p, t);
	t[0].bytes = 30u << 20;
	w = start(&table, p, fd);
	assert_non_null(w);
	warm_wait(w);
	assert_true(large_pages_at(p, "FilePmdMapped:") >= (26u << 20));
	for (size_t at = 0; at < SIZE; at++)
		if (p[at] != (uint8_t)(at >> 12))
			fail_msg("byte %zu has changed", at);
	warm_free(w);
	munmap(p, SIZE);
	close(fd);
}

static void
what_others_use_stays_as_it_is(void **state)
{
	int fd;
	uint8_t *p = map_written_file(&fd, true),
		*other = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct tensor t[2];
	struct model_table table = two_tensors(p, t);
	struct warm *w;

	assert_true(other != MAP_FAILED);
	for (size_t at = 0; at < SIZE; at += 4096)
		(void)*(volatile uint8_t *)(other + at);
	w = start(&table, p, fd);
	assert_non_null(w);
	warm_wait(w);
	for (size_t at = 12345; at < 12345 + (10u << 20); at += 4096)
		assert_true(is_present(p + at) && is_present(other + at));
	warm_free(w);
	munmap(other, SIZE);
	munmap(p, SIZE);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_weights_come_and_nothing_else),
		cmocka_unit_test(
		    layers_that_are_not_computed_stay_where_they_are),
		cmocka_unit_test(it_can_be_left_off_at_once),
		cmocka_unit_test(what_is_gone_from_the_file_does_no_harm),
		cmocka_unit_test(more_than_memory_is_not_begun),
		cmocka_unit_test(small_pages_of_the_cache_become_large_ones),
		cmocka_unit_test(what_others_use_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
