#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/upstream_int.h"

static void
on_freed(void *arg)
{
	free(arg);
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
	dialer_roots(p->dialer, fd);
	upstream_pool_clear(p);
}

bool
is_noted(const struct origin_notes *o, const char *host, uint16_t port)
{
	cleanup_free char *name = xasprintf("%s %u", host, port);

	for (size_t i = 0; i < nitems(o->name); i++)
		if (o->name[i] != NULL && strcmp(o->name[i], name) == 0)
			return true;
	return false;
}

void
note_origin(struct origin_notes *o, const char *host, uint16_t port)
{
	char **slot = &o->name[o->next % nitems(o->name)];

	if (is_noted(o, host, port))
		return;
	o->next++;
	free(*slot);
	*slot = xasprintf("%s %u", host, port);
}

/* ---- connections ------------------------------------------------------- */

void
uc_destroy(struct upstream_conn *c)
{
	struct upstream_pool *p = c->pool;

	if (c->state == UC_DEAD)
		return;
	for (struct upstream_conn **cp = &p->conns; *cp != NULL;
	     cp = &(*cp)->next)
		if (*cp == c) {
			*cp = c->next;
			break;
		}
	c->state = UC_DEAD;
	dial_cancel(c->dial);
	c->dial = NULL;
	ev_undefer(p->ev, uc_pump_later, c);
	ev_io_free(c->io);
	c->io = NULL;
	ev_timer_free(c->timer);
	tls_free(c->tls);
	fd_close(&c->fd);
	free(c->host);
	http_parser_free(&c->parser);
	up_wipe(&c->in);
	up_wipe(&c->out);
	/* The caller may be a handler of this very connection. */
	if (c->h2 != NULL)
		uc2_free(c);
	else
		ev_defer(p->ev, on_freed, c);
}

bool
uc_is_idle(const struct upstream_conn *c)
{
	return c->state == UC_OPEN && c->users == NULL;
}

/* Close one that nobody uses: HTTP/2 has a word for it. */
static void
part(struct upstream_conn *c)
{
	c->draining = true;
	if (c->h2 == NULL || !uc2_goodbye(c)) {
		uc_destroy(c);
		return;
	}
	c->state = UC_LINGER;
	ev_timer_set(c->timer, UPSTREAM_LINGER_MS);
	uc_pump_soon(c);
}

static void
on_conn_timer(void *arg)
{
	struct upstream_conn *c = arg;

	if (uc_is_idle(c))
		part(c);
	else if (c->state == UC_LINGER)
		uc_destroy(c);
}

struct upstream_conn *
uc_new(struct upstream_pool *p, const struct upstream_want *w)
{
	struct upstream_conn *c = xcalloc(1, sizeof(*c));

	c->pool = p;
	c->state = UC_DIAL;
	c->fd = -1;
	c->is_tls = w->tls;
	c->h1_only =
	    !w->tls || w->h1_only || is_noted(&p->h1_only, w->host, w->port);
	c->proxied = w->proxy != NULL;
	/* A proxy would not pass another protocol on (RFC 6455 section 4.1). */
	c->tunnel = c->proxied && (w->tls || w->h1_only);
	c->host = xstrdup(w->host);
	c->port = w->port;
	c->made = ev_now_ms();
	c->generation = dialer_generation(p->dialer);
	tls_identity_key(w->identity, c->identity);
	c->timer = ev_timer_new(p->ev, on_conn_timer, c);
	http_parser_init(&c->parser, true);
	buf_init(&c->in, 0);
	buf_init(&c->out, 0);
	c->next = p->conns;
	p->conns = c;
	return c;
}

static void
retire(struct upstream_conn *c)
{
	c->draining = true;
	if (uc_is_idle(c))
		part(c);
}

void
upstream_pool_clear(struct upstream_pool *p)
{
	struct upstream_conn *next;

	for (struct upstream_conn *c = p->conns; c != NULL; c = next) {
		next = c->next;
		retire(c);
	}
}

void
upstream_pool_forget(struct upstream_pool *p, const char *host, uint16_t port)
{
	struct upstream_conn *next;

	dialer_forget(p->dialer, host, port);
	for (struct upstream_conn *c = p->conns; c != NULL; c = next) {
		next = c->next;
		if (c->port == port && strcmp(c->host, host) == 0)
			retire(c);
	}
}

void
upstream_pool_free(struct upstream_pool *p)
{
	if (p == NULL)
		return;
	while (p->conns != NULL)
		uc_destroy(p->conns);
	dialer_free(p->dialer);
	for (size_t i = 0; i < UPSTREAM_NOTES; i++) {
		free(p->h1.name[i]);
		free(p->h1_only.name[i]);
	}
	ev_defer(p->ev, on_freed, p);
}

bool
uc_fits(const struct upstream_conn *c, const struct upstream_want *w)
{
	uint8_t key[TLS_KEY_SIZE];

	if (c->draining || c->is_tls != w->tls || c->port != w->port ||
	    c->proxied != (w->proxy != NULL) ||
	    (w->h1_only && c->proxied && !c->tunnel) ||
	    strcmp(c->host, w->host) != 0)
		return false;
	if (c->generation != dialer_generation(c->pool->dialer) ||
	    ev_now_ms() - c->made >= UPSTREAM_LIFE_MS)
		return false;
	tls_identity_key(w->identity, key);
	return memcmp(key, c->identity, sizeof(key)) == 0;
}

static bool
same_origin(const struct upstream_conn *a, const struct upstream_conn *b)
{
	return a->is_tls == b->is_tls && a->port == b->port &&
	       strcmp(a->host, b->host) == 0;
}

static void
to_front(struct upstream_conn *c)
{
	struct upstream_pool *p = c->pool;
	struct upstream_conn **cp;

	for (cp = &p->conns; *cp != c; cp = &(*cp)->next)
		continue;
	*cp = c->next;
	c->next = p->conns;
	p->conns = c;
}

void
uc_keep(struct upstream_conn *c)
{
	struct upstream_conn *next;
	size_t n = 0, each = 0;

	to_front(c);
	ev_timer_set(c->timer, UPSTREAM_KEEP_MS);
	for (struct upstream_conn *o = c->pool->conns; o != NULL; o = next) {
		next = o->next;
		if (!uc_is_idle(o))
			continue;
		n++;
		each += same_origin(o, c);
		if (n > UPSTREAM_KEEP_MAX ||
		    (each > UPSTREAM_KEEP_EACH_MAX && same_origin(o, c)))
			part(o);
	}
}
