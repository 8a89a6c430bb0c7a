#include "base/compat.h"
#include "base/log.h"
#include "inferd/steer.h"
#include "inferd/worker_int.h"

/* Of a long prompt that is not the beginning of another one only: so often a
 * place to go on from.  States are large. */
#define STATE_EVERY (64 * KV_PAGE)

static uint64_t
pages(uint32_t positions)
{
	return ((uint64_t)positions + KV_PAGE - 1) / KV_PAGE;
}

uint64_t
worker_kv_bytes(const struct worker *w, uint32_t positions)
{
	const uint64_t n = pages(positions) * kv_page_bytes(w->kv);

	/* A state and its mark. */
	return n == 0 ? 0 : n + 2 * (uint64_t)kv_state_bytes(w->kv);
}

/* What depends on tokens alone can be remembered by them. */
static bool
is_plain(const struct stream *s)
{
	return s->gen->steer == NULL;
}

/* Of the sequences that an agent has in memory, and of what the second model
 * knows of them; how many. */
static uint32_t
agent_seqs(const struct worker *w, uint32_t space, uint64_t *bytes)
{
	uint32_t n = 0;

	*bytes = 0;
	for (const struct stream *s = w->streams; s != NULL; s = s->next)
		if (s->kv != NULL && s->gen->space == space) {
			*bytes += worker_kv_bytes(w, s->n + 1);
			if (w->guesser != NULL)
				*bytes += guess_bytes(w->guesser, s->guess);
			n++;
		}
	return n;
}

/* What an agent remembers is within what its sequences leave it. */
static void
trim(struct worker *w, const struct gen *g)
{
	uint64_t used;

	if (g->kv_max == 0)
		return;
	agent_seqs(w, g->space, &used);
	prefix_trim(
	    w->prefix, g->space, used < g->kv_max ? g->kv_max - used : 0);
}

/*
 * The same, when `more` bytes are to come: they, and what is computed anyway,
 * go before what the second model knows.
 */
static uint32_t
agent_seqs_with(
    const struct worker *w, const struct gen *g, uint64_t more, uint64_t *bytes)
{
	uint32_t n = agent_seqs(w, g->space, bytes);

	if (w->guesser == NULL || *bytes + more <= g->kv_max)
		return n;
	for (struct stream *s = w->streams; s != NULL; s = s->next)
		if (s->gen->space == g->space)
			guess_forget(s->guess);
	return agent_seqs(w, g->space, bytes);
}

bool
worker_guess_room(struct worker *w, struct stream *s, uint32_t n)
{
	const struct gen *g = s->gen;
	const uint64_t has = guess_bytes(w->guesser, s->guess);
	uint64_t used;

	if (guesser_bytes(w->guesser, n) <= has)
		return true;
	if (g->kv_max != 0) {
		agent_seqs(w, g->space, &used);
		used -= has;
		if (used + guesser_bytes(w->guesser, n) > g->kv_max)
			return false;
	}
	if (guess_reserve(w->guesser, s->guess, n) < 0)
		return false;
	trim(w, g);
	return true;
}

/* Room in s for n positions. */
static bool
reserve(struct worker *w, struct stream *s, uint32_t n)
{
	if (kv_seq_reserve(s->kv, n) == 0)
		return true;
	prefix_shrink(w->prefix, worker_kv_bytes(w, n));
	return kv_seq_reserve(s->kv, n) == 0;
}

/* The youngest that has memory; space 0: of any agent. */
static struct stream *
youngest(struct worker *w, uint32_t space)
{
	struct stream *y = NULL;

	for (struct stream *s = w->streams; s != NULL; s = s->next)
		if (s->kv != NULL && (space == 0 || s->gen->space == space))
			y = s;
	return y;
}

/*
 * Take its memory from the youngest that has any; its ids are all that is
 * needed to go on later as if nothing had been.
 */
static void
put_back(struct worker *w, uint32_t space)
{
	struct stream *s = youngest(w, space);

	if (s == NULL)
		return;
	worker_release(w, s);
	s->at = 0;
	sched_put_back(w->sched, &s->job);
	w->stats.put_back++;
}

/*
 * The agent of s has nothing else in memory: whoever has most of it, in more
 * than one sequence, gives one back.  False: nobody has.
 */
static bool
take_from_others(struct worker *w, const struct stream *s)
{
	uint64_t bytes, most = 0;
	uint32_t from = 0;

	if (agent_seqs(w, s->gen->space, &bytes) > 1)
		return false;
	for (const struct stream *o = w->streams; o != NULL; o = o->next)
		if (agent_seqs(w, o->gen->space, &bytes) > 1 && bytes > most) {
			most = bytes;
			from = o->gen->space;
		}
	if (most == 0)
		return false;
	put_back(w, from);
	return true;
}

static void
make_room(struct worker *w, struct stream *s)
{
	const struct gen *g = s->gen;
	uint64_t used;

	/* What one alone may have was looked at when it came. */
	while (g->kv_max != 0 && agent_seqs_with(w, g, 0, &used) > 1 &&
	       used > g->kv_max)
		put_back(w, g->space);
	if (s->kv != NULL && kv_seq_room(s->kv) <= s->n)
		trim(w, g);
	while (s->kv != NULL && !reserve(w, s, s->n))
		put_back(w, 0);
}

void
worker_make_room(struct worker *w)
{
	for (struct stream *s = w->streams; s != NULL; s = s->next)
		if (stream_decodes(s))
			make_room(w, s);
}

bool
worker_find_room(struct worker *w, struct stream *s, uint32_t *known)
{
	const struct gen *g = s->gen;
	struct prefix_hit hit = { 0 };
	uint64_t others;

	if (g->kv_max != 0 &&
	    agent_seqs_with(w, g, worker_kv_bytes(w, s->n + 1), &others) > 0 &&
	    others + worker_kv_bytes(w, s->n + 1) > g->kv_max)
		return false;
	prefix_name(w->prefix, g->space, g->agent_name);
	s->kv = is_plain(s) ? prefix_find(w->prefix, g->space,
				  (const int32_t *)s->ids, s->n, &hit)
			    : kv_seq_new(w->kv);
	if (s->kv == NULL)
		return false;
	while (!reserve(w, s, s->n + 1))
		if (!take_from_others(w, s)) {
			kv_seq_free(s->kv);
			s->kv = NULL;
			return false;
		}
	if (!is_plain(s))
		kv_seq_steer(s->kv, steers_find(w->steers, g->steer));
	s->at = *known = hit.n;
	if (hit.diverged_of > 0)
		log_info("agent=%s prompt=%u cached=%u diverged_at=%u of=%u",
		    g->agent_name, s->n, hit.n, hit.diverged_at,
		    hit.diverged_of);
	trim(w, g);
	return true;
}

void
worker_find_more(struct worker *w, struct stream *s)
{
	const struct gen *g = s->gen;

	if (is_plain(s))
		s->at = prefix_more(w->prefix, g->space,
		    (const int32_t *)s->ids, s->n, s->kv, s->at);
}

static void
keep(struct worker *w, const struct stream *s)
{
	const struct gen *g = s->gen;
	const int32_t *ids = (const int32_t *)s->ids;

	if (!is_plain(s) || s->at == 0)
		return;
	if (g->npublic > 0 &&
	    (s->at >= g->npublic || kv_state_bytes(w->kv) > 0))
		prefix_keep(w->prefix, PREFIX_PUBLIC, ids, g->npublic, s->kv);
	prefix_keep(w->prefix, g->space, ids, s->at, s->kv);
}

void
worker_keep(struct worker *w, struct stream *s)
{
	keep(w, s);
	trim(w, s->gen);
}

/* The last whole page of the first n tokens ends there. */
static uint32_t
page_end(uint32_t n)
{
	return n / KV_PAGE * KV_PAGE;
}

/*
 * What is public is another's beginning; the last page before the last token
 * is that of whoever comes with the same prompt, or goes on from it.
 */
uint32_t
worker_next_place(const struct worker *w, const struct stream *s)
{
	const uint32_t places[] = { page_end(s->gen->npublic),
		page_end(s->n - 1), (s->at / STATE_EVERY + 1) * STATE_EVERY };
	uint32_t next = s->n;

	if (kv_state_bytes(w->kv) == 0 || !is_plain(s))
		return next;
	for (size_t i = 0; i < nitems(places); i++)
		if (places[i] > s->at && places[i] < next)
			next = places[i];
	return next;
}

void
worker_mark(struct worker *w, struct stream *s)
{
	const bool decodes = s->at >= s->n;

	if (kv_state_bytes(w->kv) == 0 || !is_plain(s) || s->at % KV_PAGE != 0)
		return;
	/* What is drawn is marked at each page; it is one step. */
	if (!decodes && s->at != page_end(s->gen->npublic) &&
	    s->at != page_end(s->n - 1) && s->at % STATE_EVERY != 0)
		return;
	/* Without room for it there is nothing to go on from. */
	if (kv_seq_mark(s->kv) == 0 && !decodes)
		worker_keep(w, s);
}

void
worker_release(struct worker *w, struct stream *s)
{
	if (s->kv == NULL)
		return;
	keep(w, s);
	kv_seq_free(s->kv);
	s->kv = NULL;
	guess_forget(s->guess);
	trim(w, s->gen);
}
