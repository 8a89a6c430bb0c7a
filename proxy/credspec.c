#include "proxy/credspec.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* ---- kinds ------------------------------------------------------------- */

static const char *const kinds[CRED_KIND_MAX] = {
	[CRED_TOKEN] = "token",
	[CRED_SIGV4] = "sigv4",
	[CRED_HMAC] = "hmac",
	[CRED_MTLS] = "mtls",
	[CRED_SSH] = "ssh",
	[CRED_POSTGRES] = "postgres",
	[CRED_PROXY] = "proxy",
};

const char *
cred_kind_name(enum cred_kind kind)
{
	return kind < CRED_KIND_MAX ? kinds[kind] : "unknown";
}

int
cred_kind_parse(const char *s, enum cred_kind *kind)
{
	for (size_t i = 0; i < nitems(kinds); i++) {
		if (str_eq(s, kinds[i])) {
			*kind = (enum cred_kind)i;
			return 0;
		}
	}
	return -1;
}

bool
cred_has_stub(enum cred_kind kind)
{
	switch (kind) {
	case CRED_TOKEN:
	case CRED_SIGV4:
	case CRED_HMAC:
	case CRED_POSTGRES:
		return true;
	case CRED_MTLS:
	case CRED_SSH:
	case CRED_PROXY:
	case CRED_KIND_MAX:
		return false;
	}
	return false;
}

/* ---- the codec ---------------------------------------------------------- */

void
cred_spec_put(struct buf *b, const struct cred_spec *s)
{
	buf_put_u8(b, (uint8_t)s->kind);
	buf_put_u32(b, s->surfaces);
	buf_put_u8(b, (uint8_t)s->nhosts);
	for (size_t i = 0; i < s->nhosts; i++) {
		buf_put_str(b, s->hosts[i].host);
		buf_put_u16(b, s->hosts[i].port);
	}
	buf_put_str(b, s->header);
	buf_put_str(b, s->query);
	buf_put_str(b, s->user);
	buf_put_str(b, s->env);
	buf_put_u8(b, s->inject);
	buf_put_str(b, s->scheme);
	buf_put_str(b, s->capture.path);
	buf_put_u8(b, (uint8_t)s->capture.n);
	for (size_t i = 0; i < s->capture.n; i++)
		buf_put_str(b, s->capture.names[i]);
	buf_put_str(b, s->region);
	buf_put_str(b, s->service);
	buf_put_str(b, s->hmac.algorithm);
	buf_put_str(b, s->hmac.header);
	buf_put_str(b, s->hmac.encoding);
	buf_put_str(b, s->hmac.prefix);
	buf_put_str(b, s->hmac.signed_);
	buf_put_str(b, s->hmac.timestamp_header);
}

int
cred_spec_get(struct cur *c, struct cred_spec *s)
{
	uint8_t kind = cur_u8(c);

	memset(s, 0, sizeof(*s));
	s->surfaces = cur_u32(c);
	s->nhosts = cur_u8(c);
	if (c->failed || kind >= CRED_KIND_MAX || s->nhosts > CRED_HOSTS_MAX)
		return -1;
	s->kind = (enum cred_kind)kind;
	for (size_t i = 0; i < s->nhosts; i++) {
		cur_str_into(c, s->hosts[i].host, sizeof(s->hosts[i].host));
		s->hosts[i].port = cur_u16(c);
	}
	cur_str_into(c, s->header, sizeof(s->header));
	cur_str_into(c, s->query, sizeof(s->query));
	cur_str_into(c, s->user, sizeof(s->user));
	cur_str_into(c, s->env, sizeof(s->env));
	s->inject = cur_bool(c);
	cur_str_into(c, s->scheme, sizeof(s->scheme));
	cur_str_into(c, s->capture.path, sizeof(s->capture.path));
	s->capture.n = cur_u8(c);
	if (c->failed || s->capture.n > CRED_CAPTURE_MAX)
		return -1;
	for (size_t i = 0; i < s->capture.n; i++)
		cur_str_into(
		    c, s->capture.names[i], sizeof(s->capture.names[i]));
	cur_str_into(c, s->region, sizeof(s->region));
	cur_str_into(c, s->service, sizeof(s->service));
	cur_str_into(c, s->hmac.algorithm, sizeof(s->hmac.algorithm));
	cur_str_into(c, s->hmac.header, sizeof(s->hmac.header));
	cur_str_into(c, s->hmac.encoding, sizeof(s->hmac.encoding));
	cur_str_into(c, s->hmac.prefix, sizeof(s->hmac.prefix));
	cur_str_into(c, s->hmac.signed_, sizeof(s->hmac.signed_));
	cur_str_into(
	    c, s->hmac.timestamp_header, sizeof(s->hmac.timestamp_header));
	return c->failed ? -1 : 0;
}

/* ---- checks ------------------------------------------------------------- */

static bool
is_word(const char *s, const char *extra)
{
	for (; *s != '\0'; s++) {
		if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		    (*s >= '0' && *s <= '9') || strchr(extra, *s) != NULL)
			continue;
		return false;
	}
	return true;
}

/* Nothing that could end a line or a field. */
static bool
is_visible(const char *s, const char *but)
{
	for (; *s != '\0'; s++) {
		if (*s <= ' ' || *s > '~' || strchr(but, *s) != NULL)
			return false;
	}
	return true;
}

/* Normal form only, so that one host has one spelling. */
static bool
is_host(const char *s)
{
	char text[INET6_ADDRSTRLEN];
	const char *last = strrchr(s, '.');
	uint8_t addr[16];

	if (inet_pton(AF_INET6, s, addr) == 1)
		return inet_ntop(AF_INET6, addr, text, sizeof(text)) != NULL &&
		       str_eq(text, s);
	if (inet_pton(AF_INET, s, addr) == 1)
		return true;
	for (const char *p = s; *p != '\0'; p++) {
		if (*p >= 'A' && *p <= 'Z')
			return false;
	}
	/* "127.1" is an address to some resolvers (RFC 3986 section 7.4). */
	last = last == NULL ? s : last + 1;
	return str_is_hostname(s) && (*last < '0' || *last > '9');
}

/* Framing and routing are not the place for a secret. */
static bool
is_forbidden_header(const char *s)
{
	static const char *const names[] = { "connection", "content-length",
		"content-type", "expect", "host", "keep-alive",
		"proxy-authenticate", "proxy-authorization", "proxy-connection",
		"te", "trailer", "transfer-encoding", "upgrade" };
	char lower[sizeof(((struct cred_spec *)0)->header)];

	strlcpy(lower, s, sizeof(lower));
	str_lower(lower);
	for (size_t i = 0; i < nitems(names); i++) {
		if (str_eq(names[i], lower))
			return true;
	}
	return false;
}

static bool
is_header(const char *s)
{
	return s[0] != '\0' && is_word(s, "-_") && !is_forbidden_header(s);
}

static int
check_hosts(const struct cred_spec *s, struct error *err)
{
	if (s->nhosts == 0 || s->nhosts > CRED_HOSTS_MAX)
		return error_set(
		    err, 0, "a secret has 1 to %u hosts", CRED_HOSTS_MAX);
	for (size_t i = 0; i < s->nhosts; i++) {
		const struct cred_host *h = &s->hosts[i];

		if (!is_host(h->host))
			return error_set(err, 0, "bad host");
		if (h->port == 0)
			return error_set(err, 0, "bad port");
		for (size_t k = 0; k < i; k++) {
			if (h->port == s->hosts[k].port &&
			    str_eq(h->host, s->hosts[k].host))
				return error_set(
				    err, 0, "the same host is given twice");
		}
	}
	return 0;
}

/* One token's places in a request. */
static int
check_places(const struct cred_spec *s, struct error *err)
{
	bool header = (s->surfaces & SURFACE_HEADER) != 0;
	bool query = (s->surfaces & SURFACE_QUERY) != 0;

	if (s->surfaces == 0 || (s->surfaces & ~SURFACE_ALL) != 0)
		return error_set(err, 0, "bad surfaces");
	if (header ? !is_header(s->header) : s->header[0] != '\0')
		return error_set(err, 0, "bad header name");
	if (query ? s->query[0] == '\0' || !is_word(s->query, "-_.[]")
		  : s->query[0] != '\0')
		return error_set(err, 0, "bad name of a query parameter");
	if (!s->inject && s->scheme[0] != '\0')
		return error_set(
		    err, 0, "a scheme is only for what is injected");
	if (!s->inject)
		return 0;
	if ((s->surfaces & (SURFACE_HEADER | SURFACE_BASIC)) == 0)
		return error_set(
		    err, 0, "only a header or Basic can be injected");
	if (!header && s->user[0] == '\0')
		return error_set(
		    err, 0, "to inject Basic authentication takes a user");
	if (s->scheme[0] != '\0' && !is_word(s->scheme, "-_."))
		return error_set(err, 0, "bad scheme");
	return 0;
}

static bool
is_member(const char *s)
{
	const char *p = s;

	while (*p == '.') {
		size_t n = strcspn(++p, ".");

		if (n == 0)
			return false;
		p += n;
	}
	return p > s && *p == '\0' && is_word(s, "._-");
}

static int
check_capture(const struct cred_capture *c, struct error *err)
{
	if (c->n == 0 && c->path[0] == '\0')
		return 0;
	if (c->n > CRED_CAPTURE_MAX)
		return error_set(err, 0, "a capture names 1 to %u members",
		    CRED_CAPTURE_MAX);
	if (c->path[0] != '/' || !is_visible(c->path, "?#\\:,;%"))
		return error_set(err, 0,
		    "the path of a capture starts with a slash and is plain");
	for (size_t i = 0; i < c->n; i++) {
		if (!is_member(c->names[i]))
			return error_set(
			    err, 0, "a captured member is like .access_token");
		for (size_t k = 0; k < i; k++) {
			if (str_eq(c->names[i], c->names[k]))
				return error_set(
				    err, 0, "a member is captured twice");
		}
	}
	return 0;
}

static bool
is_one_of(const char *s, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (str_eq(s, list[i]))
			return true;
	}
	return false;
}

/* Braces only around the names that a template knows. */
static bool
is_template(const char *s, bool *has_time)
{
	static const char *const names[] = { "{body}", "{method}", "{path}",
		"{timestamp}" };
	bool any = false;

	while (*s != '\0') {
		size_t i = 0;

		if (*s == '}' || *s < ' ' || *s > '~')
			return false;
		if (*s != '{') {
			s++;
			continue;
		}
		while (i < nitems(names) && !str_starts(s, names[i]))
			i++;
		if (i == nitems(names))
			return false;
		*has_time |= i == 3;
		s += strlen(names[i]);
		any = true;
	}
	return any;
}

static int
check_hmac(const struct cred_hmac *h, struct error *err)
{
	static const char *const algorithms[] = { "sha256", "sha1", "sha512" };
	static const char *const encodings[] = { "hex", "base64" };
	bool timed = false;

	if (!is_one_of(h->algorithm, algorithms, nitems(algorithms)))
		return error_set(err, 0,
		    "the algorithm of an hmac is sha256, sha1 or sha512");
	if (!is_one_of(h->encoding, encodings, nitems(encodings)))
		return error_set(
		    err, 0, "the encoding of an hmac is hex or base64");
	if (!is_header(h->header) ||
	    (h->timestamp_header[0] != '\0' && !is_header(h->timestamp_header)))
		return error_set(err, 0, "bad header name of an hmac");
	if (!is_visible(h->prefix, ","))
		return error_set(err, 0, "bad prefix of an hmac");
	if (!is_template(h->signed_, &timed))
		return error_set(err, 0,
		    "what an hmac signs is made of {body}, {method}, {path}, "
		    "{timestamp} and text");
	if (timed && h->timestamp_header[0] == '\0')
		return error_set(
		    err, 0, "an hmac that signs {timestamp} names its header");
	return 0;
}

static bool
no_hmac(const struct cred_hmac *h)
{
	return h->algorithm[0] == '\0' && h->header[0] == '\0' &&
	       h->encoding[0] == '\0' && h->prefix[0] == '\0' &&
	       h->signed_[0] == '\0' && h->timestamp_header[0] == '\0';
}

/* What a kind does not use must not be there: it would mean nothing. */
static int
check_kind(const struct cred_spec *s, struct error *err)
{
	const char *name = cred_kind_name(s->kind);

	if (s->kind != CRED_TOKEN &&
	    (s->surfaces != 0 || s->header[0] != '\0' || s->query[0] != '\0'))
		return error_set(err, 0, "kind %s has no surfaces", name);
	if (s->kind != CRED_TOKEN && (s->inject || s->scheme[0] != '\0'))
		return error_set(err, 0, "kind %s cannot be injected", name);
	if (s->kind != CRED_TOKEN && s->capture.n != 0)
		return error_set(err, 0, "kind %s cannot capture", name);
	if (!cred_has_stub(s->kind) && s->env[0] != '\0')
		return error_set(
		    err, 0, "kind %s has no stub to put into %s", name, s->env);
	if (s->kind != CRED_SIGV4 &&
	    (s->region[0] != '\0' || s->service[0] != '\0'))
		return error_set(err, 0,
		    "a region or service is only for kind %s",
		    cred_kind_name(CRED_SIGV4));
	if (s->kind == CRED_SIGV4 &&
	    (s->user[0] == '\0' || !is_word(s->user, "")))
		return error_set(
		    err, 0, "kind %s takes the access key id as user", name);
	if (!is_word(s->region, "-") || !is_word(s->service, "-"))
		return error_set(err, 0, "bad region or service");
	if (s->kind == CRED_HMAC)
		return check_hmac(&s->hmac, err);
	if (!no_hmac(&s->hmac))
		return error_set(err, 0,
		    "a description of a signature is only for kind %s",
		    cred_kind_name(CRED_HMAC));
	return 0;
}

int
cred_spec_check(const struct cred_spec *s, struct error *err)
{
	if (s->kind >= CRED_KIND_MAX)
		return error_set(err, 0, "bad kind of a secret");
	if (check_hosts(s, err) < 0)
		return -1;
	if (!is_visible(s->user, ":"))
		return error_set(err, 0, "bad user name");
	if (!is_word(s->env, "_") || (s->env[0] >= '0' && s->env[0] <= '9'))
		return error_set(err, 0, "bad name of an environment variable");
	if (check_kind(s, err) < 0 || check_capture(&s->capture, err) < 0)
		return -1;
	return s->kind == CRED_TOKEN ? check_places(s, err) : 0;
}

uint32_t
cred_surfaces_at(const struct cred_spec *s, const char *target)
{
	const uint32_t bodies =
	    SURFACE_BODY_JSON | SURFACE_BODY_FORM | SURFACE_BODY_TEXT;
	size_t n = strcspn(target, "?#");

	/* To the letter: what is let in is not what is kept from leaking. */
	if (s->capture.n > 0 || s->capture.path[0] == '\0' ||
	    (strlen(s->capture.path) == n &&
		memcmp(s->capture.path, target, n) == 0))
		return s->surfaces;
	return s->surfaces & ~bodies;
}

bool
cred_spec_for(const struct cred_spec *s, const char *host, uint16_t port)
{
	for (size_t i = 0; i < s->nhosts; i++) {
		if (s->hosts[i].port == port && str_eq(s->hosts[i].host, host))
			return true;
	}
	return false;
}

/* ---- the token endpoint ------------------------------------------------- */

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* In place; true if anything changed. */
static bool
decode(char *s)
{
	char *out = s;
	bool any = false;

	while (*s != '\0') {
		if (s[0] == '%' && hex_value(s[1]) >= 0 &&
		    hex_value(s[2]) >= 0) {
			*out = (char)(hex_value(s[1]) * 16 + hex_value(s[2]));
			/* What cannot be in a path ends it. */
			if (*out == '\0')
				break;
			out++;
			s += 3;
			any = true;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
	return any;
}

/*
 * Every spelling that some server takes for the same path becomes one: too
 * wide a match captures a token too many, too narrow a one lets it pass.
 */
static char *
plain_path(const char *target)
{
	cleanup_free char *path = xstrndup(target, strcspn(target, "?#"));
	char *plain, *out;

	while (decode(path))
		continue;
	str_lower(path);
	plain = out = xmalloc(strlen(path) + 2);
	for (const char *s = path; *s != '\0';) {
		size_t n = strcspn(s, "/\\"), name = strcspn(s, ";/\\");

		if (name == 2 && s[0] == '.' && s[1] == '.') {
			while (out > plain && *--out != '/')
				continue;
		} else if (name > 0 && !(name == 1 && s[0] == '.')) {
			*out++ = '/';
			memcpy(out, s, name);
			out += name;
		}
		s += n + (s[n] != '\0');
	}
	*out = '\0';
	return plain;
}

/*
 * "/token.json" is "/token" to frameworks that read the form of the answer from
 * it; Windows drops dots and blanks at the end of a name.
 */
static bool
cut_suffix(char *path)
{
	char *name = strrchr(path, '/'), *dot;
	size_t n;

	if (name == NULL || name[1] == '\0')
		return false;
	dot = strchr(name + 2, '.');
	if (dot != NULL)
		*dot = '\0';
	for (n = strlen(name); n > 2 && name[n - 1] == ' '; n--)
		name[n - 1] = '\0';
	return dot != NULL;
}

bool
cred_captures(const struct cred_spec *s, const char *target)
{
	bool same;
	size_t n;

	if (s->capture.n == 0)
		return false;

	cleanup_free char *want = plain_path(s->capture.path);
	cleanup_free char *got = plain_path(target);
	n = strlen(want);
	same = strncmp(got, want, n) == 0 && got[n] == '/';
	/* What follows the name of a script is an argument of it. */
	same = cut_suffix(want) && same;
	(void)cut_suffix(got);
	return same || str_eq(want, got);
}

enum token_use
cred_member_use(const char *member)
{
	const char *last = strrchr(member, '.');

	cleanup_free char *name = xstrdup(last == NULL ? member : last);
	enum token_use use;

	str_lower(name);
	use = strstr(name, "refresh") != NULL ? TOKEN_REFRESH : TOKEN_ACCESS;
	return use;
}

void
cred_spec_captured(
    const struct cred_spec *s, enum token_use use, struct cred_spec *out)
{
	memset(out, 0, sizeof(*out));
	out->nhosts = s->nhosts;
	memcpy(out->hosts, s->hosts, sizeof(out->hosts));
	out->surfaces = s->surfaces | SURFACE_HEADER;
	strlcpy(out->header, "Authorization", sizeof(out->header));
	strlcpy(out->query, s->query, sizeof(out->query));
	strlcpy(out->user, s->user, sizeof(out->user));
	strlcpy(out->capture.path, s->capture.path, sizeof(out->capture.path));
	if (use == TOKEN_REFRESH)
		out->surfaces |= SURFACE_BODY_FORM | SURFACE_BODY_JSON;
}
