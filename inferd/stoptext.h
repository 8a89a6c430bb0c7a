/*
 * Texts that end an answer and are not said: found wherever the pieces are
 * cut, and what may be the beginning of one is held back.  Pure.
 */
#ifndef BRIG_INFERD_STOPTEXT_H
#define BRIG_INFERD_STOPTEXT_H

#include <stddef.h>

#include "base/buf.h"
#include "inferd/template.h"

/* A byte costs a step for each: whoever reads requests refuses more. */
#define STOPTEXT_MAX 64u

struct stoptext;

/*
 * The texts are borrowed.  Empty ones and what is not UTF-8 cannot be found;
 * what is behind the first STOPTEXT_MAX is not looked for.
 */
struct stoptext *stoptext_new(const struct chat_text *texts, size_t n);
void stoptext_free(struct stoptext *s); /* NULL is fine */
/*
 * Takes whole characters and appends what can be said of them.  True when one
 * has been found, the first to be complete and of these the longest: *which;
 * what stood before it has been appended.
 */
bool stoptext_push(struct stoptext *s, const char *p, size_t n, struct buf *out,
    size_t *which);
/* The text ends here: appends what was held back, and begins anew. */
void stoptext_flush(struct stoptext *s, struct buf *out);

#endif
