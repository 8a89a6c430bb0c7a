/*
 * Connections of the agent that are neither TLS nor HTTP, and what is neither
 * inside of TLS: front passes their bytes on once back has opened the way.
 * A PostgreSQL client that asks for TLS gets it here.
 */
#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "proxy/pgwire.h"
#include "proxy/sshwire.h"

enum raw_state {
	RAW_START, /* PostgreSQL, perhaps */
	RAW_ASKED, /* back is to say whether */
	RAW_OPEN,
};

struct raw_conn {
	enum raw_state state;
	bool agent;      /* a client of the SSH agent: whole messages */
	bool quiet;      /* asked before the agent has said anything */
	bool pg_tls;     /* it has asked for TLS */
	bool pg_gss;     /* and for GSSAPI before */
	bool agent_end;  /* the agent has said all, and back knows */
	bool server_end; /* back has said all */
	bool shut;       /* and the agent knows */
};

/* ---- what is it? -------------------------------------------------------- */

static bool
is_method(const char *s, size_t n)
{
	static const char *const known[] = { "GET", "HEAD", "POST", "PUT",
		"PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PRI" };

	for (size_t i = 0; i < nitems(known); i++)
		if (strlen(known[i]) == n && memcmp(s, known[i], n) == 0)
			return true;
	return false;
}

enum http_guess {
	HTTP_NO,
	HTTP_PERHAPS,
	HTTP_YES
};

/*
 * In HTTP a method is followed by a blank, and the line of one that is not
 * well known ends in the version.
 */
static enum http_guess
guess(const struct buf *b)
{
	const char *s = (const char *)buf_head(b), *end;
	size_t n = buf_len(b), len = 0;

	while (len < n && http_is_token(s + len, 1))
		len++;
	if (len == n)
		return n > WIRE_METHOD_MAX ? HTTP_NO : HTTP_PERHAPS;
	if (is_method(s, len))
		return HTTP_YES;
	if (len == 0 || s[len] != ' ')
		return HTTP_NO;
	end = memchr(s, '\n', n);
	if (end == NULL)
		return HTTP_PERHAPS;
	return memmem(s, (size_t)(end - s), " HTTP/", 6) == NULL ? HTTP_NO
								 : HTTP_YES;
}

/* Nothing but the first bytes of the connection are here. */
static bool
is_begin(const struct conn *c)
{
	return !c->used && c->ex == NULL && c->req.method == NULL &&
	       c->req.head_bytes == 0 && buf_len(&c->in) > 0;
}

/* ---- asking back -------------------------------------------------------- */

static void
drop(struct conn *c)
{
	free(c->ex);
	c->ex = NULL;
}

static void
refuse(struct conn *c, const struct refusal *r)
{
	if (strcmp(r->error, "unavailable") == 0)
		conn_event(c, FRONT_NOT_HTTP,
		    "neither TLS nor HTTP, and nobody can say whether it may");
	conn_reset(c);
}

static void
ask(struct conn *c, const char *protocol)
{
	static char none[] = "", method[] = "CONNECT";
	const char *host = c->dst == NULL ? c->addr : c->dst;
	cleanup_free char *proto = xstrdup(protocol);
	cleanup_free char *authority = xasprintf(
	    strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, c->port);
	const struct refusal *no;
	struct req_head h = {
		.method = method,
		.authority = authority,
		.target = none,
		.protocol = proto,
		.kind = BODY_STREAM,
		.expect_continue = c->raw->quiet,
	};

	c->raw->state = RAW_ASKED;
	c->ex = xcalloc(1, sizeof(*c->ex));
	c->ex->c = c;
	no = request_begin(c->ex, &h);
	if (no != NULL) {
		drop(c);
		refuse(c, no);
	}
}

static void
become_raw(struct conn *c)
{
	c->raw = xcalloc(1, sizeof(*c->raw));
	conn_opened(c, &front_raw);
}

void
raw_upgraded(struct conn *c)
{
	c->raw = xcalloc(1, sizeof(*c->raw));
	c->raw->state = RAW_OPEN;
	c->proto = &front_raw;
	conn_schedule(c);
}

/* The proxy's own listener, which a client must name its destination to. */
static bool
is_listener(const struct conn *c)
{
	return c->index == 0 &&
	       (str_starts(c->addr, "127.") || str_eq(c->addr, "::1"));
}

bool
raw_begins(struct conn *c)
{
	if (!is_begin(c) || guess(&c->in) != HTTP_NO)
		return false;
	if (is_listener(c)) {
		front_event(c->f, FRONT_NOT_HTTP, c->addr, c->port,
		    (const char *)buf_head(&c->in),
		    buf_len(&c->in) < 32 ? buf_len(&c->in) : 32);
		conn_close(c);
	} else {
		become_raw(c);
	}
	return true;
}

bool
raw_undecided(const struct conn *c)
{
	return is_begin(c) && !is_listener(c) && guess(&c->in) == HTTP_PERHAPS;
}

bool
raw_may_wait(const struct conn *c)
{
	return c->port != 80 && c->port != 443 && !is_listener(c);
}

void
raw_agent(struct front *f, int fd)
{
	/* No name and no address: what it is says the protocol. */
	struct conn *c = conn_new(f, fd, "127.0.0.1", "ssh-agent", 0, 0);

	become_raw(c);
	c->raw->agent = true;
	ask(c, "ssh-agent");
}

void
raw_quiet(struct conn *c)
{
	become_raw(c);
	c->raw->quiet = true;
	ask(c, "tcp");
}

/* ---- PostgreSQL --------------------------------------------------------- */

/* One byte, into a socket that is empty. */
static bool
answer(struct conn *c, size_t used, char with)
{
	/* What came along could be taken for what comes in TLS. */
	if (buf_len(&c->in) > used ||
	    send(c->fd, &with, 1, MSG_NOSIGNAL) != 1) {
		conn_close(c);
		return false;
	}
	buf_consume(&c->in, used);
	return true;
}

/* True if more bytes are wanted. */
static bool
pg_start(struct conn *c)
{
	struct raw_conn *r = c->raw;
	size_t used = 0;

	switch (pg_start_parse(buf_head(&c->in), buf_len(&c->in), &used)) {
	case PG_START_MORE:
		return true;
	case PG_START_BAD:
		ask(c, "tcp");
		return false;
	case PG_START_CANCEL:
	case PG_START_LOGIN:
		ask(c, "postgres");
		return false;
	case PG_START_GSS:
		if (r->pg_gss || c->tls != NULL) {
			conn_close(c);
			return false;
		}
		r->pg_gss = true;
		return answer(c, used, 'N');
	case PG_START_SSL:
		if (r->pg_tls || c->tls != NULL) {
			conn_close(c);
			return false;
		}
		r->pg_tls = true;
		if (answer(c, used, 'S'))
			conn_handshake(c);
		return false;
	}
	return false;
}

/* ---- the protocol ------------------------------------------------------- */

static bool
raw_wants_input(const struct conn *c)
{
	const struct raw_conn *r = c->raw;

	if (r->state == RAW_START)
		return true;
	return r->state == RAW_OPEN && !r->agent_end && c->ex->tx_credit > 0 &&
	       !front_congested(c->f);
}

/*
 * Bytes of whole messages that back may have; 0 if more are wanted, -1 when it
 * is no message to an agent, or one too many.
 */
static ssize_t
agent_messages(const struct conn *c)
{
	struct ssh_frame fr;
	size_t n = 0;

	for (;;) {
		switch (ssh_frame_parse(
		    buf_head(&c->in) + n, buf_len(&c->in) - n, &fr)) {
		case SSH_BAD:
			return -1;
		case SSH_MORE:
			return (ssize_t)n;
		case SSH_FRAME:
			break;
		}
		if (n + fr.used > c->ex->tx_credit)
			return (ssize_t)n;
		if (!rate_take(
			&c->f->agent_rate, FRONT_AGENT_BURST, FRONT_AGENT_MS)) {
			conn_event(c, FRONT_LIMIT,
			    "too much is asked of the SSH agent");
			return -1;
		}
		n += fr.used;
	}
}

static bool
raw_advance(struct conn *c)
{
	size_t n = buf_len(&c->in);
	ssize_t whole;

	if (c->raw->state == RAW_START)
		return pg_start(c);
	if (!raw_wants_input(c))
		return false;
	if (c->raw->agent && n > 0) {
		whole = agent_messages(c);
		if (whole < 0) {
			conn_close(c);
			return false;
		}
		n = (size_t)whole;
	}
	if (n > c->ex->tx_credit)
		n = c->ex->tx_credit;
	if (n > 0)
		exchange_send_body(c->ex, buf_head(&c->in), n);
	buf_consume(&c->in, n);
	return raw_wants_input(c);
}

/* Both directions are over. */
static void
finish(struct conn *c)
{
	exchange_end(c->ex);
	conn_finish(c);
}

static void
raw_eof(struct conn *c)
{
	static const struct fields none;
	struct raw_conn *r = c->raw;

	if (r->state != RAW_OPEN) {
		conn_close(c);
		return;
	}
	r->agent_end = true;
	(void)request_end(c->ex, &none);
	if (r->shut)
		finish(c);
}

static bool
raw_fill(struct conn *c)
{
	return false;
}

static void
raw_wrote(struct conn *c)
{
	struct raw_conn *r = c->raw;

	if (c->ex == NULL || c->ex->serial == 0)
		return;
	if (buf_len(&c->out) <= WIRE_RSP_WINDOW / 2)
		exchange_grant(c->ex);
	if (!r->server_end || r->shut || buf_len(&c->out) > 0)
		return;
	r->shut = true;
	if (c->tls != NULL)
		tls_close(c->tls);
	shutdown(c->fd, SHUT_WR);
	if (r->agent_end)
		finish(c);
}

/* Back knows when one who says nothing has to go. */
static enum conn_timer
raw_timer(const struct conn *c)
{
	return c->raw->state == RAW_START ? TIMER_HEAD : TIMER_NONE;
}

static bool
raw_expired(struct conn *c)
{
	return false;
}

static void
raw_end(struct conn *c)
{
	if (c->ex != NULL)
		exchange_abort(c->ex, "the agent's connection is gone");
	drop(c);
	free(c->raw);
	c->raw = NULL;
}

static void
raw_on_continue(struct exchange *ex)
{
}

static void
raw_on_head(struct exchange *ex, struct rsp_head *h)
{
	ex->c->raw->state = RAW_OPEN;
	ex->c->readable = true;
	conn_schedule(ex->c);
}

static void
raw_on_body(struct exchange *ex, const uint8_t *p, size_t n)
{
	ex->rx_taken += n;
	conn_put(ex->c, p, n);
}

static void
raw_on_end(struct exchange *ex, const struct fields *trailers)
{
	ex->c->raw->server_end = true;
	conn_schedule(ex->c);
}

static void
raw_on_deny(struct exchange *ex, unsigned int status, const char *json,
    size_t n, bool close)
{
	struct conn *c = ex->c;

	if (close || !c->raw->quiet) {
		conn_reset(c);
		return;
	}
	/* It may still speak HTTP. */
	raw_end(c);
	if (buf_len(&c->in) > 0)
		conn_opened(c, &front_http);
	else
		conn_sniff_again(c);
}

static void
raw_on_fail(struct exchange *ex, const struct refusal *r)
{
	conn_reset(ex->c);
}

static void
raw_on_credit(struct exchange *ex, size_t n)
{
	conn_schedule(ex->c);
}

const struct front_proto front_raw = {
	.advance = raw_advance,
	.wants_input = raw_wants_input,
	.eof = raw_eof,
	.fill = raw_fill,
	.wrote = raw_wrote,
	.timer = raw_timer,
	.expired = raw_expired,
	.end = raw_end,
	.on_continue = raw_on_continue,
	.on_head = raw_on_head,
	.on_body = raw_on_body,
	.on_end = raw_on_end,
	.on_deny = raw_on_deny,
	.on_fail = raw_on_fail,
	.on_credit = raw_on_credit,
};
