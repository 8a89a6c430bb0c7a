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

#define AGENT_NAME_MAX 96u

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
	uint32_t held;           /* by connections and others that know it */
	uint64_t turn;           /* when the server last did something long */
	uint64_t used;           /* the later it was looked for, the larger */
};

/* All that are known at once, and have a space of prefixes each. */
#define AGENTS_MAX 4095u
/* And others of whom nothing is known but what they have used. */
#define AGENTS_SPENT_MAX (1u << 18)

struct agents;
/* budget: of each agent that is not given one of its own. */
struct agents *agents_new(const struct agent_budget *budget);
void agents_free(struct agents *a); /* NULL is fine */
/* Who else has something of an agent, and forgets it with the table.  A space
 * is not used again. */
typedef void agents_gone_fn(uint32_t space, void *arg);
void agents_on_gone(struct agents *a, agents_gone_fn *fn, void *arg);
/*
 * The agent of this name, made if need be, with what it had used.  While `held`
 * or `open` is more than 0 it stays; else until agents_make_room().  NULL: too
 * many, or not a name: 1 to AGENT_NAME_MAX of the ASCII characters that are
 * seen.
 */
struct agent *agents_find(struct agents *a, const char *name);
/*
 * If there is no room for another, who was looked for longest ago is forgotten,
 * but for what it has used of a budget in a window that is not over: by coming
 * under new names or waiting for others to do so none gets it back.  When not
 * even that can be kept, AGENTS_SPENT_MAX being kept already, it is one who has
 * used nothing, and else nobody.
 */
void agents_make_room(struct agents *a, uint64_t now_ms);
/* Each agent in order of its making, for whoever lists them. */
struct agent *agents_get(struct agents *a, uint32_t i); /* NULL: no more */

/*
 * May it ask for a completion of so many tokens now?  -1 with err; retry_s:
 * seconds until it may, 0 if never.
 */
int agent_admit(struct agent *g, uint64_t now_ms, uint64_t tokens,
    uint32_t *retry_s, struct error *err);
/* What it used.  The engine does this, and counts `open`. */
void agent_charge(
    struct agent *g, uint64_t now_ms, uint64_t tokens, uint64_t cpu_us);
/* It has used up tokens or CPU time of this window. */
bool agent_is_spent(struct agent *g, uint64_t now_ms);
/* What it may still use in this window; UINT64_MAX: no limit. */
void agent_left(
    struct agent *g, uint64_t now_ms, uint64_t *tokens, uint64_t *cpu_us);

#endif
