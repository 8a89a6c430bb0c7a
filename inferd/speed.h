/*
 * inferd --bench: how fast a model is computed here.
 */
#ifndef BRIG_INFERD_SPEED_H
#define BRIG_INFERD_SPEED_H

#include <stdbool.h>

#include "inferd/model_load.h"

/*
 * Print tokens per second of a prompt of 512 tokens and of 64 tokens one by
 * one, each the median of several passes, the time the model took to open, and
 * memory; as text, or as JSON objects, one a line.  The exit status.
 */
int speed_print(const char *path, const struct model_opts *opts,
    unsigned threads, bool json);

#endif
