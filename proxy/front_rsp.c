#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

/* Credit that back may pile up; more is a mistake of back. */
#define CREDIT_MAX (64u * 1024 * 1024)

/* ---- the life of an exchange ------------------------------------------- */

void
exchange_begin(struct conn *c)
{
	struct front *f = c->f;

	memset(&c->ex, 0, sizeof(c->ex));
	/* A serial is never reused: a front that has used all is replaced. */
	if (f->next_serial == UINT32_MAX)
		fatalx("out of exchange serials");
	c->ex.serial = f->next_serial++;
	c->ex.tx_credit = WIRE_WINDOW;
	c->ex.rx_credit = WIRE_WINDOW;
	c->ex.expect = c->req.expect_continue;
	c->ex.no_body = strcmp(c->req.method, "HEAD") == 0;
	c->ex.hash_next = f->hash[c->ex.serial % FRONT_HASH];
	f->hash[c->ex.serial % FRONT_HASH] = c;
}

static void
unhash(struct conn *c)
{
	struct conn **pp = &c->f->hash[c->ex.serial % FRONT_HASH];

	while (*pp != NULL && *pp != c)
		pp = &(*pp)->ex.hash_next;
	if (*pp == c)
		*pp = c->ex.hash_next;
	c->ex.hash_next = NULL;
}

void
exchange_end(struct conn *c)
{
	unhash(c);
	c->ex.serial = 0;
	if (c->keep && c->ex.req_done)
		http_parser_reset(&c->req);
	else
		conn_finish(c);
	conn_schedule(c);
}

void
exchange_send(struct conn *c, uint16_t type, const void *p, size_t n)
{
	if (c->ex.orphan || c->f->back == NULL)
		return;
	chan_send_bytes(c->f->back->chan, type, c->f->job, c->ex.serial, p, n);
}

void
exchange_abort(struct conn *c, const char *why)
{
	cleanup_buf struct buf b = { 0 };

	buf_put_str(&b, why);
	exchange_send(c, M_REQ_ABORT, buf_head(&b), buf_len(&b));
	unhash(c);
	c->ex.serial = 0;
}

void
exchange_grant(struct conn *c)
{
	cleanup_buf struct buf b = { 0 };

	if (c->ex.rx_taken < WIRE_WINDOW / 4 ||
	    buf_len(&c->out) > WIRE_WINDOW / 2)
		return;
	buf_put_u32(&b, (uint32_t)c->ex.rx_taken);
	exchange_send(c, M_REQ_WINDOW, buf_head(&b), buf_len(&b));
	c->ex.rx_credit += c->ex.rx_taken;
	c->ex.rx_taken = 0;
}

bool
front_congested(const struct front *f)
{
	return f->back != NULL && chan_queued(f->back->chan) > MSG_QUEUE_HIGH;
}

/* ---- back comes and goes ----------------------------------------------- */

static void
on_drain(void *arg)
{
	struct front *f = arg;

	for (struct conn *c = f->conns; c != NULL; c = c->next)
		if (c->ex.serial != 0 && !c->ex.req_done)
			conn_schedule(c);
}

static void
fail_orphans(void *arg)
{
	struct front *f = arg;
	struct conn *next;

	for (struct conn *c = f->conns; c != NULL; c = next) {
		next = c->next;
		if (c->ex.serial != 0 && c->ex.orphan)
			http_refuse(c, 502, "unavailable",
			    "proxy back end ended during the request",
			    "Retry in a few seconds if the request may be "
			    "repeated.");
	}
}

void
front_back_up(struct peer *p)
{
	struct front *f = p->owner;

	f->back = p;
	if (f->job == 0)
		f->job = p->job;
	chan_on_drain(p->chan, on_drain, f);
}

/*
 * May run from inside a send on that channel, so connections are only marked
 * here and end when the round does.
 */
void
front_back_down(struct peer *p)
{
	struct front *f = p->owner;

	f->back = NULL;
	for (struct conn *c = f->conns; c != NULL; c = c->next)
		if (c->ex.serial != 0)
			c->ex.orphan = true;
	ev_undefer(f->ev, fail_orphans, f);
	ev_defer(f->ev, fail_orphans, f);
}

/* ---- messages of back -------------------------------------------------- */

/*
 * The connection whose exchange m is about, or NULL when that is over (the
 * message crossed its end).  *bad is set for a serial never given out.
 */
static struct conn *
find(struct front *f, const struct msg *m, bool *bad)
{
	struct conn *c;

	*bad = m->serial == 0 || m->serial >= f->next_serial;
	for (c = f->hash[m->serial % FRONT_HASH]; c != NULL;
	     c = c->ex.hash_next)
		if (c->ex.serial == m->serial && !c->ex.orphan)
			return c;
	return NULL;
}

static struct front *
owner(void *ctx)
{
	return ((struct peer *)ctx)->owner;
}

static int
on_continue(struct chan *ch, struct msg *m, void *ctx)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);

	if (bad || cur_end(&m->body) < 0)
		return -1;
	if (c == NULL || !c->ex.expect || c->ex.rsp_head)
		return 0;
	c->ex.expect = false;
	/* Too late once the body is here: then the agent did not wait. */
	if (!c->ex.req_done) {
		buf_put(&c->out, text, sizeof(text) - 1);
		conn_schedule(c);
	}
	return 0;
}

static void
put_head(struct conn *c, const struct rsp_head *h)
{
	struct exchange *ex = &c->ex;
	enum body_kind kind = h->kind;
	unsigned int flags = 0;

	ex->rsp_head = true;
	ex->no_body |= h->status == 204 || h->status == 304;
	ex->kind = ex->no_body ? BODY_NONE : kind;
	ex->left = h->length;
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
	if (strcmp(c->req.method, "HEAD") == 0)
		flags |= HTTP_RSP_NO_BODY;
	if (!c->keep)
		flags |= HTTP_RSP_CLOSE;
	http_put_response(
	    &c->out, h->status, h->reason, &h->fields, kind, h->length, flags);
	conn_schedule(c);
}

static int
on_head(struct chan *ch, struct msg *m, void *ctx)
{
	struct rsp_head h;
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);

	if (bad || (c != NULL && c->ex.rsp_head) ||
	    rsp_head_get(&m->body, &h) < 0)
		return -1;
	/* Nothing here asks for another protocol. */
	bad = h.status == 101;
	if (c != NULL && !bad)
		put_head(c, &h);
	rsp_head_free(&h);
	return bad ? -1 : 0;
}

static int
on_body(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);
	size_t n = m->body.left;
	const uint8_t *p = cur_bytes(&m->body, n);
	struct exchange *ex;

	if (bad || n == 0 || n > WIRE_BODY_CHUNK)
		return -1;
	if (c == NULL)
		return 0;
	ex = &c->ex;
	if (!ex->rsp_head || ex->kind == BODY_NONE || n > ex->rx_credit ||
	    (ex->kind == BODY_LENGTH && n > ex->left))
		return -1;
	ex->rx_credit -= n;
	ex->rx_taken += n;
	if (ex->kind == BODY_LENGTH)
		ex->left -= n;
	if (ex->chunked) {
		http_put_chunk(&c->out, p, n);
		conn_schedule(c);
	} else {
		conn_put(c, p, n);
	}
	return 0;
}

static int
on_end(struct chan *ch, struct msg *m, void *ctx)
{
	struct fields trailers;
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);

	if (bad || (c != NULL && !c->ex.rsp_head) ||
	    trailers_get(&m->body, &trailers) < 0)
		return -1;
	if (c != NULL && c->ex.kind == BODY_LENGTH && c->ex.left > 0) {
		/* Never pass a short body off as a whole one. */
		log_warnx("exchange=%u ended %llu bytes short", m->serial,
		    (unsigned long long)c->ex.left);
		unhash(c);
		c->ex.serial = 0;
		conn_reset(c);
	} else if (c != NULL) {
		if (c->ex.chunked)
			http_put_last_chunk(&c->out, &trailers);
		exchange_end(c);
	}
	fields_free(&trailers);
	return 0;
}

static int
on_deny(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);
	uint16_t status = cur_u16(&m->body);
	bool close = cur_bool(&m->body);
	size_t n;
	const char *json = (const char *)cur_blob(&m->body, MSG_BODY_MAX, &n);

	if (bad || cur_end(&m->body) < 0 || status < 400 || status > 599 ||
	    (c != NULL && c->ex.rsp_head))
		return -1;
	if (c == NULL)
		return 0;
	if (close || !c->ex.req_done)
		c->keep = false;
	http_answer(c, status, json, n);
	exchange_end(c);
	return 0;
}

static int
on_abort(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);

	if (bad || cur_end(&m->body) < 0)
		return -1;
	if (c == NULL)
		return 0;
	/* Back has ended it: nothing more goes there. */
	c->ex.orphan = true;
	http_refuse(c, 502, "upstream_failed", why,
	    "Retry if the request may be repeated.");
	return 0;
}

static int
on_window(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct conn *c = find(owner(ctx), m, &bad);
	uint32_t n = cur_u32(&m->body);

	if (bad || cur_end(&m->body) < 0 || n == 0 || n > CREDIT_MAX)
		return -1;
	if (c == NULL)
		return 0;
	if (c->ex.tx_credit + n > CREDIT_MAX)
		return -1;
	c->ex.tx_credit += n;
	conn_schedule(c);
	return 0;
}

const struct msg_rule front_back_rules[] = {
	{ M_RSP_CONTINUE, MSG_ALLOWED, on_continue },
	{ M_RSP_HEAD, MSG_ALLOWED, on_head },
	{ M_RSP_BODY, MSG_ALLOWED, on_body },
	{ M_RSP_END, MSG_ALLOWED, on_end },
	{ M_RSP_DENY, MSG_ALLOWED, on_deny },
	{ M_RSP_ABORT, MSG_ALLOWED, on_abort },
	{ M_RSP_WINDOW, MSG_ALLOWED, on_window },
};
const size_t front_back_nrules = nitems(front_back_rules);
