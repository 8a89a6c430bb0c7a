#include "inferd/draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define SHORTEST 3u /* tokens that must be the same */
#define LONGEST 16u /* more make no difference */
#define CHAIN 8u    /* places that are compared */
#define NEWEST 0.125
#define FORGET (1.0 / 256)
/* A row more, as a part of a step, until it is known. */
#define ROW_GUESS 0.25

/* How often guesses come true, by how much was the same before them. */
static const struct {
	uint32_t length;
	double chance;
} kinds[] = { { 3, 0.3 }, { 4, 0.4 }, { 5, 0.5 }, { 7, 0.6 }, { 11, 0.75 } };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct draft {
	uint32_t
	    *head; /* by hash: the last place behind such tokens, 0: none */
	uint32_t mask;
	uint32_t *prev; /* [cap]: the place before it with this hash */
	uint32_t n, cap;
	double chance[KINDS];
	size_t kind; /* of the last guess */
	double rate;
};

struct draft *
draft_new(void)
{
	struct draft *d = xcalloc(1, sizeof(*d));
	size_t i;

	for (i = 0; i < KINDS; i++)
		d->chance[i] = kinds[i].chance;
	return d;
}

void
draft_free(struct draft *d)
{
	if (d == NULL)
		return;
	free(d->head);
	free(d->prev);
	free(d);
}

/* Of the tokens before `at`. */
static uint32_t
hash(const struct draft *d, const uint32_t *ids, uint32_t at)
{
	uint64_t h = 0;
	uint32_t i;

	for (i = at - SHORTEST; i < at; i++)
		h = (h ^ ids[i]) * 0x9e3779b97f4a7c15ull;
	return (uint32_t)(h >> 32) & d->mask;
}

static void
insert(struct draft *d, const uint32_t *ids, uint32_t at)
{
	uint32_t *head = &d->head[hash(d, ids, at)];

	d->prev[at] = *head;
	*head = at;
}

static void
grow(struct draft *d, const uint32_t *ids, uint32_t n)
{
	uint32_t cap = d->cap == 0 ? 1024 : d->cap, i;

	while (cap < n)
		cap *= 2;
	if (cap == d->cap)
		return;
	free(d->head);
	d->cap = cap;
	d->mask = cap - 1;
	d->head = xcalloc(cap, sizeof(*d->head));
	d->prev = xreallocarray(d->prev, cap, sizeof(*d->prev));
	for (i = SHORTEST; i < d->n; i++)
		insert(d, ids, i);
}

void
draft_add(struct draft *d, const uint32_t *ids, uint32_t n)
{
	if (n > DRAFT_TOKENS)
		n = DRAFT_TOKENS;
	grow(d, ids, n);
	for (; d->n < n; d->n++)
		if (d->n >= SHORTEST)
			insert(d, ids, d->n);
}

/* How many tokens before a and b are the same. */
static uint32_t
same(const uint32_t *ids, uint32_t a, uint32_t b)
{
	uint32_t k = 0;

	while (k < LONGEST && k < a && ids[a - 1 - k] == ids[b - 1 - k])
		k++;
	return k;
}

/* The place behind the longest of what stands before n; 0: none. */
static uint32_t
find(const struct draft *d, const uint32_t *ids, uint32_t n, uint32_t *length)
{
	uint32_t at, best = 0, k, tries;

	*length = SHORTEST - 1;
	if (n < SHORTEST || d->n == 0)
		return 0;
	at = d->head[hash(d, ids, n)];
	for (tries = 0; at != 0 && tries < CHAIN; tries++) {
		k = at < n ? same(ids, at, n) : 0;
		if (k > *length) {
			*length = k;
			best = at;
		}
		at = d->prev[at];
	}
	return best;
}

uint32_t
draft_worth(const struct draft_outlook *o, double *rate)
{
	double tokens = o->tokens, right = o->right, now;
	uint32_t k, n = o->from;

	*rate = o->cost[n] > 0 ? tokens / o->cost[n] : 0;
	for (k = o->from + 1; k <= o->max; k++) {
		right *= o->chance;
		tokens += right;
		now = o->cost[k] > 0 ? tokens / o->cost[k] : 0;
		if (now > *rate) {
			*rate = now;
			n = k;
		}
	}
	return n;
}

void
draft_chance_add(double *chance, bool came)
{
	*chance += NEWEST * ((came ? 1 : 0) - *chance);
}

void
draft_chance_forget(double *chance, double thought)
{
	*chance += FORGET * (thought - *chance);
}

uint32_t
draft_guess(struct draft *d, const uint32_t *ids, uint32_t n, uint32_t max,
    const double *cost, double others, uint32_t *out)
{
	uint32_t length, at = find(d, ids, n, &length), k, count;
	struct draft_outlook o = { .tokens = 1 + others,
		.right = 1,
		.max = max < DRAFT_MAX ? max : DRAFT_MAX,
		.cost = cost };
	double *chance;

	if (at == 0)
		return 0;
	for (d->kind = KINDS - 1; kinds[d->kind].length > length;)
		d->kind--;
	chance = &d->chance[d->kind];
	o.chance = *chance;
	count = draft_worth(&o, &d->rate);
	if (count == 0)
		draft_chance_forget(chance, kinds[d->kind].chance);
	/* Where the text repeats itself the guesses go on with themselves. */
	for (k = 0; k < count; k++)
		out[k] = at + k < n ? ids[at + k] : out[at + k - n];
	return count;
}

double
draft_rate(const struct draft *d)
{
	return d->rate;
}

void
draft_result(struct draft *d, uint32_t guessed, uint32_t accepted)
{
	double *chance = &d->chance[d->kind];
	uint32_t k;

	/* Of those behind the first wrong one nothing is known. */
	for (k = 0; k < guessed && k <= accepted; k++)
		draft_chance_add(chance, k < accepted);
}

void
draft_costs_add(struct draft_costs *c, uint32_t rows, double us)
{
	double *at;

	if (rows == 0 || rows > DRAFT_ROWS)
		return;
	at = &c->us[rows];
	*at = *at <= 0 ? us : *at + NEWEST * (us - *at);
}

double
draft_costs_get(const struct draft_costs *c, uint32_t rows)
{
	uint32_t below, above;

	rows = rows > DRAFT_ROWS ? DRAFT_ROWS : rows;
	for (below = rows; below > 0 && c->us[below] <= 0;)
		below--;
	for (above = rows; above <= DRAFT_ROWS && c->us[above] <= 0;)
		above++;
	if (below == rows && below > 0)
		return c->us[below];
	if (below == 0)
		return above > DRAFT_ROWS ? 0 : c->us[above];
	if (above > DRAFT_ROWS) /* as if of one row, each more adds a part */
		return c->us[below] * (1 + ROW_GUESS * rows) /
		       (1 + ROW_GUESS * below);
	return c->us[below] +
	       (c->us[above] - c->us[below]) * (rows - below) / (above - below);
}
