/*
 * URLs of requests and of rules (RFC 3986, RFC 9110 section 4.2).  What two
 * readers could take for different things is refused, not repaired.
 */
#include "policy/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define PORT_HTTP 80
#define PORT_HTTPS 443

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool
is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/*
 * Decode unreserved characters of n bytes; -1 for what no path may hold.
 * slash: what stands for %2F, or NULL where there may be none.
 */
static int
decode(const char *s, size_t n, const char *slash, char *out, size_t size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, o = 0;
	int hi, lo, v;

	for (i = 0; i < n; i++) {
		if (o + 4 > size)
			return -1;
		if (s[i] <= ' ' || s[i] == 0x7f || s[i] == '\\' || s[i] == '#')
			return -1;
		if (s[i] != '%') {
			out[o++] = s[i];
			continue;
		}
		if (n - i < 3 || (hi = hex(s[i + 1])) < 0 ||
		    (lo = hex(s[i + 2])) < 0)
			return -1;
		v = hi * 16 + lo;
		i += 2;
		if (v < ' ' || v == 0x7f || v == '\\' ||
		    (v == '/' && slash == NULL))
			return -1;
		if (v == '/') {
			memcpy(out + o, slash, strlen(slash));
			o += strlen(slash);
			continue;
		}
		if (is_unreserved(v)) {
			out[o++] = (char)v;
			continue;
		}
		out[o++] = '%';
		out[o++] = digits[hi];
		out[o++] = digits[lo];
	}
	out[o] = '\0';
	return 0;
}

static int
normalise(const char *target, const char *slash, char *out, size_t size)
{
	size_t n = strcspn(target, "?"), len, name;
	const char *p;

	if (target[0] != '/' || size == 0 ||
	    decode(target, n, slash, out, size) < 0)
		return -1;
	/* The query is not matched, but must not end the request line. */
	for (p = target + n; *p != '\0'; p++)
		if (*p <= ' ' || *p == 0x7f || *p == '#')
			return -1;
	for (p = out; *p == '/'; p += len) {
		p++;
		len = strcspn(p, "/");
		/* Some servers cut a segment at ";" before they look at it. */
		name = strcspn(p, "/;");
		if (len == 0 && *p != '\0')
			return -1;
		if ((name == 1 && p[0] == '.') ||
		    (name == 2 && p[0] == '.' && p[1] == '.'))
			return -1;
	}
	return 0;
}

int
policy_path_normalise(const char *target, char *out, size_t size)
{
	return normalise(target, NULL, out, size);
}

/* "%25" before two hex digits was the percent sign of another escape. */
static void
peel(char *s)
{
	char *to = s;

	while (*s != '\0') {
		*to++ = *s;
		s += strncmp(s, "%25", 3) == 0 && hex(s[3]) >= 0 &&
			     hex(s[4]) >= 0
			 ? 3
			 : 1;
	}
	*to = '\0';
}

/* Cut each segment at its ";". */
static void
cut(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (*s == ';')
			s += strcspn(s, "/");
		else
			*to++ = *s++;
	}
	*to = '\0';
}

int
policy_path_reading(
    const char *target, unsigned int how, char *out, size_t size)
{
	const char *slash = (how & READING_SPLIT) != 0 ? "/" : "%2F";
	char text[HTTP_PATH_MAX] attr_uninit;

	if (normalise(target, slash, out, size) < 0)
		return -1;
	if ((how & READING_TWICE) != 0) {
		peel(out);
		if (strlcpy(text, out, sizeof(text)) >= sizeof(text) ||
		    normalise(text, slash, out, size) < 0)
			return -1;
	}
	if ((how & READING_CUT) == 0 || strchr(out, ';') == NULL)
		return 0;
	cut(out);
	return strlcpy(text, out, sizeof(text)) >= sizeof(text)
		   ? -1
		   : normalise(text, slash, out, size);
}

bool
policy_path_is_plain(const char *path)
{
	return strchr(path, ';') == NULL && strstr(path, "%2F") == NULL &&
	       strstr(path, "%25") == NULL;
}

static int
port_parse(const char *s, uint16_t *port)
{
	uint64_t v;

	if (str_to_u64(s, 1, UINT16_MAX, &v) < 0)
		return -1;
	*port = (uint16_t)v;
	return 0;
}

/*
 * Cut "host", "host:port", "[v6]" or "[v6]:port" in two, in place; *port
 * stays NULL where there is none.  -1 if it is none of these.
 */
static int
authority_split(char *s, char **host, char **port)
{
	char *end;

	*port = NULL;
	*host = s;
	if (s[0] == '[') {
		end = strchr(s, ']');
		if (end == NULL)
			return -1;
		if (end[1] == ':')
			*port = end + 2;
		else if (end[1] != '\0')
			return -1;
		end[1] = '\0';
		return 0;
	}
	end = strchr(s, ':');
	if (end != NULL) {
		if (strchr(end + 1, ':') != NULL)
			return -1;
		*end = '\0';
		*port = end + 1;
	}
	return 0;
}

int
policy_url_split(const char *url, char scheme[8], char host[256],
    uint16_t *port, char *target, size_t target_size, struct error *err)
{
	char auth[320];
	char *name, *digits;
	const char *p;
	size_t n;

	if (strncasecmp(url, "https://", 8) == 0) {
		(void)strlcpy(scheme, "https", 8);
		*port = PORT_HTTPS;
		p = url + 8;
	} else if (strncasecmp(url, "http://", 7) == 0) {
		(void)strlcpy(scheme, "http", 8);
		*port = PORT_HTTP;
		p = url + 7;
	} else {
		return error_set(
		    err, 0, "URL begins with neither http:// nor https://");
	}
	n = strcspn(p, "/?#\\");
	if (n == 0 || n >= sizeof(auth))
		return error_set(err, 0, "URL without a usable host");
	memcpy(auth, p, n);
	auth[n] = '\0';
	p += n;
	if (strchr(auth, '@') != NULL)
		return error_set(
		    err, 0, "URL with a user name before its host");
	if (authority_split(auth, &name, &digits) < 0 ||
	    (strchr(name, ':') != NULL && name[0] != '['))
		return error_set(err, 0, "URL with a malformed host");
	if (digits != NULL && port_parse(digits, port) < 0)
		return error_set(err, 0, "URL with a malformed port");
	if (policy_host_normalise(name, host, 256) < 0)
		return error_set(err, 0,
		    "URL whose host is not a plain name "
		    "or address");
	if (strchr(p, '#') != NULL || strchr(p, '\\') != NULL)
		return error_set(err, 0, "URL with a fragment or backslash");
	n = (size_t)(*p == '/' ? 0 : 1);
	if (strlen(p) + n >= target_size)
		return error_set(err, 0, "URL too long");
	(void)strlcpy(target, n == 1 ? "/" : "", target_size);
	(void)strlcat(target, p, target_size);
	return 0;
}

int
host_pat_check(struct load *ld, const struct pos *pos, char *s, bool widens,
    struct url_pat *up)
{
	char plain[256];
	size_t fixed = 0, wild = 0, len, i;
	const char *p;

	str_lower(s);
	if (strcmp(s, "**") == 0) {
		up->every = true;
		up->host = "**";
		return 0;
	}
	if (strchr(s, '*') == NULL) {
		if (policy_host_normalise(s, plain, sizeof(plain)) < 0) {
			diag_at(ld, pos,
			    "\"%.80s\" is no host name or "
			    "address (names beyond ASCII as xn--)",
			    s);
			return -1;
		}
		up->host = pool_strdup(&ld->p->pool, plain);
		up->addr = host_is_addr(plain);
		return 0;
	}
	if (strcmp(s, "*") == 0) {
		diag_at(ld, pos,
		    "host \"*\" is one label only; every host is "
		    "written \"**\"");
		return -1;
	}
	for (p = s;; p += len + 1) {
		len = strcspn(p, ".");
		if (len == 1 && p[0] == '*') {
			wild++;
			fixed = 0;
		} else if (len == 2 && strncmp(p, "**", 2) == 0 && p == s) {
			wild++;
			fixed = 0;
		} else if (memchr(p, '*', len) != NULL) {
			diag_at(ld, pos,
			    "a wildcard in a host name is a "
			    "whole label: \"*.\", or \"**.\" in front");
			return -1;
		} else {
			fixed++;
		}
		if (p[len] == '\0')
			break;
	}
	if (fixed == 0 || (widens && fixed < 2)) {
		diag_at(ld, pos,
		    "\"%.80s\" reaches across owners: two fixed "
		    "labels at least must follow the wildcard",
		    s);
		return -1;
	}
	/* With a letter for each star it must be a host name. */
	if (strlcpy(plain, s, sizeof(plain)) < sizeof(plain)) {
		for (i = 0; plain[i] != '\0'; i++)
			if (plain[i] == '*')
				plain[i] = 'a';
		if (str_is_hostname(plain) && !host_is_addr(plain)) {
			up->host = pool_strdup(&ld->p->pool, s);
			return 0;
		}
	}
	diag_at(ld, pos, "\"%.80s\" is no host name", s);
	return -1;
}

int
url_pat_parse(struct load *ld, const struct pos *pos, const char *s,
    bool widens, struct url_pat *up)
{
	char norm[POLICY_PATH_MAX + 1];
	char *auth, *host, *port;
	size_t n;

	memset(up, 0, sizeof(*up));
	if (str_starts(s, "https://"))
		up->https = true;
	else if (!str_starts(s, "http://")) {
		diag_at(ld, pos, "expected http:// or https:// and a host");
		return -1;
	}
	s += up->https ? 8 : 7;
	up->port = up->https ? PORT_HTTPS : PORT_HTTP;
	n = strcspn(s, "/");
	auth = pool_strndup(&ld->p->pool, s, n);
	s += n;
	if (strpbrk(auth, "@?#%") != NULL ||
	    authority_split(auth, &host, &port) < 0 || host[0] == '\0') {
		diag_at(ld, pos,
		    "expected HOST or HOST:PORT behind the "
		    "scheme, found \"%.80s\"",
		    auth);
		return -1;
	}
	if (port != NULL && port_parse(port, &up->port) < 0) {
		diag_at(ld, pos, "port \"%.20s\" is not in 1-65535", port);
		return -1;
	}
	if (host_pat_check(ld, pos, host, widens, up) < 0)
		return -1;
	if (*s == '\0') {
		if (!up->every) {
			diag_at(ld, pos,
			    "the path is missing; all paths of "
			    "a host are written %.80s/**",
			    host);
			return -1;
		}
		s = "/**";
	}
	if (strpbrk(s, "?#") != NULL ||
	    policy_path_normalise(s, norm, sizeof(norm)) < 0) {
		diag_at(ld, pos,
		    "no request has such a path: no query, no "
		    "fragment, no empty, \".\" or \"..\" segment");
		return -1;
	}
	up->path.written = pool_strdup(&ld->p->pool, norm);
	return path_pat_split(ld, pos, up->path.written, &up->path);
}
