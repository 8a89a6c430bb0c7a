/*
 * Requests to the local engine: http://inferd.brig/v1, or https, which ends in
 * front.  Which model may be called is the only question, so no rule of class
 * http is needed; one that names the host counts all the same.  The parent
 * makes the connection and says on it whose it is, before a byte of the job.
 */
#include <string.h>

#include "base/fdutil.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/back_model.h"

#define INFERD_PROVIDER "inferd"
#define CONNECT_MS 10000u

bool
xch_is_inferd(const struct exchange *x)
{
	return strcmp(x->host, INFERD_HOST) == 0 &&
	       x->head.port == (x->head.tls ? 443 : 80);
}

const struct model_host *
inferd_host(const struct exchange *x)
{
	static const struct model_host openai = { INFERD_HOST, 80, MODEL_OPENAI,
		INFERD_PROVIDER };
	static const struct model_host anthropic = { INFERD_HOST, 80,
		MODEL_ANTHROPIC, INFERD_PROVIDER };

	return str_starts(x->head.target, "/v1/messages") ? &anthropic
							  : &openai;
}

/*
 * Of what is no call, the name of the model that it is about, "*" if it is
 * about all of them; NULL: not for jobs, as what others have used is not.
 */
static const char *
about(const char *target)
{
	static const char *const open[] = { "/", "/health", "/v1/models",
		"/v1/models/" };
	size_t n = strcspn(target, "?");

	for (size_t i = 0; i < nitems(open); i++)
		if (strlen(open[i]) == n && memcmp(open[i], target, n) == 0)
			return "*";
	if (str_starts(target, "/v1/models/") && target[n] == '\0')
		return target + strlen("/v1/models/");
	return NULL;
}

void
inferd_judge(struct exchange *x)
{
	const struct model_request rq = { INFERD_PROVIDER,
		about(x->head.target), 0 };
	struct decision *d = &x->dec;

	if (x->model != NULL) {
		d->effect = EFFECT_ALLOW;
		strlcpy(d->rule, "class model", sizeof(d->rule));
		d->because[0] = '\0';
		return;
	}
	if (rq.model == NULL) {
		d->effect = EFFECT_DENY;
		strlcpy(d->rule, "built-in: inferd", sizeof(d->rule));
		strlcpy(d->because,
		    "of the local engine a job may ask for /, /health and "
		    "/v1/models, and call models",
		    sizeof(d->because));
		return;
	}
	policy_model(x->back->policy, x->back->profile, &rq, d);
	/* There is nothing in it to ask a person about. */
	if (d->effect == EFFECT_ASK)
		d->effect = EFFECT_DENY;
}

void
inferd_connect(struct exchange *x)
{
	struct back *b = x->back;

	if (!x->own_dial) {
		xch_dial(x, true);
		if (x->up != NULL)
			return;
	}
	xch_wait(x, X_LOCAL, CONNECT_MS);
	chan_send(
	    peers_parent(b->peers), M_INFERD_GET, b->job, x->wait, NULL, -1);
}

int
back_on_inferd(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	struct exchange *x = back_waiting(b, X_LOCAL, m->serial);
	bool ok = cur_bool(&m->body);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	if (x == NULL)
		return 0;
	ev_timer_clear(x->timer);
	if (!ok)
		xch_fail(x, 503, "inferd_unavailable", why,
		    "tell the user that the service inferd has to be started");
	else
		xch_adopt(x, steal_fd(&m->fd));
	return 0;
}
