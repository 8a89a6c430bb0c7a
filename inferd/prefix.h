/*
 * Which prompts have been through the net: the longest beginning of a new one
 * whose keys and values are still here.  Entries belong to a space: one of
 * each agent, and the public one, whose beginnings an administrator has
 * registered.  Nothing of one agent's space is ever looked at for another.
 *
 * The engine's thread alone.
 */
#ifndef BRIG_INFERD_PREFIX_H
#define BRIG_INFERD_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "inferd/kv.h"

struct prefix_cache;
struct kvdisk;

#define PREFIX_PUBLIC 0u /* the space; agents have others */

/*
 * budget: bytes of pages that entries may hold.  disk: where entries go that
 * have no room any more, and all of them at the end; NULL: nowhere.
 */
struct prefix_cache *prefix_new(
    struct kv_pool *kv, size_t budget, struct kvdisk *disk);
void prefix_free(struct prefix_cache *c);

struct prefix_hit {
	uint32_t n; /* tokens found */
	bool from_disk, public;
	/* The entry that was nearest parts here from the prompt, and has this
	 * many tokens; 0: there was none. */
	uint32_t diverged_at, diverged_of;
};

/*
 * A sequence with the longest known beginning of ids, at most n - 1 of them
 * (one row must be computed); an empty one if none is known.  NULL: the pool's
 * budget does not allow it.
 */
struct kv_seq *prefix_find(struct prefix_cache *c, uint32_t space,
    const int32_t *ids, uint32_t n, struct prefix_hit *hit);
/* Remember the first n positions of s, which are those of ids.  s stays the
 * caller's. */
void prefix_keep(struct prefix_cache *c, uint32_t space, const int32_t *ids,
    uint32_t n, const struct kv_seq *s);
/* Give back at least that many bytes of pages, the oldest entries first, if
 * there are so many.  Returns how many. */
size_t prefix_shrink(struct prefix_cache *c, size_t bytes);
/* Forget everything of a space, on disk too. */
void prefix_forget(struct prefix_cache *c, uint32_t space);
size_t prefix_bytes(const struct prefix_cache *c, uint32_t space);

#endif
