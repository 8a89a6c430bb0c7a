#include "proxy/copysource.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "policy/policy.h"
#include "proxy/wire.h"

#define SWIFT "X-Copy-From"
#define SWIFT_ACCOUNT "X-Copy-From-Account"
/* Tencent's names a host, and no scheme. */
#define TENCENT "x-cos-copy-source"

static const struct {
	const char *name;
	enum copysource what;
} fields[] = {
	{ "x-amz-copy-source", COPYSOURCE_COPY },
	{ "x-amz-rename-source", COPYSOURCE_MOVE },
	{ "x-goog-copy-source", COPYSOURCE_COPY },
	{ "x-ms-copy-source", COPYSOURCE_COPY },
	{ "x-ms-rename-source", COPYSOURCE_MOVE },
	{ "x-oss-copy-source", COPYSOURCE_COPY },
	{ "x-obs-copy-source", COPYSOURCE_COPY },
	{ TENCENT, COPYSOURCE_COPY },
	{ SWIFT, COPYSOURCE_COPY },
	{ SWIFT_ACCOUNT, COPYSOURCE_COPY },
};

/* What follows the bucket in the names of hosts that begin with one. */
static const char *const services[] = { ".s3.", ".s3-", ".s3express-",
	".storage.googleapis.com", ".oss-", ".cos.", ".obs." };

enum copysource
copysource_of(const char *field)
{
	for (size_t i = 0; i < nitems(fields); i++)
		if (wire_is_name(field, fields[i].name))
			return fields[i].what;
	return COPYSOURCE_NONE;
}

static bool
has_scheme(const char *v)
{
	return strncasecmp(v, "http://", 7) == 0 ||
	       strncasecmp(v, "https://", 8) == 0;
}

static const char *
read_url(const char *url, struct copysource_url *out)
{
	struct error err;

	return policy_url_split(url, out->scheme, out->host, &out->port,
		   out->target, sizeof(out->target), &err) < 0
		   ? "is no URL that can be judged"
		   : NULL;
}

/* The place in a host's name where its bucket ends; NULL: there is none. */
static const char *
end_of_bucket(const char *host)
{
	const char *end = NULL;

	for (size_t i = 0; i < nitems(services); i++)
		for (const char *at = host;
		     (at = strstr(at, services[i])) != NULL; at++)
			if (at != host && (end == NULL || at > end))
				end = at;
	return end;
}

/* "/v1/account" of a request to Swift. */
static size_t
account_len(const char *target)
{
	size_t n = 0;

	for (int i = 0; i < 2 && target[n] == '/'; i++)
		n += 1 + strcspn(target + n + 1, "/?");
	return n;
}

/* bucket/key, as a path or with the bucket as part of the host. */
static const char *
read_path(bool swift, const char *v, const struct copysource_url *here,
    struct copysource_url *out)
{
	const size_t bucket = strcspn(v, "/?");
	const char *rest = end_of_bucket(here->host);
	int n;

	snprintf(out->scheme, sizeof(out->scheme), "%s", here->scheme);
	out->port = here->port;
	if (swift || rest == NULL) {
		const size_t account = swift ? account_len(here->target) : 0;

		strlcpy(out->host, here->host, sizeof(out->host));
		n = snprintf(out->target, sizeof(out->target), "%.*s/%s",
		    (int)account, here->target, v);
	} else {
		n = snprintf(out->host, sizeof(out->host), "%.*s%s",
		    (int)bucket, v, rest);
		if (n < 0 || (size_t)n >= sizeof(out->host))
			return "names too long a host";
		v += bucket;
		n = snprintf(out->target, sizeof(out->target), "%s%s",
		    *v == '/' ? "" : "/", v);
	}
	return n < 0 || (size_t)n >= sizeof(out->target) ? "is too long" : NULL;
}

const char *
copysource_read(const char *field, const char *value,
    const struct copysource_url *here, struct copysource_url *out)
{
	value += strspn(value, " \t");
	if (wire_is_name(field, SWIFT_ACCOUNT))
		return "names another account";
	if (has_scheme(value))
		return read_url(value, out);
	if (wire_is_name(field, TENCENT)) {
		cleanup_free char *url =
		    xasprintf("%s://%s", here->scheme, value);

		return read_url(url, out);
	}
	value += *value == '/';
	if (*value == '\0' || *value == '/' || *value == '?')
		return "names nothing";
	return read_path(wire_is_name(field, SWIFT), value, here, out);
}
