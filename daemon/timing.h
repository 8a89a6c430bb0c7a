/*
 * When a job's output came: the file beside its output log, in the multi-
 * stream format of script(1), so that scriptreplay(1) of util-linux plays it:
 *
 *	H 0.000000 COLUMNS 80
 *	O 0.310001 42			42 bytes more of the log
 *	S 0.020000 SIGWINCH ROWS=33 COLS=77
 *
 * where the number is the time in seconds since the line before.  Written by
 * the shim, read by `brig replay`.
 */
#ifndef BRIG_TIMING_H
#define BRIG_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define TIMING_LINE_MAX 128u
#define TIMING_BYTES_MAX (64u * 1024 * 1024) /* of the log, one line */

enum timing_kind {
	TIMING_OTHER, /* a header, or what a later version writes */
	TIMING_OUTPUT,
	TIMING_SIZE,
};

struct timing {
	enum timing_kind kind;
	uint64_t us;    /* since the line before */
	uint64_t bytes; /* TIMING_OUTPUT */
	uint16_t rows, cols;
};

/* Append a line. */
void timing_put(struct buf *b, const struct timing *t);
void timing_put_header(
    struct buf *b, int64_t start, uint16_t rows, uint16_t cols);
/*
 * One line of n bytes without its newline.  0, or -1 when it is none of this
 * format.
 */
int timing_parse(const char *line, size_t n, struct timing *t);

#endif
