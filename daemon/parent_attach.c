#include "daemon/parent.h"

#include "base/fdutil.h"
#include "base/log.h"

/*
 * From control, which has checked that the user may: on to the shim.  When
 * there is none any more, closing the socket says so.
 */
int
parent_on_attach(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct job *j = job_find(p->pa, m->job);
	uint32_t uid = cur_u32(&m->body);
	bool read_only = cur_bool(&m->body);
	struct buf b;

	(void)c;
	if (cur_end(&m->body) < 0 || m->job == 0)
		return -1;
	if (j == NULL || j->ending || j->shim.chan == NULL) {
		log_debug("job %u has no shim to attach to", m->job);
		return 0;
	}
	buf_init(&b, 0);
	buf_put_u32(&b, uid);
	buf_put_u8(&b, read_only);
	chan_send(j->shim.chan, M_SHIM_ATTACH, j->id, 0, &b, steal_fd(&m->fd));
	buf_free(&b);
	return 0;
}

int
parent_on_timing_open(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct error err = { 0 };

	if (cur_end(&m->body) < 0 || m->job == 0)
		return -1;
	parent_opened(c, m,
	    parent_open_log(p->pa, m->job, JOB_LOG_TIMING, false, &err), &err);
	return 0;
}
