/*
 * The server: listening sockets, connections, and who is behind them.  An
 * agent is who the kernel says made the connection: "uid:N" on a Unix socket,
 * or the name that the supervisor, root or one other uid, gives in the first
 * line of a connection ("AGENT name"); all of TCP is one agent, "tcp".
 *
 * The main thread alone.
 */
#ifndef BRIG_INFERD_SERVER_H
#define BRIG_INFERD_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/ev.h"
#include "inferd/agent.h"
#include "inferd/engine.h"
#include "inferd/public.h"
#include "inferd/replay.h"
#include "inferd/template.h"
#include "inferd/tok.h"

#define SERVER_CONNS_MAX 1024u  /* accepted at once */
#define SERVER_AGENT_CONNS 256u /* of them, one agent's */
#define SERVER_CONNS_OVER 32u   /* besides, that are told to come later */
/* Bytes of requests that are being read or worked on; one agent may have a part
 * of what others leave, and a little in any case. */
#define SERVER_HELD_MAX (512u << 20)
#define SERVER_HELD_PART 4u
#define SERVER_HELD_SURE (512u << 10)
#define SERVER_BACKLOG 128

struct server;

/* All of it is the caller's, and stays. */
struct server_opts {
	struct engine *engine;
	struct agents *agents;
	const struct tok *tok;
	const struct vocab_table *vocab;
	enum chat_family family;
	const char *model;         /* the name it is known by */
	uint32_t loop_max;         /* identical calls; 0: no limit */
	bool keep_volatile;        /* fields that change with each request */
	struct replay *replay;     /* what was sampled before, or NULL */
	struct record *record;     /* of what is asked and said, or NULL */
	const char *model_id, *kv; /* for it */
	const char *const *agent_steer; /* NAME=CLASS */
	size_t nagent_steer;
	struct public_set *publics; /* beginnings for all, or NULL */
	/* Who may name agents, besides root. */
	bool has_supervisor;
	uid_t supervisor;
};

struct server *server_new(struct ev *ev, const struct server_opts *o);
/* Takes a listening socket and accepts on it. */
void server_listen(struct server *s, int fd);
/* Accept no more, cancel what is going on, close when it has been said. */
void server_stop(struct server *s);
/* Nothing is open and nothing is going on. */
bool server_idle(const struct server *s);
/* All that is open, at once.  The ends of requests still come. */
void server_close(struct server *s);
/* After server_close(), and when the engine has delivered all ends: it has if
 * it is gone.  NULL is fine. */
void server_free(struct server *s);

#endif
