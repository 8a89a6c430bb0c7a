/*
 * stage.diff, stage.apply, stage.discard: control checks who asks, records
 * what is about to happen, and passes the client's descriptors on; a stage
 * process of the parent's does the work.
 */
#include "daemon/control.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/stage_wire.h"

#define PATH_BYTES_MAX (48u * 1024)

struct staging {
	struct staging *next;
	struct request *rq;
	uint32_t job, serial;
	uid_t by;
	enum stage_op_code op;
	uint32_t flags;
	struct buf paths;
	uint32_t npaths;
	int workspace, out;
};

static void
staging_free(struct control *ct, struct staging *sg)
{
	struct staging **pp = &ct->stagings;

	while (*pp != NULL && *pp != sg)
		pp = &(*pp)->next;
	if (*pp == sg)
		*pp = sg->next;
	buf_free(&sg->paths);
	fd_close(&sg->workspace);
	fd_close(&sg->out);
	free(sg);
}

/* ---- the end ----------------------------------------------------------- */

/* What the store says of the job from now on. */
static const char *
set_state(struct control *ct, uint32_t id, enum job_state to)
{
	struct error err = { 0 };
	struct store_job row;

	if (store_job_get(ct->store, id, &row, &err) != 1)
		return job_state_name(to);
	row.state = to;
	if (store_job_update(ct->store, &row, &err) < 0)
		log_warnx("j-%u: %s", id, err.msg);
	store_job_free(&row);
	return job_state_name(to);
}

static void
record_done(struct control *ct, const struct staging *sg, bool ok,
    uint32_t changes, uint32_t left, const char *why)
{
	const bool apply = sg->op == STAGE_OP_APPLY;
	struct audit_ev e;

	audit_ev_init(&e, apply ? "SG201" : "SG202",
	    apply ? "stage.applied" : "stage.discarded", ok ? 1 : 3, false);
	audit_ev_u64(&e, "who.uid", sg->by);
	audit_ev_bool(&e, "obj.ok", ok);
	audit_ev_u64(&e, "obj.changes", changes);
	audit_ev_u64(&e, "obj.left", left);
	if (why[0] != '\0')
		audit_ev_str(&e, "obj.why", why);
	control_audit(ct, sg->job, &e, NULL, NULL);
}

static int
on_done(struct control *ct, struct msg *m, void *arg)
{
	struct staging *sg = arg;
	struct request *rq = sg->rq;
	cleanup_free char *why = NULL;
	const char *state = "review";
	uint32_t changes, left;
	int rc = 0;
	bool ok;

	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		staging_free(ct, sg);
		return 0;
	}
	ok = cur_bool(&m->body);
	changes = cur_u32(&m->body);
	left = cur_u32(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		rc = -1;
	} else {
		const bool acts = sg->op != STAGE_OP_DIFF &&
				  (sg->flags & STAGE_F_DRY_RUN) == 0;

		if (acts)
			record_done(ct, sg, ok, changes, left, why);
		if (acts && ok && left == 0)
			state = set_state(ct, sg->job,
			    sg->op == STAGE_OP_APPLY ? JOB_APPLIED
						     : JOB_DISCARDED);
		if (ok)
			request_ok(rq,
			    json_pack("{s:I, s:I, s:s, s:o}", "changes",
				(json_int_t)changes, "left", (json_int_t)left,
				"state", state, "note", json_text(why)),
			    -1);
		else
			request_fail(rq, REQ_FAILED, "%s", why);
	}
	staging_free(ct, sg);
	return rc;
}

/* ---- the record before the effect -------------------------------------- */

struct recorded {
	uint32_t job, serial;
};

static void
on_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct recorded *rec = arg;
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_str(&b, ok ? "" : why);
	chan_send(
	    peers_parent(ct->peers), M_STAGE_GO, rec->job, rec->serial, &b, -1);
	buf_free(&b);
	free(rec);
}

int
stage_plan_message(struct control *ct, struct msg *m)
{
	struct staging *sg = ct->stagings;
	uint32_t changes = cur_u32(&m->body);
	uint64_t bytes = cur_u64(&m->body);
	cleanup_free char *hash = cur_str(&m->body, P_NAME_MAX);
	struct recorded *rec;
	struct audit_ev e;

	if (cur_end(&m->body) < 0)
		return -1;
	while (sg != NULL && sg->serial != m->serial)
		sg = sg->next;
	if (sg == NULL)
		return 0;
	rec = xcalloc(1, sizeof(*rec));
	rec->job = sg->job;
	rec->serial = sg->serial;
	audit_ev_init(&e, "SG101", "stage.apply", 2, true);
	audit_ev_u64(&e, "who.uid", sg->by);
	audit_ev_u64(&e, "obj.changes", changes);
	audit_ev_u64(&e, "obj.bytes", bytes);
	audit_ev_str(&e, "obj.list_sha", hash);
	audit_ev_bool(
	    &e, "obj.protected", (sg->flags & STAGE_F_FORCE_PROTECTED) != 0);
	control_audit(ct, sg->job, &e, on_recorded, rec);
	return 0;
}

/* ---- the request ------------------------------------------------------- */

static void
send_fd(struct control *ct, struct staging *sg, enum stage_fd which, int *fd)
{
	struct buf b;

	if (*fd < 0)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)which);
	chan_send(peers_parent(ct->peers), M_STAGE_FD, sg->job, sg->serial, &b,
	    steal_fd(fd));
	buf_free(&b);
}

static void
begin(struct control *ct, struct staging *sg)
{
	struct buf b;

	sg->serial = pending_add(ct, ROLE_PARENT, on_done, sg);
	sg->next = ct->stagings;
	ct->stagings = sg;
	send_fd(ct, sg, STAGE_FD_WORKSPACE, &sg->workspace);
	send_fd(ct, sg, STAGE_FD_OUT, &sg->out);
	buf_init(&b, 0);
	buf_put_u8(&b, (uint8_t)sg->op);
	buf_put_u32(&b, sg->flags);
	buf_put_u32(&b, sg->npaths);
	buf_put(&b, buf_head(&sg->paths), buf_len(&sg->paths));
	chan_send(peers_parent(ct->peers), M_STAGE_START, sg->job, sg->serial,
	    &b, -1);
	buf_free(&b);
}

/* Once a discard is on record. */
static void
on_discard_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct staging *sg = arg;

	if (ok) {
		begin(ct, sg);
		return;
	}
	request_fail(
	    sg->rq, REQ_UNAVAILABLE, "j-%u was not touched: %s", sg->job, why);
	staging_free(ct, sg);
}

static int
take_paths(struct request *rq, struct staging *sg)
{
	const json_t *list = json_object_get(rq->body, "paths");
	size_t n = json_array_size(list);

	if (list == NULL)
		return 0;
	for (size_t i = 0; i < n && n <= STAGE_PATHS_MAX; i++) {
		const json_t *v = json_array_get(list, i);
		const char *s = json_string_value(v);

		if (s == NULL || s[0] == '\0' ||
		    json_string_length(v) > STAGE_PATH_MAX ||
		    strlen(s) != json_string_length(v) || !stage_path_ok(s))
			n = STAGE_PATHS_MAX + 1;
		else
			buf_put_str(&sg->paths, s);
	}
	if (!json_is_array(list) || n > STAGE_PATHS_MAX ||
	    buf_len(&sg->paths) > PATH_BYTES_MAX) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"paths\" must hold at most %u paths below the "
		    "workspace, without \"..\", %u bytes together",
		    STAGE_PATHS_MAX, PATH_BYTES_MAX);
		return -1;
	}
	sg->npaths = (uint32_t)n;
	return 0;
}

static int
take_flag(
    struct request *rq, struct staging *sg, const char *name, uint32_t flag)
{
	bool on;

	if (arg_bool(rq, name, false, &on) < 0)
		return -1;
	if (on)
		sg->flags |= flag;
	return 0;
}

static int
take_args(struct request *rq, struct staging *sg)
{
	if (sg->op != STAGE_OP_DISCARD && take_paths(rq, sg) < 0)
		return -1;
	if (sg->op == STAGE_OP_DIFF)
		return take_flag(rq, sg, "patch", STAGE_F_PATCH);
	if (sg->op == STAGE_OP_APPLY &&
	    (take_flag(rq, sg, "dry_run", STAGE_F_DRY_RUN) < 0 ||
		take_flag(rq, sg, "force_protected", STAGE_F_FORCE_PROTECTED) <
		    0))
		return -1;
	return 0;
}

/* A client that does not read holds its process: a few, not those of all. */
static bool
too_many(const struct request *rq)
{
	unsigned int n = 0;

	for (const struct staging *sg = rq->ct->stagings; sg != NULL;
	     sg = sg->next)
		n += sg->by == rq->uid;
	return rq->uid != 0 && n >= STAGINGS_PER_UID_MAX;
}

static void
stage_op(struct request *rq, enum stage_op_code op)
{
	struct control *ct = rq->ct;
	struct staging *sg;
	struct store_job row;
	struct audit_ev e;

	if (find_job(rq, &row) < 0)
		return;
	if (jobs_find(ct, row.id) != NULL) {
		request_fail(rq, REQ_FAILED,
		    "j-%u is still running: wait for its end", row.id);
		store_job_free(&row);
		return;
	}
	if (too_many(rq)) {
		request_fail(rq, REQ_UNAVAILABLE,
		    "%u diffs, applies and discards of yours are under way: "
		    "wait for their end",
		    STAGINGS_PER_UID_MAX);
		store_job_free(&row);
		return;
	}
	sg = xcalloc(1, sizeof(*sg));
	sg->rq = rq;
	sg->op = op;
	sg->job = row.id;
	sg->by = rq->uid;
	sg->workspace = request_fd(rq, "workspace");
	sg->out = request_fd(rq, "out");
	store_job_free(&row);
	if (take_args(rq, sg) < 0) {
		staging_free(ct, sg);
		return;
	}
	if (op != STAGE_OP_DISCARD) {
		begin(ct, sg);
		return;
	}
	audit_ev_init(&e, "SG102", "stage.discard", 2, true);
	audit_ev_u64(&e, "who.uid", rq->uid);
	control_audit(ct, sg->job, &e, on_discard_recorded, sg);
}

void
op_stage_diff(struct request *rq)
{
	stage_op(rq, STAGE_OP_DIFF);
}

void
op_stage_apply(struct request *rq)
{
	stage_op(rq, STAGE_OP_APPLY);
}

void
op_stage_discard(struct request *rq)
{
	stage_op(rq, STAGE_OP_DISCARD);
}
