/*
 * How many tokens a very long prompt is, before the time is spent to make them
 * all: the main thread serves others, too.  Pure.
 */
#ifndef BRIG_INFERD_PROMPT_SIZE_H
#define BRIG_INFERD_PROMPT_SIZE_H

#include <stdint.h>

#include "inferd/api.h"
#include "inferd/tok.h"

#define PROMPT_LONG (1u << 20) /* bytes of text */

/*
 * 0 if the texts of r are PROMPT_LONG or less, or not more than `most` tokens.
 * Else they are certainly more, and this is about how many; no more of them
 * are looked at than it takes to know.
 */
uint32_t prompt_exceeds(
    const struct tok *t, const struct api_request *r, uint32_t most);

#endif
