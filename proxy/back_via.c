/*
 * The way out of back: through the administrator's upstream proxy or not, and
 * who we are on the way: its credential, the client certificate of the origin.
 *
 * With a proxy it is the proxy that looks the destination's name up when it
 * connects, so that what back has looked up and judged is not surely what is
 * reached.  Therefore every address that a name has must be one that may be
 * connected to, where without a proxy one will do; a name that cannot be
 * looked up here is refused.  The proxy's own address is not judged: that it
 * may be spoken to is what naming it in brigd.conf(5) says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"

void
via_config(struct via *v, const char *key, const char *value)
{
	const char *space = strchr(value, ' ');
	uint64_t port;

	if (strcmp(key, "upstream-proxy") == 0 && space != NULL) {
		cleanup_free char *digits =
		    xstrndup(value, (size_t)(space - value));

		if (str_to_u64(digits, 1, UINT16_MAX, &port) < 0 ||
		    strlen(space + 1) >= sizeof(v->host))
			return;
		strlcpy(v->host, space + 1, sizeof(v->host));
		v->port = (uint16_t)port;
	} else if (strcmp(key, "upstream-proxy-secret") == 0) {
		strlcpy(v->secret, value, sizeof(v->secret));
	} else if (strcmp(key, "no-proxy") == 0 &&
		   v->nexcept < VIA_EXCEPT_MAX) {
		v->except = xreallocarray(
		    v->except, v->nexcept + 1, sizeof(*v->except));
		v->except[v->nexcept++] = xstrdup(value);
	}
}

void
via_clear(struct via *v)
{
	for (size_t i = 0; i < v->nexcept; i++)
		free(v->except[i]);
	free(v->except);
	memset(v, 0, sizeof(*v));
}

/* An address is the same in any spelling. */
static bool
same_addr(const char *a, const char *b)
{
	struct netaddr x = { 0 }, y = { 0 };

	if (netaddr_parse(a, &x) < 0 || netaddr_parse(b, &y) < 0)
		return false;
	(void)netaddr_classify(&x);
	(void)netaddr_classify(&y);
	return x.family == y.family &&
	       memcmp(x.addr, y.addr, x.family == 4 ? 4 : 16) == 0;
}

bool
via_applies(const struct via *v, const char *host)
{
	if (v->host[0] == '\0')
		return false;
	for (size_t i = 0; i < v->nexcept; i++) {
		const char *e = v->except[i];

		/* "*.NAME": what is below it, at any depth, not itself. */
		if (e[0] == '*' ? str_ends(host, e + 1)
				: str_eq(host, e) || same_addr(host, e))
			return false;
	}
	return true;
}

static const struct binding *
find_binding(const struct back *b)
{
	const struct bindings *bs = &b->bindings;

	for (size_t i = 0; i < bs->n; i++)
		if (bs->b[i].spec.kind == CRED_PROXY && !bs->b[i].revoked &&
		    str_eq(bs->b[i].name, b->via.secret))
			return &bs->b[i];
	return NULL;
}

bool
xch_via(struct exchange *x)
{
	const struct back *b = x->back;
	const struct binding *bd;

	x->via = !xch_is_inferd(x) && via_applies(&b->via, x->host);
	if (!x->via || b->via.secret[0] == '\0')
		return true;
	bd = find_binding(b);
	if (bd != NULL)
		return xch_add_cred(x, bd->cred);
	xch_refuse(x, 503, "upstream_proxy",
	    "the credential of the upstream proxy is missing",
	    "tell the administrator");
	return false;
}

/* ---- towards the proxy --------------------------------------------------- */

static const struct secret *
value_of(
    const struct exchange *x, enum cred_kind kind, const struct binding **b)
{
	for (size_t i = 0; i < x->ncreds; i++) {
		*b = bindings_cred(&x->back->bindings, x->cred[i].cred);
		if (*b != NULL && (*b)->spec.kind == kind)
			return x->cred[i].value;
	}
	return NULL;
}

/* "USER:PASSWORD"; false when that cannot be made. */
static bool
make_auth(struct exchange *x)
{
	const struct binding *b;
	const struct secret *v = value_of(x, CRED_PROXY, &b);
	size_t n;

	if (v == NULL)
		return true;
	n = strlen(b->spec.user);
	if (strchr(b->spec.user, ':') != NULL)
		return false;
	secret_free(x->via_auth);
	x->via_auth = secret_alloc(n + 1 + secret_len(v));
	if (x->via_auth == NULL)
		return false;
	memcpy(secret_data(x->via_auth), b->spec.user, n);
	secret_data(x->via_auth)[n] = ':';
	memcpy(
	    secret_data(x->via_auth) + n + 1, secret_bytes(v), secret_len(v));
	return true;
}

void
xch_way(struct exchange *x, const struct dial_proxy **proxy,
    const struct secret **identity)
{
	const struct binding *b;

	*identity = x->head.tls ? value_of(x, CRED_MTLS, &b) : NULL;
	*proxy = NULL;
	if (!x->via)
		return;
	x->proxy = (struct dial_proxy){ .host = x->back->via.host,
		.port = x->back->via.port,
		.addrs = x->via_addrs,
		.naddrs = x->nvia,
		.auth = x->via_auth };
	*proxy = &x->proxy;
}

bool
xch_via_ready(struct exchange *x)
{
	if (!x->via || make_auth(x))
		return true;
	xch_refuse(x, 503, "upstream_proxy",
	    "the credential of the upstream proxy cannot be used",
	    "tell the administrator");
	return false;
}

void
xch_via_addr(struct exchange *x, struct netaddr a)
{
	if (netaddr_classify(&a) != NETADDR_INVALID &&
	    x->nvia < nitems(x->via_addrs))
		x->via_addrs[x->nvia++] = a;
}

void
xch_via_resolve(struct exchange *x)
{
	struct back *b = x->back;
	struct chan *c = back_chan(b, ROLE_DNS);
	cleanup_buf struct buf body = { 0 };
	struct netaddr a;

	x->nvia = 0;
	if (netaddr_parse(b->via.host, &a) == 0) {
		xch_via_addr(x, a);
		xch_dial(x, false);
		return;
	}
	if (c == NULL) {
		xch_refuse(x, 503, "dns_unavailable",
		    "names cannot be looked up at the moment",
		    "try again in a minute");
		return;
	}
	x->via_asked = true;
	buf_put_str(&body, b->via.host);
	xch_wait(x, X_RESOLVE, BACK_RESOLVE_MS);
	chan_send(c, M_RESOLVE, b->job, x->wait, &body, -1);
}

void
xch_via_resolved(struct exchange *x, const char *error)
{
	char why[512];

	x->via_asked = false;
	if (x->nvia > 0) {
		xch_dial(x, false);
		return;
	}
	snprintf(why, sizeof(why),
	    "the upstream proxy %s could not be looked up: %.200s",
	    x->back->via.host, error);
	xch_refuse(x, 502, "upstream_proxy", why, "tell the administrator");
}

bool
xch_via_refused(struct exchange *x)
{
	/* Plain HTTP: it is the proxy that says so, and not to the agent, who
	 * has no credential for it. */
	if (!x->via || x->head.tls || x->status != 407)
		return false;
	xch_fail(x, 502, "upstream_proxy",
	    "the upstream proxy answered 407: its credential is missing or "
	    "wrong",
	    "tell the administrator");
	return true;
}
