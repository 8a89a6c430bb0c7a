#include "inferd/worker.h"

#include <stdlib.h>
#include <time.h>

#include "base/str.h"
#include "inferd/grammar.h"
#include "inferd/kvdisk.h"
#include "inferd/worker_int.h"

/* Of what prompts leave in memory; the rest is for what runs. */
#define KEEP_PART(bytes) ((bytes) / 4 * 3)
/* A measured speed says nothing any more after this. */
#define STALE_US 60000000u
/* The newest of the measured speeds counts so much. */
#define NEWEST 0.2

uint64_t
worker_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct worker *
worker_new(const struct net *n, const struct tok *t,
    const struct engine_opts *o, struct post *p)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	const size_t streams = 2 * (size_t)o->batch_max,
		     rows = streams + SCHED_QUANTUM + WORKER_AHEAD;

	w->net = n;
	w->tok = t;
	w->post = p;
	w->steers = o->steers;
	w->pool = pool_new(o->threads);
	w->run = run_new(n, w->pool, o->kv_type, rows);
	w->kv = kv_pool_new(&n->hp, o->kv_type, o->kv_budget);
	w->prefix = prefix_new(w->kv, KEEP_PART(o->kv_budget), NULL);
	w->sched = sched_new(o->batch_max);
	w->rows = xcalloc(rows, sizeof(*w->rows));
	w->logits = xcalloc(
	    (streams + 1 + WORKER_AHEAD) * n->hp.vocab, sizeof(*w->logits));
	/* From a state there is no way back to what came true. */
	w->drafts = !o->no_drafts && kv_state_bytes(w->kv) == 0;
	w->stats.kv_budget = o->kv_budget;
	return w;
}

int
worker_use_disk(struct worker *w, const struct engine_opts *o,
    const char *model_id, struct error *err)
{
	const struct kvdisk_opts opts = {
		.dir = o->cache_dir,
		.model = model_id,
		.type = tensor_type_info(o->kv_type)->name,
		.page_tokens = KV_PAGE,
		.page_bytes = kv_page_bytes(w->kv),
		.state_bytes = kv_state_bytes(w->kv),
		.budget = o->disk_budget,
	};

	w->disk = kvdisk_open(&opts, err);
	if (w->disk == NULL)
		return -1;
	prefix_free(w->prefix);
	w->prefix = prefix_new(w->kv, KEEP_PART(o->kv_budget), w->disk);
	return 0;
}

/* What becomes of everything that ends. */
static void
end(struct worker *w, struct stream *s, enum gen_finish why)
{
	struct stream **at = &w->streams;

	worker_release(w, s);
	sched_remove(w->sched, &s->job);
	sched_unblock(w->sched);
	stream_end(s, why, w->now_us);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	stream_free(s);
}

void
worker_free(struct worker *w)
{
	while (w->streams != NULL)
		end(w, w->streams, GEN_CANCELLED);
	prefix_free(w->prefix);
	kvdisk_close(w->disk);
	sched_free(w->sched);
	mask_free(w->mask);
	guesser_free(w->guesser);
	run_free(w->run);
	kv_pool_free(w->kv);
	pool_free(w->pool);
	free(w->rows);
	free(w->logits);
	free(w);
}

void
worker_take(struct worker *w, struct gen *g)
{
	struct stream **at = &w->streams;
	struct gen *next;

	while (*at != NULL)
		at = &(*at)->next;
	for (; g != NULL; g = next) {
		struct stream *s = stream_new(g, w->post);

		next = g->posted;
		*at = s;
		at = &s->next;
		sched_add(w->sched, &s->job, g->space, g->interactive);
	}
}

void
worker_gone(struct worker *w, uint32_t space)
{
	prefix_leave(w->prefix, space);
}

bool
worker_waits(const struct worker *w)
{
	return w->streams != NULL;
}

/* Keys and values of texts that are gone do not stay for long; more of them? */
static bool
clear_left_behind(struct worker *w)
{
	bool more = kv_pool_clear(w->kv);

	if (w->guesser != NULL)
		more = kv_pool_clear(w->guesser->kv) || more;
	return more;
}

bool
worker_idle(struct worker *w)
{
	const bool more = clear_left_behind(w);

	return prefix_idle(w->prefix) || more;
}

/*
 * Those that were told to end, and those whose time or budget is used up.
 * What the agent's others use, the main thread looks after.
 */
static void
end_some(struct worker *w)
{
	struct stream *s, *next;

	for (s = w->streams; s != NULL; s = next) {
		const int why = atomic_load(&s->gen->stop);

		next = s->next;
		if (why != GEN_GOING)
			end(w, s, (enum gen_finish)why);
		else if (s->gen->deadline_us != 0 &&
			 w->now_us >= s->gen->deadline_us)
			end(w, s, GEN_DEADLINE);
		else if (s->tokens >= s->gen->tokens_left ||
			 s->cpu_us >= s->gen->cpu_left_us)
			end(w, s, GEN_BUDGET);
	}
}

static bool
is_fresh(const struct worker *w)
{
	return w->stats.prefill_rate > 0 &&
	       w->now_us - w->stats.measured_us < STALE_US;
}

/* Until its prompt is done, if agents go on to take turns. */
static uint32_t
eta_ms(const struct worker *w, const struct stream *s)
{
	double ms;
	uint32_t agents = sched_hungry_agents(w->sched);

	if (w->stats.prefill_rate <= 0)
		return 0;
	ms = (s->n - s->at) / w->stats.prefill_rate * 1000;
	ms *= agents > 1 ? agents : 1;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void
tell(struct worker *w, struct stream *s)
{
	if (stream_may_tell(s, w->now_us))
		stream_tell(s, sched_position(w->sched, &s->job), eta_ms(w, s),
		    w->now_us);
}

/* What cannot come to its end is not begun.  GEN_GOING: it can. */
static enum gen_finish
cannot_end(const struct worker *w, const struct stream *s)
{
	const struct gen *g = s->gen;
	const uint32_t left = s->n - s->at;

	if (s->c != NULL)
		return GEN_GOING; /* it had begun before */
	if (left > g->tokens_left)
		return GEN_BUDGET;
	if (g->deadline_us != 0 && is_fresh(w) &&
	    left / w->stats.prefill_rate * 1e6 >
		(double)(g->deadline_us - w->now_us))
		return GEN_DEADLINE;
	return GEN_GOING;
}

/* False: it waits on, or has ended. */
static bool
start(struct worker *w, struct stream *s)
{
	uint32_t known;
	enum gen_finish why;

	if (!worker_find_room(w, s, &known)) {
		/* Nobody is there who could give memory back. */
		if (sched_started(w->sched) == 0)
			end(w, s, GEN_LENGTH);
		else
			sched_block(&s->job);
		return false;
	}
	sched_start(w->sched, &s->job);
	if (s->began_us == 0) {
		s->began_us = w->now_us;
		s->usage.cached = s->paid = known;
		w->stats.prompt_tokens += s->n;
		w->stats.cached_tokens += known;
		s->told_us = 0; /* this is worth saying at once */
	}
	why = cannot_end(w, s);
	if (why == GEN_GOING)
		return true;
	end(w, s, why);
	return false;
}

/* What came without being computed. */
static void
count_known(struct worker *w, struct stream *s)
{
	const uint32_t prompt = s->usage.prompt,
		       at = s->at < prompt ? s->at : prompt;

	if (at <= s->paid)
		return;
	s->usage.cached += at - s->paid;
	w->stats.cached_tokens += at - s->paid;
	s->paid = at;
}

/* Whose prompt goes on in this step, or NULL. */
static struct stream *
next_slice(struct worker *w)
{
	struct sched_job *j;

	while ((j = sched_pick(w->sched)) != NULL) {
		struct stream *s = (struct stream *)j;

		if (s->kv != NULL) {
			worker_find_more(w, s);
			count_known(w, s);
			return s;
		}
		if (start(w, s))
			return s;
	}
	return NULL;
}

/* What is to be computed of s, and what may come behind it. */
static void
add_rows(struct worker *w, struct stream *s, uint32_t rows)
{
	s->rows = rows + s->nahead;
	s->logits = w->nlogits;
	for (uint32_t i = 0; i < s->rows; i++) {
		const uint32_t pos = s->at + i,
			       id = i < rows ? s->ids[pos] : s->ahead[i - rows];
		const bool want = pos + 1 >= s->n;

		w->rows[w->nrows++] = (struct row){ s->kv, pos, id, want };
		w->nlogits += want;
	}
}

/*
 * The rows of this step; the slice comes last, so that it can be given up.
 * Returns its stream, or NULL.
 */
static struct stream *
make_batch(struct worker *w)
{
	struct stream *slice;
	uint32_t left;

	w->nrows = 0;
	w->nlogits = 0;
	worker_make_room(w);
	slice = next_slice(w);
	worker_look_ahead(w, slice);
	for (struct stream *s = w->streams; s != NULL; s = s->next) {
		s->rows = 0;
		s->draw_us = 0;
		if (s != slice && stream_decodes(s) &&
		    !sched_rests(w->sched, &s->job))
			add_rows(w, s, s->n - s->at);
	}
	if (slice != NULL) {
		left = worker_next_place(w, slice) - slice->at;
		add_rows(w, slice, left < SCHED_QUANTUM ? left : SCHED_QUANTUM);
	}
	return slice;
}

static void
mix(double *rate, double now)
{
	*rate = *rate <= 0 ? now : *rate + NEWEST * (now - *rate);
}

/* us: of this net; drawn: tokens of what decodes, by as many completions as
 * `decoding`. */
static void
measure(struct worker *w, uint32_t slice_rows, uint64_t us, uint32_t drawn,
    uint32_t decoding)
{
	const double s = (double)(us + w->guess_us + 1) * 1e-6;

	w->stats.measured_us = w->now_us;
	if (slice_rows > 0)
		mix(&w->stats.prefill_rate, slice_rows / s);
	else if (!w->costs_assumed)
		draft_costs_add(&w->costs, w->nrows, (double)us + 1);
	if (decoding > 0)
		mix(&w->stats.decode_rate, drawn / s / decoding);
}

/* A part of its prompt was computed: the first token, if it was the last.
 * False: it has ended. */
static bool
advance_slice(struct worker *w, struct stream *s)
{
	s->at += s->rows;
	sched_slice(w->sched, &s->job, s->rows, s->at < s->n);
	tell(w, s);
	worker_mark(w, s);
	if (s->at < s->n)
		return true;
	if (s->c == NULL)
		worker_keep(w, s);
	return stream_draw(s, w->tok, &w->mask,
	    &w->logits[s->logits * w->net->hp.vocab], w->now_us);
}

/*
 * The next token, and more as long as what was computed ahead is what is
 * drawn.  False: it has ended.
 */
static bool
advance(struct worker *w, struct stream *s)
{
	const float *logits = &w->logits[s->logits * w->net->hp.vocab];
	uint32_t came = 0;
	bool more;

	sched_charge(&s->job, s->rows * WORKER_DECODE_ROWS);
	for (;;) {
		s->at++;
		worker_mark(w, s);
		more = stream_draw(s, w->tok, &w->mask, logits, w->now_us);
		if (came == s->nahead || s->ids[s->at] != s->ahead[came])
			break;
		came++;
		if (!more)
			break;
		logits += w->net->hp.vocab;
	}
	worker_looked_ahead(w, s, came);
	return more;
}

/*
 * Its part of the step, what was drawn for it, and each token once.  Who hangs
 * up has it computed for nothing, but not for free.
 */
static void
charge(struct worker *w, struct stream *s, uint64_t cpu_us, uint32_t drawn)
{
	const uint32_t prompt = s->usage.prompt,
		       at = s->at < prompt ? s->at : prompt;
	uint64_t tokens = drawn;

	if (at > s->paid) {
		tokens += at - s->paid;
		s->paid = at;
	}
	cpu_us = cpu_us * s->rows / w->nrows + s->draw_us;
	sched_drew(&s->job, s->draw_us);
	sched_charge(&s->job,
	    (uint32_t)((double)s->draw_us * 1e-6 * w->stats.prefill_rate));
	s->tokens += tokens;
	s->cpu_us += cpu_us;
	post_charge(s->post, s->gen, tokens, cpu_us);
}

static void
after_batch(struct worker *w, struct stream *slice, size_t computed,
    uint64_t cpu_us, uint64_t us)
{
	const uint32_t slice_rows = slice != NULL ? slice->rows : 0;
	const bool all = computed == w->nrows;
	struct stream *s, *next;
	uint32_t drawn = 0, decoding = 0, before;
	bool more;

	sched_passed(w->sched, us);
	for (s = w->streams; s != NULL; s = next) {
		next = s->next;
		if (s->rows == 0)
			continue;
		more = true;
		before = s->n;
		if (s == slice && all)
			more = advance_slice(w, s);
		else if (s == slice)
			sched_slice(w->sched, &s->job, s->rows, true);
		else if (computed > 0)
			more = advance(w, s);
		charge(w, s, cpu_us, s->n - before);
		w->stats.sampled_tokens += s->n - before;
		if (s != slice) {
			drawn += s->n - before;
			decoding++;
		}
		if (!more)
			end(w, s, GEN_STOP);
	}
	if (all)
		measure(w, slice_rows, us, drawn, decoding);
}

static void
publish(struct worker *w)
{
	struct engine_stats *t = &w->stats;

	t->running = sched_started(w->sched);
	t->waiting = 0;
	for (const struct stream *s = w->streams; s != NULL; s = s->next)
		t->waiting += !s->job.started;
	t->kv_used = kv_pool_used(w->kv);
	if (w->guesser != NULL)
		t->kv_used += kv_pool_used(w->guesser->kv);
	post_stats_set(w->post, t);
}

/*
 * Whose hang-up makes rows be given up: those of the slice, or of one that is
 * alone.
 */
static const atomic_int *
stop_of(const struct worker *w, const struct stream *slice, uint32_t *keep)
{
	*keep = w->nrows;
	if (slice != NULL) {
		*keep -= slice->rows;
		return &slice->gen->stop;
	}
	for (const struct stream *s = w->streams; s != NULL; s = s->next)
		if (s->rows == w->nrows) {
			*keep = 0;
			return &s->gen->stop;
		}
	return NULL;
}

bool
worker_step(struct worker *w, uint64_t now_us)
{
	const atomic_int *stop;
	struct stream *slice;
	uint64_t cpu, us;
	size_t computed;
	uint32_t keep;

	w->now_us = now_us;
	end_some(w);
	slice = make_batch(w);
	for (struct stream *s = w->streams; s != NULL; s = s->next)
		if (s != slice)
			tell(w, s);
	if (w->nrows > 0) {
		stop = stop_of(w, slice, &keep);
		cpu = pool_cpu_us(w->pool);
		us = worker_now_us();
		computed = run_rows_until(
		    w->run, w->rows, w->nrows, keep, w->logits, stop);
		us = worker_now_us() - us;
		w->now_us += us;
		after_batch(w, slice, computed, pool_cpu_us(w->pool) - cpu, us);
		clear_left_behind(w);
	}
	publish(w);
	return w->nrows > 0;
}
