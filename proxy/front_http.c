#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "proxy/deny.h"

void
http_answer(struct conn *c, unsigned int status, const char *json, size_t n)
{
	struct fields fs = { 0 };
	const char *method = c->req.method;
	bool head = method != NULL && strcmp(method, "HEAD") == 0;
	unsigned int flags = c->keep ? 0 : HTTP_RSP_CLOSE;

	if (c->req.minor == 0)
		flags |= HTTP_RSP_1_0;
	fields_set(&fs, "Content-Type", "application/json");
	fields_set(&fs, "Cache-Control", "no-store");
	if (status == 405)
		fields_set(&fs, "Allow",
		    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	http_put_response(&c->out, status, "", &fs, BODY_LENGTH, n, flags);
	if (!head)
		buf_put(&c->out, json, n);
	fields_free(&fs);
	conn_schedule(c);
}

void
http_refuse(struct conn *c, unsigned int status, const char *error,
    const char *reason, const char *next_steps)
{
	cleanup_buf struct buf b = { 0 };

	if (c->ex.serial != 0) {
		bool cut = c->ex.rsp_head;

		exchange_abort(c, reason);
		if (cut) {
			conn_reset(c);
			return;
		}
	} else {
		c->ex.req_done = false;
	}
	c->keep = false;
	deny_body(&b, &(struct denial){ .status = status,
			  .error = error,
			  .reason = reason,
			  .next_steps = { next_steps } });
	http_answer(c, status, (const char *)buf_head(&b), buf_len(&b));
	conn_finish(c);
}

/*
 * Bytes that no HTTP client would begin with: a token and a blank within the
 * longest method are missing.
 */
static bool
looks_like_http(const struct buf *b)
{
	const char *s = (const char *)buf_head(b);
	size_t n = buf_len(b);
	const char *sp;

	if (n > WIRE_METHOD_MAX + 1)
		n = WIRE_METHOD_MAX + 1;
	sp = n == 0 ? NULL : memchr(s, ' ', n);
	return sp != NULL && http_is_token(s, (size_t)(sp - s));
}

static void
bad_request(struct conn *c)
{
	const struct http_parser *p = &c->req;

	if (c->tls == NULL && p->method == NULL && p->bad_status == 400 &&
	    !looks_like_http(&c->in)) {
		front_event(c->f, FRONT_NOT_HTTP,
		    c->dst == NULL ? c->addr : c->dst, c->port,
		    (const char *)buf_head(&c->in),
		    buf_len(&c->in) < 32 ? buf_len(&c->in) : 32);
		conn_close(c);
		return;
	}
	conn_event(c, FRONT_BAD_HTTP, p->why);
	http_refuse(c, p->bad_status, "bad_request", p->why,
	    "Send the request as RFC 9112 defines it; this proxy refuses what "
	    "could be read in two ways.");
}

/*
 * Authority and origin-form target of the request (RFC 9112 section 3.2).
 * *target is malloc'ed.  NULL, or why the request is refused.
 */
static const char *
split_target(const struct conn *c, const char **authority, char **target)
{
	static char none[] = "";
	const struct http_parser *p = &c->req;
	const char *raw = p->raw_target, *host, *rest;
	size_t n;
	bool https;

	host = fields_get(&p->fields, "Host", NULL);
	*authority = host == NULL ? none : host;
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

/* As learn_name() of TLS, from the Host field. */
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

/* h2c and TLS upgrades may be ignored; any other is wanted for real. */
static bool
wants_upgrade(const struct fields *fs)
{
	for (size_t i = 0; i < fs->n; i++)
		if (strcasecmp(fs->f[i].name, "Upgrade") == 0 &&
		    strcasecmp(fs->f[i].value, "h2c") != 0 &&
		    strncasecmp(fs->f[i].value, "TLS/", 4) != 0)
			return true;
	return false;
}

static void
send_head(struct conn *c, const char *authority, char *target, char *dst,
    uint16_t port)
{
	static char none[] = "";
	struct http_parser *p = &c->req;
	cleanup_free char *auth = xstrdup(authority);
	cleanup_free char *sni =
	    xstrdup(c->tls == NULL ? none : tls_sni(c->tls));
	cleanup_buf struct buf b = { 0 };
	struct req_head h = {
		.tls = c->tls != NULL,
		.sni = sni,
		.dst = dst,
		.port = port,
		.method = p->method,
		.authority = auth,
		.target = target,
		.kind = p->kind,
		.length = p->length,
		.expect_continue = p->expect_continue,
	};

	fields_strip_hop(&p->fields);
	fields_remove(&p->fields, "Host");
	fields_remove(&p->fields, "Expect");
	h.fields = p->fields;
	if (req_head_put(&b, &h) < 0) {
		http_refuse(c, 431, "bad_request", "the head is too large",
		    "Send fewer or shorter header fields.");
		return;
	}
	exchange_begin(c);
	exchange_send(c, M_REQ_HEAD, buf_head(&b), buf_len(&b));
	fields_free(&p->fields);
}

/* The head is complete: hand it on, or say why not. */
static void
begin(struct conn *c)
{
	struct http_parser *p = &c->req;
	const char *authority, *why;
	cleanup_free char *target = NULL, *dst = NULL;
	uint16_t port = c->port;

	c->keep = p->keep_alive;
	c->head_open = false;
	if (strcmp(p->method, "CONNECT") == 0) {
		http_refuse(c, 405, "connect_refused",
		    "tunnels are not needed here: every connection is already "
		    "intercepted",
		    "Unset the proxy setting and connect to the host itself.");
		return;
	}
	if (wants_upgrade(&p->fields)) {
		http_refuse(c, 501, "upgrade_refused",
		    "protocol upgrades (WebSocket among them) are not "
		    "supported by this proxy",
		    "Use the service's plain HTTP interface.");
		return;
	}
	why = split_target(c, &authority, &target);
	if (why != NULL) {
		conn_event(c, FRONT_BAD_HTTP, why);
		http_refuse(c, 400, "bad_request", why,
		    "Send the Host of the URL that is asked for.");
		return;
	}
	if (!learn_name(c, authority)) {
		static const char moved[] =
		    "the address dialled stands for no name";

		conn_event(c, FRONT_NO_NAME, moved);
		http_refuse(c, 421, "unknown_address", moved,
		    "Resolve the host name again and retry.");
		return;
	}
	if (c->f->back == NULL) {
		http_refuse(c, 503, "unavailable", "proxy back end unavailable",
		    "Retry in a few seconds.");
		return;
	}
	if (is_proxy_request(c) && proxy_target(authority, &dst, &port) < 0) {
		http_refuse(c, 400, "bad_request",
		    "the target names no host that can be asked",
		    "Use a host name of letters, digits and hyphens.");
		return;
	}
	send_head(c, authority, target, dst == NULL ? c->dst : dst, port);
}

static void
end(struct conn *c)
{
	cleanup_buf struct buf b = { 0 };

	if (trailers_put(&b, &c->req.trailers) < 0) {
		http_refuse(c, 431, "bad_request", "the trailers are too large",
		    "Send fewer or shorter trailer fields.");
		return;
	}
	c->ex.req_done = true;
	exchange_send(c, M_REQ_END, buf_head(&b), buf_len(&b));
}

bool
http_wants_input(const struct conn *c)
{
	if (c->ex.serial == 0)
		return true;
	if (c->ex.req_done)
		return buf_len(&c->in) < FRONT_PIPELINE_MAX;
	return c->ex.tx_credit > 0 && !front_congested(c->f);
}

bool
http_advance(struct conn *c)
{
	const uint8_t *data;
	size_t n;

	while (c->state == CONN_OPEN && !c->closing) {
		if (c->ex.serial != 0 && c->ex.req_done)
			return http_wants_input(c);
		switch (http_parse(&c->req, &c->in, &data, &n)) {
		case HTTP_MORE:
			c->head_open =
			    c->ex.serial == 0 &&
			    (buf_len(&c->in) > 0 || c->req.head_bytes > 0);
			return http_wants_input(c);
		case HTTP_HEAD:
			begin(c);
			break;
		case HTTP_DATA:
			if (!http_wants_input(c))
				return false;
			if (n > c->ex.tx_credit)
				n = c->ex.tx_credit;
			c->ex.tx_credit -= n;
			exchange_send(c, M_REQ_BODY, data, n);
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

void
http_eof(struct conn *c)
{
	/* What is written already may still be wanted by a half-closed end. */
	if (c->ex.serial == 0 && buf_len(&c->out) > 0)
		conn_finish(c);
	else
		conn_close(c);
}
