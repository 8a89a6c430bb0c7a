#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_model.h"
#include "proxy/back_raw.h"
#include "proxy/back_ws.h"

/* More credit than this at once is a mistake of front. */
#define CREDIT_MAX (UINT64_C(1) << 30)

static void
on_timer(void *arg)
{
	xch_timed_out(arg);
}

void
xch_wait(struct exchange *x, enum xstate state, uint64_t ms)
{
	x->state = state;
	x->wait = back_serial(x->back);
	ev_timer_set(x->timer, ms);
}

struct exchange *
back_waiting(struct back *b, enum xstate state, uint32_t serial)
{
	for (struct exchange *x = b->list; x != NULL; x = x->next)
		if (x->state == state && x->wait == serial)
			return x;
	return NULL;
}

static struct exchange *
find(struct back *b, uint32_t id)
{
	for (struct exchange *x = b->list; x != NULL; x = x->next)
		if (x->id == id)
			return x;
	return NULL;
}

/*
 * It is too large for what malloc() has at hand, so that some are kept for the
 * next exchanges; but not where a sanitizer is to see who still uses one.
 */
static void
on_freed(void *arg)
{
	struct exchange *x = arg;
	struct back *b = x->back;

#ifndef BRIG_SANITIZE
	if (b->nunused < BACK_UNUSED_MAX) {
		memset(x, 0, sizeof(*x));
		x->next = b->unused;
		b->unused = x;
		b->nunused++;
		return;
	}
#endif
	free(x);
}

static struct exchange *
fresh(struct back *b)
{
	struct exchange *x = b->unused;

	if (x == NULL)
		return xcalloc(1, sizeof(*x));
	b->unused = x->next;
	b->nunused--;
	x->next = NULL;
	return x;
}

void
back_unused_free(struct back *b)
{
	while (b->nunused > 0)
		free(fresh(b));
}

void
xch_end(struct exchange *x, bool keep_upstream)
{
	struct back *b = x->back;

	if (x->state == X_GONE)
		return;
	if (x->state == X_ASK && x->wait != 0)
		xch_ask_cancel(x);
	x->state = X_GONE;
	for (struct exchange **pp = &b->list; *pp != NULL; pp = &(*pp)->next)
		if (*pp == x) {
			*pp = x->next;
			b->n--;
			break;
		}
	upstream_release(x->up, keep_upstream);
	x->up = NULL;
	raw_free(x->raw);
	x->raw = NULL;
	for (size_t i = 0; i < x->ncreds; i++) {
		secret_free(x->cred[i].value);
		x->cred[i].value = NULL;
	}
	early_free(x);
	xmodel_free(x->model);
	x->model = NULL;
	xch_body_free(x);
	buf_free(&x->stub_tail);
	secret_free(x->via_auth);
	x->via_auth = NULL;
	xch_sign_free(x);
	xch_scrub_free(x);
	capture_free(x->held);
	x->held = NULL;
	xch_ws_free(x);
	decoder_free(x->decoder);
	encoder_free(x->encoder);
	x->decoder = NULL;
	x->encoder = NULL;
	buf_free(&x->ready);
	fields_free(&x->rsp_trailers);
	ev_timer_free(x->timer);
	req_head_free(&x->head);
	fields_free(&x->req_trailers);
	buf_free(&x->req);
	/* Callers up the stack may still look at the state. */
	ev_defer(b->ev, on_freed, x);
}

void
xch_deny(struct exchange *x, const struct denial *d)
{
	cleanup_buf struct buf body = { 0 }, json = { 0 }, plain = { 0 };

	if (x->rsp_started) {
		xch_abort(x, d->reason);
		return;
	}
	if (x->raw != NULL && raw_deny(x, d))
		return;
	deny_body(&plain, d);
	model_error(&json, x->model == NULL ? MODEL_NONE : x->model->host.shape,
	    d->status, d->reason, buf_head(&plain), buf_len(&plain));
	buf_put_u16(&body, (uint16_t)d->status);
	/* What is left of the request would be read as the next one. */
	buf_put_u8(&body, x->head.kind != BODY_NONE && !x->req_ended);
	buf_put_blob(&body, buf_head(&json), buf_len(&json));
	xch_tell(x, M_RSP_DENY, &body);
	xch_end(x, false);
}

void
xch_abort(struct exchange *x, const char *why)
{
	cleanup_buf struct buf body = { 0 };

	record_outcome(x, why);
	buf_put_str(&body, why);
	xch_tell(x, M_RSP_ABORT, &body);
	xch_end(x, false);
}

void
back_drop_all(struct back *b)
{
	while (b->list != NULL) {
		struct exchange *x = b->list;

		if (x->state >= X_CONNECT)
			record_outcome(x, "the proxy's front went away");
		xch_end(x, false);
	}
}

static int
on_head(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x;
	struct req_head h;

	(void)c;
	if (m->serial == 0 || find(b, m->serial) != NULL)
		return -1;
	/* The decoder leaves something to free even when it fails. */
	if (req_head_get(&m->body, &h) < 0 || cur_end(&m->body) < 0) {
		req_head_free(&h);
		return -1;
	}
	x = fresh(b);
	x->back = b;
	x->id = m->serial;
	x->head = h;
	x->by = "failsafe";
	x->state = X_ASK;
	x->req_credit = WIRE_WINDOW;
	x->rsp_credit = WIRE_RSP_WINDOW;
	buf_init(&x->req, 0);
	buf_init_wipe(&x->stub_tail, 0);
	x->timer = ev_timer_new(b->ev, on_timer, x);
	x->next = b->list;
	b->list = x;
	b->n++;
	if (b->n > BACK_EXCHANGES_MAX) {
		struct denial d = { .status = 503,
			.error = "limit",
			.reason = "too many requests are open at once",
			.next_steps = { "wait for some to finish" } };

		xch_deny(x, &d);
		return 0;
	}
	xch_judge(x);
	return 0;
}

static int
on_body(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = find(b, m->serial);
	size_t n = m->body.left;
	const uint8_t *p = cur_bytes(&m->body, n);

	(void)c;
	if (n == 0 || n > WIRE_BODY_CHUNK)
		return -1;
	if (x == NULL)
		return 0;
	if (n > x->req_credit || x->req_ended || x->head.kind == BODY_NONE ||
	    (x->head.kind == BODY_LENGTH && n > x->head.length - x->req_seen))
		return -1;
	x->req_credit -= n;
	x->req_seen += n;
	if (x->raw != NULL && !raw_look(x, p, n))
		return 0;
	buf_put(&x->req, p, n);
	if (x->state == X_GATHER)
		(void)xmodel_body(x, n);
	else
		xch_push(x);
	return 0;
}

static int
on_end(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = find(b, m->serial);
	const struct binding *found = NULL;
	struct fields t = { 0 };

	(void)c;
	if (trailers_get(&m->body, &t) < 0 || cur_end(&m->body) < 0) {
		fields_free(&t);
		return -1;
	}
	if (x == NULL) {
		fields_free(&t);
		return 0;
	}
	if (x->req_ended ||
	    (x->head.kind == BODY_LENGTH && x->req_seen != x->head.length)) {
		fields_free(&t);
		return -1;
	}
	x->req_ended = true;
	x->req_trailers = t;
	for (size_t i = 0; i < t.n && found == NULL; i++) {
		found = bindings_find(
		    &b->bindings, t.f[i].name, strlen(t.f[i].name));
		if (found == NULL)
			found = bindings_find(
			    &b->bindings, t.f[i].value, strlen(t.f[i].value));
	}
	if (found != NULL) {
		record_leak(x, found->name,
		    "the placeholder stands in a trailer", false);
		xch_refuse(x, 403, "credential_leak",
		    "a credential's placeholder stands in a trailer, where it "
		    "is not accepted",
		    "send it in the header it is made for");
		return 0;
	}
	(void)swap_strip_trailers(
	    &x->req_trailers, x->host, x->head.port, &b->bindings);
	if (x->state == X_GATHER)
		xmodel_gathered(x);
	else
		xch_push(x);
	return 0;
}

static int
on_abort(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = find(b, m->serial);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	if (x == NULL)
		return 0;
	if (x->state >= X_CONNECT)
		record_outcome(x, why);
	xch_end(x, false);
	return 0;
}

static int
on_window(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = find(b, m->serial);
	uint32_t more = cur_u32(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	if (x == NULL)
		return 0;
	x->rsp_credit += more;
	if (x->rsp_credit > CREDIT_MAX)
		return -1;
	xch_pull(x);
	return 0;
}

static int
on_event(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	uint8_t kind = cur_u8(&m->body);
	cleanup_free char *dst = cur_str(&m->body, P_HOST_MAX);
	uint16_t port = cur_u16(&m->body);
	cleanup_free char *text = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0 || kind >= FRONT_EVENT_MAX)
		return -1;
	record_front(b, kind, dst, port, text);
	return 0;
}

const struct msg_rule back_from_front[] = {
	{ M_REQ_HEAD, MSG_ALLOWED, on_head },
	{ M_REQ_BODY, MSG_ALLOWED, on_body },
	{ M_REQ_END, MSG_ALLOWED, on_end },
	{ M_REQ_ABORT, MSG_ALLOWED, on_abort },
	{ M_REQ_WINDOW, MSG_ALLOWED, on_window },
	{ M_FRONT_EVENT, MSG_ALLOWED, on_event },
};
const size_t back_nfrom_front = nitems(back_from_front);
