/*
 * The parser of model files as a process of its own that is thrown away: it
 * has the files and a pipe, may read, map memory, write and end, and has
 * little memory and time.  Whatever the bytes do to it, its parent gets a
 * table, which it checks again, or one line of text.
 */
#ifndef BRIG_INFERD_MODEL_CHILD_H
#define BRIG_INFERD_MODEL_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/model_table.h"

#define MODEL_CHILD_MEMORY (1ull << 30) /* bytes that it may allocate */
#define MODEL_CHILD_CPU 20u             /* seconds of the processor */
#define MODEL_CHILD_WALL 60u            /* seconds */

/*
 * Parse the nfiles files open at fds, of those sizes, as model_parse() does.
 * Checked against the files and the needs of its architecture.  NULL with err,
 * which is safe to show.  The caller frees the table.
 */
struct model_table *model_child_parse(const int *fds, const uint64_t *sizes,
    uint32_t nfiles, bool vocab_only, struct error *err);

/*
 * What the child runs on the bytes; tests put in something that crashes or
 * does not end.
 */
struct model_bytes;
typedef struct model_table *model_parse_fn(const struct model_bytes *files,
    uint32_t nfiles, bool vocab_only, struct error *err);
struct model_table *model_child_run(model_parse_fn *parse, const int *fds,
    const uint64_t *sizes, uint32_t nfiles, bool vocab_only, unsigned wall,
    struct error *err);

#endif
