#include "proxy/front.h"

#include <nghttp2/nghttp2.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/ws_key.h"

/* ---- answers of ours --------------------------------------------------- */

static void
answer(struct conn *c, unsigned int status, const char *json, size_t n)
{
	struct fields fs = { 0 };
	const char *method = c->req.method;
	bool head = method != NULL && strcmp(method, "HEAD") == 0;
	unsigned int flags = c->keep ? 0 : HTTP_RSP_CLOSE;

	if (c->req.minor == 0)
		flags |= HTTP_RSP_1_0;
	answer_fields(&fs, status);
	http_put_response(&c->out, status, "", &fs, BODY_LENGTH, n, flags);
	if (!head)
		buf_put(&c->out, json, n);
	fields_free(&fs);
	conn_schedule(c);
}

static void
drop(struct conn *c)
{
	free(c->ex);
	c->ex = NULL;
}

/* Answer with an explanation and close.  A response under way is cut. */
static void
refuse(struct conn *c, const struct refusal *r)
{
	cleanup_buf struct buf b = { 0 };
	struct exchange *ex = c->ex;
	bool cut = ex != NULL && ex->rsp_head;

	c->owes = ex == NULL || !ex->req_done;
	if (ex != NULL) {
		exchange_abort(ex, r->reason);
		drop(c);
	}
	if (cut) {
		conn_reset(c);
		return;
	}
	c->keep = false;
	refusal_body(&b, r);
	answer(c, r->status, (const char *)buf_head(&b), buf_len(&b));
	conn_finish(c);
}

/* The exchange is done with: on to the next, or no more. */
static void
over(struct conn *c)
{
	bool done = c->ex->req_done;

	exchange_end(c->ex);
	drop(c);
	if (c->keep && done) {
		http_parser_reset(&c->req);
	} else {
		c->owes = !done;
		conn_finish(c);
	}
	conn_schedule(c);
}

/* ---- requests ---------------------------------------------------------- */

static void
bad_request(struct conn *c)
{
	const struct http_parser *p = &c->req;

	conn_event(c, FRONT_BAD_HTTP, p->why);
	refuse(c,
	    &(struct refusal){ p->bad_status, "bad_request", p->why,
		"Send the request as RFC 9112 defines it; this proxy refuses "
		"what could be read in two ways." });
}

/*
 * Authority and origin-form target of the request (RFC 9112 section 3.2).
 * Both are malloc'ed.  NULL, or why the request is refused.
 */
static const char *
split_target(const struct conn *c, char **authority, char **target)
{
	const struct http_parser *p = &c->req;
	const char *raw = p->raw_target, *host, *rest;
	size_t n;
	bool https;

	host = fields_get(&p->fields, "Host", NULL);
	*authority = xstrdup(host == NULL ? "" : host);
	if (raw[0] == '/' || raw[0] == '*') {
		*target = xstrdup(raw);
		return NULL;
	}
	https = strncasecmp(raw, "https://", 8) == 0;
	if (https != (c->tls != NULL))
		return "the scheme of the target is not that of the connection";
	raw += https ? 8 : 7;
	n = strcspn(raw, "/?");
	rest = raw + n;
	if (host == NULL || strlen(host) != n || strncasecmp(raw, host, n) != 0)
		return "the authority of the target is not that of Host";
	if (*rest == '\0' && strcmp(p->method, "OPTIONS") == 0)
		*target = xstrdup("*");
	else
		*target = xasprintf("%s%s", *rest == '/' ? "" : "/", rest);
	return NULL;
}

/*
 * A client that insists on proxy variables comes to the listener on loopback,
 * which capture leaves alone, and names its destination in the target: that is
 * as good as having dialled it.  *dst is malloc'ed.
 */
static int
proxy_target(const char *authority, char **dst, uint16_t *port)
{
	const char *host = authority, *colon;
	uint64_t n = 80;
	size_t len;

	if (host[0] == '[') {
		len = strcspn(++host, "]");
		colon = host + len + 1;
	} else {
		len = strcspn(host, ":");
		colon = host + len;
	}
	if (*colon == ':' && str_to_u64(colon + 1, 1, UINT16_MAX, &n) < 0)
		return -1;
	*dst = xstrndup(host, len);
	str_lower(*dst);
	*port = (uint16_t)n;
	return wire_is_host(*dst) ? 0 : -1;
}

static bool
is_proxy_request(const struct conn *c)
{
	return c->index == 0 && c->tls == NULL && c->req.raw_target[0] != '/' &&
	       c->req.raw_target[0] != '*' &&
	       (str_starts(c->addr, "127.") || str_eq(c->addr, "::1"));
}

/* A request to become a WebSocket, in the one form back knows. */
static const struct refusal *
begin_ws(struct conn *c, struct req_head *h)
{
	static char protocol[] = WIRE_WEBSOCKET;
	const char *key;
	const struct refusal *no = ws_handshake(&c->req, &key);

	if (no != NULL)
		return no;
	free(c->ws_accept);
	c->ws_accept = xcalloc(1, WS_ACCEPT_SIZE);
	ws_accept(key, c->ws_accept);
	h->protocol = protocol;
	h->kind = BODY_STREAM;
	return NULL;
}

/* The head is complete: hand it on, or say why not. */
static void
begin(struct conn *c)
{
	static const struct refusal no_host = { 400, "bad_request",
		"the target names no host that can be asked",
		"Use a host name of letters, digits and hyphens." };
	static char none[] = "";
	struct http_parser *p = &c->req;
	const struct refusal *no = NULL;
	enum ws_ask ask = ws_asked(&p->fields);
	const char *why;
	cleanup_free char *target = NULL, *dst = NULL, *authority = NULL;
	struct req_head h = {
		.method = p->method,
		.protocol = none,
		.kind = p->kind,
		.length = p->length,
		.expect_continue = p->expect_continue,
	};

	c->keep = p->keep_alive;
	c->head_open = false;
	c->used = true;
	if (strcmp(p->method, "CONNECT") == 0) {
		refuse(c, &refusal_connect);
		return;
	}
	why = split_target(c, &authority, &target);
	if (why != NULL) {
		conn_event(c, FRONT_BAD_HTTP, why);
		refuse(c, &(struct refusal){ 400, "bad_request", why,
			      "Send the Host of the URL that is asked for." });
		return;
	}
	if (crl_is_asked(c, authority, target)) {
		crl_ask(c);
		return;
	}
	if (ask == WS_OTHER)
		no = &refusal_upgrade;
	else if (ask == WS_YES)
		no = begin_ws(c, &h);
	if (no != NULL) {
		refuse(c, no);
		return;
	}
	if (is_proxy_request(c) && proxy_target(authority, &dst, &h.port) < 0) {
		refuse(c, &no_host);
		return;
	}
	h.dst = dst;
	h.authority = authority;
	h.target = target;
	h.fields = p->fields;
	memset(&p->fields, 0, sizeof(p->fields));
	c->ex = xcalloc(1, sizeof(*c->ex));
	c->ex->c = c;
	c->ex->tunnel = ask == WS_YES;
	no = request_begin(c->ex, &h);
	fields_free(&h.fields);
	if (no != NULL) {
		drop(c);
		refuse(c, no);
	}
}

static void
end(struct conn *c)
{
	const struct refusal *no = request_end(c->ex, &c->req.trailers);

	if (no != NULL)
		refuse(c, no);
}

static bool
http_wants_input(const struct conn *c)
{
	if (c->ex == NULL)
		return true;
	if (c->ex->req_done || c->ex->tunnel)
		return buf_len(&c->in) < FRONT_PIPELINE_MAX;
	return c->ex->tx_credit > 0 && !front_congested(c->f);
}

/*
 * HTTP/2 by prior knowledge (RFC 9113 section 3.3): the connection begins with
 * what no HTTP/1.1 request can be.  True if it may be that.
 */
static bool
is_preface(struct conn *c)
{
	static const char magic[] = NGHTTP2_CLIENT_MAGIC;
	size_t n = buf_len(&c->in);

	if (c->used || c->tls != NULL || n == 0)
		return false;
	if (n > sizeof(magic) - 1)
		n = sizeof(magic) - 1;
	if (memcmp(buf_head(&c->in), magic, n) != 0)
		return false;
	if (n == sizeof(magic) - 1)
		h2_start(c);
	return true;
}

static bool
http_advance(struct conn *c)
{
	const uint8_t *data;
	size_t n;

	if (is_preface(c))
		return c->proto == &front_http || c->proto->advance(c);
	if (raw_begins(c))
		return false;
	while (c->state == CONN_OPEN && !c->closing && !c->crl_wait) {
		if (c->ex != NULL && (c->ex->req_done || c->ex->tunnel))
			return http_wants_input(c);
		switch (http_parse(&c->req, &c->in, &data, &n)) {
		case HTTP_MORE:
			c->head_open =
			    c->ex == NULL &&
			    (buf_len(&c->in) > 0 || c->req.head_bytes > 0);
			return http_wants_input(c);
		case HTTP_HEAD:
			begin(c);
			break;
		case HTTP_DATA:
			if (!http_wants_input(c))
				return false;
			if (n > c->ex->tx_credit)
				n = c->ex->tx_credit;
			exchange_send_body(c->ex, data, n);
			http_parser_took(&c->req, &c->in, n);
			break;
		case HTTP_DONE:
			end(c);
			break;
		case HTTP_BAD:
			bad_request(c);
			break;
		}
	}
	return false;
}

static void
http_eof(struct conn *c)
{
	if (raw_undecided(c) && raw_may_wait(c)) {
		raw_quiet(c);
		return;
	}
	/* What is written already may still be wanted by a half-closed end. */
	if (c->ex == NULL && buf_len(&c->out) > 0)
		conn_finish(c);
	else
		conn_close(c);
}

/* ---- responses --------------------------------------------------------- */

static bool
http_fill(struct conn *c)
{
	return false;
}

static void
http_wrote(struct conn *c)
{
	if (c->ex != NULL && buf_len(&c->out) <= WIRE_RSP_WINDOW / 2)
		exchange_grant(c->ex);
}

static enum conn_timer
http_timer(const struct conn *c)
{
	/* Until then it runs on. */
	if (c->timer_kind == TIMER_QUIET && raw_undecided(c))
		return TIMER_QUIET;
	if (c->ex == NULL)
		return c->head_open || !c->used ? TIMER_HEAD : TIMER_IDLE;
	/* An answer may wait for a person: back knows when to give up. */
	return c->ex->req_done || c->ex->tunnel || c->ex->tx_credit == 0 ||
		       (c->ex->expect && !c->ex->rsp_head)
		   ? TIMER_NONE
		   : TIMER_BODY;
}

static bool
http_expired(struct conn *c)
{
	static const struct refusal late = { 408, "request_timeout",
		"the request head took too long",
		"Send the whole request head without a pause." };

	if (c->timer_kind != TIMER_HEAD || !c->head_open)
		return false;
	c->timer_kind = TIMER_NONE;
	refuse(c, &late);
	return true;
}

static void
http_end(struct conn *c)
{
	if (c->ex != NULL)
		exchange_abort(c->ex, "the agent's connection is gone");
	drop(c);
}

static void
http_on_continue(struct exchange *ex)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	buf_put(&ex->c->out, text, sizeof(text) - 1);
	conn_schedule(ex->c);
}

static void
http_on_head(struct exchange *ex, struct rsp_head *h)
{
	struct conn *c = ex->c;
	enum body_kind kind = h->kind;
	unsigned int flags = 0;

	if (h->status == 101) {
		ws_accepted(h, c->ws_accept);
		http_put_response(
		    &c->out, 101, h->reason, &h->fields, BODY_NONE, 0, 0);
		raw_upgraded(c);
		return;
	}
	ex->chunked = ex->kind == BODY_STREAM && c->req.minor >= 1;
	if (c->req.minor == 0) {
		flags |= HTTP_RSP_1_0;
		if (ex->kind == BODY_STREAM) {
			flags |= HTTP_RSP_UNTIL_CLOSE;
			c->keep = false;
		} else if (kind == BODY_STREAM) {
			kind = BODY_NONE;
		}
	}
	if (ex->head)
		flags |= HTTP_RSP_NO_BODY;
	if (!c->keep)
		flags |= HTTP_RSP_CLOSE;
	http_put_response(
	    &c->out, h->status, h->reason, &h->fields, kind, h->length, flags);
	conn_schedule(c);
}

static void
http_on_body(struct exchange *ex, const uint8_t *p, size_t n)
{
	struct conn *c = ex->c;

	ex->rx_taken += n;
	if (ex->chunked) {
		http_put_chunk(&c->out, p, n);
		conn_schedule(c);
	} else {
		conn_put(c, p, n);
	}
}

static void
http_on_end(struct exchange *ex, const struct fields *trailers)
{
	if (ex->chunked)
		http_put_last_chunk(&ex->c->out, trailers);
	over(ex->c);
}

static void
http_on_deny(struct exchange *ex, unsigned int status, const char *json,
    size_t n, bool close)
{
	if (close || !ex->req_done)
		ex->c->keep = false;
	answer(ex->c, status, json, n);
	over(ex->c);
}

static void
http_on_fail(struct exchange *ex, const struct refusal *r)
{
	refuse(ex->c, r);
}

static void
http_on_credit(struct exchange *ex, size_t n)
{
	conn_schedule(ex->c);
}

const struct front_proto front_http = {
	.advance = http_advance,
	.wants_input = http_wants_input,
	.eof = http_eof,
	.fill = http_fill,
	.wrote = http_wrote,
	.timer = http_timer,
	.expired = http_expired,
	.end = http_end,
	.on_continue = http_on_continue,
	.on_head = http_on_head,
	.on_body = http_on_body,
	.on_end = http_on_end,
	.on_deny = http_on_deny,
	.on_fail = http_on_fail,
	.on_credit = http_on_credit,
};
