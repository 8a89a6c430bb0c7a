/*
 * Pages of keys and values on disk: each in a file of its own, sealed with a
 * key of its agent, in a folder of the agent.  Names tell neither agents nor
 * tokens; a file is bound to all tokens from the first one on, to the model,
 * to the layout of a page and to this version of the program.  A file that is
 * not what was written under its name (damaged, cut, of somebody else, of
 * another model) is removed and was never there.
 *
 *	DIR/key			32 random bytes, made at the first start
 *	DIR/AAAA-MMMM/salt	of agent A and model M, in hexadecimal
 *	DIR/AAAA-MMMM/NNNN	nonce, sealed tokens and page, tag
 *
 * Within the budget everything stays; beyond it files of other models go
 * first, then those of the agent that has the most, the oldest first.  What
 * cannot be written is tried again after a minute.  At the start names, sizes
 * and times are read, nothing else.
 *
 * One process has a directory; all calls are made by one thread.  kvdisk_open()
 * comes before the process confines itself; the rest needs files below the
 * directory alone.
 */
#ifndef BRIG_INFERD_KVDISK_H
#define BRIG_INFERD_KVDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "inferd/kvseal.h"

struct kvdisk;
struct kvdisk_space; /* of one agent */

struct kvdisk_opts {
	const char *dir; /* made if need be; of us alone */
	/* A file with the master key, 16 bytes or more; NULL: DIR/key. */
	const char *key_file;
	const char *model;    /* model_id() */
	const char *type;     /* of keys and values */
	uint32_t page_tokens; /* of a page: KV_PAGE */
	size_t page_bytes;
	size_t state_bytes; /* 0: there are none */
	uint64_t budget;
};

struct kvdisk *kvdisk_open(const struct kvdisk_opts *o, struct error *err);
void kvdisk_close(struct kvdisk *d); /* NULL is fine */

/* What an agent has; NULL: the public one.  It stays until kvdisk_leave() or
 * kvdisk_close().  NULL: too many, or the directory fails. */
struct kvdisk_space *kvdisk_space(struct kvdisk *d, const char *agent);
/* Nobody comes for it, until somebody does again: its keys go from memory. */
void kvdisk_leave(struct kvdisk_space *s);
bool kvdisk_is_empty(const struct kvdisk_space *s);
/* The name of a page behind that of `before` (NULL: the first one). */
void kvdisk_name(const struct kvdisk_space *s, const uint8_t *before,
    const int32_t *ids, uint8_t name[KVSEAL_NAME_SIZE]);
bool kvdisk_has(
    const struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE]);
/* Into page.  -1: it was not right, page holds nothing to be used. */
int kvdisk_load(struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE],
    const int32_t *ids, void *page);
/* The state behind a page, in a file of its own: the same. */
bool kvdisk_has_state(
    const struct kvdisk_space *s, const uint8_t page[KVSEAL_NAME_SIZE]);
int kvdisk_load_state(
    struct kvdisk_space *s, const uint8_t page[KVSEAL_NAME_SIZE], void *state);
int kvdisk_save_state(struct kvdisk_space *s,
    const uint8_t page[KVSEAL_NAME_SIZE], const void *state);
/*
 * Write it, if it is not there.  It is not synchronised: a file that a crash
 * leaves half-written is found out.  0, or -1 (logged).
 */
int kvdisk_save(struct kvdisk_space *s, const uint8_t name[KVSEAL_NAME_SIZE],
    const int32_t *ids, const void *page);
/* All that the agent has, of other models, too; what anybody has copied
 * cannot be opened any more.  -1: s cannot be used any more: no locked memory
 * for new keys. */
int kvdisk_forget(struct kvdisk_space *s);

uint64_t kvdisk_bytes(const struct kvdisk *d);

#endif
