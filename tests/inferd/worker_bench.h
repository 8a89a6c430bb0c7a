/*
 * The engine's thread without a thread: a worker over a small model, what it is
 * asked and what it says, step by step.
 */
#ifndef BRIG_TESTS_INFERD_WORKER_BENCH_H
#define BRIG_TESTS_INFERD_WORKER_BENCH_H

#include "inferd/worker.h"
#include "tests/inferd/engine_world.h"

#define BENCH_STREAMS 8u
#define BENCH_SAY 120u /* tokens of bench_ask_again() */
#define SECOND 1000000u

/* One completion and what was said of it. */
struct asked {
	struct gen gen;
	char *bytes;
	size_t n;
	enum gen_finish finish; /* GEN_GOING: not yet */
	struct gen_usage usage;
	uint64_t tokens, cpu_us; /* charged */
	uint32_t progress;
};

struct bench {
	const struct world *world;
	struct net *net;
	struct arch_def def;
	struct post *post;
	struct worker *worker;
	uint64_t now;
	size_t page;
};

/* Of the layers that were computed since the last bench_new(); behind layer
 * number stop_at the one asked for in `stop` hangs up. */
struct bench_layers {
	size_t rows;
	uint32_t n, stop_at;
	struct asked *stop;
};
extern struct bench_layers bench_layers;

/* Keys and values of so many positions. */
void bench_new(struct bench *b, const struct world *w, unsigned threads,
    uint32_t positions);
void bench_new_with(struct bench *b, const struct world *w, unsigned threads,
    uint32_t positions, bool no_drafts);
void bench_free(struct bench *b);

/* Not yet given to the worker. */
void bench_ask(
    struct bench *b, struct asked *a, uint32_t text, uint32_t n, uint32_t more);
/* Repeats itself, and makes a model repeat itself that takes the likeliest;
 * every third one draws, from few, so that guesses turn out wrong. */
void bench_ask_again(struct bench *b, struct asked *a, uint32_t text);
void bench_mail(struct bench *b);
bool bench_step(struct bench *b);
/* Until nothing is left. */
void bench_run(struct bench *b);

void asked_forget(struct asked *a, size_t n);
void assert_asked_same(
    const struct asked *a, const struct asked *b, uint32_t n);

#endif
