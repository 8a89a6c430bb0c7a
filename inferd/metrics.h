/*
 * What is counted, by agent, and how it is said to who measures (OpenMetrics
 * 1.0 as text).  Numbers alone: no text of a request is kept.  Pure.
 */
#ifndef BRIG_INFERD_METRICS_H
#define BRIG_INFERD_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "inferd/agent.h"
#include "inferd/api.h"
#include "inferd/engine.h"
#include "inferd/gen.h"

/* More than there are connections: each may be another agent's, and some have
 * a request behind them that has not ended. */
#define METRICS_CLIENTS 2048u
#define METRICS_TYPE                                                           \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* How a request ended, besides enum gen_finish: answered without sampling,
 * or refused. */
#define OUTCOME_ANSWERED (GEN_DEADLINE + 1u)
#define OUTCOME_REFUSED (GEN_DEADLINE + 2u)
/* It was made, and not told: its record could not be written. */
#define OUTCOME_UNRECORDED (GEN_DEADLINE + 3u)
#define OUTCOMES (GEN_DEADLINE + 4u)

/* An agent that has connections or has had them. */
struct client {
	char name[AGENT_NAME_MAX + 1];
	unsigned conns, open;
	size_t held; /* bytes of requests */
	uint64_t ended[API_OTHER][OUTCOMES];
	struct gen_usage_sum {
		uint64_t prompt, cached, sampled, thinking;
		uint64_t drafted, accepted;
		uint64_t model_drafted, model_accepted;
		uint64_t queue_us, prompt_us, sample_us;
	} sum;
	uint64_t used; /* the later, the larger */
	struct client *next;
};

struct metrics {
	struct client *clients;
	unsigned n;
	uint64_t uses;
	/* Is there a record of what is said, and can it be written? */
	bool has_record, record_failed;
};

/* The client of that name, made if need be; one without connections may go
 * for it.  NULL: too many. */
struct client *metrics_client(struct metrics *m, const char *name);
void metrics_free(struct metrics *m);

void metrics_ended(struct client *c, enum api_kind kind, unsigned outcome);
void metrics_usage(struct client *c, const struct gen_usage *u);

/* only: this one's alone, and nothing of the engine's; NULL: all. */
void metrics_put(const struct metrics *m, const struct client *only,
    const struct engine_stats *e, struct buf *out);

#endif
