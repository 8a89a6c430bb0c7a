#include <string.h>

#include "base/proto.h"
#include "proxy/back.h"
#include "proxy/back_raw.h"

#define PUSH_MAX 16384u

/* The head as it goes out; false when the exchange is gone instead. */
static bool
put_head(struct exchange *x)
{
	const struct fields *from = &x->head.fields;
	struct req_head out = x->head;
	const struct secret *value = NULL;
	struct error err = { 0 };
	int rc = 0;

	memset(&out.fields, 0, sizeof(out.fields));
	for (size_t i = 0; i < from->n; i++) {
		const struct field *f = &from->f[i];

		fields_add(&out.fields, f->name, strlen(f->name), f->value,
		    strlen(f->value));
	}
	for (size_t i = 0; i < x->ncreds; i++)
		if (x->cred[i].cred == x->plan.cred)
			value = x->cred[i].value;
	if (x->plan.verdict == SWAP_HEADER || x->plan.verdict == SWAP_BASIC)
		rc = value == NULL
			 ? error_set(&err, 0, "the credential is gone")
			 : swap_apply(&out, x->host, x->head.port,
			       &x->back->bindings, x->plan.cred, value, &err);
	if (rc == 0) {
		fields_strip_hop(&out.fields);
		fields_remove(&out.fields, "Expect");
		upstream_head(x->up, &out, x->hostport);
	}
	fields_free(&out.fields);
	if (rc < 0)
		xch_fail(
		    x, 503, "credentials_unavailable", err.msg, "try again");
	return rc == 0;
}

void
xch_ready(struct exchange *x)
{
	x->state = X_OPEN;
	if (!put_head(x))
		return;
	if (x->head.expect_continue && x->req_seen == 0 && !x->req_ended)
		xch_tell(x, M_RSP_CONTINUE, NULL);
	xch_push(x);
}

void
xch_grant(struct exchange *x, size_t n)
{
	cleanup_buf struct buf body = { 0 };

	x->req_taken += (uint32_t)n;
	if (x->req_taken < WIRE_WINDOW / 4 || x->req_ended)
		return;
	buf_put_u32(&body, x->req_taken);
	x->req_credit += x->req_taken;
	x->req_taken = 0;
	xch_tell(x, M_RSP_WINDOW, &body);
}

void
xch_push(struct exchange *x)
{
	if (x->state != X_OPEN)
		return;
	if (x->raw != NULL) {
		raw_schedule(x->raw);
		return;
	}
	while (buf_len(&x->req) > 0 &&
	       upstream_queued(x->up) < UPSTREAM_OUT_HIGH) {
		size_t n = buf_len(&x->req), free_of_charge;

		if (n > PUSH_MAX)
			n = PUSH_MAX;
		upstream_body(x->up, buf_head(&x->req), n);
		buf_consume(&x->req, n);
		x->req_sent += n;
		free_of_charge = n < x->req_prepaid ? n : x->req_prepaid;
		x->req_prepaid -= free_of_charge;
		xch_grant(x, n - free_of_charge);
	}
	if (buf_len(&x->req) > 0)
		return;
	buf_free(&x->req);
	buf_init(&x->req, 0);
	if (!x->req_ended || x->end_sent)
		return;
	x->end_sent = true;
	upstream_end(x->up, &x->req_trailers);
}
