#include "daemon/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fdutil.h"
#include "base/str.h"

#define STATUS_ROW_MIN 47u

void
op_hello(struct request *rq)
{
	request_ok(rq,
	    json_pack("{s:s, s:i, s:I, s:b}", "version", rq->ct->version,
		"protocol", 1, "uid", (json_int_t)rq->uid, "admin",
		(int)rq->admin),
	    -1);
}

static json_t *
policy_json(const struct control *ct)
{
	json_t *names = json_array();

	for (size_t i = 0; i < policy_profiles(ct->policy); i++)
		json_array_append_new(names,
		    json_text(profile_name(policy_profile_at(ct->policy, i))));
	return json_pack("{s:I, s:s, s:o}", "generation",
	    (json_int_t)ct->generation, "fingerprint",
	    policy_fingerprint(ct->policy), "profiles", names);
}

void
op_policy_show(struct request *rq)
{
	request_ok(rq, policy_json(rq->ct), -1);
}

/* Answers of the parent never fail to come: without it we end. */

static json_t *
status_row(struct cur *c)
{
	uint8_t role = cur_u8(c);
	uint32_t job = cur_u32(c);
	uint32_t pid = cur_u32(c);
	uint32_t uid = cur_u32(c);
	uint32_t gid = cur_u32(c);
	char effective[17], permitted[17], id[16] = "";
	uint8_t seccomp;
	bool nnp;
	uint64_t rss;

	snprintf(effective, sizeof(effective), "%016llx",
	    (unsigned long long)cur_u64(c));
	snprintf(permitted, sizeof(permitted), "%016llx",
	    (unsigned long long)cur_u64(c));
	seccomp = cur_u8(c);
	nnp = cur_bool(c);
	rss = cur_u64(c);
	if (job != 0)
		snprintf(id, sizeof(id), "j-%u", job);
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:s, s:s, s:i, s:b, s:I,"
			 " s:I}",
	    "role", role_name(role), "job",
	    job == 0 ? json_null() : json_string(id), "pid", (json_int_t)pid,
	    "uid", (json_int_t)uid, "gid", (json_int_t)gid, "caps_effective",
	    effective, "caps_permitted", permitted, "seccomp", (int)seccomp,
	    "no_new_privs", (int)nnp, "rss_kb", (json_int_t)rss, "restarts",
	    (json_int_t)cur_u32(c));
}

static int
on_status(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	json_t *rows = json_array();
	uint32_t n;

	if (m == NULL) {
		json_decref(rows);
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		return 0;
	}
	n = cur_count(&m->body, MSG_BODY_MAX, STATUS_ROW_MIN);
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(rows, status_row(&m->body));
	if (cur_end(&m->body) < 0) {
		json_decref(rows);
		request_fail(rq, REQ_FAILED, "status is not readable");
		return -1;
	}
	request_ok(rq,
	    json_pack("{s:s, s:I, s:o, s:o, s:{s:I, s:I}}", "version",
		ct->version, "uptime_s", (json_int_t)(time(NULL) - ct->started),
		"policy", policy_json(ct), "processes", rows, "jobs", "running",
		(json_int_t)ct->njobs, "total",
		(json_int_t)store_job_count(ct->store)),
	    -1);
	return 0;
}

void
op_status(struct request *rq)
{
	struct control *ct = rq->ct;

	chan_send(peers_parent(ct->peers), M_STATUS_GET, 0,
	    pending_add(ct, ROLE_PARENT, on_status, rq), NULL, -1);
}

static int
on_reloaded(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *text = NULL;
	uint32_t generation;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		return 0;
	}
	ok = cur_bool(&m->body);
	generation = cur_u32(&m->body);
	text = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (ok)
		request_ok(rq,
		    json_pack("{s:I, s:o}", "generation",
			(json_int_t)generation, "text", json_text(text)),
		    -1);
	else
		request_fail(rq, REQ_FAILED,
		    "policy not changed, generation %u stays in force:\n%s",
		    generation, text);
	return 0;
}

void
op_policy_reload(struct request *rq)
{
	struct control *ct = rq->ct;

	chan_send(peers_parent(ct->peers), M_RELOAD, 0,
	    pending_add(ct, ROLE_PARENT, on_reloaded, rq), NULL, -1);
}

static int
on_audit_opened(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *why = NULL;
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
	if (ok)
		request_ok(rq, json_pack("{s:s}", "name", "audit.jsonl"),
		    steal_fd(&m->fd));
	else
		request_fail(rq, REQ_FAILED, "%s", why);
	return 0;
}

void
op_audit_open(struct request *rq)
{
	struct control *ct = rq->ct;

	chan_send(peers_parent(ct->peers), M_AUDIT_OPEN, 0,
	    pending_add(ct, ROLE_PARENT, on_audit_opened, rq), NULL, -1);
}
