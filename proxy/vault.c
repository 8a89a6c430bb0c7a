#include "proxy/vault_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "proxy/stub.h"

#define KEY_MAX 4096u  /* DER of the CA key */
#define CERT_MAX 8192u /* DER of the CA certificate */

void
credential_clear(struct credential *c)
{
	free(c->shape);
	c->shape = NULL;
	secret_free(c->value);
	c->value = NULL;
}

/* ---- what a credential may hold ----------------------------------------- */

int
credential_check(const struct credential *c, struct error *err)
{
	if (!str_is_name(c->name, P_NAME_MAX))
		return error_set(err, 0, "bad name of a secret");
	return cred_spec_check(&c->spec, err);
}

/* ---- records ------------------------------------------------------------ */

void
vault_put_credential(struct buf *b, const struct credential *c)
{
	if (c->parent != 0) {
		buf_put_u32(b, c->parent);
		buf_put_u32(b, c->job);
		buf_put(b, c->nonce, sizeof(c->nonce));
	}
	buf_put_u32(b, c->id);
	buf_put_str(b, c->name);
	cred_spec_put(b, &c->spec);
	buf_put_u8(b, c->revoked);
	buf_put_u64(b, c->created);
	buf_put_u64(b, c->changed);
	buf_put_str(b, c->shape);
	buf_put_blob(b, secret_bytes(c->value), secret_len(c->value));
}

/* One host and port, a header and Basic: every credential once was that. */
static void
get_old_spec(struct cur *r, struct cred_spec *s)
{
	s->nhosts = 1;
	cur_str_into(r, s->hosts[0].host, sizeof(s->hosts[0].host));
	s->hosts[0].port = cur_u16(r);
	s->surfaces = cur_u8(r);
	cur_str_into(r, s->header, sizeof(s->header));
	if ((s->surfaces & SURFACE_HEADER) == 0)
		s->header[0] = '\0';
	cur_str_into(r, s->user, sizeof(s->user));
	cur_str_into(r, s->env, sizeof(s->env));
}

static bool
shape_fits(const struct credential *c)
{
	if (!cred_has_stub(c->spec.kind))
		return c->shape[0] == '\0';
	return stub_shape_check(c->shape) == 0;
}

static int
get_credential(struct cur *r, bool old, struct credential *c, struct error *err)
{
	const uint8_t *p;
	size_t n;

	c->id = cur_u32(r);
	cur_str_into(r, c->name, sizeof(c->name));
	if (old)
		get_old_spec(r, &c->spec);
	else if (cred_spec_get(r, &c->spec) < 0)
		return error_set(err, 0, "malformed");
	c->revoked = cur_bool(r);
	c->created = cur_u64(r);
	c->changed = cur_u64(r);
	c->shape = cur_str(r, P_STUB_MAX);
	p = cur_blob(r, VAULT_VALUE_MAX, &n);
	if (cur_end(r) < 0 || c->id == 0 || n < STUB_MIN || c->shape == NULL)
		return error_set(err, 0, "malformed");
	if (credential_check(c, err) < 0)
		return -1;
	if (!shape_fits(c))
		return error_set(err, 0, "malformed");
	c->value = secret_new(p, n);
	if (c->value == NULL)
		return error_set(err, errno, "memory for a secret");
	return 0;
}

static size_t
index_of(const struct vault *v, uint32_t id)
{
	size_t i;

	for (i = 0; i < v->n && v->c[i].id != id; i++)
		continue;
	return i;
}

/* Into the table, which stays sorted; takes what c owns. */
static void
store(struct vault *v, struct credential *c)
{
	size_t i = index_of(v, c->id);

	if (i == v->n) {
		v->c = xreallocarray(v->c, v->n + 1, sizeof(*v->c));
		for (; i > 0 && v->c[i - 1].id > c->id; i--)
			v->c[i] = v->c[i - 1];
		v->n++;
	} else {
		credential_clear(&v->c[i]);
		v->stale = true;
	}
	v->c[i] = *c;
	c->shape = NULL;
	c->value = NULL;
	if (c->id >= v->next_id)
		v->next_id = c->id + 1;
}

static void
forget(struct vault *v, size_t i)
{
	v->stale |= v->c[i].parent == 0;
	credential_clear(&v->c[i]);
	v->n--;
	memmove(&v->c[i], &v->c[i + 1], (v->n - i) * sizeof(*v->c));
}

/* What was captured by a credential, or by a job; 0 is no such. */
static void
forget_captured(struct vault *v, uint32_t parent, uint32_t job)
{
	for (size_t i = v->n; i > 0; i--) {
		const struct credential *c = &v->c[i - 1];

		if (c->parent != 0 && (c->parent == parent || c->job == job))
			forget(v, i - 1);
	}
}

static void
ca_clear(struct ca_pair *ca)
{
	secret_free(ca->key);
	free(ca->cert);
	memset(ca, 0, sizeof(*ca));
}

/* What a record with a CA says: a pair that is whole, or -1. */
static int
ca_new(struct ca_pair *ca, const void *key, size_t kn, const void *cert,
    size_t cn, struct error *err)
{
	if (kn == 0 || kn > KEY_MAX || cn == 0 || cn > CERT_MAX)
		return error_set(err, 0, "malformed");
	ca->key = secret_new(key, kn);
	if (ca->key == NULL)
		return error_set(err, errno, "memory for the CA key");
	ca->cert = xmemdup(cert, cn);
	ca->n = cn;
	return 0;
}

/* A CA is set once; rotating takes both to be there. */
static int
ca_has_place(const struct vault *v, enum vault_kind kind, struct error *err)
{
	enum vault_ca which = kind == REC_CA ? VAULT_CA : VAULT_CA_NEXT;

	if ((v->ca[which].key != NULL) == (kind == REC_ROTATE))
		return 0;
	return error_set(err, 0, "malformed");
}

/* After both of the above; what is not to fail once it is on disk. */
static void
ca_install(struct vault *v, enum vault_kind kind, const struct ca_pair *ca)
{
	if (kind == REC_ROTATE) {
		ca_clear(&v->ca[VAULT_CA]);
		v->ca[VAULT_CA] = v->ca[VAULT_CA_NEXT];
		v->stale = true;
	}
	v->ca[kind == REC_CA ? VAULT_CA : VAULT_CA_NEXT] = *ca;
}

static int
apply_ca(
    struct vault *v, enum vault_kind kind, struct cur *r, struct error *err)
{
	struct ca_pair ca = { 0 };
	const uint8_t *key, *cert;
	size_t kn, cn;

	key = cur_blob(r, KEY_MAX, &kn);
	cert = cur_blob(r, CERT_MAX, &cn);
	if (cur_end(r) < 0)
		return error_set(err, 0, "malformed");
	if (ca_has_place(v, kind, err) < 0 ||
	    ca_new(&ca, key, kn, cert, cn, err) < 0)
		return -1;
	ca_install(v, kind, &ca);
	return 0;
}

static int
apply_stub_key(struct vault *v, struct cur *r, struct error *err)
{
	size_t n;
	const uint8_t *p = cur_blob(r, VAULT_KEY_SIZE, &n);

	if (cur_end(r) < 0 || n != VAULT_KEY_SIZE || v->stub_key != NULL)
		return error_set(err, 0, "malformed");
	v->stub_key = secret_new(p, n);
	return v->stub_key != NULL
		   ? 0
		   : error_set(err, errno, "memory for the stub key");
}

/* Is there room for one more of n bytes? */
static bool
captured_fits(const struct vault *v, size_t n)
{
	size_t count = 0, bytes = 0;

	for (size_t i = 0; i < v->n; i++) {
		if (v->c[i].parent == 0)
			continue;
		count++;
		bytes += secret_len(v->c[i].value);
	}
	return count < VAULT_CAPTURED_MAX && bytes + n <= VAULT_CAPTURED_BYTES;
}

/* May c be stored beside what is there? */
static int
check_place(const struct vault *v, const struct credential *c)
{
	const struct credential *same = vault_by_name(v, c->name);
	const struct credential *up = vault_by_id(v, c->parent);
	bool fresh = vault_by_id(v, c->id) == NULL;

	if (c->id == UINT32_MAX)
		return -1;
	if (c->parent == 0)
		return (same == NULL || same->id == c->id) &&
			       (!fresh || vault_secrets(v) < P_SECRETS_MAX)
			   ? 0
			   : -1;
	return fresh && up != NULL && up->parent == 0 && !up->revoked &&
		       c->job != 0 && captured_fits(v, secret_len(c->value))
		   ? 0
		   : -1;
}

static int
apply_put(
    struct vault *v, enum vault_kind kind, struct cur *r, struct error *err)
{
	struct credential c = { 0 };
	const uint8_t *nonce;
	int ret;

	if (kind == REC_CAPTURED) {
		c.parent = cur_u32(r);
		c.job = cur_u32(r);
		nonce = cur_bytes(r, sizeof(c.nonce));
		if (nonce == NULL || c.parent == 0)
			return error_set(err, 0, "malformed");
		memcpy(c.nonce, nonce, sizeof(c.nonce));
	}
	ret = get_credential(r, kind == REC_OLD_PUT, &c, err);
	if (ret == 0 && check_place(v, &c) < 0)
		ret = error_set(err, 0, "malformed");
	if (ret == 0)
		store(v, &c);
	credential_clear(&c);
	return ret;
}

static int
apply_state(
    struct vault *v, enum vault_kind kind, struct cur *r, struct error *err)
{
	uint32_t id = cur_u32(r);
	uint64_t changed = kind == REC_REVOKE ? cur_u64(r) : 0;
	size_t i = index_of(v, id);

	if (cur_end(r) < 0 || i == v->n)
		return error_set(err, 0, "malformed");
	forget_captured(v, id, 0);
	if (kind == REC_REVOKE) {
		i = index_of(v, id);
		v->c[i].revoked = true;
		v->c[i].changed = changed;
	} else
		forget(v, index_of(v, id));
	return 0;
}

static int
apply_forget(struct vault *v, struct cur *r, struct error *err)
{
	uint32_t job = cur_u32(r);

	if (cur_end(r) < 0 || job == 0)
		return error_set(err, 0, "malformed");
	forget_captured(v, 0, job);
	return 0;
}

static int
apply_next_id(struct vault *v, struct cur *r, struct error *err)
{
	uint32_t id = cur_u32(r);

	if (cur_end(r) < 0 || id < v->next_id)
		return error_set(err, 0, "malformed");
	v->next_id = id;
	return 0;
}

int
vault_apply(const uint8_t *p, size_t n, void *vault, struct error *err)
{
	struct vault *v = vault;
	struct cur r;
	uint8_t kind;

	cur_init(&r, p, n);
	kind = cur_u8(&r);
	switch (kind) {
	case REC_CA:
	case REC_CA_NEXT:
	case REC_ROTATE:
		return apply_ca(v, kind, &r, err);
	case REC_STUB_KEY:
		return apply_stub_key(v, &r, err);
	case REC_OLD_PUT:
	case REC_PUT:
	case REC_CAPTURED:
		return apply_put(v, kind, &r, err);
	case REC_REVOKE:
	case REC_REMOVE:
		return apply_state(v, kind, &r, err);
	case REC_FORGET:
		return apply_forget(v, &r, err);
	case REC_NEXT_ID:
		return apply_next_id(v, &r, err);
	}
	return error_set(err, 0, "of unknown kind %u", kind);
}

/* ---- opening and changing ----------------------------------------------- */

struct vault *
vault_new(void)
{
	struct vault *v = xcalloc(1, sizeof(*v));

	v->next_id = 1;
	return v;
}

struct vault *
vault_open(int fd, const struct secret *master, struct error *err)
{
	struct vault *v = vault_new();

	v->log = vault_log_open(fd, master, vault_apply, v, err);
	if (v->log == NULL) {
		vault_free(v);
		return NULL;
	}
	return v;
}

void
vault_free(struct vault *v)
{
	if (v == NULL)
		return;
	while (v->n > 0)
		forget(v, v->n - 1);
	free(v->c);
	vault_log_free(v->log);
	vault_log_free(v->next);
	for (size_t i = 0; i < VAULT_CAS; i++)
		ca_clear(&v->ca[i]);
	secret_free(v->stub_key);
	free(v);
}

const struct secret *
vault_ca_key(const struct vault *v, enum vault_ca which)
{
	return v->ca[which].key;
}

const uint8_t *
vault_ca_cert(const struct vault *v, enum vault_ca which, size_t *n)
{
	*n = v->ca[which].n;
	return v->ca[which].cert;
}

const struct secret *
vault_stub_key(const struct vault *v)
{
	return v->stub_key;
}

void
vault_record(struct buf *b, enum vault_kind kind)
{
	buf_init(b, VAULT_RECORD_MAX + 4096);
	buf_reserve(b, VAULT_RECORD_MAX + 4096);
	buf_put_u8(b, (uint8_t)kind);
}

void
vault_record_free(struct buf *b)
{
	OPENSSL_cleanse(b->data, b->cap);
	buf_free(b);
}

/*
 * To the file that may take its place first, so that this one never has what
 * that one lacks; the other way round, only a new start knows which one counts.
 */
static int
append(struct vault *v, const struct buf *b, struct error *err)
{
	if (v->log == NULL)
		return 0;
	if (v->next_failed)
		return error_set(
		    err, 0, "the vault is being written anew, and that failed");
	if (v->next != NULL &&
	    vault_log_append(v->next, buf_head(b), buf_len(b), err) < 0) {
		v->next_failed = true;
		return -1;
	}
	if (vault_log_append(v->log, buf_head(b), buf_len(b), err) == 0)
		return 0;
	if (v->next != NULL)
		fatalx("%s", err->msg);
	return -1;
}

static int
record_write(struct vault *v, struct buf *b, struct error *err)
{
	int ret;

	if (buf_failed(b))
		ret = error_set(err, 0, "a record of the vault is too long");
	else
		ret = append(v, b, err);
	vault_record_free(b);
	if (ret == 0 && v->changed != NULL)
		v->changed(v->arg);
	return ret;
}

static int
write_ca(struct vault *v, enum vault_kind kind, const struct secret *key,
    const void *cert, size_t n, struct error *err)
{
	struct ca_pair ca = { 0 };
	struct buf b;

	if (ca_has_place(v, kind, err) < 0 ||
	    ca_new(&ca, secret_bytes(key), secret_len(key), cert, n, err) < 0)
		return -1;
	vault_record(&b, kind);
	buf_put_blob(&b, secret_bytes(key), secret_len(key));
	buf_put_blob(&b, cert, n);
	if (record_write(v, &b, err) < 0) {
		ca_clear(&ca);
		return -1;
	}
	ca_install(v, kind, &ca);
	return 0;
}

int
vault_set_ca(struct vault *v, enum vault_ca which, const struct secret *key,
    const void *cert, size_t n, struct error *err)
{
	return write_ca(
	    v, which == VAULT_CA ? REC_CA : REC_CA_NEXT, key, cert, n, err);
}

int
vault_rotate_ca(struct vault *v, const struct secret *key, const void *cert,
    size_t n, struct error *err)
{
	return write_ca(v, REC_ROTATE, key, cert, n, err);
}

int
vault_set_stub_key(struct vault *v, const struct secret *key, struct error *err)
{
	struct secret *copy = secret_new(secret_bytes(key), secret_len(key));
	struct buf b;

	if (copy == NULL)
		return error_set(err, errno, "memory for the stub key");
	vault_record(&b, REC_STUB_KEY);
	buf_put_blob(&b, secret_bytes(key), secret_len(key));
	if (record_write(v, &b, err) < 0) {
		secret_free(copy);
		return -1;
	}
	v->stub_key = copy;
	return 0;
}

size_t
vault_count(const struct vault *v)
{
	return v->n;
}

const struct credential *
vault_at(const struct vault *v, size_t i)
{
	return &v->c[i];
}

size_t
vault_secrets(const struct vault *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n; i++)
		n += v->c[i].parent == 0;
	return n;
}

const struct credential *
vault_by_name(const struct vault *v, const char *name)
{
	for (size_t i = 0; i < v->n; i++) {
		if (v->c[i].parent == 0 && str_eq(v->c[i].name, name))
			return &v->c[i];
	}
	return NULL;
}

const struct credential *
vault_by_id(const struct vault *v, uint32_t id)
{
	size_t i = index_of(v, id);

	return i < v->n ? &v->c[i] : NULL;
}

uint32_t
vault_next_id(const struct vault *v)
{
	return v->next_id;
}

int
vault_put(struct vault *v, struct credential *c, struct error *err)
{
	struct buf b;

	if (credential_check(c, err) < 0)
		return -1;
	if (check_place(v, c) < 0)
		return error_set(err, 0,
		    "the vault holds too many secrets, or one of that name");
	if (c->parent != 0 && v->log != NULL &&
	    vault_log_size(v->log) > VAULT_FILE_MAX - VAULT_RESERVE)
		return error_set(err, 0, "the vault is full");
	vault_record(&b, c->parent == 0 ? REC_PUT : REC_CAPTURED);
	vault_put_credential(&b, c);
	if (record_write(v, &b, err) < 0)
		return -1;
	store(v, c);
	return 0;
}

void
vault_touch(struct vault *v, uint32_t id, uint64_t now)
{
	size_t i = index_of(v, id);

	if (i < v->n)
		v->c[i].changed = now;
}

int
vault_revoke(struct vault *v, uint32_t id, uint64_t now, struct error *err)
{
	size_t i = index_of(v, id);
	struct buf b;

	if (i == v->n)
		return error_set(err, ENOENT, "credential %u", id);
	forget_captured(v, id, 0);
	i = index_of(v, id);
	v->c[i].revoked = true;
	v->c[i].changed = now;
	vault_record(&b, REC_REVOKE);
	buf_put_u32(&b, id);
	buf_put_u64(&b, now);
	return record_write(v, &b, err);
}

int
vault_remove(struct vault *v, uint32_t id, struct error *err)
{
	size_t i = index_of(v, id);
	struct buf b;

	if (i == v->n)
		return error_set(err, ENOENT, "credential %u", id);
	/* If the write fails the entry stays, but nothing is released. */
	forget_captured(v, id, 0);
	i = index_of(v, id);
	v->c[i].revoked = true;
	vault_record(&b, REC_REMOVE);
	buf_put_u32(&b, id);
	if (record_write(v, &b, err) < 0)
		return -1;
	forget(v, i);
	return 0;
}

int
vault_forget_job(struct vault *v, uint32_t job, struct error *err)
{
	size_t before = v->n;
	struct buf b;

	forget_captured(v, 0, job);
	if (v->n == before)
		return 0;
	vault_record(&b, REC_FORGET);
	buf_put_u32(&b, job);
	return record_write(v, &b, err);
}
