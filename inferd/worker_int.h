/*
 * The engine's thread: what its parts share.
 */
#ifndef BRIG_INFERD_WORKER_INT_H
#define BRIG_INFERD_WORKER_INT_H

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
/* Remember what has been computed of it. */
void worker_keep(struct worker *w, struct stream *s);
/* Remember, and give back its memory. */
void worker_release(struct worker *w, struct stream *s);

/* worker_draft.c: tokens that are computed before they are drawn. */

/* Finds them for what decodes in this step, and has room for them. */
void worker_look_ahead(struct worker *w, const struct stream *slice);
/* So many of those of s came true; s->at is what is valid of its positions. */
void worker_looked_ahead(struct worker *w, struct stream *s, uint32_t came);

#endif
