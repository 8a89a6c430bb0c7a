#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/ask.h"

#define CONFIG_PAIRS_MAX 1024u

/* ---- answers that are awaited ------------------------------------------ */

struct pending {
	struct pending *next;
	enum role role;
	uint32_t serial;
	pending_fn *fn;
	void *arg;
};

uint32_t
pending_add(struct control *ct, enum role role, pending_fn *fn, void *arg)
{
	struct pending *p = xcalloc(1, sizeof(*p));

	/* 0 means "no answer wanted" in M_AUDIT. */
	if (++ct->next_serial == 0)
		ct->next_serial = 1;
	p->role = role;
	p->serial = ct->next_serial;
	p->fn = fn;
	p->arg = arg;
	p->next = ct->pending;
	ct->pending = p;
	return p->serial;
}

/* An answer to nothing is a fault of the peer. */
static int
pending_answer(struct control *ct, enum role role, struct msg *m)
{
	for (struct pending **pp = &ct->pending; *pp != NULL;
	     pp = &(*pp)->next) {
		struct pending *p = *pp;
		int rc;

		if (p->role != role || p->serial != m->serial)
			continue;
		*pp = p->next;
		rc = p->fn(ct, m, p->arg);
		free(p);
		return rc;
	}
	return -1;
}

static void
pending_gone(struct control *ct, enum role role)
{
	struct pending **pp = &ct->pending, *gone = NULL, *p;

	/* Off the list first: fn may add new ones. */
	while ((p = *pp) != NULL) {
		if (p->role == role) {
			*pp = p->next;
			p->next = gone;
			gone = p;
		} else {
			pp = &p->next;
		}
	}
	while ((p = gone) != NULL) {
		gone = p->next;
		p->fn(ct, NULL, p->arg);
		free(p);
	}
}

struct chan *
control_peer(struct control *ct, enum role role)
{
	struct peer *p = peers_find(ct->peers, role, 0);

	return p == NULL ? NULL : p->chan;
}

/* ---- audit ------------------------------------------------------------- */

struct audited {
	audited_fn *fn;
	void *arg;
};

static int
on_audited(struct control *ct, struct msg *m, void *arg)
{
	struct audited *a = arg;
	cleanup_free char *why = NULL;
	bool ok = false;
	int rc = 0;

	if (m != NULL) {
		ok = cur_bool(&m->body);
		cur_u64(&m->body);
		why = cur_str(&m->body, P_TEXT_MAX);
		rc = cur_end(&m->body);
	}
	a->fn(ct, ok && rc == 0,
	    why != NULL && why[0] != '\0' ? why : "the audit log is down",
	    a->arg);
	free(a);
	return rc;
}

void
control_audit(struct control *ct, uint32_t job, struct audit_ev *e,
    audited_fn *fn, void *arg)
{
	struct chan *c = control_peer(ct, ROLE_AUDIT);
	uint32_t serial = 0;

	if (c == NULL) {
		audit_ev_free(e);
		if (fn != NULL)
			fn(ct, false, "the audit log is down", arg);
		return;
	}
	if (fn != NULL) {
		struct audited *a = xcalloc(1, sizeof(*a));

		a->fn = fn;
		a->arg = arg;
		serial = pending_add(ct, ROLE_AUDIT, on_audited, a);
	}
	chan_send(c, M_AUDIT, job, serial, &e->body, -1);
	audit_ev_free(e);
}

/* ---- messages ---------------------------------------------------------- */

static int
set_number(const char *value, uint64_t max, uint32_t *out)
{
	uint64_t n;

	if (str_to_u64(value, 0, max, &n) < 0)
		return -1;
	*out = (uint32_t)n;
	return 0;
}

static int
set_job_uids(struct control *ct, char *value)
{
	char *count = strchr(value, ' ');

	if (count == NULL)
		return -1;
	*count++ = '\0';
	if (set_number(value, UINT32_MAX, &ct->job_uid_base) < 0)
		return -1;
	return set_number(count, UINT32_MAX, &ct->job_uid_count);
}

static int
set_value(struct control *ct, const char *key, char *value)
{
	if (str_eq(key, "job-uids"))
		return set_job_uids(ct, value);
	if (str_eq(key, "ask-timeout"))
		return set_number(value, UINT32_MAX, &ct->ask_timeout);
	if (str_eq(key, "max-jobs"))
		return set_number(value, P_JOBS_MAX, &ct->max_jobs);
	if (str_eq(key, "max-jobs-per-user"))
		return set_number(value, P_JOBS_MAX, &ct->max_user_jobs);
	if (str_eq(key, "admin-gid")) {
		ct->has_admin_gid = true;
		return set_number(value, UINT32_MAX, &ct->admin_gid);
	}
	if (str_eq(key, "default-profile")) {
		free(ct->default_profile);
		ct->default_profile = xstrdup(value);
	} else if (str_eq(key, "version")) {
		free(ct->version);
		ct->version = xstrdup(value);
	} else if (str_eq(key, "log-level")) {
		log_set_level_name(value);
	}
	/* Others are for other roles. */
	return 0;
}

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	uint32_t n = cur_count(&m->body, CONFIG_PAIRS_MAX, 8);

	(void)c;
	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);

		if (value == NULL || set_value(p->owner, key, value) < 0)
			return -1;
	}
	return cur_end(&m->body);
}

static int
on_policy(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct control *ct = p->owner;
	cleanup_buf struct buf b = { 0 };
	struct policy_diags ds = { 0 };
	uint32_t generation = cur_u32(&m->body);
	struct policy *policy;

	(void)c;
	if (cur_end(&m->body) < 0 || !fd_is_sealed(m->fd) ||
	    fd_pread_all(m->fd, &b, POLICY_BUNDLE_MAX) < 0)
		return -1;
	policy = policy_bundle_load(buf_head(&b), buf_len(&b), &ds);
	if (policy == NULL) {
		/* The parent has loaded the same bytes. */
		policy_diags_free(&ds);
		return -1;
	}
	policy_free(ct->policy);
	ct->policy = policy;
	ct->generation = generation;
	return 0;
}

static int
on_listen(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct control *ct = p->owner;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	ct->listen_fd = steal_fd(&m->fd);
	return 0;
}

static int
on_job_state(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	uint8_t state = cur_u8(&m->body);
	uint32_t host_uid = cur_u32(&m->body);
	uint32_t pid = cur_u32(&m->body);
	uint8_t kind = cur_u8(&m->body);
	uint32_t code = cur_u32(&m->body);
	cleanup_free char *detail = cur_str(&m->body, P_TEXT_MAX);
	struct job_news n;

	(void)c;
	if (cur_end(&m->body) < 0 || state >= JOB_STATE_MAX ||
	    kind > EXIT_BRIG || pid > INT32_MAX)
		return -1;
	n.state = (enum job_state)state;
	n.host_uid = host_uid;
	n.pid = (pid_t)pid;
	n.exit_kind = (enum exit_kind)kind;
	n.exit_code = code;
	n.detail = detail;
	jobs_news(p->owner, m->job, &n);
	return 0;
}

static int
on_job_cgroup(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct cjob *j = jobs_find(p->owner, m->job);
	bool paused = cur_bool(&m->body);
	uint64_t ooms = cur_u64(&m->body);
	uint64_t refused = cur_u64(&m->body);
	char *limits = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0) {
		free(limits);
		return -1;
	}
	if (j == NULL) {
		free(limits);
		return 0;
	}
	j->row.paused = paused;
	j->row.ooms = ooms;
	j->row.refused = refused;
	free(j->row.limits);
	j->row.limits = limits;
	return 0;
}

static int
on_jobs_sync(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct control *ct = p->owner;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	jobs_sync(ct);
	/* The first point at which everything is known: serve. */
	if (ct->listen_io == NULL) {
		if (ct->listen_fd < 0 || ct->policy == NULL)
			return -1;
		clients_listen(ct, ct->listen_fd);
		peers_ready(ct->peers);
	}
	return 0;
}

static int
on_stage_plan(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;

	(void)c;
	return stage_plan_message(p->owner, m);
}

static int
on_answer(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;

	(void)c;
	return pending_answer(p->owner, p->role, m);
}

static const struct msg_rule from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_POLICY, MSG_ALLOWED | MSG_FD, on_policy },
	{ M_LISTEN, MSG_ALLOWED | MSG_FD | MSG_ONCE, on_listen },
	{ M_JOB_STATE, MSG_ALLOWED, on_job_state },
	{ M_JOB_CGROUP, MSG_ALLOWED, on_job_cgroup },
	{ M_JOB_FROZEN, MSG_ALLOWED, on_answer },
	{ M_HOMES, MSG_ALLOWED, on_answer },
	{ M_HOME_DONE, MSG_ALLOWED, on_answer },
	{ M_JOBS_SYNC, MSG_ALLOWED, on_jobs_sync },
	{ M_OPENED, MSG_ALLOWED | MSG_FD, on_answer },
	{ M_STATUS, MSG_ALLOWED, on_answer },
	{ M_STAGE_PLAN, MSG_ALLOWED, on_stage_plan },
	{ M_STAGE_DONE, MSG_ALLOWED, on_answer },
	{ M_RELOADED, MSG_ALLOWED, on_answer },
};

static const struct msg_rule from_keyd[] = {
	{ M_SECRET_DONE, MSG_ALLOWED, on_answer },
	{ M_SECRET_LISTED, MSG_ALLOWED, on_answer },
	{ M_CA_SHOWN, MSG_ALLOWED, on_answer },
};

static const struct msg_rule from_audit[] = {
	{ M_AUDIT_ACK, MSG_ALLOWED, on_answer },
};

static int
on_ask(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	return ask_message(ctx, m);
}

static int
on_ask_cancel(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	return ask_cancel_message(ctx, m);
}

static void
set_attended(struct peer *p, bool attended)
{
	struct cjob *j = jobs_find(p->owner, p->job);

	if (j != NULL)
		j->attended = attended;
}

static int
on_attended(struct chan *c, struct msg *m, void *ctx)
{
	bool attended = cur_bool(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	set_attended(ctx, attended);
	return 0;
}

static const struct msg_rule from_back[] = {
	{ M_ASK, MSG_ALLOWED, on_ask },
	{ M_ASK_CANCEL, MSG_ALLOWED, on_ask_cancel },
};

static const struct msg_rule from_shim[] = {
	{ M_ASK, MSG_ALLOWED, on_ask },
	{ M_ASK_CANCEL, MSG_ALLOWED, on_ask_cancel },
	{ M_ATTENDED, MSG_ALLOWED, on_attended },
};

static void
service_down(struct peer *p)
{
	pending_gone(p->owner, p->role);
}

static void
asker_down(struct peer *p)
{
	ask_peer_gone(p->owner, p->role, p->job);
	if (p->role == ROLE_SHIM)
		set_attended(p, false);
}

static const struct peer_def defs[] = {
	{ ROLE_KEYD, from_keyd, nitems(from_keyd), NULL, service_down },
	{ ROLE_AUDIT, from_audit, nitems(from_audit), NULL, service_down },
	{ ROLE_SHIM, from_shim, nitems(from_shim), NULL, asker_down },
	{ ROLE_BACK, from_back, nitems(from_back), NULL, asker_down },
};

/* Before /proc is out of reach. */
static char boot_id[BOOT_ID_SIZE];

void
control_preinit(void)
{
	fd_boot_id(boot_id);
}

void
control_main(void)
{
	control_run(CONTROL_DB);
}

void
control_run(const char *db)
{
	struct control ct = { .listen_fd = -1, .started = time(NULL) };
	struct error err = { 0 };

	ct.ev = ev_new();
	ct.store = store_open(db, boot_id, &err);
	if (ct.store == NULL)
		fatalx("%s", err.msg);
	ct.peers = peers_new(ct.ev, PARENT_FD, from_parent, nitems(from_parent),
	    defs, nitems(defs), &ct);
	jobs_load(&ct);
	ask_load(&ct);
	ev_run(ct.ev);
	clients_close(&ct);
	store_close(ct.store);
}
