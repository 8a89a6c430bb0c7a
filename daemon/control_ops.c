#include "daemon/control.h"

#include <string.h>

#include "base/str.h"

static const struct op {
	const char *name;
	bool admin_only;
	void (*run)(struct request *rq);
} ops[] = {
	{ "hello", false, op_hello },
	{ "job.run", false, op_job_run },
	{ "job.list", false, op_job_list },
	{ "job.show", false, op_job_show },
	{ "job.wait", false, op_job_wait },
	{ "job.kill", false, op_job_kill },
	{ "job.pause", false, op_job_pause },
	{ "job.resume", false, op_job_resume },
	{ "job.logs", false, op_job_logs },
	{ "stage.diff", false, op_stage_diff },
	{ "stage.apply", false, op_stage_apply },
	{ "stage.discard", false, op_stage_discard },
	{ "home.list", false, op_home_list },
	{ "home.rm", false, op_home_rm },
	{ "job.attach", false, op_job_attach },
	{ "secret.add", true, op_secret_add },
	{ "secret.rotate", true, op_secret_rotate },
	{ "secret.revoke", true, op_secret_revoke },
	{ "secret.rm", true, op_secret_rm },
	{ "secret.list", true, op_secret_list },
	{ "ca.show", false, op_ca_show },
	{ "ca.rotate", true, op_ca_rotate },
	{ "ask.list", false, op_ask_list },
	{ "ask.answer", true, op_ask_answer },
	{ "policy.reload", true, op_policy_reload },
	{ "policy.show", false, op_policy_show },
	{ "audit.open", true, op_audit_open },
	{ "status", false, op_status },
};

void
control_op(struct request *rq)
{
	const char *name = json_string_value(json_object_get(rq->body, "op"));

	for (size_t i = 0; i < nitems(ops); i++) {
		if (!str_eq(ops[i].name, name))
			continue;
		if (ops[i].admin_only && !rq->admin)
			request_fail(rq, REQ_DENIED,
			    "%s is for root and members of the admin group",
			    name);
		else
			ops[i].run(rq);
		return;
	}
	request_fail(rq, REQ_BAD_REQUEST, "unknown operation");
}

const char *
arg_str(struct request *rq, const char *key, size_t max)
{
	const json_t *v = json_object_get(rq->body, key);
	const char *s = json_string_value(v);

	if (s == NULL) {
		request_fail(
		    rq, REQ_BAD_REQUEST, "\"%s\" must be a string", key);
		return NULL;
	}
	if (json_string_length(v) > max || strlen(s) != json_string_length(v)) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"%s\" is longer than %zu bytes", key, max);
		return NULL;
	}
	return s;
}

int
arg_int(struct request *rq, const char *key, json_int_t min, json_int_t max,
    json_int_t *out)
{
	const json_t *v = json_object_get(rq->body, key);

	*out = json_integer_value(v);
	if (!json_is_integer(v) || *out < min || *out > max) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"%s\" must be a number from %lld to %lld", key,
		    (long long)min, (long long)max);
		return -1;
	}
	return 0;
}

int
arg_bool(struct request *rq, const char *key, bool dflt, bool *out)
{
	const json_t *v = json_object_get(rq->body, key);

	*out = v == NULL ? dflt : json_is_true(v);
	if (v != NULL && !json_is_boolean(v)) {
		request_fail(
		    rq, REQ_BAD_REQUEST, "\"%s\" must be true or false", key);
		return -1;
	}
	return 0;
}

uint32_t
arg_id(struct request *rq, const char *key, const char *prefix)
{
	const char *s = arg_str(rq, key, P_NAME_MAX);
	uint64_t n;

	if (s == NULL)
		return 0;
	if (!str_starts(s, prefix) ||
	    str_to_u64(s + strlen(prefix), 1, UINT32_MAX, &n) < 0) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"%s\" must look like \"%s17\"", key, prefix);
		return 0;
	}
	return (uint32_t)n;
}

json_t *
json_text(const char *s)
{
	json_t *j = json_string(s);
	cleanup_free char *shown = NULL;

	if (j != NULL)
		return j;
	shown = str_escape(s, strlen(s));
	return json_string(shown);
}

json_t *
json_time(int64_t t)
{
	return t == 0 ? json_null() : json_integer(t);
}
