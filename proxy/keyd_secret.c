/* keyd towards control: adding, rotating, revoking, removing secrets. */
#include "proxy/keyd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/audit_event.h"
#include "base/fdutil.h"
#include "base/log.h"
#include "base/str.h"

#define PENDING_MAX 64u
/* All credentials must fit one message each way, with a job's own tokens. */
#define BINDINGS_MAX (MSG_BODY_MAX - 64 - CAPTURE_ROOM_MAX)

enum change {
	CHANGE_ADD,
	CHANGE_ROTATE,
	CHANGE_REVOKE,
	CHANGE_REMOVE,
};

static const struct {
	const char *code, *type;
} events[] = {
	[CHANGE_ADD] = { "KY201", "secret.add" },
	[CHANGE_ROTATE] = { "KY202", "secret.rotate" },
	[CHANGE_REVOKE] = { "KY203", "secret.revoke" },
	[CHANGE_REMOVE] = { "KY204", "secret.rm" },
};

/* A change whose barrier event is on its way to the disk. */
struct keyd_pending {
	enum change change;
	uint32_t reply;      /* serial of control's request */
	uint32_t serial;     /* of the audit event */
	struct credential c; /* a rotation uses name, value and shape */
	char fingerprint[STUB_FINGERPRINT_SIZE];
	bool failed; /* already in effect, but not on disk */
	char why[256];
	struct keyd_pending *next;
};

static void
reply(struct keyd *k, uint32_t serial, bool ok, const char *error,
    const char *fingerprint)
{
	struct peer *control = peers_find(k->peers, ROLE_CONTROL, 0);
	struct buf b;

	if (control == NULL)
		return;
	buf_init(&b, 0);
	buf_put_u8(&b, ok);
	buf_put_str(&b, error);
	buf_put_str(&b, fingerprint);
	chan_send(control->chan, M_SECRET_DONE, 0, serial, &b, -1);
	buf_free(&b);
}

static void
pending_free(struct keyd_pending *q)
{
	credential_clear(&q->c);
	free(q);
}

void
keyd_pending_free(struct keyd *k)
{
	struct keyd_pending *q;

	while ((q = k->pending) != NULL) {
		k->pending = q->next;
		pending_free(q);
	}
	k->npending = 0;
}

/* ---- checks ------------------------------------------------------------- */

/* Is there room for c, and is what must be unique free?  0 or -1. */
static int
check_add(const struct keyd *k, const struct credential *c, struct error *err)
{
	bool deny = false;

	if (vault_by_name(k->vault, c->name) != NULL)
		return error_set(err, 0,
		    "there is a secret named %s already; rotate it instead",
		    c->name);
	if (vault_secrets(k->vault) >= P_SECRETS_MAX)
		return error_set(err, 0, "the vault holds %u secrets already",
		    P_SECRETS_MAX);
	if (keyd_bindings_size(k, c) > BINDINGS_MAX)
		return error_set(err, 0,
		    "all secrets together are too long for one message");
	if (c->spec.env[0] == '\0')
		return 0;
	if (policy_env_risky(c->spec.env, &deny))
		return error_set(err, 0,
		    "%s changes how programs run; use another variable",
		    c->spec.env);
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *o = vault_at(k->vault, i);

		if (o->parent == 0 && str_eq(o->spec.env, c->spec.env))
			return error_set(err, 0,
			    "the variable %s belongs to secret %s", c->spec.env,
			    o->name);
	}
	return 0;
}

/*
 * What can stand for the value in a job, or at least: is it one of its kind?
 * "" for a kind that shows no stub; NULL and err.
 */
static char *
shape_of(enum cred_kind kind, const struct secret *value, struct error *err)
{
	static const char begin[] = "-----BEGIN ";
	const uint8_t *p = secret_bytes(value);
	size_t n = secret_len(value);

	if (cred_has_stub(kind))
		return stub_shape(value, err);
	if (memchr(p, '\0', n) != NULL) {
		error_set(err, 0, "the value holds a NUL byte");
		return NULL;
	}
	if (kind != CRED_PROXY && memmem(p, n, begin, strlen(begin)) == NULL) {
		error_set(err, 0, "a value of kind %s is PEM (-----BEGIN ...)",
		    cred_kind_name(kind));
		return NULL;
	}
	if (kind == CRED_SSH && keyd_ssh_check(value, err) < 0)
		return NULL;
	if (kind == CRED_PROXY && memchr(p, '\n', n) != NULL) {
		error_set(err, 0, "the value has more than one line");
		return NULL;
	}
	return xstrdup("");
}

/*
 * The value out of a sealed memfd, which cannot change while it is read.  One
 * trailing newline, as editors and echo leave it, does not belong to it.
 */
static struct secret *
take_value(int fd, struct error *err)
{
	struct secret *s = NULL;
	off_t size;
	size_t n;
	char last;

	if (!fd_is_sealed(fd) || (size = lseek(fd, 0, SEEK_END)) < 0) {
		error_set(err, 0, "the value did not come in a sealed memfd");
		return NULL;
	}
	if (size < 1 || size > (off_t)VAULT_VALUE_MAX + 1 ||
	    pread(fd, &last, 1, size - 1) != 1)
		n = size < 1 ? 0 : VAULT_VALUE_MAX + 1;
	else
		n = (size_t)size - (last == '\n');
	if (n < STUB_MIN || n > VAULT_VALUE_MAX) {
		error_set(err, 0, "the value must be %u to %u bytes long",
		    STUB_MIN, VAULT_VALUE_MAX);
		return NULL;
	}
	s = secret_alloc(n);
	if (s == NULL || pread(fd, secret_data(s), n, 0) != (ssize_t)n) {
		error_set(err, errno, "reading the value");
		secret_free(s);
		return NULL;
	}
	return s;
}

/* ---- in effect ---------------------------------------------------------- */

static int
apply_add(struct keyd *k, struct credential *c, struct error *err)
{
	/* Another change may have come while the event was written. */
	if (check_add(k, c, err) < 0)
		return -1;
	c->id = vault_next_id(k->vault);
	c->created = c->changed = (uint64_t)time(NULL);
	return vault_put(k->vault, c, err);
}

/*
 * The shape stays that of the first value, whatever the new one looks like, so
 * that running jobs keep their stubs.  A rotated credential is live again.
 */
static int
apply_rotate(struct keyd *k, struct credential *c, struct error *err)
{
	/* As with adding: this may have been another one's turn. */
	const struct credential *old = vault_by_name(k->vault, c->name);
	struct credential next;
	uint32_t id;

	if (old == NULL)
		return error_set(
		    err, 0, "there is no secret named %s", c->name);
	id = old->id;
	next = *old;
	next.revoked = false;
	next.changed = (uint64_t)time(NULL);
	next.shape = xstrdup(old->shape);
	next.value = steal_ptr(&c->value);
	if (vault_put(k->vault, &next, err) < 0) {
		credential_clear(&next);
		return -1;
	}
	keyd_push_revoked(k, 0, id);
	return 0;
}

/* Add or rotate, now that the record of it is on disk. */
static void
take_effect(struct keyd *k, struct keyd_pending *q)
{
	struct error err;
	int ret = 0;

	switch (q->change) {
	case CHANGE_ADD:
		ret = apply_add(k, &q->c, &err);
		break;
	case CHANGE_ROTATE:
		ret = apply_rotate(k, &q->c, &err);
		break;
	case CHANGE_REVOKE:
	case CHANGE_REMOVE:
		reply(k, q->reply, !q->failed, q->why, q->fingerprint);
		return;
	}
	if (ret == 0)
		keyd_push_bindings(k, 0);
	reply(k, q->reply, ret == 0, ret == 0 ? "" : err.msg,
	    ret == 0 ? q->fingerprint : "");
}

/* The record of a change could not be written. */
static void
give_up(struct keyd *k, const struct keyd_pending *q, const char *why)
{
	struct error err;
	bool done = q->change == CHANGE_REVOKE || q->change == CHANGE_REMOVE;

	error_set(&err, 0, "%s: %s",
	    done ? "done, but it could not be recorded"
		 : "not done, it could not be recorded",
	    why);
	reply(k, q->reply, false, err.msg, "");
}

/* ---- the barrier -------------------------------------------------------- */

/* Takes q.  It takes effect, or is given up, when audit answers. */
static void
record(struct keyd *k, struct keyd_pending *q)
{
	struct peer *audit = peers_find(k->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (audit == NULL || k->npending >= PENDING_MAX) {
		give_up(k, q,
		    audit == NULL ? "the audit log is not available"
				  : "too many changes at once");
		pending_free(q);
		return;
	}
	if (++k->last_serial == 0)
		k->last_serial = 1;
	q->serial = k->last_serial;
	q->next = k->pending;
	k->pending = q;
	k->npending++;
	audit_ev_init(
	    &e, events[q->change].code, events[q->change].type, 2, true);
	audit_ev_str(&e, "obj.secret", q->c.name);
	audit_ev_str(&e, "obj.kind", cred_kind_name(q->c.spec.kind));
	audit_ev_str(&e, "obj.host", q->c.spec.hosts[0].host);
	audit_ev_u64(&e, "obj.port", q->c.spec.hosts[0].port);
	audit_ev_str(&e, "obj.fingerprint", q->fingerprint);
	chan_send(audit->chan, M_AUDIT, 0, q->serial, &e.body, -1);
	audit_ev_free(&e);
}

static int
on_audit_ack(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	bool ok = cur_bool(&m->body);
	char why[160];
	cleanup_free char *text = NULL;
	struct keyd_pending **qp, *q;

	(void)ch;
	(void)cur_u64(&m->body);
	text = cur_str(&m->body, P_TEXT_MAX);
	if (cur_end(&m->body) < 0)
		return -1;
	qp = &k->pending;
	while (*qp != NULL && (*qp)->serial != m->serial)
		qp = &(*qp)->next;
	q = *qp;
	if (q == NULL)
		return m->serial == 0 ? 0 : -1;
	*qp = q->next;
	k->npending--;
	if (ok)
		take_effect(k, q);
	else {
		strlcpy(why, text, sizeof(why));
		give_up(k, q, why);
	}
	pending_free(q);
	return 0;
}

void
keyd_audit_down(struct peer *audit)
{
	struct keyd *k = audit->owner;
	struct keyd_pending *q;

	while ((q = k->pending) != NULL) {
		k->pending = q->next;
		k->npending--;
		give_up(k, q, "the audit process is gone");
		pending_free(q);
	}
}

/* ---- requests ----------------------------------------------------------- */

/*
 * A field that a person typed: too long is that person's mistake, not one of
 * control.  False if it does not fit.
 */
static bool
get_text(struct cur *c, char *dst, size_t size)
{
	cleanup_free char *s = cur_str(c, P_TEXT_MAX);

	return s != NULL && strlcpy(dst, s, size) < size;
}

/* control has checked the same; it is not believed. */
static int
get_add(struct cur *b, struct credential *c, struct error *err)
{
	bool fits = get_text(b, c->name, sizeof(c->name));

	if (cred_spec_get(b, &c->spec) < 0 || cur_end(b) < 0)
		return -1;
	err->msg[0] = '\0';
	if (!fits)
		error_set(err, 0, "the name is too long");
	else
		credential_check(c, err);
	return 0;
}

static struct keyd_pending *
pending_new(enum change change, const struct msg *m)
{
	struct keyd_pending *q = xcalloc(1, sizeof(*q));

	q->change = change;
	q->reply = m->serial;
	return q;
}

/* A person's mistake: say so and forget the request. */
static int
refuse(struct keyd *k, struct keyd_pending *q, const char *why)
{
	reply(k, q->reply, false, why, "");
	pending_free(q);
	return 0;
}

static int
on_add(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	struct keyd_pending *q = pending_new(CHANGE_ADD, m);
	struct error err;

	(void)ch;
	if (get_add(&m->body, &q->c, &err) < 0) {
		pending_free(q);
		return -1;
	}
	if (err.msg[0] != '\0')
		return refuse(k, q, err.msg);
	if (k->vault == NULL)
		return refuse(k, q, "the vault is not open yet");
	q->c.value = take_value(m->fd, &err);
	if (q->c.value == NULL)
		return refuse(k, q, err.msg);
	q->c.shape = shape_of(q->c.spec.kind, q->c.value, &err);
	if (q->c.shape == NULL || check_add(k, &q->c, &err) < 0)
		return refuse(k, q, err.msg);
	stub_fingerprint(vault_stub_key(k->vault), q->c.value, q->fingerprint);
	record(k, q);
	return 0;
}

/* What an event about an existing secret tells of it. */
static const struct credential *
describe(struct keyd *k, struct keyd_pending *q, struct cur *body, bool *bad)
{
	const struct credential *c;
	bool fits = get_text(body, q->c.name, sizeof(q->c.name));

	*bad = cur_end(body) < 0;
	if (*bad || k->vault == NULL || !fits)
		return NULL;
	c = vault_by_name(k->vault, q->c.name);
	if (c == NULL)
		return NULL;
	q->c.spec = c->spec;
	stub_fingerprint(vault_stub_key(k->vault), c->value, q->fingerprint);
	return c;
}

static int
on_rotate(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	struct keyd_pending *q = pending_new(CHANGE_ROTATE, m);
	struct error err;
	bool bad;

	(void)ch;
	if (describe(k, q, &m->body, &bad) == NULL) {
		if (!bad)
			return refuse(k, q, "there is no secret of that name");
		pending_free(q);
		return -1;
	}
	q->c.value = take_value(m->fd, &err);
	if (q->c.value == NULL)
		return refuse(k, q, err.msg);
	/* The new value must be one that could have been added. */
	q->c.shape = shape_of(q->c.spec.kind, q->c.value, &err);
	if (q->c.shape == NULL)
		return refuse(k, q, err.msg);
	stub_fingerprint(vault_stub_key(k->vault), q->c.value, q->fingerprint);
	record(k, q);
	return 0;
}

/* Revoke and remove: in effect before anything else, recorded after. */
static int
take_away(struct keyd *k, struct msg *m, enum change change)
{
	struct keyd_pending *q = pending_new(change, m);
	const struct credential *c;
	struct error err;
	uint32_t id;
	bool bad;
	int ret;

	c = describe(k, q, &m->body, &bad);
	if (c == NULL) {
		if (!bad)
			return refuse(k, q, "there is no secret of that name");
		pending_free(q);
		return -1;
	}
	id = c->id;
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *o = vault_at(k->vault, i);

		if (o->parent == id)
			keyd_push_revoked(k, o->job, o->id);
	}
	ret = change == CHANGE_REVOKE
		  ? vault_revoke(k->vault, id, (uint64_t)time(NULL), &err)
		  : vault_remove(k->vault, id, &err);
	if (ret < 0) {
		q->failed = true;
		error_prefix(&err, "until keyd restarts only");
		strlcpy(q->why, err.msg, sizeof(q->why));
	}
	keyd_push_revoked(k, 0, id);
	keyd_push_bindings(k, 0);
	record(k, q);
	return 0;
}

static int
on_revoke(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;

	(void)ch;
	return take_away(p->owner, m, CHANGE_REVOKE);
}

static int
on_remove(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;

	(void)ch;
	return take_away(p->owner, m, CHANGE_REMOVE);
}

static void
put_row(const struct keyd *k, const struct credential *c, struct buf *b)
{
	char fingerprint[STUB_FINGERPRINT_SIZE];
	uint32_t captured = 0;

	for (size_t i = 0; i < vault_count(k->vault); i++)
		captured += vault_at(k->vault, i)->parent == c->id;
	stub_fingerprint(vault_stub_key(k->vault), c->value, fingerprint);
	buf_put_str(b, c->name);
	cred_spec_put(b, &c->spec);
	buf_put_str(b, fingerprint);
	buf_put_u8(b, c->revoked);
	buf_put_u64(b, c->created);
	buf_put_u64(b, c->changed);
	buf_put_u32(b, captured);
}

static int
on_list(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	size_t n = k->vault == NULL ? 0 : vault_count(k->vault);
	struct buf b;

	(void)ch;
	if (cur_end(&m->body) < 0)
		return -1;
	buf_init(&b, 0);
	buf_put_u32(&b, n == 0 ? 0 : (uint32_t)vault_secrets(k->vault));
	for (size_t i = 0; i < n; i++) {
		const struct credential *c = vault_at(k->vault, i);

		if (c->parent == 0)
			put_row(k, c, &b);
	}
	chan_send(p->chan, M_SECRET_LISTED, 0, m->serial, &b, -1);
	buf_free(&b);
	return 0;
}

const struct msg_rule keyd_from_control[] = {
	{ M_SECRET_ADD, MSG_ALLOWED | MSG_FD, on_add },
	{ M_SECRET_ROTATE, MSG_ALLOWED | MSG_FD, on_rotate },
	{ M_CA_SHOW, MSG_ALLOWED, keyd_on_ca_show },
	{ M_CA_ROTATE, MSG_ALLOWED, keyd_on_ca_rotate },
	{ M_SECRET_REVOKE, MSG_ALLOWED, on_revoke },
	{ M_SECRET_RM, MSG_ALLOWED, on_remove },
	{ M_SECRET_LIST, MSG_ALLOWED, on_list },
};

const struct msg_rule keyd_from_audit[] = {
	{ M_AUDIT_ACK, MSG_ALLOWED, on_audit_ack },
};
