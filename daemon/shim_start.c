#include "daemon/shim_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"

#define PROCS_SPARE 64u

static void
add_rule(enum effect e, enum policy_class c, const char *pattern, void *arg)
{
	struct shim_jail *sj = arg;

	/* More than the jail takes is an error there, not here. */
	if (sj->nrules > JAIL_RULES_MAX)
		return;
	if (sj->nrules == sj->cap) {
		sj->cap = sj->cap * 2 + 16;
		sj->rules =
		    xreallocarray(sj->rules, sj->cap, sizeof(*sj->rules));
	}
	sj->rules[sj->nrules++] =
	    (struct jail_rule){ e == EFFECT_ALLOW, c == POLICY_WRITE, pattern };
}

/* What the submitter asked for, then the stubs, which win. */
static char **
make_env(const struct shim_spec *sp)
{
	size_t n = 0, i;
	char **env;

	for (i = 0; sp->job.env[i] != NULL; i++)
		n++;
	for (i = 0; sp->stub_env[i] != NULL; i++)
		n++;
	env = xcalloc(n + 2, sizeof(*env));
	n = 0;
	if (sp->job.tty && sp->job.term[0] != '\0')
		env[n++] = xasprintf("TERM=%s", sp->job.term);
	for (i = 0; sp->job.env[i] != NULL; i++)
		env[n++] = xstrdup(sp->job.env[i]);
	for (i = 0; sp->stub_env[i] != NULL; i++)
		env[n++] = xstrdup(sp->stub_env[i]);
	return env;
}

static enum filter_level
filter_of(enum seccomp_level l)
{
	switch (l) {
	case SECCOMP_LEVEL_DEFAULT:
		return FILTER_DEFAULT;
	case SECCOMP_LEVEL_NESTED:
		return FILTER_NESTED;
	case SECCOMP_LEVEL_STRICT:
		break;
	}
	return FILTER_STRICT;
}

/* One pipe; the job's end belongs to the job, which may open it again. */
static int
make_pipe(int *ours, int *theirs, bool to_job, uid_t uid)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) != 0)
		return -1;
	*ours = p[to_job ? 1 : 0];
	*theirs = p[to_job ? 0 : 1];
	return fd_nonblock(*ours) < 0 || fchown(*theirs, uid, uid) != 0 ? -1
									: 0;
}

int
shim_jail_stdio(struct shim_jail *sj, const struct shim *s,
    struct relay_conf *rc, struct error *err)
{
	struct jail_config *c = &sj->conf;
	uid_t uid = s->spec.host_uid;
	int r = 0;

	if (s->spec.job.tty)
		return 0;
	if (rc->client_fd >= 0) {
		r = make_pipe(&rc->in_fd, &c->stdio[0], true, uid);
	} else {
		c->stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		r = c->stdio[0] < 0 ? -1 : 0;
	}
	if (r == 0)
		r = make_pipe(&rc->out_fd, &c->stdio[1], false, uid);
	if (r == 0)
		r = make_pipe(&rc->err_fd, &c->stdio[2], false, uid);
	return r < 0 ? error_set(err, errno, "stdio") : 0;
}

void
shim_jail_init(struct shim_jail *sj, struct shim *s)
{
	const struct profile_settings *ps = profile_settings(s->profile);
	const struct job_spec *job = &s->spec.job;
	struct jail_config *c = &sj->conf;

	*sj = (struct shim_jail){ .conf = { .image_fd = -1,
				      .home_fd = -1,
				      .stdio = { -1, -1, -1 } } };
	c->host_uid = c->host_gid = s->spec.host_uid;
	c->owner_uid = job->uid;
	c->owner_gid = job->gid;
	c->workspace = job->workspace;
	c->workspace_fd = s->fds[JOB_FD_WORKSPACE];
	c->argv = job->argv;
	c->hostname = s->spec.hostname;
	c->ahead = &s->ahead;
	c->ca_fd = s->fds[JOB_FD_CA];
	c->trust_fd = s->fds[JOB_FD_TRUST];
	c->read_default =
	    profile_default(s->profile, POLICY_READ) == EFFECT_ALLOW;
	c->write_default =
	    profile_default(s->profile, POLICY_WRITE) == EFFECT_ALLOW;
	c->protect = ps->protect;
	c->trees = ps->trees;
	c->ntrees = ps->ntrees;
	c->staged = ps->workspace_staged;
	c->stage_fd = s->fds[JOB_FD_DIR];
	c->stage_size = ps->disk;
	c->stage_inodes = ps->inodes;
	c->workspace_exec = ps->workspace_exec;
	c->tmp_exec = ps->tmp_exec;
	c->memfd_exec = ps->memfd_exec;
	c->filter = filter_of(ps->seccomp);
	c->listen = ps->trace;
	/* The group's limit is the one to be met, and reported. */
	c->procs = s->cgroup.procs ? ps->procs + PROCS_SPARE : ps->procs;
	c->files = ps->files;
	c->memory = s->cgroup.memory ? 0 : ps->memory;
	c->tmp_size = ps->disk;
	c->tmp_inodes = ps->inodes;
	if (s->cgroup.v2 >= 0 || s->cgroup.nv1 > 0) {
		sj->cgroup = (struct jail_cgroup){ s->cgroup.v2, s->cgroup.v1,
			s->cgroup.nv1 };
		c->cgroup = &sj->cgroup;
	}
	c->tty = job->tty;
	c->rows = job->rows;
	c->cols = job->cols;
	profile_path_rules(s->profile, add_rule, sj);
	c->rules = sj->rules;
	c->nrules = sj->nrules;
	sj->env = make_env(&s->spec);
	for (size_t i = 0; s->spec.stub_env[i] != NULL; i++)
		if (str_eq(s->spec.stub_env[i], "SSH_AUTH_SOCK=" P_AGENT_PATH))
			c->agent = true;
	c->env = sj->env;
}

void
shim_jail_done(struct shim_jail *sj)
{
	for (size_t i = 0; i < nitems(sj->conf.stdio); i++)
		fd_close(&sj->conf.stdio[i]);
	fd_close(&sj->conf.image_fd);
	/* The lock of a home goes with its last mount. */
	fd_close(&sj->conf.home_fd);
	jail_env_free(sj->env);
	free(sj->rules);
}
