#include "proxy/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/scan.h"

/* Decoded Basic credentials: user ':' password, NUL-terminated parts. */
struct basic {
	char *text; /* owns; wiped */
	size_t len;
	char *user;
	char *pass;
};

static void
basic_free(struct basic *a)
{
	if (a->text != NULL)
		explicit_bzero(a->text, a->len);
	free(a->text);
	a->text = NULL;
}

/* The part of a Basic field value after the scheme; NULL if not Basic. */
static const char *
basic_token(const char *value)
{
	if (strncasecmp(value, "basic", 5) != 0 ||
	    (value[5] != ' ' && value[5] != '\t'))
		return NULL;
	value += 5;
	return value + strspn(value, " \t");
}

/* Alphabet and padding at the end only: what every reader reads alike. */
static bool
basic_is_plain(const char *s)
{
	while (*s != '\0' && scan_b64_value((uint8_t)*s) >= 0)
		s++;
	return s[strspn(s, "=")] == '\0';
}

static bool
basic_parse(const char *value, struct basic *a)
{
	const char *token = basic_token(value);

	memset(a, 0, sizeof(*a));
	if (token == NULL || !basic_is_plain(token))
		return false;
	a->text = xcalloc(1, strlen(token) + 4);
	a->len = binding_b64_lax(token, strlen(token), (uint8_t *)a->text);
	a->user = a->text;
	a->pass = memchr(a->text, ':', a->len);
	if (a->pass == NULL || memchr(a->text, '\0', a->len) != NULL) {
		basic_free(a);
		return false;
	}
	*a->pass++ = '\0';
	return true;
}

/* Any stub in a field value, also behind a scheme in lax base64. */
static const struct binding *
value_find(const struct bindings *bs, const char *v)
{
	const struct binding *b = bindings_find(bs, v, strlen(v));
	const char *rest = strpbrk(v, " \t");
	size_t n;

	if (b != NULL || rest == NULL)
		return b;
	n = strlen(rest);
	cleanup_free uint8_t *text = xmalloc(n + 4);
	n = binding_b64_lax(rest, n, text);
	b = bindings_find(bs, (const char *)text, n);
	return b;
}

static void
leak(struct swap_plan *p, const struct binding *b, const char *host,
    uint16_t port, const char *where)
{
	p->verdict = SWAP_LEAK;
	p->cred = b->cred;
	strlcpy(p->name, b->name, sizeof(p->name));
	if (binding_is_for(b, host, port))
		snprintf(p->reason, sizeof(p->reason),
		    "the placeholder of credential \"%s\" stands in %s, where "
		    "it is not accepted",
		    b->name, where);
	else
		snprintf(p->reason, sizeof(p->reason),
		    "the placeholder of credential \"%s\" is bound to %s:%u "
		    "and was sent to %s:%u in %s",
		    b->name, b->spec.hosts[0].host, b->spec.hosts[0].port, host,
		    port, where);
}

/* Does the stub of b stand in this field the way b declares? */
static enum swap_verdict
slot_of(const struct field *f, const struct binding *b)
{
	if ((b->spec.surfaces & SURFACE_BASIC) != 0 &&
	    strcasecmp(f->name, "authorization") == 0) {
		struct basic a;
		bool is_slot;

		if (basic_parse(f->value, &a)) {
			is_slot = strcmp(a.user, b->stub) == 0 ||
				  strcmp(a.pass, b->stub) == 0;
			basic_free(&a);
			if (is_slot)
				return SWAP_BASIC;
		}
	}
	if ((b->spec.surfaces & SURFACE_HEADER) != 0 &&
	    strcasecmp(f->name, b->spec.header) == 0 &&
	    strstr(f->value, b->stub) != NULL)
		return SWAP_HEADER;
	return SWAP_NONE;
}

/* With the stub taken out, is there another one in the same field? */
static const struct binding *
residue(const struct bindings *bs, const struct field *f,
    const struct binding *b, enum swap_verdict kind)
{
	const struct binding *other = NULL;

	if (kind == SWAP_BASIC) {
		struct basic a;

		if (!basic_parse(f->value, &a))
			return b;
		if (strcmp(a.user, b->stub) == 0)
			other = bindings_find(bs, a.pass, strlen(a.pass));
		else
			other = bindings_find(bs, a.user, strlen(a.user));
		basic_free(&a);
		return other;
	}
	cleanup_free char *rest = xstrdup(f->value);
	char *at = strstr(rest, b->stub);
	memset(at, ' ', strlen(b->stub));
	return value_find(bs, rest);
}

/* Judge one field: false when the plan is final (a leak). */
static bool
judge_field(const struct req_head *h, size_t i, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p)
{
	const struct field *f = &h->fields.f[i];
	enum swap_verdict kind = SWAP_NONE;
	const struct binding *b;
	char where[WIRE_NAME_MAX + 32];

	if ((b = bindings_find(bs, f->name, strlen(f->name))) != NULL) {
		leak(p, b, host, port, "the name of a field");
		return false;
	}
	if ((b = value_find(bs, f->value)) == NULL)
		return true;
	snprintf(where, sizeof(where), "field \"%s\"", f->name);
	if (!binding_is_for(b, host, port) ||
	    (kind = slot_of(f, b)) == SWAP_NONE) {
		leak(p, b, host, port, where);
		return false;
	}
	if (p->verdict != SWAP_NONE || residue(bs, f, b, kind) != NULL) {
		leak(p, b, host, port, "more than one place");
		return false;
	}
	size_t count;
	fields_get(&h->fields, f->name, &count);
	if (count != 1) {
		snprintf(where, sizeof(where), "one of several \"%s\" fields",
		    f->name);
		leak(p, b, host, port, where);
		return false;
	}
	p->verdict = kind;
	p->cred = b->cred;
	p->field = i;
	strlcpy(p->name, b->name, sizeof(p->name));
	return true;
}

/* The parts of a head in which no stub is ever right. */
static bool
judge_rest(const struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p)
{
	const struct {
		const char *text;
		const char *where;
	} parts[] = {
		{ h->target, "the request target" },
		{ h->authority, "the host name" },
		{ h->sni, "the TLS server name" },
		{ h->dst, "the name of the destination" },
		{ h->method, "the method" },
	};
	const struct binding *b;

	for (size_t i = 0; i < nitems(parts); i++) {
		b = bindings_find(bs, parts[i].text, strlen(parts[i].text));
		if (b == NULL && i > 0) {
			/* Cut into labels of a host name. */
			cleanup_free char *joined = xstrdup(parts[i].text);
			size_t n = 0;

			for (const char *s = parts[i].text; *s != '\0'; s++)
				if (*s != '.')
					joined[n++] = *s;
			b = bindings_find(bs, joined, n);
		}
		if (b != NULL) {
			leak(p, b, host, port, parts[i].where);
			return false;
		}
	}
	return true;
}

void
swap_judge(const struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p)
{
	const struct binding *b;

	memset(p, 0, sizeof(*p));
	p->verdict = SWAP_NONE;
	for (size_t i = 0; i < h->fields.n; i++)
		if (!judge_field(h, i, host, port, bs, p))
			return;
	if (!judge_rest(h, host, port, bs, p) || p->verdict == SWAP_NONE)
		return;
	b = bindings_cred(bs, p->cred);
	if (b->revoked) {
		p->verdict = SWAP_REVOKED;
		snprintf(p->reason, sizeof(p->reason),
		    "credential \"%s\" has been revoked", b->name);
	} else if (!h->tls) {
		p->verdict = SWAP_PLAINTEXT;
		snprintf(p->reason, sizeof(p->reason),
		    "credential \"%s\" is only sent over https", b->name);
	}
}

/* Fields that carry a caller's own key at one API or another. */
static const char *const auth_fields[] = { "Authorization",
	"Proxy-Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key",
	"X-Auth-Token", "X-Access-Token", "Private-Token", "Job-Token",
	"X-Gitlab-Token", "X-Amz-Security-Token", "Apikey" };

static unsigned int
strip_name(struct req_head *h, const char *name, const char *keep)
{
	size_t count;

	if (keep != NULL && strcasecmp(name, keep) == 0)
		return 0;
	fields_get(&h->fields, name, &count);
	if (count > 0)
		fields_remove(&h->fields, name);
	return (unsigned int)count;
}

unsigned int
swap_strip(struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs)
{
	struct swap_plan p;
	cleanup_free char *keep = NULL;
	unsigned int n = 0;
	bool bound = false;

	swap_judge(h, host, port, bs, &p);
	if (p.verdict == SWAP_HEADER || p.verdict == SWAP_BASIC)
		keep = xstrdup(h->fields.f[p.field].name);
	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *b = &bs->b[i];

		if (!binding_is_for(b, host, port))
			continue;
		bound = true;
		if ((b->spec.surfaces & SURFACE_HEADER) != 0)
			n += strip_name(h, b->spec.header, keep);
	}
	for (size_t i = 0; bound && i < nitems(auth_fields); i++)
		n += strip_name(h, auth_fields[i], keep);
	return n;
}

static char *
basic_write(const char *user, const char *pass)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz0123456789+/";
	char *text = xasprintf("%s:%s", user, pass);
	size_t n = strlen(text), at = 0;
	char *out = xmalloc(6 + (n + 2) / 3 * 4 + 1);

	memcpy(out, "Basic ", 6);
	at = 6;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)text[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)(uint8_t)text[i + 1] << 8;
		if (i + 2 < n)
			v |= (uint8_t)text[i + 2];
		out[at++] = set[v >> 18];
		out[at++] = set[(v >> 12) & 63];
		out[at++] = i + 1 < n ? set[(v >> 6) & 63] : '=';
		out[at++] = i + 2 < n ? set[v & 63] : '=';
	}
	out[at] = '\0';
	explicit_bzero(text, n);
	free(text);
	return out;
}

static int
apply_basic(struct field *f, const struct binding *b, const char *value,
    struct error *err)
{
	struct basic a;
	char *fresh;

	if (!basic_parse(f->value, &a))
		return error_set(err, 0, "Basic authentication is malformed");
	if (strcmp(a.user, b->stub) == 0) {
		/* A colon would move the border to the password. */
		if (strchr(value, ':') != NULL) {
			basic_free(&a);
			return error_set(err, 0,
			    "credential \"%s\" cannot be a user name", b->name);
		}
		fresh = basic_write(value, a.pass);
	} else {
		fresh = basic_write(
		    b->spec.user[0] != '\0' ? b->spec.user : a.user, value);
	}
	basic_free(&a);
	explicit_bzero(f->value, strlen(f->value));
	free(f->value);
	f->value = fresh;
	return 0;
}

/* The value may be longer or shorter than its placeholder. */
static void
apply_header(struct field *f, const char *stub, const uint8_t *v, size_t n)
{
	size_t before = (size_t)(strstr(f->value, stub) - f->value);
	const char *rest = f->value + before + strlen(stub);
	size_t after = strlen(rest) + 1;
	char *fresh = xmalloc(before + n + after);

	memcpy(fresh, f->value, before);
	memcpy(fresh + before, v, n);
	memcpy(fresh + before + n, rest, after);
	free(f->value);
	f->value = fresh;
}

int
swap_apply(struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, uint32_t cred, const struct secret *value,
    struct error *err)
{
	const uint8_t *v = secret_bytes(value);
	size_t n = secret_len(value);
	const struct binding *b;
	struct swap_plan p;
	struct field *f;
	int rc = 0;

	swap_judge(h, host, port, bs, &p);
	if ((p.verdict != SWAP_HEADER && p.verdict != SWAP_BASIC) ||
	    p.cred != cred)
		return error_set(err, 0, "the credential changed meanwhile");
	b = bindings_cred(bs, cred);
	f = &h->fields.f[p.field];
	/* No way to end the field and start another (attack 16). */
	for (size_t i = 0; i < n; i++)
		if (v[i] < 0x20 || v[i] == 0x7f)
			return error_set(err, 0,
			    "credential \"%s\" does not fit a header field",
			    b->name);
	f->secret = true;
	if (p.verdict == SWAP_HEADER) {
		apply_header(f, b->stub, v, n);
		return 0;
	}
	char *text = xstrndup((const char *)v, n);
	rc = apply_basic(f, b, text, err);
	explicit_bzero(text, n);
	free(text);
	return rc;
}
