/* Between proxy/codec*.c: memory that is counted. */
#ifndef BRIG_PROXY_CODEC_INT_H
#define BRIG_PROXY_CODEC_INT_H

#include "proxy/codec.h"

/* NULL when CODEC_MEMORY_MAX would be passed. */
void *codec_alloc(void *memory, size_t n);
void codec_free(void *memory, void *p);

#endif
