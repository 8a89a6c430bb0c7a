/* The body of a request on its way out: what is put in, what must be whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/swap_body.h"

#define FILL_MAX 16384u /* bytes at once through what changes them */

struct xch_body {
	struct swap_body *swap; /* NULL: nothing is put in */
	bool whole;             /* the head waits until all of it is here */
	bool ended;             /* data holds the end */
	struct buf data;        /* to go out next; wiped */
};

static uint32_t
surface_of(enum swap_body_type type)
{
	switch (type) {
	case SWAP_BODY_JSON:
		return SURFACE_BODY_JSON;
	case SWAP_BODY_FORM:
		return SURFACE_BODY_FORM;
	case SWAP_BODY_TEXT:
		return SURFACE_BODY_TEXT;
	case SWAP_BODY_NONE:
		return 0;
	}
	return 0;
}

/* The one Content-Type; two mean nothing. */
static enum swap_body_type
type_of(const struct exchange *x)
{
	size_t count;
	const char *v = fields_get(&x->head.fields, "content-type", &count);

	if (x->head.kind == BODY_NONE || x->head.protocol[0] != '\0')
		return SWAP_BODY_NONE;
	return swap_body_type(count == 1 ? v : NULL);
}

static bool
is_encoded(const struct exchange *x)
{
	size_t count;
	const char *v = fields_get(&x->head.fields, "content-encoding", &count);

	return count > 1 ||
	       (v != NULL && v[0] != '\0' && strcasecmp(v, "identity") != 0);
}

static struct xch_body *
body_new(void)
{
	struct xch_body *b = xcalloc(1, sizeof(*b));

	buf_init_wipe(&b->data, 0);
	return b;
}

void
xch_body_free(struct exchange *x)
{
	struct xch_body *b = x->body;

	if (b == NULL)
		return;
	swap_body_free(b->swap);
	buf_free(&b->data);
	free(b);
	x->body = NULL;
}

/* Credentials of the host that are for bodies of that type. */
static void
add_swap(struct exchange *x, enum swap_body_type type)
{
	uint32_t surface = surface_of(type);

	for (size_t i = 0; surface != 0 && i < x->ncreds; i++) {
		const struct binding *b =
		    bindings_cred(&x->back->bindings, x->cred[i].cred);

		if (b == NULL || b->revoked || x->cred[i].value == NULL ||
		    (b->spec.surfaces & surface) == 0)
			continue;
		if (x->body == NULL)
			x->body = body_new();
		if (x->body->swap == NULL)
			x->body->swap = swap_body_new(type);
		swap_body_add(x->body->swap, b->stub, x->cred[i].value);
	}
}

bool
xch_body_prepare(struct exchange *x)
{
	char why[128];

	add_swap(x, type_of(x));
	if (x->body == NULL)
		return true;
	if (x->body->swap != NULL && is_encoded(x)) {
		xch_refuse(x, 415, "encoded_body",
		    "the body is compressed, so the credential that belongs "
		    "into it cannot be put in",
		    "send the request without Content-Encoding");
		return false;
	}
	if (x->body->swap != NULL && x->head.kind == BODY_LENGTH &&
	    !swap_body_keeps_length(x->body->swap))
		x->body->whole = true;
	if (x->body->whole && x->head.kind == BODY_LENGTH &&
	    x->head.length > BODY_REWRITE_MAX) {
		snprintf(why, sizeof(why),
		    "the credential changes the length of the body, and only "
		    "bodies up to %u bytes are rewritten",
		    BODY_REWRITE_MAX);
		xch_refuse(x, 413, "limit", why, "send a smaller body");
		return false;
	}
	return true;
}

bool
xch_body_waits(const struct exchange *x)
{
	return x->body != NULL && x->body->whole && !x->body->ended;
}

void
xch_body_length(const struct exchange *x, struct req_head *h)
{
	if (x->body == NULL || !x->body->whole || x->req_trailers.n > 0 ||
	    h->kind == BODY_NONE)
		return;
	h->kind = BODY_LENGTH;
	h->length = buf_len(&x->body->data);
}

struct buf *
xch_body_data(struct exchange *x)
{
	return x->body == NULL ? &x->req : &x->body->data;
}

uint64_t
xch_body_swapped(const struct exchange *x)
{
	if (x->body == NULL || x->body->swap == NULL)
		return 0;
	return swap_body_count(x->body->swap);
}

static void
put(struct xch_body *b, const uint8_t *p, size_t n)
{
	if (b->swap != NULL)
		swap_body_feed(b->swap, p, n, &b->data);
	else
		buf_put(&b->data, p, n);
}

size_t
xch_body_fill(struct exchange *x)
{
	struct xch_body *b = x->body;
	size_t used = 0;

	if (b == NULL || b->ended)
		return 0;
	while (buf_len(&x->req) > 0 &&
	       (b->whole || buf_len(&b->data) < FILL_MAX)) {
		size_t n = buf_len(&x->req);

		n = n < FILL_MAX ? n : FILL_MAX;
		put(b, buf_head(&x->req), n);
		buf_consume(&x->req, n);
		used += n;
		if (b->whole && buf_len(&b->data) > BODY_REWRITE_MAX) {
			xch_fail(x, 413, "limit",
			    "the body is too large to be rewritten",
			    "send a smaller body");
			return 0;
		}
	}
	if (x->req_ended && buf_len(&x->req) == 0) {
		if (b->swap != NULL)
			swap_body_end(b->swap, &b->data);
		b->ended = true;
	}
	return used;
}
