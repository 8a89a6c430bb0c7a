#include "inferd/metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static const char *const api_names[API_OTHER] = {
	[API_CHAT] = "chat",
	[API_COMPLETIONS] = "completions",
	[API_RESPONSES] = "responses",
	[API_MESSAGES] = "messages",
	[API_COUNT_TOKENS] = "count_tokens",
};

static const char *const outcome_names[OUTCOMES] = {
	[GEN_GOING] = "",
	[GEN_STOP] = "stop",
	[GEN_STOP_TEXT] = "stop_text",
	[GEN_LENGTH] = "length",
	[GEN_CALLS] = "calls",
	[GEN_BUDGET] = "budget",
	[GEN_LOOP] = "loop",
	[GEN_CANCELLED] = "cancelled",
	[GEN_DEADLINE] = "deadline",
	[OUTCOME_ANSWERED] = "answered",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_UNRECORDED] = "unrecorded",
};

/* ---- clients ------------------------------------------------------------ */

/* Whose connections ended longest ago. */
static bool
drop_one(struct metrics *m)
{
	struct client **at, **oldest = NULL, *gone;

	for (at = &m->clients; *at != NULL; at = &(*at)->next)
		if ((*at)->conns == 0 && (*at)->open == 0 &&
		    (oldest == NULL || (*at)->used < (*oldest)->used))
			oldest = at;
	if (oldest == NULL)
		return false;
	gone = *oldest;
	*oldest = gone->next;
	free(gone);
	m->n--;
	return true;
}

struct client *
metrics_client(struct metrics *m, const char *name)
{
	struct client *c;

	for (c = m->clients; c != NULL; c = c->next)
		if (strcmp(c->name, name) == 0)
			break;
	if (c == NULL) {
		if (m->n >= METRICS_CLIENTS && !drop_one(m))
			return NULL;
		c = xcalloc(1, sizeof(*c));
		strlcpy(c->name, name, sizeof(c->name));
		c->next = m->clients;
		m->clients = c;
		m->n++;
	}
	c->used = ++m->uses;
	return c;
}

void
metrics_free(struct metrics *m)
{
	while (m->clients != NULL) {
		struct client *c = m->clients;

		m->clients = c->next;
		free(c);
	}
	m->n = 0;
}

void
metrics_ended(struct client *c, enum api_kind kind, unsigned outcome)
{
	if (kind < API_OTHER && outcome < OUTCOMES)
		c->ended[kind][outcome]++;
}

void
metrics_usage(struct client *c, const struct gen_usage *u)
{
	c->sum.prompt += u->prompt;
	c->sum.cached += u->cached;
	c->sum.sampled += u->sampled;
	c->sum.thinking += u->thinking;
	c->sum.drafted += u->drafted;
	c->sum.accepted += u->accepted;
	c->sum.model_drafted += u->model_drafted;
	c->sum.model_accepted += u->model_accepted;
	c->sum.queue_us += u->queue_us;
	c->sum.prompt_us += u->prompt_us;
	c->sum.sample_us += u->sample_us;
}

/* ---- text --------------------------------------------------------------- */

struct page {
	const struct metrics *m;
	const struct client *only;
	struct buf *out;
};

static void
family(struct page *p, const char *name, const char *type, const char *unit,
    const char *help)
{
	buf_printf(p->out, "# TYPE inferd_%s %s\n", name, type);
	if (unit != NULL)
		buf_printf(p->out, "# UNIT inferd_%s %s\n", name, unit);
	buf_printf(p->out, "# HELP inferd_%s %s.\n", name, help);
}

/* A name has nothing in it that must be escaped, but that is another file's
 * rule. */
static void
put_name(struct page *p, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == '\n')
			buf_printf(p->out, "\\n");
		else if (*name == '"' || *name == '\\')
			buf_printf(p->out, "\\%c", *name);
		else
			buf_put_u8(p->out, (uint8_t)*name);
	}
}

/* inferd_NAME{agent="...", without what closes the braces. */
static void
sample(struct page *p, const char *name, const struct client *c)
{
	buf_printf(p->out, "inferd_%s{agent=\"", name);
	put_name(p, c->name);
	buf_printf(p->out, "\"");
}

#define EACH(p, c)                                                             \
	for (const struct client *c = (p)->m->clients; c != NULL; c = c->next) \
		if ((p)->only == NULL || (p)->only == c)

static void
put_requests(struct page *p)
{
	family(p, "requests", "counter", NULL,
	    "Requests by the protocol they came in and how they ended");
	EACH(p, c)
	for (unsigned k = 0; k < API_OTHER; k++)
		for (unsigned o = 0; o < OUTCOMES; o++) {
			if (c->ended[k][o] == 0)
				continue;
			sample(p, "requests_total", c);
			buf_printf(p->out,
			    ",api=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
			    api_names[k], outcome_names[o], c->ended[k][o]);
		}
	family(p, "requests_open", "gauge", NULL, "Requests being worked on");
	EACH(p, c)
	{
		sample(p, "requests_open", c);
		buf_printf(p->out, "} %u\n", c->open);
	}
	family(p, "connections", "gauge", NULL, "Connections that are open");
	EACH(p, c)
	{
		sample(p, "connections", c);
		buf_printf(p->out, "} %u\n", c->conns);
	}
}

static void
put_tokens(struct page *p)
{
	static const struct {
		const char *name, *total, *help;
		size_t at;
	} kinds[] = {
		{ "prompt_tokens", "prompt_tokens_total", "Tokens of prompts",
		    offsetof(struct client, sum.prompt) },
		{ "cached_tokens", "cached_tokens_total",
		    "Of those, found in the cache",
		    offsetof(struct client, sum.cached) },
		{ "sampled_tokens", "sampled_tokens_total",
		    "Tokens of answers, thoughts too",
		    offsetof(struct client, sum.sampled) },
		{ "thinking_tokens", "thinking_tokens_total",
		    "Of those, thoughts",
		    offsetof(struct client, sum.thinking) },
		{ "drafted_tokens", "drafted_tokens_total",
		    "Tokens guessed ahead",
		    offsetof(struct client, sum.drafted) },
		{ "accepted_tokens", "accepted_tokens_total", "Of those, right",
		    offsetof(struct client, sum.accepted) },
		{ "model_drafted_tokens", "model_drafted_tokens_total",
		    "Tokens guessed ahead by the draft model",
		    offsetof(struct client, sum.model_drafted) },
		{ "model_accepted_tokens", "model_accepted_tokens_total",
		    "Of those, right",
		    offsetof(struct client, sum.model_accepted) },
	};

	for (size_t i = 0; i < nitems(kinds); i++) {
		family(p, kinds[i].name, "counter", NULL, kinds[i].help);
		EACH(p, c)
		{
			uint64_t n;

			memcpy(&n, (const char *)c + kinds[i].at, sizeof(n));
			sample(p, kinds[i].total, c);
			buf_printf(p->out, "} %" PRIu64 "\n", n);
		}
	}
}

static void
put_seconds(struct page *p)
{
	family(p, "state_seconds", "counter", "seconds",
	    "Time that requests spent waiting, being read and being answered");
	EACH(p, c)
	{
		const struct {
			const char *name;
			uint64_t us;
		} states[] = { { "queue", c->sum.queue_us },
			{ "prompt", c->sum.prompt_us },
			{ "sample", c->sum.sample_us } };

		for (size_t i = 0; i < nitems(states); i++) {
			sample(p, "state_seconds_total", c);
			buf_printf(p->out,
			    ",state=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n",
			    states[i].name, states[i].us / 1000000,
			    states[i].us % 1000000);
		}
	}
}

static void
gauge(struct page *p, const char *name, const char *unit, const char *help,
    double value)
{
	family(p, name, "gauge", unit, help);
	buf_printf(p->out, "inferd_%s %.17g\n", name, value);
}

static void
put_engine(struct page *p, const struct engine_stats *e)
{
	if (p->m->has_record)
		gauge(p, "record_failed", NULL,
		    "1 when the record cannot be written and nothing is "
		    "answered",
		    p->m->record_failed);
	gauge(p, "running", NULL, "Requests in the engine", e->running);
	gauge(p, "waiting", NULL, "Requests that wait for it", e->waiting);
	gauge(p, "kv_used_bytes", "bytes", "Keys and values in memory",
	    (double)e->kv_used);
	gauge(p, "kv_budget_bytes", "bytes", "Keys and values that may be",
	    (double)e->kv_budget);
	gauge(p, "prompt_rate", NULL, "Prompt tokens a second, lately",
	    e->prefill_rate);
	gauge(p, "sample_rate", NULL, "Sampled tokens a second, lately",
	    e->decode_rate);
}

void
metrics_put(const struct metrics *m, const struct client *only,
    const struct engine_stats *e, struct buf *out)
{
	struct page p = { .m = m, .only = only, .out = out };

	put_requests(&p);
	put_tokens(&p);
	put_seconds(&p);
	if (only == NULL)
		put_engine(&p, e);
	buf_printf(out, "# EOF\n");
}
