/*
 * A small model as a file, loaded, for tests of what runs completions.
 */
#ifndef BRIG_TESTS_INFERD_ENGINE_WORLD_H
#define BRIG_TESTS_INFERD_ENGINE_WORLD_H

#include "inferd/engine.h"
#include "inferd/mkmodel.h"

struct world {
	char dir[64];
	struct model *model;
	struct tok *tok;
};

void world_new(struct world *w);
void world_free(struct world *w);
/* Another model; model_close() it. */
struct model *world_other(const struct world *w, const struct mkmodel *k);

/* n tokens of a text; malloc'ed. */
int32_t *world_prompt(const struct world *w, uint32_t text, uint32_t n);
/* Of a completion of so many tokens, drawn with a temperature. */
struct gen_params world_params(uint32_t max_tokens, uint64_t seed);

#endif
