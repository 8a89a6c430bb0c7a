/*
 * A model as the engine has it: its checked table, and its tensors' bytes in
 * memory, read-only.  Either the files are mapped as they are, or they were
 * copied into sealed memory while they were hashed, so that they can neither
 * change nor be dropped by the kernel.
 */
#ifndef BRIG_INFERD_MODEL_LOAD_H
#define BRIG_INFERD_MODEL_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/model_table.h"

struct model;

struct model_opts {
	bool vocab_only; /* of one file the vocabulary, whatever its arch */
	bool seal;
	/* Lines of sha256sum(1) that must name every file; needs seal. */
	const char *manifest;
	bool scan; /* look through all weights for what is not finite */
	/* While the weights are read, if not NULL: bytes done, and in all. */
	void (*progress)(uint64_t done, uint64_t all, void *arg);
	void *arg;
};

/*
 * Open the model at path; of a split one the first file, NAME-00001-of-0000N
 * .gguf, the others beside it.  opts may be NULL.  NULL with err, which names
 * the file.  The tensors of its table have their data set.
 */
struct model *model_open(
    const char *path, const struct model_opts *opts, struct error *err);
void model_close(struct model *m); /* NULL is fine */
void model_cleanup(struct model **m);
#define cleanup_model attr_cleanup(model_cleanup)

const struct model_table *model_table(const struct model *m);
/* NULL if there is none of that name. */
const struct tensor *model_tensor(const struct model *m, const char *name);

/* Bytes of all files. */
uint64_t model_bytes(const struct model *m);
/* File i of them, as long as the model is open. */
struct model_map {
	int fd;
	const uint8_t *p; /* its first byte */
	uint64_t bytes;
};
struct model_map model_map(const struct model *m, uint32_t i);
/* SHA-256 of file i as hexadecimal text; "" unless sealed. */
const char *model_sha256(const struct model *m, uint32_t i);
/*
 * A name for these weights, as hexadecimal text of SHA-256: made from the
 * table, the sizes of the files, and the hashes of sealed ones, else up to 4096
 * bytes of each tensor.  So a copy has the same, and another model of this
 * shape not.
 */
const char *model_id(const struct model *m);
bool model_is_sealed(const struct model *m);
bool model_is_locked(const struct model *m); /* in memory, all of it */

#endif
