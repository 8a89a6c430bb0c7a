#include "daemon/parent.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/parent_cgroup.h"

static void
start_done(struct proc *p, void *arg)
{
	bool *all = arg;

	if (p->job == NULL && !p->ready)
		*all = false;
}

static int
on_ready(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	bool all = true;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	p->ready = true;
	log_debug("%s is ready", role_name(p->role));
	if (p->pa->ready)
		return 0;
	proc_each(p->pa, start_done, &all);
	if (all) {
		p->pa->ready = true;
		log_info("ready");
		notify_send("READY=1\nSTATUS=serving");
		spare_start(p->pa);
	}
	return 0;
}

/*
 * Who is believed about whom: a process nearer to the agent cannot have one
 * farther from it ended, else a front that was taken over could keep keyd
 * down.  It is ended itself then, since one of the two is at fault.
 */
static unsigned int
standing(enum role role)
{
	switch (role) {
	case ROLE_FRONT:
		return 1;
	case ROLE_BACK:
		return 2;
	case ROLE_SHIM:
		return 3;
	case ROLE_DNS:
		return 4;
	case ROLE_CONTROL:
	case ROLE_KEYD:
	case ROLE_AUDIT:
		return 5;
	case ROLE_PARENT:
		return 6;
	case ROLE_STAGE:
	case ROLE_NONE:
	case ROLE_MAX:
		break;
	}
	return 0;
}

static int
on_bad_peer(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx, *bad;
	enum role role = cur_u8(&m->body);
	uint32_t job = cur_u32(&m->body);
	cleanup_free char *why = cur_str(&m->body, P_TEXT_MAX);
	struct audit_ev e;

	(void)c;
	if (cur_end(&m->body) < 0 || (unsigned int)role >= ROLE_MAX)
		return -1;
	/* Of another job it can know nothing. */
	if (p->job != NULL && job != 0 && job != p->job->id)
		return -1;
	audit_ev_init(&e, "BR401", "brig.bad_peer", 4, false);
	audit_ev_str(&e, "who.role", role_name(p->role));
	audit_ev_str(&e, "obj.role", role_name(role));
	audit_ev_str(&e, "obj.why", why);
	parent_audit(p->pa, job, &e);
	if (standing(role) > standing(p->role)) {
		proc_kill(p, "reports one that it must not be able to end");
		return 0;
	}
	bad = proc_find(p->pa, role, job);
	if (bad != NULL)
		proc_kill(bad, why);
	return 0;
}

/* ---- keyd -------------------------------------------------------------- */

static int
on_ca_cert(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct parent *pa = p->pa;
	struct error err = { 0 };
	const uint8_t *pem;
	size_t n;

	(void)c;
	pem = cur_blob(&m->body, CA_PEM_MAX, &n);
	if (cur_end(&m->body) < 0 || n == 0)
		return -1;
	if (pa->bundle_fd >= 0 && buf_len(&pa->ca_pem) == n &&
	    memcmp(buf_head(&pa->ca_pem), pem, n) == 0)
		return 0;
	buf_clear(&pa->ca_pem);
	buf_put(&pa->ca_pem, pem, n);
	if (parent_make_bundle(pa, &err) < 0) {
		log_warnx("CA bundle: %s", err.msg);
		return 0;
	}
	for (struct job *j = pa->jobs; j != NULL; j = j->next)
		job_continue(j);
	return 0;
}

static int
on_job_stubs(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct job *j = job_find(p->pa, m->job);
	uint32_t n = cur_count(&m->body, P_SECRETS_MAX, 12);
	char **env = xcalloc((size_t)n + 1, sizeof(*env));
	uint32_t k = 0;
	int rc = 0;

	(void)c;
	for (uint32_t i = 0; i < n && !m->body.failed; i++) {
		cleanup_free char *name = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *var = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *stub = cur_str(&m->body, P_STUB_MAX);

		if (name != NULL && stub != NULL && var[0] != '\0')
			env[k++] = xasprintf("%s=%s", var, stub);
	}
	rc = cur_end(&m->body);
	if (rc == 0 && j != NULL) {
		job_stubs(j, env);
		return 0;
	}
	for (uint32_t i = 0; i < k; i++)
		free(env[i]);
	free(env);
	return rc;
}

/* ---- control ----------------------------------------------------------- */

static int
on_job_fd(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uint8_t which = cur_u8(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0 || m->job == 0 ||
	    (which != JOB_FD_WORKSPACE && which != JOB_FD_ATTACH))
		return -1;
	job_collect_fd(p->pa, m->job, which, steal_fd(&m->fd));
	return 0;
}

static int
on_job_start(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;

	(void)c;
	if (cur_end(&m->body) < 0 || m->job == 0)
		return -1;
	job_start(p->pa, m->job, m->fd);
	return 0;
}

static int
on_job_kill(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct job *j = job_find(p->pa, m->job);
	uint8_t signo = cur_u8(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0 || signo == 0 || signo > SIGRTMAX)
		return -1;
	if (j != NULL)
		job_kill(j, signo);
	return 0;
}

static int
on_job_freeze(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct job *j = job_find(p->pa, m->job);
	bool on = cur_bool(&m->body);
	struct error err = { 0 };
	struct buf b;
	int r;

	if (cur_end(&m->body) < 0)
		return -1;
	if (j == NULL || j->ending || j->state != JOB_RUNNING)
		r = error_set(&err, 0, "the job is not running");
	else
		r = pcg_job_freeze(j, on, &err);
	buf_init(&b, 0);
	buf_put_u8(&b, r == 0);
	buf_put_str(&b, err.msg);
	chan_send(c, M_JOB_FROZEN, m->job, m->serial, &b, -1);
	buf_free(&b);
	return 0;
}

void
parent_answer_fd(struct chan *c, uint16_t type, const struct msg *m, int fd,
    const struct error *err)
{
	struct buf b;
	bool ok = fd >= 0;

	if (!ok)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fatal("/dev/null");
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_str(&b, ok ? "" : err->msg);
	chan_send(c, type, m->job, m->serial, &b, fd);
	buf_free(&b);
}

void
parent_opened(
    struct chan *c, const struct msg *m, int fd, const struct error *err)
{
	parent_answer_fd(c, M_OPENED, m, fd, err);
}

static int
on_log_open(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct error err = { 0 };

	if (cur_end(&m->body) < 0 || m->job == 0)
		return -1;
	parent_opened(c, m,
	    parent_open_log(p->pa, m->job, JOB_LOG_OUTPUT, false, &err), &err);
	return 0;
}

static int
on_audit_open(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct error err = { 0 };

	if (cur_end(&m->body) < 0)
		return -1;
	parent_opened(c, m, parent_open_audit(p->pa, false, &err), &err);
	return 0;
}

static int
on_status_get(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct buf b;

	if (cur_end(&m->body) < 0)
		return -1;
	buf_init(&b, 0);
	parent_status(p->pa, &b);
	chan_send(c, M_STATUS, 0, m->serial, &b, -1);
	buf_free(&b);
	return 0;
}

/* They take the place of those in use, in running jobs as well. */
static void
use_roots(struct parent *pa, struct parent_roots *roots)
{
	struct error err = { 0 };

	if (roots_same(roots, &pa->roots)) {
		roots_free(roots);
		return;
	}
	roots_free(&pa->roots);
	pa->roots = *roots;
	wire_roots(pa);
	if (pa->bundle_fd >= 0 && parent_make_bundle(pa, &err) < 0)
		log_warnx("CA bundle: %s", err.msg);
}

int
parent_reload(struct parent *pa, struct buf *text)
{
	struct parent_roots roots;
	struct error err = { 0 };
	struct audit_ev e;
	int rc;

	notify_send("STATUS=reading the policy");
	/* All of it or nothing: the roots wait for the policy. */
	rc = roots_read(&pa->conf, &roots, &err);
	if (rc < 0)
		buf_printf(text, "%s\n", err.msg);
	else if ((rc = parent_load_policy(pa, text)) < 0)
		roots_free(&roots);
	if (rc == 0) {
		wire_policy(pa);
		use_roots(pa, &roots);
	}
	audit_ev_init(&e, rc == 0 ? "PO201" : "PO501", "policy.load", 3, false);
	audit_ev_u64(&e, "pol.gen", pa->generation);
	audit_ev_bool(&e, "obj.loaded", rc == 0);
	parent_audit(pa, 0, &e);
	notify_send("STATUS=serving");
	return rc;
}

static int
on_reload(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	struct buf b, text;
	bool ok;
	size_t n;

	if (cur_end(&m->body) < 0)
		return -1;
	buf_init(&text, 0);
	ok = parent_reload(p->pa, &text) == 0;
	/* What does not fit is the tail: the first mistakes matter most. */
	n = buf_len(&text) < P_TEXT_MAX ? buf_len(&text) : P_TEXT_MAX;
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_u32(&b, p->pa->generation);
	buf_put_blob(&b, buf_head(&text), n);
	chan_send(c, M_RELOADED, 0, m->serial, &b, -1);
	buf_free(&b);
	buf_free(&text);
	return 0;
}

/* ---- shim -------------------------------------------------------------- */

static int
on_capture(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uint8_t which = cur_u8(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0 || which >= CAPTURE_MAX)
		return -1;
	job_captured(p->job, which, steal_fd(&m->fd));
	return 0;
}

static int
on_shim_state(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uint8_t state = cur_u8(&m->body);
	uint32_t pid = cur_u32(&m->body);
	cleanup_free char *detail = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0 || pid > INT32_MAX)
		return -1;
	if (state == JOB_RUNNING)
		job_running(p->job, (pid_t)pid, detail);
	else if (state == JOB_STARTING)
		job_preparing(p->job, detail);
	else
		return -1;
	return 0;
}

static int
on_shim_exit(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uint8_t kind = cur_u8(&m->body);
	uint32_t code = cur_u32(&m->body);
	cleanup_free char *detail = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0 || kind > EXIT_BRIG || code > 255)
		return -1;
	job_exited(p->job, kind, code, detail);
	return 0;
}

static int
on_stage_fd(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;
	uint8_t which = cur_u8(&m->body);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	return stage_collect_fd(p->pa, m->serial, which, steal_fd(&m->fd));
}

static int
on_stage_start(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;

	(void)c;
	return stage_request(p->pa, m);
}

static int
on_stage_go(struct chan *c, struct msg *m, void *ctx)
{
	struct proc *p = ctx;

	(void)c;
	return stage_answer(p->pa, m);
}

static const struct msg_rule from_control[] = {
	{ M_READY, MSG_ALLOWED | MSG_ONCE, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
	{ M_JOB_FD, MSG_ALLOWED | MSG_FD, on_job_fd },
	{ M_JOB_START, MSG_ALLOWED | MSG_FD, on_job_start },
	{ M_JOB_KILL, MSG_ALLOWED, on_job_kill },
	{ M_JOB_FREEZE, MSG_ALLOWED, on_job_freeze },
	{ M_HOME_LIST, MSG_ALLOWED, parent_on_home_list },
	{ M_HOME_RM, MSG_ALLOWED, parent_on_home_rm },
	{ M_LOG_OPEN, MSG_ALLOWED, on_log_open },
	{ M_TIMING_OPEN, MSG_ALLOWED, parent_on_timing_open },
	{ M_JOB_ATTACH, MSG_ALLOWED | MSG_FD, parent_on_attach },
	{ M_AUDIT_OPEN, MSG_ALLOWED, on_audit_open },
	{ M_STATUS_GET, MSG_ALLOWED, on_status_get },
	{ M_RELOAD, MSG_ALLOWED, on_reload },
	{ M_STAGE_FD, MSG_ALLOWED | MSG_FD, on_stage_fd },
	{ M_STAGE_START, MSG_ALLOWED, on_stage_start },
	{ M_STAGE_GO, MSG_ALLOWED, on_stage_go },
};

static const struct msg_rule from_keyd[] = {
	{ M_READY, MSG_ALLOWED | MSG_ONCE, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
	{ M_CA_CERT, MSG_ALLOWED, on_ca_cert },
	{ M_JOB_STUBS, MSG_ALLOWED, on_job_stubs },
	{ M_VAULT_STALE, MSG_ALLOWED, on_vault_stale },
	{ M_VAULT_WRITTEN, MSG_ALLOWED, on_vault_written },
};

static const struct msg_rule from_shim[] = {
	{ M_READY, MSG_ALLOWED | MSG_ONCE, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
	{ M_CAPTURE, MSG_ALLOWED | MSG_FD, on_capture },
	{ M_SHIM_STATE, MSG_ALLOWED, on_shim_state },
	{ M_SHIM_EXIT, MSG_ALLOWED | MSG_ONCE, on_shim_exit },
};

static const struct msg_rule from_back[] = {
	{ M_READY, MSG_ALLOWED | MSG_ONCE, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
	{ M_INFERD_GET, MSG_ALLOWED, parent_on_inferd_get },
};

/* audit, dns, front */
static const struct msg_rule from_others[] = {
	{ M_READY, MSG_ALLOWED | MSG_ONCE, on_ready },
	{ M_BAD_PEER, MSG_ALLOWED, on_bad_peer },
};

const struct msg_rule *
parent_rules(enum role role, size_t *n)
{
	switch (role) {
	case ROLE_CONTROL:
		*n = nitems(from_control);
		return from_control;
	case ROLE_KEYD:
		*n = nitems(from_keyd);
		return from_keyd;
	case ROLE_SHIM:
		*n = nitems(from_shim);
		return from_shim;
	case ROLE_BACK:
		*n = nitems(from_back);
		return from_back;
	case ROLE_NONE:
	case ROLE_PARENT:
	case ROLE_AUDIT:
	case ROLE_DNS:
	case ROLE_FRONT:
	case ROLE_STAGE:
	case ROLE_MAX:
		break;
	}
	*n = nitems(from_others);
	return from_others;
}
