/* How often the processes of a job may ask. */
#include "proxy/keyd.h"

#include "base/audit_event.h"

#define TOLD_MS 60000u

static struct keyd_rates *
rates_of(struct keyd *k, uint32_t job)
{
	for (size_t i = 0; i < k->njobs; i++)
		if (k->jobs[i].job == job)
			return &k->jobs[i].rates;
	return &k->unknown;
}

static void
record(struct keyd *k, uint32_t job, const char *what, struct rate *taken)
{
	struct peer *audit = peers_find(k->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (audit == NULL)
		return;
	audit_ev_init(&e, "KY401", "keyd.limit", 3, false);
	audit_ev_str(&e, "obj.what", what);
	audit_ev_u64(&e, "obj.refused", taken->dropped);
	audit_ev_str(&e, "dec.effect", "deny");
	audit_ev_str(&e, "dec.because",
	    "more often than any process of a job has to ask");
	chan_send(audit->chan, M_AUDIT, job, 0, &e.body, -1);
	audit_ev_free(&e);
	taken->dropped = 0;
}

bool
keyd_may(struct keyd *k, uint32_t job, enum keyd_limit what)
{
	static const struct {
		const char *name;
		unsigned int burst;
		uint64_t ms;
	} limits[KEYD_LIMIT_MAX] = {
		[KEYD_LEAVES] = { "certificates", 200, 50 },
		[KEYD_SSH] = { "ssh", 400, 25 },
		[KEYD_CAPTURES] = { "captures", 200, 500 },
	};
	struct keyd_rates *r = rates_of(k, job);

	if (rate_take(&r->taken[what], limits[what].burst, limits[what].ms))
		return true;
	if (rate_take(&r->told[what], 1, TOLD_MS))
		record(k, job, limits[what].name, &r->taken[what]);
	return false;
}
