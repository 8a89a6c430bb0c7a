/*
 * What a denied program does in place of its first instruction: machine code
 * that writes why to standard error and exits.  Run by the shim; pure.
 */
#ifndef BRIG_TRACE_STUB_H
#define BRIG_TRACE_STUB_H

#include <stddef.h>

#include "base/buf.h"

#define TRACE_STUB_TEXT_MAX 4096u /* fits one move of each machine */

/*
 * Append code for the machine we are on, and the n bytes of text after it.  It
 * runs wherever it is put and uses no stack.
 */
void trace_stub_put(struct buf *b, const char *text, size_t n, int status);

#endif
