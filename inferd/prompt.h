/*
 * The prompt that a request is for the model: tokens.  One place, so that what
 * is registered as public begins exactly as what agents ask.  Pure.
 */
#ifndef BRIG_INFERD_PROMPT_H
#define BRIG_INFERD_PROMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/api.h"
#include "inferd/template.h"
#include "inferd/tok.h"

struct prompt_maker {
	const struct tok *tok;
	const struct vocab_table *vocab;
	enum chat_family family;
	bool keep_volatile; /* fields that change with each request */
};

/*
 * Appends the ids of r, one at least.  date: today, "2026-11-21".  thinking:
 * the prompt ends within the model's thoughts; may be NULL.  -1 with err: a
 * history that the family cannot say (code 0), or too long (EMSGSIZE).
 */
int prompt_make(const struct prompt_maker *m, const struct api_request *r,
    const char *date, struct tok_ids *ids, bool *thinking, struct error *err);

#endif
