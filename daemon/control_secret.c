#include "daemon/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/secret.h"
#include "base/str.h"

#define LISTED_ROW_MIN 47u
#define HEADER_NAME_MAX 128u
#define USER_MAX 256u

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

/* Sends b and fd to keyd, if it is there; consumes fd. */
static void
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

/* ["header:Authorization", "basic"] */
static int
arg_surfaces(struct request *rq, uint8_t *surfaces, const char **header)
{
	static const char prefix[] = "header:";
	const json_t *list = json_object_get(rq->body, "surfaces");
	size_t n = json_array_size(list);

	*surfaces = 0;
	*header = "";
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (str_eq(s, "basic")) {
			*surfaces |= SURFACE_BASIC;
		} else if (s != NULL && str_starts(s, prefix) &&
			   !(*surfaces & SURFACE_HEADER) &&
			   s[strlen(prefix)] != '\0' &&
			   strlen(s) <= strlen(prefix) + HEADER_NAME_MAX) {
			*surfaces |= SURFACE_HEADER;
			*header = s + strlen(prefix);
		} else {
			*surfaces = 0;
			break;
		}
	}
	if (*surfaces == 0) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"surfaces\" lists \"header:NAME\" (one) and \"basic\"");
		return -1;
	}
	return 0;
}

/* An optional string: "" when absent. */
static const char *
arg_optional(struct request *rq, const char *key, size_t max)
{
	const json_t *v = json_object_get(rq->body, key);

	return v == NULL || json_is_null(v) ? "" : arg_str(rq, key, max);
}

void
op_secret_add(struct request *rq)
{
	const char *name, *host, *header, *user, *env;
	char normal[P_HOST_MAX + 1];
	uint8_t surfaces;
	json_int_t port;
	struct buf b;
	int fd;

	if ((name = arg_name(rq)) == NULL ||
	    (host = arg_str(rq, "host", P_HOST_MAX)) == NULL ||
	    arg_int(rq, "port", 1, 65535, &port) < 0 ||
	    arg_surfaces(rq, &surfaces, &header) < 0 ||
	    (user = arg_optional(rq, "user", USER_MAX)) == NULL ||
	    (env = arg_optional(rq, "env", P_NAME_MAX)) == NULL)
		return;
	if (policy_host_normalise(host, normal, sizeof(normal)) < 0) {
		request_fail(rq, REQ_BAD_REQUEST,
		    "\"host\" is not a host name or address");
		return;
	}
	if ((fd = value_fd(rq)) < 0)
		return;
	buf_init(&b, 0);
	buf_put_str(&b, name);
	buf_put_str(&b, normal);
	buf_put_u16(&b, (uint16_t)port);
	buf_put_u8(&b, surfaces);
	buf_put_str(&b, header);
	buf_put_str(&b, user);
	buf_put_str(&b, env);
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
surfaces_json(uint8_t surfaces, const char *header)
{
	json_t *list = json_array();

	if (surfaces & SURFACE_HEADER) {
		cleanup_free char *s = xasprintf("header:%s", header);

		json_array_append_new(list, json_text(s));
	}
	if (surfaces & SURFACE_BASIC)
		json_array_append_new(list, json_string("basic"));
	return list;
}

static json_t *
secret_json(struct cur *c)
{
	cleanup_free char *name = cur_str(c, P_NAME_MAX);
	cleanup_free char *host = cur_str(c, P_HOST_MAX);
	uint16_t port = cur_u16(c);
	uint8_t surfaces = cur_u8(c);
	cleanup_free char *header = cur_str(c, P_TEXT_MAX);
	cleanup_free char *user = cur_str(c, P_TEXT_MAX);
	cleanup_free char *env = cur_str(c, P_NAME_MAX);
	cleanup_free char *fingerprint = cur_str(c, P_TEXT_MAX);
	bool revoked = cur_bool(c);
	uint64_t created = cur_u64(c);
	uint64_t changed = cur_u64(c);

	if (c->failed)
		return NULL;
	return json_pack("{s:o, s:o, s:i, s:o, s:o, s:o, s:o, s:b, s:I, s:I}",
	    "name", json_text(name), "host", json_text(host), "port", (int)port,
	    "surfaces", surfaces_json(surfaces, header), "user",
	    json_text(user), "env", json_text(env), "fingerprint",
	    json_text(fingerprint), "revoked", (int)revoked, "created",
	    (json_int_t)created, "changed", (json_int_t)changed);
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
