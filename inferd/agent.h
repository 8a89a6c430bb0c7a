/*
 * Who asks: agents, what they may use and what they have used.  An agent is
 * named by whoever made the connection (its uid, or a name that the supervisor
 * vouches for), never by what it says.  The main thread owns the table; the
 * engine is told numbers.
 */
#ifndef BRIG_INFERD_AGENT_H
#define BRIG_INFERD_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/gen.h"

#define AGENT_NAME_MAX 64u

/* 0: no limit. */
struct agent_budget {
	uint64_t tokens;   /* prompt tokens that were not cached, and sampled */
	uint64_t cpu_ms;   /* of all threads */
	uint64_t kv_bytes; /* of pages, cached ones too */
	uint32_t wall_s;   /* of one request */
	uint32_t requests; /* at the same time */
	uint64_t window_s; /* after which tokens and cpu begin anew; 0: never */
};

struct agent {
	uint32_t space; /* of its prefixes; 1 and up */
	char name[AGENT_NAME_MAX + 1];
	struct agent_budget budget;
	uint64_t tokens, cpu_us; /* used in this window */
	uint64_t window_ms;      /* when it began */
	uint32_t open;           /* requests */
	bool interactive;        /* before the others */
};

struct agents;
struct agents *agents_new(const struct agent_budget *budget);
void agents_free(struct agents *a);
/* The agent of this name, made if need be; NULL: too many, or not a name. */
struct agent *agents_find(struct agents *a, const char *name);
/*
 * May it ask for so many tokens now?  -1 with err; retry_s: seconds until it
 * may, 0 if never.
 */
int agent_admit(struct agent *g, uint64_t now_ms, uint64_t tokens,
    uint32_t *retry_s, struct error *err);
void agent_charge(
    struct agent *g, uint64_t now_ms, uint64_t tokens, uint64_t cpu_us);

#endif
