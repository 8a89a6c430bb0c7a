/*
 * Makes models of random weights: valid GGUF files of any architecture, shape
 * and types that inferd computes.  The same request makes the same bytes
 * everywhere.  For tests, benchmarks and first steps; what such a model says
 * means nothing.
 */
#ifndef BRIG_INFERD_MKMODEL_H
#define BRIG_INFERD_MKMODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "inferd/model_table.h"
#include "inferd/model_shape.h"

#define MKMODEL_CLASSES (CLASS_DOWN + 1)
/* So many tokens a vocabulary of a kind has at least. */
#define MKMODEL_BPE_MIN 263u
#define MKMODEL_SPM_MIN 286u

enum mkmodel_vocab {
	MKMODEL_BPE,
	MKMODEL_SPM,
	MKMODEL_NO_VOCAB
};

struct mkmodel {
	struct hparams hp;
	enum tensor_type type[MKMODEL_CLASSES]; /* CLASS_NORM's is F32 */
	enum mkmodel_vocab vocab;
	const char *pre; /* the pre-tokeniser of MKMODEL_BPE */
	bool template;   /* have a chat template (ChatML) */
	bool tied;       /* no output matrix: the embedding is used */
	bool extras;     /* the optional tensors too: biases, scales */
	bool biases;     /* of the optional ones the biases */
	bool qk_norm;    /* and the norms of queries and keys */
	bool mix;        /* the type of CLASS_DOWN in some layers only */
	uint32_t files;  /* more than 1: NAME-00001-of-0000N.gguf */
	uint64_t seed;
	float gain; /* of the output: the higher, the surer the model */
};

/* A small qwen3moe of 4 layers, Q4_K and Q6_K, 5 MB. */
void mkmodel_init(struct mkmodel *k);
/*
 * Write the file, or the files of a split one, at path, which ends in .gguf.
 * Each is written beside its place and then renamed.  0, or -1 with err.
 */
int mkmodel_write(const struct mkmodel *k, const char *path, struct error *err);

/* The pairs of the vocabulary, appended to b; how many (mkmodel_vocab.c). */
uint32_t mkmodel_put_vocab(struct buf *b, const struct mkmodel *k);

#endif
