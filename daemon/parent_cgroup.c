#include "daemon/parent_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/parent.h"
#include "policy/policy.h"
#include "sandbox/cgroup.h"

#define FOLDERS "cgroups" /* in state-dir: where our groups are */
#define FOLDERS_MAX 65536u
#define EVENTS_SIZE 4096u
#define SETTLE_MS 100u /* from an event to reading: one count for many */

struct job_cgroup {
	struct cgroup *g; /* NULL: this job has none */
	struct cgroup_limits limits;
	unsigned int held; /* bit per enum cgroup_ctl */
	char lacking[160]; /* limits that are not held in full, and why */
	int wd[2];
	int oom_fd, event;
	struct ev_io *event_io;
	struct ev_timer *settle;
	uint64_t ooms, refused; /* on record */
	bool paused;
};

/* ---- our own ------------------------------------------------------------ */

int
pcg_probe(const struct conf *c, struct error *err)
{
	struct cgroup_host h;

	if (c->cgroups == CONF_CGROUPS_OFF)
		return 0;
	if (cgroup_host_read(&h, c->cgroup_parent, err) < 0)
		return -1;
	for (unsigned int i = 0; i < CGROUP_CTLS; i++)
		if (c->cgroups == CONF_CGROUPS_REQUIRED && i != CGROUP_IO &&
		    h.at[i].version == 0)
			return error_set(err, 0,
			    "cgroups required: this host offers no \"%s\": "
			    "mount it, or set \"cgroups auto\"",
			    cgroup_ctl_name((enum cgroup_ctl)i));
	if (c->cgroups == CONF_CGROUPS_OPTIONAL || geteuid() != 0)
		return 0;
	return cgroup_host_writable(&h, err);
}

/* Only root writes there: what it says is where we made groups. */
static void
sweep_former(struct parent *pa)
{
	cleanup_fd int fd =
	    openat(pa->state_fd, FOLDERS, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_buf struct buf b = { 0 };
	cleanup_free char *text = NULL;
	char *next, *line;

	buf_init(&b, 0);
	if (fd < 0 || fd_read_all(fd, &b, FOLDERS_MAX) < 0)
		return;
	buf_put_u8(&b, '\0');
	next = text = xstrdup((const char *)buf_head(&b));
	while ((line = strsep(&next, "\n")) != NULL)
		if (line[0] == '/')
			cgroups_sweep(line);
}

static void
note_folder(const char *dir, void *arg)
{
	buf_printf(arg, "%s\n", dir);
}

static int
note_folders(struct parent *pa, struct error *err)
{
	cleanup_buf struct buf b = { 0 };
	cleanup_fd int fd = -1;

	buf_init(&b, 0);
	cgroups_each(pa->cgroups, note_folder, &b);
	fd = openat(pa->state_fd, FOLDERS,
	    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || fd_write_all(fd, buf_head(&b), buf_len(&b)) < 0)
		return error_set(
		    err, errno, "write %s/%s", pa->conf.state_dir, FOLDERS);
	return 0;
}

int
pcg_open(struct parent *pa, struct error *err)
{
	const struct conf *c = &pa->conf;
	struct cgroup_host h;
	char text[128], name[CGROUP_NAME_MAX];
	struct stat st;

	pa->cgroup_watch = -1;
	sweep_former(pa);
	if (c->cgroups == CONF_CGROUPS_OFF)
		return 0;
	if (pcg_probe(c, err) < 0 ||
	    cgroup_host_read(&h, c->cgroup_parent, err) < 0)
		return -1;
	/* The state-dir is locked: nobody else has this name. */
	if (fstat(pa->state_fd, &st) < 0)
		return error_set(err, errno, "stat %s", c->state_dir);
	(void)snprintf(name, sizeof(name), "brig-%llx-%llx",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	pa->cgroups = cgroups_open(&h, name, err);
	if (pa->cgroups == NULL) {
		if (c->cgroups != CONF_CGROUPS_OPTIONAL)
			return -1;
		log_warnx("limits are per process: %s", err->msg);
		return 0;
	}
	cgroup_host_text(&h, text, sizeof(text));
	log_debug("cgroups: %s", text);
	return note_folders(pa, err);
}

void
pcg_close(struct parent *pa)
{
	if (pa->watch_io != NULL)
		ev_io_free(pa->watch_io);
	pa->watch_io = NULL;
	fd_close(&pa->cgroup_watch);
	cgroups_close(pa->cgroups);
	pa->cgroups = NULL;
}

/* ---- counts -------------------------------------------------------------- */

static void
record(struct job *j, const char *code, const char *type, const char *limit,
    uint64_t n, uint64_t value)
{
	struct audit_ev e;

	audit_ev_init(&e, code, type, 3, false);
	audit_ev_u64(&e, "obj.count", n);
	audit_ev_u64(&e, limit, value);
	parent_audit(j->pa, j->id, &e);
}

static void
look(struct job *j)
{
	struct job_cgroup *cg = j->cgroup;
	uint64_t ooms = cgroup_oom_read(cg->oom_fd);
	uint64_t refused = cgroup_pids_refused(cg->g);

	if (ooms > cg->ooms) {
		record(j, "JB301", "job.oom", "obj.limit_memory", ooms,
		    cg->limits.memory);
		log_info("job %u: out of memory, %llu killed", j->id,
		    (unsigned long long)ooms);
	}
	/* A fork bomb would fill the log: once is enough. */
	if (refused > 0 && cg->refused == 0)
		record(j, "JB302", "job.procs", "obj.limit_procs", refused,
		    cg->limits.procs);
	if (ooms == cg->ooms && refused == cg->refused)
		return;
	cg->ooms = ooms;
	cg->refused = refused;
	pcg_job_tell(j);
}

static void
on_settled(void *arg)
{
	look(arg);
}

static void
on_event(int fd, unsigned int events, void *arg)
{
	struct job *j = arg;
	uint64_t n;

	(void)events;
	(void)!read(fd, &n, sizeof(n));
	ev_timer_set(j->cgroup->settle, SETTLE_MS);
}

static void
on_notify(int fd, unsigned int events, void *arg)
{
	struct parent *pa = arg;
	_Alignas(struct inotify_event) char buf[EVENTS_SIZE];
	struct inotify_event e;
	ssize_t n;

	(void)events;
	n = read(fd, buf, sizeof(buf));
	for (ssize_t at = 0; n > 0 && at + (ssize_t)sizeof(e) <= n;
	     at += (ssize_t)(sizeof(e) + e.len)) {
		memcpy(&e, buf + at, sizeof(e));
		for (struct job *j = pa->jobs; j != NULL; j = j->next)
			if ((e.mask & IN_MODIFY) && j->cgroup != NULL &&
			    (j->cgroup->wd[0] == e.wd ||
				j->cgroup->wd[1] == e.wd))
				ev_timer_set(j->cgroup->settle, SETTLE_MS);
	}
}

void
pcg_watch(struct parent *pa)
{
	if (pa->cgroups == NULL)
		return;
	pa->cgroup_watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* Counts are read at the end of a job all the same. */
	if (pa->cgroup_watch < 0)
		log_warn("inotify");
	else
		pa->watch_io =
		    ev_io_new(pa->ev, pa->cgroup_watch, EV_READ, on_notify, pa);
}

/* ---- one job ------------------------------------------------------------- */

static const struct profile_settings *
settings(const struct parent *pa, const char *profile)
{
	const struct profile *pr =
	    pa->policy == NULL ? NULL : policy_profile(pa->policy, profile);

	return pr == NULL ? NULL : profile_settings(pr);
}

static void
limits_of(const struct profile_settings *ps, struct cgroup_limits *l)
{
	*l = (struct cgroup_limits){ .memory = ps->memory,
		.swap = ps->swap,
		.procs = ps->procs,
		.cpu_percent = ps->cpu_percent,
		.cpu_weight = ps->cpu_weight,
		.io = ps->io };
}

static void
add_device(struct cgroup_limits *l, int fd)
{
	size_t i = 0;
	dev_t dev;

	if (fd < 0 || cgroup_device(fd, &dev) != 1)
		return;
	while (
	    i < nitems(l->io_dev) && l->io_dev[i] != 0 && l->io_dev[i] != dev)
		i++;
	if (i < nitems(l->io_dev))
		l->io_dev[i] = dev;
}

/* What a job reads and writes: programs, its workspace and what is staged. */
static void
add_devices(const struct parent *pa, struct cgroup_limits *l, int workspace_fd)
{
	cleanup_fd int usr = -1;

	if (l->io == 0)
		return;
	usr = open("/usr", O_PATH | O_CLOEXEC);
	add_device(l, pa->state_fd);
	add_device(l, workspace_fd);
	add_device(l, usr);
}

static bool
may_lack(const struct parent *pa)
{
	return pa->conf.cgroups == CONF_CGROUPS_OPTIONAL ||
	       pa->conf.cgroups == CONF_CGROUPS_OFF;
}

int
pcg_check(
    struct parent *pa, const char *profile, int workspace_fd, struct error *err)
{
	const struct profile_settings *ps = settings(pa, profile);
	struct cgroup_limits l;

	/* The shim says what is wrong with the profile. */
	if (ps == NULL || may_lack(pa))
		return 0;
	limits_of(ps, &l);
	add_devices(pa, &l, workspace_fd);
	return cgroups_check(pa->cgroups, &l, err);
}

int
pcg_job_open(struct job *j, struct error *err)
{
	struct parent *pa = j->pa;
	const struct profile_settings *ps = settings(pa, j->spec.profile);
	struct job_cgroup *cg = xcalloc(1, sizeof(*cg));
	struct error why = { 0 };
	char name[24];

	cg->wd[0] = cg->wd[1] = cg->oom_fd = cg->event = -1;
	j->cgroup = cg;
	cg->settle = ev_timer_new(pa->ev, on_settled, j);
	if (ps != NULL)
		limits_of(ps, &cg->limits);
	add_devices(pa, &cg->limits, j->workspace_fd);
	if (cgroups_check(pa->cgroups, &cg->limits, &why) < 0)
		strlcpy(cg->lacking, why.msg, sizeof(cg->lacking));
	else
		strlcpy(cg->lacking, cgroups_note(pa->cgroups, &cg->limits),
		    sizeof(cg->lacking));
	if (pa->cgroups == NULL)
		return 0;
	(void)snprintf(name, sizeof(name), "j-%u", j->id);
	cg->g = cgroup_new(pa->cgroups, name, &cg->limits, err);
	if (cg->g == NULL)
		return -1;
	cg->held = cgroups_held(pa->cgroups, &cg->limits);
	if (cg->held & (1u << CGROUP_MEMORY))
		cg->oom_fd = cgroup_oom_open(cg->g);
	if (pa->cgroup_watch >= 0)
		cgroup_watch(cg->g, pa->cgroup_watch, cg->wd, &cg->event);
	if (cg->event >= 0)
		cg->event_io =
		    ev_io_new(pa->ev, cg->event, EV_READ, on_event, j);
	return 0;
}

static void
send_fd(struct job *j, enum cgroup_fd which, int fd)
{
	struct buf b;

	if (fd < 0)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	buf_put_u8(&b, (j->cgroup->held & (1u << CGROUP_MEMORY)) != 0);
	buf_put_u8(&b, (j->cgroup->held & (1u << CGROUP_PIDS)) != 0);
	chan_send(j->shim.chan, M_SHIM_CGROUP, j->id, 0, &b, fd);
	buf_free(&b);
}

void
pcg_job_wire(struct job *j)
{
	struct job_cgroup *cg = j->cgroup;
	int v1[CGROUP_ENTRY_MAX], v2, n;
	struct error err = { 0 };

	if (cg == NULL || cg->g == NULL)
		return;
	n = cgroup_entry(cg->g, &v2, v1, nitems(v1), &err);
	if (n < 0) {
		job_fail(j, JOB_FAILED, "%s", err.msg);
		return;
	}
	send_fd(j, CGROUP_FD_V2, v2);
	for (int i = 0; i < n; i++)
		send_fd(j, CGROUP_FD_V1, v1[i]);
	if (cg->oom_fd >= 0)
		send_fd(
		    j, CGROUP_FD_OOM, fcntl(cg->oom_fd, F_DUPFD_CLOEXEC, 0));
}

void
pcg_job_kill(struct job *j)
{
	if (j->cgroup != NULL && j->cgroup->g != NULL)
		cgroup_kill(j->cgroup->g);
}

/* Files of a group that goes take their watches along on v2 only. */
static void
unwatch(struct job *j)
{
	for (size_t i = 0; i < nitems(j->cgroup->wd); i++) {
		if (j->cgroup->wd[i] >= 0)
			(void)inotify_rm_watch(
			    j->pa->cgroup_watch, j->cgroup->wd[i]);
		j->cgroup->wd[i] = -1;
	}
}

bool
pcg_job_close(struct job *j)
{
	struct job_cgroup *cg = j->cgroup;

	if (cg == NULL)
		return true;
	if (cg->g != NULL) {
		look(j);
		unwatch(j);
		if (!cgroup_remove(cg->g)) {
			cgroup_kill(cg->g);
			return false;
		}
		cg->g = NULL;
	}
	if (cg->event_io != NULL)
		ev_io_free(cg->event_io);
	ev_timer_free(cg->settle);
	fd_close(&cg->event);
	fd_close(&cg->oom_fd);
	free(cg);
	j->cgroup = NULL;
	return true;
}

int
pcg_job_freeze(struct job *j, bool on, struct error *err)
{
	struct job_cgroup *cg = j->cgroup;

	if (cg != NULL && !on && !cg->paused)
		return 0;
	if (cg == NULL || cg->g == NULL)
		return error_set(err, 0,
		    "jobs cannot be paused: cgroups are not in use here");
	if (cgroup_freeze(cg->g, on, err) < 0)
		return -1;
	cg->paused = on;
	pcg_job_tell(j);
	return 0;
}

void
pcg_job_tell(struct job *j)
{
	struct proc *ctl = &j->pa->single[ROLE_CONTROL];
	const struct job_cgroup *cg = j->cgroup;
	struct buf b;

	if (cg == NULL || ctl->chan == NULL)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, cg->paused);
	buf_put_u64(&b, cg->ooms);
	buf_put_u64(&b, cg->refused);
	buf_put_str(&b, cg->lacking);
	chan_send(ctl->chan, M_JOB_CGROUP, j->id, 0, &b, -1);
	buf_free(&b);
}
