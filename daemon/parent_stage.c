/*
 * Stage processes: one for each brig diff, apply and discard, and one at the
 * end of a staged job.  The parent opens the job's directory for them and
 * passes messages on between them and control; it looks at nothing in there.
 */
#include "daemon/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/proc.h"
#include "daemon/stage_wire.h"
#include "sandbox/stagedir.h"

#define STAGES_MAX 32u

struct stage_run {
	struct stage_run *next;
	struct parent *pa;
	uint32_t serial; /* of control's request; 0: ours */
	uint32_t job;    /* 0 until it starts */
	struct job *of;  /* ours: the job that ends */
	uint8_t op;
	pid_t pid;
	struct chan *chan;
	int fds[STAGE_FD_MAX];
	bool answered;
	bool orphan; /* control has forgotten it */
};

static struct stage_run *
run_new(struct parent *pa, uint32_t serial)
{
	struct stage_run *r = xcalloc(1, sizeof(*r));

	r->pa = pa;
	r->serial = serial;
	for (size_t i = 0; i < STAGE_FD_MAX; i++)
		r->fds[i] = -1;
	r->next = pa->stages;
	pa->stages = r;
	return r;
}

static void
run_free(struct stage_run *r)
{
	struct stage_run **pp = &r->pa->stages;

	while (*pp != r)
		pp = &(*pp)->next;
	*pp = r->next;
	chan_free(r->chan);
	for (size_t i = 0; i < STAGE_FD_MAX; i++)
		fd_close(&r->fds[i]);
	ev_defer(r->pa->ev, free, r);
}

static struct stage_run *
find_serial(struct parent *pa, uint32_t serial)
{
	struct stage_run *r = pa->stages;

	while (r != NULL && (r->of != NULL || r->serial != serial))
		r = r->next;
	return r;
}

/* ---- answers ----------------------------------------------------------- */

/* Nothing is left to decide: brigd's own files of it go, too. */
static void
forget(struct stage_run *r)
{
	cleanup_fd int dir = parent_open_job_dir(r->pa, r->job);

	if (dir >= 0)
		stagedir_drop(dir);
}

static void
answer(struct stage_run *r, bool ok, uint32_t changes, uint32_t left,
    const char *text)
{
	struct proc *ctl = &r->pa->single[ROLE_CONTROL];
	struct buf b;

	if (r->answered)
		return;
	r->answered = true;
	if (ok && left == 0 && r->op != STAGE_OP_DIFF)
		forget(r);
	if (r->of != NULL) {
		struct job *j = r->of;

		if (!ok)
			log_warnx("job %u: staged: %s", j->id, text);
		job_scanned(j, !ok || changes > 0);
		return;
	}
	if (ctl->chan == NULL || r->orphan)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_u32(&b, changes);
	buf_put_u32(&b, left);
	buf_put_str(&b, text);
	chan_send(ctl->chan, M_STAGE_DONE, r->job, r->serial, &b, -1);
	buf_free(&b);
}

static int
on_ready(struct chan *c, struct msg *m, void *ctx)
{
	(void)c;
	(void)ctx;
	return cur_end(&m->body);
}

static int
on_plan(struct chan *c, struct msg *m, void *ctx)
{
	struct stage_run *r = ctx;
	struct proc *ctl = &r->pa->single[ROLE_CONTROL];
	uint32_t changes = cur_u32(&m->body);
	uint64_t bytes = cur_u64(&m->body);
	cleanup_free char *hash = cur_str(&m->body, P_NAME_MAX);
	struct buf b;

	(void)c;
	if (cur_end(&m->body) < 0 || r->op != STAGE_OP_APPLY)
		return -1;
	buf_init(&b, 0);
	/* Without control there is no record, and so no apply. */
	if (ctl->chan == NULL || r->orphan) {
		buf_put_u8(&b, false);
		buf_put_str(&b, "brigd's control process is gone");
		chan_send(r->chan, M_STAGE_GO, r->job, r->serial, &b, -1);
	} else {
		buf_put_u32(&b, changes);
		buf_put_u64(&b, bytes);
		buf_put_str(&b, hash);
		chan_send(ctl->chan, M_STAGE_PLAN, r->job, r->serial, &b, -1);
	}
	buf_free(&b);
	return 0;
}

static int
on_done(struct chan *c, struct msg *m, void *ctx)
{
	struct stage_run *r = ctx;
	bool ok = cur_bool(&m->body);
	uint32_t changes = cur_u32(&m->body);
	uint32_t left = cur_u32(&m->body);
	cleanup_free char *text = cur_str(&m->body, P_TEXT_MAX);

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	answer(r, ok, changes, left, text);
	return 0;
}

static const struct msg_rule from_stage[] = {
	{ M_READY, MSG_ALLOWED | MSG_ONCE, on_ready },
	{ M_STAGE_PLAN, MSG_ALLOWED | MSG_ONCE, on_plan },
	{ M_STAGE_DONE, MSG_ALLOWED | MSG_ONCE, on_done },
};

static void
on_chan_end(struct chan *c, enum chan_end how, const char *why, void *ctx)
{
	struct stage_run *r = ctx;

	(void)c;
	if (how == CHAN_FAULT && r->pid != 0) {
		cleanup_free char *shown = str_escape(why, strlen(why));

		log_warnx("ending stage process of job %u: %s", r->job, shown);
		kill(r->pid, SIGKILL);
	}
	chan_free(r->chan);
	r->chan = NULL;
}

/* ---- start ------------------------------------------------------------- */

static void
send_fd(struct stage_run *r, enum stage_fd which)
{
	struct buf b;

	if (r->fds[which] < 0)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	chan_send(r->chan, M_STAGE_FD, r->job, r->serial, &b,
	    steal_fd(&r->fds[which]));
	buf_free(&b);
}

static int
start(struct stage_run *r, const struct buf *body, struct error *err)
{
	struct proc_spec s = { .role = ROLE_STAGE,
		.exe = "/proc/self/exe",
		.debug = r->pa->debug,
		.files = r->pa->files };
	cleanup_fd int dir = -1;
	char name[48];
	int fds[2];

	dir = parent_open_job_dir(r->pa, r->job);
	if (dir >= 0)
		r->fds[STAGE_FD_DIR] = openat(dir, STAGE_DIR,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r->fds[STAGE_FD_DIR] < 0) {
		(void)error_set(err, 0, "j-%u has nothing staged", r->job);
		err->code = ENOENT;
		return -1;
	}
	if (fd_socketpair(fds) < 0)
		return error_set(err, errno, "socketpair");
	r->pid = proc_spawn(&s, fds[1], err);
	close(fds[1]);
	if (r->pid < 0) {
		close(fds[0]);
		r->pid = 0;
		return -1;
	}
	snprintf(name, sizeof(name), "stage of job %u", r->job);
	r->chan = chan_new(r->pa->ev, fds[0], name, from_stage,
	    nitems(from_stage), on_chan_end, r);
	send_fd(r, STAGE_FD_DIR);
	send_fd(r, STAGE_FD_WORKSPACE);
	send_fd(r, STAGE_FD_OUT);
	chan_send(r->chan, M_STAGE_START, r->job, r->serial, body, -1);
	return 0;
}

int
stage_collect_fd(struct parent *pa, uint32_t serial, unsigned int which, int fd)
{
	struct stage_run *r = find_serial(pa, serial);

	if ((which != STAGE_FD_WORKSPACE && which != STAGE_FD_OUT) ||
	    serial == 0 || (r != NULL && r->job != 0)) {
		close(fd);
		return -1;
	}
	if (r == NULL)
		r = run_new(pa, serial);
	fd_close(&r->fds[which]);
	r->fds[which] = fd;
	return 0;
}

static int
may_start(const struct stage_run *r, struct error *err)
{
	const struct job *j = job_find(r->pa, r->job);
	size_t n = 0;

	if (r->pa->stopping)
		return error_set(err, 0, "brigd is stopping");
	if (j != NULL && j != r->of)
		return error_set(
		    err, 0, "j-%u is still running: wait for its end", r->job);
	for (const struct stage_run *o = r->pa->stages; o != NULL;
	     o = o->next) {
		n += o->pid != 0;
		if (o != r && o->pid != 0 && !o->answered && o->job == r->job)
			return error_set(err, 0,
			    "another diff, apply or discard of j-%u is under "
			    "way",
			    r->job);
	}
	return n < STAGES_MAX
		   ? 0
		   : error_set(err, 0, "too many stage processes: try again");
}

int
stage_request(struct parent *pa, struct msg *m)
{
	struct stage_run *r = find_serial(pa, m->serial);
	cleanup_buf struct buf body = { 0 };
	struct error err = { 0 };
	uint8_t op = m->body.left > 0 ? m->body.p[0] : 0;

	if (m->job == 0 || m->serial == 0 || op <= STAGE_OP_SCAN ||
	    op >= STAGE_OP_MAX || (r != NULL && r->job != 0))
		return -1;
	if (r == NULL)
		r = run_new(pa, m->serial);
	r->job = m->job;
	r->op = op;
	/* The stage process checks the rest. */
	buf_put(&body, m->body.p, m->body.left);
	if (may_start(r, &err) < 0 || start(r, &body, &err) < 0) {
		/* Thrown away already, but nobody was told. */
		answer(r, err.code == ENOENT && op == STAGE_OP_DISCARD, 0,
		    err.code == ENOENT ? 0 : 1, err.msg);
		run_free(r);
	}
	return 0;
}

int
stage_answer(struct parent *pa, struct msg *m)
{
	struct stage_run *r = find_serial(pa, m->serial);
	cleanup_buf struct buf body = { 0 };

	/* It may have died meanwhile. */
	if (r == NULL || r->chan == NULL || r->op != STAGE_OP_APPLY)
		return 0;
	buf_put(&body, m->body.p, m->body.left);
	chan_send(r->chan, M_STAGE_GO, r->job, r->serial, &body, -1);
	return 0;
}

bool
stage_look(struct parent *pa, struct job *j)
{
	cleanup_fd int dir = parent_open_job_dir(pa, j->id);
	cleanup_buf struct buf body = { 0 };
	struct error err = { 0 };
	struct stage_run *r;

	if (dir < 0 ||
	    faccessat(dir, STAGE_DIR "/record", F_OK, AT_EACCESS) < 0)
		return false;
	r = run_new(pa, 0);
	r->of = j;
	r->job = j->id;
	r->op = STAGE_OP_SCAN;
	r->fds[STAGE_FD_WORKSPACE] = steal_fd(&j->scan_fd);
	buf_put_u8(&body, STAGE_OP_SCAN);
	buf_put_u32(&body, 0);
	buf_put_u32(&body, 0);
	if (may_start(r, &err) < 0 || start(r, &body, &err) < 0) {
		/* Not looked at: so there may be something. */
		log_info("job %u: staged: %s", j->id, err.msg);
		j->state = JOB_REVIEW;
		run_free(r);
		return false;
	}
	return true;
}

bool
stage_died(struct parent *pa, pid_t pid)
{
	struct stage_run *r = pa->stages;

	while (r != NULL && r->pid != pid)
		r = r->next;
	if (r == NULL)
		return false;
	if (r->chan != NULL)
		chan_last_words(r->chan);
	answer(r, false, 0, 1,
	    "the stage process died; an apply that was under way is finished "
	    "or taken back by the next brig diff or apply");
	run_free(r);
	return true;
}

void
stage_end_all(struct parent *pa)
{
	for (struct stage_run *r = pa->stages; r != NULL; r = r->next)
		if (r->chan != NULL)
			chan_send(r->chan, M_STOP, 0, 0, NULL, -1);
}

void
stage_orphan(struct parent *pa)
{
	struct stage_run *next;

	for (struct stage_run *r = pa->stages; r != NULL; r = next) {
		next = r->next;
		if (r->of != NULL)
			continue;
		/* The next control counts from the beginning. */
		r->serial = 0;
		r->orphan = true;
		if (r->pid == 0)
			run_free(r);
		else if (r->chan != NULL)
			chan_send(r->chan, M_STOP, 0, 0, NULL, -1);
	}
}
