/*
 * Parts of server.h among themselves.
 */
#ifndef BRIG_INFERD_SERVER_INT_H
#define BRIG_INFERD_SERVER_INT_H

#include "inferd/api.h"
#include "inferd/conn.h"
#include "inferd/metrics.h"
#include "inferd/server.h"

struct request;

/* One connection, and who is at its other end. */
struct caller {
	struct server *s;
	struct conn *conn;
	struct client *client;
	struct agent *agent;     /* the same, to the engine */
	struct request *request; /* being worked on, or NULL */
	bool tcp;
	bool overseer;  /* may see what all agents do */
	bool named;     /* by the supervisor */
	bool waits;     /* with a request that has not been looked at */
	bool turn;      /* it is to be looked at now */
	uint64_t since; /* the later it began to wait, the larger */
	bool over;      /* its agent has too many: it is told so */
	size_t held;    /* bytes of the body that is being read */
	struct caller *prev, *next;
};

struct listener;

struct server {
	struct ev *ev;
	struct server_opts o;
	int64_t started; /* wall clock, seconds */
	struct metrics metrics;
	struct listener *listeners;
	struct ev_timer *pause; /* until there are descriptors again */
	struct ev_timer *turns; /* runs while requests wait */
	uint64_t turn, waits;   /* how many there were */
	uint64_t warned_ms;     /* of too many agents; 0: not yet */
	struct caller *callers;
	struct request *requests;
	unsigned ncallers, nover; /* nover: of them */
	size_t held;
	bool stopping;
};

/* -- routes.c -- */
unsigned route_check(
    struct caller *k, const struct conn_request *r, const char **why);
void route(struct caller *k, const struct conn_request *r);
/* Bytes of JSON that say it in the shape that the path's clients read. */
void route_error(const struct conn_request *r, unsigned status, const char *why,
    struct buf *out);
void reply_json(struct caller *k, unsigned status, const struct buf *body);
void reply_error(
    struct caller *k, enum api_kind kind, const struct api_error *e);

/* -- turns.c -- */
/*
 * To read a request, and to make tokens and grammars of it, can take a while in
 * which the main thread does nothing else.  So those with a body wait for a
 * turn, which goes round the agents, and everything else goes on in between.
 * True: it is to be done now; else on_request is called again.
 */
bool turn_now(struct caller *k, const struct conn_request *r);
void turn_next(void *server);

/* -- share.c -- */
/* Bytes of requests: false, and nothing has changed, if they are too many. */
bool server_hold(struct server *s, struct client *c, size_t n);
void server_let_go(struct server *s, struct client *c, size_t n);
/*
 * Room for a connection that is not in the list yet: if there is none, who has
 * most gives one up, which the overseer may always ask for.  Where that is the
 * caller's own agent it is marked `over` instead.  False: it cannot even be
 * told.
 */
bool share_let_in(struct caller *k, bool overseer);
/* The same, now that it is one of another agent. */
bool share_named(struct caller *k);

#endif
