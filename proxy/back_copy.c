/*
 * Requests that have the server copy or move something name a second path
 * beside their own.  What the rules give to it counts as well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/copysource.h"

static void
refuse(struct exchange *x, const char *rule, const char *because)
{
	x->dec.effect = EFFECT_DENY;
	x->dec.by = BY_FAILSAFE;
	strlcpy(x->dec.rule, rule, sizeof(x->dec.rule));
	strlcpy(x->dec.because, because, sizeof(x->dec.because));
}

/* ---- where it is copied to ------------------------------------------------
 */

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

	if (why != NULL) {
		refuse(x, "built-in: destination", why);
		return;
	}
	xch_judge_also(x, &rq);
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

/* ---- where it is copied from --------------------------------------------- */

static void
judge_source(
    struct exchange *x, const char *method, const struct copysource_url *from)
{
	const struct http_request rq = { .method = method,
		.scheme = from->scheme,
		.host = from->host,
		.port = from->port,
		.target = from->target };

	xch_judge_also(x, &rq);
}

void
xch_judge_source(struct exchange *x)
{
	const struct fields *fs = &x->head.fields;
	cleanup_free struct copysource_url *url = NULL;

	for (size_t i = 0; i < fs->n; i++) {
		const struct field *f = &fs->f[i];
		const enum copysource what = copysource_of(f->name);
		const char *why;

		if (what == COPYSOURCE_NONE)
			continue;
		if (url == NULL)
			url = xcalloc(2, sizeof(*url));
		snprintf(url[0].scheme, sizeof(url[0].scheme), "%s",
		    x->head.tls ? "https" : "http");
		strlcpy(url[0].host, x->host, sizeof(url[0].host));
		url[0].port = x->head.port;
		strlcpy(url[0].target, x->head.target, sizeof(url[0].target));
		why = copysource_read(f->name, f->value, &url[0], &url[1]);
		if (why != NULL) {
			char because[256];

			snprintf(because, sizeof(because), "the field %.64s %s",
			    f->name, why);
			refuse(x, "built-in: source", because);
			return;
		}
		judge_source(x, "GET", &url[1]);
		if (what == COPYSOURCE_MOVE)
			judge_source(x, "DELETE", &url[1]);
	}
}

/* ---- what a person is told of it ----------------------------------------- */

bool
xch_is_copy_field(const struct exchange *x, const char *name)
{
	cleanup_free char *method = NULL;

	if (copysource_of(name) != COPYSOURCE_NONE)
		return true;
	return wire_is_name(name, "Destination") &&
	       (method = copying_method(x)) != NULL;
}
