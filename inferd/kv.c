#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/kv_int.h"
#include "inferd/kv_slab.h"
#include "inferd/net.h"

struct kv_page {
	unsigned refs;
	/* Somebody was told where its bytes are.  While rows are computed many
	 * threads say so at once. */
	atomic_bool seen;
	struct kv_page *next; /* while free */
	uint8_t *data;
};

#define STATE_ALIGN 64u

bool
kv_fits(const struct hparams *hp, enum tensor_type type)
{
	struct kv_shape shape;

	if (type != TT_F32 && type != TT_F16 && type != TT_Q8_0)
		return false;
	for (uint32_t i = 0; net_kv_shape(hp, i, &shape); i++)
		if (shape.heads != 0 &&
		    (tensor_row_bytes(type, shape.key) == 0 ||
			(shape.value != 0 &&
			    tensor_row_bytes(type, shape.value) == 0)))
			return false;
	return true;
}

static uint32_t
rows_of(const struct kv_shape *shape)
{
	if (shape->every <= 1)
		return KV_PAGE;
	return shape->every < KV_PAGE ? KV_PAGE / shape->every : 1;
}

static void
add_track(struct kv_pool *p, const struct kv_shape *shape)
{
	struct track *t;

	p->track = xreallocarray(p->track, p->ntracks + 1, sizeof(*p->track));
	t = &p->track[p->ntracks++];
	*t = (struct track){ .heads = shape->heads,
		.rows = rows_of(shape),
		.page = p->all,
		.state = p->state };
	if (shape->heads != 0) {
		t->key = tensor_row_bytes(p->type, shape->key);
		if (shape->value != 0)
			t->value = tensor_row_bytes(p->type, shape->value);
	}
	p->all += (size_t)t->rows * t->heads * (t->key + t->value);
	p->state +=
	    (shape->state + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
}

static struct kv_pool *
pool_empty(enum tensor_type type, size_t budget)
{
	struct kv_pool *p = xcalloc(1, sizeof(*p));

	p->type = type;
	p->budget = budget;
	return p;
}

struct kv_pool *
kv_pool_new(const struct hparams *hp, enum tensor_type type, size_t budget)
{
	struct kv_pool *p = pool_empty(type, budget);
	struct kv_shape shape;

	for (uint32_t i = 0; net_kv_shape(hp, i, &shape); i++)
		add_track(p, &shape);
	return p;
}

struct kv_pool *
kv_pool_of(const struct kv_shape *shape, uint32_t n, enum tensor_type type,
    size_t budget)
{
	struct kv_pool *p = pool_empty(type, budget);

	for (uint32_t i = 0; i < n; i++)
		add_track(p, &shape[i]);
	return p;
}

static void
push(struct kv_page **list, struct kv_page *page)
{
	page->next = *list;
	*list = page;
}

static struct kv_page *
pop(struct kv_page **list)
{
	struct kv_page *page = *list;

	if (page != NULL)
		*list = page->next;
	return page;
}

static void
free_all(struct kv_page **list)
{
	struct kv_page *page;

	while ((page = pop(list)) != NULL)
		free(page);
}

void
kv_pool_free(struct kv_pool *p)
{
	if (p == NULL)
		return;
	free_all(&p->full);
	free_all(&p->empty);
	kv_slab_free(p->slabs);
	free(p->track);
	free(p);
}

bool
kv_pool_clear(struct kv_pool *p)
{
	struct kv_page *page = pop(&p->full);

	if (page == NULL)
		return false;
	memset(page->data, 0, p->all);
	atomic_store_explicit(&page->seen, false, memory_order_relaxed);
	push(&p->empty, page);
	return p->full != NULL;
}

size_t
kv_pool_used(const struct kv_pool *p)
{
	return p->used;
}

size_t
kv_page_bytes(const struct kv_pool *p)
{
	return p->all;
}

struct kv_page *
kv_page_new(struct kv_pool *p)
{
	struct kv_page *page;

	if (p->budget - p->used < p->all)
		return NULL;
	p->used += p->all;
	if (p->empty == NULL)
		kv_pool_clear(p);
	page = pop(&p->empty);
	if (page == NULL) {
		page = xcalloc(1, sizeof(*page));
		page->data = kv_slab_take(&p->slabs, p->all);
	}
	page->refs = 1;
	return page;
}

void
kv_page_drop(struct kv_pool *p, struct kv_page *page)
{
	if (--page->refs > 0)
		return;
	p->used -= p->all;
	push(atomic_load_explicit(&page->seen, memory_order_relaxed)
		 ? &p->full
		 : &p->empty,
	    page);
}

/* To be read or written. */
static uint8_t *
see(struct kv_page *page)
{
	if (!atomic_load_explicit(&page->seen, memory_order_relaxed))
		atomic_store_explicit(&page->seen, true, memory_order_relaxed);
	return page->data;
}

struct kv_seq *
kv_seq_new(struct kv_pool *p)
{
	struct kv_seq *s = xcalloc(1, sizeof(*s));

	s->pool = p;
	return s;
}

void
kv_seq_free(struct kv_seq *s)
{
	if (s == NULL)
		return;
	kv_seq_cut(s, 0);
	kv_seq_drop_states(s);
	free(s->pages);
	free(s);
}

static void
append(struct kv_seq *s, struct kv_page *page)
{
	if (s->npages == s->cap) {
		s->cap = s->cap * 2 + 8;
		s->pages = xreallocarray(s->pages, s->cap, sizeof(*s->pages));
	}
	s->pages[s->npages++] = page;
}

void
kv_seq_steer(struct kv_seq *s, const struct steer *steer)
{
	s->steer = steer;
}

const struct steer *
kv_seq_steered(const struct kv_seq *s)
{
	return s->steer;
}

int
kv_seq_reserve(struct kv_seq *s, uint32_t n)
{
	while ((uint64_t)s->npages * KV_PAGE < n) {
		struct kv_page *page = kv_page_new(s->pool);

		if (page == NULL)
			return -1;
		append(s, page);
	}
	return kv_seq_have_state(s);
}

uint32_t
kv_seq_room(const struct kv_seq *s)
{
	return s->npages * KV_PAGE;
}

void
kv_seq_cut(struct kv_seq *s, uint32_t n)
{
	const uint32_t keep = (uint32_t)(((uint64_t)n + KV_PAGE - 1) / KV_PAGE);

	while (s->npages > keep)
		kv_page_drop(s->pool, s->pages[--s->npages]);
	if (n == 0)
		kv_seq_drop_states(s);
	else if (s->stands > n)
		s->stands = KV_NOWHERE;
}

/* What comes behind may be of somebody else: it stays behind. */
struct kv_page *
kv_page_copy(struct kv_pool *p, const struct kv_page *from, uint32_t n)
{
	struct kv_page *page = kv_page_new(p);
	uint8_t *to;
	const uint8_t *at;

	if (page == NULL)
		return NULL;
	to = see(page);
	at = from->data;
	for (uint32_t i = 0; i < p->ntracks; i++) {
		const struct track *t = &p->track[i];

		for (uint32_t h = 0; h < 2 * t->heads; h++) {
			const size_t row = h < t->heads ? t->key : t->value;

			memcpy(to, at, n * t->rows / KV_PAGE * row);
			to += t->rows * row;
			at += t->rows * row;
		}
	}
	return page;
}

struct kv_page *
kv_page_hold(const struct kv_seq *s, uint32_t i)
{
	s->pages[i]->refs++;
	return s->pages[i];
}

void
kv_seq_append(struct kv_seq *s, struct kv_page *page)
{
	page->refs++;
	append(s, page);
}

bool
kv_page_is_last(const struct kv_page *page)
{
	return page->refs == 1;
}

void *
kv_page_data(struct kv_page *page)
{
	return see(page);
}

struct kv_seq *
kv_seq_fork(const struct kv_seq *s, uint32_t n)
{
	struct kv_seq *f = kv_seq_new(s->pool);
	const uint32_t whole = n / KV_PAGE;

	for (uint32_t i = 0; i < whole; i++)
		kv_seq_append(f, s->pages[i]);
	if (n % KV_PAGE != 0) {
		struct kv_page *page =
		    kv_page_copy(s->pool, s->pages[whole], n % KV_PAGE);

		if (page == NULL)
			goto fail;
		append(f, page);
	}
	if (kv_seq_copy_state(f, s, n) < 0)
		goto fail;
	return f;
fail:
	kv_seq_free(f);
	return NULL;
}

struct kv_rows
kv_rows(const struct kv_seq *s, uint32_t track, uint32_t head, uint32_t page)
{
	const struct track *t = &s->pool->track[track];
	uint8_t *at = see(s->pages[page]) + t->page;

	return (struct kv_rows){ .keys = at + head * t->rows * t->key,
		.values = at + t->rows * (t->heads * t->key + head * t->value),
		.key = t->key,
		.value = t->value };
}
