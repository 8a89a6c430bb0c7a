#include "daemon/shim_tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

struct kind {
	uint64_t hash;
	uint64_t until;
	uint64_t count; /* not told yet */
	struct buf fields;
	uint32_t nfields;
};

/* A ring: all kinds live equally long, so the first ends first. */
struct tally {
	struct kind ring[TALLY_KINDS];
	size_t first, n;
	struct ev_timer *timer;
	tally_fn *fn;
	void *arg;
	uint64_t budget; /* thousandths of a record */
	uint64_t budget_at;
};

static void on_timer(void *arg);

struct tally *
tally_new(struct ev *ev, tally_fn *fn, void *arg)
{
	struct tally *t = xcalloc(1, sizeof(*t));

	t->timer = ev_timer_new(ev, on_timer, t);
	t->fn = fn;
	t->arg = arg;
	t->budget = (uint64_t)TALLY_BURST * 1000;
	t->budget_at = ev_now_ms();
	return t;
}

static struct kind *
kind_at(struct tally *t, size_t i)
{
	return &t->ring[(t->first + i) % TALLY_KINDS];
}

/* Told, or not told and kept: -1. */
static int
drop_first(struct tally *t)
{
	struct kind *k = kind_at(t, 0);

	if (k->count > 0 && t->fn(&k->fields, k->nfields, k->count, t->arg) < 0)
		return -1;
	buf_free(&k->fields);
	memset(k, 0, sizeof(*k));
	t->first = (t->first + 1) % TALLY_KINDS;
	t->n--;
	return 0;
}

void
tally_free(struct tally *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++)
		buf_free(&kind_at(t, i)->fields);
	ev_timer_free(t->timer);
	free(t);
}

static void
on_timer(void *arg)
{
	struct tally *t = arg;
	uint64_t now = ev_now_ms();

	while (t->n > 0 && kind_at(t, 0)->until <= now)
		if (drop_first(t) < 0) {
			ev_timer_set(t->timer, TALLY_MS);
			return;
		}
	if (t->n > 0)
		ev_timer_set(t->timer, kind_at(t, 0)->until - now);
}

void
tally_tell(struct tally *t)
{
	while (t->n > 0 && drop_first(t) == 0)
		continue;
}

/* FNV-1a: to find candidates; the bytes decide. */
static uint64_t
hash_of(const uint8_t *p, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* What follows the number of fields. */
static const uint8_t *
fields_of(const struct audit_ev *e)
{
	return e->body.data + e->count_at + sizeof(uint32_t);
}

static size_t
fields_len(const struct audit_ev *e)
{
	return e->body.len - e->count_at - sizeof(uint32_t);
}

static struct kind *
find(struct tally *t, const struct audit_ev *e, uint64_t *hash)
{
	const uint8_t *p = fields_of(e);
	size_t n = fields_len(e);

	*hash = hash_of(p, n);
	for (size_t i = 0; i < t->n; i++) {
		struct kind *k = kind_at(t, i);

		if (k->hash == *hash && buf_len(&k->fields) == n &&
		    memcmp(buf_head(&k->fields), p, n) == 0)
			return k;
	}
	return NULL;
}

/* NULL: no room, because nothing can be told. */
static struct kind *
add(struct tally *t, const struct audit_ev *e, uint64_t hash)
{
	struct kind *k;

	if (t->n == TALLY_KINDS && drop_first(t) < 0)
		return NULL;
	k = kind_at(t, t->n++);
	k->hash = hash;
	k->until = ev_now_ms() + TALLY_MS;
	k->nfields = e->count;
	buf_init(&k->fields, 0);
	buf_put(&k->fields, fields_of(e), fields_len(e));
	if (t->n == 1)
		ev_timer_set(t->timer, TALLY_MS);
	return k;
}

bool
tally_repeats(struct tally *t, const struct audit_ev *e)
{
	uint64_t hash;
	struct kind *k = find(t, e, &hash);

	if (k == NULL)
		(void)add(t, e, hash);
	else
		k->count++;
	return k != NULL;
}

int
tally_count(struct tally *t, const struct audit_ev *e)
{
	uint64_t hash;
	struct kind *k = find(t, e, &hash);

	if (k == NULL)
		k = add(t, e, hash);
	if (k == NULL)
		return -1;
	k->count++;
	return 0;
}

bool
tally_budget(struct tally *t)
{
	uint64_t now = ev_now_ms();
	const uint64_t most = (uint64_t)TALLY_BURST * 1000;

	t->budget += (now - t->budget_at) * TALLY_PER_SECOND;
	t->budget_at = now;
	if (t->budget > most)
		t->budget = most;
	if (t->budget < 1000)
		return false;
	t->budget -= 1000;
	return true;
}
