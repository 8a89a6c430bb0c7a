#include "daemon/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/parent_cgroup.h"
#include "policy/policy.h"
#include "sandbox/self.h"

static const enum role singles[] = {
	/* audit first: the others record what they do from the beginning */
	ROLE_AUDIT,
	ROLE_KEYD,
	ROLE_DNS,
	ROLE_CONTROL,
};

static void
alive(struct proc *p, void *arg)
{
	size_t *n = arg;

	*n += p->pid != 0;
}

/* audit goes last: the others still record how they end. */
static void
stop_if_alone(struct parent *pa)
{
	size_t n = 0;

	if (!pa->stopping)
		return;
	proc_each(pa, alive, &n);
	if (n == 1 && pa->single[ROLE_AUDIT].pid != 0)
		proc_end(&pa->single[ROLE_AUDIT], false);
	else if (n == 0)
		ev_stop(pa->ev);
}

static void
end_one(struct proc *p, void *arg)
{
	const bool *now = arg;

	if (*now || p->role != ROLE_AUDIT)
		proc_end(p, *now);
}

static void
on_stop_timer(void *arg)
{
	struct parent *pa = arg;
	bool now = true;

	proc_each(pa, end_one, &now);
}

/*
 * Jobs do not outlive the daemon in this version: their shims are told to
 * stop, which ends the jails.
 */
void
parent_stop(struct parent *pa)
{
	struct audit_ev e;
	bool now = false;

	if (pa->stopping)
		return;
	pa->stopping = true;
	notify_send("STOPPING=1");
	log_info("stopping");
	audit_ev_init(&e, "BR202", "brig.stop", 2, false);
	parent_audit(pa, 0, &e);
	proc_each(pa, end_one, &now);
	stage_end_all(pa);
	ev_timer_set(pa->stop_timer, STOP_GRACE_MS);
	stop_if_alone(pa);
}

static void
on_stop_signal(int signo, void *arg)
{
	(void)signo;
	parent_stop(arg);
}

/* What is wrong with the policy, as it stands but for the last newline. */
static void
policy_refused(const char *what, const struct buf *text)
{
	const char *s = (const char *)buf_head(text);
	size_t n = buf_len(text);

	while (n > 0 && s[n - 1] == '\n')
		n--;
	log_warnx("%s:\n%.*s", what, (int)n, s);
}

static void
on_hup(int signo, void *arg)
{
	struct parent *pa = arg;
	struct buf text;

	(void)signo;
	buf_init(&text, 0);
	if (parent_reload(pa, &text) < 0)
		policy_refused("policy not changed", &text);
	else
		log_info("policy generation %u", pa->generation);
	buf_free(&text);
}

static void
on_child(int signo, void *arg)
{
	struct parent *pa = arg;
	int status;
	pid_t pid;

	(void)signo;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		proc_died(pa, pid, status);
	stop_if_alone(pa);
}

static void
on_watchdog(void *arg)
{
	struct parent *pa = arg;

	notify_send("WATCHDOG=1");
	ev_timer_set(pa->watchdog, pa->watchdog_ms);
}

static void
watch(struct parent *pa)
{
	ev_signal(pa->ev, SIGTERM, on_stop_signal, pa);
	ev_signal(pa->ev, SIGINT, on_stop_signal, pa);
	ev_signal(pa->ev, SIGHUP, on_hup, pa);
	ev_signal(pa->ev, SIGCHLD, on_child, pa);
	pa->stop_timer = ev_timer_new(pa->ev, on_stop_timer, pa);
	pa->watchdog = ev_timer_new(pa->ev, on_watchdog, pa);
	pa->watchdog_ms = notify_watchdog_ms();
	if (pa->watchdog_ms > 0)
		ev_timer_set(pa->watchdog, pa->watchdog_ms);
}

static void
record_start(struct parent *pa)
{
	struct audit_ev e;

	audit_ev_init(&e, "BR201", "brig.start", 2, false);
	audit_ev_str(&e, "obj.version", PACKAGE_VERSION);
	audit_ev_u64(&e, "pol.gen", pa->generation);
	parent_audit(pa, 0, &e);
}

static void
parent_cleanup(struct parent *pa)
{
	unlink(pa->conf.socket);
	chan_free(pa->audit);
	for (size_t i = 0; i < nitems(singles); i++)
		proc_clear(&pa->single[singles[i]]);
	proc_clear(&pa->single[ROLE_SHIM]);
	ev_timer_free(pa->stop_timer);
	ev_timer_free(pa->watchdog);
	fd_close(&pa->shim_fd);
	fd_close(&pa->listen_fd);
	fd_close(&pa->vault_fd);
	fd_close(&pa->fresh_fd);
	fd_close(&pa->key_fd);
	fd_close(&pa->state_fd);
	fd_close(&pa->log_dir_fd);
	fd_close(&pa->jobs_fd);
	fd_close(&pa->policy_fd);
	roots_free(&pa->roots);
	fd_close(&pa->bundle_fd);
	fd_close(&pa->trust_fd);
	buf_free(&pa->ca_pem);
	pcg_close(pa);
	policy_free(pa->policy);
	ev_free(pa->ev);
	free(pa->uids_busy);
	free(pa->control_dir);
	free(pa->empty_dir);
}

int
parent_main(struct conf *conf, const char *conf_path, bool debug)
{
	struct parent pa = { .conf_path = conf_path, .debug = debug };
	const struct self_conf self = { .role = ROLE_PARENT };
	struct error err = { 0 };
	struct buf text;
	bool was_ready;

	pa.conf = *conf;
	pa.cgroup_watch = -1;
	pa.shim_fd = pa.listen_fd = pa.vault_fd = pa.key_fd = -1;
	pa.state_fd = pa.log_dir_fd = pa.fresh_fd = -1;
	pa.jobs_fd = pa.policy_fd = pa.bundle_fd = pa.trust_fd = -1;
	pa.roots.fd = pa.roots.host_fd = -1;
	buf_init(&text, 0);
	if (parent_load_policy(&pa, &text) < 0) {
		policy_refused("policy is not valid", &text);
		buf_free(&text);
		return 1;
	}
	buf_free(&text);
	if (parent_files(&pa.conf, &pa.files, &err) < 0 ||
	    parent_setup(&pa, &err) < 0) {
		log_warnx("%s", err.msg);
		return 1;
	}
	self_confine(&self);
	pa.ev = ev_new();
	watch(&pa);
	pcg_watch(&pa);
	for (size_t i = 0; i < nitems(singles); i++)
		proc_init(&pa, &pa.single[singles[i]], singles[i], NULL);
	for (size_t i = 0; i < nitems(singles); i++)
		proc_start(&pa.single[singles[i]]);
	record_start(&pa);
	ev_run(pa.ev);
	was_ready = pa.ready;
	parent_cleanup(&pa);
	return was_ready ? 0 : 1;
}
