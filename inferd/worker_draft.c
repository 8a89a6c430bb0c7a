/*
 * Tokens that are computed before they are drawn: those that come whatever the
 * logits say, and guesses.  They are rows of the same step; each is kept only
 * if it is the one that is drawn, so they change nothing but the time.
 */
#include "inferd/worker_int.h"

uint32_t
worker_ahead_max(const struct stream *s)
{
	const struct gen *g = s->gen;
	uint64_t left = 0;
	uint32_t n = STREAM_AHEAD;

	if (s->tokens < g->tokens_left)
		left = g->tokens_left - s->tokens;
	if (g->params.max_tokens - completion_sampled(s->c) < left)
		left = g->params.max_tokens - completion_sampled(s->c);
	if (left < (uint64_t)n + 1)
		n = left > 0 ? (uint32_t)left - 1 : 0;
	/* Where memory is counted, no page is for what may be in vain. */
	if (g->kv_max != 0 && n > KV_PAGE - s->n % KV_PAGE)
		n = KV_PAGE - s->n % KV_PAGE;
	return n;
}

static uint32_t
forced(struct stream *s, uint32_t max)
{
	const int32_t *ids;
	size_t n = completion_forced(s->c, &ids);
	uint32_t i;

	if (ids == NULL)
		n = 0;
	for (i = 0; i < n && i < max; i++)
		s->ahead[i] = (uint32_t)ids[i];
	return i;
}

double
worker_row_cost(const struct worker *w)
{
	return w->costs_assumed || w->stats.prefill_rate <= 0
		   ? draft_costs_get(&w->costs, DRAFT_ROWS) / DRAFT_ROWS
		   : 1e6 / w->stats.prefill_rate;
}

void
worker_step_costs(const struct worker *w, const struct stream *slice,
    uint32_t rows, uint32_t max, double *cost)
{
	const double row = worker_row_cost(w);
	uint32_t k;

	/* Beside a part of a prompt a row costs as much as any other. */
	for (k = 0; k <= max; k++)
		cost[k] = slice != NULL ? row * (rows + k)
					: draft_costs_get(&w->costs, rows + k);
}

static uint32_t
guess(struct worker *w, struct stream *s, const struct stream *slice,
    uint32_t rows, uint32_t others, uint32_t max)
{
	double cost[DRAFT_MAX + 1];

	if (s->draft == NULL)
		s->draft = draft_new();
	draft_add(s->draft, s->ids, s->n);
	max = max < DRAFT_MAX ? max : DRAFT_MAX;
	worker_step_costs(w, slice, rows, max, cost);
	return draft_guess(s->draft, s->ids, s->n, max, cost, others, s->ahead);
}

void
worker_look_ahead(struct worker *w, const struct stream *slice)
{
	uint32_t left = w->drafts ? WORKER_AHEAD : 0, rows, decoding = 0, max,
		 n;
	struct stream *s;

	w->guess_us = 0;
	rows = slice != NULL ? slice->n - slice->at : 0;
	rows = rows < SCHED_QUANTUM ? rows : SCHED_QUANTUM;
	for (s = w->streams; s != NULL; s = s->next) {
		s->nahead = s->nguess = 0;
		s->by_model = false;
		decoding += s != slice && stream_decodes(s);
	}
	rows += decoding;
	for (s = w->streams; s != NULL; s = s->next) {
		if (s == slice || !stream_decodes(s) || s->c == NULL ||
		    sched_rests(w->sched, &s->job))
			continue;
		max = worker_ahead_max(s);
		max = max < left ? max : left;
		n = forced(s, max);
		if (n == 0 && max > 0)
			n = s->nguess =
			    guess(w, s, slice, rows, decoding - 1, max);
		/* Nobody gives memory back for what may be in vain. */
		if (n > 0 && kv_seq_reserve(s->kv, s->n + n) < 0)
			n = s->nguess = 0;
		s->nahead = n;
		rows += n;
		left -= n;
	}
	if (decoding > 0)
		worker_guess_ahead(w, slice, rows, decoding - 1, left);
}

void
worker_assume_cost(struct worker *w, double row)
{
	uint32_t i;

	w->costs_assumed = true;
	for (i = 1; i <= DRAFT_ROWS; i++)
		w->costs.us[i] = 1 + row * i;
}

void
worker_looked_ahead(struct worker *w, struct stream *s, uint32_t came)
{
	if (came < s->nahead)
		kv_seq_cut(s->kv, s->at);
	if (s->nguess == 0)
		return;
	if (s->by_model) {
		s->usage.model_drafted += s->nguess;
		s->usage.model_accepted += came;
		w->stats.model_drafted += s->nguess;
		w->stats.model_accepted += came;
	} else {
		draft_result(s->draft, s->nguess, came);
	}
	s->usage.drafted += s->nguess;
	s->usage.accepted += came;
	w->stats.drafted += s->nguess;
	w->stats.accepted += came;
}
