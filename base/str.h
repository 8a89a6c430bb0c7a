/*
 * Strings and numbers.  Allocation failure is fatal(), so the x-functions
 * never return NULL.
 */
#ifndef BRIG_STR_H
#define BRIG_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compat.h"

void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
/* Not cleared; align: a power of two, n > 0. */
void *xaligned(size_t align, size_t n);
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) attr_printf(1, 2);
void *xmemdup(const void *p, size_t n);

/* Cleanup attribute for anything from malloc: `cleanup_free char *s = NULL;` */
void str_cleanup_free(void *pp);
#define cleanup_free attr_cleanup(str_cleanup_free)
/* Take the pointer out of a cleanup variable. */
#define steal_ptr(pp)                                                          \
	({                                                                     \
		typeof(*(pp)) p_ = *(pp);                                      \
		*(pp) = NULL;                                                  \
		p_;                                                            \
	})

/*
 * Decimal digits only (no sign, no space, no leading '+'); -1 with errno
 * EINVAL or ERANGE if s is not a number in [min, max].
 */
int str_to_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_eq(const char *a, const char *b); /* false if one is NULL */

/* ASCII lower case in place; bytes >= 0x80 untouched. */
void str_lower(char *s);

/*
 * True for a host name of letters, digits, hyphens and dots: labels 1-63
 * bytes, no leading or trailing hyphen, at most 253 bytes, no trailing dot
 * (RFC 1123 section 2.1).  Underscore is not accepted.
 */
bool str_is_hostname(const char *s);

/* [A-Za-z][A-Za-z0-9._-]*, 1..max bytes: names of secrets, profiles, jobs. */
bool str_is_name(const char *s, size_t max);

/* True if the n bytes are valid UTF-8 without NUL. */
bool str_is_utf8(const char *s, size_t n);

/*
 * Copy n bytes of untrusted text so that a terminal and a log line are safe:
 * C0, C1, DEL, bidi and zero-width characters, U+2028/9 and invalid UTF-8
 * become \n \r \t \xNN or \u{NNNN}; backslash becomes \\.  Caller frees.
 */
char *str_escape(const char *s, size_t n);

/*
 * The same for text that its author has escaped already, by a reader who does
 * not rely on that: backslashes stay as they are.
 */
char *str_escape_again(const char *s, size_t n);

#endif
