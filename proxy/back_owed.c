#include "base/log.h"
#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"

static void
on_timer(void *arg)
{
	owed_send(arg);
}

void
owed_init(struct back *b)
{
	b->owed.timer = ev_timer_new(b->ev, on_timer, b);
}

/* A hole in the log is said in the log. */
static void
send_gap(struct back *b, struct chan *c)
{
	struct audit_ev e;

	audit_ev_init(&e, "AU501", "audit.gap", 4, true);
	audit_ev_u64(&e, "obj.events", b->owed.lost);
	b->owed.lost = 0;
	chan_send(c, M_AUDIT, b->job, 0, &e.body, -1);
	audit_ev_free(&e);
}

void
owed_send(struct back *b)
{
	struct owed *o = &b->owed;
	struct chan *c = back_chan(b, ROLE_AUDIT);

	if (c == NULL)
		return;
	if (o->lost > 0)
		send_gap(b, c);
	if (o->n == 0)
		return;
	ev_timer_clear(o->timer);
	for (size_t i = 0; i < o->n; i++) {
		chan_send(c, M_AUDIT, b->job, 0, &o->event[i].body, -1);
		audit_ev_free(&o->event[i]);
	}
	o->n = 0;
}

void
owed_add(struct back *b, struct audit_ev *e)
{
	struct owed *o = &b->owed;

	if (o->n == nitems(o->event))
		owed_send(b);
	if (o->n == nitems(o->event)) {
		o->lost++;
		audit_ev_free(e);
		return;
	}
	if (o->n == 0)
		ev_timer_set(o->timer, BACK_OWED_MS);
	o->event[o->n++] = *e;
	if (e->barrier)
		owed_send(b);
}

void
owed_end(struct back *b)
{
	struct owed *o = &b->owed;
	struct chan *c = back_chan(b, ROLE_AUDIT);

	owed_send(b);
	if (c != NULL && chan_flush(c, BACK_OWED_END_MS) < 0)
		log_warnx("the last audit records could not be sent");
	for (size_t i = 0; i < o->n; i++)
		audit_ev_free(&o->event[i]);
	o->n = 0;
	ev_timer_free(o->timer);
}
