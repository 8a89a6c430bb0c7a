#include "proxy/front.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

/* Credit that back may pile up; more is a mistake of back. */
#define CREDIT_MAX (64u * 1024 * 1024)

/* ---- the life of an exchange ------------------------------------------- */

void
exchange_begin(struct exchange *ex)
{
	struct front *f = ex->c->f;
	struct exchange **bucket;

	/* A serial is never reused: a front that has used all is replaced. */
	if (f->next_serial == UINT32_MAX)
		fatalx("out of exchange serials");
	ex->serial = f->next_serial++;
	ex->tx_credit = WIRE_WINDOW;
	ex->rx_credit = WIRE_RSP_WINDOW;
	bucket = &f->hash[ex->serial % FRONT_HASH];
	ex->hash_next = *bucket;
	*bucket = ex;
	ex->c->nexchanges++;
	f->nexchanges++;
}

void
exchange_end(struct exchange *ex)
{
	struct front *f = ex->c->f;
	struct exchange **pp = &f->hash[ex->serial % FRONT_HASH];

	if (ex->serial == 0)
		return;
	while (*pp != ex)
		pp = &(*pp)->hash_next;
	*pp = ex->hash_next;
	ex->hash_next = NULL;
	ex->serial = 0;
	ex->c->nexchanges--;
	f->nexchanges--;
}

void
exchange_send(struct exchange *ex, uint16_t type, const void *p, size_t n)
{
	struct front *f = ex->c->f;

	if (ex->serial == 0 || ex->orphan || f->back == NULL)
		return;
	chan_send_bytes(f->back->chan, type, f->job, ex->serial, p, n);
}

void
exchange_send_body(struct exchange *ex, const uint8_t *p, size_t n)
{
	struct cur c;

	ex->tx_credit -= n;
	/* It has not waited to be told. */
	ex->expect = false;
	cur_init(&c, p, n);
	while (c.left > 0) {
		size_t k = c.left < WIRE_BODY_CHUNK ? c.left : WIRE_BODY_CHUNK;

		exchange_send(ex, M_REQ_BODY, cur_bytes(&c, k), k);
	}
}

void
exchange_abort(struct exchange *ex, const char *why)
{
	cleanup_buf struct buf b = { 0 };

	if (ex->serial == 0)
		return;
	buf_put_str(&b, why);
	exchange_send(ex, M_REQ_ABORT, buf_head(&b), buf_len(&b));
	exchange_end(ex);
}

void
exchange_grant(struct exchange *ex)
{
	cleanup_buf struct buf b = { 0 };

	if (ex->serial == 0 || ex->rx_taken < WIRE_RSP_WINDOW / 2)
		return;
	buf_put_u32(&b, (uint32_t)ex->rx_taken);
	exchange_send(ex, M_REQ_WINDOW, buf_head(&b), buf_len(&b));
	ex->rx_credit += ex->rx_taken;
	ex->rx_taken = 0;
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

	for (size_t i = 0; i < FRONT_HASH; i++)
		for (struct exchange *ex = f->hash[i]; ex != NULL;
		     ex = ex->hash_next)
			if (!ex->req_done)
				conn_schedule(ex->c);
}

static struct exchange *
orphan_of(struct exchange *ex)
{
	while (ex != NULL && !ex->orphan)
		ex = ex->hash_next;
	return ex;
}

static void
fail_orphans(void *arg)
{
	static const struct refusal gone = { 502, "unavailable",
		"proxy back end ended during the request",
		"Retry in a few seconds if the request may be repeated." };
	struct front *f = arg;
	struct exchange *ex;

	for (size_t i = 0; i < FRONT_HASH; i++)
		while ((ex = orphan_of(f->hash[i])) != NULL) {
			const struct front_proto *proto = ex->c->proto;

			exchange_end(ex);
			proto->on_fail(ex, &gone);
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
	for (size_t i = 0; i < FRONT_HASH; i++)
		for (struct exchange *ex = f->hash[i]; ex != NULL;
		     ex = ex->hash_next)
			ex->orphan = true;
	ev_undefer(f->ev, fail_orphans, f);
	ev_defer(f->ev, fail_orphans, f);
}

/* ---- messages of back -------------------------------------------------- */

/*
 * The exchange that m is about, or NULL when it is over (the message crossed
 * its end).  *bad is set for a serial never given out.
 */
static struct exchange *
find(struct front *f, const struct msg *m, bool *bad)
{
	struct exchange *ex = f->hash[m->serial % FRONT_HASH];

	*bad = m->serial == 0 || m->serial >= f->next_serial;
	while (ex != NULL && ex->serial != m->serial)
		ex = ex->hash_next;
	return ex == NULL || ex->orphan ? NULL : ex;
}

static struct front *
owner(void *ctx)
{
	return ((struct peer *)ctx)->owner;
}

static int
on_continue(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);

	if (bad || cur_end(&m->body) < 0)
		return -1;
	if (ex == NULL || !ex->expect || ex->rsp_head)
		return 0;
	ex->expect = false;
	/* Too late once the body is here: then the agent did not wait. */
	if (!ex->req_done)
		ex->c->proto->on_continue(ex);
	return 0;
}

static int
on_head(struct chan *ch, struct msg *m, void *ctx)
{
	static const struct fields none;
	struct rsp_head h;
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);

	if (bad || (ex != NULL && ex->rsp_head) ||
	    rsp_head_get(&m->body, &h) < 0)
		return -1;
	/* Another protocol begins only where it was asked for. */
	bad = h.status == 101 && ex != NULL && !ex->tunnel;
	if (ex != NULL && !bad) {
		/* Then the request had no body. */
		if (h.status != 101 && ex->tunnel) {
			ex->tunnel = false;
			request_end(ex, &none);
		}
		ex->rsp_head = true;
		ex->no_body |= h.status == 204 || h.status == 304;
		ex->kind = ex->no_body ? BODY_NONE : h.kind;
		ex->left = h.length;
		ex->c->proto->on_head(ex, &h);
	}
	rsp_head_free(&h);
	return bad ? -1 : 0;
}

static int
on_body(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);
	struct conn *c;
	size_t n = m->body.left;
	const uint8_t *p = cur_bytes(&m->body, n);

	if (bad || n == 0 || n > WIRE_BODY_CHUNK)
		return -1;
	if (ex == NULL)
		return 0;
	if (!ex->rsp_head || ex->kind == BODY_NONE || n > ex->rx_credit ||
	    (ex->kind == BODY_LENGTH && n > ex->left))
		return -1;
	ex->rx_credit -= n;
	if (ex->kind == BODY_LENGTH)
		ex->left -= n;
	c = ex->c;
	c->proto->on_body(ex, p, n);
	conn_held(c);
	conn_relieve(c->f);
	return 0;
}

static int
on_end(struct chan *ch, struct msg *m, void *ctx)
{
	static const struct refusal cut = { 502, "upstream_failed",
		"the response ended before its end", "" };
	struct fields trailers;
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);

	if (bad || (ex != NULL && !ex->rsp_head) ||
	    trailers_get(&m->body, &trailers) < 0)
		return -1;
	if (ex != NULL && ex->kind == BODY_LENGTH && ex->left > 0) {
		/* Never pass a short body off as a whole one. */
		log_warnx("exchange=%u ended %llu bytes short", m->serial,
		    (unsigned long long)ex->left);
		exchange_end(ex);
		ex->c->proto->on_fail(ex, &cut);
	} else if (ex != NULL) {
		ex->c->proto->on_end(ex, &trailers);
	}
	fields_free(&trailers);
	return 0;
}

static int
on_deny(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);
	uint16_t status = cur_u16(&m->body);
	bool close = cur_bool(&m->body);
	size_t n;
	const char *json = (const char *)cur_blob(&m->body, MSG_BODY_MAX, &n);

	if (bad || cur_end(&m->body) < 0 || status < 400 || status > 599 ||
	    (ex != NULL && ex->rsp_head))
		return -1;
	if (ex == NULL)
		return 0;
	exchange_end(ex);
	ex->c->proto->on_deny(ex, status, json, n, close);
	return 0;
}

static int
on_abort(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);
	const struct refusal failed = { 502, "upstream_failed", why,
		"Retry if the request may be repeated." };

	if (bad || cur_end(&m->body) < 0)
		return -1;
	if (ex == NULL)
		return 0;
	exchange_end(ex);
	ex->c->proto->on_fail(ex, &failed);
	return 0;
}

static int
on_window(struct chan *ch, struct msg *m, void *ctx)
{
	bool bad;
	struct exchange *ex = find(owner(ctx), m, &bad);
	uint32_t n = cur_u32(&m->body);

	if (bad || cur_end(&m->body) < 0 || n == 0 || n > CREDIT_MAX)
		return -1;
	if (ex == NULL)
		return 0;
	if (ex->tx_credit + n > CREDIT_MAX)
		return -1;
	ex->tx_credit += n;
	ex->c->proto->on_credit(ex, n);
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
