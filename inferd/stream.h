/*
 * One completion on its way through the net: its tokens, how far they have
 * been computed, and what it tells.  The engine's thread alone.
 */
#ifndef BRIG_INFERD_STREAM_H
#define BRIG_INFERD_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "inferd/completion.h"
#include "inferd/draft.h"
#include "inferd/engine_post.h"
#include "inferd/guess.h"
#include "inferd/kv.h"
#include "inferd/sched.h"

struct mask;

/* Tokens that are computed before they are drawn. */
#define STREAM_AHEAD 16u

struct stream {
	struct sched_job job; /* first: a job is its stream */
	struct stream *next;
	struct gen *gen;
	struct post *post;
	struct completion *c; /* NULL: no token has been drawn */
	uint32_t *ids;        /* the prompt, then what was drawn */
	uint32_t n, cap;
	/* Positions that have been computed.  kv NULL: it does not run, or
	 * had to give back its memory and begins anew with all its ids. */
	uint32_t at;
	struct kv_seq *kv;
	uint32_t paid;           /* positions of the prompt that are paid for */
	uint64_t tokens, cpu_us; /* that it has cost so far */
	uint32_t rows;           /* in the batch of this step */
	uint64_t draw_us;        /* CPU time of what was drawn there */
	size_t logits;           /* of its first row there that wants them */
	uint32_t ahead[STREAM_AHEAD]; /* what may come behind ids */
	uint32_t nahead, nguess;      /* of this step; guessed ones of them */
	struct draft *draft;          /* or NULL */
	struct guess *guess;          /* what the second model knows, or NULL */
	bool by_model;                /* the guesses are that one's */
	struct gen_usage usage;
	uint64_t began_us, first_us; /* 0: not yet */
	uint64_t told_us;
};

/* Takes over the prompt of g. */
struct stream *stream_new(struct gen *g, struct post *p);
void stream_free(struct stream *s); /* its kv has been given back */

/* Its ids are computed but for the last one, which was drawn. */
bool stream_decodes(const struct stream *s);
/* It has not said how far it is for as long as anybody wants to know. */
bool stream_may_tell(const struct stream *s, uint64_t now_us);
void stream_tell(
    struct stream *s, uint32_t position, uint32_t eta_ms, uint64_t now_us);
/*
 * Draw the next token by the logits of its last position.  *mask: of t, made
 * when it is needed.  False: that has ended it.
 */
bool stream_draw(struct stream *s, const struct tok *t, struct mask **mask,
    const float *logits, uint64_t now_us);
/* Sends its GEN_END; the gen is the main thread's again. */
void stream_end(struct stream *s, enum gen_finish why, uint64_t now_us);

#endif
