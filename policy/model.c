/*
 * Class model: which models of which providers may be asked, and for how much
 * output at most.
 */
#include "policy/internal.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static const struct model_request none = { NULL, NULL, 0 };

/* What a provider calls a model: printable, without blanks. */
static bool
is_model(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > MODEL_NAME_MAX)
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s > '~')
			return false;
	return true;
}

int
model_pat_parse(
    struct load *ld, const struct pos *pos, const char *s, struct model_pat *mp)
{
	const char *slash = strchr(s, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - s);

	mp->provider = pool_strndup(&ld->p->pool, s, n);
	if (slash == NULL || !is_model(slash + 1) ||
	    (strcmp(mp->provider, "*") != 0 &&
		!str_is_name(mp->provider, NAME_MAX_))) {
		diag_at(ld, pos,
		    "expected PROVIDER/MODEL such as anthropic/claude-*");
		return -1;
	}
	mp->model = pool_strdup(&ld->p->pool, slash + 1);
	return 0;
}

static bool
any_model(const struct pattern *pt, const struct model_request *rq)
{
	for (size_t i = 0; i < pt->nmodel; i++) {
		const struct model_pat *mp = &pt->model[i];

		if ((strcmp(mp->provider, "*") == 0 ||
			strcmp(mp->provider, rq->provider) == 0) &&
		    glob_match(mp->model, rq->model))
			return true;
	}
	return false;
}

static bool
names_it(const struct rule *r, const struct model_request *rq)
{
	if (!any_model(&r->pat, rq))
		return false;
	for (size_t i = 0; i < r->nexcept; i++)
		if (any_model(&r->except[i], rq))
			return false;
	return true;
}

static bool
is_within(const struct rule *r, const struct model_request *rq)
{
	return r->max_output == 0 ||
	       (rq->max_output != 0 && rq->max_output <= r->max_output);
}

static bool
model_rule_match(const struct rule *r, const void *arg)
{
	return names_it(r, arg) && is_within(r, arg);
}

/* Nothing has matched: it may be for the amount alone. */
static void
explain_amount(const struct profile *pr, const struct model_request *rq,
    struct decision *d)
{
	uint64_t most = 0;

	for (size_t i = 0; i < pr->nrules; i++) {
		const struct rule *r = pr->rules[i];

		if (r->cls == POLICY_MODEL && r->effect != EFFECT_DENY &&
		    names_it(r, rq) && r->max_output > most)
			most = r->max_output;
	}
	if (most == 0)
		return;
	if (rq->max_output == 0)
		(void)snprintf(d->because, sizeof(d->because),
		    "the request sets no limit of its output; %llu tokens are "
		    "allowed",
		    (unsigned long long)most);
	else
		(void)snprintf(d->because, sizeof(d->because),
		    "the request may take %llu tokens of output; %llu are "
		    "allowed",
		    (unsigned long long)rq->max_output,
		    (unsigned long long)most);
}

void
policy_model(const struct policy *p, const struct profile *pr,
    const struct model_request *rq, struct decision *d)
{
	cleanup_free char *name = NULL, *amount = NULL;
	struct verdict v;

	memset(d, 0, sizeof(*d));
	if (rq == NULL)
		rq = &none;
	if (rq->provider == NULL || rq->model == NULL) {
		decision_failsafe(d, "model", "the request names no model");
		return;
	}
	name = xasprintf("%s/%s", rq->provider, rq->model);
	amount =
	    xasprintf("max-output %llu", (unsigned long long)rq->max_output);
	decision_show(d, name, (const char *const[]){ amount },
	    rq->max_output == 0 ? 0 : 1);
	if (!str_is_name(rq->provider, NAME_MAX_) || !is_model(rq->model)) {
		decision_failsafe(d, "model",
		    "the name of the model is empty, too long, or holds a "
		    "blank or what is not ASCII");
		return;
	}
	decide(pr, POLICY_MODEL, model_rule_match, rq, &v);
	decision_fill(pr, POLICY_MODEL, &v, d);
	if (v.rule == NULL && d->effect == EFFECT_DENY)
		explain_amount(pr, rq, d);
}

void
policy_explain_model(const struct policy *p, const struct profile *pr,
    const char *name, uint64_t max_output, struct decision *d)
{
	const char *slash = strchr(name, '/');
	cleanup_free char *provider =
	    xstrndup(name, slash == NULL ? 0 : (size_t)(slash - name));
	struct model_request rq = { provider, slash == NULL ? "" : slash + 1,
		max_output };

	policy_model(p, pr, &rq, d);
}
