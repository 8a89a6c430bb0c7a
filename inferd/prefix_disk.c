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
	if (s->disk != NULL)
		kvdisk_save(
		    s->disk, node_name(s, n), n->ids, kv_page_data(n->page));
}

void
prefix_disk_put(const struct walk *w, const int32_t *ids, uint32_t n,
    const struct kv_seq *s, struct kv_pool *kv)
{
	struct kvdisk_space *disk = w->space->disk;
	const uint8_t *before;
	uint8_t name[KVSEAL_NAME_SIZE];

	if (disk == NULL)
		return;
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

uint32_t
prefix_disk_load(struct prefix_cache *c, struct space *own, const int32_t *ids,
    uint32_t n, uint32_t at, struct kv_seq *s, uint32_t *npublic)
{
	struct look mine = look_at(own),
		    public = look_at(prefix_space(c, PREFIX_PUBLIC));
	size_t left = LOAD_MAX;

	if (mine.disk == NULL && public.disk == NULL)
		return at;
	for (uint32_t i = 0; i < at; i += KV_PAGE) {
		look_on(&mine, ids + i);
		look_on(&public, ids + i);
	}
	while (n - at >= KV_PAGE) {
		struct kv_page *page;
		bool got;

		look_on(&mine, ids + at);
		look_on(&public, ids + at);
		page = kv_seq_room(s) > at ? kv_page_hold(s, at / KV_PAGE)
					   : kv_page_new(c->kv);
		if (page == NULL)
			break;
		got = load(c, &mine, ids + at, page);
		if (!got && load(c, &public, ids + at, page)) {
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
		at += KV_PAGE;
		if (left < kv_page_bytes(c->kv))
			break;
		left -= kv_page_bytes(c->kv);
	}
	return at;
}
