/*
 * Strings of JSON (RFC 8259 section 7), without their quotes.  Pure.
 */
#ifndef BRIG_PROXY_JSON_STRING_H
#define BRIG_PROXY_JSON_STRING_H

#include <stddef.h>

#include "base/buf.h"

/*
 * Decode n bytes that json_read() has accepted as a string into out, which has
 * room for n.  Returns the number of bytes.
 */
size_t json_string_decode(const char *s, size_t n, char *out);
/* Append n bytes of UTF-8 with nothing escaped that need not be. */
void json_string_encode(struct buf *b, const char *s, size_t n);

#endif
