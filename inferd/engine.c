#include "inferd/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "inferd/asked.h"
#include "inferd/engine_post.h"
#include "inferd/guess.h"
#include "inferd/kv.h"
#include "inferd/model_shape.h"
#include "inferd/net.h"
#include "inferd/thread.h"
#include "inferd/worker.h"

/* How long the thread sleeps at most while something waits. */
#define WAIT_MS 100
#define RETRY_MAX_S 60u
/* A measured speed is believed so long. */
#define STALE_US 60000000u

struct engine {
	struct ev *ev;
	struct net *net, *draft;
	struct post *post;
	struct ev_io *io;
	struct worker *worker; /* of the thread, while there is one */
	pthread_t thread;
	struct asked *asked;
	struct gen *gens;
	uint32_t ngens;
	uint32_t context, positions, batch_max;
	uint64_t page_bytes, state_bytes; /* state_bytes: of one sequence */
};

static void *
engine_main(void *arg)
{
	struct engine *e = arg;
	bool quit = false, idle = false;

	while (!quit) {
		int wait = 0;
		struct gen *come;
		uint32_t space;

		if (idle)
			wait = worker_waits(e->worker) ? WAIT_MS : -1;
		come = post_take(e->post, wait, &quit);
		while ((space = post_take_gone(e->post)) != 0)
			worker_gone(e->worker, space);
		worker_take(e->worker, come);
		idle = quit || (!worker_step(e->worker, worker_now_us()) &&
				   !worker_idle(e->worker));
	}
	return NULL;
}

static void
forget(struct gen *g)
{
	struct engine *e = g->engine;

	if (g->prev != NULL)
		g->prev->next = g->next;
	else
		e->gens = g->next;
	if (g->next != NULL)
		g->next->prev = g->prev;
	e->ngens--;
	g->agent->open--;
	free(g->prompt);
	free(g);
}

/* Of an agent that has used up its budget nothing goes on. */
static void
charge(struct engine *e, const struct mail *m)
{
	struct agent *a = m->gen->agent;
	const uint64_t now = ev_now_ms();

	agent_charge(a, now, m->tokens, m->cpu_us);
	if (!agent_is_spent(a, now))
		return;
	for (struct gen *g = e->gens; g != NULL; g = g->next)
		if (g->agent == a)
			post_stop(e->post, g, GEN_BUDGET);
}

static void
deliver(struct engine *e, const struct mail *m)
{
	struct gen *g = m->gen;

	if (m->charge)
		charge(e, m);
	else if (m->e.type != GEN_END) {
		if (!g->quiet)
			g->fn(&m->e, g->arg);
	} else {
		gen_fn *fn = g->fn;
		void *arg = g->arg;

		forget(g);
		fn(&m->e, arg);
	}
}

static void
on_mail(int fd, unsigned int events, void *arg)
{
	struct engine *e = arg;
	struct mail *m = post_mail(e->post), *next;

	(void)fd;
	(void)events;
	for (; m != NULL; m = next) {
		next = m->next;
		deliver(e, m);
		free(m);
	}
}

static int
start_thread(struct engine *e, struct error *err)
{
	const int error = thread_start(&e->thread, engine_main, e);

	if (error != 0)
		return error_set(err, error, "start the engine's thread");
	return 0;
}

/* So many positions of one sequence find room in these bytes. */
static uint64_t
positions_in(const struct engine *e, uint64_t bytes)
{
	return bytes <= e->state_bytes
		   ? 0
		   : (bytes - e->state_bytes) / e->page_bytes * KV_PAGE;
}

/* What memory allows. */
static int
size_up(struct engine *e, const struct engine_opts *o, struct error *err)
{
	const struct hparams *hp = &e->net->hp;
	struct kv_pool *kv;
	uint64_t n;

	if (!kv_fits(hp, o->kv_type))
		return error_set(err, 0,
		    "keys and values of this model cannot be kept as %s",
		    tensor_type_name(o->kv_type));
	kv = kv_pool_new(hp, o->kv_type, 0);
	e->page_bytes = kv_page_bytes(kv);
	/* One that changes, and one to go on from. */
	e->state_bytes = 2 * (uint64_t)kv_state_bytes(kv);
	kv_pool_free(kv);
	if (e->page_bytes == 0)
		return error_set(
		    err, 0, "a model without keys and values cannot be served");
	n = positions_in(e, o->kv_budget);
	if (n == 0)
		return error_set(err, 0,
		    "%" PRIu64 " bytes for keys and values are too few: %u "
		    "tokens take %" PRIu64,
		    o->kv_budget, KV_PAGE, e->state_bytes + e->page_bytes);
	e->context = o->context != 0 ? o->context : hp->ctx_train;
	e->positions = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	return 0;
}

/*
 * The second model, and what memory it takes from that of o.  Its ids are not
 * looked at again: they are those of the first one.
 */
static int
open_draft(struct engine *e, const struct model *m, struct engine_opts *o,
    uint64_t *budget, struct error *err)
{
	struct kv_pool *kv;

	*budget = 0;
	if (o->draft == NULL)
		return 0;
	e->draft = guesser_net(model_table(m), model_table(o->draft), err);
	if (e->draft == NULL)
		return -1;
	kv = kv_pool_new(&e->net->hp, o->kv_type, 0);
	if (kv_state_bytes(kv) > 0) {
		kv_pool_free(kv);
		return error_set(err, 0,
		    "the draft model: %s keeps a state, and cannot go back "
		    "when guesses are wrong: leave the draft model out",
		    arch_name(e->net->hp.arch));
	}
	*budget = guesser_budget(
	    &e->draft->hp, o->kv_type, kv_page_bytes(kv), o->kv_budget);
	kv_pool_free(kv);
	o->kv_budget -= *budget;
	log_info("draft model: memory for %" PRIu64 " tokens of texts",
	    guesser_positions(&e->draft->hp, o->kv_type, *budget));
	return 0;
}

struct engine *
engine_new(struct ev *ev, const struct model *m, const struct tok *t,
    const struct engine_opts *o, struct error *err)
{
	struct engine *e = xcalloc(1, sizeof(*e));
	struct engine_opts opts = *o;
	uint64_t draft_budget;

	e->ev = ev;
	e->net = net_new(model_table(m), err);
	if (e->net == NULL ||
	    open_draft(e, m, &opts, &draft_budget, err) != 0 ||
	    size_up(e, &opts, err) != 0) {
		net_free(e->draft);
		net_free(e->net);
		free(e);
		return NULL;
	}
	opts.context = e->context;
	if (opts.batch_max == 0)
		opts.batch_max = 1;
	e->batch_max = opts.batch_max;
	e->post = post_new();
	e->asked = asked_new();
	e->worker = worker_new(e->net, t, &opts, e->post);
	if (e->draft != NULL)
		worker_use_guesser(e->worker, e->draft, o->kv_type,
		    draft_budget,
		    (double)model_bytes_per_token(model_table(o->draft)) /
			(double)model_bytes_per_token(model_table(m)));
	e->io = ev_io_new(ev, post_fd(e->post), EV_READ, on_mail, e);
	if ((o->cache_dir != NULL &&
		worker_use_disk(e->worker, &opts, model_id(m), err) != 0) ||
	    start_thread(e, err) != 0) {
		worker_free(e->worker);
		e->worker = NULL;
		engine_free(e);
		return NULL;
	}
	return e;
}

void
engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	if (e->worker != NULL) {
		for (struct gen *g = e->gens; g != NULL; g = g->next)
			engine_cancel(e, g);
		post_quit(e->post);
		pthread_join(e->thread, NULL);
		worker_free(e->worker);
	}
	ev_io_free(e->io);
	on_mail(-1, 0, e);
	post_free(e->post);
	asked_free(e->asked);
	net_free(e->draft);
	net_free(e->net);
	free(e);
}

/* Seconds that work of so many milliseconds takes, for whoever comes back. */
static uint32_t
retry_after(double ms)
{
	if (!(ms > 1000))
		return 1;
	return ms < RETRY_MAX_S * 1000.0 ? (uint32_t)(ms / 1000) : RETRY_MAX_S;
}

static enum engine_refusal
fits(const struct engine *e, const struct gen_request *r, struct gen *g,
    struct error *err)
{
	const uint32_t most = engine_context(e, r->agent);

	if (r->n == 0) {
		error_set(err, 0, "the prompt is empty");
		return ENGINE_CONTEXT;
	}
	for (uint32_t i = 0; i < r->n; i++)
		if (r->prompt[i] < 0 ||
		    (uint32_t)r->prompt[i] >= e->net->hp.vocab) {
			error_set(err, 0,
			    "the prompt has token %" PRId32
			    " of a vocabulary of %" PRIu32,
			    r->prompt[i], e->net->hp.vocab);
			return ENGINE_CONTEXT;
		}
	if (r->n >= e->context) {
		error_set(err, 0,
		    "the prompt has %" PRIu32 " tokens, the context holds "
		    "%" PRIu32 " with the answer",
		    r->n, e->context);
		return ENGINE_CONTEXT;
	}
	if (r->n >= e->positions) {
		error_set(err, 0,
		    "the prompt has %" PRIu32 " tokens, memory of keys and "
		    "values holds %" PRIu32,
		    r->n, e->positions);
		return ENGINE_MEMORY;
	}
	if (r->n >= most) {
		error_set(err, 0,
		    "the prompt has %" PRIu32 " tokens, the budget of keys "
		    "and values holds %" PRIu32,
		    r->n, most);
		return ENGINE_CONTEXT;
	}
	if (g->params.max_tokens > most - r->n)
		g->params.max_tokens = most - r->n;
	if (g->params.max_tokens == 0)
		g->params.max_tokens = 1;
	return ENGINE_OK;
}

/* Would it end in time?  The client's own deadline is for all of it; that of
 * its agent is for a first token, the rest is cut off when it comes. */
static enum engine_refusal
in_time(struct engine *e, const struct gen_request *r, struct gen *g,
    uint64_t now_us, struct error *err)
{
	const uint32_t wall_s = r->agent->budget.wall_s;
	const uint64_t own = (uint64_t)r->deadline_ms * 1000,
		       wall = (uint64_t)wall_s * 1000000;
	uint32_t known, left;
	struct engine_stats st;
	double first, all;

	g->deadline_us = own != 0 && (wall == 0 || own < wall) ? own : wall;
	if (g->deadline_us != 0)
		g->deadline_us += now_us;
	post_stats(e->post, &st);
	if ((own == 0 && wall == 0) || st.prefill_rate <= 0 ||
	    st.decode_rate <= 0 || now_us - st.measured_us > STALE_US)
		return ENGINE_OK;
	known = asked_find(e->asked, g->space, r->prompt, r->n);
	left = r->n - known;
	first = left / st.prefill_rate;
	all = first + g->params.max_tokens / st.decode_rate;
	if (own != 0 && all * 1e6 > (double)own) {
		error_set(err, 0,
		    "it would take %.0f s: %" PRIu32 " tokens of the prompt at "
		    "%.0f a second, %" PRIu32 " at %.1f; the deadline is "
		    "%.1f s",
		    all, left, st.prefill_rate, g->params.max_tokens,
		    st.decode_rate, (double)own * 1e-6);
		return ENGINE_DEADLINE;
	}
	if (wall != 0 && first * 1e6 > (double)wall) {
		error_set(err, 0,
		    "it would take %.0f s to read %" PRIu32 " tokens of the "
		    "prompt at %.0f a second; the limit is %" PRIu32 " s",
		    first, left, st.prefill_rate, wall_s);
		return ENGINE_DEADLINE;
	}
	return ENGINE_OK;
}

static enum engine_refusal
queue_has_room(struct engine *e, const struct gen_request *r, uint32_t *retry_s,
    struct error *err)
{
	struct engine_stats st;

	const uint32_t most = 2 * e->batch_max + ENGINE_QUEUE_MAX,
		       left = e->ngens < most ? most - e->ngens : 0;

	/* As many as are left for others: these have room, whoever fills it. */
	if (r->agent->open < ENGINE_QUEUE_SURE ||
	    (r->agent->open < e->batch_max + ENGINE_QUEUE_AGENT_MAX &&
		r->agent->open < left))
		return ENGINE_OK;
	post_stats(e->post, &st);
	/* One that is done makes room, and it is not known which. */
	*retry_s = retry_after(
	    st.prefill_rate > 0 ? r->n / st.prefill_rate * 1000 : 0);
	error_set(err, 0,
	    "%" PRIu32 " completions are in the queue, %" PRIu32
	    " of them this agent's",
	    e->ngens, r->agent->open);
	return ENGINE_BUSY;
}

static enum engine_refusal
admit(struct engine *e, const struct gen_request *r, struct gen *g,
    uint32_t *retry_s, struct error *err)
{
	const uint64_t now_us = worker_now_us();
	enum engine_refusal why = fits(e, r, g, err);

	if (why == ENGINE_OK)
		why = queue_has_room(e, r, retry_s, err);
	/* What is known of the prompt is not paid for: one token it takes. */
	if (why == ENGINE_OK &&
	    agent_admit(r->agent, ev_now_ms(), 1, retry_s, err) != 0)
		why = ENGINE_BUDGET;
	if (why == ENGINE_OK)
		why = in_time(e, r, g, now_us, err);
	g->came_us = now_us;
	return why;
}

struct gen *
engine_submit(struct engine *e, const struct gen_request *r,
    enum engine_refusal *why, uint32_t *retry_s, struct error *err)
{
	struct gen *g = xcalloc(1, sizeof(*g));

	*g = (struct gen){ .engine = e,
		.agent = r->agent,
		.fn = r->fn,
		.arg = r->arg,
		.params = r->params,
		.prompt = r->prompt,
		.n = r->n,
		.npublic = r->npublic < r->n ? r->npublic : r->n,
		.space = r->agent->space,
		.agent_name = r->agent->name,
		.kv_max = r->agent->budget.kv_bytes,
		.interactive = r->interactive,
		.steer = r->steer,
		.loop = r->loop };
	memcpy(g->ids, r->ids, sizeof(g->ids));
	atomic_init(&g->stop, GEN_GOING);
	*retry_s = 0;
	*why = admit(e, r, g, retry_s, err);
	if (*why != ENGINE_OK) {
		free(g->prompt);
		free(g);
		return NULL;
	}
	agent_left(g->agent, ev_now_ms(), &g->tokens_left, &g->cpu_left_us);
	asked_add(e->asked, g->space, g->prompt, g->n);
	g->agent->open++;
	e->ngens++;
	g->next = e->gens;
	if (e->gens != NULL)
		e->gens->prev = g;
	e->gens = g;
	post_gen(e->post, g);
	return g;
}

void
engine_cancel(struct engine *e, struct gen *g)
{
	g->quiet = true;
	post_stop(e->post, g, GEN_CANCELLED);
}

void
engine_gone(struct engine *e, uint32_t space)
{
	post_gone(e->post, space);
}

void
engine_stats(struct engine *e, struct engine_stats *out)
{
	post_stats(e->post, out);
}

uint32_t
engine_context(const struct engine *e, const struct agent *a)
{
	const uint32_t n =
	    e->context < e->positions ? e->context : e->positions;
	uint64_t own;

	if (a == NULL || a->budget.kv_bytes == 0)
		return n;
	own = positions_in(e, a->budget.kv_bytes);
	return own < n ? (uint32_t)own : n;
}
