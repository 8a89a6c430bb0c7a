/*
 * The vocabulary in a model file's metadata: tokens, their kinds and scores,
 * merges as token ids, special tokens.  Pure; runs in the throw-away parser.
 */
#ifndef BRIG_INFERD_MODEL_VOCAB_H
#define BRIG_INFERD_MODEL_VOCAB_H

#include "base/error.h"
#include "inferd/gguf.h"
#include "inferd/model_table.h"

/*
 * Fill v, whose tokens point into g's bytes; what it allocates goes with the
 * table v is of.  *count: tokens that the file lists, also where its tokeniser
 * is none and they are dropped.  0, or -1 with err.
 */
int model_vocab_read(const struct gguf *g, struct vocab_table *v,
    uint32_t *count, struct error *err);

#endif
