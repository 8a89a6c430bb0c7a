/*
 * home.list and home.rm: the parent looks and removes, who did it is on
 * record.  Each sees their own; root and the admin group name any user.
 */
#include "daemon/control.h"

#include "base/str.h"
#include "sandbox/home.h"

#define ROW_MIN (4u + 8u + 8u + 8u + 1u)

/* Whose: "uid", or the caller's own.  0, or -1: answered. */
static int
arg_owner(struct request *rq, uid_t *uid)
{
	json_int_t n;

	*uid = rq->uid;
	if (json_object_get(rq->body, "uid") == NULL)
		return 0;
	if (arg_int(rq, "uid", 0, UINT32_MAX - 1, &n) < 0)
		return -1;
	*uid = (uid_t)n;
	if (request_may(rq, *uid))
		return 0;
	request_fail(rq, REQ_DENIED,
	    "homes of others are for root and members of the admin group");
	return -1;
}

static json_t *
row_json(struct cur *c)
{
	cleanup_free char *name = cur_str(c, P_NAME_MAX);
	uint64_t used = cur_u64(c), size = cur_u64(c), mtime = cur_u64(c);
	bool in_use = cur_bool(c);

	return json_pack("{s:s, s:I, s:I, s:o, s:b}", "name",
	    name == NULL ? "" : name, "used", (json_int_t)used, "size",
	    (json_int_t)size, "written", json_time((int64_t)mtime), "in_use",
	    (int)in_use);
}

static int
on_homes(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *why = NULL;
	json_t *rows;
	uint32_t n;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE, "brigd is stopping");
		return 0;
	}
	ok = cur_bool(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	n = cur_count(&m->body, HOMES_MAX, ROW_MIN);
	rows = json_array();
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(rows, row_json(&m->body));
	if (cur_end(&m->body) < 0) {
		json_decref(rows);
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (ok) {
		request_ok(rq, json_pack("{s:o}", "homes", rows), -1);
		return 0;
	}
	json_decref(rows);
	request_fail(rq, REQ_FAILED, "%s", why);
	return 0;
}

void
op_home_list(struct request *rq)
{
	struct control *ct = rq->ct;
	struct buf b;
	uid_t uid;

	if (arg_owner(rq, &uid) < 0)
		return;
	buf_init(&b, 0);
	buf_put_u32(&b, uid);
	chan_send(peers_parent(ct->peers), M_HOME_LIST, 0,
	    pending_add(ct, ROLE_PARENT, on_homes, rq), &b, -1);
	buf_free(&b);
}

/* It is on record that somebody wanted it gone: now it may go. */
static void
on_recorded(struct control *ct, bool ok, const char *why, void *arg)
{
	struct request *rq = arg;
	json_int_t uid = json_integer_value(json_object_get(rq->body, "uid"));
	struct buf b;

	if (!ok) {
		request_fail(rq, REQ_UNAVAILABLE, "not removed: %s", why);
		return;
	}
	buf_init(&b, 0);
	buf_put_u32(&b,
	    json_object_get(rq->body, "uid") == NULL ? rq->uid : (uid_t)uid);
	buf_put_str(&b, json_string_value(json_object_get(rq->body, "name")));
	chan_send(peers_parent(ct->peers), M_HOME_RM, 0,
	    pending_add(ct, ROLE_PARENT, request_answered, rq), &b, -1);
	buf_free(&b);
}

void
op_home_rm(struct request *rq)
{
	const char *name = arg_str(rq, "name", P_NAME_MAX);
	struct audit_ev e;
	uid_t uid;

	if (name == NULL || arg_owner(rq, &uid) < 0)
		return;
	if (!str_is_name(name, P_NAME_MAX)) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"name\" is letters, digits, dots, hyphens and "
		    "underscores");
		return;
	}
	audit_ev_init(&e, "JB104", "home.rm", 2, true);
	audit_ev_u64(&e, "who.uid", rq->uid);
	audit_ev_str(&e, "obj.home", name);
	audit_ev_u64(&e, "obj.uid", uid);
	control_audit(rq->ct, 0, &e, on_recorded, rq);
}
