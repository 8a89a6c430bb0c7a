/* The body of a request on its way out: what is put in, what must be whole. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_ws.h"
#include "proxy/codec.h"
#include "proxy/override.h"
#include "proxy/swap_body.h"

_Static_assert(BACK_CREDS_MAX <= SWAP_BODY_CREDS_MAX,
    "all credentials of an exchange may be for its body");

#define FILL_MAX 16384u /* bytes at once through what changes them */
#define HOLD_MAX 65536u /* until it is known what method they ask for */

struct xch_body {
	struct swap_body *swap; /* NULL: nothing is put in */
	bool whole;             /* the head waits until all of it is here */
	bool chunks;            /* each is signed: xch_sign_feed() */
	bool ended;             /* data holds the end */
	size_t counted;         /* of back->held */
	struct buf data;        /* to go out next; wiped */
	/* The body is compressed, and must be looked into. */
	struct decoder *decoder;
	bool plain; /* it goes out decoded */
	bool more;  /* of what the decoder has taken */
	struct buf decoded;
	/* It may ask for another method. */
	struct override *over;
	struct buf before; /* waits for what over says; wiped */
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

/* The codings of the body; -1 when they are none of ours. */
static int
read_codings(const struct exchange *x, struct codings *cs)
{
	memset(cs, 0, sizeof(*cs));
	for (size_t i = 0; i < x->head.fields.n; i++) {
		const struct field *f = &x->head.fields.f[i];

		if (strcasecmp(f->name, "content-encoding") == 0 &&
		    codings_add(cs, f->value) < 0)
			return -1;
	}
	return 0;
}

static struct xch_body *
body_new(void)
{
	struct xch_body *b = xcalloc(1, sizeof(*b));

	buf_init_wipe(&b->data, 0);
	buf_init_wipe(&b->decoded, 0);
	buf_init_wipe(&b->before, 0);
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
	decoder_free(b->decoder);
	override_free(b->over);
	buf_free(&b->data);
	buf_free(&b->decoded);
	buf_free(&b->before);
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

/*
 * Something in the body matters: a compressed one is decoded, and goes out so
 * if it is changed.  False when the exchange has been refused.
 */
static bool
prepare_decoding(struct exchange *x)
{
	struct xch_body *b = x->body;
	struct codings cs;

	if (b->swap == NULL && b->over == NULL)
		return true;
	if (read_codings(x, &cs) < 0) {
		xch_refuse(x, 415, "encoded_body",
		    "the body is compressed in a way that this proxy cannot "
		    "undo, and has to be looked into",
		    "send the request without Content-Encoding");
		return false;
	}
	if (cs.n == 0)
		return true;
	b->decoder = decoder_new(&cs, &x->back->codecs);
	b->plain = b->swap != NULL;
	/* Not every server takes a body whose length it is not told. */
	return !b->plain || x->head.kind != BODY_LENGTH ||
	       make_whole(x, "the compressed body is sent on plain");
}

bool
xch_body_prepare(struct exchange *x)
{
	enum xch_sign_body sign = xch_sign_body(x);
	struct override *over;

	if (sign == SIGN_CHUNKS) {
		body_of(x)->chunks = true;
		return true;
	}
	add_swap(x, type_of(x));
	if ((over = xch_override_in_body(x)) != NULL)
		body_of(x)->over = over;
	if (x->body != NULL && !prepare_decoding(x))
		return false;
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
xch_body_changes(const struct exchange *x)
{
	return x->body != NULL &&
	       (x->body->swap != NULL || x->body->decoder != NULL);
}

bool
xch_body_waits(const struct exchange *x)
{
	return x->body != NULL && x->body->whole && !x->body->ended;
}

void
xch_body_head(const struct exchange *x, struct req_head *h)
{
	static const char *const gone[] = { "Content-Encoding", "Content-MD5",
		"Content-Digest", "Repr-Digest", "Digest" };

	for (size_t i = 0;
	     x->body != NULL && x->body->plain && i < nitems(gone); i++)
		fields_remove(&h->fields, gone[i]);
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
	if (b->decoder != NULL && decoder_end(b->decoder, err) < 0)
		return -1;
	if (b->chunks)
		return xch_sign_end(x, &b->data, err);
	if (b->swap != NULL)
		swap_body_end(b->swap, &b->data);
	return 0;
}

/* What the body asks for so far: false when the exchange has been ended. */
static bool
heed(struct exchange *x, enum override_says says)
{
	switch (says) {
	case OVERRIDE_GO:
		return true;
	case OVERRIDE_HOLD:
		if (buf_len(&x->body->before) <= HOLD_MAX)
			return true;
		break;
	case OVERRIDE_METHOD:
		return xch_override_found(x, x->body->over);
	case OVERRIDE_UNCLEAR:
		break;
	}
	xch_override_unclear(x);
	return false;
}

enum step {
	STEP_OK,
	STEP_BAD,  /* with err */
	STEP_OVER, /* the exchange has been ended */
};

/* n bytes that may go on, and whatever has waited for them. */
static enum step
pass(struct exchange *x, const uint8_t *p, size_t n, enum override_says says,
    struct error *err)
{
	struct xch_body *b = x->body;
	int rc;

	if (says == OVERRIDE_HOLD || buf_len(&b->before) > 0) {
		buf_put(&b->before, p, n);
		p = buf_head(&b->before);
		n = buf_len(&b->before);
	}
	if (!heed(x, says))
		return STEP_OVER;
	if (says == OVERRIDE_HOLD || n == 0)
		return STEP_OK;
	rc = put(x, p, n, err);
	buf_free(&b->before);
	return rc < 0 ? STEP_BAD : STEP_OK;
}

/* Some bytes of the body as they came; *used of them are taken. */
static enum step
piece(struct exchange *x, const uint8_t *p, size_t n, size_t *used,
    struct error *err)
{
	struct xch_body *b = x->body;
	enum override_says says = OVERRIDE_GO;
	struct buf *d = &b->decoded;

	*used = n;
	buf_clear(d);
	if (b->decoder != NULL &&
	    decoder_step(b->decoder, p, n, used, d, FILL_MAX, err) < 0)
		return STEP_BAD;
	b->more = buf_len(d) == FILL_MAX;
	xch_sign_seen(x, p, *used);
	if (b->over != NULL)
		says = b->decoder != NULL
			   ? override_feed(b->over, buf_head(d), buf_len(d))
			   : override_feed(b->over, p, *used);
	return b->plain ? pass(x, buf_head(d), buf_len(d), says, err)
			: pass(x, p, *used, says, err);
}

static enum step
end(struct exchange *x, struct error *err)
{
	struct xch_body *b = x->body;
	enum step step = STEP_OK;

	if (b->over != NULL)
		step = pass(x, NULL, 0, override_end(b->over), err);
	if (step != STEP_OK)
		return step;
	return put_end(x, err) < 0 ? STEP_BAD : STEP_OK;
}

/* What is held is memory that a job chooses the size of: false if it is too
 * much, all exchanges together. */
static bool
count_held(struct exchange *x)
{
	struct xch_body *b = x->body;
	size_t now = xch_sign_held(x) + buf_len(&b->before);

	if (b->whole && !b->chunks)
		now += buf_len(&b->data);
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
	enum step step = STEP_OK;
	size_t used = 0, k;

	if (x->ws != NULL)
		return xch_ws_fill(x);
	if (b == NULL || b->ended)
		return 0;
	while ((buf_len(&x->req) > 0 || b->more) && step == STEP_OK &&
	       (b->whole || buf_len(&b->data) < FILL_MAX)) {
		size_t n = buf_len(&x->req);

		n = n < FILL_MAX ? n : FILL_MAX;
		step = piece(x, buf_head(&x->req), n, &k, &err);
		if (step == STEP_OVER)
			return 0;
		buf_consume(&x->req, k);
		used += k;
		if (b->whole && buf_len(&b->data) > BODY_REWRITE_MAX) {
			xch_fail(x, 413, "limit",
			    "the body is too large to be held until it is "
			    "whole",
			    "send a smaller body");
			return 0;
		}
	}
	if (step == STEP_OK && x->req_ended && buf_len(&x->req) == 0 &&
	    !b->more && (b->whole || buf_len(&b->data) < FILL_MAX))
		step = end(x, &err);
	if (step == STEP_OVER)
		return 0;
	if (step == STEP_BAD) {
		xch_fail(x, 400, "bad_upload", err.msg,
		    b->chunks ? "send the chunks as the head says"
			      : "send the body in the coding that the head "
				"says");
		return 0;
	}
	return count_held(x) ? used : 0;
}
