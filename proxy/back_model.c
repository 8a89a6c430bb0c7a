#include "proxy/back_model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/swap_body.h"

void
back_model_host(struct back *b, const char *text)
{
	struct model_host h;
	struct error err = { .msg = "too many" };

	/* A host left out would be called without a judgement. */
	if (b->nmodel_hosts == MODEL_HOSTS_MAX ||
	    model_host_parse(text, &h, &err) < 0)
		fatalx("model-host %s: %s", text, err.msg);
	b->model_hosts = xreallocarray(
	    b->model_hosts, b->nmodel_hosts + 1, sizeof(*b->model_hosts));
	b->model_hosts[b->nmodel_hosts++] = h;
}

/* The administrator's word comes before ours. */
static const struct model_host *
find_host(const struct back *b, const char *host, uint16_t port)
{
	for (size_t i = 0; i < b->nmodel_hosts; i++)
		if (b->model_hosts[i].port == port &&
		    str_eq(b->model_hosts[i].host, host))
			return &b->model_hosts[i];
	for (size_t i = 0; i < nitems(model_hosts_known); i++)
		if (model_hosts_known[i].port == port &&
		    str_eq(model_hosts_known[i].host, host))
			return &model_hosts_known[i];
	return NULL;
}

bool
xmodel_admit(struct exchange *x)
{
	const struct model_host *h =
	    xch_is_inferd(x) ? inferd_host(x)
			     : find_host(x->back, x->host, x->head.port);

	if (h == NULL)
		return true;
	if (x->head.protocol[0] != '\0') {
		xch_refuse(x, 403, "model_refused",
		    "calls of models are judged one by one, which is not "
		    "possible in a WebSocket",
		    "use the provider's HTTP interface");
		return false;
	}
	if (!model_is_call(x->head.method) && !xch_has_override(x))
		return true;
	x->model = xcalloc(1, sizeof(*x->model));
	x->model->host = *h;
	x->model->back = x->back;
	return true;
}

/* ---- the whole body before a decision ----------------------------------- */

static void
too_large(struct exchange *x)
{
	xch_refuse(x, 413, "limit",
	    "a request to a model may have 16 MiB, so that it can be read "
	    "before it is judged",
	    "send less at a time");
}

/* May the body be read in another charset than ASCII's superset? */
static bool
is_in_odd_charset(const struct exchange *x)
{
	size_t n;
	const char *type = fields_get(&x->head.fields, "Content-Type", &n);

	return n > 1 || (type != NULL && strcasestr(type, "charset") != NULL &&
			    swap_body_type(type) == SWAP_BODY_NONE);
}

bool
xmodel_judge(struct exchange *x)
{
	if (x->model == NULL || x->model->judged)
		return false;
	if (fields_get(&x->head.fields, "Content-Encoding", NULL) != NULL) {
		xch_refuse(x, 415, "model_refused",
		    "the request is compressed, so the model that it calls "
		    "cannot be read",
		    "send it without Content-Encoding");
		return true;
	}
	if (is_in_odd_charset(x)) {
		xch_refuse(x, 415, "model_refused",
		    "the request's Content-Type says that its text is not "
		    "UTF-8, so the model that it calls cannot be read",
		    "send JSON as application/json");
		return true;
	}
	if (x->head.kind == BODY_LENGTH && x->head.length > MODEL_BODY_MAX) {
		too_large(x);
		return true;
	}
	xch_wait(x, X_GATHER, BACK_GATHER_MS);
	if (x->head.expect_continue && x->req_seen == 0 && !x->req_ended)
		xch_tell(x, M_RSP_CONTINUE, NULL);
	/* What came while a person was asked has been waiting. */
	if (!xmodel_body(x, buf_len(&x->req)))
		return true;
	if (x->req_ended)
		xmodel_gathered(x);
	return true;
}

bool
xmodel_body(struct exchange *x, size_t n)
{
	if (buf_len(&x->req) > MODEL_BODY_MAX) {
		too_large(x);
		return false;
	}
	/* Memory that a job chooses the size of. */
	x->model->counted += n;
	x->back->held += n;
	if (x->back->held > BACK_HELD_MAX) {
		xch_refuse(x, 503, "limit",
		    "too many bodies are held at once until they are whole",
		    "send fewer at a time");
		return false;
	}
	x->req_prepaid += n;
	xch_grant(x, n);
	return true;
}

/* ---- decision ----------------------------------------------------------- */

static void
record(struct exchange *x, const char *code, const char *effect)
{
	struct xmodel *m = x->model;
	bool denied = strcmp(effect, "deny") == 0;
	struct audit_ev e;

	audit_ev_init(&e, code, "model.decide", denied ? 3 : 1, denied);
	audit_ev_u64(&e, "obj.exchange", x->id);
	audit_ev_str(&e, "obj.provider", m->host.provider);
	audit_ev_str(&e, "obj.model", m->call.model);
	if (m->call.max_output != 0)
		audit_ev_u64(&e, "obj.max_output", m->call.max_output);
	audit_ev_str(&e, "obj.host", x->host);
	audit_ev_u64(&e, "pol.gen", x->back->generation);
	audit_ev_str(&e, "pol.rule", m->dec.rule);
	audit_ev_str(&e, "pol.name", m->dec.name);
	audit_ev_str(&e, "dec.effect", effect);
	audit_ev_str(&e, "dec.by",
	    m->asking && !denied       ? "human"
	    : m->dec.by == BY_RULE     ? "rule"
	    : m->dec.by == BY_FAILSAFE ? "failsafe"
				       : "default");
	audit_ev_str(&e, "dec.enforce", "proxy");
	if (m->dec.because[0] != '\0')
		audit_ev_str(&e, "dec.reason", m->dec.because);
	(void)back_send_event(x->back, &e, 0);
}

static void
said_no(struct exchange *x)
{
	const struct decision *d = &x->model->dec;

	record(x, "MD401", "deny");
	xch_deny(
	    x, &(struct denial){ .status = 403,
		   .error = "policy_denied",
		   .rule = d->rule,
		   .reason = d->because,
		   .next_steps = { "use a model that the policy allows, or ask "
				   "the user to have the rule changed" } });
}

static void
ask_policy(struct exchange *x)
{
	struct xmodel *m = x->model;
	struct model_request rq = { m->host.provider, m->call.model,
		m->call.max_output };

	policy_model(x->back->policy, x->back->profile, &rq, &m->dec);
}

static void
allowed(struct exchange *x)
{
	record(x, "MD101", "allow");
	x->model->asking = false;
	x->model->judged = true;
	xch_approved(x);
}

void
xmodel_gathered(struct exchange *x)
{
	struct xmodel *m = x->model;
	struct error err = { 0 };

	ev_timer_clear(x->timer);
	if (x->back->profile == NULL) {
		xch_refuse(x, 503, "policy_unavailable",
		    "no policy is loaded, so nothing is allowed",
		    "try again in a minute");
		return;
	}
	if (model_call_read(m->host.shape, x->head.target, buf_head(&x->req),
		buf_len(&x->req), &m->call, &err) < 0) {
		xch_refuse(x, 403, "model_refused", err.msg,
		    "name one model and its limit as the provider documents "
		    "it");
		return;
	}
	ask_policy(x);
	switch (m->dec.effect) {
	case EFFECT_ALLOW:
		allowed(x);
		return;
	case EFFECT_ASK:
		m->asking = true;
		record(x, "MD102", "ask");
		xch_ask(x);
		return;
	case EFFECT_DENY:
		break;
	}
	said_no(x);
}

void
xmodel_answered(struct exchange *x)
{
	ask_policy(x);
	if (x->model->dec.effect == EFFECT_DENY)
		said_no(x);
	else
		allowed(x);
}

void
xmodel_line(struct buf *b, const struct exchange *x)
{
	const struct xmodel *m = x->model;
	cleanup_free char *limit =
	    m->call.max_output == 0
		? xstrdup("no limit of its output")
		: xasprintf("at most %llu tokens of output",
		      (unsigned long long)m->call.max_output);
	cleanup_free char *line = xasprintf(
	    "calls %s/%s, %s", m->host.provider, m->call.model, limit);

	buf_put_str(b, line);
}

/* ---- response ----------------------------------------------------------- */

void
xmodel_rsp_head(struct exchange *x, const struct rsp_head *h)
{
	struct xmodel *m = x->model;

	if (m == NULL || m->reader != NULL)
		return;
	m->reader = model_reader_new(
	    m->host.shape, fields_get(&h->fields, "Content-Type", NULL));
}

void
xmodel_rsp_data(struct exchange *x, const void *p, size_t n)
{
	if (x->model != NULL && x->model->reader != NULL)
		model_reader_feed(x->model->reader, p, n);
}

void
xmodel_done(struct exchange *x)
{
	struct xmodel *m = x->model;
	struct model_usage u = { 0 };
	struct audit_ev e;

	if (m == NULL || !m->judged)
		return;
	if (m->reader != NULL)
		model_reader_usage(m->reader, &u);
	audit_ev_init(&e, "MD201", "model.usage", 1, false);
	audit_ev_u64(&e, "obj.exchange", x->id);
	audit_ev_str(&e, "obj.provider", m->host.provider);
	audit_ev_str(&e, "obj.model", m->call.model);
	audit_ev_u64(&e, "obj.status", x->status);
	audit_ev_bool(&e, "obj.known", u.known);
	if (u.known) {
		audit_ev_u64(&e, "obj.input", u.input);
		audit_ev_u64(&e, "obj.cached", u.cached);
		audit_ev_u64(&e, "obj.cache_made", u.cache_made);
		audit_ev_u64(&e, "obj.output", u.output);
	}
	(void)back_send_event(x->back, &e, 0);
}

void
xmodel_free(struct xmodel *m)
{
	if (m == NULL)
		return;
	m->back->held -= m->counted;
	model_reader_free(m->reader);
	free(m);
}
