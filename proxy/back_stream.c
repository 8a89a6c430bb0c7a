#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"

#define PUSH_MAX 16384u

static void
tell(struct exchange *x, uint16_t type, const struct buf *body)
{
	struct back *b = x->back;

	if (b->front != NULL)
		chan_send(b->front->chan, type, b->job, x->id, body, -1);
}

/* After the decision was recorded as allowed: the outcome is a record, too. */
static void
fail(struct exchange *x, unsigned int status, const char *error,
    const char *why, const char *step)
{
	struct denial d = { .status = status,
		.error = error,
		.reason = why,
		.next_steps = { step } };

	if (!x->rsp_started) {
		x->status = status;
		record_outcome(x, why);
		xch_deny(x, &d);
		return;
	}
	xch_abort(x, why);
}

/* ---- request ----------------------------------------------------------- */

/* The head as it goes out; false when the exchange is gone instead. */
static bool
put_head(struct exchange *x, struct buf *b)
{
	const struct fields *from = &x->head.fields;
	struct req_head out = x->head;
	const struct secret *value = NULL;
	struct error err = { 0 };
	size_t size = 1024 + strlen(x->head.target);
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
		for (size_t i = 0; i < out.fields.n; i++)
			size += strlen(out.fields.f[i].name) +
				strlen(out.fields.f[i].value) + 4;
		/* In one piece, so that wiping it leaves no copy. */
		(void)buf_reserve(b, size);
		http_put_request(b, out.method, out.target, x->hostport,
		    &out.fields, out.kind, out.length);
	}
	fields_free(&out.fields);
	if (rc < 0)
		fail(x, 503, "credentials_unavailable", err.msg, "try again");
	return rc == 0;
}

static void
on_ready(void *arg)
{
	struct exchange *x = arg;
	struct buf b;

	buf_init(&b, 0);
	x->state = X_OPEN;
	if (put_head(x, &b)) {
		upstream_expect(x->up, x->head.method);
		upstream_write(x->up, buf_head(&b), buf_len(&b));
		if (x->head.expect_continue && x->req_seen == 0 &&
		    !x->req_ended)
			tell(x, M_RSP_CONTINUE, NULL);
		xch_push(x);
	}
	if (b.data != NULL)
		explicit_bzero(b.data, b.cap);
	buf_free(&b);
}

static void
grant(struct exchange *x, size_t n)
{
	cleanup_buf struct buf body = { 0 };

	x->req_taken += (uint32_t)n;
	if (x->req_taken < WIRE_WINDOW / 4 || x->req_ended)
		return;
	buf_put_u32(&body, x->req_taken);
	x->req_credit += x->req_taken;
	x->req_taken = 0;
	tell(x, M_RSP_WINDOW, &body);
}

void
xch_push(struct exchange *x)
{
	cleanup_buf struct buf framed = { 0 };

	if (x->state != X_OPEN)
		return;
	while (buf_len(&x->req) > 0 &&
	       upstream_queued(x->up) < UPSTREAM_OUT_HIGH) {
		size_t n = buf_len(&x->req);

		if (n > PUSH_MAX)
			n = PUSH_MAX;
		if (x->head.kind == BODY_STREAM) {
			buf_clear(&framed);
			http_put_chunk(&framed, buf_head(&x->req), n);
			upstream_write(
			    x->up, buf_head(&framed), buf_len(&framed));
		} else {
			upstream_write(x->up, buf_head(&x->req), n);
		}
		buf_consume(&x->req, n);
		x->req_sent += n;
		grant(x, n);
	}
	if (buf_len(&x->req) > 0)
		return;
	buf_free(&x->req);
	buf_init(&x->req, 0);
	if (!x->req_ended || x->end_sent)
		return;
	x->end_sent = true;
	if (x->head.kind != BODY_STREAM)
		return;
	buf_clear(&framed);
	http_put_last_chunk(&framed, &x->req_trailers);
	upstream_write(x->up, buf_head(&framed), buf_len(&framed));
}

static void
on_writable(void *arg)
{
	xch_push(arg);
}

/* ---- response ---------------------------------------------------------- */

/* Compressed or cut, so that the scrubber would not see a value in it. */
static bool
is_unreadable(
    const struct exchange *x, unsigned int status, const struct fields *fs)
{
	if (strcmp(x->head.method, "HEAD") == 0 || status == 204 ||
	    status == 304)
		return false;
	if (status == 206)
		return true;
	for (size_t i = 0; i < fs->n; i++)
		if (strcasecmp(fs->f[i].name, "content-encoding") == 0 &&
		    strcasecmp(fs->f[i].value, "identity") != 0 &&
		    fs->f[i].value[0] != '\0')
			return true;
	return false;
}

static void
scrub_fields(struct exchange *x, struct fields *fs)
{
	for (size_t i = 0; x->scrub != NULL && i < fs->n; i++) {
		scrub_text(x->scrub, fs->f[i].name, strlen(fs->f[i].name));
		scrub_text(x->scrub, fs->f[i].value, strlen(fs->f[i].value));
	}
}

static void
on_head(void *arg, struct http_parser *p)
{
	struct exchange *x = arg;
	cleanup_buf struct buf body = { 0 };
	struct rsp_head h = { .status = (uint16_t)p->status,
		.reason = p->reason,
		.fields = p->fields,
		.kind = p->kind,
		.length = p->length };

	x->status = p->status;
	/* It was asked for plain and whole; a value could hide in this. */
	if (x->scrub != NULL && is_unreadable(x, p->status, &p->fields)) {
		fail(x, 502, "response_encoded",
		    "the server compressed or cut its response although it "
		    "was asked not to, so it cannot be searched for "
		    "credentials",
		    "ask for another resource");
		return;
	}
	memset(&p->fields, 0, sizeof(p->fields));
	p->reason = NULL;
	if (h.reason == NULL)
		h.reason = xstrdup("");
	fields_strip_hop(&h.fields);
	/* Offers another protocol, which the jail cannot speak. */
	fields_remove(&h.fields, "Alt-Svc");
	scrub_fields(x, &h.fields);
	if (x->scrub != NULL)
		scrub_text(x->scrub, h.reason, strlen(h.reason));
	if (rsp_head_put(&body, &h) < 0)
		fail(x, 502, "upstream_broken",
		    "the head of the server's response is too large",
		    "ask for another resource");
	else {
		x->rsp_started = true;
		tell(x, M_RSP_HEAD, &body);
	}
	rsp_head_free(&h);
}

static void
send_body(struct exchange *x, const uint8_t *p, size_t n)
{
	struct back *b = x->back;

	x->rsp_bytes += n;
	x->rsp_credit -= n;
	for (size_t k; n > 0; p += k, n -= k) {
		k = n < WIRE_BODY_CHUNK ? n : WIRE_BODY_CHUNK;
		if (b->front != NULL)
			chan_send_bytes(
			    b->front->chan, M_RSP_BODY, b->job, x->id, p, k);
	}
}

static bool
front_is_full(const struct back *b)
{
	return b->front != NULL && chan_queued(b->front->chan) > MSG_QUEUE_HIGH;
}

static size_t
on_data(void *arg, const uint8_t *p, size_t n)
{
	struct exchange *x = arg;
	struct buf out;
	uint64_t room = x->rsp_credit;

	/* What the scrubber holds back needs room as well when it comes. */
	if (x->scrub != NULL) {
		size_t held = scrub_held(x->scrub);

		room = room > held ? room - held : 0;
	}
	if (front_is_full(x->back))
		room = 0;
	if (n > room) {
		n = (size_t)room;
		x->blocked = true;
	}
	if (n == 0)
		return 0;
	if (x->scrub == NULL) {
		send_body(x, p, n);
		return n;
	}
	buf_init(&out, 0);
	scrub_feed(x->scrub, p, n, &out);
	send_body(x, buf_head(&out), buf_len(&out));
	buf_free(&out);
	return n;
}

static void
on_done(void *arg, struct fields *trailers)
{
	struct exchange *x = arg;
	cleanup_buf struct buf body = { 0 };

	if (x->scrub != NULL) {
		cleanup_buf struct buf rest = { 0 };

		scrub_end(x->scrub, &rest);
		send_body(x, buf_head(&rest), buf_len(&rest));
	}
	fields_strip_hop(trailers);
	scrub_fields(x, trailers);
	if (trailers_put(&body, trailers) < 0) {
		fail(x, 502, "upstream_broken", "the trailers are too large",
		    "ask for another resource");
		return;
	}
	record_outcome(x, NULL);
	tell(x, M_RSP_END, &body);
	xch_end(x, x->end_sent);
}

void
xch_pull(struct exchange *x)
{
	if (!x->blocked || x->up == NULL || front_is_full(x->back))
		return;
	x->blocked = false;
	upstream_resume(x->up);
}

/* ---- failure ----------------------------------------------------------- */

/* RFC 9110 section 9.2.2: safe to send twice. */
static bool
is_idempotent(const char *method)
{
	static const char *const safe[] = { "GET", "HEAD", "OPTIONS", "PUT",
		"DELETE" };

	for (size_t i = 0; i < nitems(safe); i++)
		if (strcmp(method, safe[i]) == 0)
			return true;
	return false;
}

static void
on_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct exchange *x = arg;
	bool stale = how == UPSTREAM_BROKEN && upstream_is_reused(x->up);

	x->up = NULL;
	if (stale && !x->retried && x->req_sent == 0 &&
	    is_idempotent(x->head.method)) {
		x->retried = true;
		x->end_sent = false;
		x->state = X_CONNECT;
		xch_resolve(x);
		return;
	}
	switch (how) {
	case UPSTREAM_UNREACHABLE:
		fail(x, 502, "upstream_unreachable", why,
		    "check the host name and port, or try again later");
		return;
	case UPSTREAM_TLS:
		fail(x, 502, "upstream_tls", why,
		    "this cannot be switched off; use a host with a valid "
		    "certificate");
		return;
	case UPSTREAM_TIMEOUT:
		fail(x, 504, "upstream_timeout", why, "try again later");
		return;
	case UPSTREAM_BROKEN:
		fail(x, 502, "upstream_broken", why, "try again");
		return;
	}
}

static const struct upstream_ops ops = {
	.ready = on_ready,
	.writable = on_writable,
	.head = on_head,
	.data = on_data,
	.done = on_done,
	.failed = on_failed,
};

void
xch_dial(struct exchange *x, bool reuse)
{
	struct back *b = x->back;

	if (reuse)
		x->up = upstream_reuse(
		    b->pool, x->head.tls, x->host, x->head.port, &ops, x);
	else
		x->up = upstream_dial(b->pool, x->head.tls, x->host,
		    x->head.port, x->addrs, x->naddrs, &ops, x);
	if (x->up == NULL)
		return;
	ev_timer_clear(x->timer);
	x->state = X_CONNECT;
}
