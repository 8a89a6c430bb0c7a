#include "inferd/speed_draft.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* There is no right answer, but names in it come again. */
static const char beginning[] =
    "/* A list of names, each once, in the order in which they came. */\n"
    "struct names {\n\tchar **name;\n\tsize_t n, cap;\n};\n\n"
    "/* The place of a name in the list, or -1. */\n"
    "static int\nnames_find(const struct names *l, const char *name)\n{\n"
    "\tfor (size_t i = 0; i < l->n; i++)\n"
    "\t\tif (strcmp(l->name[i], name) == 0)\n"
    "\t\t\treturn (int)i;\n\treturn -1;\n}\n\n"
    "/* Add a name, if it is not there yet. */\n"
    "static int\nnames_add(struct names *l, const char *name)\n{\n";

#define KV_BYTES (1ull << 30)

/* Of all passes. */
struct spoken {
	uint64_t tokens, us; /* without the first, which the prompt gives */
	uint64_t drafted, accepted, model_drafted, model_accepted;
};

struct asked {
	struct spoken *sum;
	bool over;
};

static void
on_event(const struct gen_event *e, void *arg)
{
	const struct gen_usage *u = &e->usage;
	struct asked *a = arg;

	if (e->type != GEN_END)
		return;
	a->over = true;
	a->sum->tokens += u->sampled > 0 ? u->sampled - 1 : 0;
	a->sum->us += u->sample_us;
	a->sum->drafted += u->drafted;
	a->sum->accepted += u->accepted;
	a->sum->model_drafted += u->model_drafted;
	a->sum->model_accepted += u->model_accepted;
}

static int
speak(struct engine *e, struct ev *ev, struct agent *agent, const struct tok *t,
    uint32_t tokens, struct spoken *sum, struct error *err)
{
	struct asked a = { .sum = sum };
	struct gen_request r = { .agent = agent,
		.params = { .family = CHAT_PLAIN,
		    .sample = { .top_p = 1 },
		    .max_tokens = tokens + 1 },
		.fn = on_event,
		.arg = &a };
	struct tok_ids ids = { 0 };
	enum engine_refusal why;
	uint32_t retry_s;

	tok_encode(t, beginning, strlen(beginning), false, &ids);
	r.prompt = ids.id;
	r.n = (uint32_t)ids.n;
	if (engine_submit(e, &r, &why, &retry_s, err) == NULL)
		return -1;
	while (!a.over)
		ev_once(ev, -1);
	return 0;
}

static double
rate(const struct spoken *s)
{
	return s->us > 0 ? (double)s->tokens * 1e6 / (double)s->us : 0;
}

static void
print(const struct spoken *with, const struct spoken *without,
    const struct speed *s, unsigned threads, bool json)
{
	if (json)
		printf("{\"name\":\"drafts_tg%u\",\"threads\":%u,"
		       "\"tokens_per_second\":%.2f,\"without\":%.2f,"
		       "\"drafted\":%" PRIu64 ",\"accepted\":%" PRIu64
		       ",\"model_drafted\":%" PRIu64
		       ",\"model_accepted\":%" PRIu64 "}\n",
		    s->tokens, threads, rate(with), rate(without),
		    with->drafted, with->accepted, with->model_drafted,
		    with->model_accepted);
	else
		printf("drafts_tg%-6u %8.2f tokens/s  (%.2f without; right: "
		       "%" PRIu64 " of %" PRIu64 " guesses, %" PRIu64
		       " of %" PRIu64 " of the draft model)\n",
		    s->tokens, rate(with), rate(without), with->accepted,
		    with->drafted, with->model_accepted, with->model_drafted);
}

static int
compare(struct ev *ev, const struct backend_opts *o, const struct speed *s,
    bool json, struct error *err)
{
	const struct agent_budget none = { 0 };
	struct backend_opts plain = *o;
	struct spoken with = { 0 }, without = { 0 };
	struct agents *agents = agents_new(&none);
	struct agent *agent = agents_find(agents, "bench");
	struct backend b;
	struct engine *bare = NULL;
	int rc;

	/* A template is not needed, nor is much memory. */
	plain.family = CHAT_PLAIN;
	if (plain.engine.kv_budget == 0)
		plain.engine.kv_budget = KV_BYTES;
	rc = backend_open(&b, &plain, ev, err);
	if (rc == 0) {
		plain.engine.no_drafts = true;
		bare = engine_new(ev, b.model, b.tok, &plain.engine, err);
		rc = bare == NULL ? -1 : 0;
	}
	for (unsigned i = 0; rc == 0 && i < s->passes; i++) {
		rc = speak(bare, ev, agent, b.tok, s->tokens, &without, err);
		if (rc == 0)
			rc = speak(
			    b.engine, ev, agent, b.tok, s->tokens, &with, err);
	}
	if (rc == 0)
		print(&with, &without, s, o->engine.threads, json);
	engine_free(bare);
	backend_close(&b);
	agents_free(agents);
	return rc;
}

int
speed_draft_print(
    const struct backend_opts *o, const struct speed *s, bool json)
{
	struct error err = { 0 };
	struct ev *ev;
	int rc;

	if (s->tokens == 0)
		return EXIT_SUCCESS;
	log_init("inferd", LOG_LEVEL_WARN);
	ev = ev_new();
	rc = compare(ev, o, s, json, &err);
	ev_once(ev, 0);
	ev_free(ev);
	if (rc < 0)
		fprintf(stderr, "inferd: %s\n", err.msg);
	return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
