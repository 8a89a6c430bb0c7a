/* The body of a request on its way out: what is put in, what must be whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_ws.h"
#include "proxy/swap_body.h"

_Static_assert(BACK_CREDS_MAX <= SWAP_BODY_CREDS_MAX,
    "all credentials of an exchange may be for its body");

#define FILL_MAX 16384u /* bytes at once through what changes them */

struct xch_body {
	struct swap_body *swap; /* NULL: nothing is put in */
	bool whole;             /* the head waits until all of it is here */
	bool chunks;            /* each is signed: xch_sign_feed() */
	bool ended;             /* data holds the end */
	size_t counted;         /* of back->held */
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

static struct xch_body *
body_of(struct exchange *x)
{
	if (x->body == NULL)
		x->body = body_new();
	return x->body;
}

void
xch_body_free(struct exchange *x)
{
	struct xch_body *b = x->body;

	if (b == NULL)
		return;
	x->back->held -= b->counted;
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
		    (cred_surfaces_at(&b->spec, x->head.target) & surface) == 0)
			continue;
		if (body_of(x)->swap == NULL)
			x->body->swap = swap_body_new(type);
		swap_body_add(x->body->swap, b->stub, x->cred[i].value);
	}
}

/* The head waits for all of the body: false when that is too long. */
static bool
make_whole(struct exchange *x, const char *because)
{
	char why[160];

	body_of(x)->whole = true;
	if (x->head.kind != BODY_LENGTH || x->head.length <= BODY_REWRITE_MAX)
		return true;
	snprintf(why, sizeof(why),
	    "%s, and only bodies up to %u bytes are held for that", because,
	    BODY_REWRITE_MAX);
	xch_refuse(x, 413, "limit", why, "send a smaller body");
	return false;
}

bool
xch_body_prepare(struct exchange *x)
{
	enum xch_sign_body sign = xch_sign_body(x);

	if (sign == SIGN_CHUNKS) {
		body_of(x)->chunks = true;
		return true;
	}
	add_swap(x, type_of(x));
	if (x->body != NULL && is_encoded(x)) {
		xch_refuse(x, 415, "encoded_body",
		    "the body is compressed, so the credential that belongs "
		    "into it cannot be put in",
		    "send the request without Content-Encoding");
		return false;
	}
	if (sign == SIGN_WHOLE_BODY &&
	    !make_whole(x, "the signature covers the body"))
		return false;
	if (x->body != NULL && x->body->swap != NULL &&
	    x->head.kind == BODY_LENGTH &&
	    !swap_body_keeps_length(x->body->swap))
		return make_whole(
		    x, "the credential changes the length of the body");
	return true;
}

const struct buf *
xch_body_whole(const struct exchange *x)
{
	return x->body != NULL && x->body->whole ? &x->body->data : NULL;
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
	if (x->ws != NULL)
		return xch_ws_data(x);
	return x->body == NULL ? &x->req : &x->body->data;
}

uint64_t
xch_body_swapped(const struct exchange *x)
{
	if (x->ws != NULL)
		return xch_ws_swapped(x);
	if (x->body == NULL || x->body->swap == NULL)
		return 0;
	return swap_body_count(x->body->swap);
}

static int
put(struct exchange *x, const uint8_t *p, size_t n, struct error *err)
{
	struct xch_body *b = x->body;

	if (b->chunks)
		return xch_sign_feed(x, p, n, &b->data, err);
	if (b->swap != NULL)
		swap_body_feed(b->swap, p, n, &b->data);
	else
		buf_put(&b->data, p, n);
	return 0;
}

static int
put_end(struct exchange *x, struct error *err)
{
	struct xch_body *b = x->body;

	b->ended = true;
	if (b->chunks)
		return xch_sign_end(x, &b->data, err);
	if (b->swap != NULL)
		swap_body_end(b->swap, &b->data);
	return 0;
}

/* What is held is memory that a job chooses the size of: false if it is too
 * much, all exchanges together. */
static bool
count_held(struct exchange *x)
{
	struct xch_body *b = x->body;
	size_t now = b->chunks  ? xch_sign_held(x)
		     : b->whole ? buf_len(&b->data)
				: 0;

	x->back->held += now - b->counted;
	b->counted = now;
	if (x->back->held <= BACK_HELD_MAX)
		return true;
	xch_fail(x, 503, "limit",
	    "too many bodies are held at once until they are whole",
	    "wait for some requests to finish");
	return false;
}

size_t
xch_body_fill(struct exchange *x)
{
	struct xch_body *b = x->body;
	struct error err = { 0 };
	size_t used = 0;
	int rc = 0;

	if (x->ws != NULL)
		return xch_ws_fill(x);
	if (b == NULL || b->ended)
		return 0;
	while (buf_len(&x->req) > 0 && rc == 0 &&
	       (b->whole || buf_len(&b->data) < FILL_MAX)) {
		size_t n = buf_len(&x->req);

		n = n < FILL_MAX ? n : FILL_MAX;
		xch_sign_seen(x, buf_head(&x->req), n);
		rc = put(x, buf_head(&x->req), n, &err);
		buf_consume(&x->req, n);
		used += n;
		if (b->whole && buf_len(&b->data) > BODY_REWRITE_MAX) {
			xch_fail(x, 413, "limit",
			    "the body is too large to be held until it is "
			    "whole",
			    "send a smaller body");
			return 0;
		}
	}
	if (rc == 0 && x->req_ended && buf_len(&x->req) == 0)
		rc = put_end(x, &err);
	if (rc < 0) {
		xch_fail(x, 400, "bad_upload", err.msg,
		    "send the chunks as the head says");
		return 0;
	}
	return count_held(x) ? used : 0;
}
