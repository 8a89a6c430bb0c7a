/*
 * Keys and values of the positions that a sequence has been through, in pages
 * of KV_PAGE positions.  Whole pages are shared by sequences that begin alike;
 * a page that is shared is not written any more.
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
struct steer;

/* Can keys and values be kept so?  As F32, F16 or Q8_0 of which heads are whole
 * blocks. */
bool kv_fits(const struct hparams *hp, enum tensor_type type);
/* type: one that fits.  budget: bytes of pages at most. */
struct kv_pool *kv_pool_new(
    const struct hparams *hp, enum tensor_type type, size_t budget);
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

/* Room for positions below n: 0, or -1 when the budget does not allow it. */
int kv_seq_reserve(struct kv_seq *s, uint32_t n);
uint32_t kv_seq_room(const struct kv_seq *s); /* positions */
/* Forget the positions from n on. */
void kv_seq_cut(struct kv_seq *s, uint32_t n);
/*
 * A new sequence with the first n positions of s, n within its room: whole
 * pages are shared, of the last one those positions are copied and no others.
 * NULL when the budget does not allow the copy.
 */
struct kv_seq *kv_seq_fork(const struct kv_seq *s, uint32_t n);

/*
 * KV_PAGE rows of one head in a page of positions, one behind another: of
 * head_k or head_v values of the pool's type.
 */
void *kv_keys(
    const struct kv_seq *s, uint32_t layer, uint32_t head, uint32_t page);
void *kv_values(
    const struct kv_seq *s, uint32_t layer, uint32_t head, uint32_t page);

/*
 * Pages that outlive their sequence, for who remembers them.  One that is
 * written by nobody any more may be held: all its positions are filled, or it
 * is a copy.
 */
/* Hold page i of s; give it back with kv_page_drop(). */
struct kv_page *kv_page_hold(const struct kv_seq *s, uint32_t i);
/* An empty one, and a copy of the first n positions; NULL: the budget. */
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

#endif
