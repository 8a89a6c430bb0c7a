#include "inferd/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "inferd/request.h"
#include "inferd/server_int.h"
#include "inferd/sockets.h"

#define ACCEPTS_AT_ONCE 32
#define PAUSE_MS 200u /* until another try, when descriptors have run out */
#define TCP_NAME "tcp"
#define WARN_MS 60000u

struct listener {
	struct server *s;
	int fd;
	bool tcp;
	struct ev_io *io;
	struct listener *next;
};

/* ---- connections -------------------------------------------------------- */

/* Not more often than once in a while: they may be many. */
static void
warn_of_many(struct server *s)
{
	const uint64_t now = ev_now_ms();

	if (s->warned_ms != 0 && now - s->warned_ms < WARN_MS)
		return;
	s->warned_ms = now;
	log_warnx("an agent is refused: there are too many whose use of a "
		  "budget is known; a restart forgets it, --agent-window "
		  "after a while");
}

/* It is nobody's any more. */
static void
leave(struct caller *k)
{
	if (k->client == NULL)
		return;
	k->client->conns--;
	k->agent->held--;
	k->client = NULL;
	k->agent = NULL;
}

static int
become(struct caller *k, const char *name)
{
	struct agents *all = k->s->o.agents;
	struct agent *a;
	struct client *c;

	/* The one table says what a name is; who is in it costs nobody his
	 * place. */
	a = agents_find(all, name);
	if (a == NULL) {
		agents_make_room(all, ev_now_ms());
		a = agents_find(all, name);
	}
	if (a == NULL) {
		if (agents_get(all, AGENTS_MAX - 1) != NULL)
			warn_of_many(k->s);
		return -1;
	}
	c = metrics_client(&k->s->metrics, name);
	if (c == NULL)
		return -1;
	leave(k);
	k->client = c;
	k->agent = a;
	c->conns++;
	a->held++;
	return 0;
}

static int
on_name(struct conn *conn, const char *name, void *arg)
{
	struct caller *k = arg;

	k->overseer = false;
	k->named = true;
	if (become(k, name) < 0)
		return -1;
	if (!share_named(k))
		conn_close(conn);
	return 0;
}

static unsigned
on_head(struct conn *conn, const struct conn_request *r, const char **why,
    void *arg)
{
	(void)conn;
	return route_check(arg, r, why);
}

static bool
on_room(struct conn *conn, size_t n, void *arg)
{
	struct caller *k = arg;

	(void)conn;
	if (!server_hold(k->s, k->client, n))
		return false;
	k->held += n;
	return true;
}

static void
on_request(struct conn *conn, const struct conn_request *r, void *arg)
{
	struct caller *k = arg;

	if (!turn_now(k, r)) {
		conn_later(conn);
		return;
	}
	route(k, r);
	/* What the request itself keeps, it has counted. */
	server_let_go(k->s, k->client, k->held);
	k->held = 0;
}

static void
on_error(struct conn *conn, const struct conn_request *r, unsigned status,
    const char *why, struct buf *out, void *arg)
{
	(void)conn;
	(void)arg;
	route_error(r, status, why, out);
}

static void
on_closed(struct conn *conn, void *arg)
{
	struct caller *k = arg;
	struct server *s = k->s;

	(void)conn;
	if (k->request != NULL)
		request_leave(k->request);
	server_let_go(s, k->client, k->held);
	k->held = 0;
	leave(k);
	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		s->callers = k->next;
	if (k->next != NULL)
		k->next->prev = k->prev;
	s->ncallers--;
	s->nover -= k->over;
	/* It may be its own request that has closed it. */
	ev_defer(s->ev, free, k);
}

static const struct conn_ops ops = {
	.name = on_name,
	.head = on_head,
	.room = on_room,
	.request = on_request,
	.error = on_error,
	.closed = on_closed,
};

/* Who the kernel says it is; overseers are root and who runs this. */
static int
identify(struct caller *k, int fd, bool *may_name)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	char name[AGENT_NAME_MAX + 1];

	*may_name = false;
	if (k->tcp)
		return become(k, TCP_NAME);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0 ||
	    n != sizeof(cred))
		return -1;
	*may_name = cred.uid == 0 ||
		    (k->s->o.has_supervisor && cred.uid == k->s->o.supervisor);
	k->overseer = *may_name || cred.uid == geteuid();
	snprintf(name, sizeof(name), "uid:%" PRIu32, (uint32_t)cred.uid);
	return become(k, name);
}

/* Takes fd. */
static void
greet(struct server *s, int fd, bool tcp)
{
	struct caller *k = xcalloc(1, sizeof(*k));
	bool may_name;

	k->s = s;
	k->tcp = tcp;
	if (identify(k, fd, &may_name) < 0 || !share_let_in(k, may_name)) {
		leave(k);
		free(k);
		close(fd);
		return;
	}
	k->conn = conn_new(s->ev, fd, may_name, API_BODY_MAX, &ops, k);
	k->next = s->callers;
	if (k->next != NULL)
		k->next->prev = k;
	s->callers = k;
	s->ncallers++;
}

/* ---- listeners ---------------------------------------------------------- */

static void
listen_all(struct server *s, unsigned int events)
{
	for (struct listener *l = s->listeners; l != NULL; l = l->next)
		ev_io_set(l->io, events);
}

static void
on_pause_over(void *arg)
{
	struct server *s = arg;

	if (!s->stopping)
		listen_all(s, EV_READ);
}

static void
on_listener(int fd, unsigned int events, void *arg)
{
	struct listener *l = arg;
	struct server *s = l->s;

	(void)events;
	for (int i = 0; i < ACCEPTS_AT_ONCE; i++) {
		int conn =
		    accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (conn >= 0) {
			greet(s, conn, l->tcp);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM) {
			log_warn("accept");
			listen_all(s, 0);
			ev_timer_set(s->pause, PAUSE_MS);
		}
		/* Who gave up before is none of our troubles. */
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

void
server_listen(struct server *s, int fd)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	l->s = s;
	l->fd = fd;
	l->tcp = sockets_is_tcp(fd);
	l->io = ev_io_new(s->ev, fd, EV_READ, on_listener, l);
	l->next = s->listeners;
	s->listeners = l;
}

/* ---- life --------------------------------------------------------------- */

struct server *
server_new(struct ev *ev, const struct server_opts *o)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->ev = ev;
	s->o = *o;
	s->started = (int64_t)time(NULL);
	s->pause = ev_timer_new(ev, on_pause_over, s);
	s->turns = ev_timer_new(ev, turn_next, s);
	return s;
}

void
server_stop(struct server *s)
{
	struct caller *k, *next;

	s->stopping = true;
	ev_timer_clear(s->pause);
	ev_timer_clear(s->turns);
	while (s->listeners != NULL) {
		struct listener *l = s->listeners;

		s->listeners = l->next;
		ev_io_free(l->io);
		close(l->fd);
		free(l);
	}
	request_cancel_all(s);
	for (k = s->callers; k != NULL; k = next) {
		next = k->next;
		if (k->waits)
			conn_close(k->conn);
		else
			conn_finish(k->conn);
	}
}

bool
server_idle(const struct server *s)
{
	return s->callers == NULL && s->requests == NULL;
}

void
server_close(struct server *s)
{
	server_stop(s);
	while (s->callers != NULL)
		conn_close(s->callers->conn);
}

void
server_free(struct server *s)
{
	if (s == NULL)
		return;
	metrics_free(&s->metrics);
	ev_timer_free(s->pause);
	ev_timer_free(s->turns);
	free(s);
}
