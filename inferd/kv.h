/*
 * Keys and values of the positions that a sequence has been through, in pages
 * of KV_PAGE positions.  Whole pages are shared by sequences that begin alike;
 * a page that is shared is not written any more.
 *
 * What is kept stands in tracks, one for each layer unless the architecture
 * says otherwise, each of a shape of its own.  A track may have a state as
 * well, or nothing else: of layers that add each position to what they have
 * seen (kv_state.c).  A state is of one position, and there is no way back
 * from it but to a copy.
 *
 * A pool has a budget in bytes.  Pages that came back to it are cleared before
 * anybody gets them, so that nobody reads what another has left: at once that
 * would take a good part of a second for a long prompt.  Who has time calls
 * kv_pool_clear().  One thread changes pools and sequences; while rows are
 * computed, many read them.
 */
#ifndef BRIG_INFERD_KV_H
#define BRIG_INFERD_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inferd/model_table.h"

#define KV_PAGE 64u

struct kv_pool;
struct kv_page;
struct kv_seq;
struct kv_state;
struct steer;

/* What a track keeps. */
struct kv_shape {
	uint32_t heads; /* 0: neither keys nor values */
	uint32_t key;   /* values of a row of one head */
	uint32_t value; /* the same; 0: nothing beside the keys */
	size_t state;   /* bytes, however many positions there were */
	/* A row is of so many positions, which are of one page or of whole
	 * pages, and stands in the page of the last; 0 and 1: of one. */
	uint32_t every;
};

/* Can keys and values be kept so?  As F32, F16 or Q8_0 of which heads are whole
 * blocks. */
bool kv_fits(const struct hparams *hp, enum tensor_type type);
/* type: one that fits.  budget: bytes of pages and states at most. */
struct kv_pool *kv_pool_new(
    const struct hparams *hp, enum tensor_type type, size_t budget);
/* The same for n tracks of these shapes. */
struct kv_pool *kv_pool_of(const struct kv_shape *shape, uint32_t n,
    enum tensor_type type, size_t budget);
/* Every sequence has been freed. */
void kv_pool_free(struct kv_pool *p);
size_t kv_pool_used(const struct kv_pool *p); /* bytes */
/* Clear one of the pages that came back; are there more? */
bool kv_pool_clear(struct kv_pool *p);
size_t kv_page_bytes(const struct kv_pool *p);

struct kv_seq *kv_seq_new(struct kv_pool *p);
void kv_seq_free(struct kv_seq *s); /* NULL is fine */
/* Its rows are steered so, from the first on; NULL: not at all. */
void kv_seq_steer(struct kv_seq *s, const struct steer *steer);
const struct steer *kv_seq_steered(const struct kv_seq *s);

/* Room for positions below n, and for the state: 0, or -1 when the budget does
 * not allow it. */
int kv_seq_reserve(struct kv_seq *s, uint32_t n);
uint32_t kv_seq_room(const struct kv_seq *s); /* positions */
/* Forget the positions from n on; the state is gone, if it is of one of them
 * and n is not 0. */
void kv_seq_cut(struct kv_seq *s, uint32_t n);
/*
 * A new sequence with the first n positions of s, n within its room: whole
 * pages are shared, of the last one those positions are copied and no others.
 * NULL when the budget does not allow the copies, or the state is not that of
 * n positions.
 */
struct kv_seq *kv_seq_fork(const struct kv_seq *s, uint32_t n);

/*
 * One head's rows in a page, KV_PAGE of each or as many as its shape says, one
 * behind another; of the pool's type.
 */
struct kv_rows {
	uint8_t *keys, *values;
	size_t key, value; /* bytes of a row; 0: there are none */
};
struct kv_rows kv_rows(
    const struct kv_seq *s, uint32_t track, uint32_t head, uint32_t page);

/*
 * Pages that outlive their sequence, for who remembers them.  One that is
 * written by nobody any more may be held: all its positions are filled, or it
 * is a copy.
 */
/* Hold page i of s; give it back with kv_page_drop(). */
struct kv_page *kv_page_hold(const struct kv_seq *s, uint32_t i);
/* An empty one, and a copy of the first n positions, with the rows of which no
 * position comes later; NULL: the budget. */
struct kv_page *kv_page_new(struct kv_pool *p);
struct kv_page *kv_page_copy(
    struct kv_pool *p, const struct kv_page *from, uint32_t n);
void kv_page_drop(struct kv_pool *p, struct kv_page *page);
/* Append: s holds it, too.  All pages of s are filled. */
void kv_seq_append(struct kv_seq *s, struct kv_page *page);
/* Would it come back to the pool? */
bool kv_page_is_last(const struct kv_page *page);
/* kv_page_bytes() of them: what is kept of a page elsewhere. */
void *kv_page_data(struct kv_page *page);

/*
 * States.  A sequence has one, of as many positions as have been computed; at
 * position 0 it is zero.  Its mark is a copy from a place before, where a page
 * ended: whoever remembers the pages up to there can go on from it.
 */
size_t kv_state_bytes(const struct kv_pool *p); /* of all tracks; 0: none */
/* To be read and changed while rows are computed, in order of positions.
 * Aligned to 64 bytes; of the sequence alone. */
void *kv_state(const struct kv_seq *s, uint32_t track);
/* Rows are going to be computed: the state is of no position. */
void kv_seq_enter(struct kv_seq *s);
/* It is that of n positions. */
void kv_seq_leave(struct kv_seq *s, uint32_t n);
/* Of how many positions the state is; false: of none any more. */
bool kv_seq_stands(const struct kv_seq *s, uint32_t *n);

/* Mark the state as it is, of whole pages: 0, or -1: it is not such a one, or
 * the budget does not allow the copy.  The mark before is gone. */
int kv_seq_mark(struct kv_seq *s);
/* The mark, which stays the sequence's, and of how many positions it is; NULL:
 * there is none. */
struct kv_state *kv_seq_marked(const struct kv_seq *s, uint32_t *n);
/* s, whose pages are those, goes on from n positions with a copy of state,
 * which is its mark then: 0, or -1: the budget. */
int kv_seq_resume(struct kv_seq *s, struct kv_state *state, uint32_t n);
/* One to be filled, held by the caller; NULL: the budget. */
struct kv_state *kv_state_new(struct kv_pool *p);
struct kv_state *kv_state_hold(struct kv_state *state);
void kv_state_drop(struct kv_pool *p, struct kv_state *state); /* or NULL */
void *kv_state_data(struct kv_state *state); /* kv_state_bytes() of them */

#endif
