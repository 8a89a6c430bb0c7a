/*
 * Which tensors each architecture has, of which shape.  Checked by the parser,
 * which can say best what is wrong, and again by the engine, which computes
 * without checks.  Pure.
 */
#ifndef BRIG_INFERD_MODEL_SHAPE_H
#define BRIG_INFERD_MODEL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/model_table.h"

/*
 * The numbers of t->hp are such that its architecture can be computed, every
 * tensor it needs is there, every tensor there is one it may have, and all are
 * of the right shape: 0, or -1 with err.  A table of ARCH_NONE has no tensor.
 */
int model_shape_check(const struct model_table *t, struct error *err);

/* Of this, what concerns the numbers alone. */
int model_shape_numbers(const struct hparams *hp, struct error *err);

/* Bytes of weights that are read for one token. */
uint64_t model_bytes_per_token(const struct model_table *t);
/* All parameters, and those that one token uses. */
uint64_t model_params(const struct model_table *t, uint64_t *active);

/*
 * The tensors of an architecture one by one, for programs that make models:
 * number i of a layer (layer < 0: those of no layer), with its shape for hp.
 * False: there is no such number.
 */
enum tensor_class {
	CLASS_NORM, /* and biases, sinks, scales: F32 */
	CLASS_EMBD,
	CLASS_OUTPUT,
	CLASS_ATTN,
	CLASS_ROUTER,
	CLASS_FFN, /* gate and up */
	CLASS_DOWN
};
struct tensor_want {
	const char *name; /* after "blk.N." for those of layers */
	enum tensor_class kind;
	bool optional;
	bool expert; /* one of experts_used out of experts is read */
	uint32_t ndims;
	uint64_t dims[4];
};
bool model_shape_want(
    const struct hparams *hp, bool layer, size_t i, struct tensor_want *out);

#endif
