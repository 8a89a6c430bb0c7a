#include "proxy/back_pg.h"
#include "proxy/back_ssh.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"

bool
raw_is(const struct req_head *h)
{
	return strcmp(h->method, "CONNECT") == 0 &&
	       (strcmp(h->protocol, RAW_TCP) == 0 ||
		   strcmp(h->protocol, RAW_AGENT) == 0 ||
		   strcmp(h->protocol, RAW_POSTGRES) == 0);
}

/* ---- judging ------------------------------------------------------------ */

/* As for HTTP, but nothing in the stream names the host again. */
static bool
names_agree(struct exchange *x)
{
	struct req_head *h = &x->head;
	char sni[256];

	if (policy_host_normalise(h->dst, x->host, sizeof(x->host)) < 0) {
		strlcpy(x->host, h->dst, sizeof(x->host));
		snprintf(x->hostport, sizeof(x->hostport), "%s", x->host);
		xch_refuse(x, 403, "host_mismatch",
		    "the connection's destination is not a host name",
		    "connect to a host by its name");
		return false;
	}
	snprintf(x->hostport, sizeof(x->hostport),
	    strchr(x->host, ':') != NULL ? "[%s]:%u" : "%s:%u", x->host,
	    h->port);
	if (h->sni[0] == '\0' ||
	    (policy_host_normalise(h->sni, sni, sizeof(sni)) == 0 &&
		strcmp(sni, x->host) == 0))
		return true;
	xch_refuse(x, 403, "host_mismatch",
	    "the TLS server name is not the host that was connected to",
	    "connect to the host that is named in the certificate");
	return false;
}

/*
 * The agent has not said anything, and may yet speak HTTP: front goes on
 * waiting.  Nothing has happened, so nothing is recorded.
 */
static void
not_yet(struct exchange *x)
{
	cleanup_buf struct buf body = { 0 };

	buf_put_u16(&body, 403);
	buf_put_u8(&body, 0);
	buf_put_blob(&body, "{}", 2);
	xch_tell(x, M_RSP_DENY, &body);
	xch_end(x, false);
}

bool
raw_admit(struct exchange *x)
{
	struct back *b = x->back;

	x->raw = xcalloc(1, sizeof(*x->raw));
	x->raw->x = x;
	x->raw->fd = -1;
	if (strcmp(x->head.protocol, RAW_AGENT) == 0) {
		raw_open_agent(x->raw);
		return false;
	}
	if (!names_agree(x))
		return false;
	if (b->profile == NULL) {
		xch_refuse(x, 503, "policy_unavailable",
		    "no policy is loaded, so nothing is allowed",
		    "try again in a minute");
		return false;
	}
	if (!b->have_bindings) {
		xch_refuse(x, 503, "credentials_unavailable",
		    "the credential store has not answered yet",
		    "try again in a minute");
		return false;
	}
	if (x->head.kind != BODY_STREAM) {
		xch_refuse(x, 400, "bad_request",
		    "a connection has no end that is known before", "");
		return false;
	}
	raw_ask_policy(x);
	if (x->dec.effect == EFFECT_DENY && x->head.expect_continue &&
	    policy_http_reaches(b->profile, x->host, x->head.port)) {
		not_yet(x);
		return false;
	}
	return true;
}

void
raw_ask_policy(struct exchange *x)
{
	struct back *b = x->back;

	policy_raw(b->policy, b->profile, x->host, x->head.port, &x->dec);
}

void
back_raw_rejudge(struct back *b)
{
	struct exchange *next;
	struct decision d;

	for (struct exchange *x = b->list; x != NULL; x = next) {
		next = x->next;
		/* Those on their way are judged by whoever they wait for. */
		if (x->raw == NULL || x->raw->ssh != NULL ||
		    x->state < X_CONNECT)
			continue;
		if (b->profile != NULL) {
			policy_raw(
			    b->policy, b->profile, x->host, x->head.port, &d);
			if (d.effect != EFFECT_DENY)
				continue;
		}
		xch_abort(x, "the policy does not allow it any more");
	}
}

/* A password for this host, though nothing more is known yet than the host. */
static bool
is_login(const struct exchange *x, const struct binding *bd)
{
	return bd->spec.kind == CRED_POSTGRES &&
	       strcmp(x->head.protocol, RAW_POSTGRES) == 0 &&
	       binding_is_for(bd, x->host, x->head.port);
}

void
raw_approved(struct exchange *x)
{
	const struct bindings *bs = &x->back->bindings;
	const struct binding *revoked = NULL;

	x->ncreds = x->released = 0;
	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *bd = &bs->b[i];

		if (!is_login(x, bd))
			continue;
		if (bd->revoked) {
			revoked = bd;
			continue;
		}
		if (x->ncreds == 0)
			strlcpy(x->plan.name, bd->name, sizeof(x->plan.name));
		if (!xch_add_cred(x, bd->cred))
			return;
	}
	if (x->ncreds == 0 && revoked != NULL) {
		xch_refuse(x, 403, "credential_revoked",
		    "the credential has been revoked",
		    "ask the user for a new credential");
		return;
	}
	x->raw->login = x->ncreds > 0;
	if (xch_via(x))
		xch_release(x);
}

void
raw_put_lines(struct buf *b, const struct exchange *x)
{
	cleanup_free char *what = xasprintf("connect to %s", x->hostport);
	cleanup_free char *how = xasprintf(
	    "protocol: %s%s", x->head.protocol, x->head.tls ? ", in TLS" : "");
	cleanup_free char *cred =
	    xasprintf("with credential: %s", x->plan.name);

	buf_put_u32(b, x->plan.name[0] != '\0' ? 3 : 2);
	buf_put_str(b, what);
	buf_put_str(b, how);
	if (x->plan.name[0] != '\0')
		buf_put_str(b, cred);
}

const char *
raw_scheme(const struct exchange *x)
{
	return x->head.protocol;
}

bool
raw_deny(struct exchange *x, const struct denial *d)
{
	struct raw *r = x->raw;
	cleanup_buf struct buf b = { 0 }, end = { 0 };

	if (strcmp(x->head.protocol, RAW_POSTGRES) != 0)
		return false;
	pg_put_denial(&b, d);
	raw_opened(r);
	raw_send(r, buf_head(&b), buf_len(&b));
	buf_put_u32(&end, 0);
	xch_tell(x, M_RSP_END, &end);
	xch_end(x, false);
	return true;
}

/* ---- records ------------------------------------------------------------ */

static void
put_object(struct audit_ev *e, const struct exchange *x)
{
	audit_ev_u64(e, "obj.exchange", x->id);
	audit_ev_str(e, "obj.protocol", x->head.protocol);
	audit_ev_bool(e, "obj.tls", x->head.tls);
	audit_ev_str(e, "obj.host", x->host);
	audit_ev_u64(e, "obj.port", x->head.port);
}

bool
raw_record_decision(struct exchange *x, const char *code, const char *effect,
    const char *why, uint32_t serial)
{
	bool allowed = strcmp(effect, "allow") == 0;
	bool denied = strcmp(effect, "deny") == 0;
	struct audit_ev e;

	/* An address that was refused has its own code already. */
	if (strcmp(code, "NT401") != 0)
		code = allowed ? "NT101" : denied ? "NT408" : "NT102";
	audit_ev_init(&e, code, "net.decide",
	    allowed  ? 1
	    : denied ? 3
		     : 2,
	    true);
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
	if (x->ask_id[0] != '\0') {
		audit_ev_str(&e, "ask.id", x->ask_id);
		audit_ev_str(&e, "ask.by", x->ask_by);
	}
	return back_send_event(x->back, &e, serial);
}

void
raw_record_outcome(struct exchange *x, const char *error)
{
	const struct raw *r = x->raw;
	struct audit_ev e;

	/* keyd records what is signed. */
	if (r->ssh != NULL)
		return;
	audit_ev_init(&e, error == NULL ? "NT201" : "NT501",
	    error == NULL ? "net.done" : "net.failed", error == NULL ? 1 : 2,
	    false);
	put_object(&e, x);
	audit_ev_u64(&e, "obj.sent", x->req_sent);
	audit_ev_u64(&e, "obj.received", x->rsp_bytes);
	if (r->since != 0)
		audit_ev_u64(&e, "obj.ms", ev_now_ms() - r->since);
	if (error != NULL)
		audit_ev_str(&e, "obj.error", error);
	(void)back_send_event(x->back, &e, 0);
}

void
raw_record_leak(struct exchange *x, const char *cred, const char *why)
{
	struct audit_ev e;

	audit_ev_init(&e, "SE401", "secret.leak", 4, true);
	put_object(&e, x);
	audit_ev_str(&e, "obj.credential", cred);
	audit_ev_str(&e, "dec.effect", "deny");
	audit_ev_str(&e, "dec.by", "failsafe");
	audit_ev_str(&e, "dec.enforce", "proxy");
	audit_ev_str(&e, "dec.reason", why);
	(void)back_send_event(x->back, &e, 0);
}
