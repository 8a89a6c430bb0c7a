#include "proxy/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/swap_int.h"

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

/* Another stub in its right place; false when that is a leak after all. */
static bool
add_slot(struct swap_plan *p, const struct binding *b, enum swap_verdict kind,
    const char *host, uint16_t port)
{
	bool twice = p->n == SWAP_SLOTS_MAX;

	for (size_t i = 0; i < p->n; i++)
		twice = twice || p->slot[i].cred == b->cred;
	if (twice) {
		leak(p, b, host, port, "more than one place");
		return false;
	}
	if (p->n == 0) {
		p->verdict = kind;
		p->cred = b->cred;
		strlcpy(p->name, b->name, sizeof(p->name));
	}
	p->slot[p->n].kind = kind;
	p->slot[p->n].cred = b->cred;
	p->n++;
	return true;
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
	size_t count;

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
	if (residue(bs, f, b, kind) != NULL) {
		leak(p, b, host, port, "more than one place");
		return false;
	}
	fields_get(&h->fields, f->name, &count);
	if (count != 1) {
		snprintf(where, sizeof(where), "one of several \"%s\" fields",
		    f->name);
		leak(p, b, host, port, where);
		return false;
	}
	return add_slot(p, b, kind, host, port);
}

/* The target: what is in no slot must hold no stub. */
static bool
judge_target(const struct req_head *h, const char *host, uint16_t port,
    const struct bindings *bs, struct swap_plan *p)
{
	struct swap_slot found[SWAP_SLOTS_MAX];
	cleanup_free char *rest = xstrdup(h->target);
	const struct binding *b;
	size_t n =
	    target_slots(h->target, host, port, bs, found, SWAP_SLOTS_MAX);

	for (size_t i = 0; i < n; i++) {
		b = bindings_cred(bs, found[i].cred);
		if (!add_slot(p, b, found[i].kind, host, port))
			return false;
		p->slot[p->n - 1] = found[i];
		memset(rest + found[i].at, ' ', found[i].len);
	}
	if ((b = bindings_find(bs, rest, strlen(rest))) == NULL)
		return true;
	leak(p, b, host, port, "the request target");
	return false;
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
		{ h->authority, "the host name" },
		{ h->sni, "the TLS server name" },
		{ h->dst, "the name of the destination" },
		{ h->method, "the method" },
	};
	const struct binding *b;

	for (size_t i = 0; i < nitems(parts); i++) {
		/* Usually the server name is that of the destination. */
		if (i > 0 && strcmp(parts[i].text, parts[i - 1].text) == 0)
			continue;
		b = bindings_find(bs, parts[i].text, strlen(parts[i].text));
		if (b == NULL && strchr(parts[i].text, '.') != NULL) {
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

const char *
slot_field(const struct bindings *bs, const struct swap_slot *s)
{
	const struct binding *b = bindings_cred(bs, s->cred);
	bool header = (b->spec.surfaces & SURFACE_HEADER) != 0;

	if (s->kind == SWAP_QUERY || s->kind == SWAP_PATH)
		return NULL;
	if (s->kind == SWAP_HEADER || (s->kind == SWAP_INJECT && header))
		return b->spec.header;
	return "Authorization";
}

/* Credentials that are put in unasked; a field takes one. */
static void
add_injected(const char *host, uint16_t port, const struct bindings *bs,
    struct swap_plan *p)
{
	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *b = &bs->b[i];
		struct swap_slot fresh = { .kind = SWAP_INJECT,
			.cred = b->cred };
		bool taken = !b->spec.inject || b->revoked ||
			     b->spec.kind != CRED_TOKEN ||
			     p->n == SWAP_SLOTS_MAX ||
			     !binding_is_for(b, host, port);

		for (size_t k = 0; k < p->n && !taken; k++) {
			const char *used = slot_field(bs, &p->slot[k]);

			taken =
			    p->slot[k].cred == b->cred ||
			    (used != NULL &&
				strcasecmp(used, slot_field(bs, &fresh)) == 0);
		}
		if (!taken)
			(void)add_slot(p, b, SWAP_INJECT, host, port);
	}
}

bool
swap_is_fine(const struct swap_plan *p)
{
	return p->verdict >= SWAP_NONE;
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
	if (!judge_target(h, host, port, bs, p) ||
	    !judge_rest(h, host, port, bs, p))
		return;
	if ((b = split_find(h, bs, p)) != NULL) {
		leak(p, b, host, port, "several parts");
		return;
	}
	for (size_t i = 0; i < p->n; i++) {
		b = bindings_cred(bs, p->slot[i].cred);
		if (!b->revoked)
			continue;
		p->verdict = SWAP_REVOKED;
		p->cred = b->cred;
		strlcpy(p->name, b->name, sizeof(p->name));
		snprintf(p->reason, sizeof(p->reason),
		    "credential \"%s\" has been revoked", b->name);
		return;
	}
	if (p->n > 0 && !h->tls) {
		p->verdict = SWAP_PLAINTEXT;
		snprintf(p->reason, sizeof(p->reason),
		    "credential \"%s\" is only sent over https", p->name);
		return;
	}
	if (h->tls)
		add_injected(host, port, bs, p);
}
