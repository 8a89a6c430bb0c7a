/*
 * Looks for numbers in tensors that are not finite: one NaN in a scale makes
 * every answer of a model NaN.  Pure.
 */
#ifndef BRIG_INFERD_MODEL_SCAN_H
#define BRIG_INFERD_MODEL_SCAN_H

#include "base/error.h"
#include "inferd/model_table.h"

/* All values of F32, F16 and BF16, all scales of the rest: 0, or -1 with err.
 */
int model_scan(const struct tensor *t, struct error *err);
/* All numbers of a table of type I32 are below that: 0, or -1. */
int model_scan_below(const struct tensor *t, uint32_t below);

#endif
