/*
 * Charsets in which the characters of a value are other bytes than in ASCII,
 * and not those of UTF-16, so that proxy/seek.h would not find it: EBCDIC's
 * code pages, UTF-7, UTF-32 and a few more that IANA has registered.  Pure.
 */
#ifndef BRIG_PROXY_CHARSET_H
#define BRIG_PROXY_CHARSET_H

#include <stdbool.h>

/* May text of that Content-Type be searched?  NULL: absent. */
bool charset_is_readable(const char *content_type);

#endif
