/*
 * An engine with a cache on disk and agents that ask it, one at a time.
 */
#ifndef BRIG_TESTS_INFERD_TENANTS_H
#define BRIG_TESTS_INFERD_TENANTS_H

#include "inferd/engine.h"
#include "tests/inferd/engine_world.h"

struct tenants {
	struct world world;
	char cache[80];
	struct ev *ev;
	struct agents *agents;
	struct engine *engine;
};

struct answer {
	struct gen_usage usage;
	uint32_t computed; /* tokens of the prompt */
	uint64_t first_us; /* until the first text came */
	char text[4096];
	size_t n;
};

void tenants_new(struct tenants *t);
void tenants_free(struct tenants *t);
/* The engine ends and begins again: memory is empty, the disk is not. */
void tenants_restart(struct tenants *t);
/* The first npublic of n ids are registered as public. */
void tenants_ask(struct tenants *t, const char *agent, const int32_t *ids,
    uint32_t n, uint32_t npublic, struct answer *a);

#endif
