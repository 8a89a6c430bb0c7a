/*
 * Inside the prefix cache: trees of pages (prefix.c), and the way between them
 * and the disk (prefix_disk.c).
 */
#ifndef BRIG_INFERD_PREFIX_INT_H
#define BRIG_INFERD_PREFIX_INT_H

#include "inferd/kvdisk.h"
#include "inferd/prefix.h"

/*
 * A page and its tokens, behind those of its parent.  With fewer than KV_PAGE
 * of them it is a leaf.
 */
struct node {
	struct node *parent, *child, *next; /* next: child of the same parent */
	struct node *newer, *older;         /* of the space */
	struct kv_page *page;
	struct kv_state *state; /* behind its last token; NULL: not kept */
	size_t charge; /* bytes; the public space's page costs nothing */
	bool unsaved;  /* to go to disk */
	bool named;
	uint8_t name[KVSEAL_NAME_SIZE]; /* on disk */
	uint32_t n;
	int32_t ids[KV_PAGE];
};

/*
 * newest to oldest: a node is always newer than those behind it, so that the
 * oldest is a leaf.
 */
struct space {
	uint32_t id;
	bool named;
	struct kvdisk_space *disk; /* or NULL */
	struct node root;          /* of no tokens */
	struct node *newest, *oldest;
	size_t bytes; /* of charged pages */
};

struct prefix_cache {
	struct kv_pool *kv;
	struct kvdisk *disk;
	size_t budget, bytes;
	uint64_t unsaved; /* nodes */
	struct space **space;
	uint32_t nspaces;
	struct prefix_work work;
};

/* How far a tree goes with a prompt. */
struct walk {
	struct space *space;
	struct node *last;    /* whose page is whole */
	uint32_t whole;       /* tokens up to and with it */
	struct node *partial; /* child of last, or NULL */
	uint32_t more;        /* tokens of it */
	struct node *stated;  /* the last one with a state, or NULL */
	uint32_t at;          /* tokens up to and with it */
};

struct space *prefix_space(const struct prefix_cache *c, uint32_t id);

/* The node will not be in memory any more: write it, if that is to be done. */
void prefix_disk_save(struct prefix_cache *c, struct space *s, struct node *n);
/* The pages of s behind w have no room in memory at all: write them. */
void prefix_disk_put(const struct walk *w, const int32_t *ids, uint32_t n,
    const struct kv_seq *s, struct kv_pool *kv);
/*
 * Append pages behind the first `at` tokens of ids, which s has, as far as they
 * are known on disk and below n; as far as a state, if the model has any, which
 * is that of s then.  Returns how many tokens s has then; *npublic: as many of
 * them are public, if that was found on the way.
 */
uint32_t prefix_disk_load(struct prefix_cache *c, struct space *own,
    const int32_t *ids, uint32_t n, uint32_t at, struct kv_seq *s,
    uint32_t *npublic);

#endif
