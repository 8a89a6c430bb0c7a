/* Other methods than its own that a request asks for. */
#include "proxy/override.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/back.h"

/* Is the field one of those that are in use, CGI's spelling included? */
static bool
is_override(const char *name)
{
	static const char *const fields[] = { "x-http-method-override",
		"x-method-override", "x-http-method" };

	for (size_t i = 0; i < nitems(fields); i++)
		if (wire_is_name(name, fields[i]))
			return true;
	return false;
}

char *
xch_override(const struct exchange *x, size_t *at)
{
	const struct fields *fs = &x->head.fields;
	size_t in_query;
	char *method;

	while (*at < fs->n) {
		const struct field *f = &fs->f[(*at)++];

		if (is_override(f->name))
			return override_upper(f->value, strlen(f->value));
	}
	in_query = *at - fs->n;
	method = override_query(x->head.target, &in_query);
	*at = fs->n + in_query;
	return method;
}

bool
xch_has_override(const struct exchange *x)
{
	size_t at = 0;
	cleanup_free char *method = xch_override(x, &at);

	return method != NULL;
}

/* Some servers do what is asked for instead of the method: both count. */
void
xch_judge_overrides(struct exchange *x, struct http_request *rq)
{
	size_t at = 0;
	cleanup_free char *method = xch_override(x, &at);
	cleanup_free char *more = NULL;

	if (method == NULL)
		return;
	rq->method = method;
	xch_judge_also(x, rq);
	more = xch_override(x, &at);
	if (more == NULL)
		return;
	x->dec.effect = EFFECT_DENY;
	x->dec.by = BY_FAILSAFE;
	strlcpy(x->dec.rule, "built-in: method", sizeof(x->dec.rule));
	strlcpy(x->dec.because,
	    "other methods are asked for in more than one place",
	    sizeof(x->dec.because));
}

static enum effect
effect_of(const struct exchange *x, const char *method, struct decision *d)
{
	const struct http_request rq = { .method = method,
		.scheme = x->head.tls ? "https" : "http",
		.host = x->host,
		.port = x->head.port,
		.target = x->head.target };

	if (x->back->profile == NULL)
		return EFFECT_DENY;
	policy_http(x->back->policy, x->back->profile, &rq, d);
	return d->effect;
}

struct override *
xch_override_in_body(const struct exchange *x)
{
	/* The last one stands for those that nobody has heard of. */
	static const char *const methods[] = { "GET", "HEAD", "PUT", "PATCH",
		"DELETE", "OPTIONS", "BRIG-OTHER" };
	struct decision d;
	size_t count;
	const char *type = fields_get(&x->head.fields, "content-type", &count);

	if (strcmp(x->head.method, "POST") != 0 || count != 1 ||
	    x->head.kind == BODY_NONE || x->head.protocol[0] != '\0')
		return NULL;
	for (size_t i = 0; i < nitems(methods); i++)
		if (effect_of(x, methods[i], &d) != EFFECT_ALLOW)
			return override_new(type);
	return NULL;
}

bool
xch_override_found(struct exchange *x, const struct override *o)
{
	const char *method = override_method(o);
	struct decision d = { 0 };
	char why[P_TEXT_MAX];

	if (effect_of(x, method, &d) == EFFECT_ALLOW)
		return true;
	snprintf(why, sizeof(why),
	    "the body asks for the method %s (\"_method\"), which the policy "
	    "%s%s%s",
	    method, d.effect == EFFECT_ASK ? "asks about" : "denies",
	    d.rule[0] != '\0' ? ": " : "", d.rule);
	xch_fail(x, 403, "method_refused", why,
	    "use that method in the request itself");
	return false;
}

void
xch_override_unclear(struct exchange *x)
{
	xch_fail(x, 403, "method_refused",
	    "the body asks for other methods (\"_method\") in a way that "
	    "cannot be judged",
	    "use that method in the request itself");
}
