/*
 * Inside the pools of keys and values: pages and sequences (kv.c), states
 * (kv_state.c).
 */
#ifndef BRIG_INFERD_KV_INT_H
#define BRIG_INFERD_KV_INT_H

#include "inferd/kv.h"

struct track {
	uint32_t heads;
	uint32_t rows;     /* in a page, of each head */
	size_t key, value; /* bytes of a row */
	size_t page;       /* where it begins in a page */
	size_t state;      /* and in a state */
};

struct kv_pool {
	enum tensor_type type;
	struct track *track;
	uint32_t ntracks;
	size_t all;   /* bytes of a page */
	size_t state; /* bytes of a state */
	size_t budget, used;
	struct kv_page *empty, *full; /* nobody's; these are cleared first */
	struct kv_slab *slabs;        /* what all pages are made of */
};

struct kv_seq {
	struct kv_pool *pool;
	struct kv_page **pages;
	uint32_t npages, cap;
	const struct steer *steer;
	struct kv_state *state; /* its own; NULL: zero, or there is none */
	uint32_t stands;        /* of so many positions; KV_NOWHERE */
	struct kv_state *mark;
	uint32_t marked;
};

#define KV_NOWHERE UINT32_MAX

/* A state for s, zero if there is none yet: 0, or -1: the budget. */
int kv_seq_have_state(struct kv_seq *s);
/* The state of s is to be that of `from` after n positions: 0, or -1: that is
 * not where it stands, or the budget. */
int kv_seq_copy_state(struct kv_seq *s, const struct kv_seq *from, uint32_t n);
/* What s has of states goes. */
void kv_seq_drop_states(struct kv_seq *s);

#endif
