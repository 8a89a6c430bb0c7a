#include "inferd/ledger.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

#define PLACES_MIN 64u

/* A name is its SHA-256, cut; all zeros: a free place. */
struct entry {
	uint64_t key[2];
	struct ledger_use use;
};

/*
 * Open addressing: an entry is at the place that its key says, or behind it
 * with no free one between.  A power of two of places, a quarter of them free.
 */
struct ledger {
	struct entry *entry;
	size_t places, n, max;
	uint64_t soonest; /* that one of them is over, or earlier */
};

struct ledger *
ledger_new(size_t max)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	l->max = max;
	l->places = PLACES_MIN;
	l->entry = xcalloc(l->places, sizeof(*l->entry));
	l->soonest = UINT64_MAX;
	return l;
}

void
ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	free(l->entry);
	free(l);
}

size_t
ledger_count(const struct ledger *l)
{
	return l->n;
}

static void
key_of(const char *name, uint64_t key[2])
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned int n;

	if (EVP_Digest(name, strlen(name), hash, &n, EVP_sha256(), NULL) != 1)
		fatalx("cannot hash");
	memcpy(key, hash, 2 * sizeof(*key));
	key[0] |= key[0] == 0 && key[1] == 0;
}

static bool
is_free(const struct entry *e)
{
	return e->key[0] == 0 && e->key[1] == 0;
}

/* Where it is, or would be. */
static size_t
place_of(const struct ledger *l, const uint64_t key[2])
{
	size_t i = (size_t)key[0] & (l->places - 1);

	while (!is_free(&l->entry[i]) &&
	       (l->entry[i].key[0] != key[0] || l->entry[i].key[1] != key[1]))
		i = (i + 1) & (l->places - 1);
	return i;
}

/* The same entries, but for those that are over, in so many places. */
static void
rebuild(struct ledger *l, size_t places, uint64_t now_ms)
{
	struct entry *old = l->entry;
	const size_t nold = l->places;

	l->entry = xcalloc(places, sizeof(*l->entry));
	l->places = places;
	l->n = 0;
	l->soonest = UINT64_MAX;
	for (size_t i = 0; i < nold; i++) {
		if (is_free(&old[i]) || old[i].use.over_ms <= now_ms)
			continue;
		l->entry[place_of(l, old[i].key)] = old[i];
		l->n++;
		if (old[i].use.over_ms < l->soonest)
			l->soonest = old[i].use.over_ms;
	}
	free(old);
}

bool
ledger_put(struct ledger *l, const char *name, const struct ledger_use *use,
    uint64_t now_ms)
{
	struct entry e = { .use = *use };

	if (use->over_ms <= now_ms)
		return true;
	if (l->n == l->max && l->soonest <= now_ms)
		rebuild(l, l->places, now_ms);
	if (l->n == l->max)
		return false;
	if (l->n + 1 > l->places / 4 * 3)
		rebuild(l, l->places * 2, now_ms);
	key_of(name, e.key);
	l->entry[place_of(l, e.key)] = e;
	l->n++;
	if (use->over_ms < l->soonest)
		l->soonest = use->over_ms;
	return true;
}

/* Frees place i: what stands behind it and belongs before comes nearer. */
static void
take_out(struct ledger *l, size_t i)
{
	const size_t mask = l->places - 1;
	size_t next = i;

	for (;;) {
		struct entry *e;

		next = (next + 1) & mask;
		e = &l->entry[next];
		if (is_free(e))
			break;
		/* Not one whose own place is behind i. */
		if (((next - (size_t)e->key[0]) & mask) < ((next - i) & mask))
			continue;
		l->entry[i] = *e;
		i = next;
	}
	memset(&l->entry[i], 0, sizeof(l->entry[i]));
	l->n--;
}

bool
ledger_take(struct ledger *l, const char *name, struct ledger_use *use)
{
	uint64_t key[2];
	size_t i;

	if (l->n == 0)
		return false;
	key_of(name, key);
	i = place_of(l, key);
	if (is_free(&l->entry[i]))
		return false;
	*use = l->entry[i].use;
	take_out(l, i);
	return true;
}
