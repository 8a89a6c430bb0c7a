#include "proxy/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/upstream_int.h"

static void
on_freed(void *arg)
{
	free(arg);
}

static void
detach(struct upstream *u)
{
	struct upstream_conn *c = u->conn;

	if (c == NULL)
		return;
	for (struct upstream **up = &c->users; *up != NULL; up = &(*up)->next)
		if (*up == u) {
			*up = u->next;
			c->nusers--;
			break;
		}
	u->conn = NULL;
	u->next = NULL;
}

static void call_ready(void *arg);
static void on_fail_later(void *arg);

static void
destroy(struct upstream *u)
{
	if (u->state == UP_DEAD)
		return;
	if (u->conn != NULL && u->conn->h2 != NULL)
		uc2_release(u);
	detach(u);
	u->state = UP_DEAD;
	u->ops = NULL;
	ev_undefer(u->pool->ev, call_ready, u);
	ev_undefer(u->pool->ev, on_fail_later, u);
	ev_timer_free(u->timer);
	up_wipe(&u->out);
	up_wipe(&u->rx);
	fields_free(&u->fields);
	fields_free(&u->trailers);
	ev_defer(u->pool->ev, on_freed, u);
}

void
up_fail(struct upstream *u, enum upstream_fail how, const char *why)
{
	const struct upstream_ops *ops = u->ops;
	void *arg = u->arg;
	char text[512];

	if (u->state == UP_DEAD)
		return;
	strlcpy(text, why, sizeof(text));
	destroy(u);
	if (ops != NULL)
		ops->failed(arg, how, text);
}

static void
on_fail_later(void *arg)
{
	struct upstream *u = arg;

	up_fail(u, UPSTREAM_BROKEN, u->why);
}

void
up_fail_later(struct upstream *u, const char *why)
{
	strlcpy(u->why, why, sizeof(u->why));
	ev_defer(u->pool->ev, on_fail_later, u);
}

void
uc_fail(struct upstream_conn *c, enum upstream_fail how, const char *why)
{
	char text[512];

	if (c->state == UC_DEAD)
		return;
	strlcpy(text, why, sizeof(text));
	/* As that a client certificate is wanted, which TLS 1.3 says late. */
	if (c->tls != NULL && tls_why(c->tls)[0] != '\0')
		snprintf(text, sizeof(text), "%s: %s", why, tls_why(c->tls));
	c->draining = true;
	while (c->users != NULL) {
		struct upstream *u = c->users;

		/* What came whole is delivered yet. */
		if (u->complete && c->h2 != NULL) {
			u->stream = 0;
			detach(u);
		} else {
			up_fail(u, how, text);
		}
	}
	uc_destroy(c);
}

void
up_alive(struct upstream *u)
{
	ev_timer_set(
	    u->timer, u->raw ? UPSTREAM_RAW_IDLE_MS : UPSTREAM_IDLE_MS);
}

static void
on_idle(void *arg)
{
	struct upstream *u = arg;
	struct upstream_conn *c = u->conn;
	bool total = ev_now_ms() - u->begun >= UPSTREAM_TOTAL_MS;

	/* Waiting for the agent is not the origin's fault. */
	if (!total && (u->blocked || u->state != UP_OPEN)) {
		up_alive(u);
		return;
	}
	up_fail(u, UPSTREAM_TIMEOUT,
	    total ? "the exchange took too long"
		  : "the server sent nothing for too long");
	if (c == NULL || c->state != UC_OPEN)
		return;
	/* One of HTTP/1.1 cannot go on. */
	if (c->h2 == NULL || c->users == NULL)
		uc_destroy(c);
	else
		uc_pump_soon(c);
}

static struct upstream *
attach(struct upstream_conn *c, const struct upstream_want *w,
    const struct upstream_ops *ops, void *arg)
{
	struct upstream *u = xcalloc(1, sizeof(*u)), **up;

	u->pool = c->pool;
	u->conn = c;
	u->ops = ops;
	u->arg = arg;
	u->proxy = w->proxy;
	u->begun = ev_now_ms();
	buf_init(&u->out, 0);
	buf_init(&u->rx, 0);
	u->timer = ev_timer_new(c->pool->ev, on_idle, u);
	for (up = &c->users; *up != NULL; up = &(*up)->next)
		continue;
	*up = u;
	c->nusers++;
	return u;
}

static void
make_ready(struct upstream *u)
{
	struct upstream_conn *c = u->conn;

	u->state = UP_OPEN;
	up_alive(u);
	/* What it writes goes out in one go. */
	u->ops->ready(u->arg);
	if (c->state == UC_OPEN)
		uc_pump_soon(c);
}

static void
call_ready(void *arg)
{
	struct upstream *u = arg;

	if (u->state == UP_WAIT && u->conn != NULL)
		make_ready(u);
}

struct upstream *
upstream_reuse(struct upstream_pool *p, const struct upstream_want *w,
    const struct upstream_ops *ops, void *arg)
{
	struct upstream_conn *idle = NULL, *coming = NULL, *c;
	struct upstream *u;

	for (c = p->conns; c != NULL; c = c->next) {
		if (!uc_fits(c, w))
			continue;
		if (c->state == UC_DIAL) {
			if (coming == NULL && !c->h1_only &&
			    c->nusers < UPSTREAM_STREAMS_MAX)
				coming = c;
		} else if (c->state == UC_OPEN && c->h2 != NULL) {
			if (!w->h1_only && uc2_has_room(c))
				break;
		} else if (uc_is_idle(c) && idle == NULL) {
			idle = c;
		}
	}
	if (c == NULL)
		c = idle;
	if (c == NULL) {
		/* It may turn out to carry many. */
		if (coming == NULL || w->h1_only || !w->tls ||
		    is_noted(&p->h1, w->host, w->port))
			return NULL;
		return attach(coming, w, ops, arg);
	}
	if (uc_is_idle(c))
		ev_timer_clear(c->timer);
	u = attach(c, w, ops, arg);
	u->reused = true;
	ev_defer(p->ev, call_ready, u);
	return u;
}

static void
on_dialled(void *arg, int fd, struct tls *t, bool h2)
{
	struct upstream_conn *c = arg;

	c->dial = NULL;
	c->fd = fd;
	c->tls = t;
	c->state = UC_OPEN;
	/* Else an event tells. */
	c->readable = t != NULL && tls_pending(t);
	c->in_pump = true;
	if (h2) {
		uc2_open(c);
	} else {
		if (!c->h1_only && c->is_tls)
			note_origin(&c->pool->h1, c->host, c->port);
		while (c->users != NULL && c->users->next != NULL) {
			struct upstream *u = c->users->next;
			const struct upstream_ops *ops = u->ops;
			void *uarg = u->arg;

			destroy(u);
			ops->again(uarg);
		}
	}
	for (struct upstream *u = c->users, *next; u != NULL; u = next) {
		next = u->next;
		if (u->state == UP_WAIT)
			make_ready(u);
	}
	c->in_pump = false;
	uc_pump(c);
}

static void
on_dial_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct upstream_conn *c = arg;

	c->dial = NULL;
	uc_fail(c, how, why);
}

static const struct dial_ops dial_ops = { on_dialled, on_dial_failed };

struct upstream *
upstream_dial(struct upstream_pool *p, const struct upstream_want *w,
    const struct netaddr *addrs, size_t n, const struct upstream_ops *ops,
    void *arg)
{
	struct upstream_conn *c = uc_new(p, w);
	struct dial_opts o = { .tls = w->tls,
		.host = w->host,
		.port = w->port,
		.addrs = addrs,
		.naddrs = n,
		.offer_h2 = !c->h1_only,
		.raw = c->tunnel && !w->tls,
		.identity = w->identity,
		.proxy = w->proxy };

	c->dial = dial_start(p->dialer, &o, &dial_ops, c);
	return attach(c, w, ops, arg);
}

struct upstream *
upstream_adopt(struct upstream_pool *p, const struct upstream_want *w, int fd,
    const struct upstream_ops *ops, void *arg)
{
	struct upstream_conn *c = uc_new(p, w);
	struct upstream *u = attach(c, w, ops, arg);

	c->fd = fd;
	c->state = UC_OPEN;
	ev_defer(p->ev, call_ready, u);
	return u;
}

bool
upstream_is_stale(const struct upstream *u)
{
	return u->reused && !u->got_bytes;
}

bool
upstream_is_refused(const struct upstream *u)
{
	return u->refused;
}

/* ---- what the user says ------------------------------------------------ */

void
upstream_head(
    struct upstream *u, const struct req_head *h, const char *hostport)
{
	if (u->state != UP_OPEN || u->conn == NULL)
		return;
	u->kind = h->kind;
	if (u->conn->h2 != NULL)
		uc2_head(u, h, hostport);
	else
		uc1_head(u, h, hostport);
}

void
upstream_body(struct upstream *u, const void *p, size_t n)
{
	if (u->state != UP_OPEN || u->conn == NULL || u->ended || n == 0)
		return;
	if (u->conn->h2 != NULL)
		uc2_body(u, p, n);
	else
		uc1_body(u, p, n);
	if (upstream_queued(u) >= UPSTREAM_OUT_HIGH)
		u->was_high = true;
}

void
upstream_end(struct upstream *u, const struct fields *trailers)
{
	if (u->state != UP_OPEN || u->conn == NULL || u->ended)
		return;
	u->ended = true;
	if (u->conn->h2 != NULL)
		uc2_end(u, trailers);
	else
		uc1_end(u, trailers);
}

size_t
upstream_queued(const struct upstream *u)
{
	if (u->conn == NULL)
		return 0;
	return u->conn->h2 != NULL ? buf_len(&u->out) : buf_len(&u->conn->out);
}

void
upstream_resume(struct upstream *u)
{
	if (u->state != UP_OPEN || !u->blocked)
		return;
	u->blocked = false;
	if (u->conn != NULL && u->conn->h2 == NULL)
		uc_pump(u->conn);
	else
		uc2_resume(u);
}

void
up_done(struct upstream *u, struct fields *trailers)
{
	/* What they belong to may go with the release. */
	struct fields t = *trailers;

	memset(trailers, 0, sizeof(*trailers));
	u->complete = u->told = true;
	fields_strip_hop(&t);
	u->ops->done(u->arg, &t);
	fields_free(&t);
	/* The user always releases; if not, nothing more is to be had. */
	if (u->state == UP_OPEN && !u->raw)
		upstream_release(u, false);
}

bool
up_interim(struct upstream *u)
{
	if (++u->interim <= UPSTREAM_INTERIM_MAX)
		return true;
	strlcpy(u->why, "too many interim responses", sizeof(u->why));
	return false;
}

/* May an HTTP/1.1 connection serve another exchange? */
static bool
is_clean(const struct upstream_conn *c, const struct upstream *u)
{
	/* Bytes nobody asked for: not to be trusted. */
	return c->state == UC_OPEN && u->complete && !u->raw && !u->upgrade &&
	       !c->draining && c->parser.keep_alive && buf_len(&c->in) == 0 &&
	       buf_len(&c->out) == 0 &&
	       (c->tls == NULL || !tls_pending(c->tls)) &&
	       c->generation == dialer_generation(c->pool->dialer);
}

static void
release_h1(struct upstream_conn *c, struct upstream *u, bool keep_it)
{
	bool clean = keep_it && is_clean(c, u);
	bool linger = u->raw && u->ended && buf_len(&c->out) > 0;

	destroy(u);
	if (c->state == UC_DEAD)
		return;
	if (clean) {
		http_parser_reset(&c->parser);
		if (c->bulk && c->tls != NULL)
			tls_bulk(c->tls, false);
		c->bulk = false;
		up_wipe(&c->in);
		up_wipe(&c->out);
		uc_watch(c, EV_READ);
		uc_keep(c);
		return;
	}
	c->draining = true;
	if (linger && c->state == UC_OPEN) {
		c->state = UC_LINGER;
		ev_timer_set(c->timer, UPSTREAM_LINGER_MS);
		uc_pump_soon(c);
		return;
	}
	if (c->tls != NULL && c->state == UC_OPEN)
		tls_close(c->tls);
	uc_destroy(c);
}

void
upstream_release(struct upstream *u, bool keep_it)
{
	struct upstream_conn *c;

	if (u == NULL || u->state == UP_DEAD)
		return;
	c = u->conn;
	if (c == NULL) {
		destroy(u);
		return;
	}
	if (c->state == UC_DIAL) {
		destroy(u);
		if (c->users == NULL)
			uc_destroy(c);
		return;
	}
	if (c->h2 == NULL) {
		release_h1(c, u, keep_it);
		return;
	}
	destroy(u);
	if (c->state == UC_OPEN)
		uc_pump_soon(c);
	if (c->state != UC_OPEN || c->users != NULL)
		return;
	if (c->draining)
		ev_timer_set(c->timer, UPSTREAM_LINGER_MS);
	else
		uc_keep(c);
}
