/*
 * What each agent may have of connections and of bytes of requests, so that
 * none, nor many of them together, can take all.
 */
#include "inferd/server_int.h"

/* ---- bytes -------------------------------------------------------------- */

bool
server_hold(struct server *s, struct client *c, size_t n)
{
	const size_t others = s->held - c->held,
		     left = others < SERVER_HELD_MAX ? SERVER_HELD_MAX - others
						     : 0;

	/* Whoever comes next finds some, and a little in any case. */
	if (c->held + n > SERVER_HELD_SURE &&
	    c->held + n > left / SERVER_HELD_PART)
		return false;
	s->held += n;
	c->held += n;
	return true;
}

void
server_let_go(struct server *s, struct client *c, size_t n)
{
	s->held -= n;
	c->held -= n;
}

/* ---- connections -------------------------------------------------------- */

static bool
is_full(const struct server *s)
{
	return s->ncallers - s->nover >= SERVER_CONNS_MAX;
}

/* The agent that has most connections. */
static struct client *
heaviest(const struct server *s)
{
	struct client *most = NULL;

	for (struct caller *k = s->callers; k != NULL; k = k->next)
		if (most == NULL || k->client->conns > most->conns)
			most = k->client;
	return most;
}

/* The oldest connection of an agent, of those that wait for a request if there
 * are any. */
static struct caller *
oldest(const struct server *s, const struct client *of)
{
	struct caller *best = NULL;

	for (struct caller *k = s->callers; k != NULL; k = k->next)
		if (k->client == of && !k->over &&
		    (best == NULL || conn_busy(best->conn) ||
			!conn_busy(k->conn)))
			best = k;
	return best;
}

static void
set_over(struct caller *k)
{
	if (k->over)
		return;
	k->over = true;
	k->s->nover++;
}

bool
share_let_in(struct caller *k, bool overseer)
{
	struct server *s = k->s;
	struct client *most;
	struct caller *out;

	if (!overseer && k->client->conns > SERVER_AGENT_CONNS)
		set_over(k);
	while (!k->over && is_full(s)) {
		most = heaviest(s);
		out = NULL;
		if (most != NULL &&
		    (overseer || most->conns > k->client->conns))
			out = oldest(s, most);
		if (out != NULL)
			conn_close(out->conn);
		else
			set_over(k);
	}
	if (!k->over || s->nover <= SERVER_CONNS_OVER)
		return true;
	s->nover--;
	k->over = false;
	return false;
}

bool
share_named(struct caller *k)
{
	if (k->client->conns > SERVER_AGENT_CONNS)
		set_over(k);
	return !k->over || k->s->nover <= SERVER_CONNS_OVER;
}
