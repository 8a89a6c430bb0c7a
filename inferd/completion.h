/*
 * One completion as it is sampled: draws the next token from logits, takes
 * apart what it says and decides when it ends.  No threads and no clock; the
 * same parameters, logits and ids give the same tokens and events.  GEN_END
 * is sent by whoever asks.
 *
 * Where a schema has to be matched, a call's arguments are written as JSON,
 * even in families that write tags.
 *
 * Draws are greedy in the protocol's syntax and nowhere else: markup of a
 * call, its name, names of its arguments and the punctuation between them.
 * An argument's value has the caller's temperature.  Control tokens and markup
 * are never text.
 */
#ifndef BRIG_INFERD_COMPLETION_H
#define BRIG_INFERD_COMPLETION_H

#include <stdint.h>

#include "base/buf.h"
#include "inferd/gen.h"
#include "inferd/tok.h"

struct completion;
struct call_loop;
struct mask;

/*
 * t and p stay until completion_free().  ids: 16 random bytes that the ids of
 * its calls are made from.  loop: the session's, or NULL.
 */
struct completion *completion_new(const struct tok *t,
    const struct gen_params *p, const uint8_t ids[16], struct call_loop *loop,
    gen_fn *fn, void *arg);
void completion_free(struct completion *c); /* NULL is fine */

/* Of t; stays.  Without it one is made when it is needed. */
void completion_mask(struct completion *c, const struct mask *m);

/*
 * The next token, by logits [tok_count()] of the position before it; events
 * are sent while it is taken in.  Not to be called when it has ended.  The
 * token that ends a turn is returned, too.
 */
uint32_t completion_next(struct completion *c, const float *logits);
/* Tokens that come next whatever the logits say, borrowed; how many. */
size_t completion_forced(const struct completion *c, const int32_t **ids);
/* GEN_GOING: it has not ended. */
enum gen_finish completion_state(const struct completion *c);
/* End it from outside; sends what is held back.  Once. */
void completion_stop(struct completion *c, enum gen_finish why);
/* Tokens so far, and of them thoughts. */
uint32_t completion_sampled(const struct completion *c);
uint32_t completion_thinking(const struct completion *c);
/* The text that stopped it, or NULL. */
const char *completion_stop_text(const struct completion *c);
/*
 * What was sampled, as bytes, control tokens by name, and as tokens: for exact
 * replay.  Without the token that ended the turn, which the template writes.
 */
const struct buf *completion_bytes(const struct completion *c);
const struct tok_ids *completion_tokens(const struct completion *c);

#endif
