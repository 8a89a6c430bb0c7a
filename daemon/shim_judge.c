#include "daemon/shim_judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "daemon/shim.h"
#include "daemon/shim_relay.h"
#include "daemon/shim_tally.h"

/* control gives up first; this is for a control that does not. */
#define ASK_GRACE_MS 10000u
/* A restarted control is told the open asks again; none comes: refuse. */
#define CONTROL_GRACE_MS 10000u
#define ASKS_MAX 256u
/* A package upgrade puts a new file in a program's place. */
#define IDENTITIES_MS 1000u

#define NO_AUDIT "brig: denied: the audit log is not available"

enum wait_for {
	WAIT_AUDIT, /* record on its way to the disk */
	WAIT_ASK,   /* a person */
};

/* A stopped exec and what it waits for. */
struct item {
	struct judge *j;
	struct item *next;
	pid_t pid;
	uint32_t serial;
	enum wait_for wait;
	/* After the record is on disk: the verdict; TRACE_PENDING: ask. */
	enum trace_verdict then;
	char message[TRACE_MESSAGE_MAX];
	/* Only of an ask: */
	struct ev_timer *timer;
	uint32_t timeout_s;
	struct buf ask;    /* body of M_ASK */
	struct buf record; /* fields of its events */
	uint32_t record_fields;
	char rule[96];
	char ask_id[P_NAME_MAX];
	char normal[512];
	struct script_sum sum; /* of the script that was shown, if any */
	char *execfn;          /* its name; owned */
};

struct judge {
	struct shim *s;
	char *const *env;
	struct identities ids;
	uint64_t ids_at; /* when they were loaded */
	struct item *items;
	size_t nasks;
	uint32_t serial;
	struct ev_timer *control_gone;
	struct tally *tally;
};

static void refuse_asks(void *arg);
static tally_fn tell_count;

struct judge *
judge_new(struct shim *s, char *const *env)
{
	struct judge *j = xcalloc(1, sizeof(*j));

	j->s = s;
	j->env = env;
	j->control_gone = ev_timer_new(s->ev, refuse_asks, j);
	j->tally = tally_new(s->ev, tell_count, j);
	return j;
}

static void
item_free(struct item *it)
{
	for (struct item **pp = &it->j->items; *pp != NULL; pp = &(*pp)->next)
		if (*pp == it) {
			*pp = it->next;
			break;
		}
	if (it->timer != NULL)
		it->j->nasks--;
	ev_timer_free(it->timer);
	buf_free(&it->ask);
	buf_free(&it->record);
	free(it->execfn);
	free(it);
}

void
judge_free(struct judge *j)
{
	if (j == NULL)
		return;
	while (j->items != NULL)
		item_free(j->items);
	identities_free(&j->ids);
	ev_timer_free(j->control_gone);
	tally_free(j->tally);
	free(j);
}

struct shim *
judge_shim(struct judge *j)
{
	return j->s;
}

void
judge_programs(struct judge *j)
{
	identities_load(&j->ids, j->s->profile);
	j->ids_at = ev_now_ms();
}

static struct item *
item_new(struct judge *j, pid_t pid, enum trace_verdict then)
{
	struct item *it = xcalloc(1, sizeof(*it));

	it->j = j;
	it->pid = pid;
	it->then = then;
	it->wait = WAIT_AUDIT;
	do {
		it->serial = ++j->serial;
	} while (it->serial == 0);
	buf_init(&it->ask, 0);
	buf_init(&it->record, 0);
	it->next = j->items;
	j->items = it;
	return it;
}

static struct item *
item_find(struct judge *j, uint32_t serial, enum wait_for wait)
{
	for (struct item *it = j->items; it != NULL; it = it->next)
		if (it->serial == serial && it->wait == wait)
			return it;
	return NULL;
}

/* ---- records ----------------------------------------------------------- */

static struct chan *
chan_to(struct judge *j, enum role role)
{
	struct peer *p = peers_find(j->s->peers, role, 0);

	return p == NULL || !chan_alive(p->chan) ? NULL : p->chan;
}

/* serial 0: nobody waits for it.  -1 when audit is down. */
static int
send_record(struct judge *j, const struct audit_ev *e, uint32_t serial)
{
	struct chan *c = chan_to(j, ROLE_AUDIT);

	if (c == NULL)
		return -1;
	chan_send(c, M_AUDIT, j->s->spec.job.job, serial, &e->body, -1);
	return 0;
}

static void
put_decision(struct audit_ev *e, enum effect effect, const char *by)
{
	audit_ev_str(e, "dec.effect", effect_name(effect));
	audit_ev_str(e, "dec.by", by);
	audit_ev_str(e, "dec.enforce", "exec-stop");
}

static void
put_pid(struct audit_ev *e, pid_t pid)
{
	audit_ev_u64(e, "who.pid", (uint64_t)pid);
}

static int
tell_count(
    const struct buf *fields, uint32_t nfields, uint64_t count, void *arg)
{
	struct audit_ev e;
	int rc;

	audit_ev_init(&e, "EX104", "exec.repeat", 1, false);
	buf_put(&e.body, buf_head(fields), buf_len(fields));
	e.count += nfields;
	/* Sets the number of fields, too. */
	audit_ev_u64(&e, "dec.count", count);
	rc = send_record(arg, &e, 0);
	audit_ev_free(&e);
	return rc;
}

static const char *
by_name(enum decided_by by)
{
	switch (by) {
	case BY_FAILSAFE:
		break;
	case BY_RULE:
		return "rule";
	case BY_DEFAULT:
		return "default";
	}
	return "failsafe";
}

/* ---- answers ----------------------------------------------------------- */

/* Is the script still the one that the approval was about? */
static bool
is_as_shown(const struct item *it)
{
	const struct trace_exec x = { .pid = it->pid, .execfn = it->execfn };
	struct script_sum now;

	return it->execfn == NULL ||
	       (script_sum_get(&now, &x, it->j->s->proc_fd) == 0 &&
		   script_sum_same(&now, &it->sum));
}

static void
settle(struct item *it)
{
	trace_resume(it->j->s->trace, it->pid, it->then, it->message);
	item_free(it);
}

static void
refuse(struct item *it, const char *message)
{
	it->then = TRACE_DENY;
	strlcpy(it->message, message, sizeof(it->message));
	settle(it);
}

/*
 * The answer of a person (or of the clock) goes on record before it takes
 * effect.
 */
static void
ask_answered(struct item *it, bool allow, const char *by, const char *who,
    const char *message)
{
	struct audit_ev e;

	audit_ev_init(
	    &e, allow ? "EX101" : "EX401", "exec.decide", allow ? 1 : 2, true);
	buf_put(&e.body, buf_head(&it->record), buf_len(&it->record));
	e.count += it->record_fields;
	buf_patch_u32(&e.body, e.count_at, e.count);
	put_decision(&e, allow ? EFFECT_ALLOW : EFFECT_DENY, by);
	audit_ev_str(&e, "ask.id", it->ask_id);
	audit_ev_str(&e, "ask.by", who);
	if (message[0] != '\0')
		audit_ev_str(&e, "ask.message", message);
	ev_timer_clear(it->timer);
	it->wait = WAIT_AUDIT;
	it->then = allow ? TRACE_ALLOW : TRACE_DENY;
	if (!allow) {
		cleanup_free char *safe = str_escape(message, strlen(message));

		snprintf(it->message, sizeof(it->message),
		    "brig: denied by policy (%s): %s%s%s%.256s", it->rule,
		    it->ask_id[0] == '\0' ? "" : "ask ", it->ask_id,
		    it->ask_id[0] == '\0' ? "" : ": ",
		    message[0] == '\0' ? "refused" : safe);
	}
	if (send_record(it->j, &e, it->serial) < 0)
		refuse(it, NO_AUDIT);
	audit_ev_free(&e);
}

static void
ask_refused(struct item *it, const char *why)
{
	ask_answered(it, false, "failsafe", "", why);
}

static void
on_ask_timeout(void *arg)
{
	struct item *it = arg;
	struct chan *c = chan_to(it->j, ROLE_CONTROL);

	if (c != NULL)
		chan_send(c, M_ASK_CANCEL, it->j->s->spec.job.job, it->serial,
		    NULL, -1);
	ask_answered(it, false, "timeout", "", "nobody answered in time");
}

static void
send_ask(struct item *it)
{
	struct chan *c = chan_to(it->j, ROLE_CONTROL);

	if (c != NULL)
		chan_send(
		    c, M_ASK, it->j->s->spec.job.job, it->serial, &it->ask, -1);
	else if (it->wait == WAIT_ASK)
		ev_timer_set(it->j->control_gone, CONTROL_GRACE_MS);
}

/* ---- messages ---------------------------------------------------------- */

static struct judge *
judge_of(void *ctx)
{
	struct peer *p = ctx;

	return ((struct shim *)p->owner)->judge;
}

static int
on_ask_opened(struct chan *c, struct msg *m, void *ctx)
{
	struct judge *j = judge_of(ctx);
	char id[P_NAME_MAX];
	struct item *it;

	cur_str_into(&m->body, id, sizeof(id));
	if (cur_end(&m->body) < 0 || !str_is_name(id, P_NAME_MAX))
		return -1;
	/* Already gone: its M_ASK_CANCEL is on its way. */
	it = j == NULL ? NULL : item_find(j, m->serial, WAIT_ASK);
	if (it == NULL)
		return 0;
	strlcpy(it->ask_id, id, sizeof(it->ask_id));
	cleanup_free char *what =
	    str_escape_again(it->normal, strlen(it->normal));
	cleanup_free char *text = xasprintf("ask %s is pending: %s", id, what);

	relay_notice(j->s->relay, text);
	return 0;
}

static int
on_ask_answer(struct chan *c, struct msg *m, void *ctx)
{
	struct judge *j = judge_of(ctx);
	bool allow = cur_bool(&m->body);
	char id[P_NAME_MAX];
	cleanup_free char *by = NULL, *message = NULL;
	struct item *it;

	cur_str_into(&m->body, id, sizeof(id));
	by = cur_str(&m->body, P_NAME_MAX);
	message = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0 ||
	    (id[0] != '\0' && !str_is_name(id, P_NAME_MAX)))
		return -1;
	it = j == NULL ? NULL : item_find(j, m->serial, WAIT_ASK);
	if (it == NULL)
		return 0;
	strlcpy(it->ask_id, id, sizeof(it->ask_id));
	ask_answered(it, allow,
	    by[0] == '\0' || str_eq(by, "timeout") ? "timeout" : "human", by,
	    message);
	return 0;
}

static int
on_audit_ack(struct chan *c, struct msg *m, void *ctx)
{
	struct judge *j = judge_of(ctx);
	bool ok = cur_bool(&m->body);
	cleanup_free char *why = NULL;
	struct item *it;

	(void)cur_u64(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0)
		return -1;
	it = j == NULL ? NULL : item_find(j, m->serial, WAIT_AUDIT);
	if (it == NULL)
		return 0;
	if (!ok) {
		log_warnx("audit refuses a record: %s", why);
		refuse(it, NO_AUDIT);
	} else if (it->then == TRACE_PENDING) {
		it->wait = WAIT_ASK;
		ev_timer_set(
		    it->timer, (uint64_t)it->timeout_s * 1000 + ASK_GRACE_MS);
		send_ask(it);
	} else if (it->then == TRACE_ALLOW && !is_as_shown(it)) {
		it->wait = WAIT_ASK;
		ask_refused(it, "the script was changed after it was shown");
	} else
		settle(it);
	return 0;
}

const struct msg_rule judge_from_control[2] = {
	{ M_ASK_OPENED, MSG_ALLOWED, on_ask_opened },
	{ M_ASK_ANSWER, MSG_ALLOWED, on_ask_answer },
};

const struct msg_rule judge_from_audit[1] = {
	{ M_AUDIT_ACK, MSG_ALLOWED, on_audit_ack },
};

/* Call fn for every item that waits for this; fn may free the item. */
static void
each(struct judge *j, enum wait_for wait,
    void (*fn)(struct item *it, const char *why), const char *why)
{
	struct item *next;

	for (struct item *it = j->items; it != NULL; it = next) {
		next = it->next;
		if (it->wait == wait)
			fn(it, why);
	}
}

static void
ask_again(struct item *it, const char *why)
{
	send_ask(it);
}

static void
refuse_asks(void *arg)
{
	each(arg, WAIT_ASK, ask_refused, "nobody can be asked at present");
}

void
judge_control_up(struct peer *p)
{
	struct judge *j = judge_of(p);

	if (j == NULL)
		return;
	/* Before the questions that depend on it. */
	shim_tell_attended(j->s);
	ev_timer_clear(j->control_gone);
	each(j, WAIT_ASK, ask_again, NULL);
}

void
judge_control_down(struct peer *p)
{
	struct judge *j = judge_of(p);

	if (j != NULL)
		ev_timer_set(j->control_gone, CONTROL_GRACE_MS);
}

void
judge_audit_down(struct peer *p)
{
	struct judge *j = judge_of(p);

	if (j != NULL)
		each(j, WAIT_AUDIT, refuse, NO_AUDIT);
}

void
judge_refuse_all(struct judge *j, const char *why)
{
	tally_tell(j->tally);
	each(j, WAIT_AUDIT, refuse, why);
	for (struct item *it = j->items; it != NULL; it = it->next) {
		struct chan *c = chan_to(j, ROLE_CONTROL);

		if (c != NULL)
			chan_send(c, M_ASK_CANCEL, j->s->spec.job.job,
			    it->serial, NULL, -1);
	}
	each(j, WAIT_ASK, refuse, why);
}

/* ---- one exec ---------------------------------------------------------- */

static enum trace_verdict
denied(struct judge *j, const struct exec_facts *f, const struct decision *d,
    const char *by, const char *why, char *message, size_t size)
{
	struct item *it = item_new(j, f->x->pid, TRACE_DENY);
	struct audit_ev e;
	int rc;

	snprintf(
	    message, size, "brig: denied by policy (%s): %s", d->rule, why);
	strlcpy(it->message, message, sizeof(it->message));
	audit_ev_init(&e, "EX401", "exec.decide", 2, true);
	put_pid(&e, f->x->pid);
	exec_facts_audit(f, d, &e);
	put_decision(&e, EFFECT_DENY, by);
	audit_ev_str(&e, "dec.reason", why);
	rc = send_record(j, &e, it->serial);
	audit_ev_free(&e);
	if (rc == 0)
		return TRACE_PENDING;
	item_free(it);
	return TRACE_DENY;
}

/* The budget of records is used up: by program. */
static int
count_program(
    struct judge *j, const struct exec_facts *f, const struct decision *d)
{
	struct audit_ev e;
	int rc;

	audit_ev_init(&e, "EX104", "exec.repeat", 1, false);
	audit_ev_str(&e, "obj.exe", f->x->exe);
	audit_ev_u64(&e, "obj.ino", f->x->ino);
	audit_ev_str(&e, "pol.rule", d->rule);
	put_decision(&e, EFFECT_ALLOW, by_name(d->by));
	audit_ev_str(&e, "dec.merged", "too many to tell their arguments");
	rc = tally_count(j->tally, &e);
	audit_ev_free(&e);
	return rc;
}

static enum trace_verdict
allowed(struct judge *j, const struct exec_facts *f, const struct decision *d,
    char *message, size_t size)
{
	struct chan *c = chan_to(j, ROLE_AUDIT);
	enum trace_verdict v = TRACE_ALLOW;
	struct item *it = NULL;
	struct audit_ev e;

	if (c == NULL) {
		snprintf(message, size, "%s", NO_AUDIT);
		return TRACE_DENY;
	}
	audit_ev_init(&e, "EX101", "exec.decide", 1, false);
	exec_facts_audit(f, d, &e);
	put_decision(&e, EFFECT_ALLOW, by_name(d->by));
	if (tally_repeats(j->tally, &e)) {
		/* Told within a second. */
	} else if (!tally_budget(j->tally)) {
		if (count_program(j, f, d) < 0) {
			snprintf(message, size, "%s", NO_AUDIT);
			v = TRACE_DENY;
		}
	} else {
		/* The log lags behind: let the job wait for it. */
		if (chan_queued(c) > MSG_QUEUE_HIGH) {
			it = item_new(j, f->x->pid, TRACE_ALLOW);
			v = TRACE_PENDING;
		}
		put_pid(&e, f->x->pid);
		send_record(j, &e, it == NULL ? 0 : it->serial);
	}
	audit_ev_free(&e);
	return v;
}

/* Keep the fields that every later record of this exec repeats. */
static void
keep_record(struct item *it, const struct exec_facts *f,
    const struct decision *d, const char *digest)
{
	struct audit_ev e;
	size_t head;

	audit_ev_init(&e, "EX101", "exec.decide", 1, true);
	head = e.body.len;
	put_pid(&e, f->x->pid);
	exec_facts_audit(f, d, &e);
	audit_ev_str(&e, "ask.digest", digest);
	buf_put(&it->record, e.body.data + head, e.body.len - head);
	it->record_fields = e.count;
	audit_ev_free(&e);
}

static enum trace_verdict
asked(struct judge *j, struct exec_facts *f, const struct decision *d,
    char *message, size_t size)
{
	const struct profile_settings *ps = profile_settings(j->s->profile);
	char digest[EXEC_DIGEST_SIZE];
	struct audit_ev e;
	struct item *it;
	int rc;

	if (chan_to(j, ROLE_CONTROL) == NULL)
		return denied(j, f, d, "failsafe",
		    "needs an approval, and nobody can be asked at present",
		    message, size);
	if (ps->ask_unattended_deny && !relay_attached(j->s->relay))
		return denied(j, f, d, "failsafe",
		    "needs an approval, and the job is unattended", message,
		    size);
	if (j->nasks >= ASKS_MAX)
		return denied(j, f, d, "failsafe",
		    "needs an approval, and too many are waiting", message,
		    size);
	if (f->script != NULL &&
	    script_sum_get(&f->sum, f->x, j->s->proc_fd) < 0)
		return denied(j, f, d, "failsafe",
		    "needs an approval, and its script cannot be read", message,
		    size);
	it = item_new(j, f->x->pid, TRACE_PENDING);
	it->sum = f->sum;
	it->execfn = f->script == NULL ? NULL : xstrdup(f->x->execfn);
	it->timer = ev_timer_new(j->s->ev, on_ask_timeout, it);
	j->nasks++;
	it->timeout_s = ps->ask_timeout_s;
	strlcpy(it->rule, d->rule, sizeof(it->rule));
	strlcpy(it->normal, d->normal, sizeof(it->normal));
	exec_facts_ask(f, d, ps->ask_timeout_s, &it->ask);
	exec_facts_digest(f, digest);
	keep_record(it, f, d, digest);
	audit_ev_init(&e, "EX102", "exec.decide", 2, true);
	put_pid(&e, f->x->pid);
	exec_facts_audit(f, d, &e);
	audit_ev_str(&e, "ask.digest", digest);
	put_decision(&e, EFFECT_ASK, by_name(d->by));
	rc = send_record(j, &e, it->serial);
	audit_ev_free(&e);
	if (rc == 0)
		return TRACE_PENDING;
	item_free(it);
	snprintf(message, size, "%s", NO_AUDIT);
	return TRACE_DENY;
}

enum trace_verdict
judge_exec(const struct trace_exec *x, char *message, size_t size, void *arg)
{
	struct judge *j = arg;
	enum trace_verdict v = TRACE_DENY;
	struct exec_facts f;
	struct decision d;

	if (j->s->ended) {
		snprintf(message, size, "brig: denied: the job is ending");
		return TRACE_DENY;
	}
	if (ev_now_ms() - j->ids_at >= IDENTITIES_MS)
		judge_programs(j);
	memset(&d, 0, sizeof(d));
	exec_facts_init(&f, x, &j->ids, j->env, j->s->profile, j->s->proc_fd);
	policy_exec(j->s->policy, j->s->profile, &f.rq, &d);
	switch (d.effect) {
	case EFFECT_DENY:
		v = denied(j, &f, &d, by_name(d.by), d.because, message, size);
		break;
	case EFFECT_ASK:
		v = asked(j, &f, &d, message, size);
		break;
	case EFFECT_ALLOW:
		v = allowed(j, &f, &d, message, size);
		break;
	}
	exec_facts_free(&f);
	return v;
}

void
judge_unreadable(pid_t pid, const char *why, void *arg)
{
	struct judge *j = arg;
	struct audit_ev e;

	audit_ev_init(&e, "EX401", "exec.decide", 3, true);
	audit_ev_u64(&e, "who.pid", (uint64_t)pid);
	audit_ev_str(&e, "pol.rule", "built-in: unreadable");
	put_decision(&e, EFFECT_DENY, "failsafe");
	audit_ev_str(&e, "dec.reason", why);
	send_record(j, &e, 0);
	audit_ev_free(&e);
}

void
judge_gone(pid_t pid, void *arg)
{
	struct judge *j = arg;
	struct item *next;

	for (struct item *it = j->items; it != NULL; it = next) {
		struct chan *c = chan_to(j, ROLE_CONTROL);

		next = it->next;
		if (it->pid != pid)
			continue;
		if (it->wait == WAIT_ASK && c != NULL)
			chan_send(c, M_ASK_CANCEL, j->s->spec.job.job,
			    it->serial, NULL, -1);
		item_free(it);
	}
}
