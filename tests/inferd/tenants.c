#include "tests/inferd/tenants.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/worker.h"

#define ROUND_MS 1000
#define ROUNDS 600 /* until something is taken to hang */
#define TOKENS 4u  /* of an answer */

struct asked {
	struct answer *a;
	uint64_t began_us;
	bool ended;
};

static void
start(struct tenants *t)
{
	const struct engine_opts o = { .threads = 2,
		.kv_type = TT_F16,
		.kv_budget = 64u << 20,
		.context = 4096,
		.batch_max = 4,
		.cache_dir = t->cache,
		.disk_budget = 1u << 30 };
	struct error err = { 0 };

	t->engine = engine_new(t->ev, t->world.model, t->world.tok, &o, &err);
	if (t->engine == NULL)
		fail_msg("%s", err.msg);
}

void
tenants_new(struct tenants *t)
{
	const struct agent_budget none = { 0 };

	world_new(&t->world);
	snprintf(t->cache, sizeof(t->cache), "%s/cache", t->world.dir);
	t->ev = ev_new();
	t->agents = agents_new(&none);
	start(t);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

void
tenants_free(struct tenants *t)
{
	engine_free(t->engine);
	agents_free(t->agents);
	ev_free(t->ev);
	nftw(t->cache, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	world_free(&t->world);
}

void
tenants_restart(struct tenants *t)
{
	engine_free(t->engine);
	start(t);
}

static void
on_event(const struct gen_event *e, void *arg)
{
	struct asked *q = arg;
	struct answer *a = q->a;

	if (e->type == GEN_TEXT) {
		if (a->n == 0)
			a->first_us = worker_now_us() - q->began_us;
		if (e->n < sizeof(a->text) - a->n) {
			memcpy(a->text + a->n, e->p, e->n);
			a->n += e->n;
		}
	} else if (e->type == GEN_END) {
		a->usage = e->usage;
		q->ended = true;
	}
}

void
tenants_ask(struct tenants *t, const char *agent, const int32_t *ids,
    uint32_t n, uint32_t npublic, struct answer *a)
{
	struct asked q = { .a = a, .began_us = worker_now_us() };
	const struct gen_request r = { .agent = agents_find(t->agents, agent),
		.prompt = xmemdup(ids, n * sizeof(*ids)),
		.n = n,
		.npublic = npublic,
		.params = world_params(TOKENS, 7),
		.fn = on_event,
		.arg = &q };
	enum engine_refusal why;
	struct error err = { 0 };
	uint32_t retry_s;
	int rounds = 0;

	*a = (struct answer){ 0 };
	assert_non_null(r.agent);
	assert_non_null(engine_submit(t->engine, &r, &why, &retry_s, &err));
	while (!q.ended) {
		assert_true(rounds++ < ROUNDS);
		ev_once(t->ev, ROUND_MS);
	}
	a->computed = a->usage.prompt - a->usage.cached;
}
