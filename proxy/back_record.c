#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_model.h"
#include "proxy/back_raw.h"

/* RFC 9110 section 9.2.1: these change nothing, unless the origin goes by
 * another method that a field asks for. */
bool
record_is_barrier(const struct exchange *x)
{
	const char *method = x->head.method;

	return (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 &&
		   strcmp(method, "OPTIONS") != 0) ||
	       xch_has_override(x);
}

/* The path, with the names of credentials that stand in it. */
static void
put_path(struct buf *b, const struct exchange *x, size_t n)
{
	const char *t = x->head.target;
	size_t at = 0;

	for (size_t i = 0; i < x->plan.n; i++) {
		const struct swap_slot *s = &x->plan.slot[i];
		const struct binding *bd =
		    bindings_cred(&x->back->bindings, s->cred);

		if (s->kind != SWAP_PATH || s->at < at || s->at + s->len > n ||
		    bd == NULL)
			continue;
		buf_put(b, t + at, s->at - at);
		buf_printf(b, "{%s}", bd->name);
		at = s->at + s->len;
	}
	buf_put(b, t + at, n - at);
}

/*
 * The URL with query values left out: "?a=#&b=#".  What stands without a "="
 * is a value itself.
 */
static void
put_url(struct buf *b, const struct exchange *x)
{
	const char *t = x->head.target, *q = strchr(t, '?');

	buf_printf(b, "%s://%s", x->head.tls ? "https" : "http", x->hostport);
	put_path(b, x, q == NULL ? strlen(t) : (size_t)(q - t));
	if (q == NULL)
		return;
	buf_put_u8(b, '?');
	for (q++; *q != '\0';) {
		size_t n = strcspn(q, "&;"), key = strcspn(q, "=&;");

		if (key < n) {
			buf_put(b, q, key);
			buf_put_u8(b, '=');
		}
		buf_put_u8(b, '#');
		q += n;
		if (*q != '\0')
			buf_put_u8(b, (uint8_t)*q++);
	}
}

static void
put_object(struct audit_ev *e, const struct exchange *x)
{
	cleanup_buf struct buf url = { 0 };

	put_url(&url, x);
	audit_ev_u64(e, "obj.exchange", x->id);
	audit_ev_str(e, "obj.method", x->head.method);
	audit_ev_bytes(e, "obj.url", buf_head(&url), buf_len(&url));
	audit_ev_str(e, "obj.host", x->host);
	audit_ev_u64(e, "obj.port", x->head.port);
}

bool
back_send_event(struct back *b, struct audit_ev *e, uint32_t serial)
{
	struct chan *c = back_chan(b, ROLE_AUDIT);

	if (serial == 0) {
		owed_add(b, e);
		return c != NULL;
	}
	owed_send(b);
	if (c != NULL)
		chan_send(c, M_AUDIT, b->job, serial, &e->body, -1);
	audit_ev_free(e);
	return c != NULL;
}

bool
record_decision(struct exchange *x, const char *code, const char *effect,
    const char *why, uint32_t serial)
{
	bool allowed = strcmp(effect, "allow") == 0;
	bool denied = strcmp(effect, "deny") == 0;
	struct audit_ev e;

	if (x->raw != NULL)
		return raw_record_decision(x, code, effect, why, serial);
	audit_ev_init(&e, code, "http.decide",
	    allowed  ? 1
	    : denied ? 3
		     : 2,
	    denied || (allowed && record_is_barrier(x)));
	put_object(&e, x);
	audit_ev_u64(&e, "pol.gen", x->back->generation);
	audit_ev_str(&e, "pol.rule", x->dec.rule);
	audit_ev_str(&e, "pol.name", x->dec.name);
	audit_ev_str(&e, "dec.effect", effect);
	audit_ev_str(&e, "dec.by", x->by);
	audit_ev_str(&e, "dec.enforce", "proxy");
	if (why != NULL && why[0] != '\0')
		audit_ev_str(&e, "dec.reason", why);
	if (x->plan.name[0] != '\0')
		audit_ev_str(&e, "obj.credential", x->plan.name);
	if (x->stripped > 0)
		audit_ev_u64(&e, "obj.stripped", x->stripped);
	if (x->ask_id[0] != '\0') {
		audit_ev_str(&e, "ask.id", x->ask_id);
		audit_ev_str(&e, "ask.by", x->ask_by);
	}
	return back_send_event(x->back, &e, serial);
}

void
record_outcome(struct exchange *x, const char *error)
{
	struct audit_ev e;

	if (x->raw != NULL) {
		raw_record_outcome(x, error);
		return;
	}
	audit_ev_init(&e, error == NULL ? "HT201" : "HT501",
	    error == NULL ? "http.done" : "http.failed", error == NULL ? 1 : 2,
	    false);
	put_object(&e, x);
	audit_ev_u64(&e, "obj.status", x->status);
	audit_ev_u64(&e, "obj.sent", x->req_sent);
	audit_ev_u64(&e, "obj.received", x->rsp_bytes);
	if (x->scrub != NULL)
		audit_ev_u64(&e, "obj.scrubbed", scrub_count(x->scrub));
	if (xch_body_swapped(x) > 0)
		audit_ev_u64(&e, "obj.swapped", xch_body_swapped(x));
	if (error != NULL)
		audit_ev_str(&e, "obj.error", error);
	(void)back_send_event(x->back, &e, 0);
	xmodel_done(x);
}

void
record_leak(struct exchange *x, const char *cred, const char *why, bool passed)
{
	struct audit_ev e;

	audit_ev_init(&e, passed ? "SE101" : "SE401",
	    passed ? "secret.body" : "secret.leak", passed ? 2 : 4, !passed);
	put_object(&e, x);
	audit_ev_str(&e, "obj.credential", cred);
	audit_ev_str(&e, "dec.effect", passed ? "allow" : "deny");
	audit_ev_str(&e, "dec.by", "failsafe");
	audit_ev_str(&e, "dec.enforce", "proxy");
	audit_ev_str(&e, "dec.reason", why);
	(void)back_send_event(x->back, &e, 0);
}

static struct often *
often_of(struct back *b, uint32_t cred)
{
	struct often *o;

	for (size_t i = 0; i < b->noften; i++)
		if (b->often[i].cred == cred)
			return &b->often[i];
	/* Ids are not used again: who is gone makes room. */
	for (size_t i = 0; i < b->noften; i++)
		if (bindings_cred(&b->bindings, b->often[i].cred) == NULL) {
			b->often[i] = (struct often){ .cred = cred };
			return &b->often[i];
		}
	b->often = xreallocarray(b->often, b->noften + 1, sizeof(*b->often));
	o = &b->often[b->noften++];
	*o = (struct often){ .cred = cred };
	return o;
}

void
record_often(struct exchange *x)
{
	struct back *b = x->back;
	uint64_t now = x->ncreds > 0 ? ev_now_ms() : 0;

	for (size_t i = 0; i < x->ncreds; i++) {
		struct often *o = often_of(b, x->cred[i].cred);
		const struct binding *bd = bindings_cred(&b->bindings, o->cred);
		struct audit_ev e;

		if (now - o->since >= BACK_OFTEN_MS) {
			o->since = now;
			o->n = 0;
		}
		if (o->n++ != BACK_OFTEN_MAX || bd == NULL)
			continue;
		audit_ev_init(&e, "SE102", "secret.often", 2, false);
		audit_ev_str(&e, "obj.credential", bd->name);
		audit_ev_str(&e, "obj.host", x->host);
		audit_ev_u64(&e, "obj.port", x->head.port);
		audit_ev_u64(&e, "obj.requests", o->n);
		audit_ev_u64(&e, "obj.seconds", BACK_OFTEN_MS / 1000);
		audit_ev_str(&e, "dec.effect", "allow");
		(void)back_send_event(b, &e, 0);
	}
}

void
record_guess(struct exchange *x, const char *why, bool refused)
{
	struct audit_ev e;

	audit_ev_init(&e, "SE402", "secret.guess", 4, true);
	put_object(&e, x);
	audit_ev_u64(&e, "obj.guesses", x->back->doubts);
	audit_ev_str(&e, "dec.effect", refused ? "deny" : "allow");
	audit_ev_str(&e, "dec.by", "failsafe");
	audit_ev_str(&e, "dec.enforce", "proxy");
	audit_ev_str(&e, "dec.reason", why);
	(void)back_send_event(x->back, &e, 0);
}

void
record_front(struct back *b, uint8_t kind, const char *dst, uint16_t port,
    const char *text)
{
	static const struct {
		const char *code;
		const char *type;
		unsigned int severity;
	} rows[FRONT_EVENT_MAX] = {
		[FRONT_UDP] = { "NT402", "net.udp", 2 },
		[FRONT_NOT_HTTP] = { "NT403", "net.protocol", 3 },
		[FRONT_TLS] = { "NT404", "net.tls", 2 },
		[FRONT_BAD_HTTP] = { "NT405", "net.http", 3 },
		[FRONT_NO_NAME] = { "NT406", "net.noname", 3 },
		[FRONT_LIMIT] = { "NT407", "net.limit", 3 },
	};
	struct rate *r = &b->front_events[kind];
	cleanup_free char *more = NULL;
	struct audit_ev e;

	/* Front keeps to half of it, unless it is not what it should be. */
	if (!rate_take(r, BACK_FRONT_BURST, BACK_FRONT_MS))
		return;
	if (r->dropped > 0)
		more = xasprintf(
		    "%s (and %u more, told too fast)", text, r->dropped);
	r->dropped = 0;
	audit_ev_init(
	    &e, rows[kind].code, rows[kind].type, rows[kind].severity, false);
	audit_ev_str(&e, "obj.host", dst);
	audit_ev_u64(&e, "obj.port", port);
	audit_ev_str(&e, "dec.effect", "deny");
	audit_ev_str(&e, "dec.by", "failsafe");
	audit_ev_str(&e, "dec.enforce", "proxy");
	audit_ev_str(&e, "dec.reason", more != NULL ? more : text);
	(void)back_send_event(b, &e, 0);
}
