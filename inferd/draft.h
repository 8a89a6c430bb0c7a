/*
 * Guesses of the tokens to come, by what followed the last time the same few
 * tokens stood in the text: agents repeat files, names and calls.  How many
 * are worth it is decided by how often such guesses came true in this text
 * and by what rows cost.  Pure; one owner, no threads.
 */
#ifndef BRIG_INFERD_DRAFT_H
#define BRIG_INFERD_DRAFT_H

#include <stdbool.h>
#include <stdint.h>

#define DRAFT_MAX 8u            /* guesses at once */
#define DRAFT_TOKENS (1u << 20) /* of a text that are remembered */
#define DRAFT_ROWS 64u          /* of a step, told apart by their cost */

struct draft;

struct draft *draft_new(void);
void draft_free(struct draft *d); /* NULL is fine */

/* ids: the whole text so far, n tokens; the new ones of it are remembered. */
void draft_add(struct draft *d, const uint32_t *ids, uint32_t n);
/*
 * What may follow the text, after draft_add(): at most max (and DRAFT_MAX)
 * tokens to out.  cost[k], k up to max: of a step with k guesses, in any unit;
 * others: tokens that the step makes for others.  Returns how many, 0 where
 * guessing is expected to make the step slower by token.
 */
uint32_t draft_guess(struct draft *d, const uint32_t *ids, uint32_t n,
    uint32_t max, const double *cost, double others, uint32_t *out);
/* Tokens by cost that the last draft_guess() promised, if it found any. */
double draft_rate(const struct draft *d);
/* So many of the last guesses were tried, and so many of these came true. */
void draft_result(struct draft *d, uint32_t guessed, uint32_t accepted);

/* A step of which `from` guesses are there, and more can be had. */
struct draft_outlook {
	double tokens; /* it makes by these, as is expected */
	double right;  /* the chance that all of them are right */
	double chance; /* of each one more */
	uint32_t from, max;
	const double *cost; /* [max + 1]: of a step with so many; 0: unknown */
};
/*
 * The number of guesses, `from` to max, by which tokens are expected to come
 * fastest; *rate: tokens by cost with them.
 */
uint32_t draft_worth(const struct draft_outlook *o, double *rate);

/* A guess came true or did not: what is thought of others like it. */
void draft_chance_add(double *chance, bool came);
/* What is never tried comes back to what it was thought to be, so slowly that
 * trying it again costs next to nothing. */
void draft_chance_forget(double *chance, double thought);

/* What steps cost by their number of rows, as measured. */
struct draft_costs {
	double us[DRAFT_ROWS + 1]; /* 0: not measured */
};
void draft_costs_add(struct draft_costs *c, uint32_t rows, double us);
/* Measured, or estimated by what is; 0 if nothing is. */
double draft_costs_get(const struct draft_costs *c, uint32_t rows);

#endif
