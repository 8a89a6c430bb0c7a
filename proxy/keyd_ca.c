/*
 * The interception CA in keyd: made at the first start, and rotated.  Jobs
 * trust the one in use and the one that follows, so that a running job goes on
 * over one rotation; what front has minted before is asked for anew.
 */
#include "proxy/keyd.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/audit_event.h"
#include "base/log.h"
#include "base/str.h"

/* A CA that is nobody's yet: its key, and its certificate appended to cert. */
static struct secret *
fresh(struct buf *cert, struct error *err)
{
	struct mint *m = mint_new(err);
	struct secret *key = NULL;

	if (m != NULL && mint_export(m, &key, cert, err) < 0)
		key = NULL;
	mint_free(m);
	return key;
}

static int
make(struct vault *v, enum vault_ca which, struct error *err)
{
	cleanup_secret struct secret *key = NULL;
	cleanup_buf struct buf cert = { 0 };

	if (vault_ca_key(v, which) != NULL)
		return 0;
	if (which == VAULT_CA)
		log_info("making a new interception CA");
	key = fresh(&cert, err);
	if (key == NULL)
		return -1;
	return vault_set_ca(
	    v, which, key, buf_head(&cert), buf_len(&cert), err);
}

static struct mint *
load(const struct vault *v, enum vault_ca which, struct error *err)
{
	size_t n;
	const uint8_t *cert = vault_ca_cert(v, which, &n);

	return mint_load(vault_ca_key(v, which), cert, n, err);
}

/* Append both certificates as PEM, the one in use first. */
static int
put_pem(const struct keyd *k, struct buf *pem, struct error *err)
{
	struct mint *next = load(k->vault, VAULT_CA_NEXT, err);
	int ret = -1;

	if (next != NULL)
		ret = mint_ca_pem(k->mint, pem, err) < 0
			  ? -1
			  : mint_ca_pem(next, pem, err);
	mint_free(next);
	return ret;
}

int
keyd_ca_open(struct keyd *k, struct error *err)
{
	if (make(k->vault, VAULT_CA, err) < 0 ||
	    make(k->vault, VAULT_CA_NEXT, err) < 0)
		return -1;
	k->mint = load(k->vault, VAULT_CA, err);
	return k->mint == NULL ? -1 : 0;
}

int
keyd_ca_tell(struct keyd *k, struct error *err)
{
	cleanup_buf struct buf pem = { 0 }, b = { 0 };

	if (put_pem(k, &pem, err) < 0)
		return -1;
	buf_put_blob(&b, buf_head(&pem), buf_len(&pem));
	chan_send(peers_parent(k->peers), M_CA_CERT, 0, 0, &b, -1);
	return 0;
}

static void
tell_front(struct peer *p, void *arg)
{
	chan_send(p->chan, M_CA_CHANGED, p->job, 0, NULL, -1);
}

static void
record(struct keyd *k, bool ok)
{
	struct peer *audit = peers_find(k->peers, ROLE_AUDIT, 0);
	struct audit_ev e;

	if (audit == NULL)
		return;
	audit_ev_init(&e, "KY205", "ca.rotate", 3, true);
	audit_ev_str(&e, "dec.effect", ok ? "allow" : "deny");
	chan_send(audit->chan, M_AUDIT, 0, 0, &e.body, -1);
	audit_ev_free(&e);
}

static int
rotate(struct keyd *k, struct error *err)
{
	cleanup_secret struct secret *key = NULL;
	cleanup_buf struct buf cert = { 0 };
	struct mint *now;

	if (peers_find(k->peers, ROLE_AUDIT, 0) == NULL)
		return error_set(err, 0, "the audit log is not available");
	key = fresh(&cert, err);
	if (key == NULL)
		return -1;
	/* It must be usable before the other one is gone. */
	now = load(k->vault, VAULT_CA_NEXT, err);
	if (now == NULL || vault_rotate_ca(k->vault, key, buf_head(&cert),
			       buf_len(&cert), err) < 0) {
		mint_free(now);
		return -1;
	}
	mint_free(k->mint);
	k->mint = now;
	return 0;
}

/* Body of both answers: u8 ok, str PEM of both, str why not. */
static void
answer(struct keyd *k, const struct msg *m, struct chan *c, int rc,
    struct error *err)
{
	cleanup_buf struct buf pem = { 0 }, b = { 0 };

	if (rc == 0)
		rc = put_pem(k, &pem, err);
	buf_put_u8(&b, rc == 0);
	buf_put_blob(&b, buf_head(&pem), rc == 0 ? buf_len(&pem) : 0);
	buf_put_str(&b, rc == 0 ? "" : err->msg);
	chan_send(c, M_CA_SHOWN, 0, m->serial, &b, -1);
}

int
keyd_on_ca_rotate(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = ((struct peer *)ctx)->owner;
	struct error err = { 0 };
	int rc;

	if (cur_end(&m->body) < 0)
		return -1;
	rc = k->mint == NULL ? error_set(&err, 0, "the vault is not open")
			     : rotate(k, &err);
	record(k, rc == 0);
	if (rc == 0) {
		if (keyd_ca_tell(k, &err) < 0)
			fatalx("%s", err.msg);
		peers_each(k->peers, ROLE_FRONT, tell_front, NULL);
	}
	answer(k, m, c, rc, &err);
	return 0;
}

int
keyd_on_ca_show(struct chan *c, struct msg *m, void *ctx)
{
	struct keyd *k = ((struct peer *)ctx)->owner;
	struct error err = { 0 };

	if (cur_end(&m->body) < 0)
		return -1;
	answer(k, m, c,
	    k->mint == NULL ? error_set(&err, 0, "the vault is not open") : 0,
	    &err);
	return 0;
}
