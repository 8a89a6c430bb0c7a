/*
 * The response of a declared token endpoint.  It is held back whole, head and
 * all, until keyd has each token that it issues; front gets it with stubs in
 * their places.  What cannot be read is not passed on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/json_read.h"
#include "proxy/json_string.h"
#include "proxy/stub.h"

/* A token of the response. */
struct found {
	uint32_t parent;
	const char *member; /* of what was wanted */
	size_t from, to;    /* of the JSON string, between its quotes */
	uint8_t *value;     /* decoded; wiped */
	size_t n;
	char *stub; /* once keyd has answered */
};

/* A member to look for. */
struct wanted {
	uint32_t parent;
	char member[65];
};

struct held {
	struct rsp_head head;
	struct fields trailers;
	struct buf body;
	struct wanted want[BACK_CAPTURE_NAMES];
	size_t nwant;
	struct found found[BACK_CAPTURE_FOUND];
	size_t nfound;
	size_t asked;    /* of them, answered so far */
	const char *why; /* that a member cannot be captured */
};

void
capture_free(struct held *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->nfound; i++) {
		if (h->found[i].value != NULL)
			explicit_bzero(h->found[i].value, h->found[i].n);
		free(h->found[i].value);
		free(h->found[i].stub);
	}
	rsp_head_free(&h->head);
	fields_free(&h->trailers);
	buf_free(&h->body);
	free(h);
}

/* ---- holding ------------------------------------------------------------ */

bool
capture_is_due(const struct exchange *x, unsigned int status)
{
	const struct bindings *bs = &x->back->bindings;

	if (status < 200 || status > 299 || status == 204 || status == 205 ||
	    strcmp(x->head.method, "HEAD") == 0)
		return false;
	for (size_t i = 0; i < bs->n; i++) {
		if (binding_is_for(&bs->b[i], x->host, x->head.port) &&
		    cred_captures(&bs->b[i].spec, x->head.target))
			return true;
	}
	return false;
}

/* A revoked one counts: keyd refuses, and so the response is refused. */
static void
list_wanted(const struct exchange *x, struct held *h)
{
	const struct bindings *bs = &x->back->bindings;

	for (size_t i = 0; i < bs->n; i++) {
		const struct cred_spec *s = &bs->b[i].spec;

		if (!cred_spec_for(s, x->host, x->head.port) ||
		    !cred_captures(s, x->head.target))
			continue;
		for (size_t k = 0; k < s->capture.n; k++) {
			struct wanted *w = &h->want[h->nwant];

			if (h->nwant == nitems(h->want)) {
				h->why = "too many credentials want its tokens";
				return;
			}
			h->nwant++;
			w->parent = bs->b[i].cred;
			strlcpy(
			    w->member, s->capture.names[k], sizeof(w->member));
		}
	}
}

void
capture_hold(struct exchange *x, struct rsp_head *head)
{
	struct held *h = xcalloc(1, sizeof(*h));

	buf_init_wipe(&h->body, BACK_CAPTURE_BODY);
	list_wanted(x, h);
	h->head = *head;
	memset(head, 0, sizeof(*head));
	x->held = h;
}

int
capture_body(struct exchange *x, const uint8_t *p, size_t n, struct error *err)
{
	buf_put(&x->held->body, p, n);
	if (buf_failed(&x->held->body))
		return error_set(err, 0,
		    "the token endpoint's response is longer than %u bytes, so "
		    "the tokens in it cannot be kept from the agent",
		    BACK_CAPTURE_BODY);
	return 0;
}

/* ---- finding ------------------------------------------------------------ */

/* Is path the member or something inside it? */
static bool
is_at(const char *path, const char *member, bool *inside)
{
	size_t n = strlen(member);

	if (strncmp(path, member, n) != 0)
		return false;
	*inside = path[n] != '\0';
	return path[n] == '\0' || path[n] == '.' || path[n] == '[';
}

static bool
on_value(const struct json_value *v, void *arg)
{
	struct held *h = arg;
	const struct wanted *w = NULL;
	struct found *f;
	bool inside = false;

	for (size_t i = 0; v->path != NULL && w == NULL && i < h->nwant; i++) {
		if (is_at(v->path, h->want[i].member, &inside))
			w = &h->want[i];
	}
	if (w == NULL || (!inside && v->kind == JSON_WORD))
		return true; /* null: there is none */
	if (inside || v->kind != JSON_STRING) {
		h->why = "a token in it is not a string";
		return false;
	}
	if (h->nfound == nitems(h->found)) {
		h->why = "it holds too many tokens";
		return false;
	}
	if (v->from == v->to)
		return true;
	f = &h->found[h->nfound++];
	f->parent = w->parent;
	f->member = w->member;
	f->from = (size_t)v->from;
	f->to = (size_t)v->to;
	return true;
}

/* 0, or -1 with h->why. */
static int
find_tokens(struct held *h)
{
	const char *text = (const char *)buf_head(&h->body);
	struct json_read *r = xmalloc(sizeof(*r));
	int rc;

	json_read_init(r, on_value, h);
	rc = json_read(r, text, buf_len(&h->body));
	if (rc == 0)
		rc = json_read_end(r);
	/* It holds the last string. */
	explicit_bzero(r, sizeof(*r));
	free(r);
	if (rc < 0 && h->why == NULL)
		h->why = "it is not JSON";
	for (size_t i = 0; rc == 0 && i < h->nfound; i++) {
		struct found *f = &h->found[i];

		f->value = xmalloc(f->to - f->from);
		f->n = json_string_decode(
		    text + f->from, f->to - f->from, (char *)f->value);
		if (f->n < STUB_MIN) {
			h->why = "a token in it is too short to have a "
				 "placeholder";
			rc = -1;
		} else if (f->n > P_STUB_MAX) {
			h->why = "a token in it is too long";
			rc = -1;
		}
	}
	return rc;
}

/* ---- asking keyd -------------------------------------------------------- */

static void
refuse(struct exchange *x, const char *why)
{
	cleanup_free char *text = xasprintf(
	    "the response of the token endpoint is not passed on: %s", why);

	xch_fail(x, 502, "capture_failed", text,
	    "ask for a JSON response (Accept: application/json), or tell the "
	    "user");
}

static void
ask_next(struct exchange *x)
{
	struct chan *c = back_chan(x->back, ROLE_KEYD);
	const struct found *f = &x->held->found[x->held->asked];
	struct buf body;

	if (c == NULL) {
		refuse(x, "the credential store is not available");
		return;
	}
	buf_init_wipe(&body, 0);
	buf_put_u32(&body, f->parent);
	buf_put_str(&body, f->member);
	buf_put_u8(&body, (uint8_t)cred_member_use(f->member));
	buf_put_blob(&body, f->value, f->n);
	xch_wait(x, X_CAPTURE, BACK_STEP_MS);
	chan_send(c, M_CRED_CAPTURE, x->back->job, x->wait, &body, -1);
	buf_free(&body);
}

/* What is on its way from the hosts it is for may bring it as well: also a
 * stream of events that has begun long ago. */
static void
tell_scrubbers(struct exchange *x, const struct found *f)
{
	const struct binding *parent =
	    bindings_cred(&x->back->bindings, f->parent);
	struct exchange *next;

	if (parent == NULL || memcmp(f->value, f->stub, f->n) == 0)
		return;
	for (struct exchange *o = x->back->list; o != NULL; o = next) {
		next = o->next;
		if (o->scrub == NULL ||
		    !binding_is_for(parent, o->host, o->head.port))
			continue;
		if (!scrub_is_full(o->scrub))
			scrub_add(o->scrub, f->value, f->stub, f->n);
		else
			xch_fail(o, 503, "limit",
			    "too many tokens have been issued during it",
			    "ask again");
	}
}

/* The body with stubs, then everything the usual way. */
static void
pass_on(struct exchange *x)
{
	struct held *h = x->held;
	cleanup_buf struct buf body = { 0 };
	const char *text = (const char *)buf_head(&h->body);
	size_t at = 0;

	buf_init_wipe(&body, 0);
	for (size_t i = 0; i < h->nfound; i++) {
		const struct found *f = &h->found[i];

		buf_put(&body, text + at, f->from - at);
		json_string_encode(&body, f->stub, f->n);
		at = f->to;
	}
	if (buf_len(&h->body) > at)
		buf_put(&body, text + at, buf_len(&h->body) - at);
	x->held = NULL;
	if (h->head.kind == BODY_LENGTH)
		h->head.length = buf_len(&body);
	xch_rsp_whole(
	    x, &h->head, buf_head(&body), buf_len(&body), &h->trailers);
	capture_free(h);
}

void
capture_end(struct exchange *x, struct fields *trailers)
{
	struct held *h = x->held;

	h->trailers = *trailers;
	memset(trailers, 0, sizeof(*trailers));
	if (h->why != NULL || (buf_len(&h->body) > 0 && find_tokens(h) < 0))
		refuse(x, h->why);
	else if (h->nfound == 0)
		pass_on(x);
	else
		ask_next(x);
}

int
capture_on_captured(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_CAPTURE, m->serial);
	bool ok = cur_bool(&m->body);
	uint32_t cred = cur_u32(&m->body);
	cleanup_free char *stub = cur_str(&m->body, P_STUB_MAX);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);
	struct found *f;

	(void)c;
	(void)cred;
	if (cur_end(&m->body) < 0)
		return -1;
	if (x == NULL)
		return 0;
	ev_timer_clear(x->timer);
	if (!ok) {
		refuse(x, why);
		return 0;
	}
	f = &x->held->found[x->held->asked];
	/* keyd makes them equal. */
	if (strlen(stub) != f->n)
		return -1;
	f->stub = steal_ptr(&stub);
	tell_scrubbers(x, f);
	if (x->state == X_GONE)
		return 0;
	if (++x->held->asked < x->held->nfound)
		ask_next(x);
	else
		pass_on(x);
	return 0;
}
