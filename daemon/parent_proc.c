#include "daemon/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/proc.h"

static void on_restart(void *arg);

void
proc_init(struct parent *pa, struct proc *p, enum role role, struct job *job)
{
	memset(p, 0, sizeof(*p));
	p->pa = pa;
	p->role = role;
	p->job = job;
	p->backoff_ms = RESTART_MIN_MS;
	p->timer = ev_timer_new(pa->ev, on_restart, p);
}

static uint32_t
proc_job_id(const struct proc *p)
{
	return p->job == NULL ? 0 : p->job->id;
}

static void
on_chan_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct proc *p = ctx;

	(void)c;
	if (how == CHAN_FAULT)
		proc_kill(p, why);
	/* At its end the process is about to die: SIGCHLD does the rest. */
	chan_free(p->chan);
	p->chan = NULL;
}

static void
retry_later(struct proc *p)
{
	ev_timer_set(p->timer, p->backoff_ms);
	p->backoff_ms *= 2;
	if (p->backoff_ms > RESTART_MAX_MS)
		p->backoff_ms = RESTART_MAX_MS;
}

static const char *
proc_root(const struct proc *p)
{
	switch (p->role) {
	case ROLE_CONTROL:
		return p->pa->control_dir;
	case ROLE_AUDIT:
		return p->pa->conf.log_dir;
	case ROLE_KEYD:
	case ROLE_FRONT:
	case ROLE_BACK:
		return p->pa->empty_dir;
	case ROLE_DNS:
		/* libc's resolver reads /etc; Landlock leaves it no more. */
	case ROLE_SHIM:
	case ROLE_STAGE:
	case ROLE_NONE:
	case ROLE_PARENT:
	case ROLE_MAX:
		break;
	}
	return NULL;
}

void
proc_start(struct proc *p)
{
	struct parent *pa = p->pa;
	struct proc_spec s = {
		.role = p->role,
		.exe = p->role == ROLE_SHIM ? pa->conf.shim : "/proc/self/exe",
		.exe_fd = p->role == ROLE_SHIM ? pa->shim_fd : -1,
		.uid = pa->conf.user[p->role].uid,
		.gid = pa->conf.user[p->role].gid,
		.root = proc_root(p),
		.debug = pa->debug,
		.files = pa->files,
	};
	const struct msg_rule *rules;
	struct error err = { 0 };
	char name[48];
	size_t n;
	int fds[2];

	if (pa->stopping || p->no_restart || p->pid != 0)
		return;
	if (fd_socketpair(fds) < 0) {
		log_warn("socketpair for %s", role_name(p->role));
		retry_later(p);
		return;
	}
	p->pid = proc_spawn(&s, fds[1], &err);
	close(fds[1]);
	if (p->pid < 0) {
		close(fds[0]);
		p->pid = 0;
		log_warnx("%s", err.msg);
		retry_later(p);
		return;
	}
	p->ready = false;
	p->started_ms = ev_now_ms();
	if (p->job != NULL)
		snprintf(name, sizeof(name), "%s of job %u", role_name(p->role),
		    p->job->id);
	else
		snprintf(name, sizeof(name), "%s", role_name(p->role));
	rules = parent_rules(p->role, &n);
	p->chan = chan_new(pa->ev, fds[0], name, rules, n, on_chan_end, p);
	log_debug("%s started, pid %d", name, (int)p->pid);
	wire_child(p);
}

static void
on_restart(void *arg)
{
	struct proc *p = arg;

	proc_start(p);
}

void
proc_kill(struct proc *p, const char *why)
{
	cleanup_free char *shown = str_escape(why, strlen(why));

	if (p->pid == 0)
		return;
	log_warnx("ending %s (job %u, pid %d): %s", role_name(p->role),
	    proc_job_id(p), (int)p->pid, shown);
	kill(p->pid, SIGKILL);
}

void
proc_end(struct proc *p, bool now)
{
	p->no_restart = true;
	if (p->timer != NULL)
		ev_timer_clear(p->timer);
	if (p->pid == 0)
		return;
	if (now || p->chan == NULL)
		kill(p->pid, SIGKILL);
	else
		chan_send(p->chan, M_STOP, 0, 0, NULL, -1);
}

void
proc_clear(struct proc *p)
{
	chan_free(p->chan);
	p->chan = NULL;
	ev_timer_free(p->timer);
	p->timer = NULL;
}

void
proc_each(struct parent *pa, void (*fn)(struct proc *p, void *arg), void *arg)
{
	struct job *next;

	for (unsigned int r = 0; r < ROLE_MAX; r++)
		if (pa->single[r].role != ROLE_NONE)
			fn(&pa->single[r], arg);
	for (struct job *j = pa->jobs; j != NULL; j = next) {
		next = j->next;
		fn(&j->shim, arg);
		fn(&j->front, arg);
		fn(&j->back, arg);
	}
}

struct proc *
proc_find(struct parent *pa, enum role role, uint32_t id)
{
	struct job *j;

	if ((unsigned int)role >= ROLE_MAX)
		return NULL;
	if (id == 0)
		return pa->single[role].role == role ? &pa->single[role] : NULL;
	if ((j = job_find(pa, id)) == NULL)
		return NULL;
	if (role == ROLE_SHIM)
		return &j->shim;
	if (role == ROLE_FRONT)
		return &j->front;
	return role == ROLE_BACK ? &j->back : NULL;
}

struct by_pid {
	pid_t pid;
	struct proc *found;
};

static void
match_pid(struct proc *p, void *arg)
{
	struct by_pid *b = arg;

	if (p->pid == b->pid)
		b->found = p;
}

static void
record_death(struct proc *p, int status)
{
	struct audit_ev e;

	audit_ev_init(&e, "BR301", "brig.process", 3, false);
	audit_ev_str(&e, "obj.role", role_name(p->role));
	audit_ev_u64(&e, "obj.pid", (uint64_t)p->pid);
	audit_ev_u64(&e, "obj.restarts", p->restarts);
	if (WIFSIGNALED(status))
		audit_ev_u64(&e, "obj.signal", (uint64_t)WTERMSIG(status));
	else
		audit_ev_u64(&e, "obj.status", (uint64_t)WEXITSTATUS(status));
	parent_audit(p->pa, proc_job_id(p), &e);
}

static void
died(struct proc *p, int status)
{
	struct parent *pa = p->pa;
	bool expected;

	/* SIGCHLD may overtake the message that says how a job ended. */
	if (p->chan != NULL)
		chan_last_words(p->chan);
	chan_free(p->chan);
	p->chan = NULL;
	p->ready = false;
	expected = p->no_restart || pa->stopping;
	if (!expected && WIFSIGNALED(status))
		log_warnx("%s (job %u, pid %d) died of signal %d",
		    role_name(p->role), proc_job_id(p), (int)p->pid,
		    WTERMSIG(status));
	else if (!expected)
		log_warnx("%s (job %u, pid %d) exited with status %d",
		    role_name(p->role), proc_job_id(p), (int)p->pid,
		    WEXITSTATUS(status));
	if (!expected && p->role != ROLE_SHIM)
		record_death(p, status);
	p->pid = 0;
	if (p->role == ROLE_CONTROL)
		stage_orphan(pa);
	if (p->role == ROLE_AUDIT) {
		chan_free(pa->audit);
		pa->audit = NULL;
	}
	if (p->role == ROLE_SHIM && p->job != NULL)
		p->no_restart = true;
	if (!p->no_restart && !pa->stopping) {
		if (ev_now_ms() - p->started_ms >= RESTART_CALM_MS)
			p->backoff_ms = RESTART_MIN_MS;
		p->restarts++;
		if (!pa->ready && p->job == NULL &&
		    p->restarts >= START_TRIES) {
			log_warnx("%s does not come up, giving up",
			    role_name(p->role));
			parent_stop(pa);
			return;
		}
		retry_later(p);
	}
	if (p->job != NULL)
		job_proc_gone(p->job, p);
}

void
proc_died(struct parent *pa, pid_t pid, int status)
{
	struct by_pid b = { .pid = pid };

	proc_each(pa, match_pid, &b);
	if (b.found != NULL)
		died(b.found, status);
	else
		(void)stage_died(pa, pid);
}
