/*
 * Do the tokens of two models mean the same?  Pure.
 */
#ifndef BRIG_INFERD_VOCAB_SAME_H
#define BRIG_INFERD_VOCAB_SAME_H

#include "base/error.h"
#include "inferd/model_table.h"

/*
 * The same kind of vocabulary, as many tokens, and each with the same bytes
 * and of the same type: 0, or -1 with err, which says what of `other` is not
 * as in v.  How text becomes tokens may differ.
 */
int vocab_same(const struct vocab_table *v, const struct vocab_table *other,
    struct error *err);

#endif
