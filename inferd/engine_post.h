/*
 * Where the main thread and the engine's meet, and the only place: completions
 * go to the engine, events come back.  Both may wait for the other, neither is
 * held up by it.
 */
#ifndef BRIG_INFERD_ENGINE_POST_H
#define BRIG_INFERD_ENGINE_POST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "inferd/engine.h"

/* Made by the main thread, which frees it after its GEN_END. */
struct gen {
	/* Of the main thread. */
	struct engine *engine;
	struct gen *prev, *next;
	struct agent *agent;
	gen_fn *fn;
	void *arg;
	bool quiet; /* was cancelled: nothing but its end is delivered */

	/* As it was asked for; not changed once it is with the engine. */
	struct gen_params params;
	int32_t *prompt; /* the engine takes it over */
	uint32_t n, npublic;
	uint32_t space;
	const char *agent_name;
	/* Of its agent, when it came. */
	uint64_t tokens_left, cpu_left_us;
	uint64_t kv_max;               /* bytes of its agent */
	uint64_t came_us, deadline_us; /* CLOCK_MONOTONIC; 0: none */
	bool interactive;
	uint8_t ids[16];
	const char *steer;
	struct call_loop *loop;

	/* An enum gen_finish: why it is to end now.  Set once by the main
	 * thread; the net looks at it between two layers. */
	atomic_int stop;

	struct gen *posted; /* the next one on the way to the engine */
};

/* One thing that the engine says. */
struct mail {
	struct mail *next;
	struct gen *gen;
	bool charge; /* what was used, else an event */
	uint64_t tokens, cpu_us;
	struct gen_event e; /* its bytes lie behind */
};

struct post;

struct post *post_new(void);    /* fatal() on failure */
void post_free(struct post *p); /* NULL is fine */

/* The main thread. */
void post_gen(struct post *p, struct gen *g);
void post_stop(struct post *p, struct gen *g, enum gen_finish why);
/* Nothing comes of this space any more. */
void post_gone(struct post *p, uint32_t space);
void post_quit(struct post *p);
int post_fd(const struct post *p); /* can be read: there is mail */
/* All mail in order, or NULL; free() each. */
struct mail *post_mail(struct post *p);
void post_stats(struct post *p, struct engine_stats *out);

/* The engine's thread. */
/*
 * What has come, in order, linked by posted, or NULL.  Waits so long for
 * anything to come; -1: without end.
 */
struct gen *post_take(struct post *p, int timeout_ms, bool *quit);
/* A space that has gone since, before anything that came later; 0: none. */
uint32_t post_take_gone(struct post *p);
void post_event(struct post *p, struct gen *g, const struct gen_event *e);
void post_charge(
    struct post *p, struct gen *g, uint64_t tokens, uint64_t cpu_us);
void post_stats_set(struct post *p, const struct engine_stats *s);

#endif
