/*
 * What glibc 2.36 lacks and the rest of the tree expects.
 */
#ifndef BRIG_COMPAT_H
#define BRIG_COMPAT_H

#include <stddef.h>

#ifndef HAVE_STRLCPY
/* As in OpenBSD strlcpy(3): returns strlen(src); >= size means truncated. */
size_t strlcpy(char *dst, const char *src, size_t size);
size_t strlcat(char *dst, const char *src, size_t size);
#endif

#define nitems(a) (sizeof(a) / sizeof((a)[0]))
#define attr_printf(f, a) __attribute__((format(printf, f, a)))
#define attr_unused __attribute__((unused))
/* Not zeroed at its declaration, as -ftrivial-auto-var-init has it: for what is
 * large, and filled before it is read. */
#define attr_uninit __attribute__((uninitialized))
#define attr_cleanup(f) __attribute__((cleanup(f)))

#endif
