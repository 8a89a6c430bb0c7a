#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_raw.h"

#define PUSH_MAX 16384u

/* The head as it goes out; false when the exchange is gone instead. */
static bool
put_head(struct exchange *x)
{
	const struct fields *from = &x->head.fields;
	struct req_head out = x->head;
	struct swap_value v[BACK_CREDS_MAX];
	size_t n = 0;
	struct error err = { 0 };
	int rc = 0, signed_ = 0;

	memset(&out.fields, 0, sizeof(out.fields));
	for (size_t i = 0; i < from->n; i++) {
		const struct field *f = &from->f[i];

		fields_add(&out.fields, f->name, strlen(f->name), f->value,
		    strlen(f->value));
	}
	out.target = xstrdup(x->head.target);
	for (size_t i = 0; i < x->ncreds; i++) {
		v[n].cred = x->cred[i].cred;
		v[n++].value = x->cred[i].value;
	}
	if (x->judged != x->back->bindings_serial)
		swap_judge(
		    &out, x->host, x->head.port, &x->back->bindings, &x->plan);
	x->judged = x->back->bindings_serial;
	rc = swap_apply(&out, &x->back->bindings, &x->plan, v, n, &err);
	if (rc == 0) {
		fields_strip_hop(&out.fields);
		fields_remove(&out.fields, "Expect");
		xch_body_head(x, &out);
		signed_ = xch_sign_head(x, &out, xch_body_whole(x), &err);
	}
	if (rc == 0 && signed_ == 0)
		upstream_head(x->up, &out, x->hostport);
	explicit_bzero(out.target, strlen(out.target));
	free(out.target);
	fields_free(&out.fields);
	x->head_sent = rc == 0 && signed_ == 0;
	if (signed_ < 0)
		xch_fail(x, 403, "signature_refused", err.msg,
		    "sign the request as the service documents it");
	else if (rc < 0)
		xch_fail(
		    x, 503, "credentials_unavailable", err.msg, "try again");
	return x->head_sent;
}

void
xch_grant(struct exchange *x, size_t n)
{
	cleanup_buf struct buf body = { 0 };

	x->req_taken += (uint32_t)n;
	if (n == 0 || x->req_taken < WIRE_WINDOW / 4 || x->req_ended)
		return;
	buf_put_u32(&body, x->req_taken);
	x->req_credit += x->req_taken;
	x->req_taken = 0;
	xch_tell(x, M_RSP_WINDOW, &body);
}

/* n bytes of x->req are gone; some of them front may have been told of. */
static void
settle(struct exchange *x, size_t n)
{
	size_t free_of_charge = n < x->req_prepaid ? n : x->req_prepaid;

	x->req_prepaid -= free_of_charge;
	xch_grant(x, n - free_of_charge);
}

/* A stub that is still in the body is let pass: a chat history may hold one. */
static void
look_for_stubs(struct exchange *x, const uint8_t *p, size_t n)
{
	const struct binding *b;

	if (x->body_stub)
		return;
	b = bindings_seek(&x->back->bindings, &x->stub_tail, p, n);
	if (b == NULL)
		return;
	x->body_stub = true;
	record_leak(x, b->name,
	    "the placeholder stands in the request's body, where it is not "
	    "replaced",
	    true);
}

/* One piece onwards; false when there is none or the origin is slow. */
static bool
push_piece(struct exchange *x)
{
	struct buf *data = xch_body_data(x);
	size_t n = buf_len(data);

	if (n == 0 || upstream_queued(x->up) >= UPSTREAM_OUT_HIGH)
		return false;
	if (n > PUSH_MAX)
		n = PUSH_MAX;
	if (x->ws == NULL)
		look_for_stubs(x, buf_head(data), n);
	upstream_body(x->up, buf_head(data), n);
	buf_consume(data, n);
	x->req_sent += n;
	if (x->body == NULL && x->ws == NULL)
		settle(x, n);
	return true;
}

void
xch_push(struct exchange *x)
{
	if (x->state == X_OPEN && x->raw != NULL) {
		raw_schedule(x->raw);
		return;
	}
	do {
		/* It may have answered, and be gone, before it has all. */
		if (x->state != X_OPEN || x->up == NULL)
			return;
		settle(x, xch_body_fill(x));
		if (x->state != X_OPEN || xch_body_waits(x))
			return;
		if (!x->head_sent && !put_head(x))
			return;
		/* Not a byte of another protocol before it is agreed on. */
		if (x->head.protocol[0] != '\0' && x->status != 101)
			return;
	} while (push_piece(x));
	if (buf_len(&x->req) > 0 || buf_len(xch_body_data(x)) > 0)
		return;
	buf_free(&x->req);
	buf_init(&x->req, 0);
	if (!x->req_ended || x->end_sent)
		return;
	x->end_sent = true;
	upstream_end(x->up, &x->req_trailers);
	if (x->rsp_half)
		xch_rsp_other_half(x);
}

void
xch_ready(struct exchange *x)
{
	x->state = X_OPEN;
	x->head_sent = false;
	if (!xch_body_waits(x) && !put_head(x))
		return;
	if (x->head.expect_continue && x->req_seen == 0 && !x->req_ended)
		xch_tell(x, M_RSP_CONTINUE, NULL);
	xch_push(x);
}
