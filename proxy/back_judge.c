#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_model.h"
#include "proxy/back_raw.h"

void
xch_refuse(struct exchange *x, unsigned int status, const char *error,
    const char *reason, const char *next_step)
{
	struct denial d = { .status = status,
		.error = error,
		.rule = x->dec.rule,
		.reason = reason,
		.ask_id = x->ask_id,
		.next_steps = { next_step } };

	if (strcmp(x->by, "timeout") != 0)
		x->by = "failsafe";
	(void)record_decision(x, "HT401", "deny", reason, 0);
	xch_deny(x, &d);
}

/*
 * "host", "host:port" or "[v6]:port" into a normalised host and a port, which
 * stays as it is when none is given.  0 or -1.
 */
static int
split_authority(const char *s, char host[256], uint16_t *port)
{
	char text[P_HOST_MAX + 16];
	char *end, *colon;
	uint64_t n;

	if (strlcpy(text, s, sizeof(text)) >= sizeof(text))
		return -1;
	if (text[0] == '[') {
		if ((end = strchr(text, ']')) == NULL)
			return -1;
		*end++ = '\0';
		if (*end != '\0' && *end != ':')
			return -1;
		colon = *end == ':' ? end : NULL;
		if (strchr(text + 1, ':') == NULL ||
		    policy_host_normalise(text + 1, host, 256) < 0)
			return -1;
	} else {
		if ((colon = strchr(text, ':')) != NULL)
			*colon = '\0';
		if (policy_host_normalise(text, host, 256) < 0)
			return -1;
	}
	if (colon == NULL)
		return 0;
	if (str_to_u64(colon + 1, 1, 65535, &n) < 0)
		return -1;
	*port = (uint16_t)n;
	return 0;
}

static void
set_hostport(struct exchange *x)
{
	bool v6 = strchr(x->host, ':') != NULL;
	uint16_t usual = x->head.tls ? 443 : 80;

	strlcpy(x->hostport, v6 ? "[" : "", sizeof(x->hostport));
	strlcat(x->hostport, x->host, sizeof(x->hostport));
	strlcat(x->hostport, v6 ? "]" : "", sizeof(x->hostport));
	if (x->head.port != usual)
		snprintf(x->hostport + strlen(x->hostport),
		    sizeof(x->hostport) - strlen(x->hostport), ":%u",
		    x->head.port);
}

/*
 * TLS server name, Host and the name behind the dialled address are the same
 * host, and the port is the dialled one; else what policy judges is not what
 * would be reached (attacks 23, 24, 27, 28).  False when refused.
 */
static bool
names_agree(struct exchange *x)
{
	struct req_head *h = &x->head;
	uint16_t port = h->tls ? 443 : 80;
	char sni[256] = "", dst[256];
	char why[P_TEXT_MAX] = "";

	if (split_authority(h->authority, x->host, &port) < 0)
		snprintf(why, sizeof(why),
		    "the request's Host is missing or not a host name");
	else if (policy_host_normalise(h->dst, dst, sizeof(dst)) < 0 ||
		 (h->sni[0] != '\0' &&
		     policy_host_normalise(h->sni, sni, sizeof(sni)) < 0))
		snprintf(why, sizeof(why),
		    "the connection's destination is not a host name");
	else if (strcmp(x->host, dst) != 0)
		snprintf(why, sizeof(why),
		    "Host is %s, but the connection goes to %s", x->host, dst);
	else if (sni[0] != '\0' && strcmp(x->host, sni) != 0)
		snprintf(why, sizeof(why),
		    "Host is %s, but the TLS server name is %s", x->host, sni);
	else if (port != h->port)
		snprintf(why, sizeof(why),
		    "Host says port %u, but the connection goes to port %u",
		    port, h->port);
	if (why[0] == '\0') {
		set_hostport(x);
		return true;
	}
	strlcpy(x->host, h->dst, sizeof(x->host));
	set_hostport(x);
	xch_refuse(x, 403, "host_mismatch", why,
	    "send Host, TLS server name and connection to the same host");
	return false;
}

/* False when the stubs in the head say no. */
static bool
stubs_are_fine(struct exchange *x)
{
	struct back *b = x->back;

	/* The plan of a head holds for as long as the bindings do. */
	if (x->judged != b->bindings_serial)
		swap_judge(
		    &x->head, x->host, x->head.port, &b->bindings, &x->plan);
	x->judged = b->bindings_serial;
	if (swap_is_fine(&x->plan))
		return true;
	switch (x->plan.verdict) {
	case SWAP_LEAK:
		record_leak(x, x->plan.name, x->plan.reason, false);
		xch_refuse(x, 403, "credential_leak", x->plan.reason,
		    "send the credential's variable only to the host and in "
		    "the place it is made for");
		return false;
	case SWAP_REVOKED:
		xch_refuse(x, 403, "credential_revoked", x->plan.reason,
		    "ask the user for a new credential");
		return false;
	case SWAP_PLAINTEXT:
		xch_refuse(x, 403, "credential_plaintext", x->plan.reason,
		    "use https");
		return false;
	default:
		return false;
	}
}

static void
policy_said_no(struct exchange *x)
{
	struct denial d = { .status = 403,
		.error = "policy_denied",
		.rule = x->dec.rule,
		.reason = x->dec.because,
		.next_steps = { "do not repeat the request unchanged",
		    "use a host and path that the policy allows, or ask the "
		    "user to have the rule changed" } };

	(void)record_decision(x, "HT401", "deny", x->dec.because, 0);
	xch_deny(x, &d);
}

static const char *
by_name(enum decided_by by)
{
	switch (by) {
	case BY_FAILSAFE:
		return "failsafe";
	case BY_RULE:
		return "rule";
	case BY_DEFAULT:
		return "default";
	}
	return "failsafe";
}

void
xch_judge_also(struct exchange *x, const struct http_request *rq)
{
	struct decision other;

	policy_http(x->back->policy, x->back->profile, rq, &other);
	if (other.effect < x->dec.effect)
		x->dec = other;
}

static void
ask_policy(struct exchange *x)
{
	struct back *b = x->back;
	struct http_request rq = { .method = x->head.method,
		.scheme = x->head.tls ? "https" : "http",
		.host = x->host,
		.port = x->head.port,
		.target = x->head.target };

	if (x->raw != NULL) {
		raw_ask_policy(x);
	} else {
		policy_http(b->policy, b->profile, &rq, &x->dec);
		xch_judge_overrides(x, &rq);
		xch_judge_destination(x);
		xch_judge_source(x);
		if (xch_is_inferd(x) && x->dec.by == BY_DEFAULT)
			inferd_judge(x);
	}
	x->by = by_name(x->dec.by);
}

static void
judge_policy(struct exchange *x)
{
	ask_policy(x);
	switch (x->dec.effect) {
	case EFFECT_DENY:
		policy_said_no(x);
		return;
	case EFFECT_ASK:
		xch_ask(x);
		return;
	case EFFECT_ALLOW:
		if (!xmodel_judge(x))
			xch_approved(x);
		return;
	}
	policy_said_no(x);
}

void
xch_judge(struct exchange *x)
{
	struct back *b = x->back;
	const char *m = x->head.method;

	if (raw_is(&x->head)) {
		if (raw_admit(x))
			judge_policy(x);
		return;
	}
	if (!names_agree(x) || !xch_points_here(x) || !xmodel_admit(x))
		return;
	if (b->profile == NULL) {
		xch_refuse(x, 503, "policy_unavailable",
		    "no policy is loaded, so nothing is allowed",
		    "try again in a minute");
		return;
	}
	if (!b->have_bindings) {
		xch_refuse(x, 503, "credentials_unavailable",
		    "the credential store has not answered yet",
		    "try again in a minute");
		return;
	}
	/* TRACE sends back what it got (attack 8); CONNECT is front's. */
	if (strcmp(m, "TRACE") == 0 || strcmp(m, "TRACK") == 0 ||
	    strcmp(m, "CONNECT") == 0) {
		xch_refuse(x, 403, "method_refused",
		    "this method is never sent on", "use another method");
		return;
	}
	if (x->head.protocol[0] != '\0' &&
	    strcmp(x->head.protocol, WIRE_WEBSOCKET) != 0) {
		xch_refuse(x, 501, "upgrade_refused",
		    "this proxy does not pass that protocol on",
		    "use the service's plain HTTP interface");
		return;
	}
	if (!stubs_are_fine(x))
		return;
	judge_policy(x);
}

/* Another policy may have come while the question was open. */
void
xch_answered(struct exchange *x)
{
	if (x->back->profile == NULL) {
		xch_refuse(x, 503, "policy_unavailable",
		    "no policy is loaded, so nothing is allowed",
		    "try again in a minute");
		return;
	}
	ask_policy(x);
	if (x->dec.effect == EFFECT_DENY) {
		policy_said_no(x);
		return;
	}
	x->by = "human";
	if (x->model != NULL && x->model->asking)
		xmodel_answered(x);
	else if (!xmodel_judge(x))
		xch_approved(x);
}

/* Is nothing of the request to come?  Then only its answer is. */
static bool
is_said(const struct exchange *x)
{
	return x->state >= X_CONNECT && x->head_sent && x->req_ended &&
	       x->head.protocol[0] == '\0';
}

void
back_rejudge(struct back *b)
{
	struct exchange *next;

	for (struct exchange *x = b->list; x != NULL; x = next) {
		next = x->next;
		/* Who is asked about is judged again with the answer. */
		if (x->raw != NULL || x->state == X_ASK || is_said(x))
			continue;
		x->dec.effect = EFFECT_DENY;
		if (b->profile != NULL)
			ask_policy(x);
		if (x->dec.effect != EFFECT_DENY)
			continue;
		if (x->state < X_CONNECT)
			policy_said_no(x);
		else
			xch_fail(x, 403, "policy_denied",
			    "the policy does not allow it any more",
			    "ask the user to have the rule changed");
	}
}

bool
xch_add_cred(struct exchange *x, uint32_t cred)
{
	if (x->ncreds == BACK_CREDS_MAX) {
		xch_refuse(x, 403, "limit",
		    "too many credentials are bound to this host",
		    "tell the administrator");
		return false;
	}
	x->cred[x->ncreds++].cred = cred;
	return true;
}

/*
 * Allowed.  Time may have passed since the first look (a person was asked),
 * so stubs are judged again by what is bound now.
 */
void
xch_approved(struct exchange *x)
{
	struct back *b = x->back;
	bool bound = false;

	if (x->raw != NULL) {
		raw_approved(x);
		return;
	}
	if (!stubs_are_fine(x) || !xch_sign_admit(x))
		return;
	x->ncreds = x->released = 0;
	for (size_t i = 0; i < b->bindings.n; i++) {
		const struct binding *bd = &b->bindings.b[i];

		if (!binding_is_for(bd, x->host, x->head.port))
			continue;
		bound = true;
		if (bd->revoked || (bd->spec.kind != CRED_TOKEN &&
				       bd->spec.kind != CRED_HMAC &&
				       bd->spec.kind != CRED_MTLS))
			continue;
		if (!xch_add_cred(x, bd->cred))
			return;
	}
	if (bound)
		x->stripped = swap_strip(
		    &x->head, x->host, x->head.port, &b->bindings, &x->plan);
	if (!xch_sign_prepare(x))
		return;
	if (x->ncreds > 0 && !x->head.tls) {
		xch_refuse(x, 403, "credential_plaintext",
		    "a credential is bound to this host and port, so it is "
		    "only spoken to over https",
		    "use https");
		return;
	}
	if (xch_via(x))
		xch_release(x);
}
