#include "daemon/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

/*
 * Who talks to whom: the only channels there are.  A per-job process is
 * joined to its own job's others and to the singletons, never to another job.
 */
static const struct edge {
	enum role a, b;
} edges[] = {
	{ ROLE_CONTROL, ROLE_KEYD },
	{ ROLE_CONTROL, ROLE_AUDIT },
	{ ROLE_KEYD, ROLE_AUDIT },
	{ ROLE_SHIM, ROLE_CONTROL },
	{ ROLE_SHIM, ROLE_AUDIT },
	{ ROLE_FRONT, ROLE_BACK },
	{ ROLE_FRONT, ROLE_KEYD },
	{ ROLE_BACK, ROLE_KEYD },
	{ ROLE_BACK, ROLE_DNS },
	{ ROLE_BACK, ROLE_AUDIT },
	{ ROLE_BACK, ROLE_CONTROL },
};

static uint32_t
job_id(const struct proc *p)
{
	return p->job == NULL ? 0 : p->job->id;
}

static void
send_peer(struct proc *to, const struct proc *peer, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)peer->role);
	buf_put_u32(&b, job_id(peer));
	chan_send(to->chan, M_PEER, job_id(peer), 0, &b, fd);
	buf_free(&b);
}

/* a is new. */
static int
join(struct proc *a, struct proc *b)
{
	int fds[2];

	if (a->chan == NULL || b->chan == NULL)
		return 0;
	/* Without the channel both sides fail closed; the next a may get it. */
	if (fd_socketpair(fds) < 0) {
		log_warn("channel between %s and %s", role_name(a->role),
		    role_name(b->role));
		proc_kill(a, "it lacks a channel");
		return -1;
	}
	send_peer(a, b, fds[0]);
	send_peer(b, a, fds[1]);
	return 0;
}

struct joining {
	struct proc *p;
	enum role other;
	bool failed;
};

static void
join_one(struct proc *q, void *arg)
{
	struct joining *jn = arg;

	if (q->role != jn->other || q == jn->p || jn->failed)
		return;
	/* A shim without a job talks to nobody. */
	if (q->role == ROLE_SHIM && q->job == NULL)
		return;
	if (q->job != NULL && jn->p->job != NULL && q->job != jn->p->job)
		return;
	jn->failed = join(jn->p, q) < 0;
}

static void
join_all(struct proc *p)
{
	struct joining jn = { .p = p };

	for (size_t i = 0; i < nitems(edges); i++) {
		if (edges[i].a == p->role)
			jn.other = edges[i].b;
		else if (edges[i].b == p->role)
			jn.other = edges[i].a;
		else
			continue;
		proc_each(p->pa, join_one, &jn);
	}
}

/* A copy of a descriptor that we keep, for a message that consumes it. */
static void
send_fd(struct proc *p, uint16_t type, const struct buf *body, int fd)
{
	int copy;

	if (fd < 0)
		return;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	/* It cannot do without, but its successor may get one. */
	if (copy < 0)
		proc_kill(p, strerror(errno));
	else
		chan_send(p->chan, type, job_id(p), 0, body, copy);
}

struct pairs {
	struct buf b;
	uint32_t n;
};

static void attr_printf(3, 4)
    pair(struct pairs *ps, const char *key, const char *fmt, ...)
{
	char value[P_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(value, sizeof(value), fmt, ap) >= (int)sizeof(value))
		fatalx("configuration value of %s is too long", key);
	va_end(ap);
	buf_put_str(&ps->b, key);
	buf_put_str(&ps->b, value);
	buf_patch_u32(&ps->b, 0, ++ps->n);
}

/* Of the proxy on the way out, for who goes through it and for who keeps its
 * credential. */
static void
put_proxy(struct pairs *ps, const struct conf *c)
{
	if (c->upstream_proxy == NULL)
		return;
	pair(
	    ps, "upstream-proxy", "%u %s", c->upstream_port, c->upstream_proxy);
	if (c->upstream_secret != NULL)
		pair(ps, "upstream-proxy-secret", "%s", c->upstream_secret);
	for (size_t i = 0; i < c->no_proxy.n; i++)
		pair(ps, "no-proxy", "%s", c->no_proxy.v[i]);
}

static void
send_config(struct proc *p)
{
	static const char *const levels[] = {
		[LOG_LEVEL_WARN] = "warn",
		[LOG_LEVEL_INFO] = "info",
		[LOG_LEVEL_DEBUG] = "debug",
	};
	struct parent *pa = p->pa;
	const struct conf *c = &pa->conf;
	struct pairs ps = { .n = 0 };

	buf_init(&ps.b, MSG_BODY_MAX);
	buf_put_u32(&ps.b, 0);
	pair(&ps, "version", "%s", PACKAGE_VERSION);
	pair(&ps, "log-level", "%s",
	    levels[pa->debug ? LOG_LEVEL_DEBUG : c->log_level]);
	pair(&ps, "job-uids", "%u %u", c->job_uid_base, c->job_uid_count);
	pair(&ps, "state-dir", "%s", c->state_dir);
	pair(&ps, "run-dir", "%s", c->run_dir);
	if (p->role == ROLE_CONTROL) {
		if (c->has_admin_gid)
			pair(&ps, "admin-gid", "%u", c->admin_gid);
		pair(&ps, "default-profile", "%s", c->default_profile);
		pair(&ps, "ask-timeout", "%u", c->ask_timeout);
		pair(&ps, "max-jobs", "%u", c->max_jobs);
		pair(&ps, "max-jobs-per-user", "%u",
		    c->max_user_jobs != 0 ? c->max_user_jobs
					  : c->max_jobs - c->max_jobs / 4);
	}
	if (p->role == ROLE_BACK || p->role == ROLE_KEYD)
		put_proxy(&ps, c);
	if (p->role == ROLE_DNS)
		for (size_t i = 0; i < c->resolve.n; i++)
			pair(&ps, "resolve", "%s", c->resolve.v[i]);
	if (p->role == ROLE_BACK)
		for (size_t i = 0; i < c->model_hosts.n; i++)
			pair(&ps, "model-host", "%s", c->model_hosts.v[i]);
	if (p->job != NULL) {
		pair(&ps, "job", "%u", p->job->id);
		pair(&ps, "profile", "%s", p->job->spec.profile);
	}
	if (buf_failed(&ps.b))
		fatalx("configuration does not fit a message");
	chan_send(p->chan, M_CONFIG, job_id(p), 0, &ps.b, -1);
	buf_free(&ps.b);
}

static void
send_policy(struct proc *p)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u32(&b, p->pa->generation);
	send_fd(p, M_POLICY, &b, p->pa->policy_fd);
	buf_free(&b);
}

void
send_keyd_file(struct proc *p, enum keyd_file which, int fd)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	send_fd(p, M_KEYD_OPEN, &b, fd);
	buf_free(&b);
}

static void
send_bundle(struct proc *p)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, JOB_FD_CA);
	send_fd(p, M_SHIM_FD, &b, p->pa->bundle_fd);
	buf_clear(&b);
	buf_put_u8(&b, JOB_FD_TRUST);
	send_fd(p, M_SHIM_FD, &b, p->pa->trust_fd);
	buf_free(&b);
}

static void
send_roots(struct proc *p)
{
	send_fd(p, M_BACK_ROOTS, NULL, p->pa->roots.fd);
	send_fd(p, M_BACK_HOST_ROOTS, NULL, p->pa->roots.host_fd);
}

static bool
wants_policy(enum role role)
{
	return role == ROLE_CONTROL || role == ROLE_KEYD || role == ROLE_BACK ||
	       role == ROLE_SHIM;
}

static void
send_audit_file(struct proc *p)
{
	/*
	 * Reading the name again each time, not keeping one descriptor: after
	 * a rotation the name is another file.
	 */
	struct error err = { 0 };
	int fd = parent_open_audit(p->pa, true, &err);

	if (fd < 0) {
		log_warnx("%s", err.msg);
		return;
	}
	chan_send(p->chan, M_AUDIT_FILE, 0, 0, NULL, fd);
	parent_audit_connect(p->pa);
}

/* Config and files, then policy, then peers, then work: roles rely on it. */
void
wire_child(struct proc *p)
{
	struct parent *pa = p->pa;

	send_config(p);
	switch (p->role) {
	case ROLE_CONTROL:
		send_fd(p, M_LISTEN, NULL, pa->listen_fd);
		break;
	case ROLE_KEYD:
		vault_file_forget(pa);
		send_keyd_file(p, KEYD_VAULT, pa->vault_fd);
		send_keyd_file(p, KEYD_KEY, pa->key_fd);
		break;
	case ROLE_AUDIT:
		send_audit_file(p);
		break;
	case ROLE_BACK:
		send_roots(p);
		break;
	case ROLE_NONE:
	case ROLE_PARENT:
	case ROLE_DNS:
	case ROLE_SHIM:
	case ROLE_FRONT:
	case ROLE_STAGE:
	case ROLE_MAX:
		break;
	}
	if (wants_policy(p->role))
		send_policy(p);
	if (p->role == ROLE_SHIM && p->job == NULL) {
		send_bundle(p);
		chan_send(p->chan, M_SHIM_PREPARE, 0, 0, NULL, -1);
		return;
	}
	join_all(p);
	if (p->role == ROLE_FRONT)
		job_tell_front(p->job);
	/* Started late, because a fork failed: what it needs may be here. */
	if (p->role == ROLE_SHIM)
		job_continue(p->job);
	if (p->role == ROLE_KEYD)
		for (struct job *j = pa->jobs; j != NULL; j = j->next)
			job_tell_keyd(j);
	if (p->role == ROLE_CONTROL) {
		for (struct job *j = pa->jobs; j != NULL; j = j->next)
			job_tell_control(j);
		chan_send(p->chan, M_JOBS_SYNC, 0, 0, NULL, -1);
	}
}

void
wire_adopted(struct proc *p)
{
	send_config(p);
	join_all(p);
}

static void
policy_one(struct proc *p, void *arg)
{
	(void)arg;
	if (p->chan != NULL && wants_policy(p->role))
		send_policy(p);
}

void
wire_policy(struct parent *pa)
{
	proc_each(pa, policy_one, NULL);
}

static void
roots_one(struct proc *p, void *arg)
{
	(void)arg;
	if (p->chan != NULL && p->role == ROLE_BACK)
		send_roots(p);
}

void
wire_roots(struct parent *pa)
{
	proc_each(pa, roots_one, NULL);
}
