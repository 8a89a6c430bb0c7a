#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_raw.h"

void
xch_tell(struct exchange *x, uint16_t type, const struct buf *body)
{
	struct back *b = x->back;

	if (b->front != NULL)
		chan_send(b->front->chan, type, b->job, x->id, body, -1);
}

void
xch_fail(struct exchange *x, unsigned int status, const char *error,
    const char *why, const char *step)
{
	cleanup_free char *text = xstrdup(why);
	struct denial d = { .status = status,
		.error = error,
		.reason = text,
		.next_steps = { step } };

	/* Names in its certificates are of the origin's choice. */
	if (x->scrub != NULL)
		scrub_text(x->scrub, text, strlen(text));
	if (!x->rsp_started) {
		x->status = status;
		record_outcome(x, text);
		xch_deny(x, &d);
		return;
	}
	xch_abort(x, text);
}

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

/* Another try, over a connection of its own or any. */
static void
try_again(struct exchange *x)
{
	x->up = NULL;
	x->end_sent = false;
	x->state = X_CONNECT;
	xch_resolve(x);
}

static void
on_again(void *arg)
{
	struct exchange *x = arg;

	x->own_dial = true;
	try_again(x);
}

static void
on_failed(void *arg, enum upstream_fail how, const char *why)
{
	struct exchange *x = arg;
	bool stale = how == UPSTREAM_BROKEN && upstream_is_stale(x->up);
	/* RFC 9113 section 8.7: then any method may be sent again. */
	bool safe = upstream_is_refused(x->up) ||
		    (stale && is_idempotent(x->head.method));

	x->up = NULL;
	/* A server may refuse what it has begun to answer. */
	if (safe && !x->retried && !x->rsp_started && x->held == NULL &&
	    x->early == NULL && x->req_sent == 0) {
		x->retried = x->own_dial = true;
		try_again(x);
		return;
	}
	switch (how) {
	case UPSTREAM_UNREACHABLE:
		xch_fail(x, 502, "upstream_unreachable", why,
		    "check the host name and port, or try again later");
		return;
	case UPSTREAM_PROXY:
		xch_fail(x, 502, "upstream_proxy", why,
		    "tell the user: the proxy that all connections go "
		    "through refuses this one");
		return;
	case UPSTREAM_TLS:
		xch_fail(x, 502, "upstream_tls", why,
		    "this cannot be switched off; use a host with a valid "
		    "certificate");
		return;
	case UPSTREAM_TIMEOUT:
		xch_fail(x, 504, "upstream_timeout", why, "try again later");
		return;
	case UPSTREAM_BROKEN:
		xch_fail(x, 502, "upstream_broken", why, "try again");
		return;
	}
}

static void
on_ready(void *arg)
{
	xch_ready(arg);
}

static void
on_writable(void *arg)
{
	xch_push(arg);
}

static void
on_head(void *arg, struct rsp_head *h)
{
	xch_rsp_head(arg, h);
}

static size_t
on_data(void *arg, const uint8_t *p, size_t n)
{
	return xch_rsp_data(arg, p, n);
}

static void
on_done(void *arg, struct fields *trailers)
{
	xch_rsp_done(arg, trailers);
}

static const struct upstream_ops ops = {
	.ready = on_ready,
	.writable = on_writable,
	.head = on_head,
	.data = on_data,
	.done = on_done,
	.again = on_again,
	.failed = on_failed,
};

void
xch_dial(struct exchange *x, bool reuse)
{
	struct back *b = x->back;
	struct upstream_want want = { .tls = x->head.tls && !xch_is_inferd(x),
		.h1_only = x->head.protocol[0] != '\0',
		.host = x->host,
		.port = x->head.port };

	if (x->raw != NULL) {
		raw_dial(x);
		return;
	}
	xch_way(x, &want.proxy, &want.identity);
	if (reuse)
		x->up = upstream_reuse(b->pool, &want, &ops, x);
	else
		x->up =
		    upstream_dial(b->pool, &want, x->addrs, x->naddrs, &ops, x);
	if (x->up == NULL)
		return;
	ev_timer_clear(x->timer);
	x->state = X_CONNECT;
}

void
xch_adopt(struct exchange *x, int fd)
{
	struct upstream_want want = { .host = x->host, .port = x->head.port };

	x->up = upstream_adopt(x->back->pool, &want, fd, &ops, x);
	ev_timer_clear(x->timer);
	x->state = X_CONNECT;
}
