/*
 * job.pause and job.resume: the parent freezes and thaws, who did it is on
 * record.
 */
#include "daemon/control.h"

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
	    pending_add(ct, ROLE_PARENT, request_answered, rq), &b, -1);
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
