#include "daemon/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"

#define ASK_TIMEOUT_MAX 86400u
#define DIGEST_CHARS 64u
#define ASK_SECOND_MS 1000u

static void on_timeout(void *arg);

struct ask *
ask_find(struct control *ct, uint32_t id)
{
	struct ask *a = ct->asks;

	while (a != NULL && a->row.id != id)
		a = a->next;
	return a;
}

static void
ask_free(struct ask *a)
{
	struct ask **pp = &a->ct->asks;

	while (*pp != NULL && *pp != a)
		pp = &(*pp)->next;
	if (*pp == a)
		*pp = a->next;
	ev_timer_free(a->timer);
	store_ask_free(&a->row);
	free(a);
}

static void
send_answer(struct control *ct, enum role role, uint32_t job, uint32_t serial,
    bool allow, uint32_t id, const char *by, const char *message)
{
	struct peer *p = peers_find(ct->peers, role, job);
	char name[16] = "";
	struct buf b;

	if (p == NULL)
		return;
	if (id != 0)
		snprintf(name, sizeof(name), "A-%u", id);
	buf_init(&b, 0);
	buf_put_u8(&b, allow);
	buf_put_str(&b, name);
	buf_put_str(&b, by);
	buf_put_str(&b, message);
	chan_send(p->chan, M_ASK_ANSWER, job, serial, &b, -1);
	buf_free(&b);
}

/* ---- end of an ask ----------------------------------------------------- */

static void
set_closed(
    struct ask *a, enum ask_state state, const char *by, const char *message)
{
	a->row.state = state;
	a->row.answered = time(NULL);
	free(a->row.by);
	a->row.by = xstrdup(by);
	free(a->row.message);
	a->row.message = xstrdup(message);
}

static int
save(struct ask *a)
{
	struct error err = { 0 };

	if (store_ask_update(a->ct->store, &a->row, &err) < 0) {
		log_warnx("A-%u: %s", a->row.id, err.msg);
		return -1;
	}
	return 0;
}

/* Last step of every ask: on disk, then the requester, then the approver. */
static void
conclude(struct ask *a, bool allow)
{
	struct request *rq = a->answer;
	bool wanted = a->allow;

	if (save(a) < 0 && allow) {
		allow = false;
		set_closed(
		    a, ASK_DENIED, "brig", "the answer could not be stored");
	}
	if (!a->requester_gone)
		send_answer(a->ct, a->role, a->row.job, a->serial, allow,
		    a->row.id, a->row.by, a->row.message);
	if (rq != NULL && wanted && !allow)
		request_fail(rq, REQ_UNAVAILABLE, "A-%u was denied: %s",
		    a->row.id, a->row.message);
	else if (rq != NULL)
		request_ok(
		    rq, json_pack("{s:o}", "ask", ask_json(&a->row)), -1);
	ask_free(a);
}

static void
on_answer_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct ask *a = arg;
	bool allow = a->row.state == ASK_ALLOWED;

	(void)ct;
	if (!ok && allow) {
		cleanup_free char *text =
		    xasprintf("the answer could not be recorded: %s", why);

		set_closed(a, ASK_DENIED, "brig", text);
		allow = false;
	}
	/* Gone meanwhile: nothing was done on this answer. */
	if (a->requester_gone && allow) {
		set_closed(a, ASK_CANCELLED, "brig", "the action is gone");
		allow = false;
	}
	conclude(a, allow);
}

/* Record the row's closed state, then act on it. */
static void
record_answer(struct ask *a)
{
	bool allow = a->row.state == ASK_ALLOWED;
	cleanup_free char *id = xasprintf("A-%u", a->row.id);
	struct audit_ev e;

	a->phase = ASK_ANSWERING;
	ev_timer_clear(a->timer);
	audit_ev_init(&e, allow ? "AS201" : "AS401",
	    allow ? "ask.allow" : "ask.deny", 2, true);
	audit_ev_str(&e, "ask.id", id);
	audit_ev_str(&e, "ask.digest", a->row.digest);
	audit_ev_str(&e, "ask.answer", ask_state_name(a->row.state));
	audit_ev_str(&e, "ask.approver", a->row.by);
	audit_ev_str(&e, "ask.message", a->row.message);
	audit_ev_u64(&e, "ask.wait_ms", ev_now_ms() - a->opened_ms);
	control_audit(a->ct, a->row.job, &e, on_answer_recorded, a);
}

void
ask_answer(struct ask *a, bool allow, const char *by, const char *message,
    struct request *rq)
{
	a->answer = rq;
	a->allow = allow;
	set_closed(a, allow ? ASK_ALLOWED : ASK_DENIED, by, message);
	record_answer(a);
}

static void
on_timeout(void *arg)
{
	struct ask *a = arg;

	if (a->phase == ASK_OPENING) {
		a->timed_out = true;
		return;
	}
	set_closed(a, ASK_TIMEOUT, "timeout", "nobody answered in time");
	record_answer(a);
}

static void
cancel(struct ask *a, const char *why)
{
	a->requester_gone = true;
	/* Under way already: the next step sees that it is gone. */
	if (a->phase != ASK_OPEN)
		return;
	set_closed(a, ASK_CANCELLED, "brig", why);
	record_answer(a);
}

/* ---- opening ----------------------------------------------------------- */

static void
on_open_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct ask *a = arg;
	struct peer *p = peers_find(ct->peers, a->role, a->row.job);
	cleanup_free char *id = xasprintf("A-%u", a->row.id);
	struct buf b;

	a->phase = ASK_OPEN;
	if (!ok) {
		cleanup_free char *text =
		    xasprintf("the question could not be recorded: %s", why);

		set_closed(a, ASK_DENIED, "brig", text);
		conclude(a, false);
	} else if (a->requester_gone) {
		cancel(a, "the action is gone");
	} else if (a->timed_out || p == NULL) {
		on_timeout(a);
	} else {
		buf_init(&b, 0);
		buf_put_str(&b, id);
		chan_send(p->chan, M_ASK_OPENED, a->row.job, a->serial, &b, -1);
		buf_free(&b);
	}
}

static void
record_open(struct ask *a)
{
	cleanup_free char *id = xasprintf("A-%u", a->row.id);
	struct audit_ev e;
	size_t n = 0;

	while (a->row.lines[n] != NULL)
		n++;
	audit_ev_init(&e, "AS101", "ask.open", 2, true);
	audit_ev_str(&e, "who.role", role_name(a->role));
	audit_ev_str(&e, "obj.class",
	    policy_class_name((enum policy_class)a->row.class));
	audit_ev_list(&e, "obj.shown", (const char *const *)a->row.lines, n);
	audit_ev_str(&e, "pol.rule", a->row.rule);
	audit_ev_str(&e, "pol.name", a->row.name);
	audit_ev_str(&e, "ask.id", id);
	audit_ev_str(&e, "ask.digest", a->row.digest);
	audit_ev_u64(&e, "ask.expires", (uint64_t)a->row.expires);
	control_audit(a->ct, a->row.job, &e, on_open_recorded, a);
}

static bool
is_digest(const char *s)
{
	return strlen(s) == DIGEST_CHARS &&
	       strspn(s, "0123456789abcdef") == DIGEST_CHARS;
}

static int
read_lines(struct cur *c, struct store_ask *row)
{
	uint32_t n = cur_count(c, ASK_LINES_MAX, sizeof(uint32_t));

	row->lines = xcalloc((size_t)n + 1, sizeof(*row->lines));
	for (uint32_t i = 0; i < n; i++)
		if ((row->lines[i] = cur_str(c, P_TEXT_MAX)) == NULL)
			return -1;
	return 0;
}

static int
read_ask(struct cur *c, struct store_ask *row, uint32_t *timeout)
{
	row->class = cur_u8(c);
	row->rule = cur_str(c, P_TEXT_MAX);
	row->name = cur_str(c, P_NAME_MAX);
	row->because = cur_str(c, P_TEXT_MAX);
	row->digest = cur_str(c, DIGEST_CHARS);
	*timeout = cur_u32(c);
	if (read_lines(c, row) < 0 || cur_end(c) < 0 ||
	    row->class >= POLICY_CLASSES || !is_digest(row->digest))
		return -1;
	row->by = xstrdup("");
	row->message = xstrdup("");
	return 0;
}

static size_t
open_asks(const struct control *ct, uint32_t job)
{
	size_t n = 0;

	for (const struct ask *a = ct->asks; a != NULL; a = a->next)
		n += a->row.job == job;
	return n;
}

static struct ask *
find_serial(struct control *ct, const struct peer *p, uint32_t serial)
{
	struct ask *a = ct->asks;

	while (a != NULL && (a->role != p->role || a->row.job != p->job ||
				a->serial != serial || a->requester_gone))
		a = a->next;
	return a;
}

/*
 * "ask unattended deny", and nobody is there.  back does not know who is
 * attached; the shim has looked itself, but the client may have gone since.
 */
static bool
is_unattended(struct control *ct, uint32_t job)
{
	const struct cjob *j = jobs_find(ct, job);
	const struct profile *pr;

	if (j == NULL || j->attended || ct->policy == NULL)
		return false;
	pr = policy_profile(ct->policy, j->row.profile);
	return pr != NULL && profile_settings(pr)->ask_unattended_deny;
}

int
ask_message(struct peer *p, struct msg *m)
{
	struct control *ct = p->owner;
	struct store_ask row = { 0 };
	struct error err = { 0 };
	uint32_t timeout;
	struct ask *a;

	if (read_ask(&m->body, &row, &timeout) < 0 ||
	    find_serial(ct, p, m->serial) != NULL) {
		store_ask_free(&row);
		return -1;
	}
	if (timeout == 0)
		timeout = ct->ask_timeout;
	if (timeout > ASK_TIMEOUT_MAX)
		timeout = ASK_TIMEOUT_MAX;
	if (is_unattended(ct, p->job)) {
		send_answer(ct, p->role, p->job, m->serial, false, 0, "brig",
		    "needs an approval, and the job is unattended");
		store_ask_free(&row);
		return 0;
	}
	row.job = p->job; /* the channel says so, not the message */
	row.state = ASK_PENDING;
	row.created = time(NULL);
	row.expires = row.created + timeout;
	if (open_asks(ct, p->job) >= ASK_OPEN_MAX) {
		send_answer(ct, p->role, p->job, m->serial, false, 0, "brig",
		    "too many unanswered questions of this job");
		store_ask_free(&row);
		return 0;
	}
	if (store_ask_add(ct->store, &row, &err) < 0) {
		log_warnx("%s", err.msg);
		send_answer(ct, p->role, p->job, m->serial, false, 0, "brig",
		    "the question could not be stored");
		store_ask_free(&row);
		return 0;
	}
	a = xcalloc(1, sizeof(*a));
	a->ct = ct;
	a->row = row;
	a->role = p->role;
	a->serial = m->serial;
	a->opened_ms = ev_now_ms();
	a->timer = ev_timer_new(ct->ev, on_timeout, a);
	ev_timer_set(a->timer, (uint64_t)timeout * ASK_SECOND_MS);
	a->next = ct->asks;
	ct->asks = a;
	record_open(a);
	return 0;
}

int
ask_cancel_message(struct peer *p, struct msg *m)
{
	struct ask *a;

	if (cur_end(&m->body) < 0)
		return -1;
	/* May cross with the answer. */
	a = find_serial(p->owner, p, m->serial);
	if (a != NULL)
		cancel(a, "the action is gone");
	return 0;
}

void
ask_peer_gone(struct control *ct, enum role role, uint32_t job)
{
	struct ask *next;

	for (struct ask *a = ct->asks; a != NULL; a = next) {
		next = a->next;
		if (a->role == role && a->row.job == job)
			cancel(a, "the process that asked is gone");
	}
}

/* ---- after a restart --------------------------------------------------- */

static void
load_one(const struct store_ask *row, void *arg)
{
	struct control *ct = arg;
	struct store_ask closed = { 0 };
	cleanup_free char *id = xasprintf("A-%u", row->id);
	struct error err = { 0 };
	struct audit_ev e;

	closed.id = row->id;
	closed.state = ASK_CANCELLED;
	closed.answered = time(NULL);
	closed.by = xstrdup("brig");
	closed.message = xstrdup("brigd was restarted");
	if (store_ask_update(ct->store, &closed, &err) < 0)
		fatalx("%s", err.msg);
	store_ask_free(&closed);
	audit_ev_init(&e, "AS401", "ask.deny", 2, false);
	audit_ev_str(&e, "ask.id", id);
	audit_ev_str(&e, "ask.digest", row->digest);
	audit_ev_str(&e, "ask.answer", ask_state_name(ASK_CANCELLED));
	control_audit(ct, row->job, &e, NULL, NULL);
}

void
ask_load(struct control *ct)
{
	const struct store_filter f = { .open_only = true };
	struct error err = { 0 };

	if (store_ask_list(ct->store, &f, load_one, ct, &err) < 0)
		fatalx("%s", err.msg);
}
