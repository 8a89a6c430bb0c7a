#include "daemon/shim_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define RING_FIRST 4096u
#define RUNS_FIRST 8u

void
ring_free(struct ring *r)
{
	free(r->data);
	free(r->runs);
	*r = (struct ring){ 0 };
}

/* Copy to or from the n bytes at offset at, which may wrap. */
static void
copy_in(struct ring *r, uint64_t at, const uint8_t *p, size_t n)
{
	size_t i = (size_t)(at % r->cap);
	size_t k = n < r->cap - i ? n : r->cap - i;

	memcpy(r->data + i, p, k);
	memcpy(r->data, p + k, n - k);
}

static void
copy_out(const struct ring *r, uint64_t at, uint8_t *p, size_t n)
{
	size_t i = (size_t)(at % r->cap);
	size_t k = n < r->cap - i ? n : r->cap - i;

	memcpy(p, r->data + i, k);
	memcpy(p + k, r->data, n - k);
}

static void
grow(struct ring *r, size_t want)
{
	size_t cap = r->cap == 0 ? RING_FIRST : r->cap;
	size_t have = (size_t)(r->head - r->tail);
	struct ring bigger = *r;

	while (cap < want && cap < RING_MAX)
		cap *= 2;
	if (cap == r->cap)
		return;
	bigger.data = xmalloc(cap);
	bigger.cap = cap;
	if (have > 0) {
		cleanup_free uint8_t *all = xmalloc(have);

		copy_out(r, r->tail, all, have);
		copy_in(&bigger, r->tail, all, have);
	}
	free(r->data);
	*r = bigger;
}

static void
forget_runs(struct ring *r)
{
	/* The run that the oldest byte is in stays. */
	while (r->runs_head - r->runs_tail > 1 &&
	       r->runs[(r->runs_tail + 1) % r->runs_cap].at <= r->tail)
		r->runs_tail++;
}

static void
put_run(struct ring *r, uint8_t type)
{
	uint64_t n = r->runs_head - r->runs_tail;

	if (n > 0 && r->runs[(r->runs_head - 1) % r->runs_cap].type == type)
		return;
	if (n == r->runs_cap && n < RING_RUNS_MAX) {
		size_t cap = n == 0 ? RUNS_FIRST : (size_t)n * 2;
		struct ring_run *runs = xcalloc(cap, sizeof(*runs));

		for (uint64_t i = r->runs_tail; i < r->runs_head; i++)
			runs[i % cap] = r->runs[i % r->runs_cap];
		free(r->runs);
		r->runs = runs;
		r->runs_cap = cap;
	} else if (n == r->runs_cap) {
		/* Its bytes go with it. */
		r->runs_tail++;
		r->tail = r->runs[r->runs_tail % r->runs_cap].at;
	}
	r->runs[r->runs_head++ % r->runs_cap] =
	    (struct ring_run){ r->head, type };
}

void
ring_put(struct ring *r, uint8_t type, const void *p, size_t n)
{
	const uint8_t *bytes = p;
	size_t have, skip = n > RING_MAX ? n - RING_MAX : 0;

	if (n == 0)
		return;
	have = (size_t)(r->head - r->tail);
	grow(r, have + (n - skip));
	put_run(r, type);
	r->head += skip;
	copy_in(r, r->head, bytes + skip, n - skip);
	r->head += n - skip;
	if (r->head - r->tail > r->cap)
		r->tail = r->head - r->cap;
	forget_runs(r);
}

/* The run that holds the byte at this offset. */
static uint64_t
find_run(const struct ring *r, uint64_t at)
{
	uint64_t lo = r->runs_tail, hi = r->runs_head;

	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;

		if (r->runs[mid % r->runs_cap].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

size_t
ring_get(const struct ring *r, uint64_t at, uint8_t *type, void *p, size_t max)
{
	uint64_t run, end = r->head;

	if (at < r->tail || at >= r->head)
		return 0;
	run = find_run(r, at);
	*type = r->runs[run % r->runs_cap].type;
	if (run + 1 < r->runs_head)
		end = r->runs[(run + 1) % r->runs_cap].at;
	if (end - at < max)
		max = (size_t)(end - at);
	copy_out(r, at, p, max);
	return max;
}
