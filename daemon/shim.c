/*
 * brig-shim: main, the parent's messages, and the life of the job.
 */
#include "daemon/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/shim_attach.h"
#include "daemon/shim_judge.h"
#include "daemon/shim_relay.h"
#include "daemon/shim_start.h"
#include "sandbox/self.h"

#define SPEC_MAX (8u * 1024 * 1024)
#define HANGUP_MS 5000 /* from SIGHUP to SIGKILL */
#define REAP_MS 10000  /* for the jail to disappear */
#define FLUSH_MS 2000  /* last messages to the parent */

static void finish(struct shim *s);
static const struct relay_ops relay_ops;

/* ---- ends -------------------------------------------------------------- */

/*
 * The job has ended, or never began: first word wins.  What is left of the
 * jail is killed, and the rest follows when its pid 1 has been reaped.
 */
static void attr_printf(4, 5) ended(
    struct shim *s, enum exit_kind kind, uint32_t code, const char *fmt, ...)
{
	va_list ap;

	if (s->ended)
		return;
	s->ended = true;
	s->kind = kind;
	s->code = code;
	va_start(ap, fmt);
	vsnprintf(s->detail, sizeof(s->detail), fmt, ap);
	va_end(ap);
	/* A limit that was met explains more than a bare signal. */
	if (s->detail[0] == '\0' && s->profile != NULL)
		(void)shim_oom_text(s,
		    kind == EXIT_SIGNAL && code == SIGKILL && !s->asked_kill,
		    s->detail, sizeof(s->detail));
	if (kind == EXIT_BRIG)
		log_warnx("job %u: %s", s->spec.job.job, s->detail);
	ev_timer_clear(s->wall);
	ev_timer_clear(s->hangup);
	if (s->judge != NULL)
		judge_refuse_all(s->judge, "brig: denied: the job is ending");
	if (!s->jail_up || s->jail.init_reaped) {
		finish(s);
		return;
	}
	jail_signal(&s->jail, SIGKILL);
	ev_timer_set(s->reap, REAP_MS);
}

static void
on_reap_late(void *arg)
{
	struct shim *s = arg;

	log_warnx("job %u: its jail does not end", s->spec.job.job);
	/* Not waited for by jail_destroy() either. */
	jail_init_reaped(&s->jail);
	finish(s);
}

/* Nothing of the job is left: deliver its last output and its end. */
static void
finish(struct shim *s)
{
	if (s->delivered)
		return;
	s->delivered = true;
	ev_timer_clear(s->reap);
	ev_io_free(s->jail_io);
	s->jail_io = NULL;
	if (s->relay == NULL) {
		struct relay_conf c = { .client_fd =
					    steal_fd(&s->fds[JOB_FD_ATTACH]),
			.uid = s->spec.job.uid,
			.log_fd = -1,
			.timing_fd = -1,
			.in_fd = -1,
			.out_fd = -1,
			.err_fd = -1 };

		s->relay = relay_new(s->ev, &c, &relay_ops, s);
		shim_attach_early(s);
	}
	relay_finish(s->relay, s->kind, s->code, s->detail);
}

static void
on_delivered(void *arg)
{
	struct shim *s = arg;
	struct peer *audit = peers_find(s->peers, ROLE_AUDIT, 0);
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)s->kind);
	buf_put_u32(&b, s->code);
	buf_put_str(&b, s->detail);
	chan_send(
	    peers_parent(s->peers), M_SHIM_EXIT, s->spec.job.job, 0, &b, -1);
	buf_free(&b);
	chan_flush(peers_parent(s->peers), FLUSH_MS);
	if (audit != NULL)
		chan_flush(audit->chan, FLUSH_MS);
	ev_stop(s->ev);
}

static void
on_jail(int fd, unsigned int events, void *arg)
{
	struct shim *s = arg;
	struct jail_event e;

	while (!s->ended && jail_event(&s->jail, &e) == 1)
		switch (e.kind) {
		case JAIL_EXEC_FAILED:
			ended(
			    s, EXIT_BRIG, (uint32_t)e.code, "%s", e.error.msg);
			break;
		case JAIL_EXIT:
			ended(s, e.exit, (uint32_t)e.code, "%s", "");
			break;
		case JAIL_GONE:
			ended(s, EXIT_SIGNAL, SIGKILL, "%s", "");
			break;
		}
	/* The channel may end before the process does. */
	if (s->ended) {
		ev_io_free(s->jail_io);
		s->jail_io = NULL;
	}
}

static void
on_reaped(pid_t pid, int status, void *arg)
{
	struct judge *j = arg;
	struct shim *s = judge_shim(j);

	if (!s->jail_up || pid != s->jail.init_pid || s->jail.init_reaped)
		return;
	/* Its last words may be there, unread. */
	if (!s->ended)
		on_jail(s->jail.ctl_fd, EV_READ, s);
	jail_init_reaped(&s->jail);
	if (s->ended)
		finish(s);
	else
		ended(s, EXIT_SIGNAL, SIGKILL, "%s", "");
}

static const struct trace_ops trace_ops = { judge_exec, judge_unreadable,
	judge_gone, on_reaped };

static void
on_wall(void *arg)
{
	struct shim *s = arg;

	ended(s, EXIT_SIGNAL, SIGKILL, "limit wall: %u s are over",
	    profile_settings(s->profile)->wall_s);
}

static void
on_hangup_late(void *arg)
{
	ended(arg, EXIT_SIGNAL, SIGKILL,
	    "its client went away, and it did not end by itself");
}

static void
job_signal(struct shim *s, int signo)
{
	if (!s->jail_up || s->ended)
		return;
	/* A stopped exec would not see the signal. */
	if (s->judge != NULL && (signo == SIGTERM || signo == SIGHUP ||
				    signo == SIGINT || signo == SIGQUIT))
		judge_refuse_all(
		    s->judge, "brig: denied: the job is being stopped");
	if (signo == SIGKILL)
		s->asked_kill = true;
	if (signo == SIGKILL)
		ended(s, EXIT_SIGNAL, SIGKILL, "%s", "");
	else if (jail_signal(&s->jail, signo) != 0)
		log_warn("job %u: signal %d", s->spec.job.job, signo);
}

/* ---- the client -------------------------------------------------------- */

static void
on_client_signal(int signo, void *arg)
{
	job_signal(arg, signo);
}

void
shim_tell_attended(struct shim *s)
{
	struct peer *p = peers_find(s->peers, ROLE_CONTROL, 0);
	struct buf b;

	if (p == NULL)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, relay_attached(s->relay));
	chan_send(p->chan, M_ATTENDED, s->spec.job.job, 0, &b, -1);
	buf_free(&b);
}

static void
on_client_gone(void *arg)
{
	struct shim *s = arg;

	if (s->ended)
		return;
	job_signal(s, SIGHUP);
	if (!s->ended)
		ev_timer_set(s->hangup, HANGUP_MS);
}

static void
on_attended(void *arg)
{
	shim_tell_attended(arg);
}

static void
on_output_cut(const struct outlog *l, void *arg)
{
	shim_record_cut(arg, l);
}

static void
on_output_end(const struct outlog *l, void *arg)
{
	shim_record_dropped(arg, l);
}

static const struct relay_ops relay_ops = { on_client_signal, on_client_gone,
	on_attended, on_output_cut, on_output_end, on_delivered };

/* ---- start ------------------------------------------------------------- */

/* The jail stands: hand its sockets over and say so. */
static void
announce(struct shim *s, bool traced)
{
	struct chan *parent = peers_parent(s->peers);
	uint32_t job = s->spec.job.job;
	struct buf b;

	for (unsigned int i = 0; i < CAPTURE_MAX; i++) {
		if (s->jail.capture[i] < 0)
			continue;
		buf_init(&b, 0);
		buf_put_u8(&b, (uint8_t)i);
		chan_send(parent, M_CAPTURE, job, 0, &b,
		    steal_fd(&s->jail.capture[i]));
		buf_free(&b);
	}
	buf_init(&b, 0);
	buf_put_u8(&b, JOB_RUNNING);
	buf_put_u32(&b, (uint32_t)s->jail.init_pid);
	buf_put_str(&b, traced ? "enforced" : "advisory: sandbox trace off");
	chan_send(parent, M_SHIM_STATE, job, 0, &b, -1);
	buf_free(&b);
	/* Before privileges go, so that a fault shows where it happened. */
	chan_flush(parent, FLUSH_MS);
}

/* After the jail is built: attach, give up privileges, let go. */
static void
let_go(struct shim *s)
{
	const struct profile_settings *ps = profile_settings(s->profile);
	struct error err = { 0 };
	int seized = 0;

	/*
	 * What the job still runs is a copy of this program, which only a
	 * tracer with privileges on the host may attach to.
	 */
	s->trace = trace_new(s->ev, s->proc_fd, &trace_ops, s->judge);
	if (s->jail.exec_fd >= 0)
		trace_listen(s->trace, s->jail.exec_fd);
	if (ps->trace)
		seized = trace_seize(s->trace, s->jail.job_pid, &err);
	self_confine_shim(s->jail.root_fd, s->spec.host_uid, s->spec.host_uid,
	    s->filter.filter != NULL ? &s->filter : NULL);
	judge_programs(s->judge);
	s->jail_io = ev_io_new(s->ev, s->jail.ctl_fd, EV_READ, on_jail, s);
	if (seized < 0) {
		ended(s, EXIT_BRIG, 125,
		    "exec rules cannot be enforced here: %s (a profile with "
		    "`sandbox trace off` runs without them)",
		    err.msg);
		return;
	}
	if (jail_go(&s->jail, &err) < 0) {
		ended(s, EXIT_BRIG, 125, "%s", err.msg);
		return;
	}
	if (ps->wall_s != 0)
		ev_timer_set(s->wall, (uint64_t)ps->wall_s * 1000);
}

static void
start(struct shim *s)
{
	struct relay_conf rc = { .client_fd = -1,
		.uid = s->spec.job.uid,
		.log_fd = -1,
		.timing_fd = -1,
		.in_fd = -1,
		.out_fd = -1,
		.err_fd = -1,
		.tty = s->spec.job.tty,
		.rows = s->spec.job.rows,
		.cols = s->spec.job.cols };
	struct error err = { 0 };
	struct shim_jail sj;
	int rc_build;

	s->profile = s->policy == NULL
			 ? NULL
			 : policy_profile(s->policy, s->spec.job.profile);
	if (s->profile == NULL) {
		ended(s, EXIT_BRIG, 125, "no profile %s in the policy",
		    s->spec.job.profile);
		return;
	}
	if (s->fds[JOB_FD_ATTACH] >= 0 &&
	    !shim_is_stream_socket(s->fds[JOB_FD_ATTACH])) {
		fd_close(&s->fds[JOB_FD_ATTACH]);
		ended(s, EXIT_BRIG, 125,
		    "the client's descriptor is not a stream socket");
		return;
	}
	rc.client_fd = steal_fd(&s->fds[JOB_FD_ATTACH]);
	rc.log_fd = steal_fd(&s->fds[JOB_FD_LOG]);
	rc.timing_fd = steal_fd(&s->fds[JOB_FD_TIMING]);
	rc.log_limit = profile_settings(s->profile)->output;
	shim_jail_init(&sj, s);
	s->env = jail_env(&sj.conf);
	rc_build = shim_jail_stdio(&sj, s, &rc, &err);
	if (rc_build == 0)
		rc_build = shim_jail_files(&sj, s, &err);
	if (rc_build == 0)
		rc_build = jail_build(&sj.conf, &s->jail, &err);
	shim_jail_done(&sj);
	fd_close(&s->fds[JOB_FD_WORKSPACE]);
	fd_close(&s->fds[JOB_FD_CA]);
	fd_close(&s->fds[JOB_FD_TRUST]);
	fd_close(&s->fds[JOB_FD_DIR]);
	fd_close(&s->fds[JOB_FD_STATE]);
	if (rc_build == 0 && s->spec.job.tty) {
		rc.in_fd = rc.out_fd = steal_fd(&s->jail.pty_fd);
		if (fd_nonblock(rc.out_fd) < 0)
			fatal("terminal");
	}
	s->relay = relay_new(s->ev, &rc, &relay_ops, s);
	shim_attach_early(s);
	shim_tell_attended(s);
	shim_cgroup_entered(s);
	if (rc_build < 0) {
		char why[128];

		if (shim_oom_text(s, true, why, sizeof(why)))
			ended(s, EXIT_BRIG, 125, "%s: too little for a jail",
			    why);
		else
			ended(s, EXIT_BRIG, 125, "%s", err.msg);
		return;
	}
	s->jail_up = true;
	s->judge = judge_new(s, s->env);
	announce(s, profile_settings(s->profile)->trace);
	let_go(s);
}

/* ---- messages of the parent -------------------------------------------- */

static struct shim *
shim_of(void *ctx)
{
	struct peer *p = ctx;

	return p->owner;
}

static int
on_config(struct chan *c, struct msg *m, void *ctx)
{
	uint32_t n = cur_count(&m->body, 1024, 8);

	for (uint32_t i = 0; i < n; i++) {
		cleanup_free char *key = cur_str(&m->body, P_NAME_MAX);
		cleanup_free char *value = cur_str(&m->body, P_TEXT_MAX);

		if (key == NULL || value == NULL)
			return -1;
		if (str_eq(key, "log-level"))
			log_set_level_name(value);
	}
	return cur_end(&m->body);
}

/* The new policy replaces the old one only if the profile is still in it. */
static void
use_policy(struct shim *s, struct policy *p)
{
	const struct profile *pr = NULL;

	if (s->profile != NULL) {
		pr = policy_profile(p, s->spec.job.profile);
		if (pr == NULL) {
			log_warnx("job %u: profile %s is gone from the "
				  "policy; the former rules stay",
			    s->spec.job.job, s->spec.job.profile);
			policy_free(p);
			return;
		}
	}
	policy_free(s->policy);
	s->policy = p;
	s->profile = pr;
	if (s->judge != NULL)
		judge_programs(s->judge);
}

static int
on_policy(struct chan *c, struct msg *m, void *ctx)
{
	uint32_t generation = cur_u32(&m->body);
	struct policy_diags ds = { 0 };
	cleanup_buf struct buf b = { 0 };
	struct policy *p;

	if (cur_end(&m->body) < 0 || !fd_is_sealed(m->fd))
		return -1;
	buf_init(&b, 0);
	if (fd_pread_all(m->fd, &b, POLICY_BUNDLE_MAX) < 0)
		return -1;
	p = policy_bundle_load(buf_head(&b), buf_len(&b), &ds);
	policy_diags_free(&ds);
	/* The parent has loaded the same bytes. */
	if (p == NULL)
		return -1;
	log_debug("policy generation=%u", generation);
	use_policy(shim_of(ctx), p);
	return 0;
}

static int
on_prepare(struct chan *c, struct msg *m, void *ctx)
{
	struct shim *s = shim_of(ctx);
	struct error err = { 0 };

	if (cur_end(&m->body) < 0 || s->started)
		return -1;
	/* The job that comes will try again, and can say what is wrong. */
	if (ahead_make(
		&s->ahead, s->fds[JOB_FD_CA], s->fds[JOB_FD_TRUST], &err) < 0)
		log_debug("%s", err.msg);
	self_prepare_shim(&s->filter);
	/* Its job will come with its own, which may be others. */
	fd_close(&s->fds[JOB_FD_CA]);
	fd_close(&s->fds[JOB_FD_TRUST]);
	return 0;
}

static int
on_fd(struct chan *c, struct msg *m, void *ctx)
{
	struct shim *s = shim_of(ctx);
	uint8_t which = cur_u8(&m->body);

	if (cur_end(&m->body) < 0 || which >= JOB_FD_MAX || s->fds[which] >= 0)
		return -1;
	s->fds[which] = steal_fd(&m->fd);
	return 0;
}

static int
on_start(struct chan *c, struct msg *m, void *ctx)
{
	struct shim *s = shim_of(ctx);
	cleanup_buf struct buf b = { 0 };
	struct cur cur;

	buf_init(&b, 0);
	if (cur_end(&m->body) < 0 || !fd_is_sealed(m->fd) ||
	    fd_pread_all(m->fd, &b, SPEC_MAX) < 0)
		return -1;
	cur_init(&cur, buf_head(&b), buf_len(&b));
	if (shim_spec_get(&cur, &s->spec) < 0 || cur_end(&cur) < 0)
		return -1;
	s->started = true;
	start(s);
	return 0;
}

static int
on_kill(struct chan *c, struct msg *m, void *ctx)
{
	uint8_t signo = cur_u8(&m->body);

	if (cur_end(&m->body) < 0 || signo == 0 || signo >= NSIG)
		return -1;
	job_signal(shim_of(ctx), signo);
	return 0;
}

static int
on_stop(struct chan *c, struct msg *m, void *ctx)
{
	struct shim *s = shim_of(ctx);

	if (cur_end(&m->body) < 0)
		return -1;
	if (s->started)
		ended(s, EXIT_SIGNAL, SIGKILL, "brigd is stopping");
	else
		ev_stop(s->ev);
	return 0;
}

static const struct msg_rule from_parent[] = {
	{ M_CONFIG, MSG_ALLOWED, on_config },
	{ M_POLICY, MSG_ALLOWED | MSG_FD, on_policy },
	{ M_SHIM_PREPARE, MSG_ALLOWED | MSG_ONCE, on_prepare },
	{ M_SHIM_FD, MSG_ALLOWED | MSG_FD, on_fd },
	{ M_SHIM_CGROUP, MSG_ALLOWED | MSG_FD, shim_on_cgroup },
	{ M_SHIM_START, MSG_ALLOWED | MSG_ONCE | MSG_FD, on_start },
	{ M_SHIM_KILL, MSG_ALLOWED, on_kill },
	{ M_SHIM_ATTACH, MSG_ALLOWED | MSG_FD, shim_on_attach },
	{ M_STOP, MSG_ALLOWED, on_stop },
};

static const struct peer_def peer_defs[] = {
	{ ROLE_CONTROL, judge_from_control, nitems(judge_from_control),
	    judge_control_up, judge_control_down },
	{ ROLE_AUDIT, judge_from_audit, nitems(judge_from_audit), NULL,
	    judge_audit_down },
};

int
main(void)
{
	static const struct self_conf conf = { ROLE_SHIM, 0, 0, NULL };
	struct shim s = { .proc_fd = -1, .root_hold = -1 };

	log_init("brig-shim", LOG_LEVEL_INFO);
	/* For ps(1): run by descriptor, older kernels name it after that. */
	(void)prctl(PR_SET_NAME, "brig-shim");
	self_confine(&conf);
	/* A job that closes its standard input is no reason to die. */
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		fatal("signal");
	for (size_t i = 0; i < JOB_FD_MAX; i++)
		s.fds[i] = -1;
	shim_cgroup_init(&s);
	jail_init(&s.jail);
	ahead_init(&s.ahead);
	s.proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s.proc_fd < 0)
		fatal("/proc");
	s.ev = ev_new();
	s.wall = ev_timer_new(s.ev, on_wall, &s);
	s.hangup = ev_timer_new(s.ev, on_hangup_late, &s);
	s.reap = ev_timer_new(s.ev, on_reap_late, &s);
	s.peers = peers_new(s.ev, PARENT_FD, from_parent, nitems(from_parent),
	    peer_defs, nitems(peer_defs), &s);
	peers_ready(s.peers);
	ev_run(s.ev);
	/* The process ends: its memory and descriptors go with it. */
	jail_destroy(&s.jail);
	return 0;
}
