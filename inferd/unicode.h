/*
 * What the tokenizers need to know of Unicode: a code point's class, white
 * space, the script Han, and UTF-8.  Pure; tables in unicode_table.c.
 */
#ifndef BRIG_INFERD_UNICODE_H
#define BRIG_INFERD_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum unicode_class {
	UNICODE_OTHER, /* C: control, format, unassigned */
	UNICODE_LU,
	UNICODE_LL,
	UNICODE_LT,
	UNICODE_LM,
	UNICODE_LO,
	UNICODE_M,
	UNICODE_N,
	UNICODE_P,
	UNICODE_S,
	UNICODE_Z,
};

#define UNICODE_MAX 0x10ffffu
#define UNICODE_BAD 0xfffdu /* what stands for a byte that is not UTF-8 */

extern const char unicode_version[]; /* "14.0.0" */

/* UNICODE_OTHER above UNICODE_MAX. */
enum unicode_class unicode_class(uint32_t cp);
/* The property White_Space. */
bool unicode_is_space(uint32_t cp);
bool unicode_is_han(uint32_t cp);

/*
 * The code point at p (n >= 1 bytes are there) and how many bytes it takes.
 * A byte that begins no well-formed sequence (RFC 3629) is UNICODE_BAD of
 * length 1; so is a sequence that the end cuts short.
 */
uint32_t unicode_decode(const void *p, size_t n, size_t *len);
/* Writes cp, 1 to 4 bytes, to out and says how many. */
size_t unicode_encode(uint32_t cp, char out[4]);
/*
 * How many of the last bytes of p begin a well-formed sequence that more bytes
 * could complete: 0 to 3.
 */
size_t unicode_tail(const void *p, size_t n);
/* Appends n bytes; what is not UTF-8 of them as U+FFFD. */
void unicode_clean(const char *p, size_t n, struct buf *out);

#endif
