/*
 * Guesses of a second, smaller model with the vocabulary of the first one: it
 * is asked what comes next, again and again, and the first one looks at all of
 * that in one step.  Of each text it has keys and values of its own, from a
 * pool of its own, and learns how often it was right there; what it knows of
 * one text is used for no other.
 *
 * The engine's thread alone.
 */
#ifndef BRIG_INFERD_GUESS_H
#define BRIG_INFERD_GUESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/draft.h"
#include "inferd/run.h"
#include "inferd/sample.h"

#define GUESS_ROWS 128u /* of one step of the second model */
/* So many tokens behind the text are caught up with while it guesses. */
#define GUESS_NEAR 8u
/* Guesses by how sure it was of them. */
#define GUESS_KINDS 5u

/* The second model. */
struct guesser {
	const struct net *net;
	struct run *run;
	struct kv_pool *kv;
	struct sampler *sampler;
	/* What is read for a token, as a part of what the first model reads:
	 * what it costs, until that is measured. */
	double weight;
	struct draft_costs costs; /* of its steps that guess */
	double row_us; /* of a row of a text that it reads; 0: not known */
	struct row rows[GUESS_ROWS]; /* of the step to come */
	uint32_t nrows;
};

/* The net of a model whose tokens are those of `first`; NULL with err. */
struct net *guesser_net(const struct model_table *first,
    const struct model_table *t, struct error *err);
/* n and pool are borrowed.  type: of keys and values, if its heads allow it;
 * budget: bytes of them. */
struct guesser *guesser_new(const struct net *n, struct pool *pool,
    enum tensor_type type, uint64_t budget, double weight);
/* All its texts have been freed; NULL is fine. */
void guesser_free(struct guesser *m);
/*
 * Of `total` bytes for keys and values what the second model gets: as much of
 * them as it needs for the same texts, but no more than a quarter.  A page of
 * the first one takes main_page bytes.
 */
uint64_t guesser_budget(const struct hparams *hp, enum tensor_type type,
    uint64_t main_page, uint64_t total);
/* Positions that budget holds. */
uint64_t guesser_positions(
    const struct hparams *hp, enum tensor_type type, uint64_t budget);

/* What it knows of one text. */
struct guess {
	struct kv_seq *kv; /* NULL: nothing */
	uint32_t at;   /* positions: of the text, and of guesses behind it */
	uint32_t text; /* how long that was when it guessed */
	uint32_t made; /* guesses since */
	uint32_t token[DRAFT_MAX];
	uint8_t kind[DRAFT_MAX];
	double chance[GUESS_KINDS], mean; /* that they come true */
	double missed; /* cost that guesses would have saved so far */
	uint64_t turn; /* when it last read */
};

struct guess *guess_new(void);
void guess_free(struct guess *g); /* NULL is fine */
/* Give back its memory; what it has learned stays.  NULL is fine. */
void guess_forget(struct guess *g);
uint64_t guess_bytes(const struct guesser *m, const struct guess *g);
/* What n positions take. */
uint64_t guesser_bytes(const struct guesser *m, uint32_t n);
/* Room for n positions: 0, or -1 when the budget does not allow it. */
int guess_reserve(struct guesser *m, struct guess *g, uint32_t n);

/* The text has n tokens now: which guesses were right, and what is to be
 * forgotten of its positions. */
void guess_learn(struct guess *g, const uint32_t *ids, uint32_t n);
/* It is not tried. */
void guess_rest(struct guess *g);
/*
 * Read on, `most` rows (GUESS_ROWS) at most; the last token stays for
 * guess_add().  Returns how many were read: none once *stop is not 0.
 */
uint32_t guess_read(struct guesser *m, struct guess *g, const uint32_t *ids,
    uint32_t n, uint32_t most, const atomic_int *stop);
/* What is to be computed for its next guess; how many rows, at most
 * GUESS_NEAR. */
uint32_t guess_add(
    struct guesser *m, struct guess *g, const uint32_t *ids, uint32_t n);
/* The rows that were added; logits: of each text, in order. */
void guesser_step(struct guesser *m, float *logits);
/* What it guesses, by these; they are changed.  Returns the chance of it. */
double guess_take(struct guesser *m, struct guess *g, float *logits);

#endif
