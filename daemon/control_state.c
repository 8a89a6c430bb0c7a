#include "daemon/control.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/str.h"

/* Arguments shown in a listing; job.show has them all. */
#define LIST_ARGS 16u
#define LIST_ARG_BYTES 200u
/* As late as what the audit log is not waited for. */
#define SYNC_MS 1000u

static const char *const exit_kinds[] = {
	[EXIT_CODE] = "code",
	[EXIT_SIGNAL] = "signal",
	[EXIT_BRIG] = "brig",
};

static json_t *
argv_json(char *const *argv, bool whole)
{
	json_t *list = json_array();

	for (size_t i = 0; argv[i] != NULL; i++) {
		cleanup_free char *cut = NULL;

		if (!whole && i == LIST_ARGS) {
			json_array_append_new(list, json_string("..."));
			break;
		}
		if (!whole && strlen(argv[i]) > LIST_ARG_BYTES)
			cut =
			    xasprintf("%.*s...", (int)LIST_ARG_BYTES, argv[i]);
		json_array_append_new(
		    list, json_text(cut != NULL ? cut : argv[i]));
	}
	return list;
}

static json_t *
exit_json(const struct store_job *j)
{
	unsigned int kind =
	    j->exit_kind <= EXIT_BRIG ? j->exit_kind : EXIT_BRIG;

	if (!j->has_exit)
		return json_null();
	return json_pack("{s:s, s:I, s:o}", "kind", exit_kinds[kind], "code",
	    (json_int_t)j->exit_code, "detail", json_text(j->detail));
}

json_t *
job_json(const struct store_job *j, bool whole)
{
	cleanup_free char *id = xasprintf("j-%u", j->id);

	return json_pack("{s:s, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o,"
			 " s:I, s:I, s:s, s:I, s:I, s:s, s:o}",
	    "id", id, "state",
	    j->paused && j->state == JOB_RUNNING ? "paused"
						 : job_state_name(j->state),
	    "profile", json_text(j->profile), "argv", argv_json(j->argv, whole),
	    "uid", (json_int_t)j->uid, "workspace", json_text(j->workspace),
	    "created", json_time(j->created), "started", json_time(j->started),
	    "ended", json_time(j->ended), "exit", exit_json(j), "host_uid",
	    (json_int_t)j->host_uid, "pid", (json_int_t)j->pid, "exec_rules",
	    j->enforced ? "enforced" : "advisory", "oom_kills",
	    (json_int_t)j->ooms, "refused_forks", (json_int_t)j->refused,
	    "limits",
	    /* Of a job that has ended nobody keeps it. */
	    j->limits == NULL      ? ""
	    : j->limits[0] == '\0' ? "enforced"
				   : j->limits,
	    "busy", json_text(j->state == JOB_STARTING ? j->detail : ""));
}

static bool
has_ended(enum job_state s)
{
	switch (s) {
	case JOB_QUEUED:
	case JOB_STARTING:
	case JOB_RUNNING:
		return false;
	case JOB_DONE:
	case JOB_FAILED:
	case JOB_KILLED:
	case JOB_LOST:
	case JOB_REVIEW:
	case JOB_APPLIED:
	case JOB_DISCARDED:
	case JOB_STATE_MAX:
		break;
	}
	return true;
}

struct cjob *
jobs_find(struct control *ct, uint32_t id)
{
	struct cjob *j = ct->jobs;

	while (j != NULL && j->row.id != id)
		j = j->next;
	return j;
}

struct cjob *
jobs_add(struct control *ct, struct store_job *row)
{
	struct cjob *j = xcalloc(1, sizeof(*j));

	j->row = *row;
	memset(row, 0, sizeof(*row));
	j->next = ct->jobs;
	ct->jobs = j;
	ct->njobs++;
	return j;
}

static void
load_one(const struct store_job *row, void *arg)
{
	struct control *ct = arg;
	struct store_job copy = { 0 };

	if (store_job_get(ct->store, row->id, &copy, NULL) == 1)
		jobs_add(ct, &copy)->handed = true;
}

void
jobs_load(struct control *ct)
{
	const struct store_filter f = { .open_only = true };
	struct error err = { 0 };

	if (store_job_list(ct->store, &f, load_one, ct, &err) < 0)
		fatalx("%s", err.msg);
}

static void
on_sync(void *arg)
{
	struct control *ct = arg;
	struct error err = { 0 };

	ct->sync_set = false;
	if (store_sync(ct->store, &err) < 0)
		log_warnx("%s", err.msg);
}

void
jobs_changed(struct control *ct)
{
	if (ct->sync == NULL)
		ct->sync = ev_timer_new(ct->ev, on_sync, ct);
	if (ct->sync_set || !store_unsynced(ct->store))
		return;
	ct->sync_set = true;
	ev_timer_set(ct->sync, SYNC_MS);
}

/* Later reads show the row; a write that fails is said, and tried again
 * with the next change. */
static void
save(struct control *ct, const struct cjob *j)
{
	struct error err = { 0 };

	if (store_job_update(ct->store, &j->row, &err) < 0)
		log_warnx("j-%u: %s", j->row.id, err.msg);
	jobs_changed(ct);
}

static void
record_end(struct control *ct, const struct store_job *j)
{
	struct audit_ev e;

	audit_ev_init(&e, "JB201", "job.end",
	    j->state == JOB_DONE || j->state == JOB_KILLED ||
		    j->state == JOB_REVIEW
		? 1
		: 3,
	    false);
	audit_ev_u64(&e, "who.uid", j->uid);
	audit_ev_str(&e, "obj.state", job_state_name(j->state));
	audit_ev_str(&e, "obj.exit_kind", exit_kinds[j->exit_kind]);
	audit_ev_u64(&e, "obj.exit_code", j->exit_code);
	audit_ev_str(&e, "obj.detail", j->detail);
	control_audit(ct, j->id, &e, NULL, NULL);
}

static void
ended(struct control *ct, struct cjob *j)
{
	struct cjob **pp = &ct->jobs;

	while (*pp != j)
		pp = &(*pp)->next;
	*pp = j->next;
	ct->njobs--;
	if (j->row.exit_kind > EXIT_BRIG)
		j->row.exit_kind = EXIT_BRIG;
	record_end(ct, &j->row);
	for (size_t i = 0; i < j->nwaiters; i++)
		request_ok(j->waiters[i],
		    json_pack("{s:o}", "job", job_json(&j->row, true)), -1);
	free(j->waiters);
	store_job_free(&j->row);
	free(j);
}

void
jobs_news(struct control *ct, uint32_t id, const struct job_news *n)
{
	struct cjob *j = jobs_find(ct, id);

	if (j == NULL) {
		log_info("news of j-%u, which is not open", id);
		return;
	}
	j->confirmed = true;
	j->row.host_uid = n->host_uid;
	j->row.pid = n->pid;
	j->row.state = n->state;
	if (n->state == JOB_RUNNING) {
		if (j->row.started == 0)
			j->row.started = time(NULL);
		j->row.enforced = str_starts(n->detail, "enforced");
	}
	if (!has_ended(n->state)) {
		if (n->state == JOB_STARTING) {
			free(j->row.detail);
			j->row.detail = xstrdup(n->detail);
		}
		/* Starting is over in a moment and worth no write. */
		if (n->state == JOB_RUNNING)
			save(ct, j);
		return;
	}
	j->row.ended = time(NULL);
	j->row.has_exit = true;
	j->row.exit_kind = n->exit_kind;
	j->row.exit_code = n->exit_code;
	free(j->row.detail);
	j->row.detail = xstrdup(n->detail);
	save(ct, j);
	ended(ct, j);
}

void
jobs_fail(struct control *ct, struct cjob *j, enum job_state state,
    const char *detail)
{
	const struct job_news n = {
		.state = state,
		.host_uid = j->row.host_uid,
		.pid = j->row.pid,
		.exit_kind = EXIT_BRIG,
		.exit_code = 125,
		.detail = detail,
	};

	jobs_news(ct, j->row.id, &n);
}

void
jobs_sync(struct control *ct)
{
	struct cjob *next;

	for (struct cjob *j = ct->jobs; j != NULL; j = next) {
		next = j->next;
		if (!j->confirmed)
			jobs_fail(ct, j, JOB_LOST,
			    "brigd ended while the job was open");
	}
}

void
jobs_forget_client(struct control *ct, uint64_t client)
{
	for (struct cjob *j = ct->jobs; j != NULL; j = j->next) {
		size_t k = 0;

		for (size_t i = 0; i < j->nwaiters; i++) {
			if (j->waiters[i]->client != client)
				j->waiters[k++] = j->waiters[i];
			else
				/* Goes nowhere, but frees it. */
				request_ok(j->waiters[i], NULL, -1);
		}
		j->nwaiters = k;
	}
}
