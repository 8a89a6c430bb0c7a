/*
 * Whose request the main thread looks at next, of those that take long.
 */
#include "inferd/server_int.h"

#define ROUND_MS 10u /* after which another one begins, when it is over */

bool
turn_now(struct caller *k, const struct conn_request *r)
{
	if (k->turn || r->n == 0) {
		k->turn = false;
		return true;
	}
	k->waits = true;
	k->since = ++k->s->waits;
	ev_timer_set(k->s->turns, 0);
	return false;
}

/* Of the agent that had its last turn longest ago the one that waits longest.
 */
static struct caller *
pick(const struct server *s)
{
	struct caller *best = NULL;

	for (struct caller *k = s->callers; k != NULL; k = k->next)
		if (k->waits &&
		    (best == NULL || k->agent->turn < best->agent->turn ||
			(k->agent->turn == best->agent->turn &&
			    k->since < best->since)))
			best = k;
	return best;
}

void
turn_next(void *server)
{
	struct server *s = server;
	struct caller *k;
	const uint64_t start = ev_now_ms();

	while (ev_now_ms() - start < ROUND_MS && (k = pick(s)) != NULL) {
		k->agent->turn = ++s->turn;
		k->waits = false;
		k->turn = true;
		conn_request(k->conn);
	}
	if (pick(s) != NULL)
		ev_timer_set(s->turns, 0);
}
