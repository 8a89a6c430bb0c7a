/*
 * Connections that are neither TLS nor HTTP: rules name a host and a port.
 * Nothing of what is said on such a connection is judged, so it is never made
 * where http rules judge.
 */
#include "policy/internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

static bool
is_http_port(uint16_t port)
{
	return port == 80 || port == 443;
}

int
net_name_split(const char *s, char *host, size_t size, uint16_t *port)
{
	const char *colon = strchr(s, ':');
	size_t n = colon == NULL ? strlen(s) : (size_t)(colon - s);
	uint64_t v;

	*port = 0;
	if (n == 0 || n >= size)
		return -1;
	memcpy(host, s, n);
	host[n] = '\0';
	if (colon == NULL)
		return 0;
	if (str_to_u64(colon + 1, 1, UINT16_MAX, &v) < 0)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

/* ---- rules -------------------------------------------------------------- */

bool
net_is_name(const char *s)
{
	size_t n = strcspn(s, ":");

	return n > 0 && strcspn(s, "/[]%") == strlen(s) &&
	       strspn(s, "0123456789.") < n;
}

int
net_port_check(struct load *ld, const struct pos *pos, uint16_t port)
{
	if (!is_http_port(port))
		return 0;
	diag_at(ld, pos, "what goes to port %u is judged by http rules", port);
	return -1;
}

int
net_name_parse(struct load *ld, const struct pos *pos, const char *s,
    bool widens, struct net_pat *np)
{
	struct url_pat up = { 0 };
	char host[256];

	memset(np, 0, sizeof(*np));
	if (net_name_split(s, host, sizeof(host), &np->port) < 0) {
		diag_at(ld, pos, "expected NAME:PORT with a port of 1-65535");
		return -1;
	}
	if (host_pat_check(ld, pos, host, widens, &up) < 0)
		return -1;
	np->host = up.host;
	if (!widens)
		return 0;
	if (np->port == 0) {
		diag_at(ld, pos,
		    "the port is missing: a host is opened to one port at a "
		    "time, as in %.80s:5432",
		    host);
		return -1;
	}
	return net_port_check(ld, pos, np->port);
}

/* ---- requests ----------------------------------------------------------- */

struct raw_ask {
	const char *host; /* NULL: by address */
	struct net_request rq;
	bool exact;
};

static bool
raw_pat_match(const struct net_pat *np, const struct raw_ask *a, bool widens)
{
	if (np->port != 0 && np->port != a->rq.port)
		return false;
	if (np->port == 0 && widens)
		return false;
	if (a->host != NULL)
		return np->host != NULL && host_pat_match(np->host, a->host);
	if (np->host != NULL || !net_pat_match(np, &a->rq))
		return false;
	return !a->exact || !widens || np->len == (np->family == 4 ? 32 : 128);
}

static bool
raw_rule_match(const struct rule *r, const void *arg)
{
	size_t i, j, e;

	for (i = 0; i < r->pat.nnet; i++) {
		if (!raw_pat_match(&r->pat.net[i], arg, r->pat.widens))
			continue;
		for (e = 0; e < r->nexcept; e++)
			for (j = 0; j < r->except[e].nnet; j++)
				if (raw_pat_match(&r->except[e].net[j], arg,
					r->except[e].widens))
					return false;
		return true;
	}
	return false;
}

static bool
url_reaches(const struct url_pat *up, const char *host, uint16_t port)
{
	if (up->port != port)
		return false;
	if (host == NULL)
		return true;
	return up->every ? !host_is_addr(host) : host_pat_match(up->host, host);
}

/* host NULL: any. */
static bool
http_reaches(const struct profile *pr, const char *host, uint16_t port)
{
	size_t i, k;

	if (profile_default(pr, POLICY_HTTP) != EFFECT_DENY)
		return true;
	for (i = 0; i < pr->nrules; i++) {
		const struct rule *r = pr->rules[i];

		if (r->cls != POLICY_HTTP || r->effect == EFFECT_DENY)
			continue;
		for (k = 0; k < r->pat.nurl; k++)
			if (url_reaches(&r->pat.url[k], host, port))
				return true;
	}
	return false;
}

bool
policy_http_reaches(const struct profile *pr, const char *host, uint16_t port)
{
	return http_reaches(pr, host, port);
}

/* The address written in host, plain.  0, or -1 if it is a name. */
static int
literal(const char *host, struct net_request *rq)
{
	bool translated;

	if (inet_pton(AF_INET, host, rq->addr) == 1)
		rq->family = 4;
	else if (inet_pton(AF_INET6, host, rq->addr) == 1)
		rq->family = 6;
	else
		return -1;
	net_request_plain(rq, &translated);
	if (translated)
		rq->family = 0;
	return 0;
}

/* A reason that no file can lift, or NULL. */
static const char *
never(const struct profile *pr, struct raw_ask *a)
{
	const char *why;

	if (is_http_port(a->rq.port))
		return "on ports 80 and 443 only HTTP and TLS are spoken";
	if (a->rq.port == 0)
		return "port 0 cannot be dialled";
	if (a->host != NULL)
		return NULL;
	if (net_is_never(&a->rq, &why))
		return why;
	a->exact = net_is_exact(&a->rq);
	if (http_reaches(pr, NULL, a->rq.port))
		return "http rules are for this port, so an address is not "
		       "connected to by anything else";
	return NULL;
}

void
policy_raw(const struct policy *p, const struct profile *pr, const char *host,
    uint16_t port, struct decision *d)
{
	struct raw_ask a = { .rq = { .port = port } };
	char name[256], all[272];
	struct verdict v;
	const char *why;

	memset(d, 0, sizeof(*d));
	if (policy_host_normalise(host, name, sizeof(name)) < 0) {
		decision_show(d, host, NULL, 0);
		decision_failsafe(
		    d, "host", "the host is not a plain name or address");
		return;
	}
	(void)snprintf(all, sizeof(all),
	    strchr(name, ':') != NULL ? "[%s]:%u" : "%s:%u", name, port);
	decision_show(d, all, NULL, 0);
	if (literal(name, &a.rq) < 0)
		a.host = name;
	why = never(pr, &a);
	decide(pr, POLICY_NET, raw_rule_match, &a, &v);
	if (why != NULL && (v.rule == NULL || v.effect != EFFECT_DENY)) {
		decision_failsafe(d, "connection", why);
		return;
	}
	decision_fill(pr, POLICY_NET, &v, d);
}
