#include <string.h>

#include "inferd/prefix_int.h"

/* Bytes read in one go: whoever else wants to compute waits as long. */
#define LOAD_MAX (256u << 20)

static const uint8_t *
node_name(const struct space *s, struct node *n)
{
	if (n == &s->root)
		return NULL;
	if (!n->named) {
		kvdisk_name(s->disk, node_name(s, n->parent), n->ids, n->name);
		n->named = true;
	}
	return n->name;
}

void
prefix_disk_save(struct prefix_cache *c, struct space *s, struct node *n)
{
	if (!n->unsaved)
		return;
	n->unsaved = false;
	c->unsaved--;
	if (s->disk != NULL &&
	    kvdisk_save(
		s->disk, node_name(s, n), n->ids, kv_page_data(n->page)) == 0 &&
	    n->state != NULL)
		kvdisk_save_state(
		    s->disk, node_name(s, n), kv_state_data(n->state));
}

void
prefix_disk_put(const struct walk *w, const int32_t *ids, uint32_t n,
    const struct kv_seq *s, struct kv_pool *kv)
{
	struct kvdisk_space *disk = w->space->disk;
	const uint8_t *before;
	uint8_t name[KVSEAL_NAME_SIZE];
	struct kv_state *mark;
	uint32_t marked;

	if (disk == NULL)
		return;
	mark = kv_seq_marked(s, &marked);
	before = node_name(w->space, w->last);
	for (uint32_t at = w->whole; n - at >= KV_PAGE; at += KV_PAGE) {
		struct kv_page *page = kv_page_hold(s, at / KV_PAGE);
		int r;

		kvdisk_name(disk, before, ids + at, name);
		before = name;
		r = kvdisk_save(disk, name, ids + at, kv_page_data(page));
		kv_page_drop(kv, page);
		if (r < 0)
			return;
	}
	if (mark != NULL && marked == n && before != NULL)
		kvdisk_save_state(disk, before, kv_state_data(mark));
}

bool
prefix_idle(struct prefix_cache *c)
{
	for (uint32_t i = 0; i < c->nspaces && c->unsaved > 0; i++) {
		struct space *s = c->space[i];
		struct node *n = s->newest;

		while (n != NULL && !n->unsaved)
			n = n->older;
		if (n != NULL) {
			prefix_disk_save(c, s, n);
			break;
		}
	}
	return c->unsaved > 0;
}

/* Where a space's files are looked for. */
struct look {
	struct kvdisk_space *disk; /* NULL: nowhere */
	uint8_t name[KVSEAL_NAME_SIZE];
	bool first;
};

static struct look
look_at(const struct space *s)
{
	const bool none =
	    s == NULL || s->disk == NULL || kvdisk_is_empty(s->disk);

	return (struct look){ .disk = none ? NULL : s->disk, .first = true };
}

/* Behind the page with ids. */
static void
look_on(struct look *l, const int32_t *ids)
{
	if (l->disk == NULL)
		return;
	kvdisk_name(l->disk, l->first ? NULL : l->name, ids, l->name);
	l->first = false;
}

static bool
has(const struct look *l)
{
	return l->disk != NULL && kvdisk_has(l->disk, l->name);
}

static bool
has_state(const struct look *l)
{
	return l->disk != NULL && kvdisk_has_state(l->disk, l->name);
}

static bool
load(struct prefix_cache *c, struct look *l, const int32_t *ids,
    struct kv_page *page)
{
	if (l->disk == NULL)
		return false;
	c->work.files++;
	if (!kvdisk_has(l->disk, l->name))
		return false;
	c->work.loads++;
	return kvdisk_load(l->disk, l->name, ids, kv_page_data(page)) == 0;
}

/* Where s is looked for, and behind how many tokens. */
struct places {
	struct look mine, public;
	uint32_t at;
};

/*
 * Up to where there are pages, and behind them a state; as far as is read in
 * one go, or to the first state.  p->at: there is none.
 */
static uint32_t
find_state(const struct prefix_cache *c, const struct places *p,
    const int32_t *ids, uint32_t n)
{
	struct look mine = p->mine, public = p->public;
	uint32_t found = p->at, at = p->at;
	size_t left = LOAD_MAX;

	while (n - at >= KV_PAGE) {
		look_on(&mine, ids + at);
		look_on(&public, ids + at);
		if (!has(&mine) && !has(&public))
			break;
		at += KV_PAGE;
		if (has_state(&mine) || has_state(&public))
			found = at;
		if (left < kv_page_bytes(c->kv) && found > p->at)
			break;
		left -=
		    left < kv_page_bytes(c->kv) ? left : kv_page_bytes(c->kv);
	}
	return found;
}

/* The state that p has come to, for s. */
static bool
load_state(struct prefix_cache *c, const struct places *p, struct kv_seq *s)
{
	struct kv_state *state = kv_state_new(c->kv);
	bool got;

	if (state == NULL)
		return false;
	c->work.loads++;
	got = (has_state(&p->mine) &&
		  kvdisk_load_state(
		      p->mine.disk, p->mine.name, kv_state_data(state)) == 0) ||
	      (has_state(&p->public) &&
		  kvdisk_load_state(p->public.disk, p->public.name,
		      kv_state_data(state)) == 0);
	got = got && kv_seq_resume(s, state, p->at) == 0;
	kv_state_drop(c->kv, state);
	return got;
}

/* Pages from p->at on, below n. */
static void
load_pages(struct prefix_cache *c, struct places *p, const int32_t *ids,
    uint32_t n, struct kv_seq *s, uint32_t *npublic)
{
	size_t left = kv_state_bytes(c->kv) > 0 ? SIZE_MAX : LOAD_MAX;

	while (n - p->at >= KV_PAGE) {
		const uint32_t at = p->at;
		struct kv_page *page;
		bool got;

		look_on(&p->mine, ids + at);
		look_on(&p->public, ids + at);
		page = kv_seq_room(s) > at ? kv_page_hold(s, at / KV_PAGE)
					   : kv_page_new(c->kv);
		if (page == NULL)
			break;
		got = load(c, &p->mine, ids + at, page);
		if (!got && load(c, &p->public, ids + at, page)) {
			got = true;
			*npublic = at + KV_PAGE;
		}
		if (!got)
			memset(kv_page_data(page), 0, kv_page_bytes(c->kv));
		else if (kv_seq_room(s) == at)
			kv_seq_append(s, page);
		kv_page_drop(c->kv, page);
		if (!got)
			break;
		p->at += KV_PAGE;
		if (left < kv_page_bytes(c->kv))
			break;
		left -= kv_page_bytes(c->kv);
	}
}

uint32_t
prefix_disk_load(struct prefix_cache *c, struct space *own, const int32_t *ids,
    uint32_t n, uint32_t at, struct kv_seq *s, uint32_t *npublic)
{
	struct places p = { .mine = look_at(own),
		.public = look_at(prefix_space(c, PREFIX_PUBLIC)),
		.at = at };

	if (p.mine.disk == NULL && p.public.disk == NULL)
		return at;
	for (uint32_t i = 0; i < at; i += KV_PAGE) {
		look_on(&p.mine, ids + i);
		look_on(&p.public, ids + i);
	}
	if (kv_state_bytes(c->kv) == 0) {
		load_pages(c, &p, ids, n, s, npublic);
		return p.at;
	}
	n = find_state(c, &p, ids, n);
	load_pages(c, &p, ids, n, s, npublic);
	if (p.at == n && n > at && load_state(c, &p, s))
		return n;
	*npublic = 0;
	return at;
}
