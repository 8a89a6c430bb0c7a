/*
 * The engine's thread: what its parts share.
 */
#ifndef BRIG_INFERD_WORKER_INT_H
#define BRIG_INFERD_WORKER_INT_H

#include "inferd/guess.h"
#include "inferd/prefix.h"
#include "inferd/run.h"
#include "inferd/stream.h"
#include "inferd/worker.h"

/* What a decoded token counts in rows of prompts: it is the reading of the
 * weights that costs, and rows of a prompt share it. */
#define WORKER_DECODE_ROWS 4u
/* Rows of a step that are not drawn yet, of all completions together. */
#define WORKER_AHEAD 32u

struct worker {
	const struct net *net;
	const struct tok *tok;
	struct mask *mask; /* of tok, once a schema asks for it; or NULL */
	const struct steers *steers; /* or NULL */
	struct post *post;
	struct pool *pool;
	struct run *run;
	struct kv_pool *kv;
	struct prefix_cache *prefix;
	struct kvdisk *disk; /* or NULL */
	struct sched *sched;
	struct stream *streams; /* in order of arrival */
	struct row *rows;
	float *logits;
	uint32_t nrows;
	size_t nlogits; /* rows that want them */
	struct engine_stats stats;
	bool drafts;
	struct draft_costs costs; /* of steps without a part of a prompt */
	bool costs_assumed;       /* and not measured */
	struct guesser *guesser;  /* or NULL */
	uint64_t guess_us;        /* that it took in this step */
	uint64_t guess_turns;
	uint64_t now_us;
};

/* worker_kv.c: memory of keys and values, and who has to wait for it. */

/* Bytes that so many positions take. */
uint64_t worker_kv_bytes(const struct worker *w, uint32_t positions);
/* Room for the next token of everything that decodes; for that, the youngest
 * may lose theirs. */
void worker_make_room(struct worker *w);
/*
 * Find what is known of its prompt, and room for the rest.  False: it cannot
 * start now.
 */
bool worker_find_room(struct worker *w, struct stream *s, uint32_t *known);
/* What more is known of its prompt, now that it is its turn again. */
void worker_find_more(struct worker *w, struct stream *s);
/*
 * Of a model with a state, which is worth a copy at some places only: how far
 * the prompt goes on before the next one, at most to its end.  And it has come
 * to s->at, perhaps such a place.
 */
uint32_t worker_next_place(const struct worker *w, const struct stream *s);
void worker_mark(struct worker *w, struct stream *s);
/* Remember what has been computed of it. */
void worker_keep(struct worker *w, struct stream *s);
/* Remember, and give back its memory. */
void worker_release(struct worker *w, struct stream *s);

/* Room for n positions of what the second model knows of s, within the budgets
 * of pool and agent.  What is cached of the agent goes for it, but nobody
 * else's. */
bool worker_guess_room(struct worker *w, struct stream *s, uint32_t n);

/* worker_draft.c: tokens that are computed before they are drawn. */

/* How many could be of use: each step draws one more. */
uint32_t worker_ahead_max(const struct stream *s);
/* What a row of a prompt costs; 0: not known. */
double worker_row_cost(const struct worker *w);
/* What the step costs with up to max rows more, in the same unit. */
void worker_step_costs(const struct worker *w, const struct stream *slice,
    uint32_t rows, uint32_t max, double *cost);

/* Finds them for what decodes in this step, and has room for them. */
void worker_look_ahead(struct worker *w, const struct stream *slice);
/* So many of those of s came true; s->at is what is valid of its positions. */
void worker_looked_ahead(struct worker *w, struct stream *s, uint32_t came);

/* worker_guess.c: those of a second model. */

/*
 * Guesses for what decodes, where they promise more than what it has ahead.
 * rows: of the step so far; others: tokens that it draws for others than one;
 * left: rows that may be added.
 */
void worker_guess_ahead(struct worker *w, const struct stream *slice,
    uint32_t rows, uint32_t others, uint32_t left);

#endif
