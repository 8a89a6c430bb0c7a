/*
 * What of a value is public: the beginning that its vendor gives to all tokens
 * of that kind, such as "ghp_".  Stubs keep it (proxy/stub.h), and a job may
 * see where in a stream it stands (proxy/shape.h).  Pure.
 */
#ifndef BRIG_PROXY_STUB_PREFIX_H
#define BRIG_PROXY_STUB_PREFIX_H

#include <stddef.h>

/* The bytes that value[0..n) begins with and that are public; 0: none. */
size_t stub_prefix(const void *value, size_t n);

#endif
