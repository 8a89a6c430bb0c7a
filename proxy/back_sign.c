/* Requests that are signed: whose key, and the signature made anew. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/proto.h"
#include "base/str.h"
#include "proxy/back.h"
#include "proxy/sign_chunks.h"
#include "proxy/sign_mac.h"

struct xch_sign {
	struct sigv4 aws;  /* where is SIGV4_NONE: nothing to do */
	uint32_t aws_cred; /* its credential; 0: none */
	uint32_t mac_cred; /* likewise of the other kind; 0: none */
	struct cred_hmac mac;
	char *target;    /* as it came, for that kind */
	struct buf came; /* the body, where it is changed on its way */
	char key_id[SIGV4_KEY_ID_MAX + 1];
	struct sign_chunks *chunks; /* once the head is signed */
	/* The signature as it came, until the body is whole. */
	struct sign_sha256 *seen; /* NULL: it is right */
	struct buf covered;
	uint8_t stub_key[SIGV4_KEY_SIZE];
};

void
xch_sign_free(struct exchange *x)
{
	if (x->sign == NULL)
		return;
	sign_chunks_free(x->sign->chunks);
	sign_sha256_end(x->sign->seen, NULL);
	buf_free(&x->sign->covered);
	buf_free(&x->sign->came);
	free(x->sign->target);
	free(x->sign);
	x->sign = NULL;
}

static struct xch_sign *
sign_of(struct exchange *x, const struct binding *b)
{
	if (x->sign == NULL)
		x->sign = xcalloc(1, sizeof(*x->sign));
	if (x->plan.name[0] == '\0')
		strlcpy(x->plan.name, b->name, sizeof(x->plan.name));
	return x->sign;
}

static bool
refuse(struct exchange *x, const char *why)
{
	xch_refuse(x, 403, "signature_refused", why,
	    "sign the request as the service documents it");
	return false;
}

/* The credential that signs: of that key id, or else the first. */
static const struct binding *
find_aws(const struct exchange *x, const char *key_id)
{
	const struct bindings *bs = &x->back->bindings;
	const struct binding *first = NULL;

	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *b = &bs->b[i];

		if (b->spec.kind != CRED_SIGV4 || b->revoked ||
		    !binding_is_for(b, x->host, x->head.port))
			continue;
		if (strcmp(b->spec.user, key_id) == 0)
			return b;
		if (first == NULL)
			first = b;
	}
	return first;
}

static bool
is_other(const char *declared, const char *said)
{
	return declared[0] != '\0' && strcmp(declared, said) != 0;
}

/*
 * The job's SDK has signed with the stub.  Whatever is signed with another key,
 * as a URL that somebody presigned, is not to be done in this account.
 */
static int
say_other_key(const struct exchange *x, uint32_t cred, struct error *err)
{
	const struct binding *b = bindings_cred(&x->back->bindings, cred);

	if (b == NULL)
		return error_set(err, 0, "the signing key is gone");
	return error_set(err, 0,
	    "the signature is not made with the placeholder of credential "
	    "\"%s\"%s%s",
	    b->name, b->spec.env[0] != '\0' ? ", which the job has in " : "",
	    b->spec.env);
}

/*
 * hash is that of the body, or NULL while it is not known: some clients sign
 * an empty one in its place, or none, and whose key it is shows all the same.
 */
static bool
is_by_stub(const struct xch_sign *s, const char *hash)
{
	char empty[SIGN_HEX_SIZE];

	if (hash != NULL)
		return sigv4_is_by(&s->aws, s->stub_key, &s->covered, hash);
	sign_sha256_hex("", 0, empty);
	return sigv4_is_by(&s->aws, s->stub_key, &s->covered, empty) ||
	       (s->aws.payload == SIGV4_BODY &&
		   sigv4_is_by(
		       &s->aws, s->stub_key, &s->covered, "UNSIGNED-PAYLOAD"));
}

static bool
check_aws(struct exchange *x, const struct binding *b, struct xch_sign *s)
{
	cleanup_secret struct secret *stub =
	    secret_new(b->stub, strlen(b->stub));
	struct error err = { 0 };

	if (stub == NULL)
		return refuse(x, "there is no memory for the placeholder");
	buf_init(&s->covered, 0);
	sigv4_key(
	    stub, s->aws.date, s->aws.region, s->aws.service, s->stub_key);
	if (sigv4_covered(
		&x->head, x->head.authority, &s->aws, &s->covered, &err) < 0)
		return refuse(x, err.msg);
	if (is_by_stub(s, NULL))
		return true;
	if (s->aws.payload == SIGV4_BODY && x->head.kind != BODY_NONE) {
		s->seen = sign_sha256_new();
		return true;
	}
	(void)say_other_key(x, s->aws_cred, &err);
	return refuse(x, err.msg);
}

void
xch_sign_seen(struct exchange *x, const void *p, size_t n)
{
	struct xch_sign *s = x->sign;

	if (s == NULL)
		return;
	if (s->seen != NULL)
		sign_sha256_feed(s->seen, p, n);
	if (s->mac_cred != 0 && sign_mac_needs_body(&s->mac) &&
	    xch_body_changes(x))
		buf_put(&s->came, p, n);
}

/* All of the body has been seen. */
static int
check_body(struct exchange *x, struct error *err)
{
	struct xch_sign *s = x->sign;
	char hash[SIGN_HEX_SIZE];

	if (s->seen == NULL)
		return 0;
	sign_sha256_end(s->seen, hash);
	s->seen = NULL;
	if (is_by_stub(s, hash))
		return 0;
	return say_other_key(x, s->aws_cred, err);
}

/* The target as it is signed: parts of it may be left out. */
static void
admit_mac(struct exchange *x)
{
	const struct bindings *bs = &x->back->bindings;

	for (size_t i = 0; i < bs->n; i++) {
		const struct binding *b = &bs->b[i];

		if (b->spec.kind != CRED_HMAC || b->revoked ||
		    !binding_is_for(b, x->host, x->head.port) ||
		    !sign_mac_is_signed(&b->spec.hmac, &x->head))
			continue;
		sign_of(x, b)->target = xstrdup(x->head.target);
		return;
	}
}

bool
xch_sign_admit(struct exchange *x)
{
	const struct binding *b = find_aws(x, "");
	struct error err = { 0 };
	struct xch_sign *s;
	struct sigv4 aws;
	char why[256];

	xch_sign_free(x);
	admit_mac(x);
	if (b == NULL)
		return true;
	if (sigv4_read(&x->head, &aws, &err) < 0)
		return refuse(x, err.msg);
	if (aws.where == SIGV4_NONE)
		return true;
	b = find_aws(x, aws.key_id);
	if (is_other(b->spec.region, aws.region) ||
	    is_other(b->spec.service, aws.service)) {
		snprintf(why, sizeof(why),
		    "credential \"%s\" is for region \"%s\" and service "
		    "\"%s\", and the request is signed for \"%s\" and \"%s\"",
		    b->name, b->spec.region, b->spec.service, aws.region,
		    aws.service);
		return refuse(x, why);
	}
	s = sign_of(x, b);
	s->aws = aws;
	s->aws_cred = b->cred;
	strlcpy(s->key_id, b->spec.user, sizeof(s->key_id));
	return check_aws(x, b, s);
}

/* Credentials of that kind are released like tokens. */
static bool
prepare_mac(struct exchange *x)
{
	for (size_t i = 0; i < x->ncreds; i++) {
		const struct binding *b =
		    bindings_cred(&x->back->bindings, x->cred[i].cred);
		struct xch_sign *s;

		if (b->spec.kind != CRED_HMAC ||
		    !sign_mac_is_signed(&b->spec.hmac, &x->head))
			continue;
		s = sign_of(x, b);
		if (s->mac_cred != 0)
			return refuse(
			    x, "the request is signed with more than one key");
		s->mac_cred = b->cred;
		s->mac = b->spec.hmac;
	}
	return true;
}

bool
xch_sign_prepare(struct exchange *x)
{
	return prepare_mac(x) && (x->sign == NULL || x->sign->aws_cred == 0 ||
				     xch_add_cred(x, x->sign->aws_cred));
}

const struct sigv4 *
xch_sign_key(const struct exchange *x, uint32_t cred)
{
	const struct xch_sign *s = x->sign;

	if (s == NULL || s->aws.where == SIGV4_NONE || s->aws_cred != cred)
		return NULL;
	return &s->aws;
}

enum xch_sign_body
xch_sign_body(const struct exchange *x)
{
	const struct xch_sign *s = x->sign;

	if (s == NULL || x->head.kind == BODY_NONE)
		return SIGN_NO_BODY;
	if (s->mac_cred != 0 && sign_mac_needs_body(&s->mac))
		return SIGN_WHOLE_BODY;
	if (s->aws.where == SIGV4_NONE)
		return SIGN_NO_BODY;
	switch (s->aws.payload) {
	case SIGV4_BODY:
		return SIGN_WHOLE_BODY;
	case SIGV4_CHUNKS:
	case SIGV4_TRAILER:
		return SIGN_CHUNKS;
	case SIGV4_STATED:
		return SIGN_NO_BODY;
	}
	return SIGN_NO_BODY;
}

static const struct secret *
value_of(const struct exchange *x, uint32_t cred)
{
	for (size_t i = 0; i < x->ncreds; i++)
		if (x->cred[i].cred == cred)
			return x->cred[i].value;
	return NULL;
}

static int
sign_aws(struct exchange *x, struct req_head *h, const struct buf *body,
    struct error *err)
{
	struct xch_sign *s = x->sign;
	const struct secret *key = value_of(x, s->aws_cred);
	char hash[SIGN_HEX_SIZE], signature[SIGN_HEX_SIZE];

	if (check_body(x, err) < 0)
		return -1;
	if (key == NULL || secret_len(key) != SIGV4_KEY_SIZE)
		return error_set(err, 0, "the signing key is gone");
	sign_sha256_hex(body == NULL ? NULL : buf_head(body),
	    body == NULL ? 0 : buf_len(body), hash);
	if (sigv4_sign(h, x->hostport, &s->aws, secret_bytes(key), s->key_id,
		hash, signature, err) < 0)
		return -1;
	/* A second try on another connection signs the same: chunks that have
	 * been signed meanwhile stay right. */
	if (s->chunks == NULL && xch_sign_body(x) == SIGN_CHUNKS)
		s->chunks =
		    sign_chunks_new(&s->aws, secret_bytes(key), signature);
	return 0;
}

/*
 * The job has signed with the stub, if it has that.  What somebody else has
 * signed, or nobody, and a program of the job passes on, is not to be vouched
 * for.
 */
static int
check_mac(struct exchange *x, const struct buf *body, struct error *err)
{
	struct xch_sign *s = x->sign;
	const struct binding *b =
	    bindings_cred(&x->back->bindings, s->mac_cred);
	cleanup_secret struct secret *stub = NULL;
	struct req_head h = x->head;

	if (b != NULL && b->spec.env[0] == '\0')
		return 0;
	stub = b == NULL ? NULL : secret_new(b->stub, strlen(b->stub));
	if (stub == NULL || s->target == NULL)
		return error_set(err, 0, "the signing key is gone");
	h.target = s->target;
	if (xch_body_changes(x))
		body = &s->came;
	if (sign_mac_is_by(&h, &s->mac, stub,
		body == NULL ? NULL : buf_head(body),
		body == NULL ? 0 : buf_len(body)))
		return 0;
	return say_other_key(x, s->mac_cred, err);
}

int
xch_sign_head(struct exchange *x, struct req_head *h, const struct buf *body,
    struct error *err)
{
	struct xch_sign *s = x->sign;
	const struct secret *key;

	if (s == NULL)
		return 0;
	if (s->mac_cred != 0) {
		if ((key = value_of(x, s->mac_cred)) == NULL)
			return error_set(err, 0, "the signing key is gone");
		if (check_mac(x, body, err) < 0)
			return -1;
		if (sign_mac(h, &s->mac, key,
			body == NULL ? "" : (const char *)buf_head(body),
			body == NULL ? 0 : buf_len(body), err) < 0)
			return -1;
	}
	return s->aws.where == SIGV4_NONE ? 0 : sign_aws(x, h, body, err);
}

int
xch_sign_feed(struct exchange *x, const uint8_t *p, size_t n, struct buf *out,
    struct error *err)
{
	if (x->sign->chunks == NULL)
		return error_set(err, 0, "the head has not been signed");
	return sign_chunks_feed(x->sign->chunks, p, n, out, err);
}

size_t
xch_sign_held(const struct exchange *x)
{
	const struct xch_sign *s = x->sign;

	if (s == NULL)
		return 0;
	return buf_len(&s->came) +
	       (s->chunks == NULL ? 0 : sign_chunks_held(s->chunks));
}

int
xch_sign_end(struct exchange *x, struct buf *out, struct error *err)
{
	if (x->sign->chunks == NULL)
		return error_set(err, 0, "the head has not been signed");
	return sign_chunks_end(x->sign->chunks, out, err);
}
