#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_ws.h"
#include "proxy/back_raw.h"
#include "proxy/back_ssh.h"
#include "proxy/sign_sigv4.h"

/* ---- keyd: what is bound to the host ----------------------------------- */

/* keyd answers in the order of the questions. */
static void
ask_release(struct exchange *x, struct chan *c, uint32_t cred)
{
	cleanup_buf struct buf body = { 0 };
	const struct sigv4 *key = xch_sign_key(x, cred);

	buf_put_u32(&body, cred);
	buf_put_str(&body, x->head.method);
	buf_put_str(&body, x->raw != NULL ? raw_scheme(x)
			   : x->head.tls  ? "https"
					  : "http");
	buf_put_str(&body, x->host);
	buf_put_u16(&body, x->head.port);
	buf_put_str(&body, x->head.target);
	buf_put_u8(&body, strcmp(x->by, "human") == 0);
	if (key != NULL) {
		buf_put_str(&body, key->date);
		buf_put_str(&body, key->region);
		buf_put_str(&body, key->service);
	}
	chan_send(c, key == NULL ? M_RELEASE : M_SIGN_KEY, x->back->job,
	    x->wait, &body, -1);
}

/*
 * A response that could not be searched must not come: whole, not as the
 * difference to an older one (RFC 3229), in codings that back can decode, its
 * messages not compressed (gRPC, Connect).
 */
static void
keep_readable(struct exchange *x)
{
	static const char *const gone[] = { "Range", "If-Range",
		"Request-Range", "A-IM", "Available-Dictionary",
		"Accept-Charset" };
	static const char *const plain[] = { "grpc-accept-encoding",
		"connect-accept-encoding" };
	struct fields *fs = &x->head.fields;
	cleanup_buf struct buf offer = { 0 };

	for (size_t i = 0; i < fs->n; i++)
		if (strcasecmp(fs->f[i].name, "accept-encoding") == 0)
			x->accepts |= codings_offered(fs->f[i].value, &offer);
	buf_put_u8(&offer, 0);
	fields_set(fs, "Accept-Encoding",
	    buf_len(&offer) > 1 ? (const char *)buf_head(&offer) : "identity");
	for (size_t i = 0; i < nitems(gone); i++)
		fields_remove(fs, gone[i]);
	xch_ws_offer(fs);
	for (size_t i = 0; i < nitems(plain); i++)
		if (fields_get(fs, plain[i], NULL) != NULL)
			fields_set(fs, plain[i], "identity");
}

void
xch_release(struct exchange *x)
{
	struct chan *c = back_chan(x->back, ROLE_KEYD);

	if (x->ncreds == 0) {
		/* What it used is read from the response. */
		if (x->model != NULL)
			fields_set(
			    &x->head.fields, "Accept-Encoding", "identity");
		xch_record(x);
		return;
	}
	if (c == NULL) {
		xch_refuse(x, 503, "credentials_unavailable",
		    "the credential store is not available",
		    "try again in a minute");
		return;
	}
	if (x->raw == NULL && xch_may_come_back(x)) {
		if (!xch_scrub_admits(x))
			return;
		keep_readable(x);
	}
	xch_wait(x, X_RELEASE, BACK_STEP_MS);
	for (size_t i = 0; i < x->ncreds; i++)
		ask_release(x, c, x->cred[i].cred);
}

static bool
uses(const struct exchange *x, uint32_t cred)
{
	for (size_t i = 0; i < x->ncreds; i++)
		if (x->cred[i].cred == cred)
			return true;
	return false;
}

/*
 * A token may have been issued since the values were asked for; it must not
 * come back here either.  True if there is another value to wait for.
 */
static bool
ask_late(struct exchange *x, struct chan *c)
{
	const struct bindings *bs = &x->back->bindings;
	size_t before = x->ncreds;

	for (size_t i = 0; x->raw == NULL && i < bs->n; i++) {
		const struct binding *b = &bs->b[i];

		if (b->revoked || b->spec.kind != CRED_TOKEN ||
		    uses(x, b->cred) ||
		    !binding_is_for(b, x->host, x->head.port))
			continue;
		if (!xch_add_cred(x, b->cred))
			return true;
		ask_release(x, c, b->cred);
	}
	return x->ncreds > before;
}

static int
on_released(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_RELEASE, m->serial);
	bool ok = cur_bool(&m->body);
	size_t n;
	const uint8_t *v = cur_blob(&m->body, P_STUB_MAX, &n);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);

	if (cur_end(&m->body) < 0 || (ok && n == 0))
		return -1;
	if (x == NULL)
		return 0;
	if (!ok) {
		xch_refuse(x, 403, "credential_refused", why,
		    "tell the user that the credential cannot be used here");
		return 0;
	}
	x->cred[x->released].value = secret_new(v, n);
	if (x->cred[x->released].value == NULL) {
		xch_refuse(x, 503, "limit",
		    "no locked memory is left for a credential",
		    "make fewer requests at the same time");
		return 0;
	}
	if (++x->released < x->ncreds || ask_late(x, c))
		return 0;
	ev_timer_clear(x->timer);
	if (!xch_scrub_prepare(x)) {
		xch_refuse(x, 503, "credentials_unavailable",
		    "the credential changed meanwhile", "try again");
		return 0;
	}
	if (xch_via_ready(x) && xch_body_prepare(x))
		xch_record(x);
	return 0;
}

static int
on_bindings(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct bindings fresh;

	(void)c;
	if (bindings_get(&m->body, &fresh) < 0)
		return -1;
	bindings_free(&b->bindings);
	b->bindings_serial++;
	b->bindings = fresh;
	spare_drop(b);
	b->have_bindings = true;
	return 0;
}

static int
on_cred_revoked(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	uint32_t cred = cur_u32(&m->body);
	struct exchange *next;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	spare_drop(b);
	for (size_t i = 0; i < b->bindings.n; i++) {
		struct binding *bd = &b->bindings.b[i];

		if (bd->cred != cred)
			continue;
		bd->revoked = true;
		b->bindings_serial++;
		for (size_t k = 0; k < bd->spec.nhosts; k++)
			upstream_pool_forget(b->pool, bd->spec.hosts[k].host,
			    bd->spec.hosts[k].port);
	}
	for (struct exchange *x = b->list; x != NULL; x = next) {
		next = x->next;
		if (!uses(x, cred))
			continue;
		if (x->rsp_started)
			xch_abort(x, "the credential has been revoked");
		else
			xch_refuse(x, 403, "credential_revoked",
			    "the credential has been revoked",
			    "ask the user for a new credential");
	}
	return 0;
}

const struct msg_rule back_from_keyd[] = {
	{ M_BINDINGS, MSG_ALLOWED, on_bindings },
	{ M_RELEASED, MSG_ALLOWED | MSG_WIPE, on_released },
	{ M_SIGN_KEY_IS, MSG_ALLOWED | MSG_WIPE, on_released },
	{ M_CRED_REVOKED, MSG_ALLOWED, on_cred_revoked },
	{ M_SSH_KEYS_ARE, MSG_ALLOWED, back_on_ssh_keys },
	{ M_SSH_SIGNED, MSG_ALLOWED, back_on_ssh_signed },
	{ M_CRED_CAPTURED, MSG_ALLOWED, capture_on_captured },
};
const size_t back_nfrom_keyd = nitems(back_from_keyd);

/* ---- audit: on disk before it happens ---------------------------------- */

void
xch_audit_failed(struct exchange *x, const char *why)
{
	struct denial d = { .status = 503,
		.error = "audit_unavailable",
		.reason = why,
		.next_steps = { "try again in a minute" } };

	xch_deny(x, &d);
}

void
xch_record(struct exchange *x)
{
	bool early = early_may(x);

	record_often(x);
	xch_wait(x, X_AUDIT, BACK_STEP_MS);
	if (!record_decision(x, "HT101", "allow", NULL, x->wait)) {
		xch_audit_failed(
		    x, "the audit log is not available, so nothing leaves");
		return;
	}
	if (early) {
		ev_timer_clear(x->timer);
		x->ack = x->wait;
		xch_resolve(x);
	}
}

static int
on_audit_ack(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_AUDIT, m->serial);
	bool ok = cur_bool(&m->body);
	uint64_t seq = cur_u64(&m->body);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	(void)seq;
	if (cur_end(&m->body) < 0)
		return -1;
	if (early_acked(b, m->serial, ok, why) || x == NULL)
		return 0;
	ev_timer_clear(x->timer);
	if (!ok) {
		log_warnx("audit refused a record: %s", why);
		xch_audit_failed(x,
		    "the audit log cannot be written, so nothing "
		    "leaves");
		return 0;
	}
	xch_resolve(x);
	return 0;
}

const struct msg_rule back_from_audit[] = {
	{ M_AUDIT_ACK, MSG_ALLOWED, on_audit_ack },
	{ M_AUDIT_ROOM, MSG_ALLOWED, early_on_room },
};
const size_t back_nfrom_audit = nitems(back_from_audit);

/* ---- dns: every address is judged, only judged ones are dialled -------- */

/* A global address needs no rule, but a rule may deny it. */
static bool
may_dial(struct exchange *x, const struct netaddr *a, enum netaddr_class c,
    struct decision *d)
{
	struct back *b = x->back;
	struct net_request rq = { .family = a->family, .port = x->head.port };

	memcpy(rq.addr, a->addr, sizeof(rq.addr));
	policy_net(b->policy, b->profile, &rq, d);
	return d->effect == EFFECT_ALLOW &&
	       (c == NETADDR_GLOBAL || d->by == BY_RULE);
}

/* Keep what may be dialled; the class of the first other in *bad. */
static void
sift(struct exchange *x, struct netaddr a, char bad[128])
{
	enum netaddr_class c = netaddr_classify(&a);
	char text[NETADDR_TEXT];
	struct decision d = { 0 };

	if (c != NETADDR_INVALID && may_dial(x, &a, c, &d)) {
		if (x->naddrs < nitems(x->addrs))
			x->addrs[x->naddrs++] = a;
		return;
	}
	if (bad[0] != '\0')
		return;
	netaddr_format(&a, text);
	if (c == NETADDR_GLOBAL)
		snprintf(bad, 128, "%s is denied by %.60s", text, d.rule);
	else
		snprintf(bad, 128, "%s is a %s address", text,
		    netaddr_class_name(c));
}

static void
dial_or_refuse(struct exchange *x, const char *bad)
{
	char why[512];

	if (x->naddrs > 0 && (!x->via || bad[0] == '\0')) {
		if (x->via) {
			xch_via_resolve(x);
			return;
		}
		/* Another may be dialling meanwhile. */
		if (!x->own_dial && x->raw == NULL)
			xch_dial(x, true);
		if (x->up == NULL)
			xch_dial(x, false);
		return;
	}
	snprintf(why, sizeof(why), "%s may not be connected to: %s", x->host,
	    bad[0] != '\0' ? bad : "it has no address");
	x->by = "failsafe";
	(void)record_decision(x, "NT401", "deny", why, 0);
	struct denial d = { .status = 403,
		.error = "address_refused",
		.reason = why,
		.next_steps = { "use a public host, or ask the user for an "
				"\"allow net\" rule that names the address" } };
	xch_deny(x, &d);
}

void
xch_resolve(struct exchange *x)
{
	struct back *b = x->back;
	struct chan *c = back_chan(b, ROLE_DNS);
	cleanup_buf struct buf body = { 0 };
	char bad[128] = "";
	struct netaddr a;

	if (b->profile == NULL) {
		xch_refuse(x, 503, "policy_unavailable",
		    "no policy is loaded, so nothing is allowed",
		    "try again in a minute");
		return;
	}
	if (xch_is_inferd(x)) {
		inferd_connect(x);
		return;
	}
	x->naddrs = 0;
	if (netaddr_parse(x->host, &a) == 0) {
		sift(x, a, bad);
		dial_or_refuse(x, bad);
		return;
	}
	if (!x->own_dial && x->raw == NULL) {
		xch_dial(x, true);
		if (x->up != NULL)
			return;
	}
	if (c == NULL) {
		xch_refuse(x, 503, "dns_unavailable",
		    "names cannot be looked up at the moment",
		    "try again in a minute");
		return;
	}
	buf_put_str(&body, x->host);
	xch_wait(x, X_RESOLVE, BACK_RESOLVE_MS);
	chan_send(c, M_RESOLVE, b->job, x->wait, &body, -1);
}

static int
on_resolved(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_RESOLVE, m->serial);
	bool ok = cur_bool(&m->body);
	cleanup_free char *error = cur_str(&m->body, P_TEXT_MAX);
	uint32_t n = cur_count(&m->body, 64, 5);
	char bad[128] = "", why[512];

	(void)c;
	for (uint32_t i = 0; i < n; i++) {
		struct netaddr a = { .family = cur_u8(&m->body) };
		const uint8_t *p;

		if (a.family != 4 && a.family != 6)
			return -1;
		p = cur_bytes(&m->body, a.family == 4 ? 4 : 16);
		if (p == NULL)
			return -1;
		memcpy(a.addr, p, a.family == 4 ? 4 : 16);
		if (x != NULL && x->via_asked)
			xch_via_addr(x, a);
		else if (x != NULL && b->profile != NULL)
			sift(x, a, bad);
	}
	if (cur_end(&m->body) < 0)
		return -1;
	if (x == NULL)
		return 0;
	ev_timer_clear(x->timer);
	if (x->via_asked) {
		xch_via_resolved(x, ok ? "it has no address" : error);
		return 0;
	}
	if (!ok || n == 0) {
		snprintf(why, sizeof(why), "%s could not be looked up: %.200s",
		    x->host, ok ? "it has no address" : error);
		xch_refuse(x, 502, "name_not_found", why,
		    "check the spelling of the host name");
		return 0;
	}
	dial_or_refuse(x, bad);
	return 0;
}

const struct msg_rule back_from_dns[] = {
	{ M_RESOLVED, MSG_ALLOWED, on_resolved },
};
const size_t back_nfrom_dns = nitems(back_from_dns);

/* ---- nobody answers ---------------------------------------------------- */

static void
no_answer(struct exchange *x, const char *how)
{
	char why[128];

	switch (x->state) {
	case X_GATHER:
		xch_refuse(x, 408, "request_timeout",
		    "the request has to be here whole before it is judged, "
		    "and did not come to its end in time",
		    "send it again");
		return;
	case X_ASK:
		x->by = "timeout";
		xch_refuse(x, 403, "ask_timeout",
		    "nobody answered whether this request is allowed",
		    "do not repeat the request unchanged");
		return;
	case X_RELEASE:
		snprintf(why, sizeof(why), "the credential store %s", how);
		xch_refuse(x, 503, "credentials_unavailable", why,
		    "try again in a minute");
		return;
	case X_AUDIT:
		xch_audit_failed(x,
		    "the audit log is not available, so nothing "
		    "leaves");
		return;
	case X_RESOLVE:
		snprintf(why, sizeof(why), "the name service %s", how);
		xch_refuse(
		    x, 504, "dns_unavailable", why, "try again in a minute");
		return;
	case X_LOCAL:
		snprintf(why, sizeof(why), "brigd %s", how);
		xch_fail(
		    x, 503, "inferd_unavailable", why, "try again in a minute");
		return;
	case X_CAPTURE:
		snprintf(why, sizeof(why), "the credential store %s", how);
		xch_fail(x, 503, "credentials_unavailable", why,
		    "try again in a minute");
		return;
	case X_CONNECT:
	case X_OPEN:
	case X_DRAIN:
	case X_GONE:
		return;
	}
}

void
xch_timed_out(struct exchange *x)
{
	if (x->early != NULL)
		early_fail(x, "the audit log did not answer in time");
	else if (x->state == X_OPEN)
		xch_rsp_quiet(x);
	else
		no_answer(x, "did not answer in time");
}

void
back_peer_lost(struct back *b, enum role role)
{
	struct exchange *next;

	if (role == ROLE_AUDIT)
		b->audit_room = false;
	for (struct exchange *x = b->list; x != NULL; x = next) {
		next = x->next;
		if (role == ROLE_AUDIT && x->ack != 0)
			early_fail(x, "the audit log went away before the "
				      "request was in it");
		else if ((role == ROLE_CONTROL && x->state == X_ASK) ||
			 (role == ROLE_KEYD && (x->state == X_RELEASE ||
						   x->state == X_CAPTURE)) ||
			 (role == ROLE_AUDIT && x->state == X_AUDIT) ||
			 (role == ROLE_DNS && x->state == X_RESOLVE))
			no_answer(x, "went away");
	}
}
