#include "proxy/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/upstream_int.h"

static void
roots_unref(struct roots *r)
{
	if (r == NULL || --r->refs > 0)
		return;
	tls_client_free(r->client);
	fd_close(&r->fd);
	buf_free(&r->pem);
	free(r);
}

struct tls_client *
roots_client(struct roots *r, struct error *err)
{
	if (r->client != NULL)
		return r->client;
	if (r->fd >= 0 &&
	    fd_pread_all(r->fd, &r->pem, UPSTREAM_ROOTS_MAX) < 0) {
		(void)error_set(err, errno, "certificate authorities");
		buf_free(&r->pem);
		return NULL;
	}
	fd_close(&r->fd);
	r->client = tls_client_new(buf_head(&r->pem), buf_len(&r->pem), err);
	return r->client;
}

struct upstream_pool *
upstream_pool_new(struct ev *ev)
{
	struct upstream_pool *p = xcalloc(1, sizeof(*p));

	p->ev = ev;
	p->dialer = dialer_new(ev);
	return p;
}

struct dialer *
upstream_pool_dialer(struct upstream_pool *p)
{
	return p->dialer;
}

void
upstream_pool_roots(struct upstream_pool *p, int fd)
{
	struct roots *r = xcalloc(1, sizeof(*r));

	dialer_roots(p->dialer, fcntl(fd, F_DUPFD_CLOEXEC, 3));
	r->refs = 1;
	r->fd = fd;
	buf_init(&r->pem, 0);
	roots_unref(p->roots);
	p->roots = r;
	upstream_pool_clear(p);
}

static void
on_freed(void *arg)
{
	free(arg);
}

static void
destroy(struct upstream *u)
{
	struct upstream_pool *p = u->pool;

	if (u->state == UP_DEAD)
		return;
	for (struct upstream **pp = &p->kept; *pp != NULL; pp = &(*pp)->next)
		if (*pp == u) {
			*pp = u->next;
			break;
		}
	u->state = UP_DEAD;
	u->ops = NULL;
	ev_io_free(u->io);
	ev_timer_free(u->timer);
	tls_free(u->tls);
	fd_close(&u->fd);
	roots_unref(u->roots);
	free(u->host);
	http_parser_free(&u->parser);
	upstream_wipe(&u->in);
	upstream_wipe(&u->out);
	/* The caller may be a handler of this very connection. */
	ev_defer(p->ev, on_freed, u);
}

void
upstream_pool_clear(struct upstream_pool *p)
{
	while (p->kept != NULL)
		destroy(p->kept);
}

void
upstream_pool_forget(struct upstream_pool *p, const char *host, uint16_t port)
{
	struct upstream *next;

	for (struct upstream *u = p->kept; u != NULL; u = next) {
		next = u->next;
		if (u->port == port && strcmp(u->host, host) == 0)
			destroy(u);
	}
}

void
upstream_pool_free(struct upstream_pool *p)
{
	if (p == NULL)
		return;
	upstream_pool_clear(p);
	dialer_free(p->dialer);
	roots_unref(p->roots);
	ev_defer(p->ev, on_freed, p);
}

void
upstream_fail(struct upstream *u, enum upstream_fail how, const char *why)
{
	const struct upstream_ops *ops = u->ops;
	void *arg = u->arg;
	char text[256];

	if (u->state == UP_DEAD)
		return;
	strlcpy(text, why, sizeof(text));
	destroy(u);
	if (ops != NULL)
		ops->failed(arg, how, text);
}

static void
on_timer(void *arg)
{
	struct upstream *u = arg;

	switch (u->state) {
	case UP_CONNECT:
		snprintf(u->why, sizeof(u->why), "no answer within %u s",
		    UPSTREAM_CONNECT_MS / 1000);
		u->at++;
		upstream_next_addr(u);
		return;
	case UP_HANDSHAKE:
		upstream_fail(
		    u, UPSTREAM_TIMEOUT, "TLS handshake took too long");
		return;
	case UP_READY:
		/* Waiting for the agent is not the origin's fault. */
		if (u->blocked) {
			ev_timer_set(u->timer, UPSTREAM_IDLE_MS);
			return;
		}
		upstream_fail(u, UPSTREAM_TIMEOUT,
		    "the server sent nothing for too long");
		return;
	case UP_KEPT:
		destroy(u);
		return;
	case UP_DEAD:
		return;
	}
}

static struct sockaddr *
make_sockaddr(const struct netaddr *a, uint16_t port,
    struct sockaddr_storage *ss, socklen_t *len)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (a->family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, a->addr, 4);
		*len = sizeof(*v4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, a->addr, 16);
		*len = sizeof(*v6);
	}
	return (struct sockaddr *)ss;
}

/* One attempt: 0 when it is under way. */
static int
connect_to(struct upstream *u, const struct netaddr *a)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1;
	struct sockaddr *sa = make_sockaddr(a, u->port, &ss, &len);

	ev_io_free(u->io);
	u->io = NULL;
	fd_close(&u->fd);
	u->fd = socket(
	    sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (u->fd < 0)
		return -1;
	/* Heads and small bodies go out at once; not vital if refused. */
	(void)setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(u->fd, sa, len) < 0 && errno != EINPROGRESS)
		return -1;
	u->io = ev_io_new(u->pool->ev, u->fd, EV_WRITE, upstream_on_io, u);
	ev_timer_set(u->timer, UPSTREAM_CONNECT_MS);
	return 0;
}

static void
on_no_addr(void *arg)
{
	struct upstream *u = arg;
	char why[400];

	if (u->state != UP_CONNECT)
		return;
	snprintf(why, sizeof(why), "cannot connect to %s port %u: %.200s",
	    u->host, u->port, u->why);
	upstream_fail(u, UPSTREAM_UNREACHABLE, why);
}

void
upstream_next_addr(struct upstream *u)
{
	for (; u->at < u->naddrs; u->at++) {
		if (connect_to(u, &u->addrs[u->at]) == 0)
			return;
		strlcpy(u->why, strerror(errno), sizeof(u->why));
	}
	/* Never from inside upstream_dial(): its caller has no pointer yet. */
	ev_timer_clear(u->timer);
	ev_defer(u->pool->ev, on_no_addr, u);
}

static void
call_ready(void *arg)
{
	struct upstream *u = arg;

	if (u->state == UP_READY && u->ops != NULL)
		upstream_is_ready(u);
}

void
upstream_is_ready(struct upstream *u)
{
	u->state = UP_READY;
	ev_timer_set(u->timer, UPSTREAM_IDLE_MS);
	/* Else an event tells. */
	u->readable = u->tls != NULL && tls_pending(u->tls);
	/* What it writes goes out below. */
	u->in_pump = true;
	u->ops->ready(u->arg);
	u->in_pump = false;
	if (u->state == UP_READY)
		upstream_pump(u);
}

struct upstream *
upstream_dial(struct upstream_pool *p, bool tls, const char *host,
    uint16_t port, const struct netaddr *addrs, size_t n,
    const struct upstream_ops *ops, void *arg)
{
	struct upstream *u = xcalloc(1, sizeof(*u));

	u->pool = p;
	u->fd = -1;
	u->is_tls = tls;
	u->host = xstrdup(host);
	u->port = port;
	u->naddrs = n < UPSTREAM_ADDRS_MAX ? n : UPSTREAM_ADDRS_MAX;
	memcpy(u->addrs, addrs, u->naddrs * sizeof(*addrs));
	strlcpy(u->why, "no address", sizeof(u->why));
	u->ops = ops;
	u->arg = arg;
	u->timer = ev_timer_new(p->ev, on_timer, u);
	http_parser_init(&u->parser, true);
	buf_init(&u->in, 0);
	buf_init(&u->out, 0);
	if (tls && p->roots != NULL) {
		u->roots = p->roots;
		u->roots->refs++;
	}
	upstream_next_addr(u);
	return u;
}

struct upstream *
upstream_reuse(struct upstream_pool *p, bool tls, const char *host,
    uint16_t port, const struct upstream_ops *ops, void *arg)
{
	struct upstream **pp, *u;

	for (pp = &p->kept; (u = *pp) != NULL; pp = &u->next)
		if (u->is_tls == tls && u->port == port &&
		    strcmp(u->host, host) == 0)
			break;
	if (u == NULL)
		return NULL;
	*pp = u->next;
	u->next = NULL;
	u->state = UP_READY;
	u->reused = true;
	u->got_bytes = u->complete = u->blocked = false;
	u->interim = 0;
	u->ops = ops;
	u->arg = arg;
	ev_timer_set(u->timer, UPSTREAM_IDLE_MS);
	ev_defer(p->ev, call_ready, u);
	return u;
}

bool
upstream_is_reused(const struct upstream *u)
{
	return u->reused && !u->got_bytes;
}

size_t
upstream_queued(const struct upstream *u)
{
	return buf_len(&u->out);
}

static void
trim_pool(struct upstream_pool *p)
{
	size_t n = 0;
	struct upstream *next;

	for (struct upstream *u = p->kept; u != NULL; u = next) {
		next = u->next;
		if (++n > UPSTREAM_KEEP_MAX)
			destroy(u);
	}
}

void
upstream_release(struct upstream *u, bool keep)
{
	if (u == NULL || u->state == UP_DEAD)
		return;
	ev_undefer(u->pool->ev, call_ready, u);
	ev_undefer(u->pool->ev, on_no_addr, u);
	u->ops = NULL;
	/* Bytes nobody asked for, or roots that changed: not to be trusted. */
	if (!keep || u->state != UP_READY || !u->complete ||
	    !u->parser.keep_alive || buf_len(&u->in) > 0 ||
	    buf_len(&u->out) > 0 || (u->tls != NULL && tls_pending(u->tls)) ||
	    (u->is_tls && u->roots != u->pool->roots)) {
		if (u->tls != NULL && u->state == UP_READY)
			tls_close(u->tls);
		destroy(u);
		return;
	}
	http_parser_reset(&u->parser);
	upstream_wipe(&u->in);
	upstream_wipe(&u->out);
	u->state = UP_KEPT;
	u->next = u->pool->kept;
	u->pool->kept = u;
	ev_io_set(u->io, EV_READ);
	ev_timer_set(u->timer, UPSTREAM_KEEP_MS);
	trim_pool(u->pool);
}
