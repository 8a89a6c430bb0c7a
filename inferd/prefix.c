#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/prefix_int.h"

struct space *
prefix_space(const struct prefix_cache *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->nspaces; i++)
		if (c->space[i]->id == id)
			return c->space[i];
	return NULL;
}

static struct space *
space_get(struct prefix_cache *c, uint32_t id)
{
	struct space *s = prefix_space(c, id);

	if (s != NULL || c->nspaces == PREFIX_SPACES)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->id = id;
	c->space = xreallocarray(c->space, c->nspaces + 1, sizeof(*c->space));
	c->space[c->nspaces++] = s;
	return s;
}

static void
name(struct prefix_cache *c, uint32_t space, const char *agent)
{
	struct space *s = space_get(c, space);

	if (s == NULL || s->named)
		return;
	s->named = true;
	if (c->disk != NULL)
		s->disk = kvdisk_space(c->disk, agent);
}

void
prefix_name(struct prefix_cache *c, uint32_t space, const char *agent)
{
	name(c, space, agent);
}

struct prefix_cache *
prefix_new(struct kv_pool *kv, size_t budget, struct kvdisk *disk)
{
	struct prefix_cache *c = xcalloc(1, sizeof(*c));

	c->kv = kv;
	c->budget = budget;
	c->disk = disk;
	if (disk != NULL)
		name(c, PREFIX_PUBLIC, NULL);
	return c;
}

static void
unlist(struct space *s, struct node *n)
{
	if (n->newer != NULL)
		n->newer->older = n->older;
	else
		s->newest = n->older;
	if (n->older != NULL)
		n->older->newer = n->newer;
	else
		s->oldest = n->newer;
}

/* Behind `before`, or as the newest. */
static void
list(struct space *s, struct node *n, struct node *before)
{
	n->newer = before;
	n->older = before != NULL ? before->older : s->newest;
	if (n->older != NULL)
		n->older->newer = n;
	else
		s->oldest = n;
	if (before != NULL)
		before->older = n;
	else
		s->newest = n;
}

/* n has been used, and with it all before it. */
static void
touch(struct space *s, struct node *n)
{
	for (; n != &s->root; n = n->parent) {
		unlist(s, n);
		list(s, n, NULL);
	}
}

/* A leaf. */
static void
node_free(struct prefix_cache *c, struct space *s, struct node *n)
{
	struct node **at = &n->parent->child;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	unlist(s, n);
	s->bytes -= n->charge;
	c->bytes -= n->charge;
	c->unsaved -= n->unsaved;
	kv_page_drop(c->kv, n->page);
	kv_state_drop(c->kv, n->state);
	explicit_bzero(n->ids, sizeof(n->ids));
	free(n);
}

/* A leaf, too; it may be wanted again. */
static void
evict(struct prefix_cache *c, struct space *s, struct node *n)
{
	prefix_disk_save(c, s, n);
	node_free(c, s, n);
}

static void
space_clear(struct prefix_cache *c, struct space *s)
{
	while (s->oldest != NULL)
		node_free(c, s, s->oldest);
}

void
prefix_free(struct prefix_cache *c)
{
	if (c == NULL)
		return;
	while (prefix_idle(c))
		;
	for (uint32_t i = 0; i < c->nspaces; i++) {
		space_clear(c, c->space[i]);
		free(c->space[i]);
	}
	free(c->space);
	free(c);
}

static uint32_t
common(const int32_t *a, uint32_t na, const int32_t *b, uint32_t nb)
{
	uint32_t n = 0;

	while (n < na && n < nb && a[n] == b[n])
		n++;
	return n;
}

static void
walk(struct prefix_cache *c, struct space *s, const int32_t *ids, uint32_t n,
    struct walk *w)
{
	struct node *child;

	*w = (struct walk){ .space = s };
	if (s == NULL)
		return;
	w->last = &s->root;
	do {
		w->partial = NULL;
		w->more = 0;
		for (child = w->last->child; child != NULL;
		     child = child->next) {
			const uint32_t k = common(
			    child->ids, child->n, ids + w->whole, n - w->whole);

			c->work.pages++;
			if (k > w->more) {
				w->partial = child;
				w->more = k;
			}
			if (k == KV_PAGE)
				break;
		}
		if (child != NULL) {
			w->last = child;
			w->whole += KV_PAGE;
		}
		if (child != NULL && child->state != NULL) {
			w->stated = child;
			w->at = w->whole;
		}
	} while (child != NULL);
}

/* Where w's tree goes on, but not as the prompt does. */
static void
diverged(const struct walk *w, uint32_t n, struct prefix_hit *hit)
{
	const struct node *at = w->partial;
	uint32_t of = w->whole;

	if (at == NULL)
		at = w->last->child;
	if (w->whole + w->more >= n || at == NULL ||
	    (at->n == w->more && at->child == NULL))
		return;
	for (; at != NULL; at = at->child)
		of += at->n;
	hit->diverged_at = w->whole + w->more;
	hit->diverged_of = of;
}

/* The last page is written on by who has it: a copy. */
static uint32_t
attach_part(struct prefix_cache *c, struct kv_seq *s, const struct walk *w)
{
	struct kv_page *page;

	if (w->more == 0)
		return 0;
	page = kv_page_copy(c->kv, w->partial->page, w->more);
	if (page == NULL)
		return 0;
	kv_seq_append(s, page);
	kv_page_drop(c->kv, page);
	return w->more;
}

static void
attach(struct kv_seq *s, const struct node *n)
{
	if (n->parent == NULL)
		return;
	attach(s, n->parent);
	kv_seq_append(s, n->page);
}

/*
 * Of the agents' spaces the one that holds the most gives its oldest, `mine` if
 * it is one of those; idle: the oldest that no sequence holds.
 */
static struct node *
victim(const struct prefix_cache *c, const struct space *mine, bool idle,
    struct space **of)
{
	struct node *best = NULL;

	for (uint32_t i = 0; i < c->nspaces; i++) {
		struct space *s = c->space[i];
		struct node *n = s->oldest;

		if (s->id == PREFIX_PUBLIC || s->bytes == 0 ||
		    (best != NULL && s->bytes < (*of)->bytes) ||
		    (best != NULL && s->bytes == (*of)->bytes && s != mine))
			continue;
		while (idle && n != NULL &&
		       (n->child != NULL || !kv_page_is_last(n->page)))
			n = n->newer;
		if (n == NULL)
			continue;
		best = n;
		*of = s;
	}
	return best;
}

/* Room for so many bytes at or behind `last`, which is to stay. */
static bool
make_room(struct prefix_cache *c, struct space *s, const struct node *last,
    size_t bytes)
{
	struct space *of;
	struct node *n;

	/* Of public ones as much is pinned as leaves room for the others. */
	while (s->id == PREFIX_PUBLIC && s->bytes + bytes > c->budget / 2) {
		if (s->oldest == NULL || s->oldest == last)
			return false;
		evict(c, s, s->oldest);
	}
	while (c->bytes + bytes > c->budget) {
		n = victim(c, s, false, &of);
		if (n == NULL || n == last)
			return false;
		evict(c, of, n);
	}
	return true;
}

/* Is it the public space's page that s has there? */
static bool
is_public(const struct walk *public, uint32_t at, const struct kv_page *page)
{
	const struct node *n = public->last;

	if (public->space == NULL || public->whole <= at)
		return false;
	for (uint32_t end = public->whole; end > at + KV_PAGE; end -= KV_PAGE)
		n = n->parent;
	return n->page == page;
}

static void
charge(struct prefix_cache *c, struct space *s, struct node *n, size_t bytes)
{
	n->charge += bytes;
	s->bytes += bytes;
	c->bytes += bytes;
}

static void
set_unsaved(struct prefix_cache *c, struct node *n)
{
	c->unsaved += !n->unsaved;
	n->unsaved = true;
}

/* The page with tokens [w->whole, w->whole + k), behind w->last. */
static bool
add(struct prefix_cache *c, struct walk *w, const struct walk *public,
    const int32_t *ids, uint32_t k, const struct kv_seq *s)
{
	struct kv_page *page = kv_page_hold(s, w->whole / KV_PAGE);
	struct space *space = w->space;
	const size_t bytes =
	    is_public(public, w->whole, page) ? 0 : kv_page_bytes(c->kv);
	struct node *n;

	if (bytes > 0 && !make_room(c, space, w->last, bytes)) {
		kv_page_drop(c->kv, page);
		return false;
	}
	if (k < KV_PAGE) {
		struct kv_page *part = kv_page_copy(c->kv, page, k);

		kv_page_drop(c->kv, page);
		if (part == NULL)
			return false;
		page = part;
	}
	n = xcalloc(1, sizeof(*n));
	n->parent = w->last;
	n->page = page;
	if (k == KV_PAGE && bytes > 0 && space->disk != NULL)
		set_unsaved(c, n);
	n->n = k;
	memcpy(n->ids, ids + w->whole, k * sizeof(*ids));
	n->next = w->last->child;
	w->last->child = n;
	list(space, n, w->last == &space->root ? NULL : w->last);
	charge(c, space, n, bytes);
	w->last = n;
	w->whole += k;
	return true;
}

/* What is not there yet.  False: as much as there is room for. */
static bool
add_all(struct prefix_cache *c, struct walk *w, const struct walk *public,
    const int32_t *ids, uint32_t n, const struct kv_seq *s)
{
	/* A last page of which more is known now. */
	if (w->more > 0 && w->more == w->partial->n)
		node_free(c, w->space, w->partial);
	while (w->whole < n) {
		const uint32_t left = n - w->whole;

		if (!add(c, w, public, ids, left < KV_PAGE ? left : KV_PAGE, s))
			return false;
	}
	return true;
}

/* The state behind the pages that w has gone through. */
static void
add_state(struct prefix_cache *c, const struct walk *w, struct kv_state *state)
{
	struct node *n = w->last;
	const size_t bytes = kv_state_bytes(c->kv);

	if (n->state != NULL || !make_room(c, w->space, n, bytes))
		return;
	n->state = kv_state_hold(state);
	charge(c, w->space, n, bytes);
	if (w->space->disk != NULL)
		set_unsaved(c, n);
}

void
prefix_keep(struct prefix_cache *c, uint32_t space, const int32_t *ids,
    uint32_t n, const struct kv_seq *s)
{
	struct space *to = space_get(c, space);
	struct walk w, public = { 0 };
	struct kv_state *mark = NULL;

	if (to == NULL)
		return;
	/* Pages behind the last state are of no use to anybody. */
	if (kv_state_bytes(c->kv) > 0) {
		uint32_t at;

		mark = kv_seq_marked(s, &at);
		if (mark == NULL || at > n)
			return;
		n = at;
	}
	walk(c, to, ids, n, &w);
	touch(to, w.more > 0 ? w.partial : w.last);
	if (space != PREFIX_PUBLIC)
		walk(c, prefix_space(c, PREFIX_PUBLIC), ids, n, &public);
	if (w.whole + w.more < n && !add_all(c, &w, &public, ids, n, s))
		prefix_disk_put(&w, ids, n, s, c->kv);
	else if (mark != NULL)
		add_state(c, &w, mark);
}

/* What comes from disk is in memory then, too. */
uint32_t
prefix_more(struct prefix_cache *c, uint32_t space, const int32_t *ids,
    uint32_t n, struct kv_seq *s, uint32_t at)
{
	uint32_t have, npublic = 0;

	if (c->disk == NULL || at % KV_PAGE != 0 || n == 0 || at > n - 1)
		return at;
	have = prefix_disk_load(
	    c, prefix_space(c, space), ids, n - 1, at, s, &npublic);
	if (npublic > 0)
		prefix_keep(c, PREFIX_PUBLIC, ids, npublic, s);
	if (have > at)
		prefix_keep(c, space, ids, have, s);
	return have;
}

/* How many tokens of the prompt need not be computed. */
static uint32_t
reach(const struct prefix_cache *c, const struct walk *w)
{
	return kv_state_bytes(c->kv) > 0 ? w->at : w->whole + w->more;
}

/* The whole pages of w into s, and the state behind them; how many tokens. */
static uint32_t
attach_whole(struct prefix_cache *c, struct kv_seq *s, const struct walk *w)
{
	if (w->space == NULL)
		return 0;
	if (kv_state_bytes(c->kv) == 0) {
		attach(s, w->last);
		return w->whole;
	}
	if (w->stated == NULL)
		return 0;
	attach(s, w->stated);
	if (kv_seq_resume(s, w->stated->state, w->at) == 0)
		return w->at;
	kv_seq_cut(s, 0);
	return 0;
}

struct kv_seq *
prefix_find(struct prefix_cache *c, uint32_t space, const int32_t *ids,
    uint32_t n, struct prefix_hit *hit)
{
	struct kv_seq *s = kv_seq_new(c->kv);
	struct walk own, public, *best = &own;
	uint32_t whole;

	*hit = (struct prefix_hit){ 0 };
	c->work.finds++;
	if (n == 0)
		return s;
	walk(c, prefix_space(c, space), ids, n - 1, &own);
	walk(c, prefix_space(c, PREFIX_PUBLIC), ids, n - 1, &public);
	if (public.space != NULL && reach(c, &public) >= reach(c, &own))
		best = &public;
	if (own.space != NULL) {
		touch(own.space, own.more > 0 ? own.partial : own.last);
		diverged(&own, n - 1, hit);
	}
	whole = attach_whole(c, s, best);
	/* Pages are held by s: whatever has to go now, they stay. */
	hit->public = best == &public && reach(c, best) > 0;
	hit->n = prefix_more(c, space, ids, n, s, whole);
	hit->from_disk = hit->n > whole;
	if (!hit->from_disk && kv_state_bytes(c->kv) == 0)
		hit->n += attach_part(c, s, best);
	return s;
}

size_t
prefix_shrink(struct prefix_cache *c, size_t bytes)
{
	const size_t used = kv_pool_used(c->kv);
	struct space *of;
	struct node *n;

	while (used - kv_pool_used(c->kv) < bytes &&
	       (n = victim(c, NULL, true, &of)) != NULL)
		evict(c, of, n);
	return used - kv_pool_used(c->kv);
}

void
prefix_trim(struct prefix_cache *c, uint32_t space, size_t bytes)
{
	struct space *s = prefix_space(c, space);

	while (s != NULL && s->bytes > bytes)
		evict(c, s, s->oldest);
}

void
prefix_leave(struct prefix_cache *c, uint32_t space)
{
	struct space *s = prefix_space(c, space);
	uint32_t i = 0;

	if (s == NULL)
		return;
	while (s->oldest != NULL)
		evict(c, s, s->oldest);
	if (s->disk != NULL)
		kvdisk_leave(s->disk);
	while (c->space[i] != s)
		i++;
	c->nspaces--;
	memmove(&c->space[i], &c->space[i + 1],
	    (c->nspaces - i) * sizeof(*c->space));
	free(s);
}

void
prefix_forget(struct prefix_cache *c, uint32_t space)
{
	struct space *s = prefix_space(c, space);

	if (s == NULL)
		return;
	space_clear(c, s);
	if (s->disk != NULL && kvdisk_forget(s->disk) < 0)
		s->disk = NULL;
}

size_t
prefix_bytes(const struct prefix_cache *c, uint32_t space)
{
	const struct space *s = prefix_space(c, space);

	return s == NULL ? 0 : s->bytes;
}

void
prefix_work(const struct prefix_cache *c, struct prefix_work *out)
{
	*out = c->work;
}
