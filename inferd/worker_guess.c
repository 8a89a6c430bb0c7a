/*
 * What a second model guesses of the completions that decode: for which of
 * them, how many, and when it reads their texts.  That costs time before any
 * of it comes back, so it begins where guesses would by now have saved as much.
 */
#include <string.h>

#include "base/compat.h"
#include "inferd/worker_int.h"

/* A measurement counts as so many times what was expected at most: pages may
 * have had to come from disk. */
#define OUTLIER 4
/* Rows of a text that are read at least, so that they share the weights. */
#define READ_MIN 32u
#define NEWEST 0.2

/* One completion in this step. */
struct party {
	struct stream *s;
	double step[DRAFT_MAX + 1]; /* of the first model, by guesses */
	double cost[DRAFT_MAX + 1]; /* and of both */
	double round;               /* what it pays for one more guess */
	double tokens, right;
	uint32_t max, count; /* guesses */
	uint32_t rows;       /* of the second model, in this round */
	bool goes_on;
};

void
worker_use_guesser(struct worker *w, const struct net *n, enum tensor_type type,
    uint64_t budget, double weight)
{
	w->guesser = guesser_new(n, w->pool, type, budget, weight);
	w->stats.kv_budget += budget;
}

static double
round_cost(const struct worker *w, uint32_t rows)
{
	const double us = draft_costs_get(&w->guesser->costs, rows);

	return us > 0 ? us
		      : w->guesser->weight * draft_costs_get(&w->costs, rows);
}

static double
read_cost(const struct worker *w)
{
	const double us = w->guesser->row_us;

	return us > 0 ? us : w->guesser->weight * worker_row_cost(w);
}

static double
believe(double us, double expected)
{
	return expected > 0 && us > OUTLIER * expected ? OUTLIER * expected
						       : us;
}

/* ---- what it costs ------------------------------------------------------ */

struct clocks {
	uint64_t us, cpu_us;
};

static struct clocks
begin(const struct worker *w)
{
	return (struct clocks){ worker_now_us(), pool_cpu_us(w->pool) };
}

/* What has been used since. */
static struct clocks
used(struct worker *w, struct clocks from)
{
	const struct clocks t = { worker_now_us() - from.us,
		pool_cpu_us(w->pool) - from.cpu_us };

	w->guess_us += t.us;
	w->now_us += t.us;
	return t;
}

/* Its part of it, of the processors and of its agent's turns. */
static void
charge(struct worker *w, struct stream *s, struct clocks all, uint32_t rows,
    uint32_t of)
{
	const uint64_t cpu_us = all.cpu_us * rows / of;
	const double row = worker_row_cost(w);
	double turns = row > 0 && !w->costs_assumed
			   ? (double)all.us * rows / of / row
			   : rows * w->guesser->weight;

	if (turns > SCHED_DEBT)
		turns = SCHED_DEBT;
	sched_charge(&s->job, (uint32_t)turns);
	s->cpu_us += cpu_us;
	post_charge(s->post, s->gen, 0, cpu_us);
}

/* ---- texts -------------------------------------------------------------- */

/* Others wait for that: it may take as long as a step does. */
static uint32_t
read_most(const struct worker *w, double step, uint32_t others)
{
	const double rows = step / read_cost(w);

	if (others == 0 || rows >= GUESS_ROWS)
		return GUESS_ROWS;
	return rows > READ_MIN ? (uint32_t)rows : READ_MIN;
}

static void
read_on(struct worker *w, struct stream *s, uint32_t most)
{
	struct guesser *m = w->guesser;
	struct guess *g = s->guess;
	struct clocks t;
	uint32_t rows;
	double us;

	/* Who has no room now stands behind those that have. */
	g->turn = ++w->guess_turns;
	if (!worker_guess_room(w, s, s->n + DRAFT_MAX))
		return;
	t = begin(w);
	rows = guess_read(m, g, s->ids, s->n, most, &s->gen->stop);
	t = used(w, t);
	charge(w, s, t, rows > 0 ? rows : 1, rows > 0 ? rows : 1);
	if (rows < READ_MIN || w->costs_assumed)
		return;
	us = believe((double)t.us / rows, read_cost(w));
	m->row_us = m->row_us > 0 ? m->row_us + NEWEST * (us - m->row_us) : us;
}

/* Guesses would have saved so much by now, and may save as much to the end:
 * saved, a part of each step. */
static bool
is_worth_reading(
    const struct worker *w, struct stream *s, double step, double saved)
{
	const double cost = (s->n - s->guess->at) * read_cost(w);
	const uint32_t left =
	    s->gen->params.max_tokens - completion_sampled(s->c);

	s->guess->missed += step * saved;
	return s->guess->missed >= cost && left * step * saved >= cost;
}

/* ---- guesses ------------------------------------------------------------ */

/* What has been forced upon it is known. */
static bool
may_guess(
    const struct worker *w, const struct stream *s, const struct stream *slice)
{
	return s != slice && stream_decodes(s) && s->c != NULL &&
	       !sched_rests(w->sched, &s->job) && s->nahead == s->nguess &&
	       s->n + DRAFT_MAX <= w->guesser->net->hp.ctx_train;
}

/*
 * How many guesses pay for s, rows being those of the step with what others
 * have ahead; false: none, or fewer than what it has.  *saved: of a step.
 */
static bool
plan(struct worker *w, struct party *p, const struct stream *slice,
    uint32_t rows, uint32_t others, double *saved)
{
	const struct stream *s = p->s;
	struct draft_outlook o = { .tokens = 1 + others,
		.right = 1,
		.chance = s->guess->mean,
		.max = p->max,
		.cost = p->cost };
	double rate, without;

	worker_step_costs(w, slice, rows - s->nguess, p->max, p->step);
	if (p->step[0] <= 0)
		return false;
	for (uint32_t k = 0; k <= p->max; k++)
		p->cost[k] = p->step[k] + k * p->round;
	p->tokens = o.tokens;
	p->right = 1;
	without = o.tokens / p->step[0];
	if (draft_worth(&o, &rate) == 0) {
		guess_rest(s->guess);
		return false;
	}
	*saved = 1 - without / rate;
	return s->nguess == 0 || rate > draft_rate(s->draft);
}

/* One more guess for p, which has `count` of them. */
static void
take(struct worker *w, struct party *p, float *logits)
{
	struct guess *g = p->s->guess;
	const double chance = guess_take(w->guesser, g, logits);
	const uint32_t n = p->count + 1;
	struct draft_outlook o = { .tokens = p->tokens + p->right * chance,
		.right = p->right * chance,
		.chance = g->mean,
		.from = n,
		.max = p->max,
		.cost = p->cost };
	double with, without;
	uint32_t best = draft_worth(&o, &with);

	/* It has been paid for, whether the first model looks at it or not. */
	without = p->tokens / (p->step[p->count] + n * p->round);
	p->goes_on = with > without && best > n;
	if (with <= without)
		return;
	p->count = n;
	p->tokens = o.tokens;
	p->right = o.right;
}

/* A guess more for all that go on; false: none does. */
static bool
one_round(struct worker *w, struct party *p, size_t n)
{
	struct guesser *m = w->guesser;
	uint32_t all = 0, texts = 0;
	struct clocks t;

	for (size_t i = 0; i < n; i++) {
		if (atomic_load(&p[i].s->gen->stop) != GEN_GOING)
			p[i].goes_on = false;
		p[i].rows = 0;
		if (p[i].goes_on)
			p[i].rows =
			    guess_add(m, p[i].s->guess, p[i].s->ids, p[i].s->n);
		all += p[i].rows;
	}
	if (all == 0)
		return false;
	t = begin(w);
	guesser_step(m, w->logits);
	t = used(w, t);
	if (!w->costs_assumed)
		draft_costs_add(
		    &m->costs, all, believe((double)t.us, round_cost(w, all)));
	for (size_t i = 0; i < n; i++) {
		if (p[i].rows == 0)
			continue;
		charge(w, p[i].s, t, p[i].rows, all);
		take(w, &p[i], &w->logits[texts++ * w->net->hp.vocab]);
	}
	return true;
}

/* What was guessed is computed in this step, if there is room for it. */
static void
look_ahead(struct party *p)
{
	struct stream *s = p->s;

	if (p->count == 0 || kv_seq_reserve(s->kv, s->n + p->count) < 0)
		return;
	memcpy(s->ahead, s->guess->token, p->count * sizeof(s->ahead[0]));
	s->nahead = s->nguess = p->count;
	s->by_model = true;
}

/* Those that are near the end of their texts, or might be. */
static uint32_t
count_near(struct worker *w, const struct stream *slice)
{
	uint32_t n = 0;

	for (struct stream *s = w->streams; s != NULL; s = s->next) {
		if (!may_guess(w, s, slice))
			continue;
		if (s->guess == NULL)
			s->guess = guess_new();
		guess_learn(s->guess, s->ids, s->n);
		n += s->n - s->guess->at <= GUESS_NEAR;
	}
	return n > 0 ? n : 1;
}

void
worker_guess_ahead(struct worker *w, const struct stream *slice, uint32_t rows,
    uint32_t others, uint32_t left)
{
	struct party party[WORKER_AHEAD], *p;
	struct stream *reads = NULL;
	uint32_t n = 0, near, room = GUESS_ROWS, lag, share, most = 0;
	double saved;

	if (w->guesser == NULL)
		return;
	near = count_near(w, slice);
	share = left / near > 0 ? left / near : 1;
	for (struct stream *s = w->streams; s != NULL; s = s->next) {
		if (!may_guess(w, s, slice) || n == nitems(party))
			continue;
		p = &party[n];
		*p = (struct party){ .s = s,
			.round = round_cost(w, near) / near,
			.max = worker_ahead_max(s),
			.goes_on = true };
		if (p->max > DRAFT_MAX)
			p->max = DRAFT_MAX;
		if (p->max > share)
			p->max = share;
		if (p->max > left + s->nguess)
			p->max = left + s->nguess;
		if (p->max == 0 || !plan(w, p, slice, rows, others, &saved))
			continue;
		lag = s->n - s->guess->at;
		if (lag > GUESS_NEAR) {
			if (slice == NULL &&
			    is_worth_reading(w, s, p->step[0], saved) &&
			    (reads == NULL ||
				s->guess->turn < reads->guess->turn)) {
				reads = s;
				most = read_most(w, p->step[0], others);
			}
			continue;
		}
		s->guess->missed = 0;
		if (lag > room || !worker_guess_room(w, s, s->n + p->max))
			continue;
		room -= lag;
		left += s->nguess;
		left -= p->max;
		n++;
	}
	while (one_round(w, party, n))
		;
	for (uint32_t i = 0; i < n; i++)
		look_ahead(&party[i]);
	if (reads != NULL)
		read_on(w, reads, most);
}
