#include "inferd/agent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/ledger.h"

struct agents {
	struct agent_budget budget;
	struct agent **all; /* in order of their making */
	uint32_t n;
	uint32_t spaces; /* the last one */
	uint64_t uses;
	struct ledger *spent; /* by those that are not in the table any more */
	agents_gone_fn *gone;
	void *gone_arg;
};

struct agents *
agents_new(const struct agent_budget *budget)
{
	struct agents *a = xcalloc(1, sizeof(*a));

	a->budget = *budget;
	a->spent = ledger_new(AGENTS_SPENT_MAX);
	return a;
}

void
agents_free(struct agents *a)
{
	if (a == NULL)
		return;
	for (uint32_t i = 0; i < a->n; i++)
		free(a->all[i]);
	free(a->all);
	ledger_free(a->spent);
	free(a);
}

void
agents_on_gone(struct agents *a, agents_gone_fn *fn, void *arg)
{
	a->gone = fn;
	a->gone_arg = arg;
}

static bool
is_name(const char *name)
{
	const size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f)
			return false;
	return n > 0 && n <= AGENT_NAME_MAX;
}

/* What it had used when it was forgotten. */
static void
remember(struct agents *a, struct agent *g)
{
	struct ledger_use use;

	if (!ledger_take(a->spent, g->name, &use))
		return;
	g->tokens = use.tokens;
	g->cpu_us = use.cpu_us;
	g->window_ms = use.window_ms;
}

struct agent *
agents_find(struct agents *a, const char *name)
{
	struct agent *g;

	for (uint32_t i = 0; i < a->n; i++)
		if (strcmp(a->all[i]->name, name) == 0) {
			a->all[i]->used = ++a->uses;
			return a->all[i];
		}
	if (!is_name(name) || a->n == AGENTS_MAX)
		return NULL;
	g = xcalloc(1, sizeof(*g));
	g->budget = a->budget;
	strlcpy(g->name, name, sizeof(g->name));
	a->all = xreallocarray(a->all, a->n + 1, sizeof(*a->all));
	a->all[a->n++] = g;
	g->space = ++a->spaces;
	g->used = ++a->uses;
	remember(a, g);
	return g;
}

struct agent *
agents_get(struct agents *a, uint32_t i)
{
	return i < a->n ? a->all[i] : NULL;
}

static void
roll(struct agent *g, uint64_t now_ms)
{
	const uint64_t window_s = g->budget.window_s;

	/* The first window begins with the first request. */
	if (g->window_ms == 0)
		g->window_ms = now_ms;
	if (window_s == 0 || (now_ms - g->window_ms) / 1000 < window_s)
		return;
	g->window_ms = now_ms;
	g->tokens = g->cpu_us = 0;
}

/* Some of a budget, in a window that is not over. */
static bool
has_used(struct agent *g, uint64_t now_ms)
{
	const struct agent_budget *b = &g->budget;

	/* To be looked at begins no window. */
	if (g->tokens > 0 || g->cpu_us > 0)
		roll(g, now_ms);
	return (b->tokens > 0 && g->tokens > 0) ||
	       (b->cpu_ms > 0 && g->cpu_us > 0);
}

static bool
write_down(struct agents *a, const struct agent *g, uint64_t now_ms)
{
	const uint64_t window_s = g->budget.window_s;
	const struct ledger_use use = { .tokens = g->tokens,
		.cpu_us = g->cpu_us,
		.window_ms = g->window_ms,
		.over_ms = window_s == 0 ? UINT64_MAX
					 : g->window_ms + window_s * 1000 };

	return ledger_put(a->spent, g->name, &use, now_ms);
}

static void
forget(struct agents *a, uint32_t at)
{
	struct agent *g = a->all[at];

	a->n--;
	memmove(&a->all[at], &a->all[at + 1], (a->n - at) * sizeof(*a->all));
	if (a->gone != NULL)
		a->gone(g->space, a->gone_arg);
	free(g);
}

/* Who was looked for longest ago of those that nobody holds; unused: and that
 * have used nothing.  a->n: nobody. */
static uint32_t
oldest(const struct agents *a, bool unused, uint64_t now_ms)
{
	uint32_t best = a->n;

	for (uint32_t i = 0; i < a->n; i++)
		if (a->all[i]->open == 0 && a->all[i]->held == 0 &&
		    (best == a->n || a->all[i]->used < a->all[best]->used) &&
		    !(unused && has_used(a->all[i], now_ms)))
			best = i;
	return best;
}

void
agents_make_room(struct agents *a, uint64_t now_ms)
{
	uint32_t at;

	if (a->n < AGENTS_MAX)
		return;
	at = oldest(a, false, now_ms);
	if (at < a->n && has_used(a->all[at], now_ms) &&
	    !write_down(a, a->all[at], now_ms))
		at = oldest(a, true, now_ms);
	if (at < a->n)
		forget(a, at);
}

static uint32_t
window_left_s(const struct agent *g, uint64_t now_ms)
{
	uint64_t s = g->budget.window_s;

	if (s == 0)
		return 0;
	s -= (now_ms - g->window_ms) / 1000;
	return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

int
agent_admit(struct agent *g, uint64_t now_ms, uint64_t tokens,
    uint32_t *retry_s, struct error *err)
{
	const struct agent_budget *b = &g->budget;

	roll(g, now_ms);
	*retry_s = 0;
	if (b->tokens > 0 && tokens > b->tokens)
		return error_set(err, 0,
		    "%" PRIu64 " tokens asked for, the budget is %" PRIu64,
		    tokens, b->tokens);
	if (b->requests > 0 && g->open >= b->requests) {
		*retry_s = 1;
		return error_set(err, 0,
		    "%" PRIu32 " requests are open, the budget is %" PRIu32,
		    g->open, b->requests);
	}
	if (b->tokens > 0 &&
	    (g->tokens >= b->tokens || tokens > b->tokens - g->tokens)) {
		*retry_s = window_left_s(g, now_ms);
		return error_set(err, 0,
		    "%" PRIu64 " tokens used and %" PRIu64
		    " asked for, the budget is %" PRIu64,
		    g->tokens, tokens, b->tokens);
	}
	if (b->cpu_ms > 0 && g->cpu_us / 1000 >= b->cpu_ms) {
		*retry_s = window_left_s(g, now_ms);
		return error_set(err, 0,
		    "%" PRIu64 " ms of processor time used, the budget is "
		    "%" PRIu64 " ms",
		    g->cpu_us / 1000, b->cpu_ms);
	}
	return 0;
}

void
agent_charge(struct agent *g, uint64_t now_ms, uint64_t tokens, uint64_t cpu_us)
{
	roll(g, now_ms);
	g->tokens += tokens;
	g->cpu_us += cpu_us;
}

static uint64_t
left(uint64_t budget, uint64_t used)
{
	if (budget == 0)
		return UINT64_MAX;
	return used < budget ? budget - used : 0;
}

void
agent_left(struct agent *g, uint64_t now_ms, uint64_t *tokens, uint64_t *cpu_us)
{
	roll(g, now_ms);
	*tokens = left(g->budget.tokens, g->tokens);
	*cpu_us = left(g->budget.cpu_ms * 1000, g->cpu_us);
}

bool
agent_is_spent(struct agent *g, uint64_t now_ms)
{
	uint64_t tokens, cpu_us;

	agent_left(g, now_ms, &tokens, &cpu_us);
	return tokens == 0 || cpu_us == 0;
}
