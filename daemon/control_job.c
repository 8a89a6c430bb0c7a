#include "daemon/control.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/jobspec.h"

#define STORED_ARGS_MAX 256u
#define STORED_ARG_BYTES (16u * 1024)
#define PROFILES_SHOWN 1024u

/* job.run between its steps: waits for the audit record. */
struct run {
	struct request *rq;
	struct job_spec spec;
	int workspace, attach;
};

static void
run_free(struct run *r)
{
	job_spec_free(&r->spec);
	fd_close(&r->workspace);
	fd_close(&r->attach);
	free(r);
}

static int
take_argv(struct request *rq, struct job_spec *s)
{
	const json_t *list = json_object_get(rq->body, "argv");
	size_t n = json_array_size(list), bytes = 0;

	if (n == 0 || n > JOB_ARGV_MAX) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"argv\" must be an array of 1 to %u strings",
		    JOB_ARGV_MAX);
		return -1;
	}
	s->argv = xcalloc(n + 1, sizeof(*s->argv));
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);

		bytes += json_string_length(v);
		if (!json_is_string(v) || bytes > JOB_ARGV_BYTES_MAX ||
		    (i == 0 && json_string_length(v) == 0)) {
			request_fail(rq, REQ_BAD_REQUEST,
			    "\"argv\" must hold strings, %u bytes together",
			    JOB_ARGV_BYTES_MAX);
			return -1;
		}
		s->argv[i] = xstrdup(json_string_value(v));
	}
	return 0;
}

static bool
is_env_name(const char *s)
{
	for (size_t i = 0; s[i] != '\0'; i++) {
		bool alpha = (s[i] >= 'A' && s[i] <= 'Z') ||
			     (s[i] >= 'a' && s[i] <= 'z') || s[i] == '_';

		if (!alpha && (i == 0 || s[i] < '0' || s[i] > '9'))
			return false;
	}
	return s[0] != '\0';
}

static int
take_env(struct request *rq, struct job_spec *s)
{
	json_t *map = json_object_get(rq->body, "env");
	size_t n = json_object_size(map), k = 0, bytes = 0;
	const char *key;
	json_t *v;

	s->env = xcalloc(n + 1, sizeof(*s->env));
	if (map == NULL)
		return 0;
	if (!json_is_object(map) || n > JOB_ENV_MAX) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"env\" must be an object of at most %u strings",
		    JOB_ENV_MAX);
		return -1;
	}
	json_object_foreach(map, key, v)
	{
		bytes += strlen(key) + json_string_length(v) + 1;
		if (!json_is_string(v) || !is_env_name(key) ||
		    bytes > JOB_ARGV_BYTES_MAX) {
			request_fail(rq, REQ_BAD_REQUEST,
			    "\"env\" must hold NAME: string pairs");
			return -1;
		}
		s->env[k++] = xasprintf("%s=%s", key, json_string_value(v));
	}
	return 0;
}

static int
take_profile(struct request *rq, struct job_spec *s)
{
	struct control *ct = rq->ct;
	const json_t *v = json_object_get(rq->body, "profile");
	const char *name = ct->default_profile;
	cleanup_buf struct buf known = { 0 };

	if (v != NULL && !json_is_null(v) &&
	    (name = arg_str(rq, "profile", P_NAME_MAX)) == NULL)
		return -1;
	if (policy_profile(ct->policy, name) != NULL) {
		s->profile = xstrdup(name);
		return 0;
	}
	for (size_t i = 0; i < policy_profiles(ct->policy); i++)
		if (buf_len(&known) < PROFILES_SHOWN)
			buf_printf(&known, "%s%s", i == 0 ? "" : ", ",
			    profile_name(policy_profile_at(ct->policy, i)));
	buf_put_u8(&known, '\0');
	request_fail(rq, REQ_NOT_FOUND, "no profile \"%s\"; the policy has: %s",
	    name,
	    buf_len(&known) > 1 ? (const char *)buf_head(&known) : "none");
	return -1;
}

/*
 * The descriptor is what counts; the path is for people, and the jail opens
 * it again only to compare.  It must be the submitter's own directory, since
 * the job gets the submitter's rights in it.
 */
static int
take_workspace(struct request *rq, struct run *r)
{
	const json_t *v = json_object_get(rq->body, "workspace");
	const char *path;
	struct stat st;

	r->workspace = request_fd(rq, "workspace");
	if (v == NULL || json_is_null(v)) {
		r->spec.workspace = xstrdup("");
		if (r->workspace < 0)
			return 0;
		request_fail(rq, REQ_BAD_REQUEST,
		    "a workspace descriptor came without its path");
		return -1;
	}
	if ((path = arg_str(rq, "workspace", P_PATH_MAX)) == NULL)
		return -1;
	if (path[0] != '/' || r->workspace < 0) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "a workspace is an absolute "
		    "path and the descriptor \"workspace\"");
		return -1;
	}
	if (fstat(r->workspace, &st) < 0 || !S_ISDIR(st.st_mode)) {
		request_fail(
		    rq, REQ_FAILED, "workspace %s is not a directory", path);
		return -1;
	}
	if (st.st_uid != rq->uid) {
		request_fail(rq, REQ_DENIED,
		    "workspace %s belongs to uid %u, "
		    "not to you (uid %u): use a directory of your own",
		    path, st.st_uid, rq->uid);
		return -1;
	}
	r->spec.workspace = xstrdup(path);
	return 0;
}

static int
take_terminal(struct request *rq, struct run *r)
{
	json_int_t rows = 24, cols = 80;
	const char *term = "";
	bool detach;

	if (arg_bool(rq, "tty", false, &r->spec.tty) < 0 ||
	    arg_bool(rq, "detach", false, &detach) < 0)
		return -1;
	if (json_object_get(rq->body, "rows") != NULL &&
	    arg_int(rq, "rows", 0, UINT16_MAX, &rows) < 0)
		return -1;
	if (json_object_get(rq->body, "cols") != NULL &&
	    arg_int(rq, "cols", 0, UINT16_MAX, &cols) < 0)
		return -1;
	if (json_object_get(rq->body, "term") != NULL &&
	    (term = arg_str(rq, "term", P_NAME_MAX)) == NULL)
		return -1;
	r->spec.rows = (uint16_t)rows;
	r->spec.cols = (uint16_t)cols;
	r->spec.term = xstrdup(term);
	r->attach = request_fd(rq, "attach");
	if (detach != (r->attach < 0)) {
		request_fail(rq, REQ_BAD_REQUEST,
		    detach ? "a detached job takes no descriptor \"attach\""
			   : "the descriptor \"attach\" is missing");
		return -1;
	}
	return 0;
}

/* Only so much of an argv goes into the data base. */
static char **
stored_argv(char *const *argv)
{
	size_t n = 0, bytes = 0;
	char **v;

	while (argv[n] != NULL)
		n++;
	v = xcalloc(STORED_ARGS_MAX + 2, sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(argv[i]);

		if (i == STORED_ARGS_MAX || bytes + len > STORED_ARG_BYTES) {
			v[i] = xasprintf("[cut %zu more]", n - i);
			break;
		}
		v[i] = xstrdup(argv[i]);
		bytes += len;
	}
	return v;
}

static void
send_job_fd(struct control *ct, uint32_t job, enum job_fd which, int *fd)
{
	struct buf b;

	if (*fd < 0)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	chan_send(peers_parent(ct->peers), M_JOB_FD, job, 0, &b, steal_fd(fd));
	buf_free(&b);
}

/* Submission is on record: now it may start. */
static void
on_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct run *r = arg;
	struct cjob *j = jobs_find(ct, r->spec.job);
	cleanup_buf struct buf b = { 0 };
	cleanup_free char *id = xasprintf("j-%u", r->spec.job);
	int fd = -1;

	/* Killed while it was being recorded: it must not start now. */
	if (ok && j == NULL) {
		ok = false;
		why = "it was killed";
	}
	if (ok && job_spec_put(&b, &r->spec) == 0)
		fd = fd_memfd("brig-job-spec", buf_head(&b), buf_len(&b));
	if (fd < 0) {
		request_fail(r->rq, ok ? REQ_FAILED : REQ_UNAVAILABLE,
		    "%s was not started: %s", id, ok ? "out of memory" : why);
		if (j != NULL)
			jobs_fail(ct, j, JOB_FAILED,
			    "the submission could not be recorded");
		run_free(r);
		return;
	}
	send_job_fd(ct, r->spec.job, JOB_FD_WORKSPACE, &r->workspace);
	send_job_fd(ct, r->spec.job, JOB_FD_ATTACH, &r->attach);
	chan_send(
	    peers_parent(ct->peers), M_JOB_START, r->spec.job, 0, NULL, fd);
	j->handed = true;
	request_ok(r->rq, json_pack("{s:s}", "job", id), -1);
	run_free(r);
}

static void
record_submit(struct run *r)
{
	struct control *ct = r->rq->ct;
	const struct profile *pr;
	struct audit_ev e;
	size_t n = 0;

	while (r->spec.argv[n] != NULL)
		n++;
	audit_ev_init(&e, "JB101", "job.submit", 2, true);
	audit_ev_u64(&e, "who.uid", r->spec.uid);
	audit_ev_u64(&e, "who.gid", r->spec.gid);
	audit_ev_list(&e, "obj.argv", (const char *const *)r->spec.argv, n);
	audit_ev_str(&e, "obj.workspace", r->spec.workspace);
	audit_ev_str(&e, "pol.profile", r->spec.profile);
	audit_ev_u64(&e, "pol.gen", ct->generation);
	pr = policy_profile(ct->policy, r->spec.profile);
	audit_ev_str(&e, "pol.exec_rules",
	    pr != NULL && profile_settings(pr)->trace ? "enforced"
						      : "advisory");
	control_audit(ct, r->spec.job, &e, on_recorded, r);
}

/* Is there place for one more?  One user leaves some to the others. */
static int
take_place(struct request *rq)
{
	struct control *ct = rq->ct;
	size_t own = 0;

	if (ct->njobs >= ct->max_jobs) {
		request_fail(rq, REQ_UNAVAILABLE,
		    "%zu jobs are open already: "
		    "wait for one to end, or raise max-jobs in brigd.conf",
		    ct->njobs);
		return -1;
	}
	for (const struct cjob *j = ct->jobs; j != NULL; j = j->next)
		if (j->row.uid == rq->uid)
			own++;
	if (rq->uid != 0 && own >= ct->max_user_jobs) {
		request_fail(rq, REQ_UNAVAILABLE,
		    "%zu of your jobs are open already: wait for one to end, "
		    "or have max-jobs-per-user raised in brigd.conf",
		    own);
		return -1;
	}
	return 0;
}

void
op_job_run(struct request *rq)
{
	struct control *ct = rq->ct;
	struct run *r = xcalloc(1, sizeof(*r));
	struct store_job row = { 0 };
	struct error err = { 0 };

	r->rq = rq;
	r->workspace = r->attach = -1;
	r->spec.uid = rq->uid;
	r->spec.gid = rq->gid;
	if (take_argv(rq, &r->spec) < 0 || take_env(rq, &r->spec) < 0 ||
	    take_profile(rq, &r->spec) < 0 || take_workspace(rq, r) < 0 ||
	    take_terminal(rq, r) < 0 || take_place(rq) < 0) {
		run_free(r);
		return;
	}
	row.uid = rq->uid;
	row.gid = rq->gid;
	row.profile = xstrdup(r->spec.profile);
	row.argv = stored_argv(r->spec.argv);
	row.workspace = xstrdup(r->spec.workspace);
	row.detail = xstrdup("");
	row.state = JOB_QUEUED;
	row.created = time(NULL);
	if (store_job_add(ct->store, &row, &err) < 0) {
		request_fail(rq, REQ_FAILED, "%s", err.msg);
		store_job_free(&row);
		run_free(r);
		return;
	}
	r->spec.job = row.id;
	jobs_changed(ct);
	/* Of this life: no restart lies between, so it needs no confirming. */
	jobs_add(ct, &row)->confirmed = true;
	record_submit(r);
}

/* ---- looking ----------------------------------------------------------- */

int
find_job(struct request *rq, struct store_job *row)
{
	uint32_t id = arg_id(rq, "job", "j-");
	struct error err = { 0 };
	int rc;

	if (id == 0)
		return -1;
	rc = store_job_get(rq->ct->store, id, row, &err);
	if (rc < 0) {
		request_fail(rq, REQ_FAILED, "%s", err.msg);
		return -1;
	}
	/* Somebody else's is as good as none. */
	if (rc == 0 || !request_may(rq, row->uid)) {
		if (rc != 0)
			store_job_free(row);
		request_fail(rq, REQ_NOT_FOUND,
		    "no job j-%u: `brig ps --all` lists yours", id);
		return -1;
	}
	return 0;
}

/* What is newer in memory than on disk. */
static const struct store_job *
freshest(struct request *rq, const struct store_job *row)
{
	const struct cjob *j = jobs_find(rq->ct, row->id);

	return j != NULL ? &j->row : row;
}

struct listing {
	struct request *rq;
	json_t *list;
};

static void
list_one(const struct store_job *row, void *arg)
{
	struct listing *l = arg;

	json_array_append_new(l->list, job_json(freshest(l->rq, row), false));
}

void
op_job_list(struct request *rq)
{
	struct store_filter f = { .one_uid = !rq->admin, .uid = rq->uid };
	struct listing l = { .rq = rq };
	struct error err = { 0 };
	bool all;

	if (arg_bool(rq, "all", false, &all) < 0)
		return;
	f.open_only = f.or_review = !all;
	l.list = json_array();
	if (store_job_list(rq->ct->store, &f, list_one, &l, &err) < 0) {
		json_decref(l.list);
		request_fail(rq, REQ_FAILED, "%s", err.msg);
		return;
	}
	request_ok(rq, json_pack("{s:o}", "jobs", l.list), -1);
}

void
op_job_show(struct request *rq)
{
	struct store_job row;

	if (find_job(rq, &row) < 0)
		return;
	request_ok(rq,
	    json_pack("{s:o}", "job", job_json(freshest(rq, &row), true)), -1);
	store_job_free(&row);
}

void
op_job_wait(struct request *rq)
{
	struct store_job row;
	struct cjob *j;

	if (find_job(rq, &row) < 0)
		return;
	j = jobs_find(rq->ct, row.id);
	if (j == NULL) {
		request_ok(
		    rq, json_pack("{s:o}", "job", job_json(&row, true)), -1);
	} else {
		j->waiters = xreallocarray(
		    j->waiters, j->nwaiters + 1, sizeof(*j->waiters));
		j->waiters[j->nwaiters++] = rq;
	}
	store_job_free(&row);
}

/* ---- acting ------------------------------------------------------------ */

/* "TERM", "SIGTERM" or a number; absent is TERM.  0: answered. */
static int
arg_signal(struct request *rq)
{
	const json_t *v = json_object_get(rq->body, "signal");
	const char *s = json_string_value(v);
	json_int_t n;

	if (v == NULL)
		return SIGTERM;
	if (s == NULL)
		return arg_int(rq, "signal", 1, SIGRTMAX, &n) < 0 ? 0 : (int)n;
	if (strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name != NULL && strcasecmp(name, s) == 0)
			return i;
	}
	request_fail(rq, REQ_BAD_REQUEST, "no such signal");
	return 0;
}

void
op_job_kill(struct request *rq)
{
	struct control *ct = rq->ct;
	struct store_job row;
	struct audit_ev e;
	struct cjob *j;
	struct buf b;
	int signo = arg_signal(rq);

	if (signo == 0 || find_job(rq, &row) < 0)
		return;
	j = jobs_find(ct, row.id);
	if (j == NULL) {
		request_fail(rq, REQ_FAILED, "j-%u has ended already (%s)",
		    row.id, job_state_name(row.state));
		store_job_free(&row);
		return;
	}
	audit_ev_init(&e, "JB102", "job.kill", 2, false);
	audit_ev_u64(&e, "who.uid", rq->uid);
	audit_ev_u64(&e, "obj.signal", (uint64_t)signo);
	control_audit(ct, row.id, &e, NULL, NULL);
	if (j->handed) {
		buf_init(&b, 0);
		buf_put_u8(&b, (uint8_t)signo);
		chan_send(
		    peers_parent(ct->peers), M_JOB_KILL, row.id, 0, &b, -1);
		buf_free(&b);
	} else {
		jobs_fail(ct, j, JOB_KILLED, "killed before it ran");
	}
	request_ok(rq, NULL, -1);
	store_job_free(&row);
}

static int
on_log_opened(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *why = NULL;
	struct store_job row;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		return 0;
	}
	ok = cur_bool(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (!ok) {
		request_fail(rq, REQ_NOT_FOUND, "%s", why);
		return 0;
	}
	if (find_job(rq, &row) < 0)
		return 0;
	request_ok(rq,
	    json_pack("{s:o}", "job", job_json(freshest(rq, &row), true)),
	    steal_fd(&m->fd));
	store_job_free(&row);
	return 0;
}

void
op_job_logs(struct request *rq)
{
	struct control *ct = rq->ct;
	struct store_job row;
	bool timing;

	if (arg_bool(rq, "timing", false, &timing) < 0 ||
	    find_job(rq, &row) < 0)
		return;
	chan_send(peers_parent(ct->peers), timing ? M_TIMING_OPEN : M_LOG_OPEN,
	    row.id, pending_add(ct, ROLE_PARENT, on_log_opened, rq), NULL, -1);
	store_job_free(&row);
}
