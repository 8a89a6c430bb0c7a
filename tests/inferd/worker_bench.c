#include "tests/inferd/worker_bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "inferd/block.h"
#include "inferd/kv.h"

struct bench_layers bench_layers;

static void
counted_layer(struct run *r, uint32_t layer)
{
	block_decoder(r, layer);
	bench_layers.rows += r->n;
	if (++bench_layers.n == bench_layers.stop_at)
		atomic_store(&bench_layers.stop->gen.stop, GEN_CANCELLED);
}

void
bench_new_with(struct bench *b, const struct world *w, unsigned threads,
    uint32_t positions, bool no_drafts)
{
	struct engine_opts o = { .threads = threads,
		.kv_type = TT_F16,
		.context = 2048,
		.batch_max = BENCH_STREAMS,
		.no_drafts = no_drafts };
	struct error err = { 0 };
	struct kv_pool *kv;

	*b = (struct bench){ .world = w, .now = SECOND };
	b->net = net_new(model_table(w->model), &err);
	assert_non_null(b->net);
	b->def = *b->net->def;
	b->def.layer = counted_layer;
	b->net->def = &b->def;
	kv = kv_pool_new(&b->net->hp, o.kv_type, 0);
	b->page = kv_page_bytes(kv);
	kv_pool_free(kv);
	o.kv_budget = (positions + KV_PAGE - 1) / KV_PAGE * b->page;
	b->post = post_new();
	b->worker = worker_new(b->net, w->tok, &o, b->post);
	bench_layers = (struct bench_layers){ 0 };
}

void
bench_new(struct bench *b, const struct world *w, unsigned threads,
    uint32_t positions)
{
	bench_new_with(b, w, threads, positions, false);
}

void
bench_free(struct bench *b)
{
	worker_free(b->worker);
	post_free(b->post);
	net_free(b->net);
}

void
bench_mail(struct bench *b)
{
	struct mail *m = post_mail(b->post), *next;

	for (; m != NULL; m = next) {
		struct asked *a = (struct asked *)m->gen;

		next = m->next;
		if (m->charge) {
			a->tokens += m->tokens;
			a->cpu_us += m->cpu_us;
		} else if (m->e.type == GEN_PROGRESS)
			a->progress++;
		else if (m->e.type == GEN_END) {
			assert_int_equal(a->finish, GEN_GOING);
			a->finish = m->e.finish;
			a->usage = m->e.usage;
			a->n = m->e.n;
			a->bytes = xmemdup(m->e.n > 0 ? m->e.p : "", a->n);
		}
		free(m);
	}
}

void
bench_ask(
    struct bench *b, struct asked *a, uint32_t text, uint32_t n, uint32_t more)
{
	*a = (struct asked){ .gen = { .params = world_params(more, text),
				 .prompt = world_prompt(b->world, text, n),
				 .n = n,
				 .space = 1 + text % 3,
				 .agent_name = "agent",
				 .tokens_left = UINT64_MAX,
				 .cpu_left_us = UINT64_MAX,
				 .came_us = b->now } };
	a->gen.agent_name = text % 3 == 0 ? "a" : text % 3 == 1 ? "b" : "c";
	atomic_init(&a->gen.stop, GEN_GOING);
}

static const struct chat_tool tool = { { "look_it_up_again", 16 }, { "", 0 },
	{ "{\"type\":\"object\"}", 17 } };

void
bench_ask_again(struct bench *b, struct asked *a, uint32_t text)
{
	const uint32_t n = 60 + 20 * text;

	bench_ask(b, a, text, n, BENCH_SAY);
	for (uint32_t i = 12; i < n; i++)
		a->gen.prompt[i] = a->gen.prompt[i % 12];
	a->gen.params.sample.temperature = text % 3 == 2 ? 0.7f : 0;
	a->gen.params.sample.top_k = 2;
	a->gen.tokens_left = text == 4 ? n + BENCH_SAY / 4 : UINT64_MAX;
	/* Much of a call comes whatever the logits say. */
	if (text == 6) {
		a->gen.params.family = CHAT_CHATML;
		a->gen.params.chat = true;
		a->gen.params.tools = &tool;
		a->gen.params.ntools = 1;
		a->gen.params.tool_choice = TOOLS_REQUIRED;
	}
}

bool
bench_step(struct bench *b)
{
	const bool busy = worker_step(b->worker, b->now);

	b->now += SECOND / 100;
	bench_mail(b);
	return busy;
}

void
bench_run(struct bench *b)
{
	while (bench_step(b))
		;
	assert_false(worker_waits(b->worker));
}

void
asked_forget(struct asked *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(a[i].bytes);
}

void
assert_asked_same(const struct asked *a, const struct asked *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(a[i].finish, b[i].finish);
		assert_int_equal(a[i].usage.sampled, b[i].usage.sampled);
		assert_int_equal(a[i].n, b[i].n);
		assert_memory_equal(a[i].bytes, b[i].bytes, a[i].n);
	}
}
