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
