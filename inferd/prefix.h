/*
 * Which prompts have been through the net: the longest beginning of a new one
 * whose keys and values are still here.  Entries belong to a space: one of
 * each agent, and the public one, whose beginnings an administrator has
 * registered.
 *
 * A space is a tree of pages, each with the tokens of its positions, and is
 * found by those alone.  For an agent its own tree and the public one are
 * looked at, never another's: what is found, and how much work it is, follows
 * from what the agent itself has asked and from the public beginnings.
 *
 * When the budget is full, a page is taken from the space that holds the most,
 * and there the one used longest ago.  So a space that holds no more than its
 * share (the budget, without what is public, by the number of spaces) loses
 * nothing, whatever others do; one above it notices that memory is short, but
 * neither whose tokens took it nor which they are.  What is public makes room
for nobody; it takes half the budget at most.
 *
 * A model with a state goes on only from where that was marked (kv_seq_mark()):
 * pages are remembered up to the mark, with it, and found up to one.
 *
 * Keys and values of rows that were steered depend on more than tokens, and
 * are not for here.
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
#define PREFIX_SPACES 4096u

/*
 * budget: bytes of pages that entries may hold; leave the pool what sequences
 * need.  disk: where pages go, too; NULL: nowhere.  It is borrowed.
 */
struct prefix_cache *prefix_new(
    struct kv_pool *kv, size_t budget, struct kvdisk *disk);
void prefix_free(struct prefix_cache *c); /* NULL is fine */

/*
 * Whose space it is: by the name it finds what it has on disk.  Without one,
 * nothing of it is there.  The first name stays.
 */
void prefix_name(struct prefix_cache *c, uint32_t space, const char *name);

struct prefix_hit {
	/* tokens found; a multiple of KV_PAGE if from disk, or with a state */
	uint32_t n;
	bool from_disk, public;
	/* The entry that was nearest parts here from the prompt, and has this
	 * many tokens; 0: there was none. */
	uint32_t diverged_at, diverged_of;
};

/*
 * A sequence with the longest known beginning of ids, at most n - 1 of them
 * (one row must be computed); an empty one if none is known.
 */
struct kv_seq *prefix_find(struct prefix_cache *c, uint32_t space,
    const int32_t *ids, uint32_t n, struct prefix_hit *hit);
/*
 * From disk little is read at once, so that nobody waits long.  When s has the
 * first `at` of ids, and perhaps room for others, add what comes next, if it is
 * there; at a multiple of KV_PAGE (else there is nothing).  Returns how many
 * tokens s has then.
 */
uint32_t prefix_more(struct prefix_cache *c, uint32_t space, const int32_t *ids,
    uint32_t n, struct kv_seq *s, uint32_t at);
/*
 * Remember the first n positions of s, which are those of ids; as many as the
 * budget allows, and of what is behind those whole pages on disk.  s stays the
 * caller's.
 */
void prefix_keep(struct prefix_cache *c, uint32_t space, const int32_t *ids,
    uint32_t n, const struct kv_seq *s);
/*
 * Give that many bytes back to the pool, if there are so many that no sequence
 * uses, in the same order; sequences come before shares.  Returns how many.
 */
size_t prefix_shrink(struct prefix_cache *c, size_t bytes);
/* Let a space hold that many bytes at most: its oldest pages go. */
void prefix_trim(struct prefix_cache *c, uint32_t space, size_t bytes);
/*
 * Write one page that is not on disk yet.  Returns whether there are more.
 * For when there is nothing else to do: a page that has to make room, or is
 * there at the end, is written then.
 */
bool prefix_idle(struct prefix_cache *c);
/* Its number does not come again: nothing of it stays in memory. */
void prefix_leave(struct prefix_cache *c, uint32_t space);
/* Forget everything of a space, on disk too. */
void prefix_forget(struct prefix_cache *c, uint32_t space);

/* Of a space without what it shares with the public one. */
size_t prefix_bytes(const struct prefix_cache *c, uint32_t space);

/* What has been looked at, of all prompts so far. */
struct prefix_work {
	uint64_t finds;
	uint64_t pages; /* whose tokens were compared */
	uint64_t files; /* that were looked for on disk */
	uint64_t loads; /* of them read */
};
void prefix_work(const struct prefix_cache *c, struct prefix_work *out);

#endif
