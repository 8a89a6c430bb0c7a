/*
 * job.pause and job.resume: the parent freezes and thaws, who did it is on
 * record.
 */
#include "daemon/control.h"

#include "base/str.h"

static int
on_frozen(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *why = NULL;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		return 0;
	}
	ok = cur_bool(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (ok)
		request_ok(rq, NULL, -1);
	else
		request_fail(rq, REQ_FAILED, "%s", why);
	return 0;
}

static void
freeze(struct request *rq, bool on)
{
	struct control *ct = rq->ct;
	struct store_job row;
	struct audit_ev e;
	struct buf b;

	if (find_job(rq, &row) < 0)
		return;
	if (jobs_find(ct, row.id) == NULL) {
		request_fail(rq, REQ_FAILED, "j-%u has ended already (%s)",
		    row.id, job_state_name(row.state));
		store_job_free(&row);
		return;
	}
	audit_ev_init(&e, "JB103", on ? "job.pause" : "job.resume", 2, false);
	audit_ev_u64(&e, "who.uid", rq->uid);
	control_audit(ct, row.id, &e, NULL, NULL);
	buf_init(&b, 0);
	buf_put_u8(&b, on);
	chan_send(peers_parent(ct->peers), M_JOB_FREEZE, row.id,
	    pending_add(ct, ROLE_PARENT, on_frozen, rq), &b, -1);
	buf_free(&b);
	store_job_free(&row);
}

void
op_job_pause(struct request *rq)
{
	freeze(rq, true);
}

void
op_job_resume(struct request *rq)
{
	freeze(rq, false);
}
