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

/* Of this, what concerns the numbers alone (model_numbers.c). */
int model_shape_numbers(const struct hparams *hp, struct error *err);

/* What an architecture may have. */
enum model_trait {
	TRAIT_DENSE = 1 << 0,    /* layers without experts alone */
	TRAIT_EXPERTS = 1 << 1,  /* layers with experts */
	TRAIT_LEAD = 1 << 2,     /* dense layers in front of those */
	TRAIT_SHARED = 1 << 3,   /* an expert that every row goes through */
	TRAIT_GROUPS = 1 << 4,   /* experts out of the best groups alone */
	TRAIT_GATE = 1 << 5,     /* softmax or sigmoid, made to sum to one or
				  * not: the file says */
	TRAIT_IDLE = 1 << 6,     /* layers for guesses, which we leave out */
	TRAIT_LOW_RANK = 1 << 7, /* heads are made of one row of low rank */
	TRAIT_DELTA = 1 << 8,    /* layers with a state */
	TRAIT_STREAMS = 1 << 9   /* several residual streams, and what comes
				  * with them in struct streams_shape */
};
unsigned model_traits(enum arch arch);
/* How it chooses experts where its files do not say. */
enum expert_gate model_usual_gate(enum arch arch);

/* This layer has experts; else it has one dense block. */
bool model_layer_experts(const struct hparams *hp, uint32_t layer);
/* This layer keeps a state; else it is of attention. */
bool model_layer_delta(const struct hparams *hp, uint32_t layer);
/* Of its queries, keys and values: how long a row of all is. */
uint64_t delta_channels(const struct hparams *hp);

/* This layer has the experts of a token in a table. */
bool model_layer_hashed(const struct hparams *hp, uint32_t layer);

/* It belongs to a layer that is not computed. */
bool model_tensor_idle(const struct model_table *t, const struct tensor *ti);

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
	CLASS_DOWN,
	CLASS_TABLE /* of experts, by token: I32 */
};
struct tensor_want {
	const char *name; /* after "blk.N." for those of layers */
	enum tensor_class kind;
	bool optional;
	bool idle;   /* in a layer that is not computed: may be missing */
	bool expert; /* one of experts_used out of experts is read */
	uint32_t ndims;
	uint64_t dims[4];
};
bool model_shape_want(
    const struct hparams *hp, int layer, size_t i, struct tensor_want *out);

#endif
