/*
 * One shim is kept that has been started, confined and given the policy, and
 * has made a network, so that the next job need not wait for any of it.
 */
#include "daemon/parent.h"

void
spare_start(struct parent *pa)
{
	struct proc *p = &pa->single[ROLE_SHIM];

	if (pa->stopping || p->pid != 0)
		return;
	if (p->role == ROLE_NONE)
		proc_init(pa, p, ROLE_SHIM, NULL);
	proc_start(p);
}

bool
spare_take(struct parent *pa, struct job *j)
{
	struct proc *p = &pa->single[ROLE_SHIM];

	/* One that is not ready yet is nearer to that than another. */
	if (p->pid == 0 || p->chan == NULL)
		return false;
	j->shim.pid = p->pid;
	j->shim.chan = p->chan;
	j->shim.ready = p->ready;
	j->shim.started_ms = p->started_ms;
	chan_set_ctx(j->shim.chan, &j->shim);
	p->pid = 0;
	p->chan = NULL;
	p->ready = false;
	wire_adopted(&j->shim);
	return true;
}
