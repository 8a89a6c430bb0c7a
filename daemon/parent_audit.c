#include "daemon/parent.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

static int
on_ack(struct chan *c, struct msg *m, void *ctx)
{
	bool ok = cur_bool(&m->body);
	cleanup_free char *why = NULL;

	(void)c;
	(void)ctx;
	cur_u64(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0)
		return -1;
	if (!ok)
		log_warnx("audit did not record an event: %s", why);
	return 0;
}

static const struct msg_rule rules[] = {
	{ M_AUDIT_ACK, MSG_ALLOWED, on_ack },
};

static void
on_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct parent *pa = ctx;

	(void)c;
	if (how == CHAN_FAULT)
		proc_kill(&pa->single[ROLE_AUDIT], why);
	chan_free(pa->audit);
	pa->audit = NULL;
}

void
parent_audit_connect(struct parent *pa)
{
	struct proc *p = &pa->single[ROLE_AUDIT];
	struct buf b;
	int fds[2];

	chan_free(pa->audit);
	pa->audit = NULL;
	if (fd_socketpair(fds) < 0) {
		log_warn("channel to audit");
		return;
	}
	buf_init(&b, 0);
	buf_put_u8(&b, ROLE_PARENT);
	buf_put_u32(&b, 0);
	chan_send(p->chan, M_PEER, 0, 0, &b, fds[1]);
	buf_free(&b);
	pa->audit =
	    chan_new(pa->ev, fds[0], "audit", rules, nitems(rules), on_end, pa);
}

void
parent_audit(struct parent *pa, uint32_t job, struct audit_ev *e)
{
	if (pa->audit != NULL)
		chan_send(pa->audit, M_AUDIT, job, 0, &e->body, -1);
	audit_ev_free(e);
}
