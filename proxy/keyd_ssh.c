/*
 * SSH keys, which never leave keyd: back passes on what a client in the jail
 * asks of its agent, and keyd signs what authenticates a user to a host of the
 * credential, on the very session that the host's own key is bound to.
 */
#include "proxy/keyd.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/audit_event.h"
#include "base/str.h"
#include "proxy/ssh_key.h"

/* Identities told at once; clients try them one after the other. */
#define KEYS_MAX 16u

struct request {
	struct ssh_sign sign;
	bool bound;
	struct ssh_bind bind;
};

static bool
is_live(const struct keyd_job *j, const struct credential *c)
{
	return c->spec.kind == CRED_SSH && !c->revoked && keyd_has(j, c);
}

bool
keyd_has_ssh(const struct keyd *k, const struct keyd_job *j)
{
	for (size_t i = 0; i < vault_count(k->vault); i++)
		if (is_live(j, vault_at(k->vault, i)))
			return true;
	return false;
}

int
keyd_ssh_check(const struct secret *value, struct error *err)
{
	struct ssh_key *key =
	    ssh_key_load(secret_bytes(value), secret_len(value), err);

	ssh_key_free(key);
	return key == NULL ? -1 : 0;
}

static struct ssh_key *
load(const struct credential *c)
{
	struct error err;

	return ssh_key_load(secret_bytes(c->value), secret_len(c->value), &err);
}

/* ---- which keys there are ------------------------------------------------ */

int
keyd_on_ssh_keys(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	const struct keyd_job *j = keyd_job(k, p->job);
	cleanup_buf struct buf b = { 0 };
	uint32_t n = 0;

	if (cur_end(&m->body) < 0)
		return -1;
	if (!keyd_may(k, p->job, KEYD_SSH))
		j = NULL;
	buf_put_u32(&b, 0);
	for (size_t i = 0; j != NULL && k->vault != NULL && n < KEYS_MAX &&
			   i < vault_count(k->vault);
	     i++) {
		const struct credential *c = vault_at(k->vault, i);
		struct ssh_key *key = is_live(j, c) ? load(c) : NULL;

		if (key == NULL)
			continue;
		buf_put_blob(&b, ssh_key_public(key).p, ssh_key_public(key).n);
		buf_put_str(&b, c->name);
		ssh_key_free(key);
		n++;
	}
	buf_patch_u32(&b, 0, n);
	chan_send(p->chan, M_SSH_KEYS_ARE, p->job, m->serial, &b, -1);
	(void)ch;
	return 0;
}

/* ---- signing ------------------------------------------------------------- */

/* The credential whose public key that is; *key is the caller's. */
static const struct credential *
find(const struct keyd *k, const struct keyd_job *j, const struct ssh_str *pub,
    struct ssh_key **key)
{
	for (size_t i = 0; k->vault != NULL && i < vault_count(k->vault); i++) {
		const struct credential *c = vault_at(k->vault, i);
		struct ssh_str have;

		if (!is_live(j, c) || (*key = load(c)) == NULL)
			continue;
		have = ssh_key_public(*key);
		if (ssh_same(&have, pub))
			return c;
		ssh_key_free(*key);
		*key = NULL;
	}
	return NULL;
}

/* The host of the credential whose key the session is bound to. */
static const struct cred_host *
host_of(const struct credential *c, const struct ssh_str *host_key)
{
	for (size_t i = 0; i < c->spec.nhosts; i++) {
		const struct cred_host *h = &c->spec.hosts[i];

		if (ssh_known(secret_bytes(c->value), secret_len(c->value),
			h->host, h->port, host_key))
			return h;
	}
	return NULL;
}

/* NULL, or why not.  *h is where it goes. */
static const char *
judge(const struct keyd *k, const struct keyd_job *j,
    const struct credential *c, const struct request *r,
    const struct ssh_auth *a, const struct cred_host **h, struct decision *d)
{
	const struct profile *pr;

	if (c == NULL)
		return "no credential of this job has that key";
	if (!r->bound)
		return "the session is not bound to a host";
	if (r->bind.forwarding)
		return "the agent is forwarded to another host";
	*h = host_of(c, &r->bind.host_key);
	if (*h == NULL)
		return "the session is with a host whose key is not one that "
		       "was given with the credential";
	if (ssh_verify(
		&r->bind.host_key, &r->bind.signature, &r->bind.session) < 0)
		return "the host has not signed the session";
	if (!ssh_same(&a->session, &r->bind.session) ||
	    (a->host_key.n > 0 && !ssh_same(&a->host_key, &r->bind.host_key)))
		return "the signature is for another session or host";
	if (!ssh_same(&a->key, &r->sign.key))
		return "the signature is for another key";
	if (c->spec.user[0] != '\0' && !ssh_is(&a->user, c->spec.user))
		return "the credential is for another user";
	if (k->policy == NULL)
		return "there is no policy";
	pr = policy_profile(k->policy, j->profile);
	if (pr == NULL)
		return "the policy has no such profile";
	/* Where a person is asked, it was for the connection. */
	policy_raw(k->policy, pr, (*h)->host, (*h)->port, d);
	return d->effect == EFFECT_DENY ? "the policy denies the connection"
					: NULL;
}

static void
record(struct keyd *k, uint32_t job, const struct credential *c,
    const struct cred_host *h, const struct ssh_auth *a,
    const struct decision *d, const char *why)
{
	struct peer *audit = peers_find(k->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (why == NULL)
		audit_ev_init(&e, "KY103", "secret.sign", 1, false);
	else
		audit_ev_init(&e, "KY104", "secret.nosign", 3, false);
	audit_ev_str(&e, "obj.secret", c == NULL ? "" : c->name);
	audit_ev_str(&e, "obj.protocol", "ssh");
	if (a->user.n > 0)
		audit_ev_bytes(&e, "obj.user", a->user.p, a->user.n);
	if (h != NULL) {
		audit_ev_str(&e, "obj.host", h->host);
		audit_ev_u64(&e, "obj.port", h->port);
	}
	if (d->rule[0] != '\0')
		audit_ev_str(&e, "pol.rule", d->rule);
	audit_ev_u64(&e, "pol.generation", k->generation);
	audit_ev_str(&e, "dec.effect", why == NULL ? "allow" : "deny");
	if (why != NULL)
		audit_ev_str(&e, "dec.because", why);
	chan_send(audit->chan, M_AUDIT, job, 0, &e.body, -1);
	audit_ev_free(&e);
}

static int
get_blob(struct cur *c, struct ssh_str *s)
{
	s->p = cur_blob(c, SSH_FRAME_MAX, &s->n);
	return s->p == NULL ? -1 : 0;
}

/* Both bodies are as the client sent them. */
static int
get_request(struct cur *c, struct request *r)
{
	struct ssh_str sign, bind;

	memset(r, 0, sizeof(*r));
	if (get_blob(c, &sign) < 0 || get_blob(c, &bind) < 0 ||
	    cur_end(c) < 0 || ssh_sign_parse(&sign, &r->sign) < 0)
		return -1;
	r->bound = bind.n > 0;
	return r->bound ? ssh_bind_parse(&bind, &r->bind) : 0;
}

int
keyd_on_ssh_sign(struct chan *ch, struct msg *m, void *ctx)
{
	struct peer *p = ctx;
	struct keyd *k = p->owner;
	const struct keyd_job *j = keyd_job(k, p->job);
	const struct cred_host *h = NULL;
	const struct credential *c = NULL;
	cleanup_buf struct buf sig = { 0 }, b = { 0 };
	struct ssh_key *key = NULL;
	struct decision d = { 0 };
	struct ssh_auth a = { 0 };
	struct error err = { 0 };
	struct request r;
	const char *why = NULL;
	bool may;

	(void)ch;
	if (get_request(&m->body, &r) < 0)
		return -1;
	may = keyd_may(k, p->job, KEYD_SSH);
	if (!may)
		why = "the job asks for too many signatures";
	else if (peers_find(k->peers, ROLE_AUDIT, 0) == NULL)
		why = "the audit log is not available";
	else if (j == NULL)
		why = "the job is not open";
	else if (ssh_auth_parse(&r.sign.data, &a) < 0)
		why = "it is not what authenticates a user";
	if (why == NULL) {
		c = find(k, j, &r.sign.key, &key);
		why = judge(k, j, c, &r, &a, &h, &d);
	}
	if (why == NULL &&
	    ssh_key_sign(key, &a.algorithm, &r.sign.data, &sig, &err) < 0)
		why = err.msg;
	ssh_key_free(key);
	if (may && peers_find(k->peers, ROLE_AUDIT, 0) != NULL)
		record(k, p->job, c, h, &a, &d, why);
	buf_put_u8(&b, why == NULL);
	buf_put_blob(&b, buf_head(&sig), why == NULL ? buf_len(&sig) : 0);
	buf_put_str(&b, why);
	chan_send(p->chan, M_SSH_SIGNED, p->job, m->serial, &b, -1);
	return 0;
}
