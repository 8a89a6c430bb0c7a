/*
 * inferd --perplexity: how well a model foretells a text.
 */
#ifndef BRIG_INFERD_PERPLEXITY_H
#define BRIG_INFERD_PERPLEXITY_H

#include <stdbool.h>

#include "inferd/model_load.h"

/*
 * Print exp(mean of -log p) over the tokens of the file `text` ("-" is
 * standard input), in windows of `context` tokens of which the second half
 * counts.  The exit status.
 */
int perplexity_print(const char *path, const struct model_opts *opts,
    const char *text, uint32_t context, unsigned threads, bool json);

#endif
