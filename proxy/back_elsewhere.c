/*
 * Fields that name another URL or host than the request does.  They are meant
 * for what stands behind a proxy of the server's own; a server that takes them
 * from anybody (as Symfony, Zend and IIS with a rewriter have) serves another
 * path, or another of its tenants, than what has been judged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"

/* "name", "name:port" or a list of them; only the first counts anywhere. */
static bool
is_this_host(const struct exchange *x, const char *s)
{
	char name[256], plain[256];
	size_t n;

	s += strspn(s, " \t\"");
	n = s[0] == '[' ? strcspn(s, "]") + 1 : strcspn(s, ":,; \t\"");
	if (n >= sizeof(name) || n > strlen(s))
		return false;
	memcpy(name, s, n);
	name[n] = '\0';
	return policy_host_normalise(name, plain, sizeof(plain)) == 0 &&
	       strcmp(plain, x->host) == 0;
}

/* Every host= of Forwarded (RFC 7239), and every name of a plain list. */
static bool
is_all_this_host(const struct exchange *x, const char *v, bool forwarded)
{
	const char *p = v;

	if (forwarded) {
		while ((p = strcasestr(p, "host=")) != NULL) {
			p += 5;
			if (!is_this_host(x, p))
				return false;
		}
		return true;
	}
	for (; *p != '\0'; p += *p == ',') {
		p += strspn(p, " \t");
		if (*p != ',' && *p != '\0' && !is_this_host(x, p))
			return false;
		p += strcspn(p, ",");
	}
	return true;
}

static bool
names_url(const char *field)
{
	static const char *const names[] = { "X-Original-URL", "X-Original-URI",
		"X-Rewrite-URL", "X-Override-URL" };

	for (size_t i = 0; i < nitems(names); i++)
		if (wire_is_name(field, names[i]))
			return true;
	return false;
}

static bool
names_host(const char *field)
{
	static const char *const names[] = { "X-Forwarded-Host",
		"X-Forwarded-Server", "X-Original-Host", "X-Host",
		"X-HTTP-Host-Override" };

	for (size_t i = 0; i < nitems(names); i++)
		if (wire_is_name(field, names[i]))
			return true;
	return false;
}

bool
xch_points_here(struct exchange *x)
{
	const struct fields *fs = &x->head.fields;
	char why[WIRE_NAME_MAX + 64];

	for (size_t i = 0; i < fs->n; i++) {
		const struct field *f = &fs->f[i];
		bool forwarded = wire_is_name(f->name, "Forwarded");

		if (names_url(f->name)) {
			snprintf(why, sizeof(why),
			    "the field %s names another URL than the request",
			    f->name);
			xch_refuse(x, 403, "url_override", why,
			    "ask for that URL itself");
			return false;
		}
		if ((forwarded || names_host(f->name)) &&
		    !is_all_this_host(x, f->value, forwarded)) {
			snprintf(why, sizeof(why),
			    "the field %s names another host than the request",
			    f->name);
			xch_refuse(x, 403, "host_mismatch", why,
			    "send the request to that host itself");
			return false;
		}
	}
	return true;
}

/* ---- where something is copied to --------------------------------------- */

static void
refuse_destination(struct exchange *x, const char *because)
{
	x->dec.effect = EFFECT_DENY;
	x->dec.by = BY_FAILSAFE;
	strlcpy(x->dec.rule, "built-in: destination", sizeof(x->dec.rule));
	strlcpy(x->dec.because, because, sizeof(x->dec.because));
}

/* A path, or a URL of the same host; NULL, or why it is neither. */
static const char *
read_destination(const struct exchange *x, const char *v, char *target)
{
	char scheme[8], host[256];
	uint16_t port;
	struct error err;

	if (v[0] == '/' && strlcpy(target, v, P_URL_MAX + 1) <= P_URL_MAX)
		return NULL;
	if (policy_url_split(
		v, scheme, host, &port, target, P_URL_MAX + 1, &err) < 0)
		return "the field Destination is no URL that can be judged";
	if (strcmp(host, x->host) != 0 || port != x->head.port ||
	    (strcmp(scheme, "https") == 0) != x->head.tls)
		return "the field Destination names another host than the "
		       "request";
	return NULL;
}

/* The method, if it is one that may have a second path; malloc'ed. */
static char *
copying_method(const struct exchange *x)
{
	static const char *const others[] = { "GET", "HEAD", "POST", "PUT",
		"PATCH", "DELETE", "OPTIONS" };
	size_t at = 0;
	char *method = xch_override(x, &at);

	if (method != NULL)
		return method;
	for (size_t i = 0; i < nitems(others); i++)
		if (strcmp(x->head.method, others[i]) == 0)
			return NULL;
	return xstrdup(x->head.method);
}

static void
judge_destination(struct exchange *x, const char *method, const char *v)
{
	cleanup_free char *target = xmalloc(P_URL_MAX + 1);
	const struct http_request rq = { .method = method,
		.scheme = x->head.tls ? "https" : "http",
		.host = x->host,
		.port = x->head.port,
		.target = target };
	const char *why = read_destination(x, v, target);
	struct decision other;

	if (why != NULL) {
		refuse_destination(x, why);
		return;
	}
	policy_http(x->back->policy, x->back->profile, &rq, &other);
	if (other.effect < x->dec.effect)
		x->dec = other;
}

void
xch_judge_destination(struct exchange *x)
{
	const struct fields *fs = &x->head.fields;
	cleanup_free char *method = NULL;

	for (size_t i = 0; i < fs->n; i++) {
		if (!wire_is_name(fs->f[i].name, "Destination"))
			continue;
		if (method == NULL && (method = copying_method(x)) == NULL)
			return;
		judge_destination(x, method, fs->f[i].value);
	}
}
