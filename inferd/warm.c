#include "inferd/warm.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/fdutil.h"
#include "base/str.h"
#include "inferd/model_shape.h"
#include "inferd/thread.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* At a time, so that it soon ends when it has to.  A multiple of the largest
 * pages that are asked for. */
#define STEP (4ull << 20)
#define LARGE_FILE "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"
/* A large page takes one fault, or two if it has to be read. */
#define FAULTS 4
/* After so many in a row that could not be made large, no more are tried. */
#define PATIENCE 8

struct warm {
	const struct model_table *t;
	struct model_map *maps;
	uintptr_t page, large; /* large: 0: there are none */
	int patience;
	pthread_t id;
	bool joined;
	atomic_bool stop;
};

/* The size of large pages; 0: none, or too large to come for a few weights. */
static uintptr_t
large_size(void)
{
	cleanup_fd int fd = open(LARGE_FILE, O_RDONLY | O_CLOEXEC);
	char text[32];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	uint64_t v;

	if (n < 2 || text[n - 1] != '\n')
		return 0;
	text[n - 1] = '\0';
	if (str_to_u64(text, 1, STEP, &v) < 0 || (v & (v - 1)) != 0)
		return 0;
	return (uintptr_t)v;
}

/* Kernels before 5.14 do not know it: the weights come as they are used. */
static bool
populate(const struct warm *w, const uint8_t *p, uint64_t n)
{
	const uintptr_t first = (uintptr_t)p & ~(w->page - 1);

	return madvise((void *)first, (uintptr_t)p + n - first,
		   MADV_POPULATE_READ) == 0;
}

static long
faults(void)
{
	struct rusage u;

	return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_minflt + u.ru_majflt
						 : 0;
}

/*
 * Read the large page around p again.  What the kernel keeps (it is used by
 * others, or not on disk yet) stays as it is.
 */
static void
enlarge(struct warm *w, const struct model_map *m, const uint8_t *p)
{
	const uintptr_t first = (uintptr_t)p & ~(w->large - 1);
	const uint64_t at = (uint64_t)(p - m->p) & ~(uint64_t)(w->large - 1);
	long before;

	if (first < (uintptr_t)m->p || at + w->large > m->bytes ||
	    first - (uintptr_t)m->p != at)
		return;
	if (madvise((void *)first, w->large, MADV_DONTNEED) != 0 ||
	    posix_fadvise(
		m->fd, (off_t)at, (off_t)w->large, POSIX_FADV_DONTNEED) != 0) {
		w->patience = 0;
		return;
	}
	before = faults();
	if (populate(w, (const uint8_t *)first, w->large) &&
	    faults() - before <= FAULTS)
		w->patience = PATIENCE;
	else
		w->patience--;
}

/*
 * In a virtual machine a page that is here may still be elsewhere for the
 * host: it comes back when it is read.
 */
static bool
touch(struct warm *w, const struct model_map *m, const uint8_t *p, uint64_t n)
{
	const volatile uint8_t *end = p + n;
	const long before = faults();

	if (!populate(w, p, n))
		return false;
	if (w->large != 0 && w->patience > 0 && faults() - before > FAULTS)
		enlarge(w, m, p);
	for (const volatile uint8_t *q = p; q < end; q += w->page)
		(void)*q;
	return true;
}

/* What comes behind `at` of a file up to where a large page ends. */
static uint64_t
step(const struct warm *w, uint64_t at)
{
	const uint64_t size = w->large != 0 ? w->large : STEP;

	return size - at % size;
}

static bool
touch_tensor(struct warm *w, const struct tensor *t)
{
	const struct model_map *m = &w->maps[t->file];
	uint64_t n;

	for (uint64_t at = 0; at < t->bytes; at += n) {
		n = step(w, t->offset + at);
		if (n > t->bytes - at)
			n = t->bytes - at;
		if (atomic_load(&w->stop) ||
		    !touch(w, m, (const uint8_t *)t->data + at, n))
			return false;
	}
	return true;
}

static void *
warm_main(void *arg)
{
	struct warm *w = arg;

	for (uint32_t i = 0; i < w->t->nfiles && w->large != 0; i++)
		if (madvise((void *)(uintptr_t)w->maps[i].p, w->maps[i].bytes,
			MADV_HUGEPAGE) != 0)
			w->large = 0;
	for (size_t i = 0; i < w->t->ntensors; i++)
		if (!model_tensor_idle(w->t, &w->t->tensors[i]) &&
		    !touch_tensor(w, &w->t->tensors[i]))
			break;
	return NULL;
}

static bool
has_room(const struct model_table *t)
{
	const long pages = sysconf(_SC_PHYS_PAGES),
		   page = sysconf(_SC_PAGESIZE);
	uint64_t bytes = 0;

	for (size_t i = 0; i < t->ntensors; i++)
		if (!model_tensor_idle(t, &t->tensors[i]))
			bytes += t->tensors[i].bytes;
	return pages > 0 && page > 0 &&
	       bytes / WARM_OF_MEMORY <= (uint64_t)pages * (uint64_t)page / 100;
}

struct warm *
warm_start(const struct model_table *t, const struct model_map *maps)
{
	struct warm *w;

	if (!has_room(t))
		return NULL;
	w = xcalloc(1, sizeof(*w));
	w->t = t;
	w->maps = xcalloc(t->nfiles, sizeof(*maps));
	memcpy(w->maps, maps, t->nfiles * sizeof(*maps));
	w->page = (uintptr_t)sysconf(_SC_PAGESIZE);
	w->large = large_size();
	w->patience = PATIENCE;
	if (thread_start(&w->id, warm_main, w) != 0) {
		free(w->maps);
		free(w);
		return NULL;
	}
	return w;
}

struct warm *
warm_model(const struct model *m)
{
	const struct model_table *t = model_table(m);
	struct model_map maps[MODEL_FILES_MAX];

	for (uint32_t i = 0; i < t->nfiles; i++)
		maps[i] = model_map(m, i);
	return warm_start(t, maps);
}

void
warm_wait(struct warm *w)
{
	if (w == NULL || w->joined)
		return;
	pthread_join(w->id, NULL);
	w->joined = true;
}

void
warm_free(struct warm *w)
{
	if (w == NULL)
		return;
	atomic_store(&w->stop, true);
	warm_wait(w);
	free(w->maps);
	free(w);
}
