#include "proxy/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/dial_int.h"

static void
attempt_end(struct attempt *a)
{
	ev_io_free(a->io);
	a->io = NULL;
	fd_close(&a->fd);
}

static void
on_freed(void *arg)
{
	free(arg);
}

static void on_no_addr(void *arg);

/* Everything but the memory, which a handler up the stack may look at. */
static void
destroy(struct dial *dl)
{
	dl->state = DIAL_OVER;
	for (size_t i = 0; i < nitems(dl->race); i++)
		attempt_end(&dl->race[i]);
	ev_io_free(dl->io);
	ev_timer_free(dl->timer);
	tls_free(dl->t);
	fd_close(&dl->fd);
	free(dl->host);
	free(dl->proxy_host);
	secret_free(dl->identity);
	secret_free(dl->proxy_auth);
	http_parser_free(&dl->parser);
	buf_free(&dl->in);
	if (dl->out.data != NULL)
		explicit_bzero(dl->out.data, dl->out.cap);
	buf_free(&dl->out);
	ev_undefer(dl->dr->ev, on_no_addr, dl);
	ev_defer(dl->dr->ev, on_freed, dl);
}

void
dial_cancel(struct dial *dl)
{
	if (dl != NULL && dl->state != DIAL_OVER)
		destroy(dl);
}

void
dial_fail(struct dial *dl, enum upstream_fail how, const char *why)
{
	const struct dial_ops *ops = dl->ops;
	void *arg = dl->arg;
	char text[512];

	strlcpy(text, why, sizeof(text));
	destroy(dl);
	ops->failed(arg, how, text);
}

static void
done(struct dial *dl)
{
	const struct dial_ops *ops = dl->ops;
	void *arg = dl->arg;
	int fd = steal_fd(&dl->fd);
	struct tls *t = steal_ptr(&dl->t);

	destroy(dl);
	ops->done(arg, fd, t, t != NULL && tls_is_h2(t));
}

/* ---- time -------------------------------------------------------------- */

/* Wake up for whatever comes first. */
static void
set_timer(struct dial *dl)
{
	uint64_t now = ev_now_ms(), at = dl->end;

	if (dl->state == DIAL_RACE) {
		if (dl->next_try != 0 && dl->next_try < at)
			at = dl->next_try;
		for (size_t i = 0; i < nitems(dl->race); i++)
			if (dl->race[i].fd >= 0 && dl->race[i].until < at)
				at = dl->race[i].until;
	} else if (dl->until < at) {
		at = dl->until;
	}
	ev_timer_set(dl->timer, at > now ? at - now : 0);
}

void
dial_step(struct dial *dl, enum dial_state state, uint64_t ms)
{
	dl->state = state;
	dl->until = ev_now_ms() + ms;
	set_timer(dl);
}

/* ---- the race of the addresses (RFC 8305 section 5) -------------------- */

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

static struct attempt *
spare(struct dial *dl)
{
	for (size_t i = 0; i < nitems(dl->race); i++)
		if (dl->race[i].fd < 0)
			return &dl->race[i];
	return NULL;
}

static bool
is_racing(const struct dial *dl)
{
	for (size_t i = 0; i < nitems(dl->race); i++)
		if (dl->race[i].fd >= 0)
			return true;
	return false;
}

static void
on_no_addr(void *arg)
{
	struct dial *dl = arg;
	char why[512];

	if (dl->proxy_host != NULL)
		snprintf(why, sizeof(why),
		    "cannot connect to the upstream proxy %s port %u: %s",
		    dl->proxy_host, dl->proxy_port, dl->why);
	else
		snprintf(why, sizeof(why), "cannot connect to %s port %u: %s",
		    dl->host, dl->port, dl->why);
	dial_fail(dl,
	    dl->proxy_host != NULL ? UPSTREAM_PROXY : UPSTREAM_UNREACHABLE,
	    why);
}

static void on_attempt(int fd, unsigned int events, void *arg);

/* 0 when it is under way. */
static int
try_addr(struct dial *dl, struct attempt *a, const struct netaddr *na)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int one = 1;
	struct sockaddr *sa = make_sockaddr(
	    na, dl->proxy_host != NULL ? dl->proxy_port : dl->port, &ss, &len);

	a->fd = socket(
	    sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return -1;
	/* Heads and small bodies go out at once; not vital if refused. */
	(void)setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(a->fd, sa, len) < 0 && errno != EINPROGRESS) {
		fd_close(&a->fd);
		return -1;
	}
	a->io = ev_io_new(dl->dr->ev, a->fd, EV_WRITE, on_attempt, a);
	a->until = ev_now_ms() + DIAL_CONNECT_MS;
	return 0;
}

/* Start with the next address, if there is one and room for it. */
static void
try_next(struct dial *dl)
{
	struct attempt *a = spare(dl);

	while (a != NULL && dl->at < dl->naddrs) {
		if (try_addr(dl, a, &dl->addrs[dl->at++]) == 0)
			break;
		strlcpy(dl->why, strerror(errno), sizeof(dl->why));
	}
	dl->next_try = dl->at < dl->naddrs && spare(dl) != NULL
			   ? ev_now_ms() + DIAL_DELAY_MS
			   : 0;
	if (is_racing(dl)) {
		set_timer(dl);
		return;
	}
	/* Never from inside dial_start(): its caller has no pointer yet. */
	ev_timer_clear(dl->timer);
	ev_defer(dl->dr->ev, on_no_addr, dl);
}

static void
won(struct dial *dl, struct attempt *a)
{
	dl->fd = steal_fd(&a->fd);
	for (size_t i = 0; i < nitems(dl->race); i++)
		attempt_end(&dl->race[i]);
	/* Plain HTTP speaks to the proxy itself. */
	if (dl->proxy_host != NULL && (dl->tls || dl->raw))
		dial_connect_start(dl);
	else
		dial_through(dl);
}

static void
on_attempt(int fd, unsigned int events, void *arg)
{
	struct attempt *a = arg;
	struct dial *dl = a->dl;
	socklen_t len = sizeof(int);
	int e = 0;

	(void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) < 0)
		e = errno;
	if (e == 0) {
		won(dl, a);
		return;
	}
	strlcpy(dl->why, strerror(e), sizeof(dl->why));
	attempt_end(a);
	try_next(dl);
}

static void
on_timer(void *arg)
{
	struct dial *dl = arg;
	uint64_t now = ev_now_ms();
	bool freed = false;

	if (dl->state != DIAL_RACE) {
		dial_fail(dl, UPSTREAM_TIMEOUT,
		    dl->state == DIAL_TLS
			? "the TLS handshake took too long"
			: "the upstream proxy did not answer in time");
		return;
	}
	for (size_t i = 0; i < nitems(dl->race); i++) {
		struct attempt *a = &dl->race[i];

		if (a->fd < 0 || (now < a->until && now < dl->end))
			continue;
		snprintf(dl->why, sizeof(dl->why), "no answer within %u s",
		    DIAL_CONNECT_MS / 1000);
		attempt_end(a);
		freed = true;
	}
	if (now >= dl->end)
		dl->at = dl->naddrs;
	if (freed || (dl->next_try != 0 && now >= dl->next_try))
		try_next(dl);
	else
		set_timer(dl);
}

/* First come first, but the families in turn (RFC 8305 section 4). */
static void
order_addrs(struct dial *dl, const struct netaddr *addrs, size_t n)
{
	bool taken[DIAL_ADDRS_MAX] = { false };
	bool is_v4;

	if (n > DIAL_ADDRS_MAX)
		n = DIAL_ADDRS_MAX;
	is_v4 = n > 0 && addrs[0].family == 4;
	while (dl->naddrs < n) {
		size_t i = 0;

		while (i < n && (taken[i] || (addrs[i].family == 4) != is_v4))
			i++;
		is_v4 = !is_v4;
		if (i == n)
			continue;
		taken[i] = true;
		dl->addrs[dl->naddrs++] = addrs[i];
	}
}

/* False when there is no locked memory for a copy. */
static bool
copy_secret(struct secret **to, const struct secret *from)
{
	if (from != NULL)
		*to = secret_new(secret_bytes(from), secret_len(from));
	return (*to != NULL) == (from != NULL);
}

struct dial *
dial_start(struct dialer *d, const struct dial_opts *o,
    const struct dial_ops *ops, void *arg)
{
	struct dial *dl = xcalloc(1, sizeof(*dl));
	const struct dial_proxy *p = o->proxy;

	dl->dr = d;
	dl->ops = ops;
	dl->arg = arg;
	dl->tls = o->tls;
	dl->offer_h2 = o->offer_h2;
	dl->raw = o->raw;
	dl->host = xstrdup(o->host);
	dl->port = o->port;
	dl->fd = -1;
	for (size_t i = 0; i < nitems(dl->race); i++)
		dl->race[i] = (struct attempt){ .dl = dl, .fd = -1 };
	if (p != NULL) {
		dl->proxy_host = xstrdup(p->host);
		dl->proxy_port = p->port;
		order_addrs(dl, p->addrs, p->naddrs);
	} else {
		order_addrs(dl, o->addrs, o->naddrs);
	}
	strlcpy(dl->why, "no address", sizeof(dl->why));
	if (!copy_secret(&dl->identity, o->identity) ||
	    !copy_secret(&dl->proxy_auth, p == NULL ? NULL : p->auth)) {
		strlcpy(dl->why, "no locked memory is left for a credential",
		    sizeof(dl->why));
		dl->naddrs = 0;
	}
	buf_init(&dl->out, 0);
	buf_init(&dl->in, 0);
	http_parser_init(&dl->parser, true);
	dl->timer = ev_timer_new(d->ev, on_timer, dl);
	dl->end = ev_now_ms() + DIAL_TOTAL_MS;
	try_next(dl);
	return dl;
}

/* ---- TLS --------------------------------------------------------------- */

static void
handshake(struct dial *dl)
{
	char why[512];

	switch (tls_handshake(dl->t)) {
	case TLS_OK:
		done(dl);
		return;
	case TLS_WANT_READ:
		ev_io_set(dl->io, EV_READ);
		return;
	case TLS_WANT_WRITE:
		ev_io_set(dl->io, EV_WRITE);
		return;
	case TLS_ERROR:
	case TLS_WANT_LEAF:
	case TLS_EOF:
		strlcpy(why, tls_why(dl->t), sizeof(why));
		dial_fail(dl, UPSTREAM_TLS, why);
		return;
	}
}

static void
on_io(int fd, unsigned int events, void *arg)
{
	struct dial *dl = arg;

	(void)fd;
	(void)events;
	if (dl->state == DIAL_CONNECT)
		dial_connect_io(dl);
	else if (dl->state == DIAL_TLS)
		handshake(dl);
}

void
dial_watch(struct dial *dl, unsigned int events)
{
	if (dl->io == NULL)
		dl->io = ev_io_new(dl->dr->ev, dl->fd, events, on_io, dl);
	else
		ev_io_set(dl->io, events);
}

void
dial_through(struct dial *dl)
{
	const struct dial_opts o = { .tls = true,
		.host = dl->host,
		.port = dl->port,
		.offer_h2 = dl->offer_h2,
		.raw = dl->raw,
		.identity = dl->identity };
	struct error err = { 0 };

	if (!dl->tls) {
		done(dl);
		return;
	}
	dl->t = dialer_tls(dl->dr, &o, dl->fd, &err);
	if (dl->t == NULL) {
		dial_fail(dl, UPSTREAM_TLS, err.msg);
		return;
	}
	dial_step(dl, DIAL_TLS, DIAL_TLS_MS);
	dial_watch(dl, EV_WRITE);
	handshake(dl);
}
