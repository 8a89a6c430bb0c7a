#include "daemon/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/parent_cgroup.h"
#include "daemon/proc.h"
#include "policy/policy.h"

#define SPEC_MAX (4u * 1024 * 1024)

/*
 * front and back are started this long after the job began to run: earlier
 * they would compete with the building of its jail, and a job that ends sooner
 * never needs them.  What it asks for until they are up waits in the capture
 * sockets.  The shim of the next job is started then, too, or when this one
 * has ended.
 */
#define PROXY_START_MS 10u
#define JAIL_GONE_MS 20u     /* between looks at a jail that is ending */
#define CONTROL_WAIT_MS 100u /* and for a control that is starting */

static void on_job_timer(void *arg);
static void job_settle(struct job *j);

struct job *
job_find(struct parent *pa, uint32_t id)
{
	for (struct job *j = pa->jobs; j != NULL; j = j->next)
		if (j->id == id)
			return j;
	return NULL;
}

/* ---- descriptors that come before the job ------------------------------ */

static struct job_fds *
pending_find(struct parent *pa, uint32_t id)
{
	for (size_t i = 0; i < JOB_FDS_PENDING; i++)
		if (pa->pending[i].job == id)
			return &pa->pending[i];
	return NULL;
}

void
job_collect_fd(struct parent *pa, uint32_t id, unsigned int which, int fd)
{
	struct job_fds *f = pending_find(pa, id);

	if (f == NULL && (f = pending_find(pa, 0)) != NULL) {
		f->job = id;
		for (unsigned int i = 0; i < JOB_FD_MAX; i++)
			f->fd[i] = -1;
	}
	/* control starts each job at once: only its fault fills the table. */
	if (f == NULL || f->fd[which] >= 0) {
		log_warnx("descriptor of job %u dropped", id);
		close(fd);
		return;
	}
	f->fd[which] = fd;
}

static void
pending_take(struct parent *pa, uint32_t id, int *workspace, int *attach)
{
	struct job_fds *f = pending_find(pa, id);

	*workspace = *attach = -1;
	if (f == NULL)
		return;
	*workspace = f->fd[JOB_FD_WORKSPACE];
	*attach = f->fd[JOB_FD_ATTACH];
	f->job = 0;
}

/* ---- start ------------------------------------------------------------- */

static int
read_spec(int fd, uint32_t id, struct job_spec *s)
{
	cleanup_buf struct buf b = { 0 };
	struct cur c;

	if (!fd_is_sealed(fd) || fd_pread_all(fd, &b, SPEC_MAX) < 0)
		return -1;
	cur_init(&c, buf_head(&b), buf_len(&b));
	if (job_spec_get(&c, s) < 0)
		return -1;
	if (cur_end(&c) < 0 || s->job != id) {
		job_spec_free(s);
		return -1;
	}
	return 0;
}

/* Answer for a job that never came to be. */
static void
refuse(struct parent *pa, uint32_t id, const char *why)
{
	struct proc *ctl = &pa->single[ROLE_CONTROL];
	struct buf b;

	log_warnx("job %u: %s", id, why);
	if (ctl->chan == NULL)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, JOB_FAILED);
	buf_put_u32(&b, 0);
	buf_put_u32(&b, 0);
	buf_put_u8(&b, EXIT_BRIG);
	buf_put_u32(&b, 125);
	buf_put_str(&b, why);
	chan_send(ctl->chan, M_JOB_STATE, id, 0, &b, -1);
	buf_free(&b);
}

static struct job *
job_new(struct parent *pa, uint32_t id, struct job_spec *spec)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->pa = pa;
	j->id = id;
	j->spec = *spec;
	memset(spec, 0, sizeof(*spec));
	j->state = JOB_STARTING;
	j->workspace_fd = j->attach_fd = j->log_fd = j->timing_fd = -1;
	j->scan_fd = -1;
	j->init_pidfd = -1;
	for (unsigned int i = 0; i < CAPTURE_MAX; i++)
		j->capture[i] = -1;
	proc_init(pa, &j->shim, ROLE_SHIM, j);
	proc_init(pa, &j->front, ROLE_FRONT, j);
	proc_init(pa, &j->back, ROLE_BACK, j);
	j->timer = ev_timer_new(pa->ev, on_job_timer, j);
	j->next = pa->jobs;
	pa->jobs = j;
	pa->njobs++;
	return j;
}

void
job_start(struct parent *pa, uint32_t id, int spec_fd)
{
	cleanup_fd int workspace = -1, attach = -1, log = -1, timing = -1;
	struct job_spec spec = { 0 };
	struct error err = { 0 };
	struct job *j;
	uid_t uid;

	pending_take(pa, id, &workspace, &attach);
	if (pa->stopping) {
		refuse(pa, id, "brigd is stopping");
		return;
	}
	if (job_find(pa, id) != NULL)
		return;
	if (read_spec(spec_fd, id, &spec) < 0) {
		refuse(pa, id, "job description is not valid");
		return;
	}
	if (parent_files_left(&err) < 0 ||
	    pcg_check(pa, spec.profile, workspace, &err) < 0 ||
	    (uid = uid_take(pa, &err)) == 0) {
		refuse(pa, id, err.msg);
		job_spec_free(&spec);
		return;
	}
	log = parent_open_log(pa, id, JOB_LOG_OUTPUT, true, &err);
	timing = parent_open_log(pa, id, JOB_LOG_TIMING, true, &err);
	if (log < 0 || timing < 0) {
		refuse(pa, id, err.msg);
		job_spec_free(&spec);
		return;
	}
	j = job_new(pa, id, &spec);
	j->host_uid = uid;
	if (workspace >= 0)
		j->scan_fd = fcntl(workspace, F_DUPFD_CLOEXEC, 0);
	j->workspace_fd = steal_fd(&workspace);
	j->attach_fd = steal_fd(&attach);
	j->log_fd = steal_fd(&log);
	j->timing_fd = steal_fd(&timing);
	if (getrandom(j->nonce, sizeof(j->nonce), 0) !=
	    (ssize_t)sizeof(j->nonce))
		fatal("getrandom");
	ev_timer_set(j->timer, JOB_START_MS);
	job_tell_keyd(j);
	if (!spare_take(pa, j))
		proc_start(&j->shim);
	/* While the shim and keyd are busy. */
	if (pcg_job_open(j, &err) < 0) {
		job_fail(j, JOB_FAILED, "%s", err.msg);
		return;
	}
	job_tell_control(j);
	job_continue(j);
}

static void
shim_fd(struct job *j, enum job_fd which, int *fd)
{
	struct buf b;

	if (*fd < 0)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	chan_send(j->shim.chan, M_SHIM_FD, j->id, 0, &b, steal_fd(fd));
	buf_free(&b);
}

/* What the profile has the shim keep or look up in state-dir. */
static int
open_state(const struct job *j)
{
	const struct policy *p = j->pa->policy;
	const struct profile *pr =
	    p == NULL ? NULL : policy_profile(p, j->spec.profile);
	const struct profile_settings *ps =
	    pr == NULL ? NULL : profile_settings(pr);

	return ps != NULL && (ps->home_keep != NULL || ps->root != NULL)
		   ? parent_open_state(j->pa)
		   : -1;
}

/* When stubs, CA bundle and shim are all there, the shim may build. */
void
job_continue(struct job *j)
{
	struct parent *pa = j->pa;
	cleanup_buf struct buf b = { 0 };
	struct shim_spec s = { 0 };
	char hostname[32];
	int ca, trust, dir, state, fd;

	if (j->shim_started || j->ending || j->stub_env == NULL ||
	    pa->bundle_fd < 0 || j->shim.chan == NULL)
		return;
	snprintf(hostname, sizeof(hostname), "brig-j-%u", j->id);
	s.job = j->spec; /* borrowed: s is not freed */
	s.host_uid = j->host_uid;
	s.hostname = hostname;
	s.stub_env = j->stub_env;
	if (shim_spec_put(&b, &s) < 0 ||
	    (fd = fd_memfd("brig-shim-spec", buf_head(&b), buf_len(&b))) < 0) {
		job_fail(j, JOB_FAILED, "cannot describe the job to its shim");
		return;
	}
	ca = fcntl(pa->bundle_fd, F_DUPFD_CLOEXEC, 0);
	trust = fcntl(pa->trust_fd, F_DUPFD_CLOEXEC, 0);
	if (ca < 0 || trust < 0) {
		close(fd);
		fd_close(&ca);
		fd_close(&trust);
		job_fail(j, JOB_FAILED, "CA bundle: %s", strerror(errno));
		return;
	}
	dir = parent_open_job_dir(pa, j->id);
	state = open_state(j);
	shim_fd(j, JOB_FD_WORKSPACE, &j->workspace_fd);
	shim_fd(j, JOB_FD_ATTACH, &j->attach_fd);
	shim_fd(j, JOB_FD_LOG, &j->log_fd);
	shim_fd(j, JOB_FD_TIMING, &j->timing_fd);
	shim_fd(j, JOB_FD_CA, &ca);
	shim_fd(j, JOB_FD_TRUST, &trust);
	shim_fd(j, JOB_FD_DIR, &dir);
	shim_fd(j, JOB_FD_STATE, &state);
	pcg_job_wire(j);
	if (j->ending) {
		close(fd);
		return;
	}
	chan_send(j->shim.chan, M_SHIM_START, j->id, 0, NULL, fd);
	j->shim_started = true;
}

void
job_stubs(struct job *j, char **env)
{
	/* After a restart keyd tells again what the job already has. */
	if (j->stub_env != NULL) {
		for (size_t i = 0; env[i] != NULL; i++)
			free(env[i]);
		free(env);
		return;
	}
	j->stub_env = env;
	job_continue(j);
}

/* ---- what others are told ---------------------------------------------- */

void
job_tell_control(struct job *j)
{
	struct proc *ctl = &j->pa->single[ROLE_CONTROL];
	struct buf b;

	if (ctl->chan == NULL)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)j->state);
	buf_put_u32(&b, j->host_uid);
	buf_put_u32(&b, (uint32_t)j->init_pid);
	buf_put_u8(&b, j->exit_kind);
	buf_put_u32(&b, j->exit_code);
	buf_put_str(&b, j->detail);
	chan_send(ctl->chan, M_JOB_STATE, j->id, 0, &b, -1);
	buf_free(&b);
	if (j->cgroup != NULL && !j->ending)
		pcg_job_tell(j);
}

void
job_tell_keyd(struct job *j)
{
	struct proc *keyd = &j->pa->single[ROLE_KEYD];
	struct buf b;

	if (keyd->chan == NULL || j->ending)
		return;
	buf_init(&b, 0);
	buf_put(&b, j->nonce, sizeof(j->nonce));
	buf_put_str(&b, j->spec.profile);
	chan_send(keyd->chan, M_JOB_OPEN, j->id, 0, &b, -1);
	buf_free(&b);
}

static void
send_capture(struct job *j, unsigned int which)
{
	struct buf b;
	int fd;

	if (j->capture[which] < 0 || j->front.chan == NULL)
		return;
	fd = fcntl(j->capture[which], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		log_warn("job %u: capture socket", j->id);
		return;
	}
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	chan_send(j->front.chan, M_FRONT_FD, j->id, 0, &b, fd);
	buf_free(&b);
}

void
job_tell_front(struct job *j)
{
	for (unsigned int i = 0; i < CAPTURE_MAX; i++)
		send_capture(j, i);
}

void
job_captured(struct job *j, unsigned int which, int fd)
{
	fd_close(&j->capture[which]);
	j->capture[which] = fd;
	send_capture(j, which);
}

/* ---- life and end ------------------------------------------------------ */

void
job_preparing(struct job *j, const char *what)
{
	if (j->ending || j->state != JOB_STARTING)
		return;
	j->preparing = what[0] != '\0';
	strlcpy(j->detail, what, sizeof(j->detail));
	ev_timer_set(j->timer, j->preparing ? JOB_PREPARE_MS : JOB_START_MS);
	job_tell_control(j);
}

void
job_running(struct job *j, pid_t init_pid, const char *detail)
{
	struct proc_status st;

	if (j->ending)
		return;
	/*
	 * Hold the jail's first process by descriptor, so that it can be
	 * ended even when the shim is gone and its pid is another's.
	 */
	if (j->init_pidfd < 0 && init_pid > 1) {
		j->init_pidfd = pidfd_open(init_pid, 0);
		if (j->init_pidfd >= 0 &&
		    (proc_status_read(init_pid, &st) < 0 ||
			st.uid != j->host_uid))
			fd_close(&j->init_pidfd);
	}
	j->init_pid = init_pid;
	j->preparing = false;
	j->state = JOB_RUNNING;
	strlcpy(j->detail, detail, sizeof(j->detail));
	ev_timer_set(j->timer, PROXY_START_MS);
	job_tell_control(j);
}

/* From here on only processes are waited for. */
static void
job_end(struct job *j, bool shim_now)
{
	struct parent *pa = j->pa;

	if (j->ending)
		return;
	j->ending = true;
	/* Stubs die first: nothing that lingers can use them. */
	if (pa->single[ROLE_KEYD].chan != NULL)
		chan_send(pa->single[ROLE_KEYD].chan, M_JOB_CLOSE, j->id, 0,
		    NULL, -1);
	proc_end(&j->front, false);
	proc_end(&j->back, false);
	j->shim.no_restart = true;
	if (shim_now)
		proc_end(&j->shim, true);
	if (j->init_pidfd >= 0 && shim_now)
		pidfd_send_signal(j->init_pidfd, SIGKILL, NULL, 0);
	if (shim_now)
		pcg_job_kill(j);
	spare_start(pa);
	ev_timer_set(j->timer, JOB_END_GRACE_MS);
}

void
job_exited(struct job *j, uint8_t kind, uint32_t code, const char *detail)
{
	if (j->ending)
		return;
	j->exit_kind = kind;
	j->exit_code = code;
	strlcpy(j->detail, detail, sizeof(j->detail));
	if (kind == EXIT_BRIG)
		j->state = JOB_FAILED;
	/* With a word on why: by its shim, not by a signal of its own. */
	else if (kind == EXIT_SIGNAL && (j->killed || detail[0] != '\0'))
		j->state = JOB_KILLED;
	else
		j->state = JOB_DONE;
	job_end(j, false);
}

void
job_fail(struct job *j, enum job_state state, const char *fmt, ...)
{
	va_list ap;

	if (j->ending)
		return;
	va_start(ap, fmt);
	vsnprintf(j->detail, sizeof(j->detail), fmt, ap);
	va_end(ap);
	log_warnx("job %u: %s", j->id, j->detail);
	j->state = state;
	j->exit_kind = EXIT_BRIG;
	j->exit_code = 125;
	job_end(j, true);
}

void
job_kill(struct job *j, unsigned int signo)
{
	struct buf b;

	if (j->ending)
		return;
	j->killed = true;
	if (j->shim.chan == NULL || !j->shim_started || j->preparing) {
		job_fail(j, JOB_KILLED, "killed before it ran");
		return;
	}
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)signo);
	chan_send(j->shim.chan, M_SHIM_KILL, j->id, 0, &b, -1);
	buf_free(&b);
	/* Frozen it would not see the signal (v1: not even SIGKILL). */
	(void)pcg_job_freeze(j, false, NULL);
}

static void
on_job_timer(void *arg)
{
	struct job *j = arg;

	if (!j->ending && j->state == JOB_RUNNING) {
		spare_start(j->pa);
		proc_start(&j->back);
		proc_start(&j->front);
		return;
	}
	if (!j->ending) {
		const char *what = j->stub_env == NULL
				       ? "the key process did not answer"
				       : "the jail did not come up";

		if (j->preparing)
			job_fail(j, JOB_FAILED,
			    "its root was not unpacked within %u minutes",
			    JOB_PREPARE_MS / 60000);
		else
			job_fail(j, JOB_FAILED, "%s within %u seconds", what,
			    JOB_START_MS / 1000);
		return;
	}
	proc_end(&j->shim, true);
	proc_end(&j->front, true);
	proc_end(&j->back, true);
	job_settle(j);
}

static void
job_free(struct job *j)
{
	struct job **pp = &j->pa->jobs;

	while (*pp != j)
		pp = &(*pp)->next;
	*pp = j->next;
	j->pa->njobs--;
	proc_clear(&j->shim);
	proc_clear(&j->front);
	proc_clear(&j->back);
	ev_timer_free(j->timer);
	fd_close(&j->workspace_fd);
	fd_close(&j->attach_fd);
	fd_close(&j->log_fd);
	fd_close(&j->scan_fd);
	fd_close(&j->timing_fd);
	fd_close(&j->init_pidfd);
	for (unsigned int i = 0; i < CAPTURE_MAX; i++)
		fd_close(&j->capture[i]);
	for (size_t i = 0; j->stub_env != NULL && j->stub_env[i] != NULL; i++)
		free(j->stub_env[i]);
	free(j->stub_env);
	job_spec_free(&j->spec);
	/* Watchers of this round may still name it. */
	ev_defer(j->pa->ev, free, j);
}

/* The jail's first process takes all others of its pid namespace with it. */
static bool
jail_is_gone(const struct job *j)
{
	struct pollfd p = { .fd = j->init_pidfd, .events = POLLIN };

	if (j->init_pidfd < 0 || poll(&p, 1, 0) == 1)
		return true;
	pidfd_send_signal(j->init_pidfd, SIGKILL, NULL, 0);
	return false;
}

/* The uid is free again only when nothing of the job is left. */
static void
job_settle(struct job *j)
{
	const struct proc *ctl = &j->pa->single[ROLE_CONTROL];

	if (j->shim.pid != 0 || j->front.pid != 0 || j->back.pid != 0 ||
	    j->scanning)
		return;
	if (!jail_is_gone(j) || !pcg_job_close(j)) {
		ev_timer_set(j->timer, JAIL_GONE_MS);
		return;
	}
	/* Also of one that was killed or lost: its work is there. */
	if (!j->scanned) {
		j->scanned = true;
		j->scanning = stage_look(j->pa, j);
		if (j->scanning)
			return;
	}
	/* How it ended is lost unless there is a control to tell. */
	if (ctl->chan == NULL && !ctl->no_restart && !j->pa->stopping) {
		ev_timer_set(j->timer, CONTROL_WAIT_MS);
		return;
	}
	job_tell_control(j);
	job_free(j);
}

void
job_scanned(struct job *j, bool staged)
{
	j->scanning = false;
	if (staged)
		j->state = JOB_REVIEW;
	job_settle(j);
}

void
job_proc_gone(struct job *j, struct proc *p)
{
	if (p == &j->shim && !j->ending)
		job_fail(j, JOB_LOST, "the shim of the job died");
	if (j->ending)
		job_settle(j);
}
