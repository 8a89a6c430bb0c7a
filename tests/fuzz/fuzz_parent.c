/*
 * The parent on any messages of its children: nothing they say overruns,
 * crashes or stops it, and when all processes are gone no job is left.  No
 * process is started: proc_spawn() and what touches files are played here.
 *
 * Step: "from" is the role; "job" names the job of a per-job one.  Type 0 of
 * any role: that process dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "daemon/parent.h"
#include "daemon/proc.h"
#include "sandbox/stagedir.h"
#include "tests/fuzz/play.h"

#define SPAWNED_MAX 256u
/* Above any pid there can be, so that kill(2) finds nobody. */
#define FIRST_PID 0x70000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Far ends of the channels of processes that "run". */
static struct spawned {
	pid_t pid;
	int fd;
} spawned[SPAWNED_MAX];
static pid_t next_pid = FIRST_PID;

pid_t
proc_spawn(const struct proc_spec *s, int fd, struct error *err)
{
	(void)s;
	for (size_t i = 0; i < SPAWNED_MAX; i++) {
		if (spawned[i].pid != 0)
			continue;
		spawned[i].fd = dup(fd);
		if (spawned[i].fd < 0 || fd_nonblock(spawned[i].fd) < 0)
			abort();
		return spawned[i].pid = next_pid++;
	}
	return error_set(err, EAGAIN, "fork");
}

int
proc_status_read(pid_t pid, struct proc_status *st)
{
	(void)pid;
	memset(st, 0, sizeof(*st));
	return 0;
}

/* ---- files ------------------------------------------------------------- */

int
parent_load_policy(struct parent *pa, struct buf *text)
{
	if (++pa->generation % 2 == 0) {
		buf_printf(text, "mistakes\n");
		return -1;
	}
	return 0;
}

/* Others each time. */
int
roots_read(const struct conf *conf, struct parent_roots *r, struct error *err)
{
	(void)conf;
	*r = (struct parent_roots){ .fd = fd_memfd("roots", "x", 1),
		.host_fd = -1 };
	return r->fd < 0 ? error_set(err, errno, "memfd") : 0;
}

void
roots_free(struct parent_roots *r)
{
	fd_close(&r->fd);
}

bool
roots_same(const struct parent_roots *a, const struct parent_roots *b)
{
	return a->fd == b->fd;
}

int
parent_make_bundle(struct parent *pa, struct error *err)
{
	fd_close(&pa->bundle_fd);
	fd_close(&pa->trust_fd);
	pa->bundle_fd = fd_memfd("bundle", "x", 1);
	pa->trust_fd = fd_memfd("trust", "x", 1);
	return pa->bundle_fd < 0 || pa->trust_fd < 0
		   ? error_set(err, errno, "memfd")
		   : 0;
}

int
parent_open_audit(struct parent *pa, bool write, struct error *err)
{
	(void)pa;
	return write ? error_set(err, 0, "no log") : fd_memfd("log", "", 0);
}

int
parent_open_log(struct parent *pa, uint32_t job, const char *file, bool create,
    struct error *err)
{
	(void)pa;
	(void)file;
	(void)create;
	return job == 9 ? error_set(err, 0, "no log") : fd_memfd("log", "", 0);
}

static char job_dir[] = "/tmp/brig-fuzz-XXXXXX";

static void
remove_job_dir(void)
{
	int fd = open(job_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	stagedir_drop(fd);
	fd_close(&fd);
	(void)rmdir(job_dir);
}

int
parent_open_state(struct parent *pa)
{
	return parent_open_job_dir(pa, 1);
}

/* One for all jobs; those with an even number have staged something. */
int
parent_open_job_dir(struct parent *pa, uint32_t job)
{
	static bool made;
	int fd;

	(void)pa;
	if (!made && (mkdtemp(job_dir) == NULL || atexit(remove_job_dir) != 0))
		abort();
	made = true;
	fd = open(job_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	stagedir_drop(fd);
	if (job % 2 == 0 &&
	    (mkdirat(fd, STAGE_DIR, 0700) < 0 ||
		mknodat(fd, STAGE_DIR "/record", S_IFREG | 0600, 0) < 0))
		abort();
	return fd;
}

void
parent_stop(struct parent *pa)
{
	pa->stopping = true;
}

/* ---- the world --------------------------------------------------------- */

static struct spawned *
find(pid_t pid)
{
	for (size_t i = 0; i < SPAWNED_MAX; i++)
		if (pid != 0 && spawned[i].pid == pid)
			return &spawned[i];
	return NULL;
}

static void
die(struct parent *pa, struct spawned *s)
{
	pid_t pid = s->pid;

	fd_close(&s->fd);
	s->pid = 0;
	proc_died(pa, pid, SIGKILL);
}

/* What has been closed on the other side is dead soon. */
static void
settle(struct parent *pa)
{
	size_t bytes = 0;

	for (int i = 0; i < 2; i++)
		ev_once(pa->ev, 0);
	for (size_t i = 0; i < SPAWNED_MAX; i++)
		if (spawned[i].pid != 0 && !play_drain(spawned[i].fd, &bytes))
			die(pa, &spawned[i]);
	for (enum role r = ROLE_NONE + 1; r < ROLE_MAX; r++)
		if (pa->single[r].role != ROLE_NONE)
			proc_start(&pa->single[r]);
}

static void
step(struct parent *pa, struct play_step *st)
{
	bool of_job = st->from == ROLE_SHIM || st->from == ROLE_FRONT ||
		      st->from == ROLE_BACK;
	struct proc *p =
	    proc_find(pa, (enum role)st->from, of_job ? st->job : 0);
	struct spawned *s = p == NULL ? NULL : find(p->pid);

	if (s != NULL && st->type == 0)
		die(pa, s);
	else if (s != NULL)
		play_write(s->fd, st);
	fd_close(&st->fd);
	settle(pa);
}

static void
end(struct parent *pa)
{
	for (struct job *j = pa->jobs; j != NULL; j = j->next)
		job_fail(j, JOB_FAILED, "end of the input");
	pa->stopping = true;
	for (size_t i = 0; i < SPAWNED_MAX; i++)
		if (spawned[i].pid != 0)
			die(pa, &spawned[i]);
	ev_once(pa->ev, 0);
	if (pa->jobs != NULL || pa->njobs != 0)
		abort();
	for (enum role r = ROLE_NONE; r < ROLE_MAX; r++)
		proc_clear(&pa->single[r]);
	for (size_t i = 0; i < JOB_FDS_PENDING; i++)
		for (size_t k = 0; pa->pending[i].job != 0 && k < JOB_FD_MAX;
		     k++)
			fd_close(&pa->pending[i].fd[k]);
	chan_free(pa->audit);
	fd_close(&pa->bundle_fd);
	fd_close(&pa->trust_fd);
	fd_close(&pa->policy_fd);
	roots_free(&pa->roots);
	buf_free(&pa->ca_pem);
	ev_once(pa->ev, 0);
	ev_free(pa->ev);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char inferd[] = "/nonexistent/inferd.sock";
	static char profile[] = "default", shim[] = "/nonexistent";
	static const enum role singles[] = { ROLE_AUDIT, ROLE_KEYD, ROLE_DNS,
		ROLE_CONTROL };
	struct parent pa = { .listen_fd = -1,
		.vault_fd = -1,
		.fresh_fd = -1,
		.key_fd = -1,
		.state_fd = -1,
		.log_dir_fd = -1,
		.jobs_fd = -1,
		.roots = { .fd = -1, .host_fd = -1 },
		.bundle_fd = -1,
		.trust_fd = -1,
		.policy_fd = -1 };
	struct play_step st;

	pa.conf.default_profile = profile;
	pa.conf.shim = shim;
	pa.conf.state_dir = pa.conf.run_dir = profile;
	pa.conf.inferd = inferd;
	pa.conf.job_uid_base = 1879200000;
	pa.conf.job_uid_count = 3;
	pa.conf.max_jobs = 4;
	pa.policy_fd = fd_memfd("policy", "", 0);
	pa.ev = ev_new();
	for (size_t i = 0; i < nitems(singles); i++)
		proc_init(&pa, &pa.single[singles[i]], singles[i], NULL);
	settle(&pa);
	while (play_next(&data, &size, &st))
		step(&pa, &st);
	end(&pa);
	return 0;
}
