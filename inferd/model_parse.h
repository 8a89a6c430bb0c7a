/*
 * From the bytes of model files to a table: metadata to the numbers of an
 * architecture, tensors of all files of a split model in one list.  Pure; runs
 * in the throw-away parser.
 */
#ifndef BRIG_INFERD_MODEL_PARSE_H
#define BRIG_INFERD_MODEL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/model_table.h"

struct model_bytes {
	const void *p; /* the beginning of a file */
	size_t n;
	uint64_t size; /* of the whole file */
};

/*
 * The table of the files, in their order.  vocab_only: of one file, whatever
 * its architecture, and of its metadata the vocabulary alone.  The tokens of
 * the table point into the bytes.  NULL with err, which holds text of the file
 * as it is.  The caller frees the table.
 */
struct model_table *model_parse(const struct model_bytes *files,
    uint32_t nfiles, bool vocab_only, struct error *err);

#endif
