/*
 * Tokens that a job was issued by a declared token endpoint.  back sends each
 * before the job sees a byte of it and gets a stub to put in its place.  They
 * are sealed in the vault like any secret, belong to one job, and go with it
 * or with the credential whose endpoint it was.
 */
#include "proxy/keyd.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "base/audit_event.h"
#include "base/log.h"
#include "base/str.h"

/* ".a.b" */
#define MEMBER_MAX 64u

struct request {
	uint32_t parent;
	char member[MEMBER_MAX + 1];
	enum token_use use;
	const uint8_t *value;
	size_t n;
};

static int
get_request(struct cur *c, struct request *r)
{
	uint8_t use;

	r->parent = cur_u32(c);
	cur_str_into(c, r->member, sizeof(r->member));
	use = cur_u8(c);
	r->value = cur_blob(c, VAULT_VALUE_MAX, &r->n);
	if (cur_end(c) < 0 || use >= TOKEN_USE_MAX)
		return -1;
	r->use = (enum token_use)use;
	return 0;
}

/* NULL, or why this is not something to capture. */
static const char *
judge(const struct keyd *k, const struct keyd_job *j,
    const struct credential *parent, const struct request *r)
{
	if (peers_find(k->peers, ROLE_AUDIT, 0) == NULL)
		return "the audit log is not available";
	if (j == NULL)
		return "the job is not open";
	if (parent == NULL || parent->parent != 0)
		return "there is no such credential";
	if (parent->revoked)
		return "the credential is revoked";
	if (r->n < STUB_MIN)
		return "it is too short to have a placeholder";
	if (r->n > CAPTURE_VALUE_MAX)
		return "it is too long";
	for (size_t i = 0; i < parent->spec.capture.n; i++) {
		if (str_eq(parent->spec.capture.names[i], r->member))
			return NULL;
	}
	return "the credential does not capture that member";
}

/* Is it a placeholder of the job, which an origin has sent back? */
static bool
is_stub(
    const struct keyd *k, const struct keyd_job *j, const uint8_t *p, size_t n)
{
	char **stubs = keyd_stubs(k, j);
	bool found = false;

	for (size_t i = 0; i < vault_count(k->vault); i++) {
		if (stubs[i] != NULL && strlen(stubs[i]) == n && n > 0 &&
		    memcmp(stubs[i], p, n) == 0)
			found = true;
	}
	keyd_free_stubs(k, stubs);
	return found;
}

/* What has the same value already: the parent, or a token of it. */
static uint32_t
find_same(
    const struct keyd *k, const struct keyd_job *j, const struct request *r)
{
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *c = vault_at(k->vault, i);

		if ((c->id == r->parent || c->parent == r->parent) &&
		    keyd_has(j, c) && secret_len(c->value) == r->n &&
		    CRYPTO_memcmp(secret_bytes(c->value), r->value, r->n) == 0)
			return c->id;
	}
	return 0;
}

static void
name_of(const struct credential *parent, const char *member,
    char out[P_NAME_MAX + 1])
{
	size_t room = P_NAME_MAX - strlen(member), n = strlen(parent->name);

	n = n < room ? n : room;
	if (n == 0)
		n = 1; /* a name starts with a letter */
	memcpy(out, parent->name, n);
	strlcpy(out + n, member, P_NAME_MAX + 1 - n);
}

/*
 * The one that goes first, of those called name or, if that is NULL, of any:
 * the one issued longest ago, refresh tokens last.  *n is how many there are,
 * *room what their bindings take.
 */
static uint32_t
oldest(const struct keyd *k, uint32_t job, const char *name, size_t *n,
    size_t *room)
{
	const struct credential *old = NULL;
	bool old_refresh = false;

	*n = *room = 0;
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *c = vault_at(k->vault, i);
		bool refresh = cred_member_use(c->name) == TOKEN_REFRESH;

		if (c->parent == 0 || c->job != job ||
		    (name != NULL && !str_eq(c->name, name)))
			continue;
		++*n;
		*room += keyd_row_size(c);
		if (old == NULL || (!refresh && old_refresh) ||
		    (refresh == old_refresh && c->changed < old->changed)) {
			old = c;
			old_refresh = refresh;
		}
	}
	return old == NULL ? 0 : old->id;
}

/* So that one more, c, has a place. */
static int
make_room(struct keyd *k, const struct credential *c, struct error *err)
{
	size_t need = keyd_row_size(c), all = keyd_bindings_size(k, NULL);
	size_t most = CAPTURE_ROOM_MAX, n, room;
	uint32_t id;

	if (all + most > MSG_BODY_MAX - 64)
		most = all < MSG_BODY_MAX - 64 ? MSG_BODY_MAX - 64 - all : 0;
	if (need > most)
		return error_set(err, 0, "the placeholder does not fit");
	while ((id = oldest(k, c->job, c->name, &n, &room)) != 0 &&
	       n >= CAPTURE_KIND_MAX) {
		if (vault_remove(k->vault, id, err) < 0)
			return -1;
	}
	while ((id = oldest(k, c->job, NULL, &n, &room)) != 0 &&
	       (n >= CAPTURE_JOB_MAX || room + need > most)) {
		if (vault_remove(k->vault, id, err) < 0)
			return -1;
	}
	return 0;
}

/* A new one; *id is its number. */
static int
keep(struct keyd *k, const struct keyd_job *j, const struct credential *parent,
    const struct request *r, uint32_t *id, struct error *err)
{
	struct credential c = { .id = vault_next_id(k->vault),
		.parent = r->parent,
		.job = j->job };

	memcpy(c.nonce, j->nonce, sizeof(c.nonce));
	name_of(parent, r->member, c.name);
	cred_spec_captured(&parent->spec, r->use, &c.spec);
	c.created = c.changed = (uint64_t)time(NULL);
	c.value = secret_new(r->value, r->n);
	if (c.value == NULL)
		return error_set(err, 0, "no locked memory is left");
	c.shape = stub_shape(c.value, err);
	if (c.shape == NULL || make_room(k, &c, err) < 0 ||
	    vault_put(k->vault, &c, err) < 0) {
		credential_clear(&c);
		return -1;
	}
	*id = c.id;
	return 0;
}

static void
record(struct keyd *k, const struct keyd_job *j, const char *name,
    const struct request *r, const char *why)
{
	struct peer *audit = peers_find(k->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (audit == NULL)
		return;
	audit_ev_init(&e, why == NULL ? "KY301" : "KY302", "secret.capture",
	    why == NULL ? 1 : 3, false);
	audit_ev_str(&e, "obj.secret", name);
	audit_ev_str(&e, "obj.member", r->member);
	if (why != NULL)
		audit_ev_str(&e, "dec.because", why);
	chan_send(audit->chan, M_AUDIT, j == NULL ? 0 : j->job, 0, &e.body, -1);
	audit_ev_free(&e);
}

static void
reply(struct peer *p, uint32_t serial, uint32_t id, const char *stub,
    const char *why)
{
	struct buf b;

	buf_init(&b, 0);
	buf_put_u8(&b, why == NULL);
	buf_put_u32(&b, id);
	buf_put_str(&b, stub);
	buf_put_str(&b, why);
	chan_send(p->chan, M_CRED_CAPTURED, p->job, serial, &b, -1);
	buf_free(&b);
}

/* With the stub of credential id. */
static void
answer(struct peer *p, const struct keyd_job *j, uint32_t serial, uint32_t id)
{
	struct keyd *k = p->owner;
	char **stubs = keyd_stubs(k, j);

	for (size_t i = 0; i < vault_count(k->vault); i++) {
		if (vault_at(k->vault, i)->id == id)
			reply(p, serial, id, stubs[i], NULL);
	}
	keyd_free_stubs(k, stubs);
}

int
keyd_on_capture(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	const struct keyd_job *j = keyd_job(k, p->job);
	const struct credential *parent;
	char name[P_NAME_MAX + 1] = "";
	struct error err;
	struct request r;
	const char *why;
	uint32_t id;

	(void)ch;
	if (get_request(&m->body, &r) < 0)
		return -1;
	parent = k->vault == NULL ? NULL : vault_by_id(k->vault, r.parent);
	if (parent != NULL)
		strlcpy(name, parent->name, sizeof(name));
	if (!keyd_may(k, p->job, KEYD_CAPTURES)) {
		reply(p, m->serial, 0, "", "the job is issued too many tokens");
		return 0;
	}
	why = judge(k, j, parent, &r);
	if (why == NULL && is_stub(k, j, r.value, r.n)) {
		cleanup_free char *same = xstrndup((const char *)r.value, r.n);

		reply(p, m->serial, 0, same, NULL);
		return 0;
	}
	if (why == NULL && (id = find_same(k, j, &r)) != 0) {
		if (id != r.parent)
			vault_touch(k->vault, id, (uint64_t)time(NULL));
		answer(p, j, m->serial, id);
		return 0;
	}
	if (why == NULL && keep(k, j, parent, &r, &id, &err) < 0)
		why = err.msg;
	if (why != NULL) {
		record(k, j, name, &r, why);
		reply(p, m->serial, 0, "", why);
		return 0;
	}
	record(k, j, vault_by_id(k->vault, id)->name, &r, NULL);
	keyd_push_bindings(k, p->job);
	answer(p, j, m->serial, id);
	return 0;
}

void
keyd_capture_forget(struct keyd *k, uint32_t job)
{
	struct error err;

	if (k->vault != NULL && vault_forget_job(k->vault, job, &err) < 0)
		log_warnx("tokens of job %u: until keyd restarts only: %s", job,
		    err.msg);
}

/* Jobs that ended while nobody kept this. */
static void
on_orphans(void *arg)
{
	struct keyd *k = arg;
	size_t i = 0;

	while (i < vault_count(k->vault)) {
		const struct credential *c = vault_at(k->vault, i);
		const struct keyd_job *j =
		    c->parent == 0 ? NULL : keyd_job(k, c->job);

		if (c->parent == 0 || (j != NULL && keyd_has(j, c))) {
			i++;
			continue;
		}
		keyd_capture_forget(k, c->job);
		i = 0;
	}
}

void
keyd_capture_start(struct keyd *k)
{
	if (vault_count(k->vault) == vault_secrets(k->vault))
		return;
	k->orphans = ev_timer_new(k->ev, on_orphans, k);
	ev_timer_set(k->orphans, CAPTURE_ORPHAN_MS);
}
