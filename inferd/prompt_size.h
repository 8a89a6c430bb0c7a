/*
 * How many tokens a very long prompt is, before the time is spent to make them
 * all: the main thread serves others, too.  Pure.
 */
#ifndef BRIG_INFERD_PROMPT_SIZE_H
#define BRIG_INFERD_PROMPT_SIZE_H

#include <stdint.h>

#include "inferd/template.h"
#include "inferd/tok.h"

#define PROMPT_LONG (1u << 20) /* bytes of text */

/*
 * 0 if the text is PROMPT_LONG or less, or not more than `most` tokens.  Else
 * it is certainly more, and this is about how many; no more of it is looked at
 * than it takes to know.
 */
uint32_t prompt_exceeds(
    const struct tok *t, struct chat_text text, uint32_t most);
/* The same of a prompt without what has been sampled, whose tokens are there
 * already. */
uint32_t prompt_exceeds_chat(
    const struct tok *t, const struct prompt *p, uint32_t most);

#endif
