#include "inferd/replay.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "inferd/json_tree.h"

#define BUCKETS 8192u

/* A turn that is kept; its bytes lie behind it. */
struct kept {
	struct kept *chain;         /* of the bucket */
	struct kept *older, *newer; /* of the space */
	struct space *space;
	size_t size;
	uint64_t chat; /* the last one that it was looked for in */
	struct chat_text text, thinking, sampled;
	const int32_t *ids;
	size_t nids, ncalls;
	struct chat_call calls[];
};

struct space {
	struct space *next;
	uint32_t id;
	struct kept *newest, *oldest;
	size_t bytes, turns;
};

struct replay {
	size_t max_bytes, max_turns;
	size_t bytes, turns;
	uint64_t chats; /* how many there were */
	struct space *spaces;
	struct kept *bucket[BUCKETS];
};

struct part {
	size_t id, name, args; /* where they begin within mem */
	size_t end;
};

struct replay_turn {
	struct replay *r;
	uint32_t space;
	struct buf mem, text, thinking;
	struct part *part;
	size_t n, cap;
};

struct replay *
replay_new(size_t max_bytes, size_t max_turns)
{
	struct replay *r = xcalloc(1, sizeof(*r));

	r->max_bytes = max_bytes;
	r->max_turns = max_turns;
	return r;
}

/* Of the first call's id; ids are as good as random. */
static size_t
bucket_of(uint32_t space, struct chat_text id)
{
	uint64_t h = 0xcbf29ce484222325ull ^ space;
	size_t i;

	for (i = 0; i < id.n; i++)
		h = (h ^ (uint8_t)id.p[i]) * 0x100000001b3ull;
	return (size_t)(h >> 32) % BUCKETS;
}

static void
unlink_age(struct kept *k)
{
	struct space *s = k->space;

	if (k->newer != NULL)
		k->newer->older = k->older;
	else
		s->newest = k->older;
	if (k->older != NULL)
		k->older->newer = k->newer;
	else
		s->oldest = k->newer;
}

static void
link_newest(struct kept *k)
{
	struct space *s = k->space;

	k->newer = NULL;
	k->older = s->newest;
	if (s->newest != NULL)
		s->newest->newer = k;
	else
		s->oldest = k;
	s->newest = k;
}

static void
drop(struct replay *r, struct kept *k)
{
	struct kept **p = &r->bucket[bucket_of(k->space->id, k->calls[0].id)];

	while (*p != k)
		p = &(*p)->chain;
	*p = k->chain;
	unlink_age(k);
	r->bytes -= k->size;
	k->space->bytes -= k->size;
	k->space->turns--;
	r->turns--;
	free(k);
}

static struct space **
find_space(struct replay *r, uint32_t id)
{
	struct space **s = &r->spaces;

	while (*s != NULL && (*s)->id != id)
		s = &(*s)->next;
	return s;
}

void
replay_forget(struct replay *r, uint32_t space)
{
	struct space **at = find_space(r, space), *s = *at;

	if (s == NULL)
		return;
	while (s->oldest != NULL)
		drop(r, s->oldest);
	*at = s->next;
	free(s);
}

void
replay_free(struct replay *r)
{
	if (r == NULL)
		return;
	while (r->spaces != NULL)
		replay_forget(r, r->spaces->id);
	free(r);
}

size_t
replay_bytes(const struct replay *r)
{
	return r->bytes;
}

/* Whoever has most of what is too much. */
static void
make_room(struct replay *r)
{
	const struct space *s, *most;

	while (r->bytes > r->max_bytes || r->turns > r->max_turns) {
		const bool bytes = r->bytes > r->max_bytes;

		most = r->spaces;
		for (s = r->spaces; s != NULL; s = s->next)
			if (bytes ? s->bytes > most->bytes
				  : s->turns > most->turns)
				most = s;
		if (most == NULL || most->oldest == NULL)
			return;
		drop(r, most->oldest);
	}
}

static bool
same_bytes(struct chat_text a, struct chat_text b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static struct kept *
find(struct replay *r, uint32_t space, struct chat_text id)
{
	struct kept *k = r->bucket[bucket_of(space, id)];

	for (; k != NULL; k = k->chain)
		if (k->space->id == space && same_bytes(k->calls[0].id, id))
			break;
	return k;
}

struct replay_turn *
replay_turn_new(struct replay *r, uint32_t space)
{
	struct replay_turn *t = xcalloc(1, sizeof(*t));

	t->r = r;
	t->space = space;
	return t;
}

void
replay_turn_free(struct replay_turn *t)
{
	if (t == NULL)
		return;
	buf_free(&t->mem);
	buf_free(&t->text);
	buf_free(&t->thinking);
	free(t->part);
	free(t);
}

static struct chat_text
put(char **at, const void *p, size_t n)
{
	struct chat_text t = { *at, n };

	if (n > 0)
		memcpy(*at, p, n);
	*at += n;
	return t;
}

static void
keep(struct replay_turn *t, const struct gen_event *e)
{
	struct replay *r = t->r;
	size_t head = sizeof(struct kept) + t->n * sizeof(struct chat_call);
	size_t idbytes = e->ntokens * sizeof(*e->tokens), i;
	size_t size = head + idbytes + buf_len(&t->mem) + buf_len(&t->text) +
		      buf_len(&t->thinking) + e->n;
	struct space **s;
	struct kept *k, **b;
	struct chat_text mem;
	int32_t *ids;
	char *at;

	if (size > r->max_bytes || r->max_turns == 0)
		return;
	k = xcalloc(1, size);
	k->size = size;
	ids = (int32_t *)(void *)&k->calls[t->n];
	at = (char *)ids + idbytes;
	if (idbytes > 0)
		memcpy(ids, e->tokens, idbytes);
	k->ids = ids;
	k->nids = e->ntokens;
	mem = put(&at, buf_head(&t->mem), buf_len(&t->mem));
	k->text = put(&at, buf_head(&t->text), buf_len(&t->text));
	k->thinking = put(&at, buf_head(&t->thinking), buf_len(&t->thinking));
	k->sampled = put(&at, e->p, e->n);
	k->ncalls = t->n;
	for (i = 0; i < t->n; i++) {
		const struct part *p = &t->part[i];

		k->calls[i].id =
		    (struct chat_text){ mem.p + p->id, p->name - p->id };
		k->calls[i].name =
		    (struct chat_text){ mem.p + p->name, p->args - p->name };
		k->calls[i].args =
		    (struct chat_text){ mem.p + p->args, p->end - p->args };
	}
	s = find_space(r, t->space);
	if (*s == NULL) {
		*s = xcalloc(1, sizeof(**s));
		(*s)->id = t->space;
	}
	k->space = *s;
	b = &r->bucket[bucket_of(t->space, k->calls[0].id)];
	k->chain = *b;
	*b = k;
	link_newest(k);
	r->bytes += size;
	k->space->bytes += size;
	k->space->turns++;
	r->turns++;
	make_room(r);
}

static void
begin(struct replay_turn *t, const struct gen_event *e)
{
	struct part *p;

	if (t->n == t->cap) {
		t->cap = t->cap == 0 ? 4 : t->cap * 2;
		t->part = xreallocarray(t->part, t->cap, sizeof(*t->part));
	}
	p = &t->part[t->n++];
	p->id = buf_len(&t->mem);
	buf_put(&t->mem, e->call_id, strlen(e->call_id));
	p->name = buf_len(&t->mem);
	buf_put(&t->mem, e->p, e->n);
	p->args = p->end = buf_len(&t->mem);
}

void
replay_turn_event(struct replay_turn *t, const struct gen_event *e)
{
	switch (e->type) {
	case GEN_TEXT:
		buf_put(&t->text, e->p, e->n);
		break;
	case GEN_THINKING:
		buf_put(&t->thinking, e->p, e->n);
		break;
	case GEN_CALL_BEGIN:
		begin(t, e);
		break;
	case GEN_CALL_ARGS:
		if (t->n == 0)
			break;
		buf_put(&t->mem, e->p, e->n);
		t->part[t->n - 1].end = buf_len(&t->mem);
		break;
	case GEN_END:
		if (e->finish == GEN_CALLS && t->n > 0 && e->n > 0)
			keep(t, e);
		break;
	case GEN_PROGRESS:
	case GEN_CALL_END:
		break;
	}
}

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
same_words(struct chat_text a, struct chat_text b)
{
	while (a.n > 0 && is_space(a.p[a.n - 1]))
		a.n--;
	while (b.n > 0 && is_space(b.p[b.n - 1]))
		b.n--;
	for (; a.n > 0 && is_space(*a.p); a.n--)
		a.p++;
	for (; b.n > 0 && is_space(*b.p); b.n--)
		b.p++;
	return same_bytes(a, b);
}

/* Clients leave thoughts out; others than those that were are a change. */
static bool
is_unchanged(const struct kept *k, const struct chat_message *m)
{
	size_t i;

	if (m->ncalls != k->ncalls || !same_words(m->text, k->text) ||
	    (m->thinking.n > 0 && !same_words(m->thinking, k->thinking)))
		return false;
	for (i = 0; i < m->ncalls; i++) {
		const struct chat_call *a = &m->calls[i], *b = &k->calls[i];

		if (!same_bytes(a->id, b->id) ||
		    !same_bytes(a->name, b->name) ||
		    !json_same(a->args.p, a->args.n, b->args.p, b->args.n))
			return false;
	}
	return true;
}

void
replay_chat(
    struct replay *r, uint32_t space, struct chat *chat, struct replay_copy *c)
{
	const struct chat_message *m;
	struct kept *k;
	size_t i;

	memset(c, 0, sizeof(*c));
	r->chats++;
	for (i = 0; i < chat->nmessages; i++) {
		m = &chat->messages[i];
		if (m->role != CHAT_ASSISTANT || m->ncalls == 0)
			continue;
		k = find(r, space, m->calls[0].id);
		/* Once in a conversation: a client that names one call over
		 * and over would have it compared and said as often. */
		if (k == NULL || k->chat == r->chats)
			continue;
		k->chat = r->chats;
		if (!is_unchanged(k, m))
			continue;
		unlink_age(k);
		link_newest(k);
		if (c->messages == NULL)
			c->messages =
			    xcalloc(chat->nmessages, sizeof(*c->messages));
		if (c->turns++ == 0)
			memcpy(c->messages, chat->messages,
			    chat->nmessages * sizeof(*c->messages));
		c->messages[i].sampled = k->sampled;
		c->messages[i].ids = k->ids;
		c->messages[i].nids = k->nids;
	}
	if (c->messages != NULL)
		chat->messages = c->messages;
}

void
replay_copy_free(struct replay_copy *c)
{
	free(c->messages);
	memset(c, 0, sizeof(*c));
}
