#include "daemon/control.h"

#include <stdlib.h>
#include <string.h>

#include "base/fdutil.h"
#include "base/str.h"

struct attach {
	struct request *rq;
	uint32_t job;
	bool read_only;
	int fd;
};

static void
attach_free(struct attach *a)
{
	fd_close(&a->fd);
	free(a);
}

static void
not_attached(struct request *rq, const struct store_job *row)
{
	request_ok(rq,
	    json_pack("{s:b, s:o}", "attached", 0, "job", job_json(row, true)),
	    -1);
}

/* Who watches is on record: now it may. */
static void
on_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct attach *a = arg;
	struct cjob *j = jobs_find(ct, a->job);
	struct store_job row;
	struct error err = { 0 };
	struct buf b;

	if (!ok) {
		request_fail(a->rq, REQ_UNAVAILABLE, "j-%u: not attached: %s",
		    a->job, why);
	} else if (j != NULL) {
		buf_init(&b, 0);
		buf_put_u32(&b, a->rq->uid);
		buf_put_u8(&b, a->read_only);
		chan_send(peers_parent(ct->peers), M_JOB_ATTACH, a->job, 0, &b,
		    steal_fd(&a->fd));
		buf_free(&b);
		request_ok(a->rq,
		    json_pack("{s:b, s:o}", "attached", 1, "job",
			job_json(&j->row, true)),
		    -1);
	} else if (store_job_get(ct->store, a->job, &row, &err) == 1) {
		/* It has ended meanwhile. */
		not_attached(a->rq, &row);
		store_job_free(&row);
	} else {
		request_fail(a->rq, REQ_FAILED, "j-%u: %s", a->job, err.msg);
	}
	attach_free(a);
}

void
op_job_attach(struct request *rq)
{
	struct control *ct = rq->ct;
	struct store_job row;
	struct attach *a;
	struct audit_ev e;
	struct cjob *j;
	bool read_only;

	if (arg_bool(rq, "read_only", false, &read_only) < 0 ||
	    find_job(rq, &row) < 0)
		return;
	j = jobs_find(ct, row.id);
	if (j == NULL) {
		not_attached(rq, &row);
		store_job_free(&row);
		return;
	}
	if (!j->handed) {
		request_fail(rq, REQ_UNAVAILABLE,
		    "j-%u has not been started yet", row.id);
		store_job_free(&row);
		return;
	}
	a = xcalloc(1, sizeof(*a));
	a->rq = rq;
	a->job = row.id;
	a->read_only = read_only;
	a->fd = request_fd(rq, "attach");
	if (a->fd < 0) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "the descriptor \"attach\" is missing");
		store_job_free(&row);
		attach_free(a);
		return;
	}
	audit_ev_init(
	    &e, "JB105", "job.attach", row.uid == rq->uid ? 1 : 2, true);
	audit_ev_u64(&e, "who.uid", rq->uid);
	audit_ev_u64(&e, "obj.uid", row.uid);
	audit_ev_bool(&e, "obj.read_only", read_only);
	control_audit(ct, row.id, &e, on_recorded, a);
	store_job_free(&row);
}
