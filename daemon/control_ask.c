#include "daemon/ask.h"

#include <stdlib.h>

#include "base/str.h"

json_t *
ask_json(const struct store_ask *a)
{
	cleanup_free char *id = xasprintf("A-%u", a->id);
	cleanup_free char *job = xasprintf("j-%u", a->job);
	json_t *lines = json_array();

	for (size_t i = 0; a->lines != NULL && a->lines[i] != NULL; i++)
		json_array_append_new(lines, json_text(a->lines[i]));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o,"
			 " s:o, s:o, s:o, s:o}",
	    "id", id, "job", job, "class",
	    policy_class_name((enum policy_class)a->class), "state",
	    ask_state_name(a->state), "rule", json_text(a->rule), "name",
	    json_text(a->name), "because", json_text(a->because), "lines",
	    lines, "digest", json_text(a->digest), "created",
	    json_time(a->created), "expires", json_time(a->expires), "answered",
	    json_time(a->answered), "by", json_text(a->by), "message",
	    json_text(a->message));
}

static void
list_one(const struct store_ask *a, void *arg)
{
	json_array_append_new(arg, ask_json(a));
}

void
op_ask_list(struct request *rq)
{
	struct store_filter f = { .one_uid = !rq->admin, .uid = rq->uid };
	struct error err = { 0 };
	json_t *list;
	bool all;

	if (arg_bool(rq, "all", false, &all) < 0)
		return;
	f.open_only = !all;
	list = json_array();
	if (store_ask_list(rq->ct->store, &f, list_one, list, &err) < 0) {
		json_decref(list);
		request_fail(rq, REQ_FAILED, "%s", err.msg);
		return;
	}
	request_ok(rq, json_pack("{s:o}", "asks", list), -1);
}

/* Why an ask that is not pending cannot be answered. */
static void
too_late(struct request *rq, uint32_t id)
{
	struct store_ask row;
	struct error err = { 0 };
	int rc = store_ask_get(rq->ct->store, id, &row, &err);

	if (rc < 0) {
		request_fail(rq, REQ_FAILED, "%s", err.msg);
	} else if (rc == 0) {
		request_fail(rq, REQ_NOT_FOUND,
		    "no ask A-%u: `brig asks` lists those that wait", id);
	} else {
		request_fail(rq, REQ_FAILED,
		    "too late: A-%u is %s already (by %s: %s); the job must "
		    "try again to ask again",
		    id, ask_state_name(row.state), row.by, row.message);
		store_ask_free(&row);
	}
}

void
op_ask_answer(struct request *rq)
{
	uint32_t id = arg_id(rq, "ask", "A-");
	cleanup_free char *by = NULL;
	const char *message = "";
	const json_t *allow;
	struct ask *a;

	/* Answered, and gone. */
	if (id == 0)
		return;
	allow = json_object_get(rq->body, "allow");
	by = xasprintf("uid:%u", rq->uid);
	/* No default: a forgotten field must not decide anything. */
	if (!json_is_boolean(allow)) {
		request_fail(
		    rq, REQ_BAD_REQUEST, "\"allow\" must be true or false");
		return;
	}
	if (json_object_get(rq->body, "message") != NULL &&
	    (message = arg_str(rq, "message", P_TEXT_MAX)) == NULL)
		return;
	a = ask_find(rq->ct, id);
	if (a == NULL)
		too_late(rq, id);
	else if (a->phase == ASK_OPENING)
		request_fail(rq, REQ_UNAVAILABLE,
		    "A-%u is being recorded, try again", id);
	else if (a->phase == ASK_ANSWERING)
		request_fail(rq, REQ_FAILED,
		    "too late: A-%u is being answered already", id);
	else
		ask_answer(a, json_is_true(allow), by, message, rq);
}
