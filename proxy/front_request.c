#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "proxy/deny.h"

const struct refusal refusal_connect = { 405, "connect_refused",
	"tunnels are not needed here: every connection is already intercepted",
	"Unset the proxy setting and connect to the host itself." };

const struct refusal refusal_upgrade = { 501, "upgrade_refused",
	"of the protocols that a connection could change to, this proxy knows "
	"WebSocket alone",
	"Use the service's plain HTTP interface." };

/* As learn_name() of TLS, from Host or :authority. */
static bool
learn_name(struct conn *c, const char *authority)
{
	cleanup_free char *name = NULL;

	if (c->dst != NULL)
		return true;
	name = xstrndup(authority, strcspn(authority, ":"));
	str_lower(name);
	if (!str_is_hostname(name) ||
	    addr_pool_add(c->f->pool, name) != c->index)
		return false;
	c->dst = steal_ptr(&name);
	return true;
}

const struct refusal *
request_begin(struct exchange *ex, struct req_head *h)
{
	static const struct refusal moved = { 421, "unknown_address",
		"the address dialled stands for no name",
		"Resolve the host name again and retry." };
	static const struct refusal down = { 503, "unavailable",
		"proxy back end unavailable", "Retry in a few seconds." };
	static const struct refusal full = { 503, "too_many_requests",
		"too many requests of this job are under way",
		"Wait for earlier ones to end." };
	static const struct refusal large = { 431, "bad_request",
		"the head is too large",
		"Send fewer or shorter header fields." };
	static char none[] = "";
	cleanup_buf struct buf b = { 0 };
	struct conn *c = ex->c;
	struct front *f = c->f;

	if (!learn_name(c, h->authority)) {
		conn_event(c, FRONT_NO_NAME, moved.reason);
		return &moved;
	}
	if (f->back == NULL)
		return &down;
	if (f->nexchanges >= FRONT_EXCHANGES_MAX) {
		conn_event(c, FRONT_LIMIT, full.reason);
		return &full;
	}
	h->tls = c->tls != NULL;
	/* The encoder only reads them. */
	h->sni = c->tls == NULL ? none : (char *)(uintptr_t)tls_sni(c->tls);
	if (h->dst == NULL) {
		h->dst = c->dst;
		h->port = c->port;
	}
	fields_strip_hop(&h->fields);
	fields_remove(&h->fields, "Host");
	fields_remove(&h->fields, "Expect");
	if (req_head_put(&b, h) < 0)
		return &large;
	ex->expect = h->expect_continue;
	ex->head = ex->no_body = strcmp(h->method, "HEAD") == 0;
	exchange_begin(ex);
	exchange_send(ex, M_REQ_HEAD, buf_head(&b), buf_len(&b));
	fields_free(&h->fields);
	return NULL;
}

const struct refusal *
request_end(struct exchange *ex, const struct fields *trailers)
{
	static const struct refusal large = { 431, "bad_request",
		"the trailers are too large",
		"Send fewer or shorter trailer fields." };
	cleanup_buf struct buf b = { 0 };

	if (trailers_put(&b, trailers) < 0)
		return &large;
	ex->req_done = true;
	exchange_send(ex, M_REQ_END, buf_head(&b), buf_len(&b));
	return NULL;
}

void
refusal_body(struct buf *b, const struct refusal *r)
{
	deny_body(b, &(struct denial){ .status = r->status,
			 .error = r->error,
			 .reason = r->reason,
			 .next_steps = { r->next_steps } });
}

void
answer_fields(struct fields *fs, unsigned int status)
{
	fields_set(fs, "Content-Type", "application/json");
	fields_set(fs, "Cache-Control", "no-store");
	if (status == 405)
		fields_set(fs, "Allow",
		    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	if (status == 426)
		fields_set(fs, "Sec-WebSocket-Version", "13");
}
