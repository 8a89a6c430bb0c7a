/*
 * The list of revoked certificates (RFC 5280 section 5), for clients that
 * insist on one: answered here, since no leaf is known outside.
 */
#include "proxy/front.h"

#include <string.h>
#include <strings.h>

#include "proxy/mint.h"

#define CRL_MAX 4096u

bool
crl_is_asked(const struct conn *c, const char *authority, const char *target)
{
	static const char port[] = ":80";
	size_t n = strlen(MINT_CRL_HOST);

	return c->tls == NULL &&
	       strncasecmp(authority, MINT_CRL_HOST, n) == 0 &&
	       (authority[n] == '\0' || strcmp(authority + n, port) == 0) &&
	       strcmp(target, MINT_CRL_PATH) == 0;
}

void
crl_ask(struct conn *c)
{
	struct front *f = c->f;
	bool asked = false;

	for (const struct conn *o = f->conns; o != NULL; o = o->next)
		asked |= o->crl_wait;
	c->crl_wait = true;
	if (f->keyd == NULL)
		front_crl(f, NULL, 0);
	else if (!asked)
		chan_send(f->keyd->chan, M_CRL_GET, f->job, 0, NULL, -1);
}

void
front_crl_ask(struct front *f)
{
	for (const struct conn *c = f->conns; c != NULL; c = c->next)
		if (c->crl_wait) {
			chan_send(
			    f->keyd->chan, M_CRL_GET, f->job, 0, NULL, -1);
			return;
		}
}

static void
answer(struct conn *c, const void *der, size_t n)
{
	struct fields fs = { 0 };

	c->crl_wait = false;
	if (n > 0) {
		fields_set(&fs, "Content-Type", "application/pkix-crl");
		fields_set(&fs, "Cache-Control", "max-age=86400");
	}
	http_put_response(&c->out, n > 0 ? 200 : 503, "", &fs, BODY_LENGTH, n,
	    HTTP_RSP_CLOSE | (c->req.minor == 0 ? HTTP_RSP_1_0 : 0));
	if (strcmp(c->req.method, "HEAD") != 0)
		buf_put(&c->out, der, n);
	fields_free(&fs);
	conn_finish(c);
	conn_schedule(c);
}

void
front_crl(struct front *f, const void *der, size_t n)
{
	struct conn *next;

	for (struct conn *c = f->conns; c != NULL; c = next) {
		next = c->next;
		if (c->crl_wait)
			answer(c, der, n);
	}
}

int
front_on_crl(struct chan *ch, struct msg *m, void *ctx)
{
	struct front *f = ((struct peer *)ctx)->owner;
	bool ok = cur_bool(&m->body);
	size_t n;
	const uint8_t *der = cur_blob(&m->body, CRL_MAX, &n);

	(void)ch;
	if (cur_end(&m->body) < 0 || ok != (n > 0))
		return -1;
	front_crl(f, der, n);
	return 0;
}
