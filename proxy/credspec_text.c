/* Text forms of a credential's parts. */
#include "proxy/credspec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "policy/policy.h"

static const uint16_t ports[CRED_KIND_MAX] = {
	[CRED_TOKEN] = 443,
	[CRED_SIGV4] = 443,
	[CRED_HMAC] = 443,
	[CRED_MTLS] = 443,
	[CRED_SSH] = 22,
	[CRED_POSTGRES] = 5432,
	[CRED_PROXY] = 3128,
};

/* Surfaces without a parameter. */
static const struct {
	uint32_t bit;
	const char *name;
} plain[] = {
	{ SURFACE_BASIC, "basic" },
	{ SURFACE_PATH, "path" },
	{ SURFACE_BODY_JSON, "body:json" },
	{ SURFACE_BODY_FORM, "body:form" },
	{ SURFACE_BODY_TEXT, "body:text" },
	{ SURFACE_WS_TEXT, "ws:text" },
};

/* ---- hosts -------------------------------------------------------------- */

static int
bad_host(struct error *err)
{
	return error_set(
	    err, 0, "a host is like api.example.com or api.example.com:8443");
}

int
cred_host_parse(struct cred_spec *s, const char *text, struct error *err)
{
	struct cred_host *h = &s->hosts[s->nhosts];
	const char *colon = NULL, *end = text + strlen(text);
	char name[P_HOST_MAX + 3];
	uint64_t port = 0;

	if (s->nhosts == CRED_HOSTS_MAX)
		return error_set(
		    err, 0, "a secret has 1 to %u hosts", CRED_HOSTS_MAX);
	if (*text == '[') {
		end = strchr(++text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return bad_host(err);
		if (end[1] == ':')
			colon = end + 1;
	} else if ((colon = strchr(text, ':')) != NULL) {
		if (strchr(colon + 1, ':') != NULL)
			return bad_host(err); /* IPv6 without brackets */
		end = colon;
	}
	if ((size_t)(end - text) >= sizeof(name))
		return bad_host(err);
	memcpy(name, text, (size_t)(end - text));
	name[end - text] = '\0';
	if ((colon != NULL && str_to_u64(colon + 1, 1, 65535, &port) < 0) ||
	    policy_host_normalise(name, h->host, sizeof(h->host)) < 0)
		return bad_host(err);
	h->port = (uint16_t)port;
	s->nhosts++;
	return 0;
}

void
cred_host_format(const struct cred_host *h, char out[CRED_HOST_TEXT])
{
	bool v6 = strchr(h->host, ':') != NULL;

	snprintf(out, CRED_HOST_TEXT, "%s%s%s:%u", v6 ? "[" : "", h->host,
	    v6 ? "]" : "", h->port);
}

/* ---- surfaces ----------------------------------------------------------- */

static int
named(uint32_t *surfaces, uint32_t bit, const char *name, char *dst,
    size_t size, struct error *err)
{
	if ((*surfaces & bit) != 0)
		return error_set(err, 0,
		    "only one header and one query parameter can carry a "
		    "secret");
	if (*name == '\0' || strlcpy(dst, name, size) >= size)
		return error_set(err, 0, "a surface's name is 1 to 64 bytes");
	*surfaces |= bit;
	return 0;
}

int
cred_surface_parse(struct cred_spec *s, const char *text, struct error *err)
{
	if (str_starts(text, "header:"))
		return named(&s->surfaces, SURFACE_HEADER, text + 7, s->header,
		    sizeof(s->header), err);
	if (str_starts(text, "query:"))
		return named(&s->surfaces, SURFACE_QUERY, text + 6, s->query,
		    sizeof(s->query), err);
	if (str_starts(text, "basic:") && text[6] != '\0') {
		s->surfaces |= SURFACE_BASIC;
		if (strlcpy(s->user, text + 6, sizeof(s->user)) >=
		    sizeof(s->user))
			return error_set(err, 0, "the user name is too long");
		return 0;
	}
	for (size_t i = 0; i < nitems(plain); i++) {
		if (str_eq(text, plain[i].name)) {
			s->surfaces |= plain[i].bit;
			return 0;
		}
	}
	return error_set(err, 0,
	    "a surface is header:NAME, basic[:USER], query:NAME, path, "
	    "body:json, body:form, body:text or ws:text");
}

void
cred_surface_format(
    const struct cred_spec *s, uint32_t surface, char out[CRED_SURFACE_TEXT])
{
	out[0] = '\0';
	if (surface == SURFACE_HEADER)
		snprintf(out, CRED_SURFACE_TEXT, "header:%s", s->header);
	else if (surface == SURFACE_QUERY)
		snprintf(out, CRED_SURFACE_TEXT, "query:%s", s->query);
	for (size_t i = 0; i < nitems(plain); i++) {
		if (surface == plain[i].bit)
			strlcpy(out, plain[i].name, CRED_SURFACE_TEXT);
	}
}

/* ---- capture and hmac --------------------------------------------------- */

int
cred_capture_parse(struct cred_spec *s, const char *text, struct error *err)
{
	struct cred_capture *c = &s->capture;
	const char *colon = strchr(text, ':');
	size_t n;

	if (c->n != 0)
		return error_set(err, 0, "only one capture is possible");
	if (colon == NULL || (size_t)(colon - text) >= sizeof(c->path))
		return error_set(
		    err, 0, "a capture is like /oauth/token:.access_token");
	memcpy(c->path, text, (size_t)(colon - text));
	c->path[colon - text] = '\0';
	for (const char *p = colon + 1;; p += n + 1) {
		n = strcspn(p, ",");
		if (c->n == CRED_CAPTURE_MAX || n >= sizeof(c->names[0]))
			return error_set(err, 0,
			    "a capture names 1 to %u members",
			    CRED_CAPTURE_MAX);
		memcpy(c->names[c->n], p, n);
		c->names[c->n++][n] = '\0';
		if (p[n] == '\0')
			return 0;
	}
}

char *
cred_capture_format(const struct cred_spec *s)
{
	cleanup_buf struct buf b = { 0 };
	char *text;

	if (s->capture.n == 0)
		return xstrdup("");
	for (size_t i = 0; i < s->capture.n; i++)
		buf_printf(&b, "%s%s%s", i == 0 ? s->capture.path : "",
		    i == 0 ? ":" : ",", s->capture.names[i]);
	text = xstrndup((const char *)buf_head(&b), buf_len(&b));
	return text;
}

/* The keys of the text form, and where each goes. */
static char *
hmac_part(struct cred_hmac *h, const char *key, size_t n, size_t *size)
{
	const struct {
		const char *key;
		char *dst;
		size_t size;
	} parts[] = {
		{ "header", h->header, sizeof(h->header) },
		{ "alg", h->algorithm, sizeof(h->algorithm) },
		{ "encoding", h->encoding, sizeof(h->encoding) },
		{ "prefix", h->prefix, sizeof(h->prefix) },
		{ "signed", h->signed_, sizeof(h->signed_) },
		{ "timestamp", h->timestamp_header,
		    sizeof(h->timestamp_header) },
	};

	for (size_t i = 0; i < nitems(parts); i++) {
		if (strlen(parts[i].key) == n &&
		    memcmp(parts[i].key, key, n) == 0) {
			*size = parts[i].size;
			return parts[i].dst;
		}
	}
	return NULL;
}

/* "signed" comes last and may hold commas. */
int
cred_hmac_parse(struct cred_spec *s, const char *text, struct error *err)
{
	static const char form[] =
	    "an hmac is like header=X-Signature,alg=sha256,encoding=hex,"
	    "prefix=sha256=,signed={body}";
	struct cred_hmac *h = &s->hmac;

	memset(h, 0, sizeof(*h));
	strlcpy(h->algorithm, "sha256", sizeof(h->algorithm));
	strlcpy(h->encoding, "hex", sizeof(h->encoding));
	strlcpy(h->signed_, "{body}", sizeof(h->signed_));
	while (*text != '\0') {
		size_t n = strcspn(text, "="), size, len;
		char *dst = hmac_part(h, text, n, &size);

		if (dst == NULL || text[n] == '\0')
			return error_set(err, 0, "%s", form);
		text += n + 1;
		len = dst == h->signed_ ? strlen(text) : strcspn(text, ",");
		if (len >= size)
			return error_set(err, 0, "%s", form);
		memcpy(dst, text, len);
		dst[len] = '\0';
		text += len + (text[len] != '\0');
	}
	return 0;
}

char *
cred_hmac_format(const struct cred_spec *s)
{
	const struct cred_hmac *h = &s->hmac;

	if (h->algorithm[0] == '\0')
		return xstrdup("");
	return xasprintf("header=%s,alg=%s,encoding=%s%s%s%s%s,signed=%s",
	    h->header, h->algorithm, h->encoding,
	    h->prefix[0] != '\0' ? ",prefix=" : "", h->prefix,
	    h->timestamp_header[0] != '\0' ? ",timestamp=" : "",
	    h->timestamp_header, h->signed_);
}

void
cred_spec_defaults(struct cred_spec *s, bool has_scheme)
{
	for (size_t i = 0; i < s->nhosts; i++) {
		if (s->hosts[i].port == 0 && s->kind < CRED_KIND_MAX)
			s->hosts[i].port = ports[s->kind];
	}
	if (s->kind != CRED_TOKEN)
		return;
	if (s->surfaces == 0) {
		s->surfaces = SURFACE_HEADER;
		strlcpy(s->header, "Authorization", sizeof(s->header));
	}
	if (s->inject && !has_scheme &&
	    strcasecmp(s->header, "authorization") == 0)
		strlcpy(s->scheme, "Bearer", sizeof(s->scheme));
}
