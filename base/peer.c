#include "base/peer.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define PARENT_RULES_MAX 32

struct link {
	struct peer peer;
	const struct peer_def *def;
	struct peers *ps;
	struct link *next;
};

struct peers {
	struct ev *ev;
	struct peer parent;
	struct msg_rule rules[PARENT_RULES_MAX];
	const struct peer_def *defs;
	size_t ndefs;
	void *owner;
	struct link *links;
};

static void
unlink_peer(struct link *l)
{
	struct link **pp = &l->ps->links;

	while (*pp != NULL && *pp != l)
		pp = &(*pp)->next;
	if (*pp == l)
		*pp = l->next;
	if (l->def->on_down != NULL)
		l->def->on_down(&l->peer);
	chan_free(l->peer.chan);
	/* The channel still names it until the end of the round. */
	ev_defer(l->ps->ev, free, l);
}

static void
on_peer_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct peer *p = ctx;
	struct link *l = (struct link *)p;
	struct buf b;

	if (how == CHAN_FAULT) {
		log_warnx("%s broke the protocol: %s", chan_peer(c), why);
		buf_init(&b, 0);
		buf_put_u8(&b, (uint8_t)p->role);
		buf_put_u32(&b, p->job);
		buf_put_str(&b, why);
		chan_send(l->ps->parent.chan, M_BAD_PEER, p->job, 0, &b, -1);
		buf_free(&b);
	} else
		log_debug("%s is gone", chan_peer(c));
	unlink_peer(l);
}

static void
on_parent_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	(void)c;
	(void)ctx;
	if (how == CHAN_FAULT)
		fatalx("parent: %s", why);
	log_debug("parent is gone, exiting");
	_exit(0);
}

static const struct peer_def *
find_def(const struct peers *ps, unsigned int role)
{
	for (size_t i = 0; i < ps->ndefs; i++)
		if ((unsigned int)ps->defs[i].role == role)
			return &ps->defs[i];
	return NULL;
}

static int
on_peer(struct chan *c, struct msg *m, void *ctx)
{
	struct peers *ps =
	    (struct peers *)((char *)ctx - offsetof(struct peers, parent));
	uint8_t role = cur_u8(&m->body);
	uint32_t job = cur_u32(&m->body);
	const struct peer_def *def = find_def(ps, role);
	struct peer *old;
	struct link *l;
	char name[48];

	(void)c;
	if (cur_end(&m->body) < 0 || def == NULL)
		return -1;
	if ((old = peers_find(ps, (enum role)role, job)) != NULL)
		unlink_peer((struct link *)old);
	l = xcalloc(1, sizeof(*l));
	l->ps = ps;
	l->def = def;
	l->peer.role = (enum role)role;
	l->peer.job = job;
	l->peer.owner = ps->owner;
	if (job != 0)
		snprintf(name, sizeof(name), "%s of job %u",
		    role_name((enum role)role), job);
	else
		snprintf(name, sizeof(name), "%s", role_name((enum role)role));
	l->peer.chan = chan_new(ps->ev, steal_fd(&m->fd), name, def->rules,
	    def->nrules, on_peer_end, &l->peer);
	l->next = ps->links;
	ps->links = l;
	if (def->on_up != NULL)
		def->on_up(&l->peer);
	return 0;
}

static int
on_stop(struct chan *c, struct msg *m, void *ctx)
{
	struct peers *ps =
	    (struct peers *)((char *)ctx - offsetof(struct peers, parent));

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	ev_stop(ps->ev);
	return 0;
}

struct peers *
peers_new(struct ev *ev, int parent_fd, const struct msg_rule *parent_rules,
    size_t nparent, const struct peer_def *defs, size_t ndefs, void *owner)
{
	struct peers *ps = xcalloc(1, sizeof(*ps));
	bool own_stop = false;
	size_t n = 0;

	if (nparent > PARENT_RULES_MAX - 2)
		fatalx("too many rules for the parent");
	for (size_t i = 0; i < nparent; i++) {
		ps->rules[n++] = parent_rules[i];
		own_stop |= parent_rules[i].type == M_STOP;
	}
	ps->rules[n++] =
	    (struct msg_rule){ M_PEER, MSG_ALLOWED | MSG_FD, on_peer };
	if (!own_stop)
		ps->rules[n++] =
		    (struct msg_rule){ M_STOP, MSG_ALLOWED, on_stop };
	ps->ev = ev;
	ps->defs = defs;
	ps->ndefs = ndefs;
	ps->owner = owner;
	ps->parent.role = ROLE_PARENT;
	ps->parent.owner = owner;
	ps->parent.chan = chan_new(
	    ev, parent_fd, "parent", ps->rules, n, on_parent_end, &ps->parent);
	return ps;
}

void
peers_free(struct peers *ps)
{
	struct link *l;

	if (ps == NULL)
		return;
	while ((l = ps->links) != NULL)
		unlink_peer(l);
	chan_free(ps->parent.chan);
	ev_defer(ps->ev, free, ps);
}

struct chan *
peers_parent(struct peers *ps)
{
	return ps->parent.chan;
}

struct peer *
peers_find(struct peers *ps, enum role role, uint32_t job)
{
	for (struct link *l = ps->links; l != NULL; l = l->next)
		if (l->peer.role == role && l->peer.job == job)
			return &l->peer;
	return NULL;
}

void
peers_each(struct peers *ps, enum role role,
    void (*fn)(struct peer *p, void *arg), void *arg)
{
	struct link *next;

	for (struct link *l = ps->links; l != NULL; l = next) {
		next = l->next;
		if (l->peer.role == role)
			fn(&l->peer, arg);
	}
}

void
peers_ready(struct peers *ps)
{
	chan_send(ps->parent.chan, M_READY, 0, 0, NULL, -1);
}
