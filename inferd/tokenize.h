/*
 * inferd --tokenize: a text as a model sees it.
 */
#ifndef BRIG_INFERD_TOKENIZE_H
#define BRIG_INFERD_TOKENIZE_H

#include <stdbool.h>

#include "inferd/model_load.h"

/*
 * Print the tokens of standard input, one a line with its id, or as one JSON
 * array of ids.  Control tokens are not recognised.  The exit status.
 */
int tokenize_print(const char *path, const struct model_opts *opts, bool json);

#endif
