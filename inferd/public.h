/*
 * Beginnings of prompts that an administrator has registered as public: what
 * is known of them may be known to all agents.
 *
 * A file has a request, as one of the four protocols has it in its body; it is
 * recognised by its members ("system": Anthropic's messages, "input": OpenAI's
 * responses, "prompt": completions, else chat completions).  Public are its
 * tools and the system messages in front of the others, as far as they make
 * the same tokens whatever comes behind.  A file that is no JSON object is the
 * text with which prompts of completions begin.
 *
 * The main thread alone.
 */
#ifndef BRIG_INFERD_PUBLIC_H
#define BRIG_INFERD_PUBLIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/prompt.h"

#define PUBLIC_MAX 64u /* files */

struct public_set;

/* What m points to stays. */
struct public_set *public_new(const struct prompt_maker *m);
void public_free(struct public_set *s); /* NULL is fine */
/* -1 with err, which names the file. */
int public_add(struct public_set *s, const char *file, struct error *err);
/* The same of n bytes. */
int public_add_text(
    struct public_set *s, const char *text, size_t n, struct error *err);
/*
 * So many tokens of a prompt are public: all of a registered beginning, or
 * whole pages of one.  date: today's; templates that say it make other tokens
 * each day.
 */
uint32_t public_match(
    struct public_set *s, const char *date, const int32_t *ids, uint32_t n);

#endif
