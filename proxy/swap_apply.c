#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/swap_int.h"

/* Fields that carry a caller's own key at one API or another. */
static const char *const auth_fields[] = { "Authorization",
	"Proxy-Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key",
	"X-Auth-Token", "X-Access-Token", "Private-Token", "Job-Token",
	"X-Gitlab-Token", "X-Amz-Security-Token", "Apikey" };

/* Parameters of a query that do.  "key" and "token" mean other things, too. */
static const char *const auth_params[] = { "access_token", "private_token",
	"job_token", "auth_token", "oauth_token", "api_key", "api-key",
	"apikey" };

/* Is there a stub in the field of that name? */
static bool
holds_slot(
    const struct bindings *bs, const struct swap_plan *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *used = slot_field(bs, &p->slot[i]);

		if (p->slot[i].kind != SWAP_INJECT && used != NULL &&
		    strcasecmp(used, name) == 0)
			return true;
	}
	return false;
}

/* What a signature is made anew from stays until then. */
static bool
is_signature(
    const struct req_head *h, const struct binding *b, const char *name)
{
	const char *v = fields_get(&h->fields, name, NULL);

	if (b->revoked || v == NULL)
		return false;
	if (b->spec.kind == CRED_SIGV4)
		return strcasecmp(name, "authorization") == 0 &&
		       str_starts(v, "AWS4-");
	return b->spec.kind == CRED_HMAC &&
	       strcasecmp(name, b->spec.hmac.header) == 0;
}

/* Remove fields of that name in another spelling than with hyphens. */
static unsigned int
strip_spellings(struct fields *fs, const struct bindings *bs,
    const struct swap_plan *p, const char *name)
{
	unsigned int n = 0;

	for (size_t i = 0; i < fs->n;) {
		const char *have = fs->f[i].name;

		if (strcasecmp(have, name) == 0 || !wire_is_name(have, name) ||
		    holds_slot(bs, p, have)) {
			i++;
			continue;
		}
		cleanup_free char *gone = xstrdup(have);
		fields_remove(fs, gone);
		n++;
	}
	return n;
}

static unsigned int
strip_name(struct req_head *h, const struct swap_plan *p, const char *name,
    const char *host, uint16_t port, const struct bindings *bs)
{
	unsigned int other = strip_spellings(&h->fields, bs, p, name);
	size_t count;

	fields_get(&h->fields, name, &count);
	if (count == 0 || holds_slot(bs, p, name))
		return other;
	for (size_t i = 0; i < bs->n; i++)
		if (binding_is_for(&bs->b[i], host, port) &&
		    is_signature(h, &bs->b[i], name))
			return other;
	fields_remove(&h->fields, name);
	return other + (unsigned int)count;
}

static unsigned int
strip_param(struct req_head *h, struct swap_plan *p, const char *name,
    const char *host, uint16_t port, const struct bindings *bs)
{
	unsigned int moved = target_strip(h->target, name, p);

	/* What is left of the target has other places. */
	if (moved > 0)
		swap_judge(h, host, port, bs, p);
	return moved;
}

unsigned int
swap_strip(struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p)
{
	unsigned int n = 0;
	bool bound = false;

	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *b = &bs->b[i];

		if (!binding_is_for(b, host, port))
			continue;
		bound = true;
		if ((b->spec.surfaces & SURFACE_HEADER) != 0)
			n += strip_name(h, p, b->spec.header, host, port, bs);
		if ((b->spec.surfaces & SURFACE_QUERY) != 0)
			n += strip_param(h, p, b->spec.query, host, port, bs);
	}
	for (size_t i = 0; bound && i < nitems(auth_params); i++)
		n += strip_param(h, p, auth_params[i], host, port, bs);
	for (size_t i = 0; bound && i < nitems(auth_fields); i++)
		n += strip_name(h, p, auth_fields[i], host, port, bs);
	return n;
}

unsigned int
swap_strip_trailers(struct fields *fs, const char *host, uint16_t port,
    const struct bindings *bs)
{
	size_t was = fs->n;
	bool bound = false;

	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *b = &bs->b[i];

		if (!binding_is_for(b, host, port))
			continue;
		bound = true;
		if ((b->spec.surfaces & SURFACE_HEADER) != 0)
			fields_remove(fs, b->spec.header);
	}
	for (size_t i = 0; bound && i < nitems(auth_fields); i++)
		fields_remove(fs, auth_fields[i]);
	return (unsigned int)(was - fs->n);
}

/* ---- putting in ---------------------------------------------------------- */

static void
set_value(struct field *f, char *fresh)
{
	explicit_bzero(f->value, strlen(f->value));
	free(f->value);
	f->value = fresh;
	f->secret = true;
}

static int
apply_basic(struct field *f, const struct binding *b, const char *value,
    struct error *err)
{
	struct basic a;
	char *fresh;

	if (!basic_parse(f->value, &a))
		return error_set(err, 0, "Basic authentication is malformed");
	if (strcmp(a.user, b->stub) != 0 && strcmp(a.pass, b->stub) != 0) {
		basic_free(&a);
		return error_set(err, 0, "the credential is not where it was");
	}
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
	set_value(f, fresh);
	return 0;
}

/* The value may be longer or shorter than its placeholder. */
static void
apply_header(struct field *f, const char *stub, const char *value)
{
	size_t before = (size_t)(strstr(f->value, stub) - f->value);
	const char *rest = f->value + before + strlen(stub);

	set_value(f, xasprintf("%.*s%s%s", (int)before, f->value, value, rest));
}

/* Fields of that name have been stripped. */
static void
inject(struct req_head *h, const struct binding *b, const char *value)
{
	bool header = (b->spec.surfaces & SURFACE_HEADER) != 0;
	const char *name = header ? b->spec.header : "Authorization";
	char *text;

	if (!header)
		text = basic_write(b->spec.user, value);
	else
		text = xasprintf("%s%s%s", b->spec.scheme,
		    b->spec.scheme[0] != '\0' ? " " : "", value);
	fields_remove(&h->fields, name);
	fields_add(&h->fields, name, strlen(name), text, strlen(text));
	h->fields.f[h->fields.n - 1].secret = true;
	explicit_bzero(text, strlen(text));
	free(text);
}

/* The field of a slot, which is there once and holds the stub somehow. */
static struct field *
find_field(struct req_head *h, const char *name)
{
	struct field *found = NULL;

	for (size_t i = 0; i < h->fields.n; i++) {
		if (strcasecmp(h->fields.f[i].name, name) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = &h->fields.f[i];
	}
	return found;
}

static int
apply_slot(struct req_head *h, const struct bindings *bs,
    const struct swap_slot *s, const char *value, struct error *err)
{
	const struct binding *b = bindings_cred(bs, s->cred);
	const char *name = slot_field(bs, s);
	struct field *f = name == NULL ? NULL : find_field(h, name);
	char *target;

	if (s->kind == SWAP_INJECT) {
		inject(h, b, value);
		return 0;
	}
	if (s->kind == SWAP_HEADER && f != NULL &&
	    strstr(f->value, b->stub) != NULL) {
		apply_header(f, b->stub, value);
		return 0;
	}
	if (s->kind == SWAP_BASIC && f != NULL)
		return apply_basic(f, b, value, err);
	/* Some servers take an escaped slash for one, and the policy has
	 * judged another path. */
	if (s->kind == SWAP_PATH && strpbrk(value, "/\\%?#") != NULL)
		return error_set(err, 0,
		    "credential \"%s\" does not fit a segment of a path",
		    b->name);
	if ((s->kind == SWAP_QUERY || s->kind == SWAP_PATH) &&
	    target_holds(h->target, s, b->stub)) {
		target = target_swap(h->target, s, value, strlen(value));
		explicit_bzero(h->target, strlen(h->target));
		free(h->target);
		h->target = target;
		return 0;
	}
	return error_set(err, 0, "the credential is not where it was");
}

/* A copy with its end, for text functions; NULL if it does not fit a head. */
static char *
value_text(const struct swap_value *v, size_t n, uint32_t cred)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *p;
		size_t len;

		if (v[i].cred != cred || v[i].value == NULL)
			continue;
		p = secret_bytes(v[i].value);
		len = secret_len(v[i].value);
		/* No way to end the field and start another (attack 16). */
		for (size_t k = 0; k < len; k++)
			if (p[k] < 0x20 || p[k] == 0x7f)
				return NULL;
		return xstrndup((const char *)p, len);
	}
	return NULL;
}

int
swap_apply(struct req_head *h, const struct bindings *bs,
    const struct swap_plan *p, const struct swap_value *v, size_t n,
    struct error *err)
{
	int rc = 0;

	if (!swap_is_fine(p))
		return error_set(err, 0, "the credential changed meanwhile");
	/* From the end, where the target's places stay what they are. */
	for (size_t i = p->n; i-- > 0 && rc == 0;) {
		const struct swap_slot *s = &p->slot[i];
		const struct binding *b = bindings_cred(bs, s->cred);
		char *text;

		if (b == NULL || (text = value_text(v, n, s->cred)) == NULL)
			return error_set(err, 0,
			    "a credential is not there or does not fit the "
			    "head of a request");
		rc = apply_slot(h, bs, s, text, err);
		explicit_bzero(text, strlen(text));
		free(text);
	}
	return rc;
}
