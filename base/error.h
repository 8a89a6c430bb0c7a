/*
 * A failure that a caller can handle: errno-style code and one sentence.
 * Set once, at the failing call; callers up the stack may prefix, never
 * overwrite.  Success leaves it untouched.  No allocation.
 */
#ifndef BRIG_ERROR_H
#define BRIG_ERROR_H

#include "base/compat.h"

struct error {
	int code;      /* errno value, 0 if none applies */
	char msg[256]; /* one line, no trailing newline or full stop */
};

/*
 * Set err to code and the formatted message; when code is not 0,
 * ": strerror(code)" is appended.  err may be NULL.  Returns -1 always, so
 * that `return error_set(err, errno, "open %s", path);` reads well.
 */
int error_set(struct error *err, int code, const char *fmt, ...)
    attr_printf(3, 4);

/* Put "prefix: " before a message already set.  Returns -1 always. */
int error_prefix(struct error *err, const char *fmt, ...) attr_printf(2, 3);

#endif
