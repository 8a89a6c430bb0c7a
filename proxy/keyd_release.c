/* keyd towards back: which stubs there are, and one value at a time. */
#include "proxy/keyd.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <openssl/crypto.h>

#include "base/audit_event.h"
#include "base/log.h"
#include "base/str.h"

/* ---- stubs -------------------------------------------------------------- */

static bool
is_value(const struct credential *c, const char *stub)
{
	size_t n = strlen(stub);

	return n == secret_len(c->value) &&
	       CRYPTO_memcmp(stub, secret_bytes(c->value), n) == 0;
}

/* No real value and, without regard to case, no other stub of the job. */
static bool
is_fresh(const struct keyd *k, char *const *stubs, size_t n, const char *stub)
{
	for (size_t i = 0; i < n; i++) {
		if (stubs[i] != NULL && strcasecmp(stubs[i], stub) == 0)
			return false;
	}
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		if (is_value(vault_at(k->vault, i), stub))
			return false;
	}
	return true;
}

bool
keyd_has(const struct keyd_job *j, const struct credential *c)
{
	return c->parent == 0 ||
	       (c->job == j->job &&
		   memcmp(c->nonce, j->nonce, STUB_NONCE_SIZE) == 0);
}

static char *
make_stub(const struct keyd *k, const struct keyd_job *j,
    const struct credential *c, char *const *others, size_t n)
{
	if (!cred_has_stub(c->spec.kind))
		return xstrdup("");
	for (uint32_t attempt = 0;; attempt++) {
		char *stub = stub_make(vault_stub_key(k->vault), j->nonce,
		    j->job, c->id, attempt, c->shape);

		if (is_fresh(k, others, n, stub))
			return stub;
		free(stub);
	}
}

char **
keyd_stubs(const struct keyd *k, const struct keyd_job *j)
{
	size_t n = vault_count(k->vault);
	char **stubs = xcalloc(n + 1, sizeof(*stubs));

	for (size_t i = 0; i < n; i++) {
		const struct credential *c = vault_at(k->vault, i);

		if (keyd_has(j, c))
			stubs[i] = make_stub(k, j, c, stubs, i);
	}
	return stubs;
}

void
keyd_free_stubs(const struct keyd *k, char **stubs)
{
	for (size_t i = 0; i < vault_count(k->vault); i++)
		free(stubs[i]);
	free(stubs);
}

size_t
keyd_row_size(const struct credential *c)
{
	cleanup_buf struct buf b = { 0 };
	size_t n;

	cred_spec_put(&b, &c->spec);
	/* 64 covers the numbers and lengths of M_BINDINGS, M_SECRET_LISTED. */
	n = 64 + strlen(c->name) + buf_len(&b) + strlen(c->shape);
	return n;
}

size_t
keyd_bindings_size(const struct keyd *k, const struct credential *c)
{
	size_t n = c == NULL ? 0 : keyd_row_size(c);

	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *o = vault_at(k->vault, i);

		if (o->parent == 0)
			n += keyd_row_size(o);
	}
	return n;
}

void
keyd_put_stubs(const struct keyd *k, const struct keyd_job *j, struct buf *b)
{
	char **stubs = keyd_stubs(k, j);
	size_t at = b->len;
	uint32_t n = 0;

	buf_put_u32(b, 0);
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *c = vault_at(k->vault, i);

		if (c->revoked || c->parent != 0 || stubs[i][0] == '\0')
			continue;
		buf_put_str(b, c->name);
		buf_put_str(b, c->spec.env);
		buf_put_str(b, stubs[i]);
		n++;
	}
	/* A variable like any other, but its value is a place. */
	if (n < P_SECRETS_MAX && keyd_has_ssh(k, j)) {
		buf_put_str(b, "ssh-agent");
		buf_put_str(b, "SSH_AUTH_SOCK");
		buf_put_str(b, P_AGENT_PATH);
		n++;
	}
	buf_patch_u32(b, at, n);
	keyd_free_stubs(k, stubs);
}

/* A closed job has no bindings.  Revoked ones are listed: a stub of theirs
 * that still turns up must be known for what it is. */
static void
put_bindings(const struct keyd *k, const struct keyd_job *j, struct buf *b)
{
	size_t at = b->len;
	uint32_t n = 0;
	char **stubs;

	buf_put_u32(b, 0);
	if (j == NULL || k->vault == NULL)
		return;
	stubs = keyd_stubs(k, j);
	for (size_t i = 0; i < vault_count(k->vault); i++) {
		const struct credential *c = vault_at(k->vault, i);

		if (stubs[i] == NULL)
			continue;
		buf_put_u32(b, c->id);
		buf_put_str(b, c->name);
		cred_spec_put(b, &c->spec);
		buf_put_u8(b, c->revoked);
		buf_put_str(b, stubs[i]);
		n++;
	}
	buf_patch_u32(b, at, n);
	keyd_free_stubs(k, stubs);
}

static void
send_bindings(struct peer *p, uint32_t serial)
{
	struct keyd *k = p->owner;
	struct buf b;

	buf_init(&b, 0);
	put_bindings(k, keyd_job(k, p->job), &b);
	chan_send(p->chan, M_BINDINGS, p->job, serial, &b, -1);
	buf_free(&b);
}

static void
push_one(struct peer *p, void *arg)
{
	const uint32_t *job = arg;

	if (*job == 0 || *job == p->job)
		send_bindings(p, 0);
}

void
keyd_push_bindings(struct keyd *k, uint32_t job)
{
	peers_each(k->peers, ROLE_BACK, push_one, &job);
}

struct revoked {
	uint32_t job, cred;
};

static void
push_revoked_one(struct peer *p, void *arg)
{
	const struct revoked *r = arg;
	struct buf b;

	if (r->job != 0 && r->job != p->job)
		return;
	buf_init(&b, 0);
	buf_put_u32(&b, r->cred);
	chan_send(p->chan, M_CRED_REVOKED, p->job, 0, &b, -1);
	buf_free(&b);
}

void
keyd_push_revoked(struct keyd *k, uint32_t job, uint32_t cred)
{
	struct revoked r = { job, cred };

	peers_each(k->peers, ROLE_BACK, push_revoked_one, &r);
}

void
keyd_back_up(struct peer *back)
{
	struct keyd *k = back->owner;

	/* Before the vault is open there is nothing true to say. */
	if (k->vault != NULL && keyd_job(k, back->job) != NULL)
		send_bindings(back, 0);
}

/*
 * A job that the parent has not told of yet, as after a restart, has no
 * answer until it has: an empty one would mean that nothing is bound.
 */
static int
on_bindings_get(struct chan *c, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;

	(void)c;
	if (cur_end(&m->body) < 0)
		return -1;
	if (k->vault != NULL && keyd_job(k, p->job) != NULL)
		send_bindings(p, m->serial);
	return 0;
}

/* ---- release ------------------------------------------------------------ */

/* A connection that is not HTTP: judged by net rules. */
static bool
is_raw(const struct keyd_request *r)
{
	return str_eq(r->scheme, "tcp") || str_eq(r->scheme, "postgres");
}

/* It believes back about what the request is, and nothing else. */
const char *
keyd_judge(const struct keyd *k, uint32_t job, const struct keyd_request *r,
    const struct credential *c, struct decision *d)
{
	const struct keyd_job *j = keyd_job(k, job);
	const struct profile *pr;
	struct http_request rq = {
		.method = r->method,
		.scheme = r->scheme,
		.host = r->host,
		.port = r->port,
		.target = r->path,
	};
	char host[256];
	bool is_login;

	if (peers_find(k->peers, ROLE_AUDIT, 0) == NULL)
		return "the audit log is not available";
	if (j == NULL)
		return "the job is not open";
	if (c == NULL || !keyd_has(j, c))
		return "there is no such credential";
	if (c->revoked)
		return "the credential is revoked";
	is_login = c->spec.kind == CRED_POSTGRES;
	if (policy_host_normalise(r->host, host, sizeof(host)) < 0)
		return "the destination is not a host name";
	if (c->spec.kind == CRED_PROXY) {
		/* Whatever lies behind it, but that proxy only. */
		if (!str_eq(c->name, k->proxy_secret) ||
		    !cred_spec_for(&c->spec, k->proxy_host, k->proxy_port))
			return "the credential is not the upstream proxy's";
	} else if (!str_eq(r->scheme, is_login ? "postgres" : "https")) {
		return is_login ? "the connection is not PostgreSQL's"
				: "the request is not https";
	} else if (!cred_spec_for(&c->spec, host, r->port)) {
		return "the credential is for another host or port";
	}
	if (k->policy == NULL)
		return "there is no policy";
	pr = policy_profile(k->policy, j->profile);
	if (pr == NULL)
		return "the policy has no such profile";
	if (is_raw(r))
		policy_raw(k->policy, pr, host, r->port, d);
	else
		policy_http(k->policy, pr, &rq, d);
	if (d->effect == EFFECT_ALLOW || (d->effect == EFFECT_ASK && r->asked))
		return NULL;
	return d->effect == EFFECT_ASK
		   ? "the policy asks and nobody has allowed it"
		   : "the policy denies the request";
}

void
keyd_record(struct keyd *k, uint32_t job, const struct keyd_request *r,
    const struct credential *c, const struct decision *d, const char *scope,
    const char *why)
{
	struct peer *audit = peers_find(k->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (audit == NULL)
		return;
	if (why == NULL)
		audit_ev_init(&e, "KY101", "secret.release", 1, false);
	else
		audit_ev_init(&e, "KY102", "secret.refuse", 3, false);
	audit_ev_str(&e, "obj.secret", c == NULL ? "" : c->name);
	audit_ev_str(&e, "obj.method", r->method);
	audit_ev_str(&e, "obj.scheme", r->scheme);
	audit_ev_str(&e, "obj.host", r->host);
	audit_ev_u64(&e, "obj.port", r->port);
	if (scope != NULL)
		audit_ev_str(&e, "obj.scope", scope);
	if (d->rule[0] != '\0')
		audit_ev_str(&e, "pol.rule", d->rule);
	audit_ev_u64(&e, "pol.generation", k->generation);
	audit_ev_str(&e, "dec.effect", why == NULL ? "allow" : "deny");
	if (r->asked)
		audit_ev_bool(&e, "dec.asked", true);
	if (why != NULL)
		audit_ev_str(&e, "dec.because", why);
	chan_send(audit->chan, M_AUDIT, job, 0, &e.body, -1);
	audit_ev_free(&e);
}

int
keyd_request_get(struct cur *c, struct keyd_request *r)
{
	r->cred = cur_u32(c);
	cur_str_into(c, r->method, sizeof(r->method));
	cur_str_into(c, r->scheme, sizeof(r->scheme));
	cur_str_into(c, r->host, sizeof(r->host));
	r->port = cur_u16(c);
	r->path = cur_str(c, P_URL_MAX);
	r->asked = cur_bool(c);
	return c->failed || r->path == NULL ? -1 : 0;
}

void
keyd_answer(struct peer *p, uint16_t type, uint32_t serial, const void *value,
    size_t n, const char *why)
{
	struct buf b;

	buf_init_wipe(&b, 0);
	buf_put_u8(&b, why == NULL);
	buf_put_blob(&b, value, why == NULL ? n : 0);
	buf_put_str(&b, why);
	chan_send(p->chan, type, p->job, serial, &b, -1);
	buf_free(&b);
}

static int
on_release(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	const struct credential *c;
	struct decision d = { 0 };
	struct keyd_request r = { 0 };
	const char *why;

	(void)ch;
	if (keyd_request_get(&m->body, &r) < 0 || cur_end(&m->body) < 0) {
		free(r.path);
		return -1;
	}
	c = k->vault == NULL ? NULL : vault_by_id(k->vault, r.cred);
	why = keyd_judge(k, p->job, &r, c, &d);
	if (why == NULL &&
	    (c->spec.kind == CRED_SIGV4 || c->spec.kind == CRED_SSH))
		why = "a credential of this kind signs and is never released";
	keyd_record(k, p->job, &r, c, &d, NULL, why);
	free(r.path);
	keyd_answer(p, M_RELEASED, m->serial,
	    why == NULL ? secret_bytes(c->value) : NULL,
	    why == NULL ? secret_len(c->value) : 0, why);
	return 0;
}

const struct msg_rule keyd_from_back[] = {
	{ M_BINDINGS_GET, MSG_ALLOWED, on_bindings_get },
	{ M_RELEASE, MSG_ALLOWED, on_release },
	{ M_CRED_CAPTURE, MSG_ALLOWED | MSG_WIPE, keyd_on_capture },
	{ M_SIGN_KEY, MSG_ALLOWED, keyd_on_sign_key },
	{ M_SSH_KEYS, MSG_ALLOWED, keyd_on_ssh_keys },
	{ M_SSH_SIGN, MSG_ALLOWED, keyd_on_ssh_sign },
};
