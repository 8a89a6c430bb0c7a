/*
 * Request in, decision out: what all classes share, and the classes read,
 * write and http.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define METHOD_MAX 32u

void
decide(const struct profile *pr, enum policy_class c, rule_match_fn *fn,
    const void *rq, struct verdict *v)
{
	const struct rule *r;
	size_t i;

	v->rule = NULL;
	v->effect = profile_default(pr, c);
	for (i = 0; i < pr->nrules; i++) {
		r = pr->rules[i];
		if (r->cls != c || (v->rule != NULL && r->effect >= v->effect))
			continue;
		if (!fn(r, rq))
			continue;
		v->rule = r;
		v->effect = r->effect;
		if (v->effect == EFFECT_DENY)
			return;
	}
}

void
decision_fill(const struct profile *pr, enum policy_class c,
    const struct verdict *v, struct decision *d)
{
	const struct rule *r = v->rule;

	d->effect = v->effect;
	if (r == NULL) {
		d->by = BY_DEFAULT;
		(void)snprintf(d->rule, sizeof(d->rule), "default %s",
		    policy_class_name(c));
		(void)snprintf(d->because, sizeof(d->because),
		    "no %s rule of profile %s matches", policy_class_name(c),
		    pr->name);
		return;
	}
	d->by = BY_RULE;
	(void)snprintf(
	    d->rule, sizeof(d->rule), "%s:%u", r->pos.src->name, r->pos.line);
	(void)strlcpy(d->name, r->name, sizeof(d->name));
	(void)strlcpy(d->because, r->because[0] != '\0' ? r->because : r->text,
	    sizeof(d->because));
}

void
decision_failsafe(struct decision *d, const char *what, const char *because)
{
	d->effect = EFFECT_DENY;
	d->by = BY_FAILSAFE;
	(void)snprintf(d->rule, sizeof(d->rule), "built-in: %s", what);
	d->name[0] = '\0';
	(void)strlcpy(d->because, because, sizeof(d->because));
}

void
decision_show(
    struct decision *d, const char *head, const char *const *more, size_t n)
{
	static const char cut[] = " [cut]";
	size_t room = sizeof(d->normal) - sizeof(cut), i;
	const char *s = head;
	cleanup_free char *e = NULL;

	d->normal[0] = '\0';
	for (i = 0; i <= n; s = i < n ? more[i] : NULL, i++) {
		free(e);
		/* Escaping never shortens: what is longer does not fit. */
		e = str_escape(s, strnlen(s, sizeof(d->normal)));
		if (strlen(d->normal) + 1 + strlen(e) > room) {
			(void)strlcat(d->normal, cut, sizeof(d->normal));
			return;
		}
		if (i > 0)
			(void)strlcat(d->normal, " ", sizeof(d->normal));
		(void)strlcat(d->normal, e, sizeof(d->normal));
	}
}

static bool
any_path(const struct pattern *pt, const char *path)
{
	size_t i;

	for (i = 0; i < pt->npath; i++)
		if (path_pat_match(&pt->path[i], path))
			return true;
	return false;
}

static bool
path_rule_match(const struct rule *r, const void *arg)
{
	return any_path(&r->pat, arg);
}

void
policy_path(const struct policy *p, const struct profile *pr,
    enum policy_class c, const char *path, struct decision *d)
{
	char norm[POLICY_PATH_MAX + 1];
	struct verdict v;

	memset(d, 0, sizeof(*d));
	if (jail_path(path, norm, sizeof(norm)) < 0) {
		decision_show(d, path, NULL, 0);
		decision_failsafe(d, "path",
		    "the path is not absolute, too "
		    "long, or has an empty, \".\" or \"..\" segment");
		return;
	}
	decision_show(d, norm, NULL, 0);
	if (c != POLICY_READ && c != POLICY_WRITE) {
		decision_failsafe(d, "path", "paths are read or written");
		return;
	}
	decide(pr, c, path_rule_match, norm, &v);
	decision_fill(pr, c, &v, d);
}

struct http_norm {
	const char *method;
	bool https, addr;
	char host[256];
	uint16_t port;
	char path[HTTP_PATH_MAX];
};

static bool
url_match(const struct url_pat *up, bool widens, const struct http_norm *h)
{
	if (up->https != h->https || up->port != h->port)
		return false;
	/* "Every host" is every name: an address has to be written out
	 * before it can be allowed. */
	if (up->every ? h->addr && widens : !host_pat_match(up->host, h->host))
		return false;
	return path_pat_match(&up->path, h->path);
}

static bool
http_pat_match(const struct pattern *pt, const struct http_norm *h)
{
	bool method = pt->nmethod == 0;
	size_t i;

	for (i = 0; i < pt->nmethod && !method; i++)
		method = strcmp(pt->method[i], h->method) == 0;
	for (i = 0; method && i < pt->nurl; i++)
		if (url_match(&pt->url[i], pt->widens, h))
			return true;
	return false;
}

static bool
http_rule_match(const struct rule *r, const void *arg)
{
	size_t i;

	if (!http_pat_match(&r->pat, arg))
		return false;
	for (i = 0; i < r->nexcept; i++)
		if (http_pat_match(&r->except[i], arg))
			return false;
	return true;
}

static bool
is_method(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");

	return n > 0 && n <= METHOD_MAX && s[n] == '\0';
}

static void
http_normal(const struct http_norm *h, struct decision *d)
{
	bool v6 = strchr(h->host, ':') != NULL;
	char port[8] = "";
	cleanup_free char *url = NULL;

	if (h->port != (h->https ? 443 : 80))
		(void)snprintf(port, sizeof(port), ":%u", h->port);
	url = xasprintf("%s://%s%s%s%s%s", h->https ? "https" : "http",
	    v6 ? "[" : "", h->host, v6 ? "]" : "", port, h->path);
	decision_show(d, h->method, (const char *const[]){ url }, 1);
}

/*
 * By the path as most servers read it, which is in h, and as others do: what
 * any reading is refused is refused.  0, or -1 when it cannot be read.
 */
static int
decide_readings(const struct profile *pr, const char *target,
    struct http_norm *h, struct verdict *v)
{
	struct verdict other;

	decide(pr, POLICY_HTTP, http_rule_match, h, v);
	if (policy_path_is_plain(h->path))
		return 0;
	for (unsigned int how = 1; how < READINGS; how++) {
		if (policy_path_reading(target, how, h->path, sizeof(h->path)) <
		    0)
			return -1;
		decide(pr, POLICY_HTTP, http_rule_match, h, &other);
		if (other.effect < v->effect)
			*v = other;
	}
	return 0;
}

static const char unreadable[] =
    "the path can be read in two ways: an encoded NUL or control, a dot or "
    "empty segment, a backslash, or it is too long";

void
policy_http(const struct policy *p, const struct profile *pr,
    const struct http_request *rq, struct decision *d)
{
	struct http_norm h attr_uninit;
	struct verdict v;

	memset(d, 0, sizeof(*d));
	h.addr = false;
	h.host[0] = h.path[0] = '\0';
	h.method = rq->method;
	h.port = rq->port;
	h.https = strcmp(rq->scheme, "https") == 0;
	if (!is_method(rq->method))
		decision_failsafe(d, "method",
		    "the method is not a word of "
		    "capital letters");
	else if (!h.https && strcmp(rq->scheme, "http") != 0)
		decision_failsafe(d, "scheme", "neither http nor https");
	else if (rq->port == 0)
		decision_failsafe(d, "url", "port 0 cannot be dialled");
	else if (policy_host_normalise(rq->host, h.host, sizeof(h.host)) < 0)
		decision_failsafe(d, "host",
		    "the host is not a plain name or "
		    "address");
	else if (policy_path_reading(rq->target, 0, h.path, sizeof(h.path)) < 0)
		decision_failsafe(d, "url", unreadable);
	if (d->by == BY_FAILSAFE && d->rule[0] != '\0') {
		decision_show(d, rq->method,
		    (const char *const[]){ rq->host, rq->target }, 2);
		return;
	}
	h.addr = host_is_addr(h.host);
	http_normal(&h, d);
	if (decide_readings(pr, rq->target, &h, &v) < 0) {
		decision_failsafe(d, "url", unreadable);
		return;
	}
	decision_fill(pr, POLICY_HTTP, &v, d);
}
