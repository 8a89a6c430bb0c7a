#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/secret.h"
#include "base/str.h"
#include "daemon/cred_json.h"

#define LISTED_ROW_MIN 47u

static int
on_done(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	cleanup_free char *why = NULL, *fingerprint = NULL;
	json_t *result;
	bool ok;

	(void)ct;
	if (m == NULL) {
		request_fail(rq, REQ_UNAVAILABLE,
		    "the key process is down, try again in a moment");
		return 0;
	}
	ok = cur_bool(&m->body);
	why = cur_str(&m->body, P_TEXT_MAX);
	fingerprint = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0) {
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	if (!ok) {
		request_fail(rq, REQ_FAILED, "%s", why);
		return 0;
	}
	result = json_object();
	if (fingerprint[0] != '\0')
		json_object_set_new(
		    result, "fingerprint", json_text(fingerprint));
	/* Done, but there is something to know about it. */
	if (why[0] != '\0')
		json_object_set_new(result, "note", json_text(why));
	request_ok(rq, result, -1);
	return 0;
}

void
ask_keyd(
    struct request *rq, uint16_t type, struct buf *b, int fd, pending_fn *fn)
{
	struct control *ct = rq->ct;
	struct chan *keyd = control_peer(ct, ROLE_KEYD);

	if (keyd == NULL) {
		fd_close(&fd);
		fn(ct, NULL, rq);
		return;
	}
	chan_send(keyd, type, 0, pending_add(ct, ROLE_KEYD, fn, rq), b, fd);
}

/* The value: control passes it on unread, so it must not change any more. */
static int
value_fd(struct request *rq)
{
	cleanup_fd int fd = request_fd(rq, "value");
	struct stat st;

	if (fd < 0) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "the value must come as descriptor \"value\"");
		return -1;
	}
	if (!fd_is_sealed(fd) || fstat(fd, &st) < 0) {
		request_fail(
		    rq, REQ_BAD_REQUEST, "the value must be a sealed memfd");
		return -1;
	}
	if (st.st_size == 0 || st.st_size > SECRET_MAX) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "the value must have 1 to %u bytes", SECRET_MAX);
		return -1;
	}
	return steal_fd(&fd);
}

static const char *
arg_name(struct request *rq)
{
	const char *name = arg_str(rq, "name", P_NAME_MAX);

	if (name != NULL && !str_is_name(name, P_NAME_MAX)) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "a secret's name has letters, digits, '.', '_' and '-'");
		return NULL;
	}
	return name;
}

void
op_secret_add(struct request *rq)
{
	const char *name = arg_name(rq);
	struct cred_spec spec;
	struct error err;
	struct buf b;
	int fd;

	if (name == NULL)
		return;
	if (cred_json_get(rq->body, &spec, &err) < 0) {
		request_fail(rq, REQ_BAD_REQUEST, "%s", err.msg);
		return;
	}
	if ((fd = value_fd(rq)) < 0)
		return;
	buf_init(&b, 0);
	buf_put_str(&b, name);
	cred_spec_put(&b, &spec);
	ask_keyd(rq, M_SECRET_ADD, &b, fd, on_done);
	buf_free(&b);
}

static void
by_name(struct request *rq, uint16_t type, bool with_value)
{
	const char *name = arg_name(rq);
	struct buf b;
	int fd = -1;

	if (name == NULL || (with_value && (fd = value_fd(rq)) < 0))
		return;
	buf_init(&b, 0);
	buf_put_str(&b, name);
	ask_keyd(rq, type, &b, fd, on_done);
	buf_free(&b);
}

void
op_secret_rotate(struct request *rq)
{
	by_name(rq, M_SECRET_ROTATE, true);
}

void
op_secret_revoke(struct request *rq)
{
	by_name(rq, M_SECRET_REVOKE, false);
}

void
op_secret_rm(struct request *rq)
{
	by_name(rq, M_SECRET_RM, false);
}

static json_t *
secret_json(struct cur *c)
{
	cleanup_free char *name = cur_str(c, P_NAME_MAX);
	struct cred_spec spec;
	bool bad = cred_spec_get(c, &spec) < 0;
	cleanup_free char *fingerprint = cur_str(c, P_TEXT_MAX);
	bool revoked = cur_bool(c);
	uint64_t created = cur_u64(c);
	uint64_t changed = cur_u64(c);
	uint32_t captured = cur_u32(c);
	json_t *o;

	if (bad || c->failed) {
		c->failed = true;
		return NULL;
	}
	o = json_pack("{s:o, s:o, s:b, s:I, s:I, s:I}", "name", json_text(name),
	    "fingerprint", json_text(fingerprint), "revoked", (int)revoked,
	    "created", (json_int_t)created, "changed", (json_int_t)changed,
	    "captured", (json_int_t)captured);
	cred_json_put(o, &spec);
	return o;
}

static int
on_listed(struct control *ct, struct msg *m, void *arg)
{
	struct request *rq = arg;
	json_t *list;
	uint32_t n;

	if (m == NULL)
		return on_done(ct, NULL, arg);
	list = json_array();
	n = cur_count(&m->body, P_SECRETS_MAX, LISTED_ROW_MIN);
	for (uint32_t i = 0; i < n && !m->body.failed; i++) {
		json_t *one = secret_json(&m->body);

		if (one != NULL)
			json_array_append_new(list, one);
	}
	if (cur_end(&m->body) < 0) {
		json_decref(list);
		request_fail(rq, REQ_FAILED, "answer is not readable");
		return -1;
	}
	request_ok(rq, json_pack("{s:o}", "secrets", list), -1);
	return 0;
}

void
op_secret_list(struct request *rq)
{
	ask_keyd(rq, M_SECRET_LIST, NULL, -1, on_listed);
}
