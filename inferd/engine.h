/*
 * The engine: completions of many agents through one net, in turns that are
 * fair to the agents.  It has a thread of its own; every function here is for
 * the main thread, and events come to the main thread.
 */
#ifndef BRIG_INFERD_ENGINE_H
#define BRIG_INFERD_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/ev.h"
#include "inferd/agent.h"
#include "inferd/gen.h"
#include "inferd/model_load.h"
#include "inferd/tok.h"

struct engine_opts {
	unsigned threads;
	enum tensor_type kv_type;
	uint64_t kv_budget; /* bytes of keys and values in memory */
	uint32_t context;   /* positions of one sequence; 0: as trained */
	uint32_t batch_max; /* completions at once, of agents that have one */
	const char *cache_dir; /* of keys and values on disk; NULL: none */
	uint64_t disk_budget;
	const struct steers *steers; /* classes of steering, or NULL; stays */
	bool no_drafts;
	/* A smaller model of the same vocabulary that guesses, too; or NULL.
	 * It stays. */
	const struct model *draft;
};

/* Completions that wait at most, and of one agent. */
#define ENGINE_QUEUE_MAX 256u
#define ENGINE_QUEUE_AGENT_MAX 128u
#define ENGINE_QUEUE_SURE 2u /* of an agent, whatever others have */

struct engine;
struct steers;
struct call_loop;
struct gen; /* one completion in the engine */

/* m and t stay while it lives.  NULL with err. */
struct engine *engine_new(struct ev *ev, const struct model *m,
    const struct tok *t, const struct engine_opts *o, struct error *err);
/* Cancels what is left, waits for its thread and delivers the ends.  NULL is
 * fine. */
void engine_free(struct engine *e);

struct gen_request {
	struct agent *agent;
	int32_t *prompt; /* malloc'ed; the engine's from here on */
	uint32_t n;
	/* So many tokens of it are the public beginning that was registered. */
	uint32_t npublic;
	struct gen_params params; /* what it points to stays until GEN_END */
	uint32_t deadline_ms;     /* from now; 0: none */
	bool interactive;         /* before what is not */
	uint8_t ids[16];          /* of its calls */
	const char *steer;        /* class of steering, or NULL */
	/* The session's calls: the engine's until GEN_END; or NULL. */
	struct call_loop *loop;
	gen_fn *fn; /* called in the main thread */
	void *arg;
};

enum engine_refusal {
	ENGINE_OK,
	ENGINE_CONTEXT,  /* more than the context holds: 400 */
	ENGINE_BUSY,     /* queue is full: 503 */
	ENGINE_BUDGET,   /* of the agent, for now: 429 */
	ENGINE_DEADLINE, /* it would take longer than the deadline: 400 */
	ENGINE_MEMORY,   /* of keys and values: 503 */
};

/*
 * Take it in.  NULL with why, err (one line with the numbers) and retry_s; the
 * prompt is freed then.  The gen lives until its GEN_END has been delivered.
 */
struct gen *engine_submit(struct engine *e, const struct gen_request *r,
    enum engine_refusal *why, uint32_t *retry_s, struct error *err);
/* Returns at once; nothing but GEN_END is delivered any more, which comes soon,
 * with GEN_CANCELLED if nothing else ended it before.  Until then what it
 * borrows stays. */
void engine_cancel(struct engine *e, struct gen *g);

/* What is remembered of an agent that nothing comes of any more; on disk it
 * stays. */
void engine_gone(struct engine *e, uint32_t space);

struct engine_stats {
	uint32_t running, waiting;
	uint64_t prompt_tokens, cached_tokens, sampled_tokens;
	uint64_t drafted, accepted;
	uint64_t model_drafted,
	    model_accepted; /* of them, the second model's */
	uint64_t kv_used, kv_budget;
	uint64_t put_back; /* that gave up their memory to begin anew later */
	/* Tokens a second, lately; of decoding, of one completion.  0: not
	 * known. */
	double prefill_rate, decode_rate;
	uint64_t measured_us; /* when: CLOCK_MONOTONIC */
};
void engine_stats(struct engine *e, struct engine_stats *out);
/* Positions that a completion of this agent may have, by its budget of memory,
 * too; NULL: of one without. */
uint32_t engine_context(const struct engine *e, const struct agent *a);

#endif
