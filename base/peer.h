/*
 * The channels of one child process: one to the parent (descriptor PARENT_FD)
 * and those the parent hands over with M_PEER.  When a peer dies its channel
 * goes down and whoever waits on it fails closed; when it has been restarted
 * the parent sends a new M_PEER and the channel is up again.
 *
 * A fault on a peer channel closes it and reports M_BAD_PEER; a fault on, or
 * the end of, the parent channel ends this process (exit 0 on end: nothing
 * may run without the parent).
 */
#ifndef BRIG_PEER_H
#define BRIG_PEER_H

#include "base/msg.h"
#include "base/proto.h"

struct peer {
	enum role role;
	uint32_t job;
	struct chan *chan;
	void *owner; /* ctx given to peers_new(): the process's struct */
	void *data;  /* free for the process's use, set in on_up */
};

/* What this process accepts from a role.  Handlers get a struct peer *. */
struct peer_def {
	enum role role;
	const struct msg_rule *rules;
	size_t nrules;
	void (*on_up)(struct peer *p);   /* may be NULL */
	void (*on_down)(struct peer *p); /* may be NULL; before free */
};

struct peers;

/*
 * parent_rules: messages from the parent besides M_PEER and M_STOP, which
 * this module handles (M_STOP calls ev_stop); their handlers get a struct
 * peer * with role ROLE_PARENT.
 */
struct peers *peers_new(struct ev *ev, int parent_fd,
    const struct msg_rule *parent_rules, size_t nparent,
    const struct peer_def *defs, size_t ndefs, void *owner);
void peers_free(struct peers *ps);
struct chan *peers_parent(struct peers *ps);
/* NULL while that peer is down.  job 0 for the singletons. */
struct peer *peers_find(struct peers *ps, enum role role, uint32_t job);
/* Call fn for each live peer of a role. */
void peers_each(struct peers *ps, enum role role,
    void (*fn)(struct peer *p, void *arg), void *arg);
/* Ready: tell the parent. */
void peers_ready(struct peers *ps);

#endif
