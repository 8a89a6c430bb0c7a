#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"

/* A response that is here before the record of its request. */
struct early {
	struct rsp_head head;
	bool done;
	struct fields trailers;
};

bool
early_may(const struct exchange *x)
{
	return x->back->audit_room && x->raw == NULL && x->model == NULL &&
	       x->head.protocol[0] == '\0' && x->head.kind == BODY_NONE &&
	       !record_is_barrier(x);
}

void
early_free(struct exchange *x)
{
	struct early *e = x->early;

	x->early = NULL;
	if (e == NULL)
		return;
	rsp_head_free(&e->head);
	fields_free(&e->trailers);
	free(e);
}

bool
early_hold(struct exchange *x, struct rsp_head *h)
{
	if (x->ack == 0)
		return false;
	x->early = xcalloc(1, sizeof(*x->early));
	x->early->head = *h;
	memset(h, 0, sizeof(*h));
	ev_timer_set(x->timer, BACK_STEP_MS);
	return true;
}

bool
early_hold_end(struct exchange *x, struct fields *trailers)
{
	if (x->early == NULL)
		return false;
	x->early->done = true;
	x->early->trailers = *trailers;
	memset(trailers, 0, sizeof(*trailers));
	upstream_release(x->up, x->end_sent);
	x->up = NULL;
	return true;
}

void
early_fail(struct exchange *x, const char *why)
{
	x->ack = 0;
	record_outcome(x, why);
	xch_audit_failed(x, why);
}

/* Recorded: what has come meanwhile goes on. */
static void
let_pass(struct exchange *x)
{
	struct early *e = x->early;

	x->early = NULL;
	ev_timer_clear(x->timer);
	xch_rsp_head(x, &e->head);
	if (x->state != X_GONE) {
		if (e->done)
			xch_rsp_done(x, &e->trailers);
		else
			upstream_resume(x->up);
	}
	rsp_head_free(&e->head);
	fields_free(&e->trailers);
	free(e);
}

bool
early_acked(struct back *b, uint32_t serial, bool ok, const char *why)
{
	struct exchange *x = b->list;

	while (x != NULL && x->ack != serial)
		x = x->next;
	if (x == NULL)
		return false;
	x->ack = 0;
	if (!ok) {
		log_warnx("audit refused a record: %s", why);
		early_fail(x, "the audit log cannot be written, so no answer "
			      "is passed on");
	} else if (x->early != NULL) {
		let_pass(x);
	}
	return true;
}

int
early_on_room(struct chan *c, struct msg *m, void *ctx)
{
	struct back *b = ((struct peer *)ctx)->owner;
	bool room = cur_bool(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	b->audit_room = room;
	return 0;
}
