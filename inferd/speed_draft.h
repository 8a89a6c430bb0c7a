/*
 * inferd --bench --draft-model: what guesses are worth here.
 */
#ifndef BRIG_INFERD_SPEED_DRAFT_H
#define BRIG_INFERD_SPEED_DRAFT_H

#include "inferd/backend.h"
#include "inferd/speed.h"

/*
 * Have the model go on with a piece of source code, the likeliest token each
 * time, with guesses and without in turn, and print tokens per second of both
 * and how many guesses were right.  The exit status.
 */
int speed_draft_print(
    const struct backend_opts *o, const struct speed *s, bool json);

#endif
