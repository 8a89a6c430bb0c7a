#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

static void
tls_failed(struct conn *c)
{
	const char *why = tls_why(c->tls);
	bool no_name = c->dst == NULL && tls_sni(c->tls)[0] == '\0';

	conn_event(c, no_name ? FRONT_NO_NAME : FRONT_TLS, why);
	conn_close(c);
}

/*
 * The name of a synthetic address that a former front gave out: the agent
 * says it, and it must have the very same address today.
 */
static bool
learn_name(struct conn *c, const char *sni)
{
	if (c->dst != NULL)
		return true;
	if (sni[0] == '\0' || addr_pool_add(c->f->pool, sni) != c->index)
		return false;
	c->dst = xstrdup(sni);
	return true;
}

static void
ask(struct front *f, const struct mint *m)
{
	cleanup_buf struct buf b = { 0 };
	size_t n;
	const uint8_t *spki = tls_server_spki(f->tls, &n);

	buf_put_str(&b, m->name);
	buf_put_blob(&b, spki, n);
	chan_send(f->keyd->chan, M_MINT, f->job, m->serial, &b, -1);
}

void
front_mints_ask(struct front *f)
{
	for (const struct mint *m = f->mints; m != NULL; m = m->next)
		ask(f, m);
}

/* Ask keyd for a leaf, once per name; -1 when that cannot be done. */
static int
mint(struct front *f, const char *name)
{
	struct mint *m;

	for (m = f->mints; m != NULL; m = m->next)
		if (strcmp(m->name, name) == 0)
			return 0;
	if (f->keyd == NULL || f->nmints >= FRONT_MINTS_MAX ||
	    !rate_take(&f->mint_rate, FRONT_MINT_BURST, FRONT_MINT_MS))
		return -1;
	m = xcalloc(1, sizeof(*m));
	if (strlcpy(m->name, name, sizeof(m->name)) >= sizeof(m->name)) {
		free(m);
		return -1;
	}
	m->serial = f->next_mint++;
	m->next = f->mints;
	f->mints = m;
	f->nmints++;
	ask(f, m);
	return 0;
}

void
conn_handshake(struct conn *c)
{
	struct front *f = c->f;
	struct error err = { 0 };

	if (f->tls == NULL && (f->tls = tls_server_new(&err)) == NULL) {
		log_warnx("%s", err.msg);
		conn_close(c);
		return;
	}
	if (c->tls == NULL &&
	    (c->tls = tls_accept_new(f->tls, c->fd, c->dst)) == NULL) {
		conn_close(c);
		return;
	}
	c->state = CONN_HANDSHAKE;
	switch (tls_handshake(c->tls)) {
	case TLS_OK:
		if (!learn_name(c, tls_sni(c->tls))) {
			conn_event(c, FRONT_NO_NAME,
			    "the address dialled stands for no name");
			conn_close(c);
			return;
		}
		ev_io_set(c->io, EV_READ);
		if (c->raw != NULL)
			conn_opened(c, &front_raw);
		else if (tls_is_h2(c->tls))
			h2_start(c);
		else
			conn_opened(c, &front_http);
		return;
	case TLS_WANT_READ:
		ev_io_set(c->io, EV_READ);
		return;
	case TLS_WANT_WRITE:
		ev_io_set(c->io, EV_WRITE);
		return;
	case TLS_WANT_LEAF:
		c->state = CONN_MINT;
		ev_io_set(c->io, 0);
		if (mint(f, tls_leaf_name(c->tls)) < 0) {
			conn_event(
			    c, FRONT_TLS, "no certificate can be made now");
			conn_close(c);
		}
		return;
	case TLS_ERROR:
	case TLS_EOF:
		tls_failed(c);
		return;
	}
}

/* Everybody who waits for name goes on, or fails. */
static void
resume(struct front *f, const char *name)
{
	struct conn *next;

	for (struct conn *c = f->conns; c != NULL; c = next) {
		next = c->next;
		if (c->state == CONN_MINT &&
		    strcmp(tls_leaf_name(c->tls), name) == 0)
			conn_handshake(c);
	}
}

int
front_minted(struct front *f, uint32_t serial, const uint8_t *der, size_t n)
{
	struct mint **pp = &f->mints, *m;
	struct error err = { 0 };

	while (*pp != NULL && (*pp)->serial != serial)
		pp = &(*pp)->next;
	if ((m = *pp) == NULL)
		return -1;
	*pp = m->next;
	f->nmints--;
	if (tls_server_leaf(f->tls, m->name, der, n, &err) < 0)
		log_warnx("leaf for %s: %s", m->name, err.msg);
	resume(f, m->name);
	free(m);
	return 0;
}

void
front_mints_fail(struct front *f)
{
	struct mint *m;

	while ((m = f->mints) != NULL) {
		f->mints = m->next;
		f->nmints--;
		tls_server_leaf(f->tls, m->name, NULL, 0, NULL);
		resume(f, m->name);
		free(m);
	}
}
