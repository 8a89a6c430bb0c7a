/*
 * inferd --check: looks through a model file and says what it is.
 */
#ifndef BRIG_INFERD_CHECK_H
#define BRIG_INFERD_CHECK_H

#include <stdbool.h>

#include "inferd/model_load.h"

/*
 * Print what the model at path is, as text or as one JSON object on a line, to
 * standard output; or what is wrong with it, to standard error.  draft: the
 * path of one that is to guess for it, which is looked at, too; or NULL.  The
 * exit status.
 */
int check_model(const char *path, const char *draft,
    const struct model_opts *opts, bool json);

#endif
