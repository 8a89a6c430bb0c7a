/*
 * Steering: directions in the residual stream that an administrator chose for
 * a class of requests, added to it behind each layer, or taken out of it.
 * Read once at the start; constant then.  A row is steered by itself, so its
 * result is the same in any company.
 *
 * Files are control vectors as llama.cpp writes them: GGUF of the architecture
 * "controlvector", tensors direction.N (F32, as long as an embedding) for what
 * layer N, counted from 0, leaves behind.
 */
#ifndef BRIG_INFERD_STEER_H
#define BRIG_INFERD_STEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/model_table.h"

#define STEER_CLASSES_MAX 64u
#define STEER_VECTORS_MAX 8u /* files of one class */
#define STEER_FILE_MAX (256u << 20)

struct steers;
struct steer; /* one class */

struct steers *steers_new(const struct hparams *hp);
void steers_free(struct steers *s); /* NULL is fine */
/*
 * CLASS=FILE[:STRENGTH][:project]: h += v * strength, or with project
 * h -= (h . v) v * strength with v made one long.  Strength is 1 if it is not
 * said.  A class that is there gets one more.  -1 with err.
 */
int steers_add(struct steers *s, const char *spec, struct error *err);
/* The same for the bytes of a file; name: for errors. */
int steers_add_bytes(struct steers *s, const char *class, const char *name,
    const void *p, size_t n, float strength, bool project, struct error *err);
/* NULL: no such class.  s may be NULL. */
const struct steer *steers_find(const struct steers *s, const char *class);

/* h: one row behind the layer. */
void steer_apply(const struct steer *s, uint32_t layer, float *h);

#endif
