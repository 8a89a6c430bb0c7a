/*
 * The prompt that a request is for the model: tokens.  One place, so that what
 * is registered as public begins exactly as what agents ask.  The main thread.
 */
#ifndef BRIG_INFERD_PROMPT_H
#define BRIG_INFERD_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/api.h"
#include "inferd/replay.h"
#include "inferd/template.h"
#include "inferd/tok.h"

struct prompt_maker {
	const struct tok *tok;
	const struct vocab_table *vocab;
	enum chat_family family;
	bool keep_volatile;    /* fields that change with each request */
	struct replay *replay; /* what was sampled before, or NULL */
	/* Of a very long one that is more than `most` tokens none are made, but
	 * *exceeds is about how many there are (E2BIG).  0: any number. */
	uint32_t most, *exceeds;
	struct prompt *said; /* becomes what the ids are of; or NULL */
};

/*
 * Appends the ids of r, one at least.  space: of the agent that asks, whose
 * turns are said as they were sampled.  date: today, "2026-11-21".  thinking:
 * the prompt ends within the model's thoughts; may be NULL.  -1 with err: a
 * history that the family cannot say (code 0), or too long (EMSGSIZE, E2BIG).
 */
int prompt_make(const struct prompt_maker *m, const struct api_request *r,
    uint32_t space, const char *date, struct tok_ids *ids, bool *thinking,
    struct error *err);

#endif
