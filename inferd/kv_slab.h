/*
 * Memory for pages of keys and values, many at a time, so that the kernel can
 * map it in large pages: attention goes through all of it for every token, and
 * looking up addresses would be a good part of that.
 */
#ifndef BRIG_INFERD_KV_SLAB_H
#define BRIG_INFERD_KV_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct kv_slab; /* of one pool */

/* n bytes of zeros, aligned to 64, from the last of *slabs or a new one.  They
 * stay until all go. */
uint8_t *kv_slab_take(struct kv_slab **slabs, size_t n);
void kv_slab_free(struct kv_slab *slabs); /* all of them; NULL is fine */

#endif
