#include "inferd/warm.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/str.h"
#include "inferd/model_shape.h"
#include "inferd/thread.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* At a time, so that it soon ends when it has to. */
#define STEP (4ull << 20)

struct warm {
	const struct model_table *t;
	pthread_t id;
	bool joined;
	atomic_bool stop;
};

/*
 * Kernels before 5.14 do not know it: the weights come as they are used.  In a
 * virtual machine a page that is here may still be elsewhere for the host: it
 * comes back when it is read.
 */
static bool
touch(const uint8_t *p, uint64_t n)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	const uintptr_t first = (uintptr_t)p & ~(page - 1);
	const volatile uint8_t *end = p + n;

	if (madvise((void *)first, (uintptr_t)p + n - first,
		MADV_POPULATE_READ) != 0)
		return false;
	for (const volatile uint8_t *q = p; q < end; q += page)
		(void)*q;
	return true;
}

static void *
warm_main(void *arg)
{
	struct warm *w = arg;

	for (size_t i = 0; i < w->t->ntensors; i++) {
		const struct tensor *t = &w->t->tensors[i];

		if (model_tensor_idle(w->t, t))
			continue;
		for (uint64_t at = 0; at < t->bytes; at += STEP)
			if (atomic_load(&w->stop) ||
			    !touch((const uint8_t *)t->data + at,
				t->bytes - at < STEP ? t->bytes - at : STEP))
				return NULL;
	}
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
warm_start(const struct model_table *t)
{
	struct warm *w;

	if (!has_room(t))
		return NULL;
	w = xcalloc(1, sizeof(*w));
	w->t = t;
	if (thread_start(&w->id, warm_main, w) != 0) {
		free(w);
		return NULL;
	}
	return w;
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
	free(w);
}
